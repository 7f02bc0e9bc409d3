//! The engine for those who outgrow one machine: one plain connection.

use std::cell::RefCell;
#[cfg(debug_assertions)]
use std::collections::BTreeSet;
use std::collections::HashMap;
#[cfg(debug_assertions)]
use std::sync::Mutex;

use postgres::error::SqlState;
use postgres::{Client, Config, IsolationLevel, NoTls, Statement, Transaction};

use super::tx::{Inner, Stamp, Tx};
use super::{Location, Opened, VERSION, migration_failed};
use crate::error::{Error, Result};

mod inspect;

pub(super) use inspect::inspect;

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// The advisory lock that is held while the database is prepared: `tidi`, twice.
const LOCK: i64 = 0x7469_6469_7469_6469;

/// What a connection sets. A pooler between may keep it for the next client, which is one of ours.
///
/// A transaction in which nothing is done for a minute is ended, unless the operator has set another limit: as long as one is open,
/// nobody hears of events that come after it. And nothing is compiled: of a receipt that takes 20 ms, PostgreSQL 15 compiled the
/// statement for 670 ms, as it takes every list of keys for a hundred conversations.
const SESSION: &str = "SELECT set_config('jit', 'off', FALSE);
    SELECT set_config('idle_in_transaction_session_timeout', '60s', FALSE)
    WHERE current_setting('idle_in_transaction_session_timeout') = '0'";

/// How often a transaction that another got in the way of is run again.
const ATTEMPTS: usize = 5;

pub(super) struct Database {
    session: RefCell<Session>,
}

struct Session {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Database {
    /// Connects, making the tables or bringing them up to date where needed; without `may_change` it is refused there.
    pub(super) fn open(location: &Location, config: &str, may_change: bool) -> Result<(Self, Opened)> {
        let mut client = connect(location, config)?;
        let found = version(&mut client)?;
        if found > VERSION {
            let detail = format!("The database {location} is of a newer tidings (version {found}).");
            return Err(
                Error::unavailable(detail).hint(format!("This one supports versions up to {VERSION}: update it."))
            );
        }
        if found < VERSION && !may_change {
            return Err(super::must_not_prepare(location, found > 0));
        }
        let opened = if found < VERSION { prepare_database(&mut client, location)? } else { Opened::Ready };
        if may_change {
            adopt_events(&mut client)?;
        }
        let session = Session { client, statements: HashMap::new() };
        Ok((Self { session: RefCell::new(session) }, opened))
    }

    pub(super) fn write<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        for _ in 1..ATTEMPTS {
            match self.transaction(stamp, false, work) {
                Err(error) if is_retryable(&error) => {}
                done => return done,
            }
        }
        self.transaction(stamp, false, work)
    }

    pub(super) fn read<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.transaction(stamp, true, work)
    }

    fn transaction<T>(
        &self,
        stamp: Stamp,
        read_only: bool,
        work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>,
    ) -> Result<T> {
        let Session { client, statements } = &mut *self.session.borrow_mut();
        // A reader sees one snapshot; a writer sees what was committed while it waited for a row.
        let isolation = if read_only { IsolationLevel::RepeatableRead } else { IsolationLevel::ReadCommitted };
        let transaction = client.build_transaction().isolation_level(isolation).read_only(read_only).start()?;
        let mut tx = Tx::new(Inner::Postgres(transaction, statements, !read_only), stamp);
        let value = work(&mut tx)?;
        if !stamp.dry_run
            && let Inner::Postgres(transaction, ..) = tx.into_inner()
        {
            transaction.commit().map_err(of_commit)?;
        }
        Ok(value)
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.session.borrow().client.is_closed()
    }

    pub(super) fn version(&self) -> Result<i64> {
        version(&mut self.session.borrow_mut().client)
    }
}

