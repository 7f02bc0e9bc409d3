//! Ids, names, addresses and texts replaced by made-up ones, the same always by the same within a dump.

use sha2::{Digest, Sha256};
use unicode_normalization::char::is_combining_mark;
use uuid::{Builder, Uuid};

use super::keys::Keys;
use crate::error::Result;
use crate::model::{ConversationKey, UserKey, fold_case};
use crate::service;
use crate::store::Tx;

/// How many bytes a content has at most
const LONGEST: usize = 65_536;

const VOWELS: &[u8] = b"aeiou";
/// Words begin with one of these, so that none is `user1`
const CONSONANTS: &[u8] = b"bdfghklmnprstvz";

/// What stands for what
pub(super) struct Pseudonyms {
    /// Without it nobody can try out which word another stands for
    secret: [u8; 32],
    /// Those in the dump
    users: Keys,
    /// Those in the dump that have a name
    groups: Keys,
    /// How many keys of messages there were
    keys: i64,
}

impl Pseudonyms {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self { secret, users: Keys::default(), groups: Keys::default(), keys: 0 }
    }

    /// Takes note of a user of the dump; they come in the order of their keys.
    pub(super) fn add_user(&mut self, user: UserKey) {
        self.users.insert(user.0);
    }

    /// Takes note of a conversation of the dump that has a name; they come in the order of their keys.
    pub(super) fn add_group(&mut self, conversation: ConversationKey) {
        self.groups.insert(conversation.0);
    }

    /// A user's username
    pub(super) fn user(&self, user: UserKey) -> String {
        format!("user{}", self.users.rank(user.0))
    }

    /// A group's name
    pub(super) fn group(&self, conversation: ConversationKey) -> String {
        format!("group{}", self.groups.rank(conversation.0))
    }

    /// What stands for an id: a UUID of the same time where it says one, so that ids stay in the order of time
    pub(super) fn id(&self, id: Uuid) -> Uuid {
        let hash = Sha256::new().chain_update(self.secret).chain_update(id.as_bytes()).finalize();
        match id.get_version_num() {
            7 => {
                let milliseconds = id.as_u128() >> 80;
                let chance = std::array::from_fn(|index| hash[index]);
                Builder::from_unix_timestamp_millis(u64::try_from(milliseconds).unwrap_or(0), &chance).into_uuid()
            }
            _ => Builder::from_custom_bytes(std::array::from_fn(|index| hash[index])).into_uuid(),
        }
    }

    /// The `key` of the next message that has one
    pub(super) fn next_key(&mut self) -> String {
        self.keys += 1;
        format!("key{}", self.keys)
    }

    /// A text without mentions: a title, a reason
    pub(super) fn text(&self, text: &str) -> String {
        let mut made = String::with_capacity(text.len());
        self.write(text, &mut made);
        made
    }

    /// A message's content, whose mentions of users of the dump become mentions of their pseudonyms.
    pub(super) fn content(&self, tx: &mut Tx<'_>, place: ConversationKey, content: &str) -> Result<String> {
        let mut made = String::with_capacity(content.len() + 16);
        let is_known = |user: UserKey| self.users.contains(user.0);
        let mut written = 0;
        for (at, _) in content.match_indices('@') {
            if at < written {
                continue;
            }
            let Some((end, user)) = service::messages::mentioned_at(tx, place, content, at, &is_known)? else {
                continue;
            };
            let name = self.user(user);
            self.write(&content[written..=at], &mut made);
            written = at + 1;
            // No made-up text is longer than the one it stands for, but a name may be.
            if made.len() + name.len() + (content.len() - end) > LONGEST {
                continue;
            }
            made.push_str(&name);
            // A digit behind it would make it another's name.
            let digits = content[end..].char_indices().find(|(_, character)| !character.is_numeric());
            written = digits.map_or(content.len(), |(length, _)| end + length);
            made.extend(content[end..written].chars().map(|_| 'x'));
        }
        self.write(&content[written..], &mut made);
        Ok(made)
    }

    /// Writes a text with each of its words replaced.
    fn write(&self, text: &str, made: &mut String) {
        let mut rest = text;
        while let Some(start) = rest.find(char::is_alphanumeric) {
            let (before, from) = rest.split_at(start);
            made.push_str(before);
            let is_part = |character: char| character.is_alphanumeric() || is_combining_mark(character);
            let (word, behind) = from.split_at(from.find(|character| !is_part(character)).unwrap_or(from.len()));
            self.write_word(word, made);
            rest = behind;
        }
        made.push_str(rest);
    }

    /// Writes a word of as many letters, large and small as they were; digits become other digits.
    fn write_word(&self, word: &str, made: &mut String) {
        let chance = Sha256::new().chain_update(self.secret).chain_update(fold_case(word)).finalize();
        // A mark belongs to the letter before it, if there is one.
        let characters = word.char_indices().filter(|(at, character)| *at == 0 || !is_combining_mark(*character));
        for (index, (_, character)) in characters.enumerate() {
            let chance = usize::from(chance[index % chance.len()]) + index / chance.len();
            if let Some(digit) = character.to_digit(10) {
                let other = (digit as usize + 1 + chance % 9) % 10;
                made.push(char::from(b"0123456789"[other]));
            } else if character.is_numeric() {
                made.push(char::from(b"0123456789"[chance % 10]));
            } else {
                let letters = if index % 2 == 0 { CONSONANTS } else { VOWELS };
                let letter = char::from(letters[chance % letters.len()]);
                made.push(if character.is_uppercase() { letter.to_ascii_uppercase() } else { letter });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_keeps_its_shape() {
        let pseudonyms = Pseudonyms::new([7; 32]);
        let made = pseudonyms.text("Hello, WORLD!\nhello — x86_64 (re\u{301}sumé)  ❤\u{fe0f}");
        let shape = |text: &str| -> String {
            let class = |character: char| match character {
                'a'..='z' => 'a',
                'A'..='Z' => 'A',
                '0'..='9' => '0',
                other => other,
            };
            text.chars().map(class).collect()
        };
        assert_eq!(shape(&made), "Aaaaa, AAAAA!\naaaaa — a00_00 (aaaaaa)  ❤\u{fe0f}");
        assert_eq!(made[..5].to_lowercase(), made[14..19]);
        assert_ne!(made, Pseudonyms::new([8; 32]).text("Hello, WORLD!\nhello — x86_64 (résumé)  ❤\u{fe0f}"));
    }

    #[test]
    fn a_mark_on_its_own_is_replaced() {
        let made = Pseudonyms::new([7; 32]).text("\u{17b6}");
        assert!(made.chars().all(|character| character.is_ascii_lowercase()) && made.len() == 1, "{made}");
    }

    proptest! {
        #[test]
        fn no_text_becomes_longer_or_blank(text in "\\PC*") {
            let made = Pseudonyms::new([7; 32]).text(&text);
            prop_assert!(made.len() <= text.len());
            prop_assert_eq!(made.trim().is_empty(), text.trim().is_empty());
        }

        #[test]
        fn no_digit_stays(digits in "[0-9]{1,80}") {
            let made = Pseudonyms::new([7; 32]).text(&digits);
            prop_assert!(made.bytes().zip(digits.bytes()).all(|(one, other)| one.is_ascii_digit() && one != other));
        }
    }
}
