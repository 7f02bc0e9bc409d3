//! The embedded engine: opening, making and refusing files.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use self::failure::{explain, unopened, unreadable};
pub(super) use self::failure::{is_busy, meaning};
pub(super) use self::patience::{PATIENCE, waiting_until};
pub use self::place::FileState;
use self::place::refuse_leftover_log;
pub(super) use self::place::{Identity, real};

use self::prepare::{APPLICATION_ID, prepare_file};
use super::events::{self, Mark};
use super::tx::{Inner, Stamp, Tx};
use super::{Opened, VERSION};
use crate::error::{Error, Result};

mod checks;
pub(super) mod copy;
mod erase;
mod failure;
pub(super) mod inspect;
mod partial;
mod patience;
mod place;
mod prepare;
pub(super) mod schema;
mod shared;

pub(super) use checks::check_stable;
#[cfg(debug_assertions)]
pub use checks::checked_statements;
pub(super) use shared::log_bytes;

/// The size that the write-ahead log is truncated to, in bytes
const LARGEST_LOG: u64 = 64 << 20;

/// Gives the log of events another generation, so that cursors from before are found out.
const RENEW_GENERATION: &str = "UPDATE event_log SET generation = randomblob(16)";

/// Up to 3.51.2 a checkpoint beside a writer of another process could corrupt the file.
const OLDEST_ENGINE: i32 = 3_051_003;

pub(super) struct Database {
    connection: Connection,
    /// As it was named
    path: PathBuf,
    /// The file that was there when it was opened
    file: Identity,
    /// Of how many pages the log is moved into the file, where this is the writer of a server; else 0
    log_pages: u64,
    /// The state of the log of events that was seen last, and the number that changes when somebody else commits
    marked: RefCell<Option<Box<(i64, Mark)>>>,
}

impl Database {
    /// Opens the file, making it or bringing it up to date where needed. On a file that is up to date this reads its
    /// header's numbers, not the history of migrations.
    ///
    /// Without `may_change` it is refused if it would have to be created or upgraded.
    pub(super) fn open(path: &Path, may_change: bool) -> Result<(Self, Opened)> {
        if rusqlite::version_number() < OLDEST_ENGINE {
            let detail = format!("SQLite {} can corrupt databases; 3.51.3 or later is needed.", rusqlite::version());
            return Err(Error::unavailable(detail));
        }
        Self::find_or_make(path, may_change).map_err(|error| explain(path, error))
    }

    fn find_or_make(path: &Path, may_change: bool) -> Result<(Self, Opened)> {
        let exists = path.try_exists().map_err(|cause| unreadable(path, cause))?;
        if exists {
            let (connection, file) = attach(path)?;
            // What may not be changed can be read whatever its journal: a backup, for example.
            if version(&connection, path)? == VERSION && (!may_change || is_wal(&connection)?) {
                return Ok((Self::over(connection, path, file)?, Opened::Ready));
            }
        }
        if !may_change {
            return Err(super::must_not_prepare(&path.display(), exists));
        }
        let opened = prepare_file(path)?;
        let (connection, file) = attach(path)?;
        Ok((Self::over(connection, path, file)?, opened))
    }

    fn over(connection: Connection, path: &Path, file: Identity) -> Result<Self> {
        Ok(Self {
            connection: configure(connection)?,
            path: path.to_owned(),
            file,
            log_pages: 0,
            marked: RefCell::default(),
        })
    }

    /// Opens the file again; another file in its place is refused unread.
    pub(super) fn open_again(path: &Path, file: Identity) -> Result<Self> {
        file.must_be_at(path)?;
        let opened = attach(path).and_then(|(connection, found)| match found {
            found if found == file => Self::over(connection, path, found),
            _ => Err(place::gone(path)),
        });
        opened.map_err(|error| explain(path, error))
    }

