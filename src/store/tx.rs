//! The boundary to both drivers: one SQL text, run on either.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use postgres::binary_copy::BinaryCopyInWriter;
use postgres::fallible_iterator::FallibleIterator as _;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::model::{
    Choice, ConversationId, ConversationKey, EventKey, EventKind, Kind, Level, MessageId, MessageKey, NotificationKind,
    Number, Role, Task, Timestamp, UserId, UserKey,
};

/// A value both drivers can bind.
pub(super) trait Param: rusqlite::ToSql + postgres::types::ToSql + Sync {}
impl<T: rusqlite::ToSql + postgres::types::ToSql + Sync> Param for T {}

/// A value both drivers can read.
pub(super) trait Column: rusqlite::types::FromSql + for<'r> postgres::types::FromSql<'r> {}
impl<T: rusqlite::types::FromSql + for<'r> postgres::types::FromSql<'r>> Column for T {}

/// Binds a type through both drivers as a type that they know.
macro_rules! travels_as {
    ($inner:ty: $($name:ty, $to:expr, $from:expr);+ $(;)?) => {$(
        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                let inner: $inner = $to(self);
                Ok(rusqlite::types::ToSqlOutput::Owned(inner.into()))
            }
        }
        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                $from(<$inner as rusqlite::types::FromSql>::column_result(value)?)
                    .ok_or(rusqlite::types::FromSqlError::InvalidType)
            }
        }
        impl postgres::types::ToSql for $name {
            fn to_sql(
                &self,
                kind: &postgres::types::Type,
                out: &mut postgres::types::private::BytesMut,
            ) -> std::result::Result<postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
                let inner: $inner = $to(self);
                postgres::types::ToSql::to_sql(&inner, kind, out)
            }
            postgres::types::to_sql_checked!();
            fn accepts(kind: &postgres::types::Type) -> bool {
                <$inner as postgres::types::ToSql>::accepts(kind)
            }
        }
        impl<'r> postgres::types::FromSql<'r> for $name {
            fn from_sql(
                kind: &postgres::types::Type,
                raw: &'r [u8],
            ) -> std::result::Result<Self, Box<dyn std::error::Error + Sync + Send>> {
                $from(<$inner as postgres::types::FromSql>::from_sql(kind, raw)?)
                    .ok_or_else(|| concat!("not a ", stringify!($name)).into())
            }
            fn accepts(kind: &postgres::types::Type) -> bool {
                <$inner as postgres::types::FromSql>::accepts(kind)
            }
        }
    )+};
}

travels_as! { i64:
    UserKey, |key: &UserKey| key.0, |key| Some(UserKey(key));
    ConversationKey, |key: &ConversationKey| key.0, |key| Some(ConversationKey(key));
    MessageKey, |key: &MessageKey| key.0, |key| Some(MessageKey(key));
    EventKey, |key: &EventKey| key.0, |key| Some(EventKey(key));
    Number, |number: &Number| number.0, |number| Some(Number(number));
    Timestamp, |instant: &Timestamp| instant.0, |instant| Some(Timestamp(instant));
    Role, |role: &Role| role.code(), from_code;
    Kind, |kind: &Kind| kind.code(), from_code;
    Level, |level: &Level| level.code(), from_code;
    NotificationKind, |kind: &NotificationKind| kind.code(), from_code;
    EventKind, |kind: &EventKind| kind.code(), from_code;
    Task, |task: &Task| task.code(), from_code;
}

travels_as! { Uuid:
    UserId, |id: &UserId| id.0, |id| Some(UserId(id));
    ConversationId, |id: &ConversationId| id.0, |id| Some(ConversationId(id));
    MessageId, |id: &MessageId| id.0, |id| Some(MessageId(id));
}

/// The choice with that number; none: it is of a newer program
pub(super) fn from_code<T: Choice>(code: i64) -> Option<T> {
    T::ALL.iter().copied().find(|choice| choice.code() == code)
}

/// Many keys as one parameter, read by `list!` in the statement.
pub(super) fn list(keys: impl IntoIterator<Item = i64>) -> String {
    let keys: Vec<String> = keys.into_iter().map(|key| key.to_string()).collect();
    format!("[{}]", keys.join(","))
}

/// Many texts as one parameter, read by `texts!` in the statement.
pub(super) fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    texts.into_iter().map(|text| text.as_ref().to_owned()).collect::<serde_json::Value>().to_string()
}

