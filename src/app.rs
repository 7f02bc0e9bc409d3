//! The application every front end holds: a database, a clock, a source of ids.

use crate::error::{Error, Result};
use crate::model::Timestamp;
use crate::service::passwords;
use crate::store::{Db, Ids, Stamp, Tx};

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
        self.db.write(self.stamp(), work)
    }

    /// Runs `work` in one transaction and takes it back, to see what would come of it.
    pub fn try_out<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.write(Stamp { dry_run: true, ..self.stamp() }, work)
    }

    /// Runs `work`, which only reads, on one moment of the database.
    pub fn read<T>(&self, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.db.read(self.stamp(), work)
    }

    /// Checks a password and hashes it; slow on purpose, so before a transaction.
    ///
    /// # Errors
    /// `Invalid` where the password is not good enough.
    pub fn hash_password(&self, password: &str, username: &str) -> Result<String> {
        passwords::check(password, username)?;
        passwords::hash(password, random()?)
    }

    /// The database itself, for its state
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// What time it is
    pub fn now(&self) -> Timestamp {
        self.options.now.unwrap_or_else(clock)
    }

    fn stamp(&self) -> Stamp {
        let Options { seed, dry_run, .. } = self.options;
        Stamp { now: self.now(), ids: seed.map_or(Ids::Random(random), Ids::Seeded), dry_run }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the app's clock")]
fn clock() -> Timestamp {
    Timestamp(chrono::Utc::now().timestamp_micros())
}

#[expect(clippy::disallowed_methods, reason = "this is the app's random source")]
fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|cause| Error::internal(cause.to_string()))?;
    Ok(bytes)
}
