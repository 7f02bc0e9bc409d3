//! The log of events: one row for each state change, keys and ids only.

use super::Tx;
use crate::error::Result;
use crate::model::{Actor, ConversationKey, Event, EventKey, EventKind, MessageKey, UserKey};

/// Appends an event to the log.
pub fn record(tx: &mut Tx<'_>, actor: &Actor, event: Event) -> Result<EventKey> {
    tx.only(
        "INSERT INTO event (kind, at, actor_key, operator, conversation_key, user_key, subject_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING key",
        &[&event.kind, &tx.now(), &actor.key(), &actor.operator(), &event.conversation, &event.user, &event.subject],
        |row| row.get(0),
    )
}

/// Appends, for each of these messages, that it was deleted.
pub fn record_deletions(tx: &mut Tx<'_>, actor: &Actor, messages: &[MessageKey]) -> Result<()> {
    tx.run(
        concat!(
            "INSERT INTO event (kind, at, actor_key, operator, conversation_key, subject_id)
             SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT), conversation_key, id
             FROM message WHERE key IN ",
            list!("$5"),
            " ORDER BY key"
        ),
        &[
            &EventKind::MessageDeleted,
            &tx.now(),
            &actor.key(),
            &actor.operator(),
            &super::list(messages.iter().map(|key| key.0)),
        ],
    )?;
    Ok(())
}

/// Lets everybody who shares a conversation with that user hear of the event, also when the conversations are gone.
pub fn tell_companions(tx: &mut Tx<'_>, event: EventKey, user: UserKey) -> Result<()> {
    tx.run(
        "INSERT INTO event_audience (event_key, user_key)
         SELECT DISTINCT CAST($1 AS BIGINT), companion.user_key
         FROM participant AS own JOIN participant AS companion ON companion.conversation_key = own.conversation_key
         WHERE own.user_key = $2 AND companion.user_key <> $2",
        &[&event, &user],
    )?;
    Ok(())
}

/// Lets the participants of a conversation hear of the event, also when the conversation is gone.
pub fn tell_participants(tx: &mut Tx<'_>, event: EventKey, conversation: ConversationKey) -> Result<()> {
    tx.run(
        "INSERT INTO event_audience (event_key, user_key)
         SELECT CAST($1 AS BIGINT), user_key FROM participant WHERE conversation_key = $2",
        &[&event, &conversation],
    )?;
    Ok(())
}

/// The key of the newest event; 0 where there is none.
pub fn newest(tx: &mut Tx<'_>) -> Result<EventKey> {
    let newest = tx.one("SELECT key FROM event WHERE key > 0 ORDER BY key DESC LIMIT 1", &[], |row| row.get(0))?;
    Ok(newest.unwrap_or(EventKey(0)))
}
