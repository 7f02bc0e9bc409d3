//! Messages, their revisions, and how they go.

use std::collections::HashSet;

use super::{Row, Tx};
use crate::error::Result;
use crate::model::{
    Actor, Conversation, ConversationKey, Message, MessageId, MessageKey, Number, Revision, Timestamp, UserKey, UserRef,
};

macro_rules! columns {
    () => {
        "message.key, message.conversation_key, message.parent_key, message.id,
         (SELECT conversation.id FROM conversation WHERE conversation.key = message.conversation_key),
         message.number, message.sender_key, message.receiver_key, message.content, message.sent_at, message.revision,
         (SELECT parent.id FROM message AS parent WHERE parent.key = message.parent_key),
         EXISTS (SELECT 1 FROM message AS reply WHERE reply.parent_key = message.key),
         (SELECT count(*) FROM message AS reply WHERE reply.parent_key = message.key AND reply.sender_key IS NOT NULL),
         EXISTS (SELECT 1 FROM notification WHERE notification.message_key = message.key) AND NOT EXISTS (
             SELECT 1 FROM notification WHERE notification.message_key = message.key AND NOT notification.is_read),
         (SELECT conversation.name FROM conversation WHERE conversation.key = message.conversation_key)"
    };
}

/// A message whose people are still keys
struct Found {
    message: Message,
    sender: Option<UserKey>,
    receiver: Option<UserKey>,
}

fn read(row: &Row<'_>) -> Result<Found> {
    let sender: Option<UserKey> = row.get(6)?;
    let revision = row.get(10)?;
    let message = Message {
        key: row.get(0)?,
        conversation_key: row.get(1)?,
        parent_key: row.get(2)?,
        conversation_name: row.get(15)?,
        message_id: row.get(3)?,
        conversation: row.get(4)?,
        number: row.get(5)?,
        sender: None,
        receiver: None,
        content: row.get(8)?,
        timestamp: row.get(9)?,
        edited: revision > 1,
        revision,
        parent_message: row.get(11)?,
        is_thread: row.get(12)?,
        reply_count: row.get(13)?,
        read: row.get(14)?,
        deleted: sender.is_none(),
    };
    Ok(Found { message, sender, receiver: row.get(7)? })
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
    pub sender: &'m UserRef,
    pub receiver: Option<&'m UserRef>,
    pub parent: Option<&'m Message>,
    pub content: &'m str,
}

/// Adds a message.
pub fn insert(tx: &mut Tx<'_>, new: &NewMessage<'_>) -> Result<Message> {
    let parent_key = new.parent.map(|parent| parent.key);
    let key = tx.only(
        "INSERT INTO message (id, conversation_key, number, sender_key, receiver_key, parent_key, content, sent_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING key",
        &[
            &new.id,
            &new.conversation.key,
            &new.number,
            &new.sender.key,
            &new.receiver.map(|receiver| receiver.key),
            &parent_key,
            &new.content,
            &tx.now(),
        ],
        |row| row.get(0),
    )?;
    Ok(Message {
        key,
        conversation_key: new.conversation.key,
        parent_key,
        message_id: new.id,
        conversation: new.conversation.id,
        conversation_name: new.conversation.name.clone(),
        number: new.number,
        sender: Some(new.sender.clone()),
        receiver: new.receiver.cloned(),
        content: new.content.to_owned(),
        timestamp: tx.now(),
        edited: false,
        revision: 1,
        parent_message: new.parent.map(|parent| parent.message_id),
        is_thread: false,
        reply_count: 0,
        read: false,
        deleted: false,
    })
}

/// The message with that id
pub fn by_id(tx: &mut Tx<'_>, id: MessageId) -> Result<Option<Message>> {
    let found = tx.one(concat!("SELECT ", columns!(), " FROM message WHERE id = $1"), &[&id], read)?;
    Ok(with_people(tx, found.into_iter().collect())?.pop())
}

