//! The records that carry data between databases: JSON Lines, `type` first.
//!
//! What is absent or null says nothing: of a new row it takes the usual value, with a row that is there it is not compared.
//! A user is named by username, id or email; a conversation by its name, its id, or `@USER`, the direct one of the sender
//! with that user; a message by its id or key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{
    ConversationId, Kind, Level, MessageId, NotificationKind, Number, Role, Timestamp, UserId, fold_case, is_blank,
    normalize,
};

/// One line of a dump: a user, a conversation, a message or a notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    User(UserRecord),
    Conversation(ConversationRecord),
    Message(Box<MessageRecord>),
    Notification(NotificationRecord),
}

impl Record {
    /// The number of bytes of its long texts
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => {
                let revisions = message.revisions.iter().map(|revision| revision.content.len());
                message.content.len() + revisions.sum::<usize>()
            }
            Self::Conversation(conversation) => {
                conversation.participants.iter().map(|participant| participant.user().len() + 16).sum()
            }
            Self::User(_) | Self::Notification(_) => 0,
        }
    }

    /// The word for its type
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Conversation(_) => "conversation",
            Self::Message(_) => "message",
            Self::Notification(_) => "notification",
        }
    }
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "User")]
#[serde(deny_unknown_fields)]
pub struct UserRecord {
    /// A new id by default
    pub user_id: Option<UserId>,
    /// 1 to 150 characters without white space; unique ignoring case
    pub username: String,
    /// Unique ignoring case
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// `user` by default
    pub role: Option<Role>,
    /// true by default
    pub is_active: Option<bool>,
    /// Now by default
    pub created_at: Option<Timestamp>,
    /// A password in plain text, which is hashed on loading; a dump never contains it
    #[serde(skip_serializing, default)]
    pub password: Option<String>,
    /// A password hash in PHC form. Without a hash and a password the user cannot log in
    pub password_hash: Option<String>,
}

/// A conversation and its participants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Conversation")]
#[serde(deny_unknown_fields)]
pub struct ConversationRecord {
    /// A new id by default
    pub conversation_id: Option<ConversationId>,
    /// By default `direct` for two participants without name and title, else `group`
    pub kind: Option<Kind>,
    /// The name of a group: 1 to 64 of the characters A–Z a–z 0–9 . _ -
    pub name: Option<String>,
    /// Free text, up to 200 characters
    pub title: Option<String>,
    /// A user; null if the operator created it
    pub creator: Option<String>,
    /// Users, each by username, id or email
    pub participants: Vec<Participant>,
    /// By default the time of its first message, or now if it has none
    pub created_at: Option<Timestamp>,
    /// When a message was last sent; by default the time of its newest message
    pub active_at: Option<Timestamp>,
    /// The highest number that a message of it ever had
    #[schemars(range(min = 0, max = Number::HIGHEST))]
    pub last_number: Option<Number>,
}

impl ConversationRecord {
    /// What people call it: its name, else its title, else its participants
    pub(super) fn called(&self) -> String {
        let people = || self.participants.iter().map(Participant::user).collect::<Vec<_>>().join(", ");
        self.name.clone().or_else(|| self.title.clone()).unwrap_or_else(people)
    }

    /// Whether its time is to be that of its first message
    pub(super) fn is_undated(&self) -> bool {
        self.created_at.is_none() && self.active_at.is_none()
    }

    /// Its name and its title; an empty one is none, and a title of nothing but invisible characters, unless the record brings
    /// back what had it.
    pub(super) fn names(&self) -> (Option<&str>, Option<&str>) {
        let is_filled = |text: &&str| !text.trim().is_empty();
        let is_title = |text: &&str| is_filled(text) && (self.conversation_id.is_some() || !is_blank(text));
        (self.name.as_deref().filter(is_filled), self.title.as_deref().filter(is_title))
    }
}

/// A participant: a user, or a user with a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a participant is a username, or {\"user\": a username, \"level\": all, mentions or none}"
)]
pub enum Participant {
    /// A user who is notified of all messages
    Notified(String),
    Leveled(LeveledParticipant),
}

/// A participant with a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeveledParticipant {
    /// Username, id or email
    pub user: String,
    /// Which messages notify them
    pub level: Level,
}

impl Participant {
    /// A participant with a level, in the shorter form where there is one.
    pub fn new(user: String, level: Level) -> Self {
        if level == Level::All { Self::Notified(user) } else { Self::Leveled(LeveledParticipant { user, level }) }
    }

    /// The user
    pub fn user(&self) -> &str {
        match self {
            Self::Notified(user) => user,
            Self::Leveled(participant) => &participant.user,
        }
    }

