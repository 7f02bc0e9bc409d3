//! Deleting messages: rows, revisions, notifications, and tombstones.

use std::collections::HashSet;

use crate::error::Result;
use crate::model::{ConversationKey, MessageKey, UserKey};
use crate::store::{Tx, idempotency, list, maintenance, search};

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

/// A sum over conversations, of which each is looked up by itself: PostgreSQL takes a list for a hundred conversations of average
/// length, and would read all messages.
macro_rules! of_each {
    ($list:literal, $count:expr) => {
        concat!(
            "(SELECT CAST(coalesce(sum((",
            $count,
            ")), 0) AS BIGINT) FROM (SELECT CAST(value AS BIGINT) AS key FROM json_each(CAST(",
            $list,
            " AS TEXT))) AS ending)"
        )
    };
}

/// The number of messages of these conversations, without tombstones, that a user neither sent nor received
pub fn count_of_others(tx: &mut Tx<'_>, conversations: &[ConversationKey], user: UserKey) -> Result<i64> {
    tx.only(
        concat!(
            "SELECT ",
            of_each!(
                "$2",
                "SELECT count(*) FROM message WHERE conversation_key = ending.key
                 AND sender_key <> $1 AND (receiver_key IS NULL OR receiver_key <> $1)"
            )
        ),
        &[&user, &list(conversations.iter().map(|key| key.0))],
        |row| row.get(0),
    )
}

/// How many rows of a table are about the messages that go with a user, without the user's own rows; each message is in one of three
/// parts
macro_rules! going_with {
    ($table:literal, $others:literal) => {
        concat!(
            "(",
            going_with!($table, $others, "message.sender_key = $1"),
            ") + (",
            going_with!($table, $others, "message.receiver_key = $1 AND message.sender_key <> $1"),
            ") + ",
            of_each!(
                "$2",
                going_with!(
                    $table,
                    $others,
                    "message.conversation_key = ending.key
                     AND message.sender_key <> $1 AND (message.receiver_key IS NULL OR message.receiver_key <> $1)"
                )
            )
        )
    };
    ($table:literal, $others:literal, $which:literal) => {
        concat!(
            "SELECT count(*) FROM message CROSS JOIN ",
            $table,
            " WHERE ",
            $which,
            " AND ",
            $table,
            ".message_key = message.key AND ",
            $others
        )
    };
}

