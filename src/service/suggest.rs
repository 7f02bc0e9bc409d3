//! Suggests names for what somebody began to type or misspelt, only such that they can see.

use std::collections::BTreeSet;

use crate::error::{Result, Sought};
use crate::model::{
    Actor, Conversation, ConversationSelector, Message, Number, Timestamp, UserRef, fold_case, normalize,
};
use crate::store::messages::Filter;
use crate::store::{self, Tx};

/// The number of names with the same prefix that a misspelt name is compared with
const COMPARED: i64 = 200;

/// The number of prefixes of a misspelt name that are looked up
const BEGINNINGS: usize = 10;

/// The longest name that is compared, in characters: comparing longer ones would take too long
const LONGEST: usize = 40;

/// Users whose usernames begin with a text, by username; every user can see them.
pub fn users(tx: &mut Tx<'_>, prefix: &str, limit: i64) -> Result<Vec<UserRef>> {
    if prefix.contains('\0') {
        return Ok(Vec::new());
    }
    store::users::beginning_with(tx, &normalize(prefix), limit)
}

/// Groups whose names begin with a text, by name, as far as the actor can see them.
pub fn groups(tx: &mut Tx<'_>, actor: &Actor, prefix: &str, limit: i64) -> Result<Vec<Conversation>> {
    if prefix.contains('\0') {
        return Ok(Vec::new());
    }
    match actor.key() {
        Some(user) if !actor.administers() => store::conversations::beginning_with_of(tx, user, prefix, limit),
        _ => store::conversations::beginning_with(tx, prefix, limit),
    }
}

/// People the actor has a direct conversation with and whose usernames begin with a text, by username.
pub fn companions(tx: &mut Tx<'_>, actor: &Actor, prefix: &str, limit: i64) -> Result<Vec<UserRef>> {
    match actor.key() {
        Some(user) if !prefix.contains('\0') => {
            store::users::companions_beginning_with(tx, user, &normalize(prefix), limit)
        }
        _ => Ok(Vec::new()),
    }
}

/// The newest messages of a conversation whose numbers begin with these digits, newest first; no tombstones.
///
/// # Errors
/// `NotFound` if the actor cannot see the conversation.
pub fn messages(
    tx: &mut Tx<'_>,
    actor: &Actor,
    place: &ConversationSelector,
    digits: &str,
    limit: i64,
) -> Result<Vec<Message>> {
    let (conversation, _) = super::conversation(tx, actor, place)?;
    let mut found = Vec::new();
    for (first, last) in numbers_beginning_with(digits) {
        let missing = limit.saturating_sub(i64::try_from(found.len()).unwrap_or(i64::MAX));
        if missing <= 0 {
            break;
        }
        let filter =
            Filter { since: Timestamp::MIN, until: Timestamp::MAX, sender: None, receiver: None, limit: missing };
        let bounds = (Number(first - 1), Number(last.saturating_add(1)));
        let page = store::messages::between_numbers(tx, conversation.key, bounds, false, &filter)?;
        let page = store::messages::by_keys(tx, &page)?;
        found.extend(page.into_iter().filter(|message| !message.deleted));
    }
    Ok(found)
}

/// The ranges of numbers whose decimal form begins with these digits, the highest first; all numbers for no digits.
fn numbers_beginning_with(digits: &str) -> Vec<(i64, i64)> {
    if digits.is_empty() {
        return vec![(1, i64::MAX)];
    }
    // More digits than conversations have messages; `+1` and ` 1` are no numbers here.
    let is_number = digits.len() <= 12 && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = digits.parse::<i64>().ok().filter(|_| is_number) else { return Vec::new() };
    let mut ranges: Vec<(i64, i64)> =
        (0..6).map(|zeros| 10_i64.pow(zeros)).map(|power| (number * power, number * power + (power - 1))).collect();
    ranges.reverse();
    ranges
}

/// A suggestion for a name that was not found. It is slow, so it is called only for errors that people read, and in no
/// transaction that writes.
pub fn meant(tx: &mut Tx<'_>, sought: &Sought) -> Result<Option<String>> {
    match sought {
        Sought::User(name) => user_meant(tx, name),
        Sought::Group(actor, name) => match user_named(tx, actor, name)? {
            Some(hint) => Ok(Some(hint)),
            None => group_meant(tx, actor, name),
        },
    }
}

/// What to type instead, where the name of a conversation is a username
fn user_named(tx: &mut Tx<'_>, actor: &Actor, name: &str) -> Result<Option<String>> {
    if name.contains('\0') {
        return Ok(None);
    }
    let Some(user) = store::users::by_username(tx, &normalize(name))? else { return Ok(None) };
    let username = user.person.username;
    Ok(match actor {
        Actor::User(actor) if actor.person.key == user.person.key => None,
        Actor::User(_) => Some(format!(
            "“{username}” is a user. Your direct conversation is @{username}; `message send --to {username}` starts it."
        )),
        Actor::Operator(_) => {
            Some(format!("“{username}” is a user. Their conversations: `conversation list --user {username}`."))
        }
    })
}

