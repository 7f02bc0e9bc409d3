//! The application that every front end uses: a database, a clock, a source of ids.

mod check;
mod hashing;
mod shell;

use std::time::{Duration, Instant};

pub use self::hashing::{hash_password, hash_passwords};
pub use self::shell::quoted;
use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::service;
use crate::store::events::{Mark, Retention};
use crate::store::{self, Clock, Db, Erasure, Ids, Location, Pool, PoolOptions, Stamp, Tx};

/// A database with a clock and a source of ids.
pub struct App {
    db: Db,
    options: Options,
}

/// How an [`App`] works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Freezes the clock
    pub now: Option<Timestamp>,
    /// Draws ids from this number and the place in the log of events; never used for secrets
    pub seed: Option<u64>,
    /// Rolls every transaction back, for dry runs
    pub dry_run: bool,
}

impl App {
    /// An application on an open database.
    pub fn new(db: Db, options: Options) -> Self {
        Self { db, options }
    }

    /// Runs `work` in one transaction, which is rolled back on an error or in a dry run.
    pub fn write<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.write(self.stamp(), work).map_err(|error| self.with_hint(error))
    }

    /// Runs `work` in one transaction and rolls it back, to see its result.
    pub fn try_out<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.write(Stamp { dry_run: true, ..self.stamp() }, work).map_err(|error| self.with_hint(error))
    }

    /// Runs `work`, which only reads, on one snapshot of the database.
    pub fn read<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.read(self.stamp(), work).map_err(|error| self.with_hint(error))
    }

    /// Adds a suggestion to the error for an unknown name. Runs after the transaction, because the look-up takes long
    /// and would block other writers. If it fails, its error is returned instead.
    pub fn with_hint(&self, error: Error) -> Error {
        let Some(sought) = error.sought() else { return error };
        match self.db.read(self.stamp(), |tx| service::suggest::meant(tx, sought)) {
            Ok(Some(hint)) => error.hint(hint),
            Ok(None) => error,
            Err(failure) => failure,
        }
    }

    /// Indexes the messages that an upgrade left for later, in steps.
    pub fn index(&self) -> Result<()> {
        if self.options.dry_run { Ok(()) } else { self.db.index(self.stamp()) }
    }

    /// Erases deleted data from the file, in steps, for at most `patience`; without it, to the end.
    pub fn erase(&self, patience: Option<Duration>) -> Result<Erasure> {
        let is_late = late_after(patience.unwrap_or(Duration::MAX));
        if self.options.dry_run { Ok(Erasure::Done) } else { self.db.erase(self.stamp(), &is_late) }
    }

    /// Deletes the events that need not be kept, in steps that let others in.
    pub fn prune_events(&self, retention: Retention) -> Result<()> {
        let Some(excess) = self.read(|tx| store::events::excess(tx, retention))? else { return Ok(()) };
        while self.write(|tx| store::events::prune(tx, &excess))? && !self.options.dry_run {}
        Ok(())
    }

    /// Repairs the search index, erases deleted data and returns free space; false if a reader kept some of it.
    ///
    /// # Errors
    /// `Invalid` in a dry run: the result cannot be predicted.
    pub fn compact(&self) -> Result<bool> {
        if self.options.dry_run {
            return Err(Error::invalid("dry_run", "Compacting has no dry run."));
        }
        self.write(store::maintenance::mend_index)?;
        self.index()?;
        self.erase(None)?;
        let is_compact = self.db.compact()?;
        // What a reader blocked before may be free now.
        Ok(self.erase(None)? == Erasure::Done && is_compact)
    }

    /// Makes it usable from several threads. The database is at `location`; a temporary one does not have to survive
    /// the process. `committed` is called with the number of writes in each commit.
    ///
    /// # Errors
    /// `Internal` if no thread can be started.
    pub fn share(
        self,
        location: Location,
        is_temporary: bool,
        committed: impl Fn(usize) + Send + Sync + 'static,
    ) -> Result<SharedApp> {
        let Self { db, options } = self;
        let stamp = Box::new(move || options.stamp());
        let pool = Pool::new(db, location, PoolOptions { stamp, committed: Box::new(committed), is_temporary })?;
        Ok(SharedApp { pool, options })
    }

    /// Whether every transaction is rolled back
    pub fn is_dry_run(&self) -> bool {
        self.options.dry_run
    }

    /// How it works, for another connection
    pub fn options(&self) -> Options {
        self.options
    }

    /// The number that ids are drawn from; none if they are random
    pub fn seed(&self) -> Option<u64> {
        self.options.seed
    }

    /// The database, for its state
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The current time
    pub fn now(&self) -> Timestamp {
        self.options.now()
    }

    fn stamp(&self) -> Stamp {
        self.options.stamp()
    }
}

impl Options {
    fn now(&self) -> Timestamp {
        self.clock().now()
    }

    fn clock(&self) -> Clock {
        self.now.map_or(Clock::Running(clock), Clock::Frozen)
    }

    fn stamp(&self) -> Stamp {
        let Self { seed, dry_run, .. } = *self;
        Stamp { clock: self.clock(), ids: seed.map_or(Ids::Random(random), Ids::Seeded), dry_run }
    }
}

/// An application that several threads share, for a server.
pub struct SharedApp {
    pool: Pool,
    options: Options,
}

impl SharedApp {
    /// Runs `work`, which only reads, on one snapshot of the database.
    pub fn read<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.pool.read(self.options.stamp(), work)
    }

    /// As [`SharedApp::read`], by [`store::Db::read_or_know`].
    pub fn read_or_know<T: PartialEq>(
        &self,
        known: impl FnOnce(&Mark) -> Option<T>,
        work: impl FnMut(&mut Tx<'_>, &Mark) -> Result<T>,
    ) -> Result<T> {
        self.pool.read_or_know(self.options.stamp(), known, work)
    }

    /// Runs `work` in one transaction and calls `end` with its result after the commit, or with the error after a
    /// rollback. [`Pool::write`] says in which thread.
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
        end: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        self.pool.write(self.options.stamp(), work, end);
    }

    /// The same application with its own connection, for long reads
    pub fn with_own_connection(&self) -> Result<App> {
        Ok(App::new(self.pool.connect()?, self.options))
    }

    /// Whether every change is undone at its end
    pub fn is_dry_run(&self) -> bool {
        self.options.dry_run
    }

    /// The database and its connections
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The current time
    pub fn now(&self) -> Timestamp {
        self.options.now()
    }
}

/// Random bytes for a secret, never drawn from a seed
pub fn secret<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    random()
}

/// Returns a function that tells whether this much time has passed since.
pub fn late_after(patience: Duration) -> impl Fn() -> bool {
    let start = Instant::now();
    move || start.elapsed() >= patience
}

#[expect(clippy::disallowed_methods, reason = "this is the app's clock")]
pub(crate) fn clock() -> Timestamp {
    // A machine whose clock was never set may be before 1970, where chrono's own reading panics.
    Timestamp(chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now()).timestamp_micros())
}

#[expect(clippy::disallowed_methods, reason = "this is the app's random source")]
fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|cause| Error::internal(cause.to_string()))?;
    Ok(bytes)
}
