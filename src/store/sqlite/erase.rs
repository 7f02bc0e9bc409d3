//! Erasing deleted data from the file and its write-ahead log.
//!
//! `secure_delete` overwrites deleted rows at once. Two places remain. The search index only notes that an entry is gone
//! until its segments are merged; that goes in steps. And the log holds old pages until a checkpoint truncates it, which a
//! reader can prevent.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::Database;
use super::patience::waiting_until;
use crate::error::Result;
use crate::model::Task;
use crate::store::tx::Stamp;
use crate::store::{Erasure, maintenance};

/// How many pages of the index one step merges: some 20 ms, in a transaction of its own
const PAGES: i64 = 500;

/// How long a checkpoint waits for readers
const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(500);

impl Database {
    /// Erases deleted data, until `is_late`.
    pub(in crate::store) fn erase(&self, stamp: Stamp, is_late: &dyn Fn() -> bool) -> Result<Erasure> {
        while let Some(deletions) = self.read(stamp, &mut |tx| maintenance::position(tx, Task::Erase))? {
            if !self.merge_all(is_late)? {
                return Ok(Erasure::Pending);
            }
            if !self.checkpoint()? {
                return Ok(Erasure::Blocked);
            }
            let is_more = self.write(stamp, &mut |tx| maintenance::end_erasure(tx, deletions))?;
            if is_more && is_late() {
                return Ok(Erasure::Pending);
            }
        }
        Ok(Erasure::Done)
    }

    /// Cleans up until `is_late`: erases deleted data and moves the write-ahead log into the file. Returns whether
    /// nothing is left; the rest stays pending in the database.
    pub(in crate::store) fn clean(&self, stamp: Stamp, is_late: &dyn Fn() -> bool) -> bool {
        let erased = self.erase(stamp, is_late);
        if is_late() {
            return false;
        }
        // Waits for no reader.
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(0));
        !matches!(erased, Ok(Erasure::Pending))
    }

    /// Merges the segments of the search index into one without deleted entries; returns whether it is complete.
    fn merge_all(&self, is_late: &dyn Fn() -> bool) -> Result<bool> {
        // The first round ends a merge that was already going on when something was deleted from its result.
        for _ in 0..2 {
            if !merge(&self.connection, -PAGES)? {
                return Ok(true);
            }
            while merge(&self.connection, PAGES)? {
                if is_late() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Moves the log into the file and truncates it; says whether no reader prevented it.
    pub(in crate::store) fn checkpoint(&self) -> Result<bool> {
        let checkpoint =
            || self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        let busy = waiting_until(Instant::now() + CHECKPOINT_PATIENCE, checkpoint)?;
        Ok(!busy)
    }
}

/// One step of merging; a negative number of pages restarts with all segments. Returns whether there was work.
fn merge(connection: &Connection, pages: i64) -> Result<bool> {
    let before = connection.total_changes();
    let mut statement =
        connection.prepare_cached("INSERT INTO message_search (message_search, rank) VALUES ('merge', $1)")?;
    statement.execute([pages])?;
    // The command itself counts as one change.
    Ok(connection.total_changes() - before >= 2)
}
