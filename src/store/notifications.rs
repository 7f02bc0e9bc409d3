//! Notifications: one row a message and recipient.
//!
//! A list of both read and unread ones queries both: SQLite's index begins with whether they are read, then the user.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Row, Tx};
use crate::error::Result;
use crate::model::{ConversationKey, Message, MessageKey, Notification, NotificationKind, Seek, UserKey, UserRef};

/// Notifies all participants of a conversation whose level lets a new message through, except its sender, with one
/// statement.
pub fn notify(
    tx: &mut Tx<'_>,
    (message, conversation): (MessageKey, ConversationKey),
    sender: UserKey,
    parent_sender: Option<UserKey>,
    mentioned: &BTreeSet<UserKey>,
) -> Result<i64> {
    tx.run(
        concat!(
            "INSERT INTO notification (message_key, user_key, conversation_key, kind)
             SELECT CAST($1 AS BIGINT), user_key, conversation_key,
                    CASE WHEN user_key IN ",
            list!("$2"),
            " THEN 2 WHEN user_key = $3 THEN 1 ELSE 0 END
             FROM participant
             WHERE conversation_key = $4 AND user_key <> $5
               AND (level = 0 OR (level = 1 AND (user_key IN ",
            list!("$2"),
            " OR user_key = $3)))"
        ),
        &[&message, &super::list(mentioned.iter().map(|key| key.0)), &parent_sender, &conversation, &sender],
    )
}

/// Notifies users whom an edit newly mentions, unless their level is `none`; an existing notification becomes an unread
/// mention.
pub fn notify_mentioned(tx: &mut Tx<'_>, message: &Message, mentioned: &BTreeSet<UserKey>) -> Result<i64> {
    tx.run(
        concat!(
            "INSERT INTO notification (message_key, user_key, conversation_key, kind)
             SELECT CAST($1 AS BIGINT), user_key, conversation_key, 2 FROM participant
             WHERE conversation_key = $2 AND level < 2 AND user_key IN ",
            list!("$3"),
            " ON CONFLICT (message_key, user_key) DO UPDATE SET kind = excluded.kind, is_read = FALSE"
        ),
        &[&message.key, &message.conversation_key, &super::list(mentioned.iter().map(|key| key.0))],
    )
}

fn read(row: &Row<'_>) -> Result<(MessageKey, (NotificationKind, bool))> {
    Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
}

macro_rules! half {
    ($read:literal, $compare:literal, $order:literal) => {
        concat!(
            "SELECT message_key, kind, is_read FROM notification WHERE user_key = $1 AND is_read = ",
            $read,
            " AND message_key ",
            $compare,
            " $2 ORDER BY message_key ",
            $order,
            " LIMIT $3"
        )
    };
}

/// The statement for unread, read, or all notifications: for all, the first rows of both halves, each in the order of
/// one index.
macro_rules! page {
    ($is_read:ident, $compare:literal, $order:literal) => {
        match $is_read {
            Some(false) => half!("FALSE", $compare, $order),
            Some(true) => half!("TRUE", $compare, $order),
            None => concat!(
                "SELECT message_key, kind, is_read FROM (",
                half!("FALSE", $compare, $order),
                ") AS unread UNION ALL SELECT message_key, kind, is_read FROM (",
                half!("TRUE", $compare, $order),
                ") AS seen ORDER BY 1 ",
                $order,
                " LIMIT $3"
            ),
        }
    };
}

/// A user's notifications after or before a message, newest first: all, read or unread ones
pub fn page(
    tx: &mut Tx<'_>,
    user: &UserRef,
    seek: &Seek<MessageKey>,
    is_read: Option<bool>,
    limit: i64,
) -> Result<Vec<Notification>> {
    let (sql, position) = match seek {
        Seek::After(message) => (page!(is_read, "<", "DESC"), message),
        Seek::Before(message) => (page!(is_read, ">", "ASC"), message),
    };
    let found = tx.all(sql, &[&user.key, position, &limit], read)?;
    with_messages(tx, user, found)
}

/// Those of these messages of which a user has a notification
pub fn notified(tx: &mut Tx<'_>, user: UserKey, messages: &[MessageKey]) -> Result<HashSet<MessageKey>> {
    let found = tx.all(
        concat!("SELECT message_key FROM notification WHERE user_key = $1 AND message_key IN ", list!("$2")),
        &[&user, &super::list(messages.iter().map(|key| key.0))],
        |row| row.get(0),
    )?;
    Ok(found.into_iter().collect())
}

fn with_messages(
    tx: &mut Tx<'_>,
    user: &UserRef,
    found: Vec<(MessageKey, (NotificationKind, bool))>,
) -> Result<Vec<Notification>> {
    let keys: Vec<MessageKey> = found.iter().map(|(key, _)| *key).collect();
    let messages = super::messages::by_keys(tx, &keys)?;
    let found: HashMap<MessageKey, (NotificationKind, bool)> = found.into_iter().collect();
    let notification = |message: Message| {
        let &(kind, is_read) = found.get(&message.key)?;
        Some(Notification {
            id: message.message_id,
            user: user.user_id,
            kind,
            is_read,
            created_at: message.timestamp,
            message,
        })
    };
    Ok(messages.into_iter().filter_map(notification).collect())
}

/// How many unread and how many notifications in all a user has, each up to 10,000
pub fn count(tx: &mut Tx<'_>, user: UserKey) -> Result<(i64, i64)> {
    tx.only(
        "SELECT (SELECT count(*) FROM (
                    SELECT 1 FROM notification WHERE user_key = $1 AND is_read = FALSE LIMIT 10000) AS unread),
                (SELECT count(*) FROM (
                    SELECT 1 FROM notification WHERE user_key = $1 AND is_read = TRUE LIMIT 10000) AS seen)",
        &[&user],
        |row| {
            let (unread, seen): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((unread, (unread + seen).min(10_000)))
        },
    )
}

/// How many read notifications a user has, up to 10,000
pub fn count_read(tx: &mut Tx<'_>, user: UserKey) -> Result<i64> {
    tx.only(
        "SELECT count(*) FROM (
             SELECT 1 FROM notification WHERE user_key = $1 AND is_read = TRUE LIMIT 10000) AS seen",
        &[&user],
        |row| row.get(0),
    )
}

