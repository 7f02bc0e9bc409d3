//! The words of messaging as types: ids, times, people, conversations, messages, notifications, events.
//!
//! What is serialized here is the JSON of the command line and of REST alike: fields stand in the order of the contract.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// Ids that leave the program: UUIDs of version 7.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                uuid(text).map(Self).ok_or(())
            }
        }
    )+};
}

ids!(
    /// A user's id
    UserId,
    /// A conversation's id
    ConversationId,
    /// A message's id
    MessageId,
);

/// Whole numbers with a meaning: the keys that never leave the program, and a message's number.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(pub i64);
    )+};
}

numbers!(
    /// The database's key of a user
    UserKey,
    /// The database's key of a conversation
    ConversationKey,
    /// The database's key of a message
    MessageKey,
    /// The database's key of an event: its place in the log
    EventKey,
    /// A message's number within its conversation: 1, 2, 3 …, never reused
    Number,
);

impl Number {
    /// Above every number there is
    pub const MAX: Self = Self(i64::MAX);
}

/// Reads a UUID in its usual form of 36 characters; other spellings are names.
pub fn uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// An instant in UTC: microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every instant that can be written
    pub const MIN: Self = Self(i64::MIN);
    /// After every instant that can be written
    pub const MAX: Self = Self(i64::MAX);

    /// Reads RFC 3339, for example `2026-01-01T09:00:00Z`; years 1 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let instant = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
        let years = Self(-62_135_596_800_000_000)..Self(253_402_300_800_000_000);
        Some(Self(instant)).filter(|instant| years.contains(instant))
    }

    /// This instant, moved by a number of seconds
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The instant for whoever computes with dates.
    pub fn date_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.date_time().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An enumeration whose values have a word for people and programs, and a small integer for the database.
pub trait Choice: Copy + 'static {
    /// Every value
    const ALL: &'static [Self];

    /// The word in commands and JSON
    fn word(self) -> &'static str;

    /// The integer in the database
    fn code(self) -> i64;
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:literal $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$value_doc])* $value),+ }

        impl Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$value),+];

            fn word(self) -> &'static str {
                match self { $(Self::$value => $word),+ }
            }

            fn code(self) -> i64 {
                match self { $(Self::$value => $code),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(self.word())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.word())
            }
        }
    };
}

choice!(
    /// What a user may do beyond their own affairs.
    Role {
        /// One's own affairs only
        User = 0 "user",
        /// Everybody's, within the matrix of rights
        Admin = 1 "admin",
    }
);

choice!(
    /// What a conversation is; stored, never inferred.
    Kind {
        /// Between exactly two people
        Direct = 0 "direct",
        /// Among any number of people
        Group = 1 "group",
    }
);

choice!(
    /// Which messages of a conversation notify a participant.
    Level {
        /// Every message
        All = 0 "all",
        /// Mentions and replies to one's own messages
        Mentions = 1 "mentions",
        /// No message
        None = 2 "none",
    }
);

choice!(
    /// Why a message notified somebody.
    NotificationKind {
        /// It was sent to a conversation of theirs
        Message = 0 "message",
        /// It replies to a message of theirs
        Reply = 1 "reply",
        /// It names them
        Mention = 2 "mention",
    }
);

choice!(
    /// What happened, in the log of events.
    EventKind {
        /// A message was sent
        MessageCreated = 0 "message.created",
        /// A message's content was replaced
        MessageEdited = 1 "message.edited",
        /// A message was deleted
        MessageDeleted = 2 "message.deleted",
        /// Notifications were read or made unread
        NotificationUpdated = 3 "notification.updated",
        /// A conversation began
        ConversationCreated = 4 "conversation.created",
        /// A conversation's name or title changed
        ConversationUpdated = 5 "conversation.updated",
        /// A conversation ended, messages and all
        ConversationDeleted = 6 "conversation.deleted",
        /// Somebody joined or was added
        ParticipantAdded = 7 "participant.added",
        /// Somebody's level changed
        ParticipantUpdated = 8 "participant.updated",
        /// Somebody left or was removed
        ParticipantRemoved = 9 "participant.removed",
        /// An account was created
        UserCreated = 10 "user.created",
        /// An account changed
        UserUpdated = 11 "user.updated",
        /// An account was deleted, with all that belonged to it
        UserDeleted = 12 "user.deleted",
    }
);

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserRef {
    #[serde(skip)]
    pub key: UserKey,
    pub user_id: UserId,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
}

/// A user as they and the admins see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    #[serde(flatten)]
    pub person: UserRef,
    pub email: Option<String>,
    pub role: Role,
    pub is_active: bool,
    pub created_at: Timestamp,
}

/// A user in as much detail as the one who looks may see.
#[derive(Clone, Debug, Serialize)]
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
    /// Whoever runs the command line without a user: access to the database is the authority. Holds the name of their
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
}

impl Conversation {
    /// Of a direct conversation: the other person
    pub fn other(&self, user: UserKey) -> Option<UserKey> {
        self.pair.map(|(lower, higher)| if lower == user { higher } else { lower })
    }
}