/// The message with that number in a conversation
pub fn by_number(tx: &mut Tx<'_>, conversation: ConversationKey, number: Number) -> Result<Option<Message>> {
    let found = tx.one(
        concat!("SELECT ", columns!(), " FROM message WHERE conversation_key = $1 AND number = $2"),
        &[&conversation, &number],
        read,
    )?;
    Ok(with_people(tx, found.into_iter().collect())?.pop())
}

/// The messages with these keys, oldest first
pub fn by_keys(tx: &mut Tx<'_>, keys: impl IntoIterator<Item = MessageKey>) -> Result<Vec<Message>> {
    let found = tx.all(
        concat!("SELECT ", columns!(), " FROM message WHERE key IN ", list!("$1"), " ORDER BY key"),
        &[&super::list(keys.into_iter().map(|key| key.0))],
        read,
    )?;
    with_people(tx, found)
}

/// The newest message of each of these conversations. A tombstone is never the newest: the reply that keeps it is newer.
pub fn newest_of(tx: &mut Tx<'_>, conversations: &[ConversationKey]) -> Result<Vec<Message>> {
    let found = tx.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM message WHERE message.key IN (
                 SELECT (SELECT newest.key FROM message AS newest WHERE newest.conversation_key = conversation.key
                         ORDER BY newest.number DESC LIMIT 1)
                 FROM conversation WHERE conversation.key IN ",
            list!("$1"),
            ")"
        ),
        &[&super::list(conversations.iter().map(|key| key.0))],
        read,
    )?;
    with_people(tx, found)
}

/// Which messages a list is about.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Sent at this time or later
    pub since: Timestamp,
    /// Sent before this time
    pub until: Timestamp,
    pub sender: Option<UserKey>,
    pub receiver: Option<UserKey>,
    /// How many at most
    pub limit: i64,
}

macro_rules! filtered {
    ($from:literal, $tail:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM ",
            $from,
            " WHERE message.sent_at >= $1 AND message.sent_at < $2
                AND (CAST($3 AS BIGINT) IS NULL OR message.sender_key = $3)
                AND (CAST($4 AS BIGINT) IS NULL OR message.receiver_key = $4)
                AND ",
            $tail
        )
    };
}

/// The messages of a conversation with the highest numbers below one, highest first
pub fn page(tx: &mut Tx<'_>, conversation: ConversationKey, before: Number, filter: &Filter) -> Result<Vec<Message>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    let found = tx.all(
        filtered!(
            "message",
            "message.conversation_key = $5 AND message.number < $6 ORDER BY message.number DESC LIMIT $7"
        ),
        &[since, until, sender, receiver, &conversation, &before, limit],
        read,
    )?;
    with_people(tx, found)
}

/// The messages of a conversation with the lowest numbers above one, lowest first
pub fn page_after(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    after: Number,
    filter: &Filter,
) -> Result<Vec<Message>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    let found = tx.all(
        filtered!("message", "message.conversation_key = $5 AND message.number > $6 ORDER BY message.number LIMIT $7"),
        &[since, until, sender, receiver, &conversation, &after, limit],
        read,
    )?;
    with_people(tx, found)
}

/// The newest messages of a conversation, newest first
pub fn newest_in(tx: &mut Tx<'_>, conversation: ConversationKey, filter: &Filter) -> Result<Vec<Message>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    let found = tx.all(
        filtered!("message", "message.conversation_key = $5 ORDER BY message.sent_at DESC, message.key DESC LIMIT $6"),
        &[since, until, sender, receiver, &conversation, limit],
        read,
    )?;
    with_people(tx, found)
}

/// The newest messages of all conversations, newest first
pub fn newest(tx: &mut Tx<'_>, filter: &Filter) -> Result<Vec<Message>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    let found = tx.all(
        filtered!("message", "TRUE ORDER BY message.sent_at DESC, message.key DESC LIMIT $5"),
        &[since, until, sender, receiver, limit],
        read,
    )?;
    with_people(tx, found)
}

