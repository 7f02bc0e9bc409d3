//! The embedded engine: opening, making and refusing files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};

use self::prepare::{APPLICATION_ID, prepare_file};
use super::tx::{Inner, Stamp, Tx};
use super::{Opened, VERSION};
use crate::error::{Error, Result};

pub(super) mod care;
mod checks;
pub(super) mod copy;
mod erase;
mod partial;
mod prepare;
mod shared;

pub(super) use checks::check_stable;
#[cfg(debug_assertions)]
pub use checks::checked_statements;
pub(super) use shared::log_bytes;

/// Up to 3.51.2 a checkpoint beside a writer of another process could corrupt the file.
const OLDEST_ENGINE: i32 = 3_051_003;

/// How long a writer waits for the others before it gives up. Transactions are short, but SQLite's waiting is not fair:
/// beside many busy writers an unlucky one can need seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a waiting writer sleeps before it tries again, at first for less. SQLite's own sleeps grow to 100 ms, and whoever
/// loads data pauses for less than that between two transactions.
const NAP: Duration = Duration::from_millis(5);

pub(super) struct Database {
    connection: Connection,
}

impl Database {
    /// Opens the file, making it or bringing it up to date where needed. On a file that is up to date this reads its
    /// header's numbers, not the history of migrations.
    ///
    /// Without `may_change` it is refused where it would have to be made or brought up to date.
    pub(super) fn open(path: &Path, may_change: bool) -> Result<(Self, Opened)> {
        if rusqlite::version_number() < OLDEST_ENGINE {
            let detail = format!("SQLite {} can corrupt databases; 3.51.3 or later is needed.", rusqlite::version());
            return Err(Error::unavailable(detail));
        }
        let exists = path.try_exists().map_err(|cause| unreadable(path, cause))?;
        if exists {
            let connection = connect(path)?;
            // What may not be changed can be read whatever its journal: a backup, for example.
            if version(&connection, path)? == VERSION && (!may_change || is_wal(&connection)?) {
                return Ok((Self { connection: configure(connection)? }, Opened::Ready));
            }
        }
        if !may_change {
            return Err(super::must_not_prepare(&path.display(), exists));
        }
        let opened = prepare_file(path)?;
        Ok((Self { connection: configure(connect(path)?)? }, opened))
    }

    /// Opens the file, which is up to date, to read it beside others in this process: with a smaller cache than a writer's.
    pub(super) fn open_reader(path: &Path) -> Result<Self> {
        let connection = configure(connect(path)?)?;
        connection.execute_batch("PRAGMA cache_size = -8000; PRAGMA query_only = ON;")?;
        Ok(Self { connection })
    }

    pub(super) fn write<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let mut tx = Tx::new(Inner::Sqlite(&transaction, true), stamp);
        let value = work(&mut tx)?;
        super::search::write_index(&mut tx)?;
        drop(tx);
        if stamp.dry_run {
            transaction.rollback()?;
        } else {
            transaction.commit()?;
        }
        Ok(value)
    }

    pub(super) fn read<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        // By statements that are kept: preparing them anew for every transaction takes longer than they do.
        let run = |sql| self.connection.prepare_cached(sql)?.execute([]);
        run("BEGIN")?;
        let _over = Over(&self.connection);
        work(&mut Tx::new(Inner::Sqlite(&self.connection, false), stamp))
    }

    pub(super) fn version(&self) -> Result<i64> {
        Ok(self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
    }
}

/// Ends a transaction that only reads, also where a panic does.
struct Over<'c>(&'c Connection);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        // What keeps a reader from coming to its end has kept it from reading.
        let _ = self.0.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    }
}

fn connect(path: &Path) -> Result<Connection> {
    refuse_other_than_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(plain(path), flags).map_err(|cause| unreadable(path, cause))?;
    connection.busy_handler(Some(wait))?;
    Ok(connection)
}

/// Waits for another writer; false where patience is at its end.
fn wait(naps: i32) -> bool {
    #[expect(clippy::disallowed_methods, reason = "another process has the lock, and nothing tells when it is free")]
    std::thread::sleep(if naps < 5 { NAP / 5 } else { NAP });
    u128::try_from(naps).is_ok_and(|naps| naps * NAP.as_millis() < PATIENCE.as_millis())
}

fn refuse_other_than_file(path: &Path) -> Result<()> {
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            Err(Error::unavailable(format!("{} is a folder, not a database.", path.display())))
        }
        Ok(found) if !found.is_file() => {
            Err(Error::unavailable(format!("{} is not a file, so it is no database.", path.display())))
        }
        _ => Ok(()),
    }
}

