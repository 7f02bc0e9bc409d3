//! The embedded engine: opening, creating and refusing files, and the checks every statement passes in debug builds.

#[cfg(debug_assertions)]
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
#[cfg(debug_assertions)]
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, Statement, Transaction, TransactionBehavior, ffi};

use super::tx::{Inner, Stamp, Tx};
use super::{Opened, VERSION};
use crate::error::{Error, Result};

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// `tidi`: how the header of a file says that it is ours.
const APPLICATION_ID: i64 = 0x7469_6469;

/// Up to 3.51.2 a checkpoint beside a writer of another process could corrupt the file.
const OLDEST_ENGINE: i32 = 3_051_003;

/// How long a writer waits for the others before it gives up. Transactions are short, but SQLite's waiting is not fair:
/// beside many busy writers an unlucky one can need seconds.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Database {
    connection: Connection,
}

impl Database {
    /// Opens the file, making it or bringing it up to date where needed. On a file that is up to date this reads its
    /// header's numbers, not the history of migrations.
    pub(super) fn open(path: &Path) -> Result<(Self, Opened)> {
        if rusqlite::version_number() < OLDEST_ENGINE {
            let detail = format!("SQLite {} can corrupt databases; 3.51.3 or later is needed.", rusqlite::version());
            return Err(Error::unavailable(detail));
        }
        if path.try_exists().map_err(|cause| unreadable(path, cause))? {
            let connection = connect(path)?;
            if version(&connection, path)? == VERSION {
                return Ok((Self { connection: configure(connection)? }, Opened::Ready));
            }
        }
        let opened = prepare_file(path)?;
        Ok((Self { connection: configure(connect(path)?)? }, opened))
    }

    pub(super) fn write<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let value = work(&mut Tx::new(Inner::Sqlite(&transaction), stamp))?;
        if stamp.dry_run {
            transaction.rollback()?;
        } else {
            transaction.commit()?;
        }
        Ok(value)
    }

    pub(super) fn read<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)?;
        work(&mut Tx::new(Inner::Sqlite(&transaction), stamp))
    }

    pub(super) fn version(&self) -> Result<i64> {
        Ok(self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
    }

    pub(super) fn bytes(&self) -> Result<i64> {
        Ok(self.connection.query_row(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            [],
            |row| row.get(0),
        )?)
    }
}

fn connect(path: &Path) -> Result<Connection> {
    if path.is_dir() {
        return Err(Error::unavailable(format!("{} is a folder, not a database.", path.display())));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|cause| unreadable(path, cause))?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
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
    if application != APPLICATION_ID && schema != 0 {
        return Err(foreign(path));
    }
    if version > VERSION {
        let detail = format!("The database {} was made by a newer tidings (its version {version}).", path.display());
        return Err(Error::unavailable(detail).hint(format!("This one knows versions up to {VERSION}: update it.")));
    }
    Ok(version)
}

fn foreign(path: &Path) -> Error {
    Error::unavailable(format!("{} is not a database of tidings.", path.display()))
        .hint("Name another file with --db; this one was left as it is.")
}

/// Makes the file or brings it up to date, alone: refinery takes no lock, and of several first starts at once some fail.
fn prepare_file(path: &Path) -> Result<Opened> {
    let failed = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::no_space().because(cause),
        _ => {
            let detail = format!("The database {} cannot be made: {cause}.", path.display());
            Error::unavailable(detail).because(cause)
        }
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let _alone = lock_file(path).map_err(failed)?;
    // The file comes first, readable by its owner only: SQLite gives -wal and -shm the same mode.
    let created = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => true,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed(error)),
    };
    let mut connection = connect(path)?;
    let version = version(&connection, path)?;
    if version < VERSION {
        // First of all, so that a file is ours from its first table on.
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        switch_to_wal(&connection)?;
        connection.execute_batch("PRAGMA synchronous = FULL")?;
        embedded::migrations::runner().run(&mut connection).map_err(migration_failed)?;
    }
    drop(connection);
    if created {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    Ok(if created { Opened::Created } else { Opened::Migrated { from: version } })
}

/// Waits for others who look at the file: this is the one statement that ignores the busy timeout.
fn switch_to_wal(connection: &Connection) -> Result<()> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < PATIENCE => {}
            done => return Ok(done?),
        }
        #[expect(clippy::disallowed_methods, reason = "others only look at the header, and are gone at once")]
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Holds everybody else up while the file is prepared. A file of its own beside the database: closing a second handle to
/// the database itself would drop the locks SQLite holds on it.
fn lock_file(path: &Path) -> std::io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(Path::new(&name))?;
    file.lock()?;
    Ok(file)
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