/// `Did you mean “alice”?`, if there are users with similar names.
///
/// One typing error is found among any number of users, two among names with the same prefix.
fn user_meant(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>> {
    let Some(folded) = comparable(name) else { return Ok(None) };
    let mut known = store::users::called(tx, &one_slip_from(&folded))?;
    if known.is_empty() {
        for beginning in beginnings(&folded) {
            known.extend(store::users::beginning_with(tx, &beginning, COMPARED)?);
        }
    }
    Ok(nearest(&folded, known.into_iter().map(|person| person.username)))
}

/// `Did you mean “support”?`, if there are visible groups with similar names.
fn group_meant(tx: &mut Tx<'_>, actor: &Actor, name: &str) -> Result<Option<String>> {
    let Some(folded) = comparable(name) else { return Ok(None) };
    let mut known = Vec::new();
    for beginning in beginnings(&folded) {
        known.extend(groups(tx, actor, &beginning, COMPARED)?);
    }
    Ok(nearest(&folded, known.into_iter().filter_map(|group| group.name)))
}

/// A name in the form that is compared; none if it is too short, too long or not a name
fn comparable(name: &str) -> Option<Vec<char>> {
    let folded: Vec<char> = fold_case(name).chars().collect();
    ((2..=LONGEST).contains(&folded.len()) && !folded.contains(&'\0')).then_some(folded)
}

/// The prefixes of a name, from the longest to the empty one
fn beginnings(name: &[char]) -> impl Iterator<Item = String> {
    (0..=name.len().min(BEGINNINGS)).rev().map(|length| name[..length].iter().collect())
}

/// All names that differ from this one by one missing, additional, changed or swapped letter
fn one_slip_from(name: &[char]) -> Vec<String> {
    let letters = || ('a'..='z').chain('0'..='9').chain(['.', '_', '-']);
    let mut names = Vec::new();
    for place in 0..=name.len() {
        let (before, after) = name.split_at(place);
        let mut add = |middle: &[char], after: &[char]| names.push([before, middle, after].concat().iter().collect());
        letters().for_each(|letter| add(&[letter], after));
        if let [first, rest @ ..] = after {
            add(&[], rest);
            letters().filter(|letter| letter != first).for_each(|letter| add(&[letter], rest));
        }
        if let [first, second, rest @ ..] = after {
            add(&[*second, *first], rest);
        }
    }
    // A letter before a mark is another one.
    names.into_iter().map(|name: String| fold_case(&name)).collect()
}

/// The nearest of the similar names, up to three
fn nearest(typed: &[char], known: impl Iterator<Item = String>) -> Option<String> {
    let typed: String = typed.iter().collect();
    let near: BTreeSet<(usize, String)> =
        known.filter_map(|name| Some((distance(&typed, &fold_case(&name))?, name))).collect();
    let shortest = near.first()?.0;
    let nearest: Vec<String> = near
        .iter()
        .take_while(|(distance, _)| *distance == shortest)
        .take(3)
        .map(|(_, name)| format!("“{name}”"))
        .collect();
    match nearest.as_slice() {
        [] => None,
        [only] => Some(format!("Did you mean {only}?")),
        [others @ .., last] => Some(format!("Did you mean {} or {last}?", others.join(", "))),
    }
}

/// The number of missing, additional, changed or swapped letters; none if the names are not similar.
fn distance(typed: &str, name: &str) -> Option<usize> {
    let (typed_length, length) = (typed.chars().count(), name.chars().count());
    if typed_length.abs_diff(length) > 2 {
        return None;
    }
    let most = if typed_length.min(length) <= 3 { 1 } else { 2 };
    Some(strsim::damerau_levenshtein(typed, name)).filter(|distance| *distance <= most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slip_is_told_from_another_name() {
        for (typed, name) in [("alcie", "alice"), ("alic", "alice"), ("eva", "eve"), ("benh", "benh`"), ("bo", "bob")] {
            assert!(distance(typed, name).is_some(), "{typed} {name}");
        }
        for (typed, name) in [("bob", "eve"), ("ann", "bob"), ("al", "alice"), ("alice", "robert")] {
            assert!(distance(typed, name).is_none(), "{typed} {name}");
        }
    }

    #[test]
    fn every_name_one_slip_away_is_looked_up() {
        let names = one_slip_from(&"alcie".chars().collect::<Vec<_>>());
        for name in ["alice", "alcide", "acie", "blcie", "alcie0", "balcie"] {
            assert!(names.contains(&name.to_owned()), "{name}");
        }
        assert!(one_slip_from(&['ü'; LONGEST]).len() < 4000);
    }

    proptest! {
        #[test]
        fn numbers_are_found_by_their_first_digits(number in 1..1_000_000_i64, digits in "[1-9][0-9]{0,2}") {
            let found = numbers_beginning_with(&digits).iter().any(|(first, last)| (*first..=*last).contains(&number));
            prop_assert_eq!(found, number.to_string().starts_with(&digits));
        }
    }
}
