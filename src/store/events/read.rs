//! Reading the log in its order.

use uuid::Uuid;

use crate::error::Result;
use crate::model::{ConversationKey, EventKey, EventKind, Timestamp, UserKey};
use crate::store::{Row, Tx, list};

/// A place in the log. PostgreSQL gives keys out before they are committed, so there the order is that of transactions' ids first:
/// each event has its own transaction's, or the newest that was done when it was recorded, if that is higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The id of the transaction; 0 with SQLite
    pub transaction: i64,
    pub key: EventKey,
}

impl Position {
    /// Before every event
    pub const START: Self = Self { transaction: 0, key: EventKey(0) };
    /// Behind every event
    pub const END: Self = Self { transaction: i64::MAX, key: EventKey(i64::MAX) };
}

/// A row of the log.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub position: Position,
    pub kind: EventKind,
    pub at: Timestamp,
    /// None: the operator
    pub actor: Option<UserKey>,
    /// The name of the operator's account on the machine
    pub operator: Option<String>,
    pub conversation: Option<ConversationKey>,
    pub user: Option<UserKey>,
    /// The message, conversation or user it is about; none: several
    pub subject: Option<Uuid>,
    /// What notifications became
    pub is_read: Option<bool>,
}

impl EventRow {
    /// The conversation whose participants hear of it: who has read what concerns nobody else.
    pub fn heard_in(&self) -> Option<ConversationKey> {
        self.conversation.filter(|_| self.kind != EventKind::NotificationUpdated)
    }
}

/// A change of who takes part in a conversation
#[derive(Clone, Copy, Debug)]
pub struct MembershipChange {
    pub position: Position,
    pub conversation: ConversationKey,
    /// Whether the user took part before it
    pub was_in: bool,
}

macro_rules! columns {
    () => {
        "event.transaction_id, event.key, event.kind, event.at, event.actor_key, event.operator, event.conversation_key,
         event.user_key, event.subject_id, event.is_read"
    };
}
pub(super) use columns;

pub(super) fn read(row: &Row<'_>) -> Result<EventRow> {
    Ok(EventRow {
        position: Position { transaction: row.get(0)?, key: row.get(1)? },
        kind: row.get(2)?,
        at: row.get(3)?,
        actor: row.get(4)?,
        operator: row.get(5)?,
        conversation: row.get(6)?,
        user: row.get(7)?,
        subject: row.get(8)?,
        is_read: row.get(9)?,
    })
}

/// The id of the first transaction that may still add events before others that are committed: what is below it is complete.
///
/// A transaction of another database of the same server adds none here, however long it is open.
fn horizon(tx: &mut Tx<'_>) -> Result<i64> {
    if tx.split(true, false) {
        return Ok(i64::MAX);
    }
    tx.only(
        "SELECT CAST(CAST(coalesce(
             (SELECT running FROM pg_snapshot_xip(taken) AS running
              WHERE NOT EXISTS (
                  SELECT 1 FROM pg_locks AS held JOIN pg_stat_activity AS session ON session.pid = held.pid
                  WHERE held.locktype = 'transactionid' AND held.granted AND held.mode = 'ExclusiveLock'
                    AND held.transactionid = CAST(running AS xid)
                    AND session.datid <> (SELECT oid FROM pg_database WHERE datname = current_database()))
              ORDER BY running LIMIT 1),
             pg_snapshot_xmax(taken)) AS TEXT) AS BIGINT)
         FROM pg_current_snapshot() AS taken /* scans: a server has few databases */",
        &[],
        |row| row.get(0),
    )
}

/// The events behind a place in the log, in its order, as far as it is complete
pub fn after(tx: &mut Tx<'_>, position: Position, limit: i64) -> Result<Vec<EventRow>> {
    let Position { transaction, key } = position;
    if tx.split(true, false) {
        let after = concat!("SELECT ", columns!(), " FROM event WHERE key > $1 ORDER BY key LIMIT $2");
        return tx.all(after, &[&key, &limit], read);
    }
    let below = horizon(tx)?;
    tx.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM event WHERE (transaction_id, key) > ($1, $2) AND transaction_id < $3
             ORDER BY transaction_id, key LIMIT $4"
        ),
        &[&transaction, &key, &below, &limit],
        read,
    )
}

