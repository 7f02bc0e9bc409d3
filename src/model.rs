//! The words of messaging as types: ids, times, people, conversations, messages, notifications, events.
//!
//! What is serialized here is the JSON of the command line and of REST alike: fields stand in the order of the contract.

mod appearance;
mod choice;
mod folding;
mod identity;
mod schema;
mod selector;
mod snippet;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use appearance::{is_blank, is_ignorable, is_invisible, is_picture, may_join, skeleton, skeletons};
pub use choice::{Choice, EventKind, Kind, Level, NotificationKind, Role, Task};
pub use folding::{fold_case, normalize};
pub use identity::{
    ConversationId, ConversationKey, EventKey, MessageId, MessageKey, Number, Timestamp, UserId, UserKey, uuid,
};
pub use selector::{ConversationSelector, MessageSelector, UserSelector};
pub use snippet::Snippet;
pub use words::{Term, Terms, Word, words};

/// Where in a list to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seek<P> {
    /// After this position; cursors that were given out call it `Behind`
    #[serde(rename = "Behind")]
    After(P),
    /// Before this position, nearest first
    Before(P),
}

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UserRef {
    #[serde(skip)]
    pub key: UserKey,
    pub user_id: UserId,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
}

/// A user as they and the admins see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct User {
    #[serde(flatten)]
    pub person: UserRef,
    pub email: Option<String>,
    pub role: Role,
    pub is_active: bool,
    pub created_at: Timestamp,
}

/// A user in as much detail as the one who looks may see.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Profile {
    /// For the user, admins and the operator
    Full(User),
    /// For everybody else
    Short(UserRef),
}

impl Profile {
    /// What everybody may see of the user
    pub fn person(&self) -> &UserRef {
        match self {
            Self::Full(user) => &user.person,
            Self::Short(person) => person,
        }
    }
}

/// What an account says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserDetails {
    pub username: String,
    pub email: Option<String>,
    pub first_name: String,
    pub last_name: String,
    pub role: Role,
}

/// Who does something.
#[derive(Clone, Debug)]
pub enum Actor {
    /// The person who runs the command line without a user: access to the database is the authority. Holds the name of their
    /// account on the machine.
    Operator(String),
    /// A user, with exactly their rights
    User(User),
}

impl Actor {
    /// The user's key; none for the operator
    pub fn key(&self) -> Option<UserKey> {
        match self {
            Self::Operator(_) => None,
            Self::User(user) => Some(user.person.key),
        }
    }

    /// The name of the operator's account on the machine; none for a user
    pub fn operator(&self) -> Option<&str> {
        match self {
            Self::Operator(name) => Some(name),
            Self::User(_) => None,
        }
    }

    /// Whether this is that user
    pub fn is(&self, user: UserKey) -> bool {
        self.key() == Some(user)
    }

    /// Whether this is the operator or an admin
    pub fn administers(&self) -> bool {
        match self {
            Self::Operator(_) => true,
            Self::User(user) => user.role == Role::Admin,
        }
    }
}

/// What the rules need to know of a conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub key: ConversationKey,
    pub id: ConversationId,
    pub kind: Kind,
    pub name: Option<String>,
    pub title: Option<String>,
    pub creator_key: Option<UserKey>,
    /// Of a direct conversation: its two people
    pub pair: Option<(UserKey, UserKey)>,
    pub created_at: Timestamp,
    /// When the newest message was sent, or the conversation was created
    pub active_at: Timestamp,
    /// Messages that are not tombstones
    pub message_count: i64,
    /// The highest number it ever gave out
    pub last_number: Number,
    /// When a message was last sent, which the next is not sent before; loaded ones do not count
    pub last_sent_at: Option<Timestamp>,
}

impl Conversation {
    /// Of a direct conversation: the other person
    pub fn other(&self, user: UserKey) -> Option<UserKey> {
        self.pair.map(|(lower, higher)| if lower == user { higher } else { lower })
    }
}

/// A conversation as one viewer sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Conversation")]
pub struct ConversationView {
    #[serde(skip)]
    pub key: ConversationKey,
    /// Its place in the list by activity
    #[serde(skip)]
    pub active_at: Timestamp,
    pub conversation_id: ConversationId,
    pub kind: Kind,
    pub name: Option<String>,
    pub title: Option<String>,
    pub creator: Option<UserRef>,
    pub participants: Vec<UserRef>,
    pub participant_count: i64,
    pub created_at: Timestamp,
    pub last_message: Option<Message>,
    pub message_count: i64,
    /// Up to 1,000; none for whoever is not a participant
    pub unread_count: Option<i64>,
    /// None for whoever is not a participant
    pub level: Option<Level>,
}

/// Who was removed from a conversation, and whether it ended with them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Departure {
    pub removed: Vec<UserRef>,
    pub ended: bool,
}

