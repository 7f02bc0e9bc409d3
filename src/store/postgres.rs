//! The engine for those who outgrow one machine: one plain connection.

use std::cell::RefCell;
use std::collections::HashMap;

use postgres::error::SqlState;
use postgres::{Client, Config, IsolationLevel, NoTls, Statement, Transaction};

use super::sqlite::migration_failed;
use super::tx::{Inner, Stamp, Tx};
use super::{Opened, VERSION};
use crate::error::{Error, Result};

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// `tidi`, twice: whoever prepares the database holds this advisory lock.
const LOCK: i64 = 0x7469_6469_7469_6469;

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
    /// Connects, making the tables or bringing them up to date where needed.
    pub(super) fn open(config: &str) -> Result<(Self, Opened)> {
        let mut config: Config = config.parse().map_err(|cause: postgres::Error| {
            Error::unavailable("That is not an address of a PostgreSQL database.")
                .hint("It looks like postgres://user@host:5432/database")
                .because(cause)
        })?;
        config.application_name("tidings");
        let mut client = config.connect(NoTls)?;
        let mut opened = Opened::Ready;
        match version(&mut client)? {
            version if version == VERSION => {}
            version if version > VERSION => {
                let detail = format!("The database was made by a newer tidings (its version {version}).");
                return Err(
                    Error::unavailable(detail).hint(format!("This one knows versions up to {VERSION}: update it."))
                );
            }
            _ => opened = prepare_database(&mut client)?,
        }
        let session = Session { client, statements: HashMap::new() };
        Ok((Self { session: RefCell::new(session) }, opened))
    }

    pub(super) fn write<T>(&self, stamp: Stamp, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        for _ in 1..ATTEMPTS {
            match self.transaction(stamp, false, work) {
                Err(error) if was_interfered_with(&error) => {}
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
        // A reader sees one moment; a writer sees what was committed while it waited for a row.
        let isolation = if read_only { IsolationLevel::RepeatableRead } else { IsolationLevel::ReadCommitted };
        let transaction = client.build_transaction().isolation_level(isolation).read_only(read_only).start()?;
        let mut tx = Tx::new(Inner::Postgres(transaction, statements), stamp);
        let value = work(&mut tx)?;
        if !stamp.dry_run
            && let Inner::Postgres(transaction, _) = tx.into_inner()
        {
            transaction.commit()?;
        }
        Ok(value)
    }

    pub(super) fn version(&self) -> Result<i64> {
        version(&mut self.session.borrow_mut().client)
    }

    pub(super) fn bytes(&self) -> Result<i64> {
        Ok(self
            .session
            .borrow_mut()
            .client
            .query_one("SELECT pg_database_size(current_database())", &[])?
            .try_get(0)?)
    }
}

/// The number of the database's last migration; 0 where there was none.
fn version(client: &mut Client) -> Result<i64> {
    match client.query_one("SELECT CAST(max(version) AS BIGINT) FROM refinery_schema_history", &[]) {
        Ok(row) => Ok(row.try_get::<_, Option<i64>>(0)?.unwrap_or(0)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Makes the tables or brings them up to date, alone: refinery takes no lock, and of several first starts at once some fail.
fn prepare_database(client: &mut Client) -> Result<Opened> {
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK])?;
    let from = version(client)?;
    let outcome = if from < VERSION {
        embedded::migrations::runner().run(client).map(drop).map_err(migration_failed)
    } else {
        Ok(())
    };
    client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK])?;
    outcome.map(|()| if from == 0 { Opened::Created } else { Opened::Migrated { from } })
}

pub(super) fn prepare(
    transaction: &mut Transaction<'_>,
    statements: &mut HashMap<&'static str, Statement>,
    sql: &'static str,
) -> Result<Statement> {
    if let Some(statement) = statements.get(sql) {
        return Ok(statement.clone());
    }
    let statement = transaction.prepare(sql)?;
    statements.insert(sql, statement.clone());
    Ok(statement)
}

/// Whether another transaction got in the way of this one, so that it ends otherwise when run again: a deadlock, or a row
/// that came or went between a rule's look and its write.
fn was_interfered_with(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<postgres::Error>());
    matches!(
        cause.and_then(postgres::Error::code),
        Some(
            &SqlState::T_R_DEADLOCK_DETECTED
                | &SqlState::T_R_SERIALIZATION_FAILURE
                | &SqlState::UNIQUE_VIOLATION
                | &SqlState::FOREIGN_KEY_VIOLATION
        )
    )
}

impl From<postgres::Error> for Error {
    fn from(cause: postgres::Error) -> Self {
        let error = match cause.code() {
            Some(&SqlState::DISK_FULL) => Self::no_space(),
            Some(&SqlState::UNIQUE_VIOLATION) => Self::conflict("Another one like it is already there."),
            Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE) => {
                Self::unavailable("The database is busy.").hint("Try again; nothing was changed.")
            }
            Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Self::unavailable("The database is read-only."),
            // Classes 08, 28, 3D, 53 and 57: the connection, the log-in, the database's name, resources, the operator.
            Some(code) if ["08", "28", "3D", "53", "57"].iter().any(|class| code.code().starts_with(class)) => {
                let said = cause.as_db_error().map_or("", postgres::error::DbError::message);
                Self::unavailable(format!("PostgreSQL refuses: {said}."))
            }
            Some(_) => return Self::internal(cause),
            None => Self::unavailable("PostgreSQL is out of reach.")
                .hint("Look at the address, and whether the server runs and lets you in."),
        };
        error.because(cause)
    }
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
