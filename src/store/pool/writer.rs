//! Writes in line.
//!
//! SQLite has one writer. Whatever waits when a commit ends shares the next one, each write in a savepoint of its own: four to
//! six times as many durable writes as with a commit for each. PostgreSQL has its own writers, so there each goes by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::vec::Drain;

use crate::error::{Error, Result};
use crate::store::{Stamp, Tx, search, sqlite};

/// The largest number of writes in one commit
const MOST_TOGETHER: usize = 256;

/// How long the writer is idle before it cleans up: erases deleted data, resets the write-ahead log
const IDLE: Duration = Duration::from_millis(200);

/// A write that waits for its turn.
pub(in crate::store) trait Job: Send {
    /// Since when it waits
    fn since(&self) -> Instant;
    /// What its transaction gets from outside
    fn stamp(&self) -> Stamp;
    /// Carries it out.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// Passes the result on after the commit.
    fn end(self: Box<Self>, outcome: Result<()>);
}

pub(super) struct Write<T, W, E> {
    pub(super) since: Instant,
    pub(super) stamp: Stamp,
    pub(super) work: W,
    pub(super) value: Option<T>,
    pub(super) end: E,
}

impl<T: Send, W: FnMut(&mut Tx<'_>) -> Result<T> + Send, E: FnOnce(Result<T>) + Send> Job for Write<T, W, E> {
    fn since(&self) -> Instant {
        self.since
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        self.value = Some((self.work)(tx)?);
        Ok(())
    }

    fn end(self: Box<Self>, outcome: Result<()>) {
        let Self { value, work, end, .. } = *self;
        // What it holds may be the last of what keeps the database open, which is to be closed by who gets the outcome: not by
        // this thread, which is waited for then.
        drop(work);
        end(outcome.and_then(|()| value.ok_or_else(|| Error::internal("a write without a result"))));
    }
}

/// The writer thread and its queue
pub(super) struct Writer {
    pub(super) tasks: Option<Sender<Task>>,
    pub(super) waiting: Arc<AtomicUsize>,
    /// The identity of the file that all connections use
    pub(super) file: sqlite::Identity,
    /// The writer has no connection that can write
    pub(super) is_stuck: Arc<AtomicBool>,
    pub(super) thread: Option<JoinHandle<()>>,
}

/// What the writer does
pub(super) enum Task {
    Write(Box<dyn Job>),
    /// Notes the state to return to
    Mark(Sender<Result<()>>),
    /// Returns to that state
    Return(Sender<Result<()>>),
}

/// The options of a pool.
pub struct PoolOptions {
    /// What the writer's own work is stamped with, when it has nothing else to do
    pub stamp: Box<dyn Fn() -> Stamp + Send>,
    /// Is called with the number of writes that shared a commit
    pub committed: Box<dyn Fn(usize) + Send + Sync>,
    /// The database is gone when the process is: nothing has to last, and all can be taken back
    pub is_temporary: bool,
}

impl Writer {
    pub(super) fn enqueue(&self, job: Box<dyn Job>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(Task::Write(job)));
        if let Some(Err(mpsc::SendError(Task::Write(job)))) = sent {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            job.end(Err(Error::internal("the writer is gone")));
        }
    }
}

