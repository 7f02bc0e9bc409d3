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
    /// How many bytes its texts have that may be long
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
    /// Usually a new one
    pub user_id: Option<UserId>,
    /// 1 to 150 characters without white space; no two differ in case alone
    pub username: String,
    /// No two users have the same
    pub email: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// Usually `user`
    pub role: Option<Role>,
    /// Usually true
    pub is_active: Option<bool>,
    /// Usually now
    pub created_at: Option<Timestamp>,
    /// A password in plain text, which is hashed; never written
    #[serde(skip_serializing, default)]
    pub password: Option<String>,
    /// A hash in PHC form; without one and without a password the user cannot log in
    pub password_hash: Option<String>,
}

/// A conversation and who takes part in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Conversation")]
#[serde(deny_unknown_fields)]
pub struct ConversationRecord {
    /// Usually a new one
    pub conversation_id: Option<ConversationId>,
    /// Usually `direct` where two people have neither name nor title, else `group`
    pub kind: Option<Kind>,
    /// By which a group is called: 1 to 64 of the characters A–Z a–z 0–9 . _ -
    pub name: Option<String>,
    /// What people read, up to 200 characters
    pub title: Option<String>,
    /// A user; none: the operator created it
    pub creator: Option<String>,
    /// Users, each by username, id or email
    pub participants: Vec<Participant>,
    /// Usually the time of its first message, or now where it has none yet
    pub created_at: Option<Timestamp>,
    /// When something was last sent to it; usually the time of its newest message
    pub active_at: Option<Timestamp>,
    /// The highest number that a message of it ever had
    #[schemars(range(min = 0, max = Number::HIGHEST))]
    pub last_number: Option<Number>,
}

impl ConversationRecord {
    /// What people call it: its name, else its title, else who takes part
    pub(super) fn called(&self) -> String {
        let people = || self.participants.iter().map(Participant::user).collect::<Vec<_>>().join(", ");
        self.name.clone().or_else(|| self.title.clone()).unwrap_or_else(people)
    }

    /// Whether it does not say when it began: that is when its first message was sent
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

/// Somebody who takes part in a conversation: a user, or a user and which messages notify them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a participant is a username, or {\"user\": a username, \"level\": all, mentions or none}"
)]
pub enum Participant {
    /// Notified of all messages
    Notified(String),
    Leveled(LeveledParticipant),
}

/// Somebody who takes part, and which messages notify them.
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

    /// Who it is
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
    /// Usually a new one
    pub message_id: Option<MessageId>,
    /// A name for the message, once in a database: 1 to 255 bytes, not in the form of an id; `data apply` needs one
    pub key: Option<String>,
    /// A name, an id, or `@USER`: the direct conversation of the sender with that user
    pub conversation: String,
    /// Its number in the conversation, usually the next
    #[schemars(range(min = 1, max = Number::HIGHEST))]
    pub number: Option<Number>,
    /// A user; none only where it is deleted
    pub sender: Option<String>,
    /// Usually the other person of a direct conversation, and nobody in a group
    pub receiver: Option<String>,
    /// The id or key of the message it replies to, which stands on an earlier line or is there
    pub reply_to: Option<String>,
    /// Usually now
    pub timestamp: Option<Timestamp>,
    /// 1 to 65,536 bytes, of a deleted message none
    #[serde(default)]
    pub content: String,
    /// The number of the current content, usually the one behind its last revision
    #[schemars(range(min = 1, max = Number::HIGHEST))]
    pub revision: Option<i64>,
    /// A tombstone: it has neither sender nor content, and replies hang on it
    #[serde(default)]
    pub deleted: bool,
    /// Earlier contents, oldest first
    #[serde(default)]
    pub revisions: Vec<RevisionRecord>,
}

impl MessageRecord {
    /// What people call it: its key, else its id
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
    /// Its number, usually the next from 1 on
    #[schemars(range(min = 1, max = Number::HIGHEST))]
    pub revision: Option<i64>,
    /// 1 to 65,536 bytes
    pub content: String,
    /// When a newer content took its place; usually the time of the message
    pub edited_at: Option<Timestamp>,
    /// Who replaced it; none: the operator
    pub edited_by: Option<String>,
    /// Why, up to 500 characters
    pub reason: Option<String>,
}

/// That a message concerns a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Notification")]
#[serde(deny_unknown_fields)]
pub struct NotificationRecord {
    /// Username, id or email of somebody who takes part in the conversation
    pub user: String,
    /// The message's id or key
    pub message: String,
    /// Usually what sending the message would have made it
    pub kind: Option<NotificationKind>,
    #[serde(default)]
    pub is_read: bool,
}

/// A record, where it stands, and the id that its row gets where it brings none.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Counted from 1
    pub line: u64,
    /// Depends on the record and all before it, so that loading the same again finds the same rows
    pub id: Uuid,
    /// Tells the record from others while it is checked; it may come of a password, so it is never written
    pub content: i64,
    pub record: Record,
}

impl Entry {
    /// An entry whose id says which record it is
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
