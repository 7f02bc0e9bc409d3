//! Everything that speaks SQL. Nothing above this module names a driver.

#[macro_use]
mod tx;

pub mod bulk;
mod care;
pub mod check;
pub mod conversations;
pub mod dump;
pub mod events;
pub mod idempotency;
pub mod maintenance;
pub mod messages;
pub mod notifications;
mod pool;
mod postgres;
pub mod scratch;
pub mod search;
mod sqlite;
pub mod tokens;
pub mod users;

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::model::fold_case;
pub use care::{Contents, Inspection, Sizes, backup, inspect, restore, verify_backup};
pub use pool::{Pool, Sharing};
pub use sqlite::schema::Strange;
pub use tx::{Clock, Ids, Stamp, Tx};
use tx::{Row, ids, list, texts};
#[cfg(debug_assertions)]
pub use {postgres::prepared_statements, sqlite::checked_statements, tx::statements_run};

/// The number of the newest migration, the same on both engines: what an up-to-date database says of itself.
pub const VERSION: i64 = 7;

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of the embedded engine
    Sqlite(PathBuf),
    /// A PostgreSQL database: its URL, or its connection string of `key='value'` pairs
    Postgres(String),
}

impl Location {
    /// Whether there certainly is no database yet: nothing, or an empty file
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Sqlite(path) => match path.metadata() {
                Ok(found) => found.is_file() && found.len() == 0,
                Err(cause) => cause.kind() == std::io::ErrorKind::NotFound,
            },
            Self::Postgres(_) => false,
        }
    }

    /// The file that an SQLite database has, or will have: where a link leads to. What belongs to it lies beside it.
    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(path) => Some(sqlite::real(path)),
            Self::Postgres(_) => None,
        }
    }

    /// Reads what a person types: a URL that begins with `postgres://` or `postgresql://`, else a path.
    ///
    /// # Errors
    /// As [`Location::of_file`]
    pub fn parse(text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some((scheme, rest)) if ["postgres", "postgresql"].contains(&scheme.to_ascii_lowercase().as_str()) => {
                Ok(Self::Postgres(format!("postgres://{rest}")))
            }
            Some((scheme, _)) if is_scheme(scheme) => {
                Err(Error::unavailable(format!("There are no databases with addresses like {scheme}://…"))
                    .hint("Name a file by its path, or PostgreSQL by postgres://user@host/database"))
            }
            _ => Self::of_file(text),
        }
    }

    /// A file by its path.
    ///
    /// # Errors
    /// `Unavailable` for what is meant as something else: taken for a path, a slip of the pen would make a file, with the
    /// password in its name. What was typed is not repeated.
    pub fn of_file(path: &str) -> Result<Self> {
        let refuse = |detail: &str, hint: &str| Err(Error::unavailable(detail).hint(hint));
        let first = path.split('/').next().unwrap_or_default();
        if first.split_once(':').is_some_and(|(scheme, _)| scheme.is_empty() || is_scheme(scheme)) {
            return refuse(
                "That is no path of a file: it begins as an address does.",
                "Name a file by its path, with ./ before a name that has a colon, or PostgreSQL by postgres://user@host/database",
            );
        }
        if first.split_whitespace().any(is_setting_of_postgres) {
            return refuse(
                "That is no path of a file: it says how to reach PostgreSQL.",
                "Name PostgreSQL by postgres://user@host/database, or by the variables DB_HOST, DB_NAME, DB_USER and DB_PASSWORD.",
            );
        }
        if first.starts_with('~') && (first.len() == 1 || path.contains('/')) {
            return refuse(
                "The ~ at the beginning of the database's path stands for no folder here.",
                "A shell puts your home folder in its place where it stands alone and without quotes: --db ~/x.db, or $HOME/x.db.",
            );
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }
}

/// Whether this can stand before the colon of an address
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Whether a word is a part of a connection string of PostgreSQL's, as `host=localhost`
fn is_setting_of_postgres(word: &str) -> bool {
    const NAMES: [&str; 10] =
        ["host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service", "sslmode", "options"];
    word.split_once('=').is_some_and(|(name, _)| NAMES.contains(&name))
}

