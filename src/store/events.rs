//! The log of events: one row for each state change, keys and ids only.

mod look;
mod mark;
mod read;
mod retention;

use uuid::Uuid;

pub use self::look::{Doer, Object, Sought, Stretch, last_looked, newest_sought, place_of};
pub use self::mark::{Mark, Trace, mark, traces};
pub use self::read::{
    EventRow, MembershipChange, Position, after, at, audiences, between, first, last, membership_changes, newest_of_all,
};
pub use self::retention::{Excess, Retention, excess, prune};
use super::Tx;
use crate::error::Result;
use crate::model::{Actor, ConversationKey, Event, EventKey, EventKind, UserKey};

/// Appends an event to the log.
pub fn record(tx: &mut Tx<'_>, actor: &Actor, event: Event) -> Result<EventKey> {
    tx.only(
        "INSERT INTO event (kind, at, actor_key, operator, conversation_key, user_key, subject_id, is_read)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING key",
        &[
            &event.kind,
            &tx.now(),
            &actor.key(),
            &actor.operator(),
            &event.conversation,
            &event.user,
            &event.subject,
            &event.is_read,
        ],
        |row| row.get(0),
    )
}

/// Appends an event about each of these users, in the order of their accounts: of a conversation, or of the account itself.
pub fn record_of_users(
    tx: &mut Tx<'_>,
    actor: &Actor,
    kind: EventKind,
    conversation: Option<ConversationKey>,
    users: impl IntoIterator<Item = UserKey>,
) -> Result<()> {
    tx.run(
        concat!(
            "INSERT INTO event (kind, at, actor_key, operator, conversation_key, user_key, subject_id)
             SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS BIGINT), key, id
             FROM account WHERE key IN ",
            list!("$6"),
            " ORDER BY key"
        ),
        &[&kind, &tx.now(), &actor.key(), &actor.operator(), &conversation, &super::list(users.into_iter().map(|key| key.0))],
    )?;
    Ok(())
}

/// Appends the end of each of these conversations, in the order of their keys. Who takes part hears of it, except one, though the
/// conversation is gone by the time it is told.
pub fn record_ends(
    tx: &mut Tx<'_>,
    actor: &Actor,
    conversations: &[ConversationKey],
    except: Option<UserKey>,
) -> Result<()> {
    if conversations.is_empty() {
        return Ok(());
    }
    let events: Vec<i64> = tx.all(
        concat!(
            "INSERT INTO event (kind, at, actor_key, operator, conversation_key, subject_id)
             SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT), key, id
             FROM conversation WHERE key IN ",
            list!("$5"),
            " ORDER BY key RETURNING key"
        ),
        &[
            &EventKind::ConversationDeleted,
            &tx.now(),
            &actor.key(),
            &actor.operator(),
            &super::list(conversations.iter().map(|key| key.0)),
        ],
        |row| row.get(0),
    )?;
    tx.run(
        concat!(
            "INSERT INTO event_audience (event_key, user_key)
             SELECT event.key, participant.user_key
             FROM event JOIN participant ON participant.conversation_key = event.conversation_key
             WHERE (CAST($1 AS BIGINT) IS NULL OR participant.user_key <> $1) AND event.key IN ",
            list!("$2")
        ),
        &[&except, &super::list(events)],
    )?;
    Ok(())
}

/// Appends that a user takes part in none of their conversations any more, in the order of the conversations, without those that
/// end.
pub fn record_departure(tx: &mut Tx<'_>, actor: &Actor, user: UserKey, ending: &[ConversationKey]) -> Result<()> {
    tx.run(
        concat!(
            "INSERT INTO event (kind, at, actor_key, operator, conversation_key, user_key, subject_id)
             SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT),
                    participant.conversation_key, account.key, account.id
             FROM participant JOIN account ON account.key = participant.user_key
             WHERE participant.user_key = $5 AND participant.conversation_key NOT IN ",
            list!("$6"),
            " ORDER BY participant.conversation_key"
        ),
        &[
            &EventKind::ParticipantRemoved,
            &tx.now(),
            &actor.key(),
            &actor.operator(),
            &user,
            &super::list(ending.iter().map(|key| key.0)),
        ],
    )?;
    Ok(())
}

/// Appends that several messages of these conversations are deleted, in the order of the conversations, without those in which a
/// user takes part.
pub fn record_deletions_where_absent(
    tx: &mut Tx<'_>,
    actor: &Actor,
    user: UserKey,
    conversations: &[ConversationKey],
) -> Result<()> {
    tx.run(
        concat!(
            "INSERT INTO event (kind, at, actor_key, operator, conversation_key)
             SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT), key
             FROM conversation WHERE key IN ",
            list!("$5"),
            " AND NOT EXISTS (
                 SELECT 1 FROM participant WHERE conversation_key = conversation.key AND user_key = $6)
             ORDER BY key"
        ),
        &[
            &EventKind::MessageDeleted,
            &tx.now(),
            &actor.key(),
            &actor.operator(),
            &super::list(conversations.iter().map(|key| key.0)),
            &user,
        ],
    )?;
    Ok(())
}

/// Lets the participants of conversations hear of an event, except one, also when the conversations are gone by the time
/// it is told.
pub fn tell_participants(
    tx: &mut Tx<'_>,
    event: EventKey,
    conversations: &[ConversationKey],
    except: Option<UserKey>,
) -> Result<()> {
    tx.run(
        concat!(
            "INSERT INTO event_audience (event_key, user_key)
             SELECT DISTINCT CAST($1 AS BIGINT), user_key FROM participant
             WHERE (CAST($2 AS BIGINT) IS NULL OR user_key <> $2) AND conversation_key IN ",
            list!("$3")
        ),
        &[&event, &except, &super::list(conversations.iter().map(|key| key.0))],
    )?;
    Ok(())
}

/// As [`tell_participants`], of the events that conversations began with, all behind a place in the log.
pub fn tell_first_participants(tx: &mut Tx<'_>, after: EventKey, conversations: &[ConversationKey]) -> Result<()> {
    tx.run(
        concat!(
            "INSERT INTO event_audience (event_key, user_key)
             SELECT event.key, participant.user_key
             FROM event JOIN participant ON participant.conversation_key = event.conversation_key
             WHERE event.key > $1 AND event.kind = $2 AND event.conversation_key IN ",
            list!("$3")
        ),
        &[&after, &EventKind::ConversationCreated, &super::list(conversations.iter().map(|key| key.0))],
    )?;
    Ok(())
}

/// The key of the newest event; 0 where there is none.
pub fn newest(tx: &mut Tx<'_>) -> Result<EventKey> {
    let newest = tx.one("SELECT key FROM event WHERE key > 0 ORDER BY key DESC LIMIT 1", &[], |row| row.get(0))?;
    Ok(newest.unwrap_or(EventKey(0)))
}

/// What a cursor names beside its place: which log it is of. It is drawn at random when the log begins, and anew when a backup
/// takes the place of the database and when the database returns to an earlier state; a copy of the file keeps it.
pub fn generation(tx: &mut Tx<'_>) -> Result<[u8; 16]> {
    let generation: Uuid =
        tx.only("SELECT generation FROM event_log /* scans: it has one row */", &[], |row| row.get(0))?;
    Ok(generation.into_bytes())
}
