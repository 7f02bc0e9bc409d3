//! The connection that writes for a whole server.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, Transaction, TransactionBehavior};

use super::failure::read_only;
use super::patience::{PATIENCE, waiting_until};
use super::{Database, LARGEST_LOG, RENEW_GENERATION, beside, configure, connect, explain, real};
use crate::error::{Error, Result};
use crate::store::pool::Job;
use crate::store::tx::{Inner, Tx};

/// The number of log pages at which a commit checkpoints: the default of 1,000 would do so several times a second. A
/// separate checkpoint thread never let the log restart.
const LOG_PAGES: u64 = 10_000;

/// A page of the log with its header, in bytes
const LOG_PAGE: u64 = 4096 + 24;

impl Database {
    /// Prepares for a writer that many wait for. Of a temporary database nothing has to last, and its log is never moved into
    /// the file by itself: the file holds the state to return to.
    pub(in crate::store) fn expect_many_writes(&mut self, is_temporary: bool) -> Result<()> {
        if is_temporary {
            self.connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            self.connection.pragma_update(None, "synchronous", "OFF")?;
            self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        } else {
            self.limit_log()?;
        }
        // What was prepared under other settings would be prepared again.
        self.connection.flush_prepared_statement_cache();
        Ok(())
    }

    /// Moves everything into the file: the state to return to.
    pub(in crate::store) fn mark(&self) -> Result<()> {
        if self.checkpoint()? { Ok(()) } else { Err(Error::unavailable("Another program reads the database.")) }
    }

    /// Throws the log away, and with it everything since the file was written: the same time for a small database and a large
    /// one. Nobody else has it open.
    pub(in crate::store) fn return_to_mark(&mut self) -> Result<()> {
        let path = PathBuf::from(self.connection.path().unwrap_or_default());
        let nothing = Connection::open_in_memory()?;
        drop(std::mem::replace(&mut self.connection, nothing));
        for suffix in ["-wal", "-shm"] {
            throw_away(&beside(&path, suffix)).map_err(Error::internal)?;
        }
        self.connection = configure(connect(&path)?)?;
        self.expect_many_writes(true)?;
        // Cursors from after the mark are void, though the keys of their events are given out again.
        self.connection.execute(RENEW_GENERATION, [])?;
        Ok(())
    }

    /// Limits the log to a quarter of the free space, because its contents have to fit into the file too. On a disk
    /// with enough space nothing changes.
    fn limit_log(&mut self) -> Result<()> {
        let free = rustix::fs::statvfs(&self.path).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let (pages, bytes) = log_limits(free.unwrap_or(u64::MAX));
        if pages == self.log_pages {
            return Ok(());
        }
        for (limit, value) in [("wal_autocheckpoint", pages), ("journal_size_limit", bytes)] {
            self.connection.pragma_update(None, limit, i64::try_from(value).map_err(Error::internal)?)?;
        }
        self.connection.flush_prepared_statement_cache();
        self.log_pages = pages;
        Ok(())
    }

    /// Replaces this connection by a new one that can write, if possible.
    pub(in crate::store) fn reopen(&mut self, is_temporary: bool) -> Result<()> {
        self.file.must_be_at(&self.path)?;
        // The request may be that of an unauthenticated client.
        let mut reopened = Self::open_again(&self.path, self.file).map_err(Error::without_place)?;
        reopened.must_be_writable()?;
        reopened.expect_many_writes(is_temporary)?;
        *self = reopened;
        Ok(())
    }

    /// A file that could not be written when it was opened is never written by that connection, and says so only to each write.
    fn must_be_writable(&self) -> Result<()> {
        if self.connection.is_readonly(MAIN_DB)? { Err(explain(&self.path, read_only())) } else { Ok(()) }
    }