/// A message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Message {
    #[serde(skip)]
    pub key: MessageKey,
    #[serde(skip)]
    pub conversation_key: ConversationKey,
    #[serde(skip)]
    pub parent_key: Option<MessageKey>,
    /// Of a group that has one, for people
    #[serde(skip)]
    pub conversation_name: Option<String>,
    /// For people
    #[serde(skip)]
    pub conversation_kind: Kind,
    /// For people
    #[serde(skip)]
    pub parent_number: Option<Number>,
    pub message_id: MessageId,
    /// The id of the conversation
    pub conversation: ConversationId,
    /// Its number in the conversation
    pub number: Number,
    /// None of a tombstone
    pub sender: Option<UserRef>,
    /// Whom it is written to: the other person of a direct conversation, in a group somebody or nobody
    pub receiver: Option<UserRef>,
    /// Empty of a tombstone
    pub content: String,
    /// When it was sent
    pub timestamp: Timestamp,
    /// Whether it has earlier contents
    pub edited: bool,
    /// Counts from 1
    pub revision: i64,
    /// The message it replies to
    pub parent_message: Option<MessageId>,
    /// It has replies
    pub is_thread: bool,
    /// Replies that are not tombstones
    pub reply_count: i64,
    /// It has recipients and none of them has it unread
    pub read: bool,
    /// A tombstone: the content is gone, the place is kept for the replies
    pub deleted: bool,
}

impl Message {
    /// Whether that user sent it
    pub fn is_from(&self, user: UserKey) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.key == user)
    }
}

/// A message that a search found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Finding")]
pub struct SearchHit {
    #[serde(flatten)]
    pub message: Message,
    pub snippet: Snippet,
}

/// A message of a thread.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ThreadMessage {
    #[serde(flatten)]
    pub message: Message,
    /// 0 for the first, 1 for its replies, and so on
    pub depth: usize,
}

/// An earlier content of a message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Revision {
    /// The id of the message
    pub message: MessageId,
    /// Counts from 1
    pub revision: i64,
    pub content: String,
    /// When a newer content took its place
    pub edited_at: Timestamp,
    /// Who replaced it; none where the operator did
    pub edited_by: Option<UserRef>,
    pub edited_by_operator: bool,
    /// Why, in the words of whoever replaced it
    pub reason: Option<String>,
}

/// That a message concerns a user; named by the message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Notification {
    /// That of its message
    pub id: MessageId,
    /// Whose it is
    pub user: UserId,
    pub message: Message,
    pub kind: NotificationKind,
    pub is_read: bool,
    /// That of the message
    pub created_at: Timestamp,
}

/// One state change for the log: what it is about, and who hears of it. Never content.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub kind: EventKind,
    /// The conversation whose participants hear of it
    pub conversation: Option<ConversationKey>,
    /// A user who hears of it too
    pub user: Option<UserKey>,
    /// The message, conversation or user it is about; none: several
    pub subject: Option<Uuid>,
    /// Of notifications: whether they are read now
    pub is_read: Option<bool>,
}

impl Event {
    /// Something happened to a message.
    pub fn message(kind: EventKind, conversation: ConversationKey, message: MessageId) -> Self {
        Self { kind, conversation: Some(conversation), user: None, subject: Some(message.0), is_read: None }
    }

    /// Something happened to a conversation.
    pub fn conversation(kind: EventKind, conversation: &Conversation) -> Self {
        Self { kind, conversation: Some(conversation.key), user: None, subject: Some(conversation.id.0), is_read: None }
    }

    /// Somebody's part in a conversation changed.
    pub fn participant(kind: EventKind, conversation: ConversationKey, user: &UserRef) -> Self {
        Self {
            kind,
            conversation: Some(conversation),
            user: Some(user.key),
            subject: Some(user.user_id.0),
            is_read: None,
        }
    }

    /// An account changed.
    pub fn user(kind: EventKind, user: &UserRef) -> Self {
        Self { kind, conversation: None, user: Some(user.key), subject: Some(user.user_id.0), is_read: None }
    }

    /// A user's own notifications, that of one message or several, were made read or unread.
    pub fn notifications(user: UserKey, message: Option<MessageId>, is_read: bool) -> Self {
        let subject = message.map(|message| message.0);
        let kind = EventKind::NotificationUpdated;
        Self { kind, conversation: None, user: Some(user), subject, is_read: Some(is_read) }
    }
}

/// Work that goes on after a commit and is not done.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pending {
    pub task: Task,
    /// When it became necessary
    pub since: Timestamp,
}

/// What deleting accounts removed, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Receipt {
    pub deleted_at: Timestamp,
    /// Whose accounts they were
    pub users: Vec<UserRef>,
    /// Messages they sent
    pub messages_sent: i64,
    /// Messages others sent to them
    pub messages_received: i64,
    /// Other messages that went with groups left with nobody
    pub messages_of_groups: i64,
    /// Messages whose place is kept as a tombstone because replies hang on them
    pub tombstones: i64,
    pub revisions: i64,
    pub notifications: i64,
    pub participations: i64,
    pub direct_conversations: i64,
    /// Groups left with nobody
    pub groups: i64,
    pub tokens: i64,
}