/// Runs queued jobs in batches, until the queue is closed.
pub(super) fn write_in_groups(
    mut database: sqlite::Database,
    queue: &Receiver<Task>,
    waiting: &AtomicUsize,
    is_stuck: &AtomicBool,
    PoolOptions { stamp, committed, is_temporary }: &PoolOptions,
) {
    let mut is_clean = *is_temporary;
    let mut jobs: Vec<Box<dyn Job>> = Vec::new();
    let mut next = None;
    loop {
        let before = jobs.len();
        if jobs.is_empty() {
            let idle = if is_clean && !is_stuck.load(Ordering::Relaxed) { Duration::from_hours(1) } else { IDLE };
            match next.take().map_or_else(|| queue.recv_timeout(idle), Ok) {
                Ok(Task::Write(job)) => jobs.push(job),
                Ok(Task::Mark(done)) => {
                    let _ = done.send(database.mark());
                    continue;
                }
                Ok(Task::Return(done)) => {
                    let _ = done.send(database.return_to_mark());
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {
                    if is_stuck.load(Ordering::Relaxed) {
                        is_stuck.store(database.reopen(*is_temporary).is_err(), Ordering::Relaxed);
                    } else {
                        is_clean = *is_temporary || database.clean(stamp(), &|| waiting.load(Ordering::Relaxed) > 0);
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        while next.is_none() && jobs.len() < MOST_TOGETHER {
            match queue.try_recv() {
                Ok(Task::Write(job)) => jobs.push(job),
                Ok(other) => next = Some(other),
                Err(_) => break,
            }
        }
        waiting.fetch_sub(jobs.len() - before, Ordering::Relaxed);
        is_clean = *is_temporary;
        // Since the job that waits longest came.
        let since = jobs[0].since();
        // A connection that cannot write is replaced; this is tried again until it works.
        let opened = if is_stuck.load(Ordering::Relaxed) { database.reopen(*is_temporary) } else { Ok(()) };
        is_stuck.store(opened.is_err(), Ordering::Relaxed);
        match opened.and_then(|()| database.write_group(&mut jobs, since, search::write_index)) {
            Ok(outcomes) => {
                committed(jobs.len());
                jobs.drain(..).zip(outcomes).for_each(|(job, outcome)| job.end(outcome));
            }
            // Another program keeps the lock: jobs that have waited for long enough fail, the others wait on.
            Err(error) if sqlite::is_busy(&error) => {
                let late = jobs.iter().take_while(|job| job.since().elapsed() >= sqlite::PATIENCE).count().max(1);
                fail(jobs.drain(..late), error);
            }
            Err(error) => {
                // After a failed commit the state of the connection is unknown; a new one reads the file.
                let is_open = !is_stuck.load(Ordering::Relaxed) && database.reopen(*is_temporary).is_ok();
                is_stuck.store(!is_open, Ordering::Relaxed);
                fail(jobs.drain(..), error);
            }
        }
    }
}

/// Ends jobs with the error of their common commit.
fn fail(jobs: Drain<'_, Box<dyn Job>>, error: Error) {
    let others: Vec<_> = jobs.as_slice().iter().skip(1).map(|_| error.again()).collect();
    let errors = std::iter::once(error).chain(others);
    jobs.zip(errors).for_each(|(job, error)| job.end(Err(error)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::model::Timestamp;
    use crate::store::{Clock, Db, Engine, Ids, Location, Pool, maintenance};

    #[test]
    fn a_writer_that_cannot_write_is_replaced_by_one_that_can() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("x.db"));
        let (db, _) = Db::open(&location, true).unwrap();
        let Engine::Sqlite(mut database) = db.engine else { panic!("of another engine") };
        // As SQLite opens a file that cannot be written at that moment
        database.become_read_only();
        let stamp = || Stamp { clock: Clock::Frozen(Timestamp(0)), ids: Ids::Seeded(1), dry_run: false };
        let options = PoolOptions { stamp: Box::new(stamp), committed: Box::new(|_| {}), is_temporary: false };
        let pool = Pool::new(Db { engine: Engine::Sqlite(database), _loan: None }, location, options).unwrap();
        let write = || {
            let (sender, written) = mpsc::channel();
            pool.write(stamp(), |tx| maintenance::probe(tx, 0), move |outcome| sender.send(outcome).unwrap());
            written.recv().unwrap()
        };
        assert_eq!(write().unwrap_err().kind(), Kind::Unavailable);
        write().unwrap();
    }

    #[test]
    fn what_a_write_holds_is_given_up_before_its_outcome_is_handed_on() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("x.db"));
        let (db, _) = Db::open(&location, true).unwrap();
        let stamp = || Stamp { clock: Clock::Frozen(Timestamp(0)), ids: Ids::Seeded(1), dry_run: false };
        let options = PoolOptions { stamp: Box::new(stamp), committed: Box::new(|_| {}), is_temporary: false };
        let pool = Pool::new(db, location, options).unwrap();
        let held = Arc::new(());
        let (kept, (sender, written)) = (Arc::clone(&held), mpsc::channel());
        let work = move |tx: &mut Tx<'_>| {
            assert_eq!(Arc::strong_count(&kept), 2);
            maintenance::probe(tx, 0)
        };
        pool.write(stamp(), work, move |outcome| sender.send((outcome.is_ok(), Arc::strong_count(&held))).unwrap());
        assert_eq!(written.recv().unwrap(), (true, 1));
    }

    #[test]
    fn no_more_writes_than_the_most_are_committed_together() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("x.db"));
        let (db, _) = Db::open(&location, true).unwrap();
        let stamp = || Stamp { clock: Clock::Frozen(Timestamp(0)), ids: Ids::Seeded(1), dry_run: false };
        let (sizes, committed) = mpsc::channel();
        let committing = Box::new(move |size| sizes.send(size).unwrap());
        let options = PoolOptions { stamp: Box::new(stamp), committed: committing, is_temporary: false };
        let pool = Pool::new(db, location, options).unwrap();
        let ((begun, has_begun), (end, ended)) = (mpsc::channel(), mpsc::channel());
        let first = move |tx: &mut Tx<'_>| {
            begun.send(()).unwrap();
            ended.recv().unwrap();
            maintenance::probe(tx, 0)
        };
        pool.write(stamp(), first, |outcome| outcome.unwrap());
        has_begun.recv().unwrap();
        for _ in 0..=MOST_TOGETHER {
            pool.write(stamp(), |tx| maintenance::probe(tx, 0), |outcome| outcome.unwrap());
        }
        end.send(()).unwrap();
        drop(pool);
        assert_eq!(committed.iter().collect::<Vec<_>>(), [1, MOST_TOGETHER, 1]);
    }
}
