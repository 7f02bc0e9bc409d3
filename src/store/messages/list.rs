//! The statements behind lists of one conversation's messages, which go by number, and of unread ones: each finds keys, eight bytes a
//! message, however long the texts are.

use std::ops::ControlFlow;

use super::Position;
use crate::error::Result;
use crate::model::{ConversationKey, MessageKey, Number, Timestamp, UserKey};
use crate::store::{Row, Tx};

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
            "SELECT message.key FROM ",
            $from,
            " WHERE message.sent_at >= $1 AND message.sent_at < $2
                AND (CAST($3 AS BIGINT) IS NULL OR message.sender_key = $3)
                AND (CAST($4 AS BIGINT) IS NULL OR message.receiver_key = $4)
                AND ",
            $tail
        )
    };
}

macro_rules! between_numbers {
    ($order:literal) => {
        concat!(
            filtered!("message", "message.conversation_key = $5 AND message.number > $6 AND message.number < $7"),
            " ORDER BY message.number ",
            $order,
            " LIMIT $8"
        )
    };
}

/// Looks at a message, and says whether to go on.
pub type Look<'l> = dyn FnMut(MessageKey) -> ControlFlow<()> + 'l;

fn key(row: &Row<'_>) -> Result<MessageKey> {
    row.get(0)
}

/// The messages of a conversation between two numbers, the lowest first or the highest
pub fn between_numbers(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    (above, below): (Number, Number),
    lowest_first: bool,
    filter: &Filter,
) -> Result<Vec<MessageKey>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    tx.all(
        if lowest_first { between_numbers!("ASC") } else { between_numbers!("DESC") },
        &[since, until, sender, receiver, &conversation, &above, &below, limit],
        key,
    )
}

/// How many messages of a conversation match, tombstones aside, up to 10,000
pub fn count_matching(tx: &mut Tx<'_>, conversation: ConversationKey, filter: &Filter) -> Result<i64> {
    let Filter { since, until, sender, receiver, .. } = filter;
    tx.only(
        concat!(
            "SELECT count(*) FROM (",
            filtered!("message", "message.conversation_key = $5 AND message.sender_key IS NOT NULL LIMIT 10000"),
            ") AS matching"
        ),
        &[since, until, sender, receiver, &conversation],
        |row| row.get(0),
    )
}

/// A filter for messages of a conversation that may be rare and far from its end.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    pub conversation: ConversationKey,
    pub filter: Filter,
    /// Only messages that this user has not read
    pub unread_by: Option<UserKey>,
}

/// A message that a walk through a conversation passed
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    pub key: MessageKey,
    pub number: Number,
    sent_at: Timestamp,
    /// Whether the list is about it
    pub is_meant: bool,
}

macro_rules! passed {
    ($from:literal, $tail:literal) => {
        concat!(
            "SELECT message.key, message.number, message.sent_at,
                 message.sent_at >= $1 AND message.sent_at < $2
                 AND (CAST($3 AS BIGINT) IS NULL OR message.sender_key = $3)
                 AND (CAST($4 AS BIGINT) IS NULL OR message.receiver_key = $4)
                 AND (CAST($5 AS BIGINT) IS NULL OR coalesce((
                     SELECT TRUE FROM notification AS unread
                     WHERE unread.message_key = message.key AND unread.user_key = $5 AND unread.is_read = FALSE
                     LIMIT 1), FALSE))
             FROM ",
            $from,
            " WHERE message.conversation_key = $6 AND ",
            $tail
        )
    };
}

fn passed(row: &Row<'_>) -> Result<Passed> {
    let is_meant = row.get::<Option<bool>>(3)?.unwrap_or(false);
    Ok(Passed { key: row.get(0)?, number: row.get(1)?, sent_at: row.get(2)?, is_meant })
}

