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

/// How many look-ups among all usernames one message is worth. Most mentions take one, but of names that begin with each other
/// there can be any number.
const LOOK_UPS: usize = 32;

/// How many participants' own names decide what those left open
const NAMES: usize = 1000;

/// The participants that a content mentions.
pub(in crate::service) fn find(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    content: &str,
) -> Result<BTreeSet<UserKey>> {
    let mut mentioned = BTreeSet::new();
    let mut open = Vec::new();
    let mut look_ups = LOOK_UPS;
    for text in candidates(content) {
        match longest(tx, conversation, &text, &mut look_ups, &|_, takes_part| takes_part)? {
            Fit::Of(_, user) => drop(mentioned.insert(user)),
            Fit::Nobody => {}
            Fit::Open => open.push(text),
        }
    }
    if !open.is_empty() {
        let names = store::users::names_of_participants(tx, conversation, NAMES)?;
        mentioned.extend(open.iter().filter_map(|text| longest_of(&names, text)));
    }
    Ok(mentioned)
}

/// Of these people the one with the longest username that a folded text begins with
fn longest_of(names: &[(String, UserKey)], text: &str) -> Option<UserKey> {
    let fitting = names.iter().filter(|(name, _)| text.starts_with(name) && ends_letter(text, name.len()));
    fitting.max_by_key(|(name, _)| name.len()).map(|(_, user)| *user)
}

/// Whether a letter ends at a place: half a letter, without the accent behind it, is no part of a name.
fn ends_letter(text: &str, end: usize) -> bool {
    !text[end..].starts_with(is_combining_mark)
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
    let text = folded(candidate(&content[start..]));
    let mut any_number = usize::MAX;
    let takes_part = |user, takes_part| takes_part && is_known(user);
    let longest = match longest(tx, conversation, &text, &mut any_number, &takes_part)? {
        Fit::Of(name, user) => Fit::Of(name, user),
        _ => longest(tx, conversation, &text, &mut any_number, &|user, _| is_known(user))?,
    };
    let Fit::Of(name, user) = longest else { return Ok(None) };
    // Folding may change how long a text is, so the end is where what stands before it folds to the name.
    let mut ends = content[start..].char_indices().map(|(at, character)| start + at + character.len_utf8());
    let end = ends.find(|end| fold_case(&normalize(&content[start..*end])) == text[..name]);
    Ok(end.map(|end| (end, user)))
}

/// Whose username a text begins with
enum Fit {
    /// How long the username is, in bytes, and whose it is
    Of(usize, UserKey),
    Nobody,
    /// There were not look-ups enough to tell
    Open,
}

/// The participant, or another user who `is_meant`, with the longest username that a folded text begins with, and how long
/// that is in bytes.
///
/// A username the text begins with stands, in the order of bytes, between itself and the text, and so does whatever
/// begins with it. So the last username up to the text either is the one, or begins with it as the text does.
fn longest(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    text: &str,
    look_ups: &mut usize,
    is_meant: &dyn Fn(UserKey, bool) -> bool,
) -> Result<Fit> {
    let mut rest = text;
    loop {
        let Some(fewer) = look_ups.checked_sub(1) else { return Ok(Fit::Open) };
        *look_ups = fewer;
        let Some((name, user, takes_part)) = store::users::last_up_to(tx, rest, conversation)? else {
            return Ok(Fit::Nobody);
        };
        let common = rest.char_indices().zip(name.chars()).find(|((_, one), other)| one != other);
        let end = common.map_or(rest.len().min(name.len()), |((at, _), _)| at);
        if end == name.len() && is_meant(user, takes_part) && ends_letter(text, end) {
            return Ok(Fit::Of(end, user));
        }
        let shorter =
            if end == name.len() { rest[..end].char_indices().next_back().map_or(0, |(at, _)| at) } else { end };
        if shorter == 0 {
            return Ok(Fit::Nobody);
        }
        rest = &text[..shorter];
    }
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
    found.into_iter().map(folded).collect()
}

/// What stands behind an `@`, up to where a username must end
fn candidate(text: &str) -> &str {
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
    let mut end = 0;
    for (at, character) in text.char_indices().take(LONGEST * 2).take_while(|place| !ends(*place)) {
        end = at + character.len_utf8();
    }
    &text[..end]
}

fn folded(text: &str) -> String {
    fold_case(text).chars().take(LONGEST).collect()
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
