//! The statements of a dump: every table in the order of its key, and what a partial dump refers to.

use std::ops::{ControlFlow, Range};

use super::bulk::{MessageRow, NotificationRow, RevisionRow};
use super::{Tx, conversations, list, users};
use crate::error::Result;
use crate::model::{
    Conversation, ConversationId, ConversationKey, Level, MessageId, MessageKey, Number, Timestamp, User, UserKey,
};

/// Users behind a key, with the hashes of their passwords
pub fn users(tx: &mut Tx<'_>, after: UserKey, limit: i64) -> Result<Vec<(User, Option<String>)>> {
    tx.all(
        concat!(
            "SELECT ",
            users::columns!(),
            ", account.password_hash FROM account WHERE key > $1 ORDER BY key LIMIT $2"
        ),
        &[&after, &limit],
        |row| Ok((users::read(row)?, row.get(9)?)),
    )
}

/// Conversations behind a key, with the highest number that a message of each ever had
pub fn conversations(tx: &mut Tx<'_>, after: ConversationKey, limit: i64) -> Result<Vec<(Conversation, Number)>> {
    tx.all(
        concat!("SELECT ", conversations::columns!(), " FROM conversation WHERE key > $1 ORDER BY key LIMIT $2"),
        &[&after, &limit],
        |row| {
            let conversation = conversations::read(row)?;
            let last_number = conversation.last_number;
            Ok((conversation, last_number))
        },
    )
}

