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
    let places = candidates(content);
    if places.is_empty() {
        return Ok(BTreeSet::new());
    }
    let names: BTreeSet<&str> = places.iter().flatten().map(String::as_str).collect();
    let participants: HashMap<String, UserKey> =
        store::conversations::participants_named(tx, conversation, &names)?.into_iter().collect();
    let longest = |place: &Vec<String>| place.iter().rev().find_map(|name| participants.get(name).copied());
    Ok(places.iter().filter_map(longest).collect())
}

/// For each `@` that may begin a mention: the folded names that may stand behind it, shortest first.
fn candidates(content: &str) -> Vec<Vec<String>> {
    let may_begin = |at: &usize| {
        let before = content[..*at].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || character == '_' || is_combining_mark(character))
    };
    let places = content.match_indices('@').map(|(at, _)| at).filter(may_begin);
    places.map(|at| names(&content[at + 1..])).filter(|names| !names.is_empty()).collect()
}

/// The folded beginnings of a text that may be usernames, shortest first
fn names(text: &str) -> Vec<String> {
    // Only a username that is an email holds `@`: one, and not at its start.
    let mut signs = 0;
    let mut ends = |(at, character): (usize, char)| {
        signs += i32::from(character == '@');
        character.is_whitespace()
            || character.is_control()
            || matches!(character, '/' | '#' | ':')
            || (character == '@' && (at == 0 || signs > 1))
    };
    // Twice as many characters, for accents that stand behind their letter.
    let end = text.char_indices().take(LONGEST * 2).find(|place| ends(*place)).map_or(text.len(), |(at, _)| at);
    let folded = fold_case(&normalize(&text[..end]));
    let places = folded.char_indices().skip(1).map(|(at, _)| at).chain([folded.len()]).take(LONGEST);
    // Half a letter, without the accent behind it, is no beginning.
    let is_whole = |at: &usize| *at > 0 && !folded[*at..].starts_with(is_combining_mark);
    places.filter(is_whole).map(|at| folded[..at].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mention_begins_with_an_at_sign_not_after_a_word_character() {
        assert_eq!(candidates("@Al"), [["a", "al"]]);
        assert_eq!(candidates("(@É) x"), [["é", "é)"]]);
        assert!(candidates("mail al@b, a_@b, @ b, @/b, @@").is_empty());
        assert_eq!(names("a@b@c"), ["a", "a@", "a@b"]);
    }

    proptest! {
        #[test]
        fn no_content_makes_more_candidates_than_a_statement_can_bear(content in "[@.a ]{0,2000}") {
            let total: usize = candidates(&content).iter().map(Vec::len).sum();
            prop_assert!(total <= content.len() * 2);
        }
    }
}