/// A conversation as one viewer sees it.
#[derive(Clone, Debug, Serialize)]
pub struct ConversationView {
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
#[derive(Clone, Debug, Serialize)]
pub struct Departure {
    pub removed: Vec<UserRef>,
    pub ended: bool,
}

/// A message.
#[derive(Clone, Debug, Serialize)]
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
    pub message_id: MessageId,
    pub conversation: ConversationId,
    pub number: Number,
    pub sender: Option<UserRef>,
    pub receiver: Option<UserRef>,
    pub content: String,
    pub timestamp: Timestamp,
    pub edited: bool,
    /// Counts from 1
    pub revision: i64,
    pub parent_message: Option<MessageId>,
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

/// An earlier content of a message.
#[derive(Clone, Debug, Serialize)]
pub struct Revision {
    pub message: MessageId,
    pub revision: i64,
    pub content: String,
    /// When a newer content took its place
    pub edited_at: Timestamp,
    /// Who replaced it; none where the operator did
    pub edited_by: Option<UserRef>,
    pub edited_by_operator: bool,
    pub reason: Option<String>,
}

/// That a message concerns a user; named by the message.
#[derive(Clone, Debug, Serialize)]
pub struct Notification {
    pub id: MessageId,
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
}

impl Event {
    /// Something happened to a message.
    pub fn message(kind: EventKind, conversation: ConversationKey, message: MessageId) -> Self {
        Self { kind, conversation: Some(conversation), user: None, subject: Some(message.0) }
    }

    /// Something happened to a conversation.
    pub fn conversation(kind: EventKind, conversation: &Conversation) -> Self {
        Self { kind, conversation: Some(conversation.key), user: None, subject: Some(conversation.id.0) }
    }

    /// Somebody's part in a conversation changed.
    pub fn participant(kind: EventKind, conversation: ConversationKey, user: &UserRef) -> Self {
        Self { kind, conversation: Some(conversation), user: Some(user.key), subject: Some(user.user_id.0) }
    }

    /// An account changed.
    pub fn user(kind: EventKind, user: &UserRef) -> Self {
        Self { kind, conversation: None, user: Some(user.key), subject: Some(user.user_id.0) }
    }

    /// A user's own notifications changed: that of one message, or several.
    pub fn notifications(user: UserKey, message: Option<MessageId>) -> Self {
        let subject = message.map(|message| message.0);
        Self { kind: EventKind::NotificationUpdated, conversation: None, user: Some(user), subject }
    }
}

/// What deleting an account removed, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    pub user_id: UserId,
    pub username: String,
    pub deleted_at: Timestamp,
    /// Messages they sent
    pub messages_sent: i64,
    /// Messages others sent to them
    pub messages_received: i64,
    /// Other messages that went with groups left with nobody
    pub messages_of_groups: i64,
    /// Of all these, how many stay as tombstones because others' replies hang on them
    pub tombstones: i64,
    pub revisions: i64,
    pub notifications: i64,
    pub participations: i64,
    pub direct_conversations: i64,
    /// Groups left with nobody
    pub groups: i64,
    pub tokens: i64,
}

/// A user named by id, username or email, tried in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSelector(pub String);

impl FromStr for UserSelector {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for UserSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A conversation named by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversationSelector {
    /// By its id
    Id(ConversationId),
    /// A group by its name
    Name(String),
    /// The direct one with that user: `@USER`
    Direct(UserSelector),
}

impl FromStr for ConversationSelector {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text.strip_prefix('@'), text.parse()) {
            (Some(user), _) => Self::Direct(UserSelector(user.to_owned())),
            (None, Ok(id)) => Self::Id(id),
            (None, Err(())) => Self::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for ConversationSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
            Self::Direct(user) => write!(formatter, "@{user}"),
        }
    }
}

/// A message named by a person: its id, or `CONVERSATION#NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageSelector {
    /// By its id
    Id(MessageId),
    /// By its place in a conversation
    Number(ConversationSelector, Number),
}

impl FromStr for MessageSelector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (conversation, number) =
            text.rsplit_once('#').ok_or("name a message by its id or as CONVERSATION#NUMBER")?;
        let number = number.parse().ok().filter(|number| *number > 0).ok_or("after the # stands a number from 1 on")?;
        let Ok(conversation) = conversation.parse();
        Ok(Self::Number(conversation, Number(number)))
    }
}

impl fmt::Display for MessageSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Number(conversation, number) => write!(formatter, "{conversation}#{}", number.0),
        }
    }
}

/// Puts text in the one form in which the same characters are the same bytes: Unicode's NFC.
pub fn normalize(text: &str) -> String {
    text.nfc().collect()
}

/// Folds text so that what differs only in case is equal, on every engine: Unicode's canonical caseless matching, which
/// folds the decomposed form (Unicode Standard, section 3.13, D145).
pub fn fold_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let decomposed: String = text.nfd().collect();
    UniCase::unicode(decomposed).to_folded_case().nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folding_knows_more_than_ascii() {
        for (one, other) in [("Ärger", "äRGER"), ("STRASSE", "straße"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("e\u{301}", "É")]
        {
            assert_eq!(fold_case(one), fold_case(other), "{one} {other}");
        }
        assert_ne!(fold_case("resume"), fold_case("résumé"));
    }

    #[test]
    fn times_are_read_and_written_in_utc_with_six_decimals() {
        let instant = Timestamp::parse("2026-01-01T10:00:00.5+01:00").unwrap();
        assert_eq!(instant.to_string(), "2026-01-01T09:00:00.500000Z");
        assert_eq!(Timestamp::parse("0000-12-31T23:59:59Z"), None);
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    proptest! {
        #[test]
        fn every_time_that_is_written_can_be_read(micros in -62_135_596_800_000_000..253_402_300_800_000_000_i64) {
            prop_assert_eq!(Timestamp::parse(&Timestamp(micros).to_string()), Some(Timestamp(micros)));
        }

        #[test]
        fn folding_twice_is_folding_once(text in "\\PC*") {
            prop_assert_eq!(fold_case(&fold_case(&text)), fold_case(&text));
        }

        #[test]
        fn a_message_selector_reads_what_it_shows(name in "[A-Za-z0-9._-]{1,35}", number in 1..i64::MAX) {
            let text = format!("{name}#{number}");
            prop_assert_eq!(text.parse::<MessageSelector>().unwrap().to_string(), text);
        }
    }
}