    /// Which messages notify them
    pub fn level(&self) -> Level {
        match self {
            Self::Notified(_) => Level::All,
            Self::Leveled(participant) => participant.level,
        }
    }
}

/// A message with its earlier contents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Message")]
#[serde(deny_unknown_fields)]
pub struct MessageRecord {
    /// A new id by default
    pub message_id: Option<MessageId>,
    /// A name for the message, unique in the database: 1 to 255 bytes, not in the form of an id; `data apply` requires it
    pub key: Option<String>,
    /// A name, an id, or `@USER`: the direct conversation of the sender with that user
    pub conversation: String,
    /// The number in the conversation; by default the next
    #[schemars(range(min = 1, max = Number::HIGHEST))]
    pub number: Option<Number>,
    /// A user; null only if it is deleted
    pub sender: Option<String>,
    /// By default the other person of a direct conversation, and null in a group
    pub receiver: Option<String>,
    /// The id or key of the message it replies to: on an earlier line, or in the database
    pub reply_to: Option<String>,
    /// Now by default
    pub timestamp: Option<Timestamp>,
    /// 1 to 65,536 bytes; empty if it is deleted
    #[serde(default)]
    pub content: String,
    /// The number of the current content; by default one more than its last revision
    #[schemars(range(min = 1, max = Number::HIGHEST))]
    pub revision: Option<i64>,
    /// Whether it is a tombstone: a message without sender and content that has replies
    #[serde(default)]
    pub deleted: bool,
    /// Earlier contents, oldest first
    #[serde(default)]
    pub revisions: Vec<RevisionRecord>,
}

impl MessageRecord {
    /// What error messages call it: its key, else its id
    pub(super) fn called(&self) -> String {
        let id = || self.message_id.map(|id| id.to_string()).unwrap_or_default();
        self.key.clone().unwrap_or_else(id)
    }

    /// The earlier contents with their numbers
    pub fn numbered_revisions(&self) -> impl Iterator<Item = (i64, &RevisionRecord)> {
        let mut next = 1;
        self.revisions.iter().map(move |revision| {
            let number = revision.revision.unwrap_or(next);
            next = number.saturating_add(1);
            (number, revision)
        })
    }

    /// The number of the current content
    pub fn current_revision(&self) -> i64 {
        let usual = || self.numbered_revisions().last().map_or(1, |(number, _)| number.saturating_add(1));
        self.revision.unwrap_or_else(usual)
    }
}

/// An earlier content of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevisionRecord {
    /// Its number, from 1; by default the next
    #[schemars(range(min = 1, max = Number::HIGHEST))]
    pub revision: Option<i64>,
    /// 1 to 65,536 bytes
    pub content: String,
    /// When it was replaced; by default the time of the message
    pub edited_at: Option<Timestamp>,
    /// Who replaced it; null for the operator
    pub edited_by: Option<String>,
    /// The reason, up to 500 characters
    pub reason: Option<String>,
}

/// A notification of a user about a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Notification")]
#[serde(deny_unknown_fields)]
pub struct NotificationRecord {
    /// Username, id or email of a participant
    pub user: String,
    /// The message's id or key
    pub message: String,
    /// By default the kind that sending the message would have given it
    pub kind: Option<NotificationKind>,
    #[serde(default)]
    pub is_read: bool,
}

/// A record with its line, and the id that its row gets if the record has none.
#[derive(Clone, Debug)]
pub struct Entry {
    /// From 1
    pub line: u64,
    /// Computed from the record and all before it, so that loading the same file again finds the same rows
    pub id: Uuid,
    /// Identifies the record while it is checked; may be computed from a password, so it is never written
    pub content: i64,
    pub record: Record,
}

impl Entry {
    /// An entry whose record has an id of its own
    pub(super) fn new(line: u64, id: Uuid, record: Record) -> Self {
        Self { line, id, content: half(&id.as_bytes()[8..]), record }
    }

    /// An entry with an id made from a hash of all that the record says. That of a user is made from the username alone: ids
    /// are public, and with all else at hand, a password could be guessed from a hash.
    pub(super) fn hashed(line: u64, hash: &[u8], record: Record) -> Self {
        let id = match &record {
            Record::User(user) => {
                let username = fold_case(&normalize(&user.username));
                record.id_from(&Sha256::new_with_prefix("tidings user ").chain_update(username).finalize())
            }
            _ => record.id_from(hash),
        };
        Self { line, id, content: half(hash), record }
    }
}

/// The first half of a hash of 16 bytes or more
fn half(hash: &[u8]) -> i64 {
    i64::from_be_bytes(std::array::from_fn(|index| hash[index]))
}
