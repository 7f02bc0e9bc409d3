//! The application every front end holds: a database, a clock, a source of ids.

mod check;
mod hashing;

use std::time::{Duration, Instant};

pub use self::hashing::{hash_password, hash_passwords};
use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::service;
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
    /// Undoes every change at its end: what a command would do, done and taken back
    pub dry_run: bool,
}

impl App {
    pub fn new(db: Db, options: Options) -> Self {
        Self { db, options }
    }

    /// Runs `work` in one transaction; nothing of it survives an error, or a dry run.
    pub fn write<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.write(self.stamp(), work).map_err(|error| self.with_hint(error))
    }

    /// Runs `work` in one transaction and takes it back, to see what would come of it.
    pub fn try_out<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.write(Stamp { dry_run: true, ..self.stamp() }, work).map_err(|error| self.with_hint(error))
    }

    /// Runs `work`, which only reads, on one moment of the database.
    pub fn read<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.read(self.stamp(), work).map_err(|error| self.with_hint(error))
    }

    /// Adds what may have been meant by the name of what is not there. After the transaction: looking for it takes long, and
    /// while it writes everybody else would wait. That it cannot be read is the greater trouble.
    pub fn with_hint(&self, error: Error) -> Error {
        let Some(sought) = error.sought() else { return error };
        match self.db.read(self.stamp(), |tx| service::suggest::meant(tx, sought)) {
            Ok(Some(hint)) => error.hint(hint),
            Ok(None) => error,
            Err(failure) => failure,
        }
    }

    /// Lets search know messages that an update left to be indexed, in steps.
    pub fn index(&self) -> Result<()> {
        if self.options.dry_run { Ok(()) } else { self.db.index(self.stamp()) }
    }

    /// Scrubs what was deleted from the file, in steps, as long as there is patience; without it, to the end.
    pub fn erase(&self, patience: Option<Duration>) -> Result<Erasure> {
        let is_late = late_after(patience.unwrap_or(Duration::MAX));
        if self.options.dry_run { Ok(Erasure::Done) } else { self.db.erase(self.stamp(), &is_late) }
    }

    /// Brings the search index in order, scrubs what was deleted and gives space back; false where a reader kept some.
    ///
    /// # Errors
    /// `Invalid` in a dry run: what it would come to is not known before.
    pub fn compact(&self) -> Result<bool> {
        if self.options.dry_run {
            return Err(Error::invalid("dry_run", "Compacting has no dry run."));
        }
        self.write(store::maintenance::mend_index)?;
        self.index()?;
        self.erase(None)?;
        let is_compact = self.db.compact()?;
        // What a reader kept from being scrubbed may be free now.
        Ok(self.erase(None)? == Erasure::Done && is_compact)
    }

    /// Lets threads share it; the database lies at `location`, and is temporary where nothing of it has to outlast the process.
    /// `committed` hears how many writes shared each commit.
    ///
    /// # Errors
    /// `Internal` where no thread can be started.
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

    /// Whether every change is undone at its end
    pub fn is_dry_run(&self) -> bool {
        self.options.dry_run
    }

    /// The number that ids are drawn from, where they are not drawn at random
    pub fn seed(&self) -> Option<u64> {
        self.options.seed
    }

    /// The database itself, for its state
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// What time it is
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

/// An application that threads share: what a server holds.
pub struct SharedApp {
    pool: Pool,
    options: Options,
}

impl SharedApp {
    /// Runs `work`, which only reads, on one moment of the database.
    pub fn read<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.pool.read(self.options.stamp(), work)
    }

    /// Runs `work` in one transaction and hands on to `end` what came of it, once it is in the database for good; nothing of
    /// it survives an error. [`Pool::write`] says in which thread.
    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
        end: impl FnOnce(Result<T>) + Send + 'static,
    ) {
        self.pool.write(self.options.stamp(), work, end);
    }

    /// The same application with a connection of its own, to read for long
    pub fn with_own_connection(&self) -> Result<App> {
        Ok(App::new(self.pool.connect()?, self.options))
    }

    /// The database and its connections
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What time it is
    pub fn now(&self) -> Timestamp {
        self.options.now()
    }
}

/// A number nobody can guess, never drawn from a seed
pub fn secret<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    random()
}

/// Says, whenever it is asked, whether so much time has passed.
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
