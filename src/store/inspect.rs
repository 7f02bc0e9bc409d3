//! A database as a whole: its size and state, verified copies of it, and how to restore one.

use std::path::Path;

use serde::Serialize;

use super::{Db, Engine, Location, Strange, postgres, sqlite};
use crate::error::Result;
use crate::model::{Pending, Timestamp};

/// How much room a database takes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub bytes: i64,
    /// The bytes of the write-ahead log; none if there is no such file
    pub wal_bytes: Option<i64>,
}

impl Sizes {
    /// Of all files together
    pub fn total(self) -> i64 {
        self.bytes + self.wal_bytes.unwrap_or(0)
    }
}

/// What a verified copy holds.
#[derive(Clone, Debug, Serialize)]
pub struct Contents {
    pub version: i64,
    pub bytes: i64,
    /// What this program did not make
    #[serde(skip)]
    pub strange: Vec<Strange>,
}

/// What can be said of a database without changing anything.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The engine with its version
    pub engine: String,
    /// Older than tidings can work with
    pub is_old: bool,
    /// The oldest version tidings works with
    pub oldest: &'static str,
    /// The number of the last migration; 0: none yet
    pub version: i64,
    pub newest_event: Option<Timestamp>,
    /// Work that is not done; known of databases that are up to date
    pub pending: Vec<Pending>,
    /// How PostgreSQL writes text
    pub encoding: Option<String>,
}

impl Db {
    /// What the engine finds damaged in its own files, in its words
    pub fn integrity(&self) -> Result<Vec<String>> {
        match &self.engine {
            Engine::Sqlite(database) => database.integrity(),
            Engine::Postgres(database) => database.integrity(),
        }
    }

    /// The references to rows that are not there, a line for each pair of tables
    pub fn references(&self) -> Result<Vec<String>> {
        match &self.engine {
            Engine::Sqlite(database) => database.references(),
            Engine::Postgres(database) => database.references(),
        }
    }

    /// Objects in an SQLite file that this program did not create. A PostgreSQL database may have triggers and views,
    /// because its owner may do everything anyway.
    pub fn strange(&self) -> Result<Vec<Strange>> {
        match &self.engine {
            Engine::Sqlite(database) => database.strange(),
            Engine::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// Refuses an SQLite file with foreign triggers, views or tables, or changed ones.
    ///
    /// # Errors
    /// `Unavailable`, with the first thing
    pub fn must_be_as_made(&self) -> Result<()> {
        Strange::refuse(&self.strange()?).map_err(|error| {
            error.hint("`tidings db check` lists the changes; restore an earlier backup: tidings db restore FILE")
        })
    }

    /// How much room the database takes
    pub fn sizes(&self) -> Result<Sizes> {
        match &self.engine {
            Engine::Sqlite(database) => database.sizes(),
            Engine::Postgres(database) => Ok(Sizes { bytes: database.bytes()?, wal_bytes: None }),
        }
    }

    /// How many bytes [`Db::compact`] gives back at least; none where the engine does not say
    pub fn free_bytes(&self) -> Result<Option<i64>> {
        match &self.engine {
            Engine::Sqlite(database) => database.free_bytes().map(Some),
            Engine::Postgres(_) => Ok(None),
        }
    }

    /// Gives space back to the machine; false where a reader kept some of it.
    pub fn compact(&self) -> Result<bool> {
        match &self.engine {
            Engine::Sqlite(database) => database.compact(),
            Engine::Postgres(database) => database.compact(),
        }
    }
}

/// Copies the database at `source` to a new file `target` and verifies the copy, while others use the database. A dry
/// run returns the size.
///
/// # Errors
/// `Conflict` if `target` is there, `NotFound` if `source` is not.
pub fn backup(source: &Path, target: &Path, dry_run: bool) -> Result<Contents> {
    sqlite::copy::backup(source, target, dry_run)
}

/// Verifies that a backup can be restored to `target`; returns its contents.
///
/// # Errors
/// `Unavailable` if the backup is of another program, newer or damaged, or the target is not a tidings database.
pub fn verify_backup(backup: &Path, target: &Path) -> Result<Contents> {
    let contents = sqlite::copy::verify_for_use(backup)?;
    sqlite::copy::check_target(backup, target)?;
    Ok(contents)
}

/// Replaces `target` with a verified backup, completely or not at all. False: done, but the write-ahead log beside it
/// is still needed, because it could not be moved into the file.
///
/// # Errors
/// `Conflict` if `target` is there and may not be replaced, `Unavailable` while anybody else has it open.
pub fn restore(backup: &Path, target: &Path, may_replace: bool) -> Result<bool> {
    sqlite::copy::restore(backup, target, may_replace)
}

/// Examines a database without changing it; if there is none, only the engine is known.
pub fn inspect(location: &Location) -> Result<Inspection> {
    match location {
        Location::Sqlite(path) if path.exists() => sqlite::inspect::inspect(path),
        Location::Sqlite(_) => Ok(sqlite::inspect::engine()),
        Location::Postgres(config) => postgres::inspect(location, config),
    }
}
