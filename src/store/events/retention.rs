//! How long events are kept, and how the others go: from the oldest on, so that what is left is the log from some place on.

use super::Position;
use crate::error::Result;
use crate::model::Timestamp;
use crate::store::{Tx, list};

/// How many events one transaction deletes at the most
const TOGETHER: i64 = 1000;

/// Which events are kept: those that either wants.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The events of so many days
    pub days: u32,
    /// The newest so many; at least one is always kept
    pub count: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { days: 30, count: 100_000 }
    }
}

/// The events that need not be kept: up to a place, those before a time.
#[derive(Clone, Copy, Debug)]
pub struct Excess {
    last: Position,
    before: Timestamp,
}

/// Which events need not be kept; none where there are no more than the newest that are. It reads the keys of those.
pub fn excess(tx: &mut Tx<'_>, retention: Retention) -> Result<Option<Excess>> {
    let before = tx.now().plus_seconds(-i64::from(retention.days) * 24 * 60 * 60);
    let last = tx.one(
        tx.split(
            "SELECT transaction_id, key FROM event WHERE key > 0 ORDER BY key DESC LIMIT 1 OFFSET $1",
            "SELECT transaction_id, key FROM event WHERE transaction_id >= 0
             ORDER BY transaction_id DESC, key DESC LIMIT 1 OFFSET $1",
        ),
        &[&i64::from(retention.count.max(1))],
        |row| Ok(Position { transaction: row.get(0)?, key: row.get(1)? }),
    )?;
    Ok(last.map(|last| Excess { last, before }))
}

/// Deletes some of the oldest events that need not be kept, with their audiences; says whether there may be more.
pub fn prune(tx: &mut Tx<'_>, excess: &Excess) -> Result<bool> {
    let oldest: Vec<(Position, Timestamp)> = tx.all(
        tx.split(
            "SELECT transaction_id, key, at FROM event WHERE key > 0 ORDER BY key LIMIT $1",
            "SELECT transaction_id, key, at FROM event WHERE transaction_id >= 0 ORDER BY transaction_id, key LIMIT $1",
        ),
        &[&TOGETHER],
        |row| Ok((Position { transaction: row.get(0)?, key: row.get(1)? }, row.get(2)?)),
    )?;
    // What comes before one that is old enough is older, whatever the clock said then: the log has no holes.
    let is_last = |(place, at): &(Position, Timestamp)| *place <= excess.last && *at < excess.before;
    let Some(last) = oldest.iter().rposition(is_last) else { return Ok(false) };
    let keys = list(oldest.iter().take(last + 1).map(|(place, _)| place.key.0));
    tx.run(concat!("DELETE FROM event_audience WHERE event_key IN ", list!("$1")), &[&keys])?;
    tx.run(concat!("DELETE FROM event WHERE key IN ", list!("$1")), &[&keys])?;
    Ok(last + 1 == oldest.len())
}
