//! Temporary tables for a check of records, which may not fit into memory: in a file without a name, which is deleted when it is
//! closed.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::Result;

/// Temporary tables: records, pairs and numbers, each found by a name.
pub struct Scratch {
    connection: Connection,
}

/// What is kept of a record that was read.
#[derive(Clone, Copy)]
pub struct SeenRecord {
    /// Where it stands
    pub line: i64,
    /// The key of its row; of one that is to be made, its line, below zero
    pub identity: i64,
    /// Half of a hash of the record
    pub content_hash: i64,
    /// Of a message: the identity of its conversation; of others 0, as all that follows
    pub conversation: i64,
    /// Of a message: the identity of its sender, 0 where it has none
    pub sender: i64,
    /// Of a message: its number
    pub number: i64,
}

impl SeenRecord {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let (line, identity, content_hash) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (conversation, sender, number) = (row.get(3)?, row.get(4)?, row.get(5)?);
        Ok(Self { line, identity, content_hash, conversation, sender, number })
    }
}

impl Scratch {
    /// An empty temporary database.
    ///
    /// # Errors
    /// `NoSpace` if the folder for temporary files is full; the other functions too.
    pub fn new() -> Result<Self> {
        // An empty name: SQLite stores what does not fit into the cache in an unnamed file.
        let connection = Connection::open("")?;
        connection.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000; PRAGMA locking_mode = EXCLUSIVE;
             CREATE TABLE record (name BLOB PRIMARY KEY, line INTEGER, identity INTEGER, content_hash INTEGER,
                                  conversation INTEGER, sender INTEGER, number INTEGER) STRICT, WITHOUT ROWID;
             CREATE TABLE pair (name BLOB PRIMARY KEY, lower INTEGER, higher INTEGER) STRICT, WITHOUT ROWID;
             CREATE TABLE number (name BLOB PRIMARY KEY, number INTEGER) STRICT, WITHOUT ROWID;
             BEGIN;",
        )?;
        Ok(Self { connection })
    }

    /// Adds a record under a name; returns the record that has the name already, if there is one.
    pub fn add(&self, name: &[u8], record: SeenRecord) -> Result<Option<SeenRecord>> {
        let insert = "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
        let SeenRecord { line, identity, content_hash, conversation, sender, number } = record;
        let row = (name, line, identity, content_hash, conversation, sender, number);
        let is_new = self.connection.prepare_cached(insert)?.execute(row)? == 1;
        if is_new { Ok(None) } else { self.find(name) }
    }

    /// The record of that name
    pub fn find(&self, name: &[u8]) -> Result<Option<SeenRecord>> {
        let find = "SELECT line, identity, content_hash, conversation, sender, number FROM record WHERE name = ?";
        Ok(self.connection.prepare_cached(find)?.query_row([name], SeenRecord::read).optional()?)
    }

    /// Adds a pair under a name, unless the name has one.
    pub fn add_pair(&self, name: &[u8], (lower, higher): (i64, i64)) -> Result<()> {
        let insert = "INSERT INTO pair VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        self.connection.prepare_cached(insert)?.execute((name, lower, higher))?;
        Ok(())
    }

    /// The pair of that name
    pub fn pair(&self, name: &[u8]) -> Result<Option<(i64, i64)>> {
        let mut find = self.connection.prepare_cached("SELECT lower, higher FROM pair WHERE name = ?")?;
        Ok(find.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Raises the number of a name, if it is lower or absent.
    pub fn raise(&self, name: &[u8], number: i64) -> Result<()> {
        let raise = "INSERT INTO number VALUES (?, ?) ON CONFLICT DO UPDATE SET number = max(number, excluded.number)";
        self.connection.prepare_cached(raise)?.execute((name, number))?;
        Ok(())
    }

    /// Adds one to the number of a name, which is 0 at first; returns the sum.
    pub fn count(&self, name: &[u8]) -> Result<i64> {
        let count = "INSERT INTO number VALUES (?, 1) ON CONFLICT DO UPDATE SET number = number + 1 RETURNING number";
        Ok(self.connection.prepare_cached(count)?.query_row([name], |row| row.get(0))?)
    }

    /// The number of that name
    pub fn number(&self, name: &[u8]) -> Result<Option<i64>> {
        let mut find = self.connection.prepare_cached("SELECT number FROM number WHERE name = ?")?;
        Ok(find.query_row([name], |row| row.get(0)).optional()?)
    }
}
