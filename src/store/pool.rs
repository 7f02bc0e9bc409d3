//! A database for many threads at once: readers side by side, writers in line.
//!
//! SQLite has one writer. Whatever waits when a commit ends shares the next one, each write in a savepoint of its own: four to
//! six times as many durable writes as with a commit for each. PostgreSQL has its own writers, so there each goes by itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::vec::Drain;

use super::{Db, Engine, Location, Stamp, Tx, sqlite};
use crate::error::{Error, Kind, Result};

/// How many connections there are at the most, beside the writer's
const PLACES: usize = 32;

/// How many writes share one commit at the most
const MOST_TOGETHER: usize = 256;

/// How long the writer has nothing to do before it cleans up: scrubs what was deleted, resets the log
const IDLE: Duration = Duration::from_millis(200);

/// A write that waits for its turn.
pub(super) trait Job: Send {
    /// Since when it waits
    fn since(&self) -> Instant;
    /// What its transaction gets from outside
    fn stamp(&self) -> Stamp;
    /// Carries it out.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// Hands on what came of it, once that is in the database for good.
    fn end(self: Box<Self>, outcome: Result<()>);
}

struct Write<T, W, E> {
    since: Instant,
    stamp: Stamp,
    work: W,
    value: Option<T>,
    end: E,
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
        let Self { value, end, .. } = *self;
        end(outcome.and_then(|()| value.ok_or_else(|| Error::internal("a write without a result"))));
    }
}

/// An open database that threads share.
pub struct Pool {
    location: Location,
    /// Places for connections; who uses one holds its lock, so that nobody waits for a place while another is free
    places: [Mutex<Option<Db>>; PLACES],
    /// Of SQLite
    writer: Option<Writer>,
}

/// The thread that writes, and what waits for it
struct Writer {
    tasks: Option<Sender<Task>>,
    waiting: Arc<AtomicUsize>,
    /// The file that everybody works with: none other, whatever lies in its place
    file: sqlite::Identity,
    /// The writer has no connection that can write
    is_stuck: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the writer does
enum Task {
    Write(Box<dyn Job>),
    /// Notes the state to return to
    Mark(Sender<Result<()>>),
    /// Returns to that state
    Return(Sender<Result<()>>),
}

/// How a pool works.
pub struct Sharing {
    /// What the writer's own work is stamped with, when it has nothing else to do
    pub stamp: Box<dyn Fn() -> Stamp + Send>,
    /// Hears how many writes shared each commit
    pub committed: Box<dyn Fn(usize) + Send>,
    /// The database is gone when the process is: nothing has to last, and all can be taken back
    pub is_temporary: bool,
}

impl Pool {
    /// Shares an open database.
    ///
    /// # Errors
    /// `Internal` where no thread can be started.
    pub fn new(db: Db, location: Location, sharing: Sharing) -> Result<Self> {
        match db.engine {
            Engine::Sqlite(mut database) => {
                database.expect_many_writes(sharing.is_temporary)?;
                let (tasks, queue) = mpsc::channel();
                let (file, waiting, is_stuck) = (database.file(), Arc::default(), Arc::default());
                let shared = (Arc::clone(&waiting), Arc::clone(&is_stuck));
                let thread = std::thread::Builder::new()
                    .name("writer".to_owned())
                    .spawn(move || write_in_groups(database, &queue, &shared.0, &shared.1, &sharing))
                    .map_err(Error::internal)?;
                let writer = Writer { tasks: Some(tasks), waiting, file, is_stuck, thread: Some(thread) };
                Ok(Self { location, places: Default::default(), writer: Some(writer) })
            }
            Engine::Postgres(_) => {
                let mut places: [Mutex<Option<Db>>; PLACES] = Default::default();
                places[0] = Mutex::new(Some(db));
                Ok(Self { location, places, writer: None })
            }
        }
    }

    /// Whether reading takes so little that whoever asks can wait for it in place, and writing never waits
    pub fn is_embedded(&self) -> bool {
        self.writer.is_some()
    }

    /// Where the database is
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// How large SQLite's write-ahead log is, in bytes
    pub fn log_bytes(&self) -> u64 {
        match &self.location {
            Location::Sqlite(path) => sqlite::log_bytes(path),
            Location::Postgres(_) => 0,
        }
    }

    /// How many writes wait for their turn
    pub fn waiting(&self) -> usize {
        self.writer.as_ref().map_or(0, |writer| writer.waiting.load(Ordering::Relaxed))
    }

    /// Runs `work`, which only reads, on one moment of the database.
    pub fn read<T>(&self, stamp: Stamp, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.with(|db| db.read(stamp, work))
    }

    /// Runs `work` in one transaction and hands on what came of it: on SQLite in the writer's thread, on PostgreSQL in this
    /// one. Nothing of it survives an error.
    pub fn write<T: Send + 'static>(
        &self,
        stamp: Stamp,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
        end: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        match &self.writer {
            Some(writer) => writer.line_up(Box::new(Write { since: Instant::now(), stamp, work, value: None, end })),
            None => end(self.with(|db| db.write(stamp, work))),
        }
    }

    /// Notes the state of a temporary database, to return to.
    pub fn mark(&self) -> Result<()> {
        self.alone(Task::Mark)
    }

    /// Returns a temporary database to the state that was noted last.
    pub fn return_to_mark(&self) -> Result<()> {
        self.alone(Task::Return)
    }

    /// Has the writer do something while nobody reads.
    fn alone(&self, task: fn(Sender<Result<()>>) -> Task) -> Result<()> {
        let tasks = self.writer.as_ref().and_then(|writer| writer.tasks.as_ref());
        let tasks = tasks.ok_or_else(|| Error::internal("the database is not embedded"))?;
        let _nobody: Vec<_> = self
            .places
            .iter()
            .map(|place| {
                let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
                *place = None;
                place
            })
            .collect();
        let (sender, done) = mpsc::channel();
        tasks.send(task(sender)).map_err(|_| Error::internal("the writer is gone"))?;
        done.recv().unwrap_or_else(|_| Err(Error::internal("the writer is gone")))
    }

