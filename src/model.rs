//! The words of messaging as types: ids, times, people, conversations, messages, notifications, events.
//!
//! What is serialized here is the JSON of the command line and of REST alike: fields stand in the order of the contract.

mod appearance;
mod choice;
mod diff;
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
pub use diff::{Change, DiffPart, diff};
pub use folding::{fold_case, isolated, normalize};
pub use identity::{
    ConversationId, ConversationKey, EventKey, MessageId, MessageKey, Number, Timestamp, UserId, UserKey, uuid,
};
pub use selector::{ConversationSelector, MessageSelector, UserSelector};
pub use snippet::Snippet;
pub use words::{Term, Terms, Word, words};

/// A position in a list to continue from.
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

/// A user, in the detail that the viewer can see.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Profile {
    /// For the user themselves, admins and the operator
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

/// The details of an account that can be changed.
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
    /// The person who runs the command line without `--as`: access to the database is the authority. Holds the name of their
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
    /// The highest number that a message of it ever had
    pub last_number: Number,
    /// When a message was last sent; no later message gets an earlier time. Loaded messages do not change it
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
    /// Unread messages of the viewer, up to 1,000; null for a viewer who is not a participant
    pub unread_count: Option<i64>,
    /// Which messages notify the viewer; null for a viewer who is not a participant
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
    /// The name of the group, for output for people
    #[serde(skip)]
    pub conversation_name: Option<String>,
    /// For output for people
    #[serde(skip)]
    pub conversation_kind: Kind,
    /// For output for people
    #[serde(skip)]
    pub parent_number: Option<Number>,
    pub message_id: MessageId,
    /// The id of the conversation
    pub conversation: ConversationId,
    /// The number in the conversation: 1, 2, 3 …, never reused
    pub number: Number,
    /// Who sent it; null in a tombstone
    pub sender: Option<UserRef>,
    /// The addressee: in a direct conversation the other person, in a group one participant or null
    pub receiver: Option<UserRef>,
    /// The text; empty in a tombstone
    pub content: String,
    /// When it was sent
    pub timestamp: Timestamp,
    /// Whether the content was changed
    pub edited: bool,
    /// The number of the current content, from 1
    pub revision: i64,
    /// The message it replies to
    pub parent_message: Option<MessageId>,
    /// Whether it has replies
    pub is_thread: bool,
    /// The number of replies, without tombstones
    pub reply_count: i64,
    /// Whether it has recipients and all of them have read it
    pub read: bool,
    /// Whether it is a tombstone: the content is deleted, the number is kept for the replies
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
    /// 0 for the first message, 1 for its replies, and so on
    pub depth: usize,
}

/// An earlier content of a message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Revision {
    /// The id of the message
    pub message: MessageId,
    /// The number of this content, from 1
    pub revision: i64,
    pub content: String,
    /// When it was replaced
    pub edited_at: Timestamp,
    /// Who replaced it; null for the operator
    pub edited_by: Option<UserRef>,
    pub edited_by_operator: bool,
    /// The reason that the editor gave
    pub reason: Option<String>,
}

/// Tells a user about a message; it has the id of the message.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Notification {
    /// The id of its message
    pub id: MessageId,
    /// The id of the user it belongs to
    pub user: UserId,
    pub message: Message,
    pub kind: NotificationKind,
    pub is_read: bool,
    /// The time of its message
    pub created_at: Timestamp,
}

/// One state change for the log: what it is about, and who hears of it. Never content.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub kind: EventKind,
    /// The conversation whose participants hear of it; of notifications only their owner does
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

    /// Messages of a conversation were deleted: one, or several.
    pub fn messages_deleted(conversation: ConversationKey, only: Option<MessageId>) -> Self {
        let subject = only.map(|message| message.0);
        Self { kind: EventKind::MessageDeleted, conversation: Some(conversation), user: None, subject, is_read: None }
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

    /// A user's own notifications were made read or unread: of one message or several, of one conversation or several.
    pub fn notifications(
        user: UserKey,
        conversation: Option<ConversationKey>,
        message: Option<MessageId>,
        is_read: bool,
    ) -> Self {
        let subject = message.map(|message| message.0);
        let kind = EventKind::NotificationUpdated;
        Self { kind, conversation, user: Some(user), subject, is_read: Some(is_read) }
    }
}

/// Work that was left for after a commit and is not finished.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pending {
    pub task: Task,
    /// When it became necessary
    pub since: Timestamp,
}

/// The numbers of rows that deleting accounts removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Receipt {
    pub deleted_at: Timestamp,
    /// The deleted users
    pub users: Vec<UserRef>,
    /// Messages they sent
    pub messages_sent: i64,
    /// Messages others sent to them
    pub messages_received: i64,
    /// Other messages of groups that ended because nobody was left
    pub messages_of_groups: i64,
    /// Messages that became tombstones because they have replies
    pub tombstones: i64,
    pub revisions: i64,
    pub notifications: i64,
    pub participations: i64,
    pub direct_conversations: i64,
    /// Groups that ended because nobody was left
    pub groups: i64,
    pub tokens: i64,
    /// Log-ins in browsers
    pub sessions: i64,
}
