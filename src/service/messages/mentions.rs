//! Mentions: `@` not after a word character, followed by a participant's username, the longest that fits.

use std::collections::{BTreeSet, HashMap};

use unicode_normalization::char::is_combining_mark;

use crate::error::Result;
use crate::model::{ConversationKey, UserKey, fold_case, normalize};
use crate::store::{self, Tx};

/// No folded username is longer, in characters: 150, of which folding makes at most three each.
const LONGEST: usize = 450;

/// The participants that a content mentions.
pub(super) fn find(tx: &mut Tx<'_>, conversation: ConversationKey, content: &str) -> Result<BTreeSet<UserKey>> {
    let texts = candidates(content);
    if texts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let mut longest: HashMap<String, (usize, UserKey)> = HashMap::new();
    for (text, name, user) in store::conversations::participants_beginning(tx, conversation, &texts)? {
        // Half a letter, without the accent behind it, is not that name.
        let is_whole = !text[name.len()..].starts_with(is_combining_mark);
        if is_whole && longest.get(&text).is_none_or(|(length, _)| *length < name.len()) {
            longest.insert(text, (name.len(), user));
        }
    }
    Ok(longest.into_values().map(|(_, user)| user).collect())
}

/// The folded texts behind each `@` that may begin a mention, up to where a username must end
fn candidates(content: &str) -> BTreeSet<String> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_' || is_combining_mark(character);
    let may_begin = |at: &usize| !content[..*at].ends_with(is_word);
    let places = content.match_indices('@').map(|(at, _)| at).filter(may_begin);
    places.map(|at| candidate(&content[at + 1..])).filter(|text| !text.is_empty()).collect()
}

fn candidate(text: &str) -> String {
    // Only a username that is an email holds `@`: one, and not at its start.
    let mut signs = 0;
    let mut ends = |at: usize, character: char| {
        signs += i32::from(character == '@');
        character.is_whitespace()
            || character.is_control()
            || matches!(character, '/' | '#' | ':')
            || (character == '@' && (at == 0 || signs > 1))
    };
    // Twice as many characters, for accents that stand behind their letter.
    let mut places = text.char_indices().take(LONGEST * 2);
    let end = places.find(|(at, character)| ends(*at, *character)).map_or(text.len(), |(at, _)| at);
    let limit = text.char_indices().nth(LONGEST * 2).map_or(text.len(), |(at, _)| at);
    fold_case(&normalize(&text[..end.min(limit)])).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_begins_with_an_at_sign_not_after_a_word_character() {
        let found = |content| candidates(content).into_iter().collect::<Vec<_>>();
        assert_eq!(found("@Al, hi"), ["al,"]);
        assert_eq!(found("(@E\u{301}) x"), ["é)"]);
        assert_eq!(found("@a@b@c @d:e"), ["a@b", "d"]);
        assert_eq!(found("mail al@b, a_@b, e\u{301}@b, @ b, @/b"), Vec::<String>::new());
    }

    #[test]
    fn no_candidate_is_longer_than_a_username_may_be() {
        let content = "@é".repeat(30_000) + "@" + &"ß".repeat(30_000);
        assert!(candidates(&content).iter().all(|text| text.chars().count() <= LONGEST));
    }
}
