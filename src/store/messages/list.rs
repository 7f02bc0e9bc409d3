//! The statements behind lists of messages: each is a range of an index, and finds keys, eight bytes a message, however
//! long the texts are.

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

fn key(row: &Row<'_>) -> Result<MessageKey> {
    row.get(0)
}

/// The messages of a conversation with the highest numbers below one, highest first
pub fn page(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    before: Number,
    filter: &Filter,
) -> Result<Vec<MessageKey>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    tx.all(
        filtered!(
            "message",
            "message.conversation_key = $5 AND message.number < $6 ORDER BY message.number DESC LIMIT $7"
        ),
        &[since, until, sender, receiver, &conversation, &before, limit],
        key,
    )
}

/// The messages of a conversation with the lowest numbers between two, lowest first
pub fn page_after(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    after: Number,
    before: Number,
    filter: &Filter,
) -> Result<Vec<MessageKey>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    tx.all(
        filtered!(
            "message",
            "message.conversation_key = $5 AND message.number > $6 AND message.number < $7
             ORDER BY message.number LIMIT $8"
        ),
        &[since, until, sender, receiver, &conversation, &after, &before, limit],
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

/// The messages of a conversation that were sent in a time, where there are no more than `most`, the lowest number first. They
/// are found by the time, which is quicker than by their numbers where they are few and far from the end.
pub fn few_in(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    filter: &Filter,
    most: usize,
) -> Result<Option<Vec<(Number, MessageKey)>>> {
    let Filter { since, until, sender, receiver, .. } = filter;
    let limit = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
    // By time for all that it holds: a sender who says little would have the whole of it looked at.
    let mut found = tx.all(
        "SELECT message.number, message.key,
             (CAST($1 AS BIGINT) IS NULL OR message.sender_key = $1) AND (CAST($2 AS BIGINT) IS NULL OR message.receiver_key = $2)
         FROM message WHERE message.conversation_key = $3 AND message.sent_at >= $4 AND message.sent_at < $5
         ORDER BY message.sent_at DESC LIMIT $6",
        &[sender, receiver, &conversation, since, until, &limit],
        |row| Ok((row.get::<Number>(0)?, row.get(1)?, row.get::<Option<bool>>(2)?.unwrap_or(false))),
    )?;
    if found.len() > most {
        return Ok(None);
    }
    found.sort_unstable_by_key(|(number, ..)| *number);
    Ok(Some(found.into_iter().filter(|(.., is_meant)| *is_meant).map(|(number, key, _)| (number, key)).collect()))
}

/// The newest messages of all conversations, newest first
pub fn newest(tx: &mut Tx<'_>, filter: &Filter) -> Result<Vec<MessageKey>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    tx.all(
        filtered!("message", "TRUE ORDER BY message.sent_at DESC, message.key DESC LIMIT $5"),
        &[since, until, sender, receiver, limit],
        key,
    )
}

/// The newest messages of a user's conversations, newest first: of each conversation no more than the limit is looked at.
pub fn newest_visible(tx: &mut Tx<'_>, viewer: UserKey, filter: &Filter) -> Result<Vec<MessageKey>> {
    let Filter { since, until, limit, .. } = filter;
    tx.all(
        "SELECT visible.key
         FROM participant CROSS JOIN message AS visible
         WHERE visible.conversation_key = participant.conversation_key
           AND visible.sent_at >= coalesce((
               SELECT last.sent_at FROM message AS last
               WHERE last.conversation_key = participant.conversation_key
                 AND last.sent_at >= $1 AND last.sent_at < $2
               ORDER BY last.sent_at DESC LIMIT 1 OFFSET $3), $1)
           AND visible.sent_at < $2 AND participant.user_key = $4
         ORDER BY visible.sent_at DESC, visible.key DESC LIMIT $5",
        &[since, until, &(limit - 1).max(0), &viewer, limit],
        key,
    )
}