/// Never shows a password.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(formatter),
            Self::Postgres(config) => {
                let config = config.parse::<::postgres::Config>().unwrap_or_default();
                let host = match config.get_hosts().first() {
                    // Behind the last @: what a password with an @ left there is not shown.
                    Some(::postgres::config::Host::Tcp(name)) => name.rsplit('@').next().unwrap_or_default().to_owned(),
                    Some(::postgres::config::Host::Unix(path)) => path.display().to_string(),
                    None => String::new(),
                };
                write!(formatter, "{} on PostgreSQL at {host}", config.get_dbname().unwrap_or("postgres"))
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

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

/// How far the scrubbing of what was deleted came.
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

/// Why migrating failed: what the engine said, where it said something.
fn migration_failed(error: refinery::Error) -> Error {
    use refinery::error::Kind;
    let meant = match error.kind() {
        Kind::DivergentVersion(..) | Kind::MissingVersion(..) => Some(Error::unavailable(
            "The database was made by another version of tidings, or is not ours; it was left as it is.",
        )),
        Kind::Connection(_, cause) => match (cause.downcast_ref(), cause.downcast_ref()) {
            (Some(cause), _) => sqlite::meaning(cause),
            (_, Some(cause)) => postgres::meaning(cause),
            (None, None) => None,
        },
        _ => None,
    };
    match meant {
        Some(meant) => meant.because(error),
        None => Error::internal(error),
    }
}

fn must_not_prepare(location: &dyn fmt::Display, exists: bool) -> Error {
    if exists {
        Error::unavailable(format!("The database {location} has to be brought up to date first."))
            .hint("`tidings db migrate` does it.")
    } else {
        Error::unavailable(format!("The database {location} is not there."))
            .hint("Name another with --db, or make it: tidings db migrate")
    }
}

/// One open database. SQLite and PostgreSQL differ here, in [`Tx`], and nowhere above.
pub struct Db {
    engine: Engine,
}

enum Engine {
    Sqlite(sqlite::Database),
    Postgres(Box<postgres::Database>),
}

impl Db {
    /// Opens the database, making it or bringing it up to date where needed.
    ///
    /// # Errors
    /// `Unavailable` where it is out of reach, not ours, damaged, or newer than this program; without `may_change` also
    /// where it would have to be made or brought up to date.
    pub fn open(location: &Location, may_change: bool) -> Result<(Self, Opened)> {
        match location {
            Location::Sqlite(path) => {
                let (database, opened) = sqlite::Database::open(path, may_change)?;
                Ok((Self { engine: Engine::Sqlite(database) }, opened))
            }
            Location::Postgres(config) => {
                let (database, opened) = postgres::Database::open(location, config, may_change)?;
                Ok((Self { engine: Engine::Postgres(Box::new(database)) }, opened))
            }
        }
    }

    /// Runs `work` in one transaction; nothing of it survives an error.
    ///
    /// PostgreSQL may break a transaction off, so `work` may run more than once and has no effect outside its `Tx`.
    pub fn write<T>(&self, stamp: Stamp, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(database) => database.write(stamp, &mut work),
            Engine::Postgres(database) => database.write(stamp, &mut work),
        }
    }

    /// Runs `work`, which only reads, on one moment of the database.
    pub fn read<T>(&self, stamp: Stamp, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        match &self.engine {
            Engine::Sqlite(database) => database.read(stamp, &mut work),
            Engine::Postgres(database) => database.read(stamp, &mut work),
        }
    }

    /// Indexes messages that an update left to be indexed, and works out what usernames look like that are from before that was
    /// known, in steps.
    pub fn index(&self, stamp: Stamp) -> Result<()> {
        // Usernames first: until it is known what they look like, others can take names that look like them.
        while self.write(stamp, maintenance::skeletons_step)? && !stamp.dry_run {}
        while self.write(stamp, maintenance::index_step)? && !stamp.dry_run {}
        Ok(())
    }

    /// Scrubs what was deleted from the file, in steps, until `is_late`.
    pub fn erase(&self, stamp: Stamp, is_late: &dyn Fn() -> bool) -> Result<Erasure> {
        match &self.engine {
            Engine::Sqlite(database) => database.erase(stamp, is_late),
            Engine::Postgres(_) => Ok(Erasure::Done),
        }
    }

    /// Whether the connection still works, as far as is known
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

/// The range of folded texts that begin with a text: from the first bound on, below the second.
fn beginning_with(prefix: &str) -> (String, String) {
    let from = fold_case(prefix);
    let below = format!("{from}{}", char::MAX);
    (from, below)
}

/// The pattern for `LIKE … ESCAPE '\'` that finds folded text holding `search`, whatever characters it has.
fn pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in fold_case(search).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