fn connect(location: &Location, config: &str) -> Result<Client> {
    // PostgreSQL's message is shown only here: later it could reveal roles, hosts and contents to a client.
    let failed = |cause: postgres::Error| {
        let said = cause.as_db_error().map_or_else(|| cause.to_string(), |error| error.message().to_owned());
        Error::unavailable(format!("The database {location} cannot be opened: {said}."))
            .with_source(PgFailure::from(&cause))
    };
    let mut config: Config = config.parse().map_err(|cause: postgres::Error| {
        Error::unavailable(format!("That is not an address of a PostgreSQL database: {cause}."))
            .hint("It looks like postgres://user@host:5432/database")
    })?;
    config.application_name("tidings");
    let mut client = config.connect(NoTls).map_err(failed)?;
    client.batch_execute(SESSION).map_err(failed)?;
    Ok(client)
}

/// The number of the database's last migration; 0 if there was none.
fn version(client: &mut Client) -> Result<i64> {
    let history =
        "SELECT CAST(max(version) AS BIGINT), bool_or(version = 1 AND name = 'core') FROM refinery_schema_history";
    match client.query_one(history, &[]) {
        Ok(row) => match (row.try_get::<_, Option<i64>>(0)?, row.try_get::<_, Option<bool>>(1)?) {
            (Some(version), Some(true)) => Ok(version),
            (None, _) => Ok(0),
            _ => Err(foreign()),
        },
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn foreign() -> Error {
    Error::unavailable("The PostgreSQL database holds another program's tables; it was left as it is.").hint(
        "Give tidings a database of its own, or a schema: add ?options=-c%20search_path%3Dtidings to the address.",
    )
}

/// Makes the tables or brings them up to date, alone: refinery takes no lock, and of several first starts at once some fail.
fn prepare_database(client: &mut Client, location: &Location) -> Result<Opened> {
    let encoding: String = client.query_one("SHOW server_encoding", &[])?.try_get(0)?;
    if encoding != "UTF8" {
        let detail = format!("The database {location} is encoded in {encoding}; messages need UTF8.");
        return Err(Error::unavailable(detail).hint("Create it with ENCODING 'UTF8' TEMPLATE template0."));
    }
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK])?;
    let outcome = prepare_alone(client);
    client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK])?;
    outcome
}

fn prepare_alone(client: &mut Client) -> Result<Opened> {
    let from = version(client)?;
    let tables = "SELECT EXISTS (SELECT 1 FROM pg_tables
                  WHERE schemaname = current_schema() AND tablename <> 'refinery_schema_history')";
    if from == 0 && client.query_one(tables, &[])?.try_get(0)? {
        return Err(foreign());
    }
    if from < VERSION {
        embedded::migrations::runner().run(client).map_err(migration_failed)?;
    }
    Ok(super::opened(from))
}

/// Makes the log of events readable where it was restored into a younger cluster: with transaction ids that this one has not
/// reached, what happens now would come before what happened, and be read by nobody. Its order is that of the keys then.
fn adopt_events(client: &mut Client) -> Result<()> {
    let newest =
        "SELECT transaction_id >= CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT) FROM event
                  ORDER BY transaction_id DESC, key DESC LIMIT 1";
    let is_ahead = client.query_opt(newest, &[])?.map(|row| row.try_get(0)).transpose()?;
    if is_ahead == Some(true) {
        client.batch_execute(
            "BEGIN;
             UPDATE event SET transaction_id = 0 WHERE transaction_id > 0;
             UPDATE event_log SET generation = gen_random_uuid();
             COMMIT;",
        )?;
    }
    Ok(())
}

/// The statements that this process prepared on PostgreSQL, in debug builds: their plans are looked at by a test.
#[cfg(debug_assertions)]
pub fn prepared_statements() -> BTreeSet<&'static str> {
    PREPARED.lock().map(|prepared| prepared.clone()).unwrap_or_default()
}

#[cfg(debug_assertions)]
static PREPARED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

pub(super) fn prepare(
    transaction: &mut Transaction<'_>,
    statements: &mut HashMap<&'static str, Statement>,
    sql: &'static str,
) -> Result<Statement> {
    if let Some(statement) = statements.get(sql) {
        return Ok(statement.clone());
    }
    #[cfg(debug_assertions)]
    let _ = PREPARED.lock().map(|mut prepared| prepared.insert(sql));
    let statement = transaction.prepare(sql)?;
    statements.insert(sql, statement.clone());
    Ok(statement)
}