/// A path that names a file: SQLite takes some names for something else, `:memory:` and `file:…`.
fn plain(path: &Path) -> PathBuf {
    if path.is_relative() { Path::new(".").join(path) } else { path.to_owned() }
}

/// The folder a file lies in
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn unreadable(path: &Path, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable(format!("The database {} cannot be opened: {cause}.", path.display())).because(cause)
}

/// The file's version; 0 for an empty one. Refuses what is not ours and what a newer program made.
fn version(connection: &Connection, path: &Path) -> Result<i64> {
    let header = "SELECT application_id, user_version, schema_version FROM pragma_application_id, pragma_user_version, pragma_schema_version";
    let (application, version, schema) = connection
        .query_row(header, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
        .map_err(|cause| match cause.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => foreign(path).because(cause),
            _ => Error::from(cause),
        })?;
    if application != APPLICATION_ID && (schema, version) != (0, 0) {
        return Err(foreign(path));
    }
    if version > VERSION {
        let detail = format!("The database {} was made by a newer tidings (its version {version}).", path.display());
        return Err(Error::unavailable(detail).hint(format!("This one knows versions up to {VERSION}: update it.")));
    }
    Ok(version)
}

/// Whether readers and writers do not wait for each other; a copy made by `VACUUM INTO` has to be switched.
fn is_wal(connection: &Connection) -> Result<bool> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    Ok(mode == "wal")
}

fn foreign(path: &Path) -> Error {
    Error::unavailable(format!("{} is not a database of tidings.", path.display()))
        .hint("Name another file with --db; this one was left as it is.")
}

/// A file is only there after a power cut when its folder was synced.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()
}

/// A file that SQLite or this program keeps beside a database
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn migration_failed(error: refinery::Error) -> Error {
    match error.kind() {
        refinery::error::Kind::DivergentVersion(..) | refinery::error::Kind::MissingVersion(..) => Error::unavailable(
            "The database was made by another version of tidings, or is not ours; it was left as it is.",
        )
        .because(error),
        _ => Error::internal(error),
    }
}

fn configure(connection: Connection) -> Result<Connection> {
    // Without it SQLite prepares cached statements again for new values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A misspelt column in double quotes would be a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_prepared_statement_cache_capacity(128);
    // FULL survives a power cut (NORMAL lost 8% of acknowledged writes); secure_delete overwrites what is deleted; an
    // I/O error on a mapped page would be a signal instead of an error code.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA cell_size_check = ON;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -32000;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;",
    )?;
    Ok(connection)
}

pub(super) fn prepare<'c>(
    connection: &'c Connection,
    may_write: bool,
    sql: &'static str,
) -> Result<CachedStatement<'c>> {
    let statement = connection.prepare_cached(sql)?;
    debug_assert!(may_write || statement.readonly(), "what a reader writes is lost: {sql}");
    #[cfg(debug_assertions)]
    {
        checks::check_order(&statement, sql);
        checks::check_plan(connection, sql);
    }
    Ok(statement)
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        let failure = match &cause {
            rusqlite::Error::SqliteFailure(failure, _) => *failure,
            _ => return Self::internal(cause),
        };
        let error = match failure.code {
            // What all who have the file open share lies on the disk too, and cannot be made larger.
            _ if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Self::no_space(),
            ErrorCode::DiskFull => Self::no_space(),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                Self::unavailable("The database is busy: another program has been writing to it for too long.")
                    .hint("Try again; nothing was changed.")
            }
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::unavailable("The database is read-only.")
                .hint("Look at the rights of the file and of its folder."),
            // SQLite makes a log beside a file even to read it.
            ErrorCode::CannotOpen => Self::unavailable("The database cannot be opened.").hint(
                "Look at the rights of the file and of its folder; from a read-only disk, copy it elsewhere first.",
            ),
            ErrorCode::NotADatabase => Self::unavailable("The file is not a database, or it is damaged."),
            ErrorCode::DatabaseCorrupt => Self::unavailable("The database is damaged.")
                .hint("Keep a copy of the file, then bring back a backup: tidings db restore FILE"),
            ErrorCode::SystemIoFailure => Self::unavailable("The disk failed to read or write the database."),
            ErrorCode::ConstraintViolation if failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE => {
                Self::conflict("Another one like it is already there.")
            }
            _ => return Self::internal(cause),
        };
        error.because(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_which_migration_was_the_last() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        prepare::migrate(&mut connection).unwrap();
        assert_eq!(version(&connection, Path::new("")).unwrap(), VERSION);
    }
}
