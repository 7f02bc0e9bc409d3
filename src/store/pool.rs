//! A database for many threads at once: readers side by side, writers in line.

mod loans;
mod writer;

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

pub(super) use self::loans::Loan;
use self::loans::Loans;
pub(super) use self::writer::Job;
pub use self::writer::PoolOptions;
use self::writer::{Task, Write, Writer, write_in_groups};
use super::events::Mark;
use super::{Db, Engine, Location, Sizes, Stamp, Tx, postgres, sqlite};
use crate::error::{Error, Kind, Result};

/// The number of unused connections to SQLite that are kept, each with a cache of 8 MB. Those to PostgreSQL are all kept: a new one
/// takes as long as ten reads.
const IDLE: usize = 8;

/// An open database for several threads, with as many connections as they use at once: no thread waits for another's.
pub struct Pool {
    location: Location,
    /// Connections that are not in use; the one that was used last is taken first
    idle: Mutex<Vec<Db>>,
    /// Held for reading while a connection is in use, and for writing by work that needs the database to itself
    in_use: RwLock<()>,
    /// Those that are open, in use or not
    loans: Arc<Loans>,
    /// Only with SQLite
    writer: Option<Writer>,
    /// Is told of each commit; only with PostgreSQL, where it is not the writer that tells
    committed: Option<Box<dyn Fn(usize) + Send + Sync>>,
}

impl Pool {
    /// Shares an open database.
    ///
    /// # Errors
    /// `Internal` if no thread can be started.
    pub fn new(db: Db, location: Location, options: PoolOptions) -> Result<Self> {
        match db.engine {
            Engine::Sqlite(mut database) => {
                database.expect_many_writes(options.is_temporary)?;
                let (tasks, queue) = mpsc::channel();
                let (file, waiting, is_stuck) = (database.file(), Arc::default(), Arc::default());
                let shared = (Arc::clone(&waiting), Arc::clone(&is_stuck));
                let thread = std::thread::Builder::new()
                    .name("writer".to_owned())
                    .spawn(move || write_in_groups(database, &queue, &shared.0, &shared.1, &options))
                    .map_err(Error::internal)?;
                let writer = Writer { tasks: Some(tasks), waiting, file, is_stuck, thread: Some(thread) };
                let (idle, in_use) = (Mutex::default(), RwLock::default());
                Ok(Self { location, idle, in_use, loans: Arc::default(), writer: Some(writer), committed: None })
            }
            Engine::Postgres(_) => {
                let (idle, in_use) = (Mutex::new(vec![db]), RwLock::default());
                let committed = Some(options.committed);
                Ok(Self { location, idle, in_use, loans: Arc::default(), writer: None, committed })
            }
        }
    }

    /// Whether this is SQLite: a read is short enough to run in the caller's thread, and a write never blocks it
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

    /// How much room the database takes
    pub fn sizes(&self) -> Result<Sizes> {
        self.with(Db::sizes)
    }

    /// How many writes wait for their turn
    pub fn waiting(&self) -> usize {
        self.writer.as_ref().map_or(0, |writer| writer.waiting.load(Ordering::Relaxed))
    }

    /// Runs `work`, which only reads, on one snapshot of the database.
    pub fn read<T>(&self, stamp: Stamp, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.with(|db| db.read(stamp, work))
    }

    /// As [`Pool::read`], by [`Db::read_or_know`].
    pub fn read_or_know<T: PartialEq>(
        &self,
        stamp: Stamp,
        known: impl FnOnce(&Mark) -> Option<T>,
        work: impl FnMut(&mut Tx<'_>, &Mark) -> Result<T>,
    ) -> Result<T> {
        self.with(|db| db.read_or_know(stamp, known, work))
    }

    /// Runs `work` in one transaction and passes its result on: on SQLite in the writer's thread, on PostgreSQL in this
    /// one. An error rolls it back.
    pub fn write<T: Send + 'static>(
        &self,
        stamp: Stamp,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
        end: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        if let Some(writer) = &self.writer {
            return writer.enqueue(Box::new(Write { since: Instant::now(), stamp, work, value: None, end }));
        }
        let outcome = self.with(|db| db.write(stamp, work));
        if let (Ok(_), Some(committed)) = (&outcome, &self.committed) {
            committed(1);
        }
        end(outcome);
    }

    /// Notes the state of a temporary database, to return to.
    pub fn mark(&self) -> Result<()> {
        self.exclusively(Task::Mark)
    }

    /// Returns a temporary database to the state that was noted last.
    pub fn return_to_mark(&self) -> Result<()> {
        self.exclusively(Task::Return)
    }

    /// Has the writer do something while nobody else has the database open.
    fn exclusively(&self, task: fn(Sender<Result<()>>) -> Task) -> Result<()> {
        let tasks = self.writer.as_ref().and_then(|writer| writer.tasks.as_ref());
        let tasks = tasks.ok_or_else(|| Error::internal("the database is not embedded"))?;
        let _nobody = self.in_use.write().unwrap_or_else(PoisonError::into_inner);
        self.idle().clear();
        // Those who export have connections of their own.
        let _none = self.loans.until_none().ok_or_else(|| Error::unavailable("Somebody else reads the database."))?;
        let (sender, done) = mpsc::channel();
        tasks.send(task(sender)).map_err(|_| Error::internal("the writer is gone"))?;
        done.recv().unwrap_or_else(|_| Err(Error::internal("the writer is gone")))
    }

    /// Another connection, for long work
    pub fn connect(&self) -> Result<Db> {
        // The caller may answer an unauthenticated client.
        self.open().map_err(Error::without_place)
    }

    fn open(&self) -> Result<Db> {
        match (&self.location, &self.writer) {
            (Location::Sqlite(path), Some(writer)) => {
                let loan = Some(Loans::begin(&self.loans));
                Ok(Db { engine: Engine::Sqlite(sqlite::Database::open_reader(path, writer.file)?), _loan: loan })
            }
            (location, _) => Ok(Db::open(location, false)?.0),
        }
    }

    /// Runs work on a connection of its own.
    fn with<T>(&self, work: impl FnOnce(&Db) -> Result<T>) -> Result<T> {
        self.must_be_in_place()?;
        let _in_use = self.in_use.read().unwrap_or_else(PoisonError::into_inner);
        let idle = self.idle().pop();
        let db = idle.map_or_else(|| self.connect(), Ok)?;
        // A connection in whose use something panicked is dropped.
        let outcome = work(&db);
        if outcome.as_ref().is_err_and(postgres::has_lost_connection) {
            // After a restart of the server the others are lost too.
            let _lost = std::mem::take(&mut *self.idle());
        } else if db.is_usable() && !outcome.as_ref().is_err_and(is_of_database) {
            // A connection that failed may be in any state: it is dropped.
            self.put_back(db);
        }
        outcome
    }

    fn put_back(&self, db: Db) {
        let mut idle = self.idle();
        if idle.len() < IDLE || !self.is_embedded() {
            idle.push(db);
        }
    }

    /// Refuses to read a file that was moved or replaced. This is checked only after a failure.
    fn must_be_in_place(&self) -> Result<()> {
        match (&self.location, &self.writer) {
            (Location::Sqlite(path), Some(writer)) if writer.is_stuck.load(Ordering::Relaxed) => {
                writer.file.must_be_at(path)
            }
            _ => Ok(()),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Db>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Whether the database failed, and not the request
fn is_of_database(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::NoSpace | Kind::Internal)
}