/// The names and ids of these conversations
pub fn conversation_names(
    tx: &mut Tx<'_>,
    conversations: &[ConversationKey],
) -> Result<Vec<(ConversationKey, ConversationId, Option<String>)>> {
    tx.all(
        concat!("SELECT key, id, name FROM conversation WHERE key IN ", list!("$1")),
        &[&list(conversations.iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// Who takes part in these conversations, in the order of both keys
pub fn participants(
    tx: &mut Tx<'_>,
    conversations: &[ConversationKey],
) -> Result<Vec<(ConversationKey, UserKey, Level)>> {
    tx.all(
        concat!(
            "SELECT conversation_key, user_key, level FROM participant WHERE conversation_key IN ",
            list!("$1"),
            " ORDER BY conversation_key, user_key"
        ),
        &[&list(conversations.iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// Passes up to `limit` messages after a key, with the ids of their parents, to `take`, until it stops; unwanted ones
/// are skipped. Returns the key of the last one read; none at the end.
pub fn messages(
    tx: &mut Tx<'_>,
    after: MessageKey,
    limit: i64,
    is_wanted: impl Fn(MessageKey) -> bool,
    mut take: impl FnMut(MessageRow<MessageId>) -> ControlFlow<()>,
) -> Result<Option<MessageKey>> {
    let mut last = None;
    tx.each(
        "SELECT key, id, conversation_key, number, sender_key, receiver_key,
             (SELECT parent.id FROM message AS parent WHERE parent.key = message.parent_key),
             content, sent_at, revision, key_name
         FROM message WHERE key > $1 ORDER BY key LIMIT $2",
        &[&after, &limit],
        |row| {
            let key = row.get(0)?;
            last = Some(key);
            if !is_wanted(key) {
                return Ok(ControlFlow::Continue(()));
            }
            Ok(take(MessageRow {
                key,
                id: row.get(1)?,
                conversation: row.get(2)?,
                number: row.get(3)?,
                sender: row.get(4)?,
                receiver: row.get(5)?,
                parent: row.get(6)?,
                content: row.get(7)?,
                sent_at: row.get(8)?,
                revision: row.get(9)?,
                key_name: row.get(10)?,
            }))
        },
    )?;
    Ok(last)
}

/// The earlier contents of these messages, in the order of both numbers
pub fn revisions(tx: &mut Tx<'_>, messages: &[MessageKey]) -> Result<Vec<RevisionRow>> {
    tx.all(
        concat!(
            "SELECT message_key, revision, content, edited_at, editor_key, reason FROM revision WHERE message_key IN ",
            list!("$1"),
            " ORDER BY message_key, revision"
        ),
        &[&list(messages.iter().map(|key| key.0))],
        |row| {
            Ok(RevisionRow {
                message: row.get(0)?,
                revision: row.get(1)?,
                content: row.get(2)?,
                edited_at: row.get(3)?,
                editor: row.get(4)?,
                reason: row.get(5)?,
            })
        },
    )
}

/// Up to `limit` notifications behind a place in the order of both keys, of messages up to one
pub fn notifications(
    tx: &mut Tx<'_>,
    after: (MessageKey, UserKey),
    last: MessageKey,
    limit: i64,
) -> Result<Vec<NotificationRow>> {
    tx.all(
        "SELECT message_key, user_key, conversation_key, kind, is_read FROM notification
         WHERE (message_key, user_key) > ($1, $2) AND message_key <= $3
         ORDER BY message_key, user_key LIMIT $4",
        &[&after.0, &after.1, &last, &limit],
        |row| {
            Ok(NotificationRow {
                message: row.get(0)?,
                user: row.get(1)?,
                conversation: row.get(2)?,
                kind: row.get(3)?,
                is_read: row.get(4)?,
            })
        },
    )
}

/// Gives the keys of the messages of a conversation that were sent in a time to `take`.
pub fn keys_of(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    sent: &Range<Timestamp>,
    mut take: impl FnMut(MessageKey),
) -> Result<()> {
    tx.each(
        "SELECT key FROM message WHERE conversation_key = $1 AND sent_at >= $2 AND sent_at < $3",
        &[&conversation, &sent.start, &sent.end],
        |row| {
            take(row.get(0)?);
            GO_ON
        },
    )
}

/// Gives the keys of all messages that were sent in a time to `take`.
pub fn keys(tx: &mut Tx<'_>, sent: &Range<Timestamp>, mut take: impl FnMut(MessageKey)) -> Result<()> {
    tx.each("SELECT key FROM message WHERE sent_at >= $1 AND sent_at < $2", &[&sent.start, &sent.end], |row| {
        take(row.get(0)?);
        GO_ON
    })
}

/// What a message refers to.
pub struct Links {
    pub message: MessageKey,
    pub conversation: ConversationKey,
    pub parent: Option<MessageKey>,
    pub sender: Option<UserKey>,
    pub receiver: Option<UserKey>,
    pub is_edited: bool,
}

/// Passes what the messages with these keys refer to, the highest key first, so that a reply comes before the message
/// it replies to.
pub fn links(tx: &mut Tx<'_>, keys: &Range<i64>, mut take: impl FnMut(Links)) -> Result<()> {
    tx.each(
        "SELECT key, conversation_key, parent_key, sender_key, receiver_key, revision FROM message
         WHERE key >= $1 AND key < $2 ORDER BY key DESC",
        &[&keys.start, &keys.end],
        |row| {
            let links = Links {
                message: row.get(0)?,
                conversation: row.get(1)?,
                parent: row.get(2)?,
                sender: row.get(3)?,
                receiver: row.get(4)?,
                is_edited: row.get::<i64>(5)? > 1,
            };
            take(links);
            GO_ON
        },
    )
}

/// Gives who edited the messages with these keys to `take`.
pub fn editors(tx: &mut Tx<'_>, keys: &Range<i64>, mut take: impl FnMut(MessageKey, UserKey)) -> Result<()> {
    tx.each(
        "SELECT message_key, editor_key FROM revision
         WHERE message_key >= $1 AND message_key < $2 AND editor_key IS NOT NULL",
        &[&keys.start, &keys.end],
        |row| {
            take(row.get(0)?, row.get(1)?);
            GO_ON
        },
    )
}

/// Passes the users that the messages with these keys refer to.
pub fn notified(tx: &mut Tx<'_>, keys: &Range<i64>, mut take: impl FnMut(MessageKey, UserKey)) -> Result<()> {
    tx.each(
        "SELECT message_key, user_key FROM notification WHERE message_key >= $1 AND message_key < $2",
        &[&keys.start, &keys.end],
        |row| {
            take(row.get(0)?, row.get(1)?);
            GO_ON
        },
    )
}

/// The next row, please
const GO_ON: Result<ControlFlow<()>> = Ok(ControlFlow::Continue(()));