    /// As [`Database::open_again`], to read it beside others in this process: with a smaller cache than a writer's.
    pub(super) fn open_reader(path: &Path, file: Identity) -> Result<Self> {
        let reader = Self::open_again(path, file)?;
        reader.connection.execute_batch("PRAGMA cache_size = -8000; PRAGMA query_only = ON;")?;
        Ok(reader)
    }

    /// The file that is open
    pub(super) fn file(&self) -> Identity {
        self.file
    }

    pub(super) fn write<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.write_alone(stamp, work).map_err(|error| explain(&self.path, error))
    }

    fn write_alone<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let mut tx = Tx::new(Inner::Sqlite(&transaction, true), stamp);
        let value = work(&mut tx)?;
        drop(tx);
        if stamp.dry_run {
            transaction.rollback()?;
        } else {
            self.commit(transaction)?;
        }
        Ok(value)
    }

    /// Commits, and checks that the file is still the one that other connections read.
    fn commit(&self, transaction: Transaction<'_>) -> Result<()> {
        transaction.commit().map_err(failure::of_commit)?;
        // The change is in the file that was moved away; whether it will come back is unknown.
        self.file.must_be_at(&self.path).map_err(Error::of_unknown_outcome)
    }

    pub(super) fn read<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        // With cached statements: preparing them for every transaction takes longer than running them.
        let run = |sql| self.connection.prepare_cached(sql)?.execute([]);
        let mut read = || {
            run("BEGIN")?;
            let _over = Over(&self.connection);
            work(&mut Tx::new(Inner::Sqlite(&self.connection, false), stamp))
        };
        read().map_err(|error| explain(&self.path, error))
    }

    /// As [`Database::read`], but `work` is not run if `known` has its result for the state of the log that this connection saw last, and
    /// nobody has committed anything since. The connection must be one that never writes: what it committed itself would go unnoticed.
    ///
    /// Debug builds run it anyway, and compare.
    pub(super) fn read_or_know<T: PartialEq>(
        &self,
        stamp: Stamp,
        known: impl FnOnce(&Mark) -> Option<T>,
        mut work: impl FnMut(&mut Tx<'_>, &Mark) -> Result<T>,
    ) -> Result<T> {
        // The number of a moment before the transaction: where it is the same later, nothing was committed in between.
        let version = self.committed().map_err(|error| explain(&self.path, error))?;
        // Within a transaction that could not be ended nothing new would be seen.
        let is_of_now = |marked: &&(i64, Mark)| marked.0 == version && self.connection.is_autocommit();
        let found = self.marked.borrow().as_deref().filter(is_of_now).and_then(|(_, mark)| known(mark));
        if !cfg!(debug_assertions)
            && let Some(found) = found
        {
            return Ok(found);
        }
        let mut is_unchanged = false;
        let read = self.read(stamp, &mut |tx| {
            let mark = events::mark(tx)?;
            is_unchanged = cfg!(debug_assertions) && self.committed()? == version;
            self.marked.replace(Some(Box::new((version, mark.clone()))));
            work(tx, &mark)
        })?;
        if let Some(found) = found
            && is_unchanged
        {
            assert!(found == read, "what is known is not what is read");
            return Ok(found);
        }
        Ok(read)
    }

    /// A number that changes when another connection commits
    fn committed(&self) -> Result<i64> {
        Ok(self.connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
    }

    /// Some microseconds; right also where a file system tells of changes before they can be read.
    pub(super) fn data_version(&self) -> Result<i64> {
        // Of a file that was moved away nobody else changes anything. The caller may answer a client.
        self.file.must_be_at(&self.path).map_err(Error::without_place)?;
        self.committed()
    }

    /// What the file system says of the files while nobody writes; none if somebody does. Who writes changes the log before others
    /// can read it, so without the lock a change could be seen that is not yet there to be read.
    pub(super) fn files_at_rest(&self) -> Option<FileState> {
        let begin = || Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let _alone = waiting_until(Instant::now(), begin).ok()?;
        Some(FileState::of(&self.path))
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

/// Opens the file, and says which it is.
fn attach(path: &Path) -> Result<(Connection, Identity)> {
    let file = Identity::of(path).map_err(|cause| unreadable(path, cause))?;
    let connection = connect(path)?;
    file.must_be_at(path)?;
    Ok((connection, file))
}

fn connect(path: &Path) -> Result<Connection> {
    refuse_other_than_file(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(plain(path), flags).map_err(|cause| unopened(path, cause))?;
    patience::wait_for_others(&mut connection)?;
    refuse_foreign_code(&connection)?;
    Ok(connection)
}

/// Opens a file for reading, without changing it or the files beside it.
fn connect_to_read(path: &Path) -> Result<Connection> {
    refuse_other_than_file(path)?;
    let failed = |cause| unreadable(path, cause);
    let whole = path.canonicalize().map_err(failed)?;
    let mut header = [0; 20];
    let is_wal = File::open(&whole).map_err(failed)?.read_exact(&mut header).is_ok() && header[18] == 2;
    let mut uri = String::from("file:");
    for byte in whole.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => uri.push(char::from(*byte)),
            byte => uri.extend([format!("%{byte:02X}")]),
        }
    }
    // Without log and shared memory nobody uses it, and SQLite would create both only to read.
    let is_alone = !beside(&whole, "-wal").exists() && !beside(&whole, "-shm").exists();
    if is_wal && is_alone {
        uri.push_str("?immutable=1");
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags).map_err(|cause| unopened(path, cause))?;
    connection.busy_timeout(PATIENCE)?;
    refuse_foreign_code(&connection)?;
    Ok(connection)
}

/// tidings has no triggers and views; foreign ones in the file never run.
fn refuse_foreign_code(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

fn refuse_other_than_file(path: &Path) -> Result<()> {
    match path.metadata() {
        Ok(found) if found.is_dir() => {
            Err(Error::unavailable(format!("{} is a folder, not a database.", path.display())))
        }
        Ok(found) if !found.is_file() => {
            Err(Error::unavailable(format!("{} is not a file, so it is not a database.", path.display())))
        }
        Ok(found) if found.len() == 0 => refuse_leftover_log(path),
        _ => Ok(()),
    }
}

/// A path that names a file: SQLite takes some names for something else, `:memory:` and `file:…`.
fn plain(path: &Path) -> PathBuf {
    if path.is_relative() { Path::new(".").join(path) } else { path.to_owned() }
}

/// The folder of a file
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The version of the file; 0 for an empty one. Refuses files of other programs and of newer versions.
fn version(connection: &Connection, path: &Path) -> Result<i64> {
    let header = "SELECT application_id, user_version, schema_version FROM pragma_application_id, pragma_user_version, pragma_schema_version";
    let (application, version, schema) = connection
        .query_row(header, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)))
        .map_err(|cause| match cause.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => foreign(path).with_source(cause),
            _ => Error::from(cause),
        })?;
    if application != APPLICATION_ID && (schema, version) != (0, 0) {
        return Err(foreign(path));
    }
    if version > VERSION {
        let detail = format!("The database {} is of a newer tidings (version {version}).", path.display());
        return Err(Error::unavailable(detail).hint(format!("This one supports versions up to {VERSION}: update it.")));
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

fn configure(connection: Connection) -> Result<Connection> {
    // Without it SQLite prepares cached statements again for new values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A misspelt column in double quotes would be a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_prepared_statement_cache_capacity(128);
    // FULL survives a power cut (NORMAL lost 8% of acknowledged writes); secure_delete overwrites what is deleted; an
    // I/O error on a mapped page would be a signal instead of an error code.
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;
         PRAGMA cell_size_check = ON;
         PRAGMA cache_size = -32000;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;",
    )?;
    connection.pragma_update(None, "journal_size_limit", i64::try_from(LARGEST_LOG).map_err(Error::internal)?)?;
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
