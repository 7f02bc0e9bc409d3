//! Messages by the thousand, their revisions and their notifications.

use super::{ids, texts, tuples};
use crate::error::Result;
use crate::model::{ConversationKey, MessageId, MessageKey, NotificationKind, Number, Timestamp, UserKey};
use crate::store::tx::{Addition, Row, Tx};
use crate::store::{list, search};

/// A message's row; its parent by its key, or in another form that the caller needs.
#[derive(Clone, Debug)]
pub struct MessageRow<Parent = MessageKey> {
    pub key: MessageKey,
    pub id: MessageId,
    pub conversation: ConversationKey,
    pub number: Number,
    /// None: a tombstone
    pub sender: Option<UserKey>,
    pub receiver: Option<UserKey>,
    pub parent: Option<Parent>,
    pub content: String,
    pub sent_at: Timestamp,
    pub revision: i64,
    /// The `key` of its record
    pub key_name: Option<String>,
}

macro_rules! message {
    () => {
        "SELECT key, id, conversation_key, number, sender_key, receiver_key, parent_key, content, sent_at, revision, key_name
         FROM message"
    };
}

fn read_message(row: &Row<'_>) -> Result<MessageRow> {
    Ok(MessageRow {
        key: row.get(0)?,
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
    })
}

/// The messages with these ids or keys
pub fn messages(
    tx: &mut Tx<'_>,
    message_ids: impl IntoIterator<Item = MessageId>,
    keys: &[&str],
) -> Result<Vec<MessageRow>> {
    let wanted = ids(tx, message_ids.into_iter().map(|id| id.0));
    let mut found =
        if wanted == "[]" { Vec::new() } else { tx.all(by_ids!(tx, message!(), "id"), &[&wanted], read_message)? };
    if !keys.is_empty() {
        let named = concat!(message!(), " WHERE key_name IN ", texts!("$1"));
        found.extend(tx.all(named, &[&texts(keys)], read_message)?);
    }
    Ok(found)
}