pub(super) fn prepare<'c>(connection: &'c Connection, sql: &'static str) -> Result<CachedStatement<'c>> {
    let statement = connection.prepare_cached(sql)?;
    #[cfg(debug_assertions)]
    {
        check_order(&statement, sql);
        check_plan(connection, sql);
    }
    Ok(statement)
}

/// A cached statement that SQLite prepares again for other values costs more than it saves.
pub(super) fn check_stable(statement: &Statement<'_>, sql: &str) {
    debug_assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "prepared again: {sql}");
}

/// SQLite numbers `$n` by first appearance and PostgreSQL by `n`, so they must agree.
#[cfg(debug_assertions)]
fn check_order(statement: &Statement<'_>, sql: &str) {
    let in_order = (1..=statement.parameter_count())
        .all(|number| statement.parameter_name(number) == Some(format!("${number}").as_str()));
    assert!(in_order, "parameters must first appear as $1, $2, …: {sql}");
}

/// The statements whose plans were checked, in debug builds: all that this process prepared.
#[cfg(debug_assertions)]
pub fn checked_statements() -> BTreeSet<&'static str> {
    CHECKED.lock().map(|checked| checked.clone()).unwrap_or_default()
}

#[cfg(debug_assertions)]
static CHECKED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// No statement reads a whole table. One that must says so in a comment, `/* scans: why */`.
#[cfg(debug_assertions)]
fn check_plan(connection: &Connection, sql: &'static str) {
    if !CHECKED.lock().is_ok_and(|mut checked| checked.insert(sql)) || sql.contains("/* scans:") {
        return;
    }
    for step in plan(connection, sql) {
        assert!(!reads_a_whole_table(&step, sql), "{step}: {sql}");
    }
}

#[cfg(debug_assertions)]
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let read = |statement: &mut Statement<'_>| statement.raw_query().mapped(|row| row.get(3)).collect();
    connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .and_then(|mut statement| read(&mut statement))
        .unwrap_or_default()
}

/// A step that scans something other than a list bound as a parameter, a subquery or a named part of the statement.
#[cfg(debug_assertions)]
fn reads_a_whole_table(step: &str, sql: &str) -> bool {
    let Some(scanned) = step.strip_prefix("SCAN ") else { return step.contains("AUTOMATIC") };
    let name = scanned.split(' ').next().unwrap_or_default();
    let derived = name.starts_with('(') || scanned.contains("VIRTUAL TABLE") || scanned.contains("CONSTANT ROW");
    let is_part = |form: String| sql.contains(&form);
    !derived && !is_part(format!("{name} (")) && !is_part(format!(") AS {name}"))
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        let failure = match &cause {
            rusqlite::Error::SqliteFailure(failure, _) => *failure,
            _ => return Self::internal(cause),
        };
        let error = match failure.code {
            ErrorCode::DiskFull => Self::no_space(),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                Self::unavailable("The database is busy: another program has been writing to it for too long.")
                    .hint("Try again; nothing was changed.")
            }
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::unavailable("The database is read-only.")
                .hint("Look at the rights of the file and of its folder."),
            ErrorCode::CannotOpen => Self::unavailable("The database cannot be opened."),
            ErrorCode::NotADatabase => Self::unavailable("The file is not a database, or it is damaged."),
            ErrorCode::DatabaseCorrupt => {
                Self::unavailable("The database is damaged.").hint("Bring back a backup; keep the damaged file.")
            }
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
    fn a_statement_that_reads_a_whole_table_is_found_out() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE message (key INTEGER PRIMARY KEY, content TEXT) STRICT").unwrap();
        let scans = |sql: &str| plan(&connection, sql).iter().any(|step| reads_a_whole_table(step, sql));
        assert!(scans("SELECT key FROM message AS m WHERE content = $1"));
        assert!(scans("SELECT a.key FROM message AS a JOIN message AS b ON a.content = b.content WHERE a.key = $1"));
        assert!(!scans("SELECT content FROM message WHERE key = $1"));
        assert!(!scans("SELECT content FROM message WHERE key IN (SELECT value FROM json_each($1))"));
    }

    #[test]
    fn the_file_says_which_migration_was_the_last() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        embedded::migrations::runner().run(&mut connection).unwrap();
        assert_eq!(version(&connection, Path::new("")).unwrap(), VERSION);
    }
}