/// The newest messages a user sent, newest first: those a viewer shares a conversation for, or all for the operator
pub fn newest_from(
    tx: &mut Tx<'_>,
    sender: UserKey,
    viewer: Option<UserKey>,
    filter: &Filter,
) -> Result<Vec<MessageKey>> {
    let Filter { since, until, receiver, limit, .. } = filter;
    tx.all(
        filtered!(
            "message",
            "message.sender_key = $3
             AND (CAST($5 AS BIGINT) IS NULL OR EXISTS (
                 SELECT 1 FROM participant
                 WHERE participant.conversation_key = message.conversation_key AND participant.user_key = $5))
             ORDER BY message.sent_at DESC, message.key DESC LIMIT $6"
        ),
        &[since, until, &sender, receiver, &viewer, limit],
        key,
    )
}

/// The newest messages to a user, newest first: those a viewer shares a conversation for, or all for the operator
pub fn newest_to(
    tx: &mut Tx<'_>,
    receiver: UserKey,
    viewer: Option<UserKey>,
    filter: &Filter,
) -> Result<Vec<MessageKey>> {
    let Filter { since, until, sender, limit, .. } = filter;
    tx.all(
        filtered!(
            "message",
            "message.receiver_key = $4
             AND (CAST($5 AS BIGINT) IS NULL OR EXISTS (
                 SELECT 1 FROM participant
                 WHERE participant.conversation_key = message.conversation_key AND participant.user_key = $5))
             ORDER BY message.sent_at DESC, message.key DESC LIMIT $6"
        ),
        &[since, until, sender, &receiver, &viewer, limit],
        key,
    )
}

/// The messages a user sent before one, newest first, whoever may see them
pub fn sent_by(
    tx: &mut Tx<'_>,
    sender: UserKey,
    before: (Timestamp, MessageKey),
    limit: i64,
) -> Result<Vec<MessageKey>> {
    tx.all(
        "SELECT key FROM message WHERE sender_key = $1 AND (sent_at, key) < ($2, $3)
         ORDER BY sent_at DESC, key DESC LIMIT $4",
        &[&sender, &before.0, &before.1, &limit],
        key,
    )
}

/// The messages to a user before one, newest first, whoever may see them
pub fn received_by(
    tx: &mut Tx<'_>,
    receiver: UserKey,
    before: (Timestamp, MessageKey),
    limit: i64,
) -> Result<Vec<MessageKey>> {
    tx.all(
        "SELECT key FROM message WHERE receiver_key = $1 AND (sent_at, key) < ($2, $3)
         ORDER BY sent_at DESC, key DESC LIMIT $4",
        &[&receiver, &before.0, &before.1, &limit],
        key,
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

/// The messages of a conversation that a user has not read with the highest numbers, highest first
pub fn newest_unread_of(
    tx: &mut Tx<'_>,
    user: UserKey,
    conversation: ConversationKey,
    filter: &Filter,
) -> Result<Vec<MessageKey>> {
    let Filter { since, until, sender, receiver, limit } = filter;
    tx.all(
        filtered!(
            "notification JOIN message ON message.key = notification.message_key",
            "notification.user_key = $5 AND notification.conversation_key = $6 AND notification.is_read = FALSE
             ORDER BY message.number DESC LIMIT $7"
        ),
        &[since, until, sender, receiver, &user, &conversation, limit],
        key,
    )
}

/// Whether a conversation has a message with a higher number than one that came in before another: numbers were loaded that
/// had been left out.
pub fn is_out_of_order(
    tx: &mut Tx<'_>,
    conversation: ConversationKey,
    above: Number,
    before: MessageKey,
) -> Result<bool> {
    let found = tx.one(
        "SELECT key FROM message WHERE conversation_key = $1 AND number > $2 AND key < $3 ORDER BY number LIMIT 1",
        &[&conversation, &above, &before],
        key,
    )?;
    Ok(found.is_some())
}