/// Many ids as one parameter, read by a statement of `by_ids!`: SQLite keeps them as bytes.
pub(super) fn ids(tx: &Tx<'_>, ids: impl IntoIterator<Item = Uuid>) -> String {
    let text = tx.split::<fn(Uuid) -> String>(|id| id.simple().to_string(), |id| id.to_string());
    texts(ids.into_iter().map(text))
}

/// A subquery of the keys in parameter `$n`, which [`list`] made.
macro_rules! list {
    ($parameter:literal) => {
        concat!("(SELECT CAST(value AS BIGINT) FROM json_each(CAST(", $parameter, " AS TEXT)))")
    };
}

/// A statement that finds rows by their ids, which [`ids`] made, on either engine.
macro_rules! by_ids {
    ($tx:ident, $select:expr, $column:literal) => {
        $tx.split(
            concat!($select, " WHERE ", $column, " IN (SELECT unhex(value) FROM json_each($1))"),
            concat!($select, " WHERE ", $column, " IN (SELECT CAST(value AS UUID) FROM json_each(CAST($1 AS TEXT)))"),
        )
    };
}

/// A subquery of the texts in parameter `$n`, which [`texts`] made.
macro_rules! texts {
    ($parameter:literal) => {
        concat!("(SELECT value FROM json_each(CAST(", $parameter, " AS TEXT)))")
    };
}

/// The statements that insert many rows: for SQLite one that runs once per row, for PostgreSQL a COPY with the columns'
/// types, to avoid a round trip per row.
pub(super) struct Addition {
    insert: &'static str,
    types: &'static str,
    copy: &'static str,
}

impl Addition {
    pub(super) const fn new(insert: &'static str, types: &'static str, copy: &'static str) -> Self {
        Self { insert, types, copy }
    }
}

/// The [`Addition`] to a table of rows with these columns, bound to these parameters.
macro_rules! addition {
    ($table:literal, $columns:literal, $parameters:literal) => {
        $crate::store::tx::Addition::new(
            concat!("INSERT INTO ", $table, " (", $columns, ") VALUES (", $parameters, ")"),
            concat!("SELECT ", $columns, " FROM ", $table, " WHERE FALSE"),
            concat!("COPY ", $table, " (", $columns, ") FROM STDIN (FORMAT BINARY)"),
        )
    };
}

/// A `SELECT` of rows to lock: on PostgreSQL as a change that leaves their keys as they are does, but without a dead row, and in
/// the order of the keys, so that two who lock several with one statement do not wait for each other. That order ends with the
/// statement: of two who lock more with a second one, PostgreSQL may have to undo one, which then runs again.
pub(super) struct Locking {
    plain: &'static str,
    postgres: &'static str,
}

impl Locking {
    pub(super) const fn new(plain: &'static str, postgres: &'static str) -> Self {
        Self { plain, postgres }
    }
}

/// The [`Locking`] of a `SELECT` made of these parts, of one table, without an order
macro_rules! locking {
    ($($part:tt)+) => {
        $crate::store::tx::Locking::new(concat!($($part)+), concat!($($part)+, " ORDER BY key FOR NO KEY UPDATE"))
    };
}

/// A result row from either driver, read by position.
pub(super) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r postgres::Row),
}

impl Row<'_> {
    pub(super) fn get<T: Column>(&self, index: usize) -> Result<T> {
        match self {
            Self::Sqlite(row) => Ok(row.get(index)?),
            Self::Postgres(row) => Ok(row.try_get(index)?),
        }
    }
}

/// Where the random part of new ids comes from.
#[derive(Clone, Copy, Debug)]
pub enum Ids {
    /// The machine's random source
    Random(fn() -> Result<[u8; 10]>),
    /// A number and the place in the log of events: two commands differ, and a script repeats
    Seeded(u64),
}

/// Where a transaction reads its time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    Running(fn() -> Timestamp),
    Frozen(Timestamp),
}

impl Clock {
    /// The current time of the clock
    pub fn now(self) -> Timestamp {
        match self {
            Self::Running(read) => read(),
            Self::Frozen(now) => now,
        }
    }
}

/// What a transaction gets from outside.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Read when the transaction has its turn
    pub clock: Clock,
    /// Where its new ids come from
    pub ids: Ids,
    /// Undo it at its end, whatever its outcome
    pub dry_run: bool,
}