/// The newest messages of a user's conversations, newest first: of each conversation no more than the limit is looked at.
pub fn newest_visible(tx: &mut Tx<'_>, viewer: UserKey, filter: &Filter) -> Result<Vec<Message>> {
    let Filter { since, until, limit, .. } = filter;
    let found = tx.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM message WHERE message.key IN (
                 SELECT visible.key
                 FROM participant CROSS JOIN message AS visible
                 WHERE visible.conversation_key = participant.conversation_key
                   AND visible.sent_at >= coalesce((
                       SELECT last.sent_at FROM message AS last
                       WHERE last.conversation_key = participant.conversation_key
                         AND last.sent_at >= $1 AND last.sent_at < $2
                       ORDER BY last.sent_at DESC LIMIT 1 OFFSET $3), $1)
                   AND visible.sent_at < $2 AND participant.user_key = $4
                 ORDER BY visible.sent_at DESC, visible.key DESC LIMIT $5)
             ORDER BY message.sent_at DESC, message.key DESC"
        ),
        &[since, until, &(limit - 1).max(0), &viewer, limit],
        read,
    )?;
    with_people(tx, found)
}

/// The newest messages a user sent, newest first: those a viewer shares a conversation for, or all for the operator
pub fn newest_from(tx: &mut Tx<'_>, sender: UserKey, viewer: Option<UserKey>, filter: &Filter) -> Result<Vec<Message>> {
    let Filter { since, until, receiver, limit, .. } = filter;
    let found = tx.all(
        filtered!(
            "message",
            "message.sender_key = $3
             AND (CAST($5 AS BIGINT) IS NULL OR EXISTS (
                 SELECT 1 FROM participant
                 WHERE participant.conversation_key = message.conversation_key AND participant.user_key = $5))
             ORDER BY message.sent_at DESC, message.key DESC LIMIT $6"
        ),
        &[since, until, &sender, receiver, &viewer, limit],
        read,
    )?;
    with_people(tx, found)
}

/// The newest messages to a user, newest first: those a viewer shares a conversation for, or all for the operator
pub fn newest_to(tx: &mut Tx<'_>, receiver: UserKey, viewer: Option<UserKey>, filter: &Filter) -> Result<Vec<Message>> {
    let Filter { since, until, sender, limit, .. } = filter;
    let found = tx.all(
        filtered!(
            "message",
            "message.receiver_key = $4
             AND (CAST($5 AS BIGINT) IS NULL OR EXISTS (
                 SELECT 1 FROM participant
                 WHERE participant.conversation_key = message.conversation_key AND participant.user_key = $5))
             ORDER BY message.sent_at DESC, message.key DESC LIMIT $6"
        ),
        &[since, until, sender, &receiver, &viewer, limit],
        read,
    )?;
    with_people(tx, found)
}

/// The newest messages a user has not read, newest first
pub fn newest_unread(tx: &mut Tx<'_>, user: UserKey, filter: &Filter) -> Result<Vec<Message>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    let found = tx.all(
        filtered!(
            "notification JOIN message ON message.key = notification.message_key",
            "notification.user_key = $5 AND notification.is_read = FALSE
             ORDER BY notification.message_key DESC LIMIT $6"
        ),
        &[since, until, sender, receiver, &user, limit],
        read,
    )?;
    with_people(tx, found)
}

/// The newest messages of a conversation that a user has not read, newest first
pub fn newest_unread_of(
    tx: &mut Tx<'_>,
    user: UserKey,
    conversation: ConversationKey,
    filter: &Filter,
) -> Result<Vec<Message>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    let found = tx.all(
        filtered!(
            "notification JOIN message ON message.key = notification.message_key",
            "notification.user_key = $5 AND notification.conversation_key = $6 AND notification.is_read = FALSE
             ORDER BY notification.message_key DESC LIMIT $7"
        ),
        &[since, until, sender, receiver, &user, &conversation, limit],
        read,
    )?;
    with_people(tx, found)
}