/// The events behind a place in the log up to another up to which it is known to be complete, in its order.
///
/// To ask how far it is complete again would not do: on PostgreSQL a transaction of another database that has just ended may look
/// like one of this, so that less is known than before.
pub fn between(tx: &mut Tx<'_>, position: Position, up_to: Position, limit: i64) -> Result<Vec<EventRow>> {
    if tx.split(true, false) {
        let between = concat!("SELECT ", columns!(), " FROM event WHERE key > $1 AND key <= $2 ORDER BY key LIMIT $3");
        return tx.all(between, &[&position.key, &up_to.key, &limit], read);
    }
    tx.all(
        concat!(
            "SELECT ",
            columns!(),
            " FROM event WHERE (transaction_id, key) > ($1, $2) AND (transaction_id, key) <= ($3, $4)
             ORDER BY transaction_id, key LIMIT $5"
        ),
        &[&position.transaction, &position.key, &up_to.transaction, &up_to.key, &limit],
        read,
    )
}

/// The event at a place in the log
pub fn at(tx: &mut Tx<'_>, position: Position) -> Result<Option<EventRow>> {
    tx.one(
        concat!("SELECT ", columns!(), " FROM event WHERE key = $1 AND transaction_id = $2"),
        &[&position.key, &position.transaction],
        read,
    )
}

/// The newest event, as far as the log is complete
pub fn last(tx: &mut Tx<'_>) -> Result<Option<EventRow>> {
    if tx.split(true, false) {
        return tx.one(
            concat!("SELECT ", columns!(), " FROM event WHERE key > 0 ORDER BY key DESC LIMIT 1"),
            &[],
            read,
        );
    }
    let below = horizon(tx)?;
    tx.one(
        concat!(
            "SELECT ",
            columns!(),
            " FROM event WHERE transaction_id < $1 ORDER BY transaction_id DESC, key DESC LIMIT 1"
        ),
        &[&below],
        read,
    )
}

/// Where the newest event of all is, though others may still come before it
pub fn newest_of_all(tx: &mut Tx<'_>) -> Result<Option<Position>> {
    let newest = tx.split(
        "SELECT transaction_id, key FROM event WHERE key > 0 ORDER BY key DESC LIMIT 1",
        "SELECT transaction_id, key FROM event ORDER BY transaction_id DESC, key DESC LIMIT 1",
    );
    tx.one(newest, &[], |row| Ok(Position { transaction: row.get(0)?, key: row.get(1)? }))
}

/// Where the oldest event is that is kept
pub fn first(tx: &mut Tx<'_>) -> Result<Option<Position>> {
    let first = tx.split(
        "SELECT transaction_id, key FROM event WHERE key > 0 ORDER BY key LIMIT 1",
        "SELECT transaction_id, key FROM event ORDER BY transaction_id, key LIMIT 1",
    );
    tx.one(first, &[], |row| Ok(Position { transaction: row.get(0)?, key: row.get(1)? }))
}

/// Who hears of these events besides those whom the events name
pub fn audiences(tx: &mut Tx<'_>, events: impl IntoIterator<Item = EventKey>) -> Result<Vec<(EventKey, UserKey)>> {
    tx.all(
        concat!("SELECT event_key, user_key FROM event_audience WHERE event_key IN ", list!("$1")),
        &[&list(events.into_iter().map(|key| key.0))],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// What changed behind a place in the log in where a user takes part, the newest first; also what the log is not complete up to.
pub fn membership_changes(tx: &mut Tx<'_>, user: UserKey, after: Position) -> Result<Vec<MembershipChange>> {
    let (added, removed) = (EventKind::ParticipantAdded, EventKind::ParticipantRemoved);
    let (created, deleted) = (EventKind::ConversationCreated, EventKind::ConversationDeleted);
    let read = |row: &Row<'_>| {
        let kind: EventKind = row.get(2)?;
        Ok(MembershipChange {
            position: Position { transaction: row.get(0)?, key: row.get(1)? },
            was_in: kind == removed || kind == deleted,
            conversation: row.get(3)?,
        })
    };
    // With SQLite, where keys alone are the order, its indexes need not pass over what is before.
    let above = tx.split(after.key, EventKey(0));
    let mut changes = tx.all(
        "SELECT transaction_id, key, kind, conversation_key FROM event
         WHERE user_key = $1 AND key > $2 AND (transaction_id, key) > ($3, $4) AND kind IN ($5, $6)
           AND conversation_key IS NOT NULL",
        &[&user, &above, &after.transaction, &after.key, &added, &removed],
        read,
    )?;
    changes.extend(tx.all(
        "SELECT event.transaction_id, event.key, event.kind, event.conversation_key
         FROM event_audience JOIN event ON event.key = event_audience.event_key
         WHERE event_audience.user_key = $1 AND event_audience.event_key > $2
           AND (event.transaction_id, event.key) > ($3, $4) AND event.kind IN ($5, $6)
           AND event.conversation_key IS NOT NULL",
        &[&user, &above, &after.transaction, &after.key, &created, &deleted],
        read,
    )?);
    changes.sort_unstable_by_key(|change| std::cmp::Reverse(change.position));
    Ok(changes)
}