/// Those of these numbers that a message of the conversation has
pub fn taken_numbers(tx: &mut Tx<'_>, wanted: &[(ConversationKey, Number)]) -> Result<Vec<(ConversationKey, Number)>> {
    let sql = by_pairs!(tx, "SELECT conversation_key, number FROM message", "conversation_key", "number");
    let wanted = tuples(wanted.iter().map(|(conversation, number)| [conversation.0, number.0]))?;
    tx.all(sql, &[&wanted], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// When the newest of each of these conversations' messages was sent; those without messages are left out
pub fn newest_times(
    tx: &mut Tx<'_>,
    conversations: impl IntoIterator<Item = ConversationKey>,
) -> Result<Vec<(ConversationKey, Timestamp)>> {
    let newest = tx.all(
        concat!(
            "SELECT key, (SELECT max(sent_at) FROM message WHERE message.conversation_key = conversation.key)
             FROM conversation WHERE key IN ",
            list!("$1")
        ),
        &[&list(conversations.into_iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get::<Option<Timestamp>>(1)?)),
    )?;
    Ok(newest.into_iter().filter_map(|(key, newest)| Some((key, newest?))).collect())
}

/// Adds messages, and lets search know them; their conversations are updated with `update_conversations`.
pub fn add_messages(tx: &mut Tx<'_>, messages: &[MessageRow]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "message",
        "key, id, conversation_key, number, sender_key, receiver_key, parent_key, content, sent_at, revision, key_name",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11"
    );
    tx.add(&ADDITION, messages, |message| {
        let MessageRow {
            key,
            id,
            conversation,
            number,
            sender,
            receiver,
            parent,
            content,
            sent_at,
            revision,
            key_name,
        } = message;
        [key, id, conversation, number, sender, receiver, parent, content, sent_at, revision, key_name]
    })?;
    for message in messages {
        if let Some(sender) = message.sender {
            search::index_words(tx, message.key, message.conversation, sender, &message.content);
        }
    }
    // Now, not at the end: one transaction may add more than memory holds.
    search::write_index(tx)
}

/// An earlier content of a message.
#[derive(Clone, Debug)]
pub struct RevisionRow {
    pub message: MessageKey,
    pub revision: i64,
    pub content: String,
    pub edited_at: Timestamp,
    /// None: the operator
    pub editor: Option<UserKey>,
    pub reason: Option<String>,
}

/// Adds revisions.
pub fn add_revisions(tx: &mut Tx<'_>, revisions: &[RevisionRow]) -> Result<()> {
    const ADDITION: Addition = addition!(
        "revision",
        "message_key, revision, content, edited_at, editor_key, by_operator, reason",
        "$1, $2, $3, $4, $5, $6, $7"
    );
    tx.add(&ADDITION, revisions, |row| {
        let RevisionRow { message, revision, content, edited_at, editor, reason } = row;
        let by_operator: &bool = if editor.is_none() { &true } else { &false };
        [message, revision, content, edited_at, editor, by_operator, reason]
    })
}

/// The revisions of these messages: of which, its number and its content
pub fn revisions(
    tx: &mut Tx<'_>,
    messages: impl IntoIterator<Item = MessageKey>,
) -> Result<Vec<(MessageKey, i64, String)>> {
    tx.all(
        concat!(
            "SELECT message_key, revision, content FROM revision WHERE message_key IN ",
            list!("$1"),
            " ORDER BY message_key, revision"
        ),
        &[&list(messages.into_iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// That a message concerns a user.
#[derive(Clone, Copy, Debug)]
pub struct NotificationRow {
    pub message: MessageKey,
    pub user: UserKey,
    pub conversation: ConversationKey,
    pub kind: NotificationKind,
    pub is_read: bool,
}

/// The pairs whose message can notify the user: not a tombstone, sent by somebody else, and the user is a participant
pub fn concerned(tx: &mut Tx<'_>, pairs: &[(MessageKey, UserKey)]) -> Result<Vec<(MessageKey, UserKey)>> {
    macro_rules! sql {
        ($number:ident) => {
            concat!(
                "SELECT message.key, participant.user_key
                 FROM (SELECT ",
                $number!(0),
                " AS message_key, ",
                $number!(1),
                " AS user_key
                     FROM json_each(CAST($1 AS TEXT))) AS wanted
                 JOIN message ON message.key = wanted.message_key
                 JOIN participant ON participant.conversation_key = message.conversation_key
                     AND participant.user_key = wanted.user_key
                 WHERE message.sender_key IS NOT NULL AND message.sender_key <> wanted.user_key"
            )
        };
    }
    let pairs = tuples(pairs.iter().map(|(message, user)| [message.0, user.0]))?;
    tx.all(tx.split(sql!(sqlite), sql!(postgres)), &[&pairs], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Adds notifications that are not there.
pub fn add_notifications(tx: &mut Tx<'_>, notifications: &[NotificationRow]) -> Result<()> {
    const ADDITION: Addition =
        addition!("notification", "message_key, user_key, conversation_key, kind, is_read", "$1, $2, $3, $4, $5");
    tx.add(&ADDITION, notifications, |row| {
        let NotificationRow { message, user, conversation, kind, is_read } = row;
        [message, user, conversation, kind, is_read]
    })
}

/// Who has a notification of these messages, and whether it is read
pub fn notified(
    tx: &mut Tx<'_>,
    messages: impl IntoIterator<Item = MessageKey>,
) -> Result<Vec<((MessageKey, UserKey), bool)>> {
    tx.all(
        concat!("SELECT message_key, user_key, is_read FROM notification WHERE message_key IN ", list!("$1")),
        &[&list(messages.into_iter().map(|key| key.0))],
        |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
    )
}

/// The ids and keys of the messages without those with these keys, tombstones aside
pub fn messages_except(tx: &mut Tx<'_>, keys: &[MessageKey]) -> Result<Vec<(MessageId, Option<String>)>> {
    tx.all(
        concat!(
            "SELECT id, key_name FROM message WHERE key > 0 AND sender_key IS NOT NULL AND key NOT IN ",
            list!("$1"),
            " ORDER BY key /* scans: what is to be the only content is compared with all of it */"
        ),
        &[&list(keys.iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