    /// Another connection, for work that goes on for long
    pub fn connect(&self) -> Result<Db> {
        // Whoever asks may be a stranger.
        self.open().map_err(Error::without_place)
    }

    fn open(&self) -> Result<Db> {
        match (&self.location, &self.writer) {
            (Location::Sqlite(path), Some(writer)) => {
                Ok(Db { engine: Engine::Sqlite(sqlite::Database::open_reader(path, writer.file)?) })
            }
            (location, _) => Ok(Db::open(location, false)?.0),
        }
    }

    /// Works with a connection of one's own.
    fn with<T>(&self, work: impl FnOnce(&Db) -> Result<T>) -> Result<T> {
        self.must_be_in_place()?;
        let mut place = self.place();
        if place.is_none() {
            *place = Some(self.connect()?);
        }
        let Some(db) = place.take() else { return Err(Error::internal("a connection is there and is not")) };
        // Whoever panics takes it with them.
        let outcome = work(&db);
        // Of what failed nobody knows what it believes.
        if db.is_usable() && !outcome.as_ref().is_err_and(is_of_database) {
            *place = Some(db);
        }
        outcome
    }

    /// Refuses to read what nobody else finds any more. While all is well nobody has to look.
    fn must_be_in_place(&self) -> Result<()> {
        match (&self.location, &self.writer) {
            (Location::Sqlite(path), Some(writer)) if writer.is_stuck.load(Ordering::Relaxed) => {
                writer.file.must_be_at(path)
            }
            _ => Ok(()),
        }
    }

    /// A free place; only where there is none does anybody wait.
    fn place(&self) -> MutexGuard<'_, Option<Db>> {
        let free = self.places.iter().find_map(|place| match place.try_lock() {
            Ok(place) => Some(place),
            Err(TryLockError::Poisoned(place)) => Some(place.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        free.unwrap_or_else(|| self.places[0].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Pool {
    /// Waits for the writes that were accepted.
    fn drop(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.tasks = None;
            if let Some(thread) = writer.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl Writer {
    fn line_up(&self, job: Box<dyn Job>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(Task::Write(job)));
        if let Some(Err(mpsc::SendError(Task::Write(job)))) = sent {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            job.end(Err(Error::internal("the writer is gone")));
        }
    }
}

/// Whether it is the database that failed, not what was asked of it
fn is_of_database(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::NoSpace | Kind::Internal)
}

/// Carries out what waits, together, until nobody can send any more.
fn write_in_groups(
    mut database: sqlite::Database,
    queue: &Receiver<Task>,
    waiting: &AtomicUsize,
    is_stuck: &AtomicBool,
    Sharing { stamp, committed, is_temporary }: &Sharing,
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
        // Whoever came first.
        let since = jobs[0].since();
        // A connection that cannot write is none: the next is looked for until there is one.
        let opened = if is_stuck.load(Ordering::Relaxed) { database.reopen(*is_temporary) } else { Ok(()) };
        is_stuck.store(opened.is_err(), Ordering::Relaxed);
        match opened.and_then(|()| database.write_group(&mut jobs, since)) {
            Ok(outcomes) => {
                committed(jobs.len());
                jobs.drain(..).zip(outcomes).for_each(|(job, outcome)| job.end(outcome));
            }
            // Another program keeps the lock: whoever has waited for long enough hears it, the others go on to wait.
            Err(error) if sqlite::is_busy(&error) => {
                let late = jobs.iter().take_while(|job| job.since().elapsed() >= sqlite::PATIENCE).count().max(1);
                fail(jobs.drain(..late), error);
            }
            Err(error) => {
                // After a commit that failed nobody knows what the connection believes; a new one reads what is in the file.
                let is_open = !is_stuck.load(Ordering::Relaxed) && database.reopen(*is_temporary).is_ok();
                is_stuck.store(!is_open, Ordering::Relaxed);
                fail(jobs.drain(..), error);
            }
        }
    }
}

/// Ends jobs with what kept all of them from the file.
fn fail(jobs: Drain<'_, Box<dyn Job>>, error: Error) {
    let others: Vec<_> = jobs.as_slice().iter().skip(1).map(|_| error.again()).collect();
    let errors = std::iter::once(error).chain(others);
    jobs.zip(errors).for_each(|(job, error)| job.end(Err(error)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::store::{Clock, Ids, maintenance};

    #[test]
    fn a_writer_that_cannot_write_is_replaced_by_one_that_can() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Sqlite(folder.path().join("x.db"));
        let (db, _) = Db::open(&location, true).unwrap();
        let Engine::Sqlite(mut database) = db.engine else { panic!("of another engine") };
        // As SQLite opens a file that cannot be written at that moment
        database.become_read_only();
        let stamp = || Stamp { clock: Clock::Frozen(Timestamp(0)), ids: Ids::Seeded(1), dry_run: false };
        let sharing = Sharing { stamp: Box::new(stamp), committed: Box::new(|_| {}), is_temporary: false };
        let pool = Pool::new(Db { engine: Engine::Sqlite(database) }, location, sharing).unwrap();
        let write = || {
            let (sender, written) = mpsc::channel();
            pool.write(stamp(), |tx| maintenance::probe(tx, 0), move |outcome| sender.send(outcome).unwrap());
            written.recv().unwrap()
        };
        assert_eq!(write().unwrap_err().kind(), Kind::Unavailable);
        write().unwrap();
    }
}