/// How many revisions and notifications go with a user and these conversations, and how many messages become tombstones: what
/// [`delete_all_of`], [`delete`] and the deletion of the user's own return, without deleting.
pub fn count_going_with(tx: &mut Tx<'_>, user: UserKey, ending: &[ConversationKey]) -> Result<(i64, i64, i64)> {
    let ending = list(ending.iter().map(|key| key.0));
    let (revisions, notifications) = tx.only(
        concat!(
            "SELECT ",
            going_with!("revision", "(revision.editor_key IS NULL OR revision.editor_key <> $1)"),
            " + (SELECT count(*) FROM revision WHERE editor_key = $1), ",
            going_with!("notification", "notification.user_key <> $1"),
            " + (SELECT count(*) FROM notification WHERE user_key = $1 AND is_read IN (FALSE, TRUE))"
        ),
        &[&user, &ending],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    // A message stays as a tombstone that has an answer which stays, directly or through others that go or are tombstones. Where none
    // is above, `kept` has a row without a key, which is not counted.
    let tombstones = tx.only(
        concat!(
            "WITH RECURSIVE answer (key, parent_key, sender_key, receiver_key) AS (
                 SELECT reply.key, reply.parent_key, reply.sender_key, reply.receiver_key
                 FROM message CROSS JOIN message AS reply WHERE message.sender_key = $1 AND reply.parent_key = message.key
                 UNION ALL
                 SELECT reply.key, reply.parent_key, reply.sender_key, reply.receiver_key
                 FROM message CROSS JOIN message AS reply WHERE message.receiver_key = $1 AND reply.parent_key = message.key
                 UNION ALL
                 SELECT reply.key, reply.parent_key, reply.sender_key, reply.receiver_key
                 FROM answer CROSS JOIN message AS reply WHERE answer.sender_key IS NULL AND reply.parent_key = answer.key),
             kept (key) AS (
                 SELECT parent_key FROM answer WHERE sender_key <> $1 AND (receiver_key IS NULL OR receiver_key <> $1)
                 UNION
                 SELECT (SELECT parent.key FROM message CROSS JOIN message AS parent
                         WHERE message.key = kept.key AND parent.key = message.parent_key
                           AND (parent.sender_key IS NULL OR parent.sender_key = $1 OR parent.receiver_key = $1))
                 FROM kept)
             SELECT count((SELECT 1 FROM message WHERE message.key = kept.key AND (sender_key = $1 OR receiver_key = $1)
                           AND conversation_key NOT IN ",
            list!("$2"),
            ")) FROM kept"
        ),
        &[&user, &ending],
        |row| row.get(0),
    )?;
    Ok((revisions, notifications, tombstones))
}

/// What went with messages that were deleted.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    pub revisions: i64,
    pub notifications: i64,
    /// Messages that became tombstones
    pub tombstones: Vec<MessageKey>,
}

/// Deletes messages, none of which is a tombstone: content, revisions and notifications. The rows go too, and with them
/// the tombstones they were the last reply of; where a reply stays, a tombstone stays.
pub fn delete(tx: &mut Tx<'_>, messages: &[MessageKey]) -> Result<Gone> {
    let keys = list(messages.iter().map(|key| key.0));
    let (revisions, notifications) = delete_about(tx, messages, &keys)?;
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
    let tombstones: Vec<MessageKey> = messages.iter().filter(is_tombstone).copied().collect();
    tx.run(
        concat!(
            "UPDATE message SET sender_key = NULL, receiver_key = NULL, content = '', revision = 1, key_name = NULL
             WHERE key IN ",
            list!("$1")
        ),
        &[&list(tombstones.iter().map(|key| key.0))],
    )?;
    tx.run(
        concat!("DELETE FROM message WHERE key IN ", list!("$1")),
        &[&list(candidates.difference(&kept).map(|key| key.0))],
    )?;
    Ok(Gone { revisions, notifications, tombstones })
}

/// Deletes whatever is kept about messages beside their rows; returns how many revisions and notifications there were.
fn delete_about(tx: &mut Tx<'_>, messages: &[MessageKey], keys: &str) -> Result<(i64, i64)> {
    maintenance::must_erase(tx)?;
    search::forget(tx, messages)?;
    idempotency::blank(tx, keys)?;
    let revisions = tx.run(concat!("DELETE FROM revision WHERE message_key IN ", list!("$1")), &[&keys])?;
    let notifications = tx.run(concat!("DELETE FROM notification WHERE message_key IN ", list!("$1")), &[&keys])?;
    Ok((revisions, notifications))
}

/// The tombstones that messages reply to, directly or through other tombstones
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

/// The candidates with a reply, direct or through other candidates, that is not a candidate
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
        &[&list(candidates.iter().map(|key| key.0))],
        |row| row.get(0),
    )?;
    Ok(kept.into_iter().collect())
}

/// How many of these messages are still there
pub fn count_left(tx: &mut Tx<'_>, messages: &[MessageKey]) -> Result<i64> {
    tx.only(
        concat!("SELECT count(*) FROM message WHERE key IN ", list!("$1")),
        &[&list(messages.iter().map(|key| key.0))],
        |row| row.get(0),
    )
}

/// Deletes every message of conversations that end, tombstones too.
pub fn delete_all_of(tx: &mut Tx<'_>, conversations: &[ConversationKey]) -> Result<Gone> {
    let conversations = list(conversations.iter().map(|key| key.0));
    let messages: Vec<MessageKey> =
        tx.all(concat!("SELECT key FROM message WHERE conversation_key IN ", list!("$1")), &[&conversations], |row| {
            row.get(0)
        })?;
    let (revisions, notifications) = delete_about(tx, &messages, &list(messages.iter().map(|key| key.0)))?;
    tx.run(concat!("DELETE FROM message WHERE conversation_key IN ", list!("$1")), &[&conversations])?;
    Ok(Gone { revisions, notifications, tombstones: Vec::new() })
}

/// Deletes the earlier contents a user replaced, of anybody's messages; returns how many.
pub fn delete_revisions_by(tx: &mut Tx<'_>, editor: UserKey) -> Result<i64> {
    maintenance::must_erase(tx)?;
    tx.run("DELETE FROM revision WHERE editor_key = $1", &[&editor])
}
