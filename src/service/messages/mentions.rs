//! Mentions: `@` not after a word character, followed by a participant's username, the longest that fits.

use std::collections::BTreeSet;

use unicode_normalization::char::is_combining_mark;

use crate::error::Result;
use crate::model::{ConversationKey, UserKey, fold_case, normalize};
use crate::store::{self, Tx};

/// No folded username is longer, in characters: 150, of which folding makes at most three each.
const LONGEST: usize = 450;

/// How many different mentions of one message are looked for, so that no message holds up the others.
const MOST: usize = 100;

/// The participants that a content mentions.
pub(super) fn find(tx: &mut Tx<'_>, conversation: ConversationKey, content: &str) -> Result<BTreeSet<UserKey>> {
    let mut mentioned = BTreeSet::new();
    for text in candidates(content) {
        let longest = longest(tx, conversation, &text, &|_, takes_part| takes_part)?;
        mentioned.extend(longest.map(|(_, user)| user));
    }
    Ok(mentioned)
}

/// The user whom a content mentions with the `@` that stands at a place, and where their username ends: a participant of
/// the conversation, or else somebody else who `is_known`.
pub fn mentioned_at(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    content: &str,
    at: usize,
    is_known: &dyn Fn(UserKey) -> bool,
) -> Result<Option<(usize, UserKey)>> {
    if !may_begin(content, at) {
        return Ok(None);
    }
    let start = at + 1;
    let text = candidate(&content[start..]);
    let longest = match longest(tx, conversation, &text, &|user, takes_part| takes_part && is_known(user))? {
        None => longest(tx, conversation, &text, &|user, _| is_known(user))?,
        found => found,
    };
    let Some((name, user)) = longest else { return Ok(None) };
    // Folding may change how long a text is, so the end is where what stands before it folds to the name.
    let mut ends = content[start..].char_indices().map(|(at, character)| start + at + character.len_utf8());
    let end = ends.find(|end| fold_case(&normalize(&content[start..*end])) == text[..name]);
    Ok(end.map(|end| (end, user)))
}

/// The participant, or whoever else `is_meant`, with the longest username that a folded text begins with, and how long
/// that is in bytes.
///
/// A username the text begins with stands, in the order of bytes, between itself and the text, and so does whatever
/// begins with it. So the last username up to the text either is the one, or begins with it as the text does.
fn longest(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    text: &str,
    is_meant: &dyn Fn(UserKey, bool) -> bool,
) -> Result<Option<(usize, UserKey)>> {
    let mut rest = text;
    while let Some((name, user, takes_part)) = store::users::last_up_to(tx, rest, conversation)? {
        let common = rest.char_indices().zip(name.chars()).find(|((_, one), other)| one != other);
        let end = common.map_or(rest.len().min(name.len()), |((at, _), _)| at);
        // Half a letter, without the accent behind it, is not that name.
        if end == name.len() && is_meant(user, takes_part) && !text[end..].starts_with(is_combining_mark) {
            return Ok(Some((end, user)));
        }
        let shorter =
            if end == name.len() { rest[..end].char_indices().next_back().map_or(0, |(at, _)| at) } else { end };
        if shorter == 0 {
            break;
        }
        rest = &text[..shorter];
    }
    Ok(None)
}

/// Whether the `@` at a place may begin a mention: it stands not behind a word character.
fn may_begin(content: &str, at: usize) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_' || is_combining_mark(character);
    !content[..at].ends_with(is_word)
}

/// The folded texts behind each `@` that may begin a mention, up to where a username must end; the first ones
fn candidates(content: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for at in content.match_indices('@').map(|(at, _)| at).filter(|at| may_begin(content, *at)) {
        let text = candidate(&content[at + 1..]);
        if !text.is_empty() {
            found.insert(text);
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

fn candidate(text: &str) -> String {
    // Twice as many characters, for accents that stand behind their letter.
    let limit = text.char_indices().nth(LONGEST * 2).map_or(text.len(), |(at, _)| at);
    // Only a username that is an email holds `@`: one, and not at its start.
    let mut signs = 0;
    let mut ends = |(at, character): (usize, char)| {
        signs += i32::from(character == '@');
        character.is_whitespace()
            || character.is_control()
            || matches!(character, '/' | '#' | ':')
            || (character == '@' && (at == 0 || signs > 1))
    };
    let end = text[..limit].char_indices().find(|place| ends(*place)).map_or(limit, |(at, _)| at);
    fold_case(&normalize(&text[..end])).chars().take(LONGEST).collect()
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
    fn no_message_has_more_or_longer_candidates_than_can_be_looked_for() {
        let names: Vec<String> = (0..1000).map(|number| format!("@{number} ")).collect();
        assert_eq!(candidates(&names.concat()).len(), MOST);
        let long = "@".to_owned() + &"ß".repeat(30_000);
        assert!(candidates(&long).iter().all(|text| text.chars().count() <= LONGEST));
    }
}
