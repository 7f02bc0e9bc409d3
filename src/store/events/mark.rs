//! States of the log: by them what was read earlier is known to be right still.

use uuid::Uuid;

use crate::error::Result;
use crate::model::{ConversationKey, EventKey, EventKind, Timestamp, UserKey};
use crate::store::tx::from_code;
use crate::store::{Row, Tx};

/// A state of the log: which log it is, and its newest event with what its row says, so that a log that took its place, also one that
/// is a copy of an earlier state, is told apart. Only with SQLite, where events come in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    generation: Uuid,
    newest: Newest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Newest {
    /// 0: there is no event yet
    key: EventKey,
    at: Option<Timestamp>,
    subject: Option<Uuid>,
}

/// What an event says of what it is about
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// None: of a newer program
    pub kind: Option<EventKind>,
    pub conversation: Option<ConversationKey>,
    pub user: Option<UserKey>,
}

impl Mark {
    /// Whether it is of the same log
    pub fn is_of_log_of(&self, other: &Self) -> bool {
        self.generation == other.generation
    }

    /// The key of the newest event
    pub fn key(&self) -> EventKey {
        self.newest.key
    }
}

/// The state of the log that a transaction sees: two steps down a tree, as often as a page is asked for.
pub fn mark(tx: &mut Tx<'_>) -> Result<Mark> {
    tx.only(
        "SELECT event_log.generation, event.key, event.at, event.subject_id
         FROM event_log /* scans: it has one row */
         LEFT JOIN event ON event.key = (SELECT key FROM event WHERE key > 0 ORDER BY key DESC LIMIT 1)
         WHERE event_log.key = 1",
        &[],
        |row| {
            let key: Option<EventKey> = row.get(1)?;
            let newest = Newest { key: key.unwrap_or(EventKey(0)), at: row.get(2)?, subject: row.get(3)? };
            Ok(Mark { generation: row.get(0)?, newest })
        },
    )
}

/// What happened after a state of the same log, in its order. None where that is not known: the log does not reach back that far, it
/// went on otherwise, or it is more than `limit`.
pub fn traces(tx: &mut Tx<'_>, Mark { newest, .. }: &Mark, limit: usize) -> Result<Option<Vec<Trace>>> {
    let read = |row: &Row<'_>| {
        let event = Newest { key: row.get(0)?, at: Some(row.get(1)?), subject: row.get(2)? };
        Ok((event, Trace { kind: from_code(row.get(3)?), conversation: row.get(4)?, user: row.get(5)? }))
    };
    let most = i64::try_from(limit.saturating_add(2)).unwrap_or(i64::MAX);
    let found = tx.all(
        "SELECT key, at, subject_id, kind, conversation_key, user_key FROM event WHERE key >= $1 ORDER BY key LIMIT $2",
        &[&newest.key, &most],
        read,
    )?;
    let is_first_of_all = newest.key == EventKey(0);
    let reaches_back = match found.first() {
        Some((first, _)) if is_first_of_all => first.key == EventKey(1),
        Some((first, _)) => first == newest,
        None => is_first_of_all,
    };
    let later: Vec<Trace> = found.into_iter().skip(usize::from(!is_first_of_all)).map(|(_, trace)| trace).collect();
    Ok((reaches_back && later.len() <= limit).then_some(later))
}
