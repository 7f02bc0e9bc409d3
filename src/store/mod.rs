//! Everything that speaks SQL. Nothing above this module names a driver.

#[macro_use]
mod tx;

pub mod bulk;
pub mod check;
pub mod conversations;
pub mod dump;
pub mod events;
pub mod idempotency;
mod inspect;
mod location;
pub mod maintenance;
mod matching;
pub mod messages;
pub mod notifications;
mod pool;
mod postgres;
pub mod scratch;
pub mod search;
pub mod sessions;
mod sqlite;
pub mod statistics;
pub mod tokens;
pub mod users;

use std::fmt;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::error::{Error, Result};
use events::Mark;
pub use inspect::{Contents, Inspection, Sizes, backup, inspect, restore, verify_backup};
pub use location::Location;
use matching::beginning_with;
use pool::Loan;
pub use pool::{Pool, PoolOptions};
pub use sqlite::FileState;
pub use sqlite::schema::Strange;
pub use tx::{Clock, Ids, Stamp, Tx};
use tx::{Row, ids, list, texts};
#[cfg(debug_assertions)]
pub use {postgres::prepared_statements, sqlite::checked_statements, tx::statements_run};

/// The number of the newest migration, on both engines: the version of an up-to-date database.
pub const VERSION: i64 = 10;

/// What opening a database did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It was up to date
    Ready,
    /// There was none, or an empty one
    Created,
    /// It was older
    Migrated {
        /// Its version before
        from: i64,
    },
}

/// The ids of rows with wrong folded columns, and the key of the last row read; none at the end
type Misfolded = (Vec<Uuid>, Option<i64>);

/// How far the erasure of deleted data came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// No byte is left in the file
    Done,
    /// There was no time for all
    Pending,
    /// Another program that uses the database keeps old pages in the write-ahead log
    Blocked,
}

/// What preparing a database did that was at this version before.
fn opened(from: i64) -> Opened {
    match from {
        VERSION => Opened::Ready,
        0 => Opened::Created,
        from => Opened::Migrated { from },
    }
}

/// The error for a failed migration, with what the engine reported.
fn migration_failed(error: refinery::Error) -> Error {
    use refinery::error::Kind;
    let meant = match error.kind() {
        Kind::DivergentVersion(..) | Kind::MissingVersion(..) => Some(Error::unavailable(
            "The database was made by another version of tidings or by another program; it was not changed.",
        )),
        Kind::Connection(_, cause) => match (cause.downcast_ref(), cause.downcast_ref()) {
            (Some(cause), _) => sqlite::meaning(cause),
            (_, Some(cause)) => postgres::meaning(cause),
            (None, None) => None,
        },
        _ => None,
    };
    match meant {
        Some(meant) => meant.with_source(error),
        None => Error::internal(error),
    }
}

fn must_not_prepare(location: &dyn fmt::Display, exists: bool) -> Error {
    if exists {
        Error::unavailable(format!("The database {location} has to be upgraded first."))
            .hint("Upgrade it: tidings db migrate")
    } else {
        Error::unavailable(format!("The database {location} does not exist."))
            .hint("Name another with --db, or create it: tidings db migrate")
    }
}

/// One open database. SQLite and PostgreSQL differ here, in [`Tx`], and nowhere above.
pub struct Db {
    engine: Engine,
    /// Only of a connection that a pool opened
    _loan: Option<Loan>,
}

enum Engine {
    Sqlite(sqlite::Database),
    Postgres(Box<postgres::Database>),
}

impl Db {
    /// Opens the database, making it or bringing it up to date where needed.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached, is of another program, damaged, or newer than this program; without
    /// `may_change` also if it would have to be created or upgraded.
    pub fn open(location: &Location, may_change: bool) -> Result<(Self, Opened)> {
        match location {
            Location::Sqlite(path) => {
                let (database, opened) = sqlite::Database::open(path, may_change)?;
                Ok((Self { engine: Engine::Sqlite(database), _loan: None }, opened))
            }
            Location::Postgres(config) => {
                let (database, opened) = postgres::Database::open(location, config, may_change)?;
                Ok((Self { engine: Engine::Postgres(Box::new(database)), _loan: None }, opened))
            }
        }
    }

