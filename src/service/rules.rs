//! Rules of conversations and messages that need no database, the same for sending and for loading. They work with
//! keys, or anything else that identifies a user.

use crate::error::{Error, Result};
use crate::model::{Kind, Number};

/// The kind of a conversation: direct for two people without name and title, else a group.
pub fn kind(people: usize, has_names: bool) -> Kind {
    if people == 2 && !has_names { Kind::Direct } else { Kind::Group }
}

/// Checks the number of participants of a new conversation, and whether it may have a name or title.
///
/// # Errors
/// `Invalid`, naming the field `participants`.
pub fn check_people(kind: Kind, people: usize, has_names: bool) -> Result<()> {
    let refuse = |detail| Err(Error::invalid("participants", detail));
    match kind {
        Kind::Direct if people != 2 || has_names => {
            refuse("A direct conversation is between exactly two people, without name or title.")
        }
        Kind::Group if people < 2 => refuse("A conversation needs at least two people; name everybody who takes part."),
        Kind::Direct | Kind::Group => Ok(()),
    }
}

/// The two people of a direct conversation, the lower key first
pub fn pair<K: Copy + Ord>(one: K, other: K) -> (K, K) {
    (one.min(other), one.max(other))
}

/// Checks that the sender of a message is one of the two people, in a direct conversation.
///
/// # Errors
/// `Invalid`, naming the field `sender`.
pub fn check_sender<K: Copy + Eq>(pair: Option<(K, K)>, sender: K) -> Result<()> {
    match pair {
        Some((one, other)) if sender != one && sender != other => {
            Err(Error::invalid("sender", "The sender is not one of the two people of the direct conversation."))
        }
        _ => Ok(()),
    }
}

/// Checks the receiver of a message: not its sender, and in a direct conversation the other person.
///
/// # Errors
/// `Invalid`, naming the field `receiver`.
pub fn check_receiver<K: Copy + Eq>(pair: Option<(K, K)>, sender: K, receiver: K) -> Result<()> {
    let refuse = |detail| Err(Error::invalid("receiver", detail));
    match pair {
        _ if receiver == sender => refuse("The receiver is the sender; name somebody else, or nobody."),
        Some((one, other)) if receiver != one && receiver != other => {
            refuse("In a direct conversation the receiver is the other person.")
        }
        _ => Ok(()),
    }
}

/// Checks the message that a reply is to, each by its conversation and number: an earlier one of the same conversation.
///
/// # Errors
/// `Invalid`, naming the field `parent_message`.
pub fn check_parent<K: Eq>(
    (conversation, number): (K, Number),
    (parent_conversation, parent_number): (K, Number),
) -> Result<()> {
    let refuse = |detail| Err(Error::invalid("parent_message", detail));
    if parent_conversation != conversation {
        return refuse("It replies to a message of another conversation.".to_owned());
    }
    if parent_number >= number {
        return refuse(format!("It is number {}, but replies to number {}.", number.0, parent_number.0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_people_without_name_or_title_have_a_direct_conversation() {
        for (people, has_names, expected) in
            [(2, false, Kind::Direct), (2, true, Kind::Group), (1, false, Kind::Group), (3, false, Kind::Group)]
        {
            assert_eq!(kind(people, has_names), expected, "{people} {has_names}");
        }
        assert!(check_people(Kind::Direct, 2, false).is_ok() && check_people(Kind::Group, 2, false).is_ok());
        for (kind, people, has_names) in
            [(Kind::Direct, 1, false), (Kind::Direct, 3, false), (Kind::Direct, 2, true), (Kind::Group, 1, true)]
        {
            assert!(check_people(kind, people, has_names).is_err(), "{kind} {people} {has_names}");
        }
        assert_eq!(pair(2, 1), (1, 2));
    }

    #[test]
    fn a_message_is_from_and_for_those_of_its_conversation_and_replies_to_an_earlier_one() {
        for (pair, sender, receiver, is_right) in [
            (Some((1, 2)), 1, 2, true),
            (Some((1, 2)), 2, 1, true),
            (Some((1, 2)), 1, 1, false),
            (Some((1, 2)), 1, 3, false),
            (None, 1, 3, true),
            (None, 3, 3, false),
        ] {
            assert_eq!(check_receiver(pair, sender, receiver).is_ok(), is_right, "{pair:?} {sender} {receiver}");
        }
        assert!(check_sender(Some((1, 2)), 3).is_err() && check_sender(Some((1, 2)), 2).is_ok());
        assert!(check_sender(None, 3).is_ok());
        let number = Number;
        assert!(check_parent((1, number(2)), (1, number(1))).is_ok());
        for parent in [(1, number(2)), (1, number(3)), (2, number(1))] {
            assert!(check_parent((1, number(2)), parent).is_err(), "{parent:?}");
        }
    }
}