/// Makes a user's notifications of these messages read or unread; returns how many changed.
pub fn mark(tx: &mut Tx<'_>, user: UserKey, messages: &[MessageKey], is_read: bool) -> Result<i64> {
    tx.run(
        concat!(
            "UPDATE notification SET is_read = $1 WHERE user_key = $2 AND is_read <> $1 AND message_key IN ",
            list!("$3")
        ),
        &[&is_read, &user, &super::list(messages.iter().map(|key| key.0))],
    )
}

/// Makes a user's notifications of a conversation read; returns how many changed.
pub fn read_conversation(tx: &mut Tx<'_>, user: UserKey, conversation: ConversationKey) -> Result<i64> {
    tx.run(
        "UPDATE notification SET is_read = TRUE WHERE user_key = $1 AND conversation_key = $2 AND is_read = FALSE",
        &[&user, &conversation],
    )
}

/// Makes all of a user's notifications read; returns how many changed.
pub fn read_all(tx: &mut Tx<'_>, user: UserKey) -> Result<i64> {
    tx.run("UPDATE notification SET is_read = TRUE WHERE user_key = $1 AND is_read = FALSE", &[&user])
}

/// Deletes all of a user's notifications; returns how many.
pub fn delete_all(tx: &mut Tx<'_>, user: UserKey) -> Result<i64> {
    tx.run("DELETE FROM notification WHERE user_key = $1 AND is_read IN (FALSE, TRUE)", &[&user])
}
