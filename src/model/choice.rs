//! Enumerations: a word for people and programs, a small integer for the database.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                let found = Self::ALL.iter().copied().find(|choice| choice.word() == word);
                found.ok_or_else(|| de::Error::unknown_variant(&word, &[$($word),+]))
            }
        }
    };
}

choice!(
    /// The rights of a user.
    Role {
        /// May change their own account, messages and conversations
        User = 0 "user",
        /// May also administer other accounts and conversations
        Admin = 1 "admin",
    }
);

choice!(
    /// The kind of a conversation; stored, never derived from its participants.
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
        /// Mentions and replies to their messages
        Mentions = 1 "mentions",
        /// No message
        None = 2 "none",
    }
);

choice!(
    /// Why a message notified somebody.
    NotificationKind {
        /// It was sent to one of their conversations
        Message = 0 "message",
        /// It replies to one of their messages
        Reply = 1 "reply",
        /// It mentions them
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

choice!(
    /// Work that is done in steps, after a commit.
    Task {
        /// Indexing messages for search
        Index = 0 "index",
        /// Erasing deleted data from the file
        Erase = 1 "erase",
        /// Computing the skeletons of usernames that have none yet
        Skeletons = 2 "skeletons",
    }
);