/// Keeps a message's content as a revision, before another takes its place.
pub fn keep_revision(tx: &mut Tx<'_>, message: &Message, editor: &Actor, reason: Option<&str>) -> Result<()> {
    tx.run(
        "INSERT INTO revision (message_key, revision, content, edited_at, editor_key, by_operator, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &message.key,
            &message.revision,
            &message.content,
            &tx.now(),
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
    Ok(Message { content: content.to_owned(), revision, edited: true, ..message })
}

/// The earlier contents of a message, newest first
pub fn history(tx: &mut Tx<'_>, message: &Message) -> Result<Vec<Revision>> {
    let found = tx.all(
        "SELECT revision, content, edited_at, editor_key, by_operator, reason
         FROM revision WHERE message_key = $1 ORDER BY revision DESC",
        &[&message.key],
        |row| {
            let editor: Option<UserKey> = row.get(3)?;
            let revision = Revision {
                message: message.message_id,
                revision: row.get(0)?,
                content: row.get(1)?,
                edited_at: row.get(2)?,
                edited_by: None,
                edited_by_operator: row.get(4)?,
                reason: row.get(5)?,
            };
            Ok((revision, editor))
        },
    )?;
    let people = super::users::people(tx, found.iter().filter_map(|(_, editor)| *editor))?;
    let with_editor = |(revision, editor): (Revision, Option<UserKey>)| Revision {
        edited_by: editor.and_then(|editor| people.get(&editor).cloned()),
        ..revision
    };
    Ok(found.into_iter().map(with_editor).collect())
}

/// One earlier content of a message
pub fn revision_content(tx: &mut Tx<'_>, message: MessageKey, revision: i64) -> Result<Option<String>> {
    tx.one("SELECT content FROM revision WHERE message_key = $1 AND revision = $2", &[&message, &revision], |row| {
        row.get(0)
    })
}

/// The messages a user sent or received
pub fn keys_of(tx: &mut Tx<'_>, user: UserKey) -> Result<Vec<MessageKey>> {
    tx.all(
        "SELECT key FROM message WHERE sender_key = $1 UNION SELECT key FROM message WHERE receiver_key = $1",
        &[&user],
        |row| row.get(0),
    )
}

/// How many messages a user sent, and how many others sent to them
pub fn count_of(tx: &mut Tx<'_>, user: UserKey) -> Result<(i64, i64)> {
    tx.only(
        "SELECT (SELECT count(*) FROM message WHERE sender_key = $1), (SELECT count(*) FROM message WHERE receiver_key = $1)",
        &[&user],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// How many messages of these conversations, tombstones aside, a user neither sent nor received
pub fn count_of_others(tx: &mut Tx<'_>, conversations: &[ConversationKey], user: UserKey) -> Result<i64> {
    tx.only(
        concat!(
            "SELECT count(*) FROM message WHERE conversation_key IN ",
            list!("$1"),
            " AND sender_key <> $2 AND (receiver_key IS NULL OR receiver_key <> $2)"
        ),
        &[&super::list(conversations.iter().map(|key| key.0)), &user],
        |row| row.get(0),
    )
}

/// What went with messages that were deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gone {
    pub revisions: i64,
    pub notifications: i64,
    /// Messages whose place is kept because others' replies hang on them
    pub tombstones: i64,
}

/// Deletes messages, none of which is a tombstone: content, revisions and notifications. The rows go too, and with them
/// the tombstones they were the last reply of; where a reply stays, a tombstone stays.
pub fn delete(tx: &mut Tx<'_>, messages: &[MessageKey]) -> Result<Gone> {
    let keys = super::list(messages.iter().map(|key| key.0));
    let revisions = tx.run(concat!("DELETE FROM revision WHERE message_key IN ", list!("$1")), &[&keys])?;
    let notifications = tx.run(concat!("DELETE FROM notification WHERE message_key IN ", list!("$1")), &[&keys])?;
    tx.run(
        concat!(
            "UPDATE conversation SET message_count = message_count - deleted.count
             FROM (SELECT conversation_key, count(*) AS count FROM message WHERE key IN ",
            list!("$1"),
            " GROUP BY conversation_key) AS deleted WHERE conversation.key = deleted.conversation_key"
        ),
        &[&keys],
    )?;
    let mut candidates: HashSet<MessageKey> = messages.iter().copied().collect();
    candidates.extend(tombstones_above(tx, &keys)?);
    let kept = kept_by_replies(tx, &candidates)?;
    let is_tombstone = |key: &&MessageKey| kept.contains(key);
    let tombstones: Vec<i64> = messages.iter().filter(is_tombstone).map(|key| key.0).collect();
    tx.run(
        concat!(
            "UPDATE message SET sender_key = NULL, receiver_key = NULL, content = '', revision = 1, key_name = NULL
             WHERE key IN ",
            list!("$1")
        ),
        &[&super::list(tombstones.iter().copied())],
    )?;
    tx.run(
        concat!("DELETE FROM message WHERE key IN ", list!("$1")),
        &[&super::list(candidates.difference(&kept).map(|key| key.0))],
    )?;
    let tombstones = i64::try_from(tombstones.len()).unwrap_or(i64::MAX);
    Ok(Gone { revisions, notifications, tombstones })
}

/// The tombstones that messages hang on, directly or by other tombstones
fn tombstones_above(tx: &mut Tx<'_>, keys: &str) -> Result<Vec<MessageKey>> {
    tx.all(
        concat!(
            "WITH RECURSIVE above (key) AS (
                 SELECT parent_key FROM message WHERE parent_key IS NOT NULL AND key IN ",
            list!("$1"),
            " UNION
                 SELECT message.parent_key FROM above JOIN message ON message.key = above.key
                 WHERE message.sender_key IS NULL AND message.parent_key IS NOT NULL)
             SELECT message.key FROM above JOIN message ON message.key = above.key WHERE message.sender_key IS NULL"
        ),
        &[&keys],
        |row| row.get(0),
    )
}

/// Those of the candidates on which, directly or by other candidates, a message hangs that is not one of them
fn kept_by_replies(tx: &mut Tx<'_>, candidates: &HashSet<MessageKey>) -> Result<HashSet<MessageKey>> {
    let kept: Vec<MessageKey> = tx.all(
        concat!(
            "WITH RECURSIVE kept (key) AS (
                 SELECT parent_key FROM message WHERE parent_key IN ",
            list!("$1"),
            " AND key NOT IN ",
            list!("$1"),
            " UNION
                 SELECT message.parent_key FROM kept JOIN message ON message.key = kept.key
                 WHERE message.parent_key IN ",
            list!("$1"),
            ") SELECT key FROM kept"
        ),
        &[&super::list(candidates.iter().map(|key| key.0))],
        |row| row.get(0),
    )?;
    Ok(kept.into_iter().collect())
}

/// Deletes every message of conversations that end, tombstones too.
pub fn delete_all_of(tx: &mut Tx<'_>, conversations: &[ConversationKey]) -> Result<Gone> {
    let keys = super::list(conversations.iter().map(|key| key.0));
    let revisions = tx.run(
        concat!(
            "DELETE FROM revision WHERE message_key IN (SELECT key FROM message WHERE conversation_key IN ",
            list!("$1"),
            ")"
        ),
        &[&keys],
    )?;
    let notifications = tx.run(
        concat!(
            "DELETE FROM notification WHERE message_key IN (SELECT key FROM message WHERE conversation_key IN ",
            list!("$1"),
            ")"
        ),
        &[&keys],
    )?;
    tx.run(concat!("DELETE FROM message WHERE conversation_key IN ", list!("$1")), &[&keys])?;
    Ok(Gone { revisions, notifications, tombstones: 0 })
}

/// Deletes the earlier contents a user replaced, whoever's messages they were; returns how many.
pub fn delete_revisions_by(tx: &mut Tx<'_>, editor: UserKey) -> Result<i64> {
    tx.run("DELETE FROM revision WHERE editor_key = $1", &[&editor])
}
