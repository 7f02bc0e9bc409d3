//! Everything about a person, part by part: what deleting the account would delete.
//!
//! Each part is read in pages, newest first, so that memory stays small. It is for the person, admins and the operator,
//! and also contains the person's messages in conversations that they have left.

use schemars::JsonSchema;
use serde::Serialize;

use super::users::must_be_own_or_administered;
use crate::error::Result;
use crate::model::{
    Actor, Conversation, ConversationId, ConversationKey, Kind, Level, Message, MessageId, MessageKey, Notification,
    Revision, Seek, Timestamp, User, UserKey, UserRef, UserSelector,
};
use crate::store::messages::Range;
use crate::store::{self, Tx};

/// The account of an export; its existence proves that the actor may have it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Account", description = "An account.")]
pub struct Subject {
    #[serde(flatten)]
    user: User,
    /// Whether the account has a password; the hash itself is not exported
    has_password: bool,
    /// Log-ins of programs: the number of refresh tokens that are valid
    token_count: i64,
    /// Log-ins in browsers
    sessions: Vec<BrowserSession>,
}

/// A log-in in a browser.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct BrowserSession {
    created_at: Timestamp,
    /// When it was used last, to five minutes
    seen_at: Timestamp,
    /// When the password was given last
    confirmed_at: Timestamp,
    /// The browser, in words
    browser: String,
}

/// A conversation of the person.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Participation {
    #[serde(skip)]
    pub key: ConversationKey,
    pub conversation_id: ConversationId,
    pub kind: Kind,
    /// The name of a group, if it has one
    pub name: Option<String>,
    pub title: Option<String>,
    pub created_at: Timestamp,
    /// Whether the person created it
    pub is_creator: bool,
    /// Which messages notify the person
    pub level: Level,
}

/// The messages a person sent, or those they received
#[derive(Clone, Copy, Debug)]
pub enum Side {
    Sent,
    Received,
}

/// Finds the account of an export.
///
/// # Errors
/// `NotFound` if the user does not exist, `Forbidden` for another's account unless as operator or admin.
pub fn subject(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<Subject> {
    let user = super::user(tx, actor, selector)?;
    must_be_own_or_administered(actor, &user)?;
    let (has_password, token_count) = store::users::credentials(tx, user.person.key)?;
    let sessions = super::sessions::list(tx, actor, &user)?;
    let sessions = sessions.into_iter().map(|session| BrowserSession {
        created_at: session.created_at,
        seen_at: session.seen_at,
        confirmed_at: session.confirmed_at,
        browser: session.browser,
    });
    Ok(Subject { has_password, token_count, sessions: sessions.collect(), user })
}

impl Subject {
    fn key(&self) -> UserKey {
        self.user.person.key
    }

    /// The conversations of the person
    pub fn conversations(
        &self,
        tx: &mut Tx<'_>,
        below: Option<ConversationKey>,
        limit: i64,
    ) -> Result<Vec<Participation>> {
        let below = below.unwrap_or(ConversationKey(i64::MAX));
        let found = store::conversations::newest_of(tx, self.key(), below, limit)?;
        let participation = |(conversation, level): (Conversation, Level)| Participation {
            key: conversation.key,
            conversation_id: conversation.id,
            kind: conversation.kind,
            name: conversation.name,
            title: conversation.title,
            created_at: conversation.created_at,
            is_creator: conversation.creator_key == Some(self.key()),
            level,
        };
        Ok(found.into_iter().map(participation).collect())
    }

    /// The participants of one of these conversations, oldest account first; empty if the person has left it meanwhile
    pub fn participants(
        &self,
        tx: &mut Tx<'_>,
        conversation: ConversationKey,
        after: Option<UserKey>,
        limit: i64,
    ) -> Result<Vec<UserRef>> {
        if store::conversations::level(tx, conversation, self.key())?.is_none() {
            return Ok(Vec::new());
        }
        let after = Seek::After(after.unwrap_or(UserKey(0)));
        let found = store::conversations::participants_from(tx, conversation, &after, limit)?;
        Ok(found.into_iter().map(|(person, _)| person).collect())
    }

    /// The messages they sent, or received
    pub fn messages(
        &self,
        tx: &mut Tx<'_>,
        side: Side,
        below: Option<(Timestamp, MessageKey)>,
        limit: i64,
    ) -> Result<Vec<Message>> {
        let below = below.unwrap_or((Timestamp::MAX, MessageKey(i64::MAX)));
        let range = Range::new(Timestamp::MIN, Timestamp::MAX, limit).from(Some(&Seek::After(below)), limit);
        let found = match side {
            Side::Sent => store::messages::sent_by_one(tx, self.key(), None, None, &range)?,
            Side::Received => store::messages::received_by_one(tx, self.key(), None, &range)?,
        };
        let keys: Vec<MessageKey> = found.into_iter().map(|(_, key)| key).collect();
        store::messages::by_keys(tx, &keys)
    }

    /// The earlier contents of a message they sent
    pub fn history(
        &self,
        tx: &mut Tx<'_>,
        message: (MessageKey, MessageId),
        below: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Revision>> {
        store::messages::history_below(tx, message, below.unwrap_or(i64::MAX), limit)
    }

    /// The earlier contents of others' messages that they replaced
    pub fn revisions(
        &self,
        tx: &mut Tx<'_>,
        below: Option<(MessageKey, i64)>,
        limit: i64,
    ) -> Result<Vec<(MessageKey, Revision)>> {
        let below = below.unwrap_or((MessageKey(i64::MAX), 0));
        store::messages::revisions_by(tx, &self.user.person, below, limit)
    }

    /// Their notifications
    pub fn notifications(&self, tx: &mut Tx<'_>, below: Option<MessageKey>, limit: i64) -> Result<Vec<Notification>> {
        let below = below.unwrap_or(MessageKey(i64::MAX));
        store::notifications::page(tx, &self.user.person, &Seek::After(below), None, limit)
    }
}