    /// As [`Database::write_jobs`], for jobs of which the first has been waiting since then.
    pub(in crate::store) fn write_group(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        since: Instant,
        finish: fn(&mut Tx<'_>) -> Result<()>,
    ) -> Result<Vec<Result<()>>> {
        self.must_be_writable()?;
        let outcomes = waiting_until(since + PATIENCE, || self.write_jobs(jobs, finish));
        let outcomes = outcomes.map_err(|error| explain(&self.path, error))?;
        if self.log_pages > 0 {
            // They are done, whatever becomes of the next.
            let _ = self.limit_log();
        }
        Ok(outcomes)
    }

    /// Runs jobs in one transaction, each in its own savepoint: one that fails or panics is rolled back alone. Returns
    /// their results after the commit. `finish` writes what they left for the end.
    ///
    /// # Errors
    /// What keeps all of them from the file; then nothing of any is left.
    fn write_jobs(&self, jobs: &mut [Box<dyn Job>], finish: fn(&mut Tx<'_>) -> Result<()>) -> Result<Vec<Result<()>>> {
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let run = |sql| transaction.prepare_cached(sql)?.execute([]);
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut to_index = BTreeMap::new();
        for job in jobs.iter_mut() {
            run("SAVEPOINT job")?;
            let stamp = job.stamp();
            let mut tx = Tx::new(Inner::Sqlite(&transaction, true), stamp);
            let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)))
                .unwrap_or_else(|_| Err(Error::internal("a write panicked")));
            let mut of_job = tx.to_index;
            if outcome.is_err() || stamp.dry_run {
                // A full disk, for example, makes SQLite undo everything by itself.
                if transaction.is_autocommit() {
                    return Err(outcome.err().unwrap_or_else(|| Error::internal("a transaction ended by itself")));
                }
                run("ROLLBACK TO job")?;
                of_job.clear();
            }
            run("RELEASE job")?;
            // Search is told at the end: it would write a piece of index for each savepoint.
            to_index.append(&mut of_job);
            outcomes.push(outcome);
        }
        if let Some(job) = jobs.first() {
            let mut tx = Tx::new(Inner::Sqlite(&transaction, true), job.stamp());
            tx.to_index = to_index;
            finish(&mut tx)?;
        }
        self.commit(transaction)?;
        Ok(outcomes)
    }
}

/// For so many free bytes: the number of log pages at which to checkpoint, and the size in bytes to truncate a longer
/// log to
fn log_limits(free: u64) -> (u64, u64) {
    match free / 4 / LOG_PAGE {
        LOG_PAGES.. => (LOG_PAGES, LARGEST_LOG),
        few => {
            // By halves, so that it is seldom another.
            let pages = 1 << few.checked_ilog2().unwrap_or(0);
            (pages, pages * LOG_PAGE)
        }
    }
}

#[cfg(test)]
impl Database {
    pub(in crate::store) fn become_read_only(&mut self) {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        self.connection = configure(Connection::open_with_flags(&self.path, flags).unwrap()).unwrap();
    }
}

/// Puts a file aside at once and lets somebody else delete it: the log of ten thousand messages has 300 MB, which take the
/// kernel a tenth of a second.
fn throw_away(path: &Path) -> std::io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let aside = beside(path, &format!("-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    match std::fs::rename(path, &aside) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        // Where no thread can be started, the file goes with its folder.
        Ok(()) => {
            let _ = std::thread::Builder::new().spawn(move || std::fs::remove_file(aside));
            Ok(())
        }
    }
}

/// How large the write-ahead log of a file is
pub(in crate::store) fn log_bytes(path: &Path) -> u64 {
    beside(&real(path), "-wal").metadata().map_or(0, |found| found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_takes_a_quarter_of_what_is_free_at_the_most() {
        assert_eq!(log_limits(4 * LOG_PAGE * LOG_PAGES), (LOG_PAGES, LARGEST_LOG));
        assert_eq!(log_limits(4 * LOG_PAGE * LOG_PAGES - 1), (8192, 8192 * LOG_PAGE));
        assert_eq!(log_limits(4 * LOG_PAGE * 100), (64, 64 * LOG_PAGE));
        assert_eq!(log_limits(0), (1, LOG_PAGE));
    }

    #[test]
    fn a_writer_that_many_wait_for_seldom_moves_its_log_and_of_a_temporary_database_never() {
        let folder = tempfile::tempdir().unwrap();
        let (mut database, _) = Database::open(&folder.path().join("x.db"), true).unwrap();
        let settings = |database: &Database| -> [i64; 3] {
            ["wal_autocheckpoint", "journal_size_limit", "synchronous"]
                .map(|name| database.connection.pragma_query_value(None, name, |row| row.get(0)).unwrap())
        };
        database.expect_many_writes(false).unwrap();
        assert_eq!(settings(&database), [LOG_PAGES.cast_signed(), LARGEST_LOG.cast_signed(), 2], "a disk with room");
        database.expect_many_writes(true).unwrap();
        let [moved_after, _, synchronous] = settings(&database);
        assert_eq!((moved_after, synchronous), (0, 0));
    }
}
