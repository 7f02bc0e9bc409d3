//! How long a writer waits for others before it gives up, measured in time and not in retries, which take longer on a
//! busy machine.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Transactions are short, but SQLite's locks are not fair: beside many busy writers one can wait for seconds.
pub(in crate::store) const PATIENCE: Duration = Duration::from_secs(30);

/// The longest sleep of a waiting writer between two attempts; the first ones are shorter. SQLite's own sleeps grow to
/// 100 ms, longer than the pause of a load between two transactions.
const NAP: Duration = Duration::from_millis(5);

thread_local! {
    /// The deadline for waiting in this thread
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
    /// When waiting for the lock began
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Lets a connection wait for other writers.
pub(super) fn wait_for_others(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(wait))
}

/// Runs something that waits for others at most this long.
pub(in crate::store) fn waiting_until<T>(end: Instant, work: impl FnOnce() -> T) -> T {
    let before = UNTIL.replace(Some(end));
    let done = work();
    UNTIL.set(before);
    done
}

/// Waits for another writer; false after the deadline.
fn wait(naps: i32) -> bool {
    let now = Instant::now();
    if naps == 0 {
        BEGAN.set(Some(now));
    }
    let end = UNTIL.get().or_else(|| BEGAN.get().map(|began| began + PATIENCE));
    if end.is_some_and(|end| now >= end) {
        return false;
    }
    #[expect(clippy::disallowed_methods, reason = "another process has the lock, and nothing tells when it is free")]
    std::thread::sleep(if naps < 5 { NAP / 5 } else { NAP });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_waits_for_a_time_and_not_for_a_number_of_attempts() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Connection::open(folder.path().join("x.db")).unwrap();
        let (other, mut own) = (open(), open());
        wait_for_others(&mut own).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let begin = || own.execute_batch("BEGIN IMMEDIATE; ROLLBACK");
        for milliseconds in [0, 300] {
            let (start, patience) = (Instant::now(), Duration::from_millis(milliseconds));
            let refused = waiting_until(start + patience, begin);
            assert_eq!(refused.unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
            assert!(start.elapsed() >= patience && start.elapsed() < patience + PATIENCE / 3, "{:?}", start.elapsed());
        }
        other.execute_batch("ROLLBACK").unwrap();
        begin().unwrap();
    }

    #[test]
    fn each_wait_has_its_own_deadline_and_short_sleeps_only_at_first() {
        assert!(wait(0));
        BEGAN.set(Instant::now().checked_sub(PATIENCE));
        assert!(!wait(1));
        assert!(wait(0));
        let start = Instant::now();
        assert!((5..15).all(wait));
        assert!(start.elapsed() >= NAP * 10, "{:?}", start.elapsed());
    }
}
