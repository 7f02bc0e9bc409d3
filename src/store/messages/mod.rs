//! Messages and their revisions.

use std::collections::HashMap;

use super::tx::Param;
use super::{Row, Tx};
use crate::error::Result;
use crate::model::{
    Actor, Conversation, ConversationId, ConversationKey, Kind, Message, MessageId, MessageKey, Number, Timestamp,
    UserKey, UserRef,
};

/// What is read of each message, beside its conversation.
///
/// Not EXISTS: in a list of columns PostgreSQL would answer it for all by reading the whole table once. Both counts of replies
/// are one number, so that they are counted once: 2³² times all of them and those that are no tombstones.
macro_rules! columns {
    () => {
        concat!(
            "message.key, message.conversation_key, message.parent_key, message.id, message.number, message.sender_key,
             message.receiver_key, message.content, message.sent_at, message.revision, parent.id, parent.number,
             (SELECT count(*) * 4294967296 + count(reply.sender_key) FROM message AS reply
              WHERE reply.parent_key = message.key), ",
            is_read!()
        )
    };
}

/// Whether a message has recipients and all have read it; usually the first row decides.
///
/// A tenth of the instructions of a page. Reading each participant's part of the page at once instead takes as many (436,000
/// a page of a conversation of two, not 423,000) and is no faster.
macro_rules! is_read {
    () => {
        "coalesce(
             (SELECT FALSE FROM notification
              WHERE notification.message_key = message.key AND NOT notification.is_read LIMIT 1),
             (SELECT TRUE FROM notification WHERE notification.message_key = message.key LIMIT 1), FALSE)"
    };
}

/// The beginning of every statement that reads messages of several conversations; a condition follows. CROSS JOIN keeps SQLite
/// from beginning with the conversations.
macro_rules! select {
    () => {
        concat!(
            "SELECT ",
            columns!(),
            ", conversation.id, conversation.name, conversation.kind
             FROM message CROSS JOIN conversation LEFT JOIN message AS parent ON parent.key = message.parent_key
             WHERE conversation.key = message.conversation_key AND "
        )
    };
}

mod delete;
mod history;
mod list;
mod newest;
mod pages;

pub use delete::{
    Gone, count_going_with, count_left, count_of, count_of_others, delete, delete_all_of, delete_revisions_by, keys_of,
};
pub use history::{Outline, history, history_below, history_from, outlines, revisions_by};
pub use list::{
    Filter, Look, Passed, Scope, between_numbers, count_matching, each_between, each_between_numbers, newest_unread,
    pass_matching, pass_numbers,
};
pub use newest::{has_before, newest_in_conversation};
pub use pages::{Position, Range, everywhere, received_by_one, sent_by_one, unread_by, visible};

/// A message with the keys of its users
struct Found {
    message: Message,
    sender: Option<UserKey>,
    receiver: Option<UserKey>,
}

/// What a message shows of its conversation
struct ConversationLabel {
    id: ConversationId,
    name: Option<String>,
    kind: Kind,
}

impl ConversationLabel {
    fn of(conversation: &Conversation) -> Self {
        let Conversation { id, name, kind, .. } = conversation;
        Self { id: *id, name: name.clone(), kind: *kind }
    }
}

fn read(row: &Row<'_>) -> Result<Found> {
    read_in(row, ConversationLabel { id: row.get(14)?, name: row.get(15)?, kind: row.get(16)? })
}

fn read_in(row: &Row<'_>, label: ConversationLabel) -> Result<Found> {
    let sender: Option<UserKey> = row.get(5)?;
    let revision = row.get(9)?;
    let replies: i64 = row.get(12)?;
    let message = Message {
        key: row.get(0)?,
        conversation_key: row.get(1)?,
        parent_key: row.get(2)?,
        conversation_name: label.name,
        conversation_kind: label.kind,
        parent_number: row.get(11)?,
        message_id: row.get(3)?,
        conversation: label.id,
        number: row.get(4)?,
        sender: None,
        receiver: None,
        content: row.get(7)?,
        timestamp: row.get(8)?,
        edited: revision > 1,
        revision,
        parent_message: row.get(10)?,
        is_thread: replies > 0,
        reply_count: replies & 0xffff_ffff,
        read: row.get(13)?,
        deleted: sender.is_none(),
    };
    Ok(Found { message, sender, receiver: row.get(6)? })
}