pub(super) enum Inner<'c> {
    /// The connection, and whether the transaction may write
    Sqlite(&'c rusqlite::Connection, bool),
    /// The transaction, the statements of the connection, and whether it may write
    Postgres(postgres::Transaction<'c>, &'c mut HashMap<&'static str, postgres::Statement>, bool),
}

/// How many statements this thread ran, in debug builds: tests bound how many a request takes.
#[cfg(debug_assertions)]
pub fn statements_run() -> u64 {
    STATEMENTS_RUN.get()
}

#[cfg(debug_assertions)]
thread_local! {
    static STATEMENTS_RUN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn count_statement() {
    #[cfg(debug_assertions)]
    STATEMENTS_RUN.set(STATEMENTS_RUN.get() + 1);
}

/// A unit of work: one transaction, one time.
pub struct Tx<'c> {
    inner: Inner<'c>,
    stamp: Stamp,
    now: Timestamp,
    /// What the operator should know of it, beside its outcome
    notes: Vec<String>,
    ids_made: u64,
    /// The search entries of messages, none for deleted ones; written by one statement at the end
    pub(super) to_index: BTreeMap<MessageKey, Option<super::search::Entry>>,
}

impl<'c> Tx<'c> {
    pub(super) fn new(inner: Inner<'c>, stamp: Stamp) -> Self {
        Self { inner, stamp, now: stamp.clock.now(), notes: Vec::new(), ids_made: 0, to_index: BTreeMap::new() }
    }

    /// Reads the clock again on PostgreSQL, where the transaction may have waited for a row since it began. On SQLite
    /// it begins when it has the lock.
    fn take_turn(&mut self) {
        if let Inner::Postgres(..) = self.inner {
            self.now = self.stamp.clock.now();
        }
    }

    /// Adds a note for the operator, which is kept even if the transaction fails.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// What was noted so far, for the log or the command line
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// One of two, where the engines have no common form
    pub(super) fn split<T>(&self, sqlite: T, postgres: T) -> T {
        match self.inner {
            Inner::Sqlite(..) => sqlite,
            Inner::Postgres(..) => postgres,
        }
    }

    /// The driver's transaction, to end it
    pub(super) fn into_inner(self) -> Inner<'c> {
        self.inner
    }

    /// A number that changes with the tables; none where the engine has none.
    pub fn schema_version(&self) -> Result<Option<i64>> {
        match &self.inner {
            // Not kept: a statement that is kept is prepared again when the tables have changed.
            Inner::Sqlite(connection, _) => {
                Ok(Some(connection.query_row("PRAGMA schema_version", [], |row| row.get(0))?))
            }
            Inner::Postgres(..) => Ok(None),
        }
    }

    /// The time of this transaction, taken when it had its turn
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A new id: a UUID of version 7 made from the transaction's time.
    pub fn new_id(&mut self) -> Result<Uuid> {
        let random = match self.stamp.ids {
            Ids::Random(source) => source()?,
            Ids::Seeded(seed) => {
                self.ids_made += 1;
                let EventKey(position) = super::events::newest(self)?;
                seeded(seed, position, self.ids_made)
            }
        };
        let milliseconds = u64::try_from(self.now().0 / 1000).unwrap_or(0);
        Ok(uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
    }

    /// Runs a statement and reads every row.
    pub(super) fn all<T>(
        &mut self,
        sql: &'static str,
        params: &[&dyn Param],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        self.each(sql, params, |row| {
            found.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Runs a statement and looks at its rows, one by one, until `look` breaks off.
    pub(super) fn each(
        &mut self,
        sql: &'static str,
        params: &[&dyn Param],
        mut look: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        count_statement();
        match &mut self.inner {
            Inner::Sqlite(connection, may_write) => {
                let mut statement = super::sqlite::prepare(connection, *may_write, sql)?;
                let mut rows = statement.query(sqlite_params(params).as_slice())?;
                while let Some(row) = rows.next()? {
                    if look(&Row::Sqlite(row))?.is_break() {
                        break;
                    }
                }
                drop(rows);
                super::sqlite::check_stable(&statement, sql);
            }
            Inner::Postgres(transaction, statements, _) => {
                let statement = super::postgres::prepare(transaction, statements, sql)?;
                // Row by row: a driver's row is many times larger than the result.
                let mut rows = transaction.query_raw(&statement, postgres_params(params))?;
                while let Some(row) = rows.next()? {
                    if look(&Row::Postgres(&row))?.is_break() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs a statement and reads its first row, if it has one.
    pub(super) fn one<T>(
        &mut self,
        sql: &'static str,
        params: &[&dyn Param],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        count_statement();
        match &mut self.inner {
            Inner::Sqlite(connection, may_write) => {
                let mut statement = super::sqlite::prepare(connection, *may_write, sql)?;
                let mut rows = statement.query(sqlite_params(params).as_slice())?;
                rows.next()?.map(|row| read(&Row::Sqlite(row))).transpose()
            }
            Inner::Postgres(transaction, statements, _) => {
                let statement = super::postgres::prepare(transaction, statements, sql)?;
                let rows = transaction.query(&statement, &postgres_params(params))?;
                rows.first().map(|row| read(&Row::Postgres(row))).transpose()
            }
        }
    }

    /// Reads rows, and keeps everybody else from changing them to the end of the transaction, whose time is taken anew. SQLite has
    /// one writer anyway, and a transaction that only reads has a snapshot.
    pub(super) fn lock<T>(
        &mut self,
        locking: &Locking,
        params: &[&dyn Param],
        read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let locked = self.all(self.locked_by(locking), params, read);
        self.take_turn();
        locked
    }

    /// As [`Tx::lock`], for at most one row
    pub(super) fn lock_one<T>(
        &mut self,
        locking: &Locking,
        params: &[&dyn Param],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let locked = self.one(self.locked_by(locking), params, read);
        self.take_turn();
        locked
    }

    fn locked_by(&self, locking: &Locking) -> &'static str {
        match self.inner {
            Inner::Postgres(.., true) => locking.postgres,
            Inner::Postgres(..) | Inner::Sqlite(..) => locking.plain,
        }
    }

    /// Runs a statement that always has a row: an aggregate, or an insert that cannot meet a conflict.
    pub(super) fn only<T>(
        &mut self,
        sql: &'static str,
        params: &[&dyn Param],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.one(sql, params, read)?.ok_or_else(|| Error::internal(format!("no row: {sql}")))
    }

    /// Runs a statement for its effect; returns how many rows it changed.
    pub(super) fn run(&mut self, sql: &'static str, params: &[&dyn Param]) -> Result<i64> {
        count_statement();
        let changed = match &mut self.inner {
            Inner::Sqlite(connection, may_write) => {
                let mut statement = super::sqlite::prepare(connection, *may_write, sql)?;
                let changed = statement.execute(sqlite_params(params).as_slice())?;
                super::sqlite::check_stable(&statement, sql);
                i64::try_from(changed)
            }
            Inner::Postgres(transaction, statements, _) => {
                let statement = super::postgres::prepare(transaction, statements, sql)?;
                i64::try_from(transaction.execute(&statement, &postgres_params(params))?)
            }
        };
        changed.map_err(Error::internal)
    }

    /// Adds rows, the quickest way each engine has.
    pub(super) fn add<'r, T, const COLUMNS: usize>(
        &mut self,
        addition: &Addition,
        rows: &'r [T],
        row: impl Fn(&'r T) -> [&'r dyn Param; COLUMNS],
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        match &mut self.inner {
            Inner::Sqlite(connection, may_write) => {
                let mut statement = super::sqlite::prepare(connection, *may_write, addition.insert)?;
                for one in rows {
                    statement.execute(row(one).map(|param| param as &dyn rusqlite::ToSql).as_slice())?;
                }
                super::sqlite::check_stable(&statement, addition.insert);
            }
            Inner::Postgres(transaction, statements, _) => {
                let columns = super::postgres::prepare(transaction, statements, addition.types)?;
                let types: Vec<_> = columns.columns().iter().map(|column| column.type_().clone()).collect();
                let mut copy = BinaryCopyInWriter::new(transaction.copy_in(addition.copy)?, &types);
                for one in rows {
                    copy.write(&row(one).map(|param| param as &(dyn postgres::types::ToSql + Sync)))?;
                }
                copy.finish()?;
            }
        }
        Ok(())
    }
}

fn sqlite_params<'p>(params: &[&'p dyn Param]) -> Vec<&'p dyn rusqlite::ToSql> {
    params.iter().map(|&param| param as &dyn rusqlite::ToSql).collect()
}

fn postgres_params<'p>(params: &[&'p dyn Param]) -> Vec<&'p (dyn postgres::types::ToSql + Sync)> {
    params.iter().map(|&param| param as &(dyn postgres::types::ToSql + Sync)).collect()
}

/// Ten bytes that depend on nothing but the three numbers.
fn seeded(seed: u64, position: i64, count: u64) -> [u8; 10] {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(position.to_be_bytes())
        .chain_update(count.to_be_bytes())
        .finalize();
    std::array::from_fn(|index| digest[index])
}