/// The next messages of a conversation between two numbers, from either end, whether they are meant or not
pub fn pass_numbers(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (above, below): (Number, Number),
    lowest_first: bool,
    limit: i64,
) -> Result<Vec<Passed>> {
    let Scope { conversation, filter: Filter { since, until, sender, receiver, .. }, unread_by } = scope;
    tx.all(
        if lowest_first {
            passed!("message", "message.number > $7 AND message.number < $8 ORDER BY message.number LIMIT $9")
        } else {
            passed!("message", "message.number > $7 AND message.number < $8 ORDER BY message.number DESC LIMIT $9")
        },
        &[since, until, sender, receiver, unread_by, conversation, &above, &below, &limit],
        passed,
    )
}

/// The next messages of a conversation that are unread, or else were sent in the time that is meant, behind one of them, in no
/// order that matters: all that are meant are among these.
pub fn pass_matching(tx: &mut Tx<'_>, scope: &Scope, behind: Option<&Passed>, limit: i64) -> Result<Vec<Passed>> {
    let Scope { conversation, filter: Filter { since, until, sender, receiver, .. }, unread_by } = scope;
    if unread_by.is_some() {
        let below = behind.map_or(MessageKey(i64::MAX), |passed| passed.key);
        return tx.all(
            passed!(
                "notification JOIN message ON message.key = notification.message_key",
                "notification.conversation_key = $6 AND notification.user_key = $5 AND notification.is_read = FALSE
                 AND notification.message_key < $7 ORDER BY notification.message_key DESC LIMIT $8"
            ),
            &[since, until, sender, receiver, unread_by, conversation, &below, &limit],
            passed,
        );
    }
    let (sent_at, key) = behind.map_or((*until, MessageKey(i64::MIN)), |passed| (passed.sent_at, passed.key));
    tx.all(
        passed!(
            "message",
            "message.sent_at >= $1 AND (message.sent_at, message.key) < ($7, $8)
             ORDER BY message.sent_at DESC, message.key DESC LIMIT $9"
        ),
        &[since, until, sender, receiver, unread_by, conversation, &sent_at, &key, &limit],
        passed,
    )
}

/// The newest messages a user has not read, newest first
pub fn newest_unread(tx: &mut Tx<'_>, user: UserKey, filter: &Filter) -> Result<Vec<MessageKey>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    tx.all(
        filtered!(
            "notification JOIN message ON message.key = notification.message_key",
            "notification.user_key = $5 AND notification.is_read = FALSE
             ORDER BY notification.message_key DESC LIMIT $6"
        ),
        &[since, until, sender, receiver, &user, limit],
        key,
    )
}

/// Looks at the messages of a conversation between two numbers, up to a limit, until `look` breaks off.
pub fn each_between_numbers(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    (above, below): (Number, Number),
    limit: i64,
    look: &mut Look<'_>,
) -> Result<()> {
    tx.each(
        "SELECT key FROM message WHERE conversation_key = $1 AND number > $2 AND number < $3 ORDER BY number LIMIT $4",
        &[&conversation, &above, &below, &limit],
        |row| Ok(look(row.get(0)?)),
    )
}

/// Looks at the messages of a user's conversations, or of all, between two positions, up to a limit, until `look` breaks off.
pub fn each_between(
    tx: &mut Tx<'_>,
    viewer: Option<UserKey>,
    (above, below): (Position, Position),
    limit: i64,
    look: &mut Look<'_>,
) -> Result<()> {
    let Some(viewer) = viewer else {
        return tx.each(
            "SELECT key FROM message WHERE (sent_at, key) > ($1, $2) AND (sent_at, key) < ($3, $4)
             ORDER BY sent_at, key LIMIT $5",
            &[&above.0, &above.1, &below.0, &below.1, &limit],
            |row| Ok(look(row.get(0)?)),
        );
    };
    tx.each(
        "SELECT message.key FROM participant CROSS JOIN message
         WHERE message.conversation_key = participant.conversation_key
           AND (message.sent_at, message.key) > ($1, $2) AND (message.sent_at, message.key) < ($3, $4)
           AND participant.user_key = $5 LIMIT $6",
        &[&above.0, &above.1, &below.0, &below.1, &viewer, &limit],
        |row| Ok(look(row.get(0)?)),
    )
}