macro_rules! in_conversation {
    ($order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM message LEFT JOIN message AS parent ON parent.key = message.parent_key
             WHERE message.sent_at >= $1 AND message.sent_at < $2
               AND (CAST($3 AS BIGINT) IS NULL OR message.sender_key = $3)
               AND (CAST($4 AS BIGINT) IS NULL OR message.receiver_key = $4)
               AND message.conversation_key = $5 AND message.number > $6 AND message.number < $7
             ORDER BY message.number ",
            $order,
            " LIMIT $8"
        )
    };
}

/// The messages of a conversation between two numbers, the lowest first or the highest: one statement for a page, which looks
/// no conversation up.
pub fn in_conversation(
    tx: &mut Tx<'_>,
    conversation: &Conversation,
    (above, below): (Number, Number),
    lowest_first: bool,
    filter: &Filter,
) -> Result<Vec<Message>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    let found = tx.all(
        if lowest_first { in_conversation!("ASC") } else { in_conversation!("DESC") },
        &[since, until, sender, receiver, &conversation.key, &above, &below, limit],
        |row| read_in(row, ConversationLabel::of(conversation)),
    )?;
    with_people(tx, found)
}

/// Reads messages by a statement that begins as `select!` does.
fn fetch(tx: &mut Tx<'_>, sql: &'static str, params: &[&dyn Param]) -> Result<Vec<Message>> {
    let found = tx.all(sql, params, read)?;
    with_people(tx, found)
}

/// Puts the people in: one statement for a page, cheaper than two joins in it.
fn with_people(tx: &mut Tx<'_>, found: Vec<Found>) -> Result<Vec<Message>> {
    let keys = found.iter().flat_map(|found| [found.sender, found.receiver]).flatten();
    let people = super::users::people(tx, keys)?;
    let person = |key: Option<UserKey>| key.and_then(|key| people.get(&key).cloned());
    let complete =
        |found: Found| Message { sender: person(found.sender), receiver: person(found.receiver), ..found.message };
    Ok(found.into_iter().map(complete).collect())
}

/// What a new message consists of.
pub struct NewMessage<'m> {
    pub id: MessageId,
    pub conversation: &'m Conversation,
    pub number: Number,
    pub sent_at: Timestamp,
    pub sender: &'m UserRef,
    pub receiver: Option<&'m UserRef>,
    pub parent: Option<&'m Message>,
    pub content: &'m str,
}

macro_rules! insert {
    () => {
        "INSERT INTO message (id, conversation_key, number, sender_key, receiver_key, parent_key, content, sent_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING key"
    };
}

/// What sending a message changes of its conversation; a time loaded or set back does not undo activity.
macro_rules! sent {
    ($conversation:literal, $number:literal, $sent_at:literal) => {
        concat!(
            "UPDATE conversation SET last_number = ",
            $number,
            ", message_count = message_count + 1, last_sent_at = ",
            $sent_at,
            ", active_at = CASE WHEN active_at > ",
            $sent_at,
            " THEN active_at ELSE ",
            $sent_at,
            " END WHERE key = ",
            $conversation
        )
    };
}

/// Adds a message with the number it took, and lets its conversation know. One statement on PostgreSQL, where each is a journey.
pub fn insert(tx: &mut Tx<'_>, new: &NewMessage<'_>) -> Result<Message> {
    let parent_key = new.parent.map(|parent| parent.key);
    let is_embedded = tx.split(true, false);
    if is_embedded {
        tx.run(sent!("$3", "$1", "$2"), &[&new.number, &new.sent_at, &new.conversation.key])?;
    }
    let key = tx.only(
        if is_embedded { insert!() } else { concat!("WITH sent AS (", sent!("$2", "$3", "$8"), ") ", insert!()) },
        &[
            &new.id,
            &new.conversation.key,
            &new.number,
            &new.sender.key,
            &new.receiver.map(|receiver| receiver.key),
            &parent_key,
            &new.content,
            &new.sent_at,
        ],
        |row| row.get(0),
    )?;
    let message = Message {
        key,
        conversation_key: new.conversation.key,
        parent_key,
        message_id: new.id,
        conversation: new.conversation.id,
        conversation_name: new.conversation.name.clone(),
        conversation_kind: new.conversation.kind,
        parent_number: new.parent.map(|parent| parent.number),
        number: new.number,
        sender: Some(new.sender.clone()),
        receiver: new.receiver.cloned(),
        content: new.content.to_owned(),
        timestamp: new.sent_at,
        edited: false,
        revision: 1,
        parent_message: new.parent.map(|parent| parent.message_id),
        is_thread: false,
        reply_count: 0,
        read: false,
        deleted: false,
    };
    super::search::index(tx, &message);
    Ok(message)
}

/// The message with that id
pub fn by_id(tx: &mut Tx<'_>, id: MessageId) -> Result<Option<Message>> {
    Ok(fetch(tx, concat!(select!(), "message.id = $1"), &[&id])?.pop())
}