    /// As [`Db::open`] without `may_change`, waiting for others at most this long.
    pub fn open_patiently(location: &Location, patience: Duration) -> Result<(Self, Opened)> {
        sqlite::waiting_until(Instant::now() + patience, || Self::open(location, false))
    }

    /// Runs `work` in one transaction; nothing of it survives an error.
    ///
    /// PostgreSQL may break a transaction off, so `work` may run more than once and has no effect outside its `Tx`.
    pub fn write<T>(&self, stamp: Stamp, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let mut work = |tx: &mut Tx<'_>| {
            let value = work(tx)?;
            search::write_index(tx)?;
            Ok(value)
        };
        match &self.engine {
            Engine::Sqlite(database) => database.write(stamp, &mut work),
            Engine::Postgres(database) => database.write(stamp, &mut work),
        }
    }

    /// Runs `work`, which only reads, on one snapshot of the database.
    pub fn read<T>(&self, stamp: Stamp, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(database) => database.read(stamp, &mut work),
            Engine::Postgres(database) => database.read(stamp, &mut work),
        }
    }

    /// As [`Db::read`], but `work` is not run if `known` has its result for the state of the log of events that this connection saw last,
    /// and nobody has committed anything since, which takes a tenth of the time of a transaction. For connections that never write.
    ///
    /// # Errors
    /// `Internal` with PostgreSQL, where events are not committed in the order of their keys.
    pub fn read_or_know<T: PartialEq>(
        &self,
        stamp: Stamp,
        known: impl FnOnce(&Mark) -> Option<T>,
        work: impl FnMut(&mut Tx<'_>, &Mark) -> Result<T>,
    ) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(database) => database.read_or_know(stamp, known, work),
            Engine::Postgres(_) => Err(Error::internal("what is read is known with SQLite only")),
        }
    }

    /// Finishes pending upgrades in steps: indexes messages, and computes the skeletons of usernames.
    pub fn index(&self, stamp: Stamp) -> Result<()> {
        // Usernames first: until they have skeletons, others can take names that look like them.
        while self.write(stamp, maintenance::skeletons_step)? && !stamp.dry_run {}
        while self.write(stamp, maintenance::index_step)? && !stamp.dry_run {}
        Ok(())
    }

    /// Erases deleted data from the file, in steps, until `is_late`.
    pub fn erase(&self, stamp: Stamp, is_late: &dyn Fn() -> bool) -> Result<Erasure> {
        match &self.engine {
            Engine::Sqlite(database) => database.erase(stamp, is_late),
            Engine::Postgres(_) => Ok(Erasure::Done),
        }
    }

    /// A number that changes when another connection commits; none where the engine has none.
    ///
    /// # Errors
    /// `Unavailable` where the file is no longer in its place.
    pub fn data_version(&self) -> Result<Option<i64>> {
        match &self.engine {
            Engine::Sqlite(database) => database.data_version().map(Some),
            Engine::Postgres(_) => Ok(None),
        }
    }

    /// What the file system says of the files, if nobody writes: as long as [`Location::files`] says the same, nothing was committed.
    pub fn files_at_rest(&self) -> Option<FileState> {
        match &self.engine {
            Engine::Sqlite(database) => database.files_at_rest(),
            Engine::Postgres(_) => None,
        }
    }

    /// Whether the connection still works, as far as known
    fn is_usable(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(_) => true,
            Engine::Postgres(database) => database.is_usable(),
        }
    }

    /// The engine, for people
    pub fn engine(&self) -> &'static str {
        match &self.engine {
            Engine::Sqlite(_) => "SQLite",
            Engine::Postgres(_) => "PostgreSQL",
        }
    }

    /// The number of the last migration the database has had
    pub fn version(&self) -> Result<i64> {
        match &self.engine {
            Engine::Sqlite(database) => database.version(),
            Engine::Postgres(database) => database.version(),
        }
    }
}
