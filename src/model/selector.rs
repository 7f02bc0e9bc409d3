//! How a person names a user, a conversation, a message.

use std::fmt;
use std::str::FromStr;

use super::{ConversationId, MessageId, Number, User, UserId, uuid};

/// What names a user: an id, a username or an email.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserSelector {
    /// By their id
    Id(UserId),
    /// By their username, or their email: by that only for the operator, admins and at log-in
    Name(String),
}

impl UserSelector {
    /// That user, by id
    pub fn of(user: &User) -> Self {
        Self::Id(user.person.user_id)
    }
}

impl From<String> for UserSelector {
    fn from(text: String) -> Self {
        uuid(&text).map_or(Self::Name(text), |id| Self::Id(UserId(id)))
    }
}

impl FromStr for UserSelector {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.to_owned().into())
    }
}

impl fmt::Display for UserSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(formatter),
            Self::Name(name) => name.fmt(formatter),
        }
    }
}

/// What names a conversation: an id, the name of a group, or `@USER` for a direct one.
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
            (Some(user), _) => Self::Direct(user.to_owned().into()),
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
    /// By its id, where it is of that conversation
    In(ConversationId, MessageId),
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
            Self::Id(id) | Self::In(_, id) => id.fmt(formatter),
            Self::Number(conversation, number) => write!(formatter, "{conversation}#{}", number.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_selector_reads_what_it_shows(name in "[A-Za-z0-9._-]{1,35}", number in 1..i64::MAX) {
            let text = format!("{name}#{number}");
            prop_assert_eq!(text.parse::<MessageSelector>().unwrap().to_string(), text);
        }
    }
}