/// The messages with these ids, in any order; one that is gone is left out.
pub fn with_ids(tx: &mut Tx<'_>, wanted: impl IntoIterator<Item = MessageId>) -> Result<Vec<Message>> {
    let keys: Vec<MessageKey> = places(tx, wanted)?.into_iter().map(|(key, ..)| key).collect();
    by_keys(tx, &keys)
}

/// The keys of the messages with these ids, and their conversations'
pub fn places(
    tx: &mut Tx<'_>,
    ids: impl IntoIterator<Item = MessageId>,
) -> Result<Vec<(MessageKey, MessageId, ConversationKey)>> {
    let ids = super::ids(tx, ids.into_iter().map(|id| id.0));
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    tx.all(by_ids!(tx, "SELECT key, id, conversation_key FROM message", "id"), &[&ids], read)
}

/// The message with that number in a conversation
pub fn by_number(tx: &mut Tx<'_>, conversation: ConversationKey, number: Number) -> Result<Option<Message>> {
    let one = concat!(select!(), "message.conversation_key = $1 AND message.number = $2");
    Ok(fetch(tx, one, &[&conversation, &number])?.pop())
}

/// The messages with these keys, in the given order; deleted ones are left out.
pub fn by_keys(tx: &mut Tx<'_>, keys: &[MessageKey]) -> Result<Vec<Message>> {
    let found =
        fetch(tx, concat!(select!(), "message.key IN ", list!("$1")), &[&super::list(keys.iter().map(|key| key.0))])?;
    let mut found: HashMap<MessageKey, Message> = found.into_iter().map(|message| (message.key, message)).collect();
    Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
}

/// The contents of the messages with these keys
pub fn contents(tx: &mut Tx<'_>, keys: &[MessageKey]) -> Result<Vec<(MessageKey, String)>> {
    tx.all(
        concat!("SELECT key, content FROM message WHERE key IN ", list!("$1")),
        &[&super::list(keys.iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// A message and all replies to it, each with its parent, by number
pub fn thread(tx: &mut Tx<'_>, root: MessageKey) -> Result<Vec<(MessageKey, Option<MessageKey>)>> {
    tx.all(
        "WITH RECURSIVE thread (key, parent_key, number) AS (
             SELECT key, CAST(NULL AS BIGINT), number FROM message WHERE key = $1
             UNION ALL
             SELECT message.key, message.parent_key, message.number
             FROM thread JOIN message ON message.parent_key = thread.key)
         SELECT key, parent_key FROM thread ORDER BY number",
        &[&root],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The newest message of each of these conversations. A tombstone is never the newest: the reply that keeps it is newer.
pub fn newest_of(tx: &mut Tx<'_>, conversations: &[ConversationKey]) -> Result<Vec<Message>> {
    fetch(
        tx,
        concat!(
            select!(),
            "message.key IN (
                 SELECT (SELECT newest.key FROM message AS newest WHERE newest.conversation_key = conversation.key
                         ORDER BY newest.number DESC LIMIT 1)
                 FROM conversation WHERE conversation.key IN ",
            list!("$1"),
            ")"
        ),
        &[&super::list(conversations.iter().map(|key| key.0))],
    )
}

/// Keeps a message's content as a revision, before another takes its place.
pub fn keep_revision(
    tx: &mut Tx<'_>,
    message: &Message,
    edited_at: Timestamp,
    editor: &Actor,
    reason: Option<&str>,
) -> Result<()> {
    tx.run(
        "INSERT INTO revision (message_key, revision, content, edited_at, editor_key, by_operator, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &message.key,
            &message.revision,
            &message.content,
            &edited_at,
            &editor.key(),
            &editor.operator().is_some(),
            &reason,
        ],
    )?;
    Ok(())
}

/// Replaces a message's content.
pub fn replace_content(tx: &mut Tx<'_>, message: Message, content: &str) -> Result<Message> {
    let revision = tx.only(
        "UPDATE message SET content = $1, revision = revision + 1 WHERE key = $2 RETURNING revision",
        &[&content, &message.key],
        |row| row.get(0),
    )?;
    let message = Message { content: content.to_owned(), revision, edited: true, ..message };
    super::search::index(tx, &message);
    Ok(message)
}

/// One earlier content of a message
pub fn revision_content(tx: &mut Tx<'_>, message: MessageKey, revision: i64) -> Result<Option<String>> {
    tx.one("SELECT content FROM revision WHERE message_key = $1 AND revision = $2", &[&message, &revision], |row| {
        row.get(0)
    })
}
