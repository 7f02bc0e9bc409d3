//! What a check has to remember and does not fit into bounded memory: a table in a file without a name, which vanishes
//! with it.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::Result;

/// Names and what is known of them
pub struct Scratch {
    connection: Connection,
}

/// What is known of a name: six numbers whose meaning is up to whoever notes them
pub type Noted = [i64; 6];

fn read(row: &Row<'_>) -> rusqlite::Result<Noted> {
    Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?])
}

impl Scratch {
    /// # Errors
    /// `NoSpace` where the folder for temporary files is full, here as in all that follows.
    pub fn new() -> Result<Self> {
        // An empty name: SQLite keeps what does not fit into the cache in a file that has none.
        let connection = Connection::open("")?;
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000; PRAGMA locking_mode = EXCLUSIVE;
             CREATE TABLE noted (name BLOB PRIMARY KEY, a INTEGER, b INTEGER, c INTEGER, d INTEGER, e INTEGER, f INTEGER) STRICT, WITHOUT ROWID;
             BEGIN;",
        )?;
        Ok(Self { connection })
    }

    /// Notes a name where it is new; returns what is known of it where it is not.
    pub fn note(&self, name: &[u8], noted: Noted) -> Result<Option<Noted>> {
        let insert = "INSERT INTO noted VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let [first, second, third, fourth, fifth, sixth] = noted;
        let row = (name, first, second, third, fourth, fifth, sixth);
        let is_new = self.connection.prepare_cached(insert)?.execute(row)? == 1;
        if is_new { Ok(None) } else { self.find(name) }
    }

    /// What is known of a name
    pub fn find(&self, name: &[u8]) -> Result<Option<Noted>> {
        let mut find = self.connection.prepare_cached("SELECT a, b, c, d, e, f FROM noted WHERE name = ?")?;
        Ok(find.query_row([name], read).optional()?)
    }

    /// Raises the first number of a name, where it is lower.
    pub fn raise(&self, name: &[u8], number: i64) -> Result<()> {
        let raise = "INSERT INTO noted VALUES (?, ?, 0, 0, 0, 0, 0) ON CONFLICT DO UPDATE SET a = max(a, excluded.a)";
        self.connection.prepare_cached(raise)?.execute((name, number))?;
        Ok(())
    }

    /// Counts how often a name came, this time too.
    pub fn count(&self, name: &[u8]) -> Result<i64> {
        let count = "INSERT INTO noted VALUES (?, 1, 0, 0, 0, 0, 0) ON CONFLICT DO UPDATE SET a = a + 1 RETURNING a";
        Ok(self.connection.prepare_cached(count)?.query_row([name], |row| row.get(0))?)
    }
}