/// Whether another transaction got in the way of this one, so that it ends otherwise when run again: a deadlock, or a row
/// that came or went between a rule's look and its write.
fn is_retryable(error: &Error) -> bool {
    matches!(
        failure(error).and_then(|failure| failure.code.as_ref()),
        Some(
            &SqlState::T_R_DEADLOCK_DETECTED
                | &SqlState::T_R_SERIALIZATION_FAILURE
                | &SqlState::UNIQUE_VIOLATION
                | &SqlState::FOREIGN_KEY_VIOLATION
                | &SqlState::CHECK_VIOLATION
        )
    )
}

/// Whether it failed because the connection was lost
pub(super) fn has_lost_connection(error: &Error) -> bool {
    failure(error).is_some_and(|failure| failure.is_lost)
}

/// A failure as PostgreSQL reports it, for the log, without its DETAIL, which quotes whole rows.
#[derive(Debug)]
struct PgFailure {
    code: Option<SqlState>,
    text: String,
    is_lost: bool,
}

fn failure(error: &Error) -> Option<&PgFailure> {
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref())
}

impl From<&postgres::Error> for PgFailure {
    fn from(cause: &postgres::Error) -> Self {
        let text = match cause.as_db_error() {
            Some(error) => {
                let constraint = error.constraint().map(|name| format!(" ({name})")).unwrap_or_default();
                format!("{} {}{constraint}", error.code().code(), error.message())
            }
            None => cause.to_string(),
        };
        Self { code: cause.code().cloned(), text, is_lost: is_lost(cause) }
    }
}

impl std::fmt::Display for PgFailure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for PgFailure {}

impl From<postgres::Error> for Error {
    fn from(cause: postgres::Error) -> Self {
        let failure = PgFailure::from(&cause);
        match meaning(&cause) {
            Some(error) => error.with_source(failure),
            None => Self::internal(failure),
        }
    }
}

/// The meaning of an error; none for a fault of the program.
pub(super) fn meaning(cause: &postgres::Error) -> Option<Error> {
    Some(match cause.code() {
        Some(&SqlState::DISK_FULL) => Error::no_space(),
        Some(&SqlState::UNIQUE_VIOLATION) => Error::conflict("It exists already."),
        Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE) => {
            Error::unavailable("The database is busy.").hint("Try again; nothing was changed.")
        }
        Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Error::unavailable("The database is read-only."),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Error::unavailable("The PostgreSQL user lacks privileges that tidings needs.")
                .hint("Make the user the owner of the database, or of a schema of its own.")
        }
        // Classes 08, 28, 3D, 53 and 57: the connection, the log-in, the database's name, resources, the operator.
        Some(code) if ["08", "28", "3D", "53", "57"].iter().any(|class| code.code().starts_with(class)) => {
            Error::unavailable("PostgreSQL refuses to work.").hint("Use --verbose for the cause.")
        }
        None if is_lost(cause) => Error::unavailable("PostgreSQL cannot be reached."),
        _ => return None,
    })
}

/// Whether the connection was lost: of the codes, class 08 says so, and 57P that the server or the connection was ended.
fn is_lost(cause: &postgres::Error) -> bool {
    match cause.code() {
        Some(code) => ["08", "57P"].iter().any(|class| code.code().starts_with(class)),
        None => {
            cause.is_closed()
                || std::error::Error::source(cause).and_then(|source| source.downcast_ref::<std::io::Error>()).is_some()
        }
    }
}

/// A commit that failed. Where the connection ended before the answer came, it may have happened.
fn of_commit(cause: postgres::Error) -> Error {
    let is_open = match cause.code() {
        Some(code) => ["08", "57"].iter().any(|class| code.code().starts_with(class)),
        None => is_lost(&cause),
    };
    let error = Error::from(cause);
    if is_open { error.of_unknown_outcome() } else { error }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_newest_migration_is_the_version() {
        let migrations = super::embedded::migrations::runner();
        let newest = migrations.get_migrations().iter().map(|migration| i64::from(migration.version())).max();
        assert_eq!(newest, Some(super::VERSION));
    }
}
