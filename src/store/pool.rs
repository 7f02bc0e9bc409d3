//! A database for many threads at once: readers side by side, writers in line.
//!
//! SQLite has one writer. Whatever waits when a commit ends shares the next one, each write in a savepoint of its own: four to
//! six times as many durable writes as with a commit for each. PostgreSQL has its own writers, so there each goes by itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Db, Engine, Location, Stamp, Tx, sqlite};
use crate::error::{Error, Result};

/// How many connections there are at the most, beside the writer's
const PLACES: usize = 32;

/// How many writes share one commit at the most
const MOST_TOGETHER: usize = 256;

/// How long the writer has nothing to do before it cleans up: scrubs what was deleted, resets the log
const IDLE: Duration = Duration::from_millis(200);

/// A write that waits for its turn.
pub(super) trait Job: Send {
    /// What its transaction gets from outside
    fn stamp(&self) -> Stamp;
    /// Carries it out.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// Hands on what came of it, once that is in the database for good.
    fn end(self: Box<Self>, outcome: Result<()>);
}

struct Write<T, W, E> {
    stamp: Stamp,
    work: W,
    value: Option<T>,
    end: E,
}

impl<T: Send, W: FnMut(&mut Tx<'_>) -> Result<T> + Send, E: FnOnce(Result<T>) + Send> Job for Write<T, W, E> {
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
            Engine::Sqlite(database) => {
                database.expect_many_writes(sharing.is_temporary)?;
                let (tasks, queue) = mpsc::channel();
                let waiting = Arc::new(AtomicUsize::new(0));
                let count = Arc::clone(&waiting);
                let thread = std::thread::Builder::new()
                    .name("writer".to_owned())
                    .spawn(move || write_in_groups(database, &queue, &count, &sharing))
                    .map_err(Error::internal)?;
                let writer = Writer { tasks: Some(tasks), waiting, thread: Some(thread) };
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
            Some(writer) => writer.line_up(Box::new(Write { stamp, work, value: None, end })),
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

    /// Works with a connection of one's own.
    fn with<T>(&self, work: impl FnOnce(&Db) -> Result<T>) -> Result<T> {
        let mut place = self.place();
        if place.is_none() {
            *place = Some(Db::open_reader(&self.location)?);
        }
        let Some(db) = place.take() else { return Err(Error::internal("a connection is there and is not")) };
        // Whoever panics takes it with them.
        let outcome = work(&db);
        if db.is_usable() {
            *place = Some(db);
        }
        outcome
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

/// Carries out what waits, together, until nobody can send any more.
fn write_in_groups(
    mut database: sqlite::Database,
    queue: &Receiver<Task>,
    waiting: &AtomicUsize,
    Sharing { stamp, committed, is_temporary }: &Sharing,
) {
    let mut is_clean = *is_temporary;
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(next) => Ok(next),
            None => queue.recv_timeout(if is_clean { Duration::from_hours(1) } else { IDLE }),
        };
        let mut jobs = match first {
            Ok(Task::Write(job)) => vec![job],
            Ok(Task::Mark(done)) => {
                let _ = done.send(database.mark());
                continue;
            }
            Ok(Task::Return(done)) => {
                let _ = done.send(database.return_to_mark());
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {
                is_clean = *is_temporary || database.clean(stamp(), &|| waiting.load(Ordering::Relaxed) > 0);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while jobs.len() < MOST_TOGETHER {
            match queue.try_recv() {
                Ok(Task::Write(job)) => jobs.push(job),
                Ok(other) => {
                    next = Some(other);
                    break;
                }
                Err(_) => break,
            }
        }
        waiting.fetch_sub(jobs.len(), Ordering::Relaxed);
        is_clean = *is_temporary;
        match database.write_group(&mut jobs) {
            Ok(outcomes) => {
                committed(jobs.len());
                jobs.into_iter().zip(outcomes).for_each(|(job, outcome)| job.end(outcome));
            }
            Err(error) => {
                // After a commit that failed nobody knows what the connection believes; a new one reads what is in the file.
                let _ = database.reopen(*is_temporary);
                let others: Vec<_> = jobs.iter().skip(1).map(|_| error.again()).collect();
                let errors = std::iter::once(error).chain(others);
                jobs.into_iter().zip(errors).for_each(|(job, error)| job.end(Err(error)));
            }
        }
    }
}
