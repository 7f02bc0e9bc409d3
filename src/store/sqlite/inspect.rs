//! The size, damages and state of an SQLite file; and giving free space back.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::Database;
use crate::error::{Error, Result};
use crate::model::Pending;
use crate::store::{Inspection, Sizes, VERSION};

impl Database {
    pub(in crate::store) fn integrity(&self) -> Result<Vec<String>> {
        damages(&self.connection)
    }

    pub(in crate::store) fn references(&self) -> Result<Vec<String>> {
        broken_references(&self.connection)
    }

    /// The size of the file and of its log, in bytes
    pub(in crate::store) fn sizes(&self) -> Result<Sizes> {
        let log = self.connection.path().map(|path| super::beside(Path::new(path), "-wal"));
        Ok(Sizes { bytes: bytes(&self.connection)?, wal_bytes: Some(log.map_or(0, |log| length(&log))) })
    }

    /// The bytes of pages that hold nothing
    pub(in crate::store) fn free_bytes(&self) -> Result<i64> {
        free_bytes(&self.connection)
    }

    /// Rewrites the file without free pages, and empties its log; false if a reader kept the log.
    pub(in crate::store) fn compact(&self) -> Result<bool> {
        // In memory would be the whole database.
        self.connection.execute_batch("PRAGMA temp_store = FILE")?;
        let vacuumed = self.connection.execute_batch("VACUUM");
        self.connection.execute_batch("PRAGMA temp_store = MEMORY")?;
        vacuumed?;
        // What was prepared for the file before would be prepared again.
        self.connection.flush_prepared_statement_cache();
        let is_kept: bool = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(!is_kept)
    }
}

fn length(path: &Path) -> i64 {
    path.metadata().map_or(0, |found| i64::try_from(found.len()).unwrap_or(i64::MAX))
}

pub(super) fn bytes(connection: &Connection) -> Result<i64> {
    let bytes = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    Ok(connection.query_row(bytes, [], |row| row.get(0))?)
}

pub(super) fn free_bytes(connection: &Connection) -> Result<i64> {
    let free = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
    Ok(connection.query_row(free, [], |row| row.get(0))?)
}

/// What is wrong with the pages of the file, up to a hundred things; also that it is too damaged to say.
pub(super) fn damages(connection: &Connection) -> Result<Vec<String>> {
    let said = texts(connection, "SELECT integrity_check FROM pragma_integrity_check")?;
    Ok(said.into_iter().filter(|said| said != "ok").collect())
}

/// The rows that refer to rows which are not there
pub(super) fn broken_references(connection: &Connection) -> Result<Vec<String>> {
    let found = "SELECT \"table\" || ' refers to ' || count(*) || ' missing rows of ' || parent
                 FROM pragma_foreign_key_check GROUP BY \"table\", parent";
    texts(connection, found)
}

fn texts(connection: &Connection, sql: &str) -> Result<Vec<String>> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let mut statement = connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect()
    };
    match read() {
        Err(cause)
            if matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) =>
        {
            Ok(vec![cause.to_string()])
        }
        done => Ok(done?),
    }
}

/// What can be said of a file without changing anything.
pub(in crate::store) fn inspect(path: &Path) -> Result<Inspection> {
    look_at(path).map_err(|error| super::explain(path, error))
}

fn look_at(path: &Path) -> Result<Inspection> {
    let connection = super::connect_to_read(path)?;
    let version = super::version(&connection, path)?;
    let newest = "SELECT at FROM event ORDER BY key DESC LIMIT 1";
    let newest_event = match version {
        0 => None,
        _ => match connection.query_row(newest, [], |row| row.get(0)) {
            Err(rusqlite::Error::QueryReturnedNoRows) => None,
            found => Some(found.map_err(Error::from)?),
        },
    };
    let pending = if version == VERSION {
        let mut statement = connection.prepare("SELECT task, since FROM maintenance ORDER BY task")?;
        let read = statement.query_map([], |row| Ok(Pending { task: row.get(0)?, since: row.get(1)? }))?;
        read.collect::<rusqlite::Result<_>>()?
    } else {
        Vec::new()
    };
    Ok(Inspection { version, newest_event, pending, ..engine() })
}

/// The engine that is built in
pub(in crate::store) fn engine() -> Inspection {
    Inspection {
        engine: format!("SQLite {}", rusqlite::version()),
        is_old: rusqlite::version_number() < super::OLDEST_ENGINE,
        oldest: "3.51.3",
        version: 0,
        newest_event: None,
        pending: Vec::new(),
        encoding: None,
    }
}
