//! The size, damages and state of a PostgreSQL database; and giving free space back.

use postgres::Client;

use super::{Database, connect, version};
use crate::error::Result;
use crate::model::{Pending, Timestamp};
use crate::store::{Inspection, Location, VERSION};

/// PostgreSQL 14, as it numbers itself
const OLDEST_SERVER: i32 = 140_000;

impl Database {
    pub(in crate::store) fn bytes(&self) -> Result<i64> {
        let size = "SELECT pg_database_size(current_database())";
        Ok(self.session.borrow_mut().client.query_one(size, &[])?.try_get(0)?)
    }

    /// The indexes that PostgreSQL does not trust: pages are checked by `pg_amcheck`, which the operator runs.
    pub(in crate::store) fn integrity(&self) -> Result<Vec<String>> {
        let broken = "SELECT 'the index ' || CAST(indexrelid AS regclass) || ' is not valid'
                      FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
                      WHERE NOT indisvalid AND relnamespace = CAST(current_schema() AS regnamespace) ORDER BY 1";
        texts(&mut self.session.borrow_mut().client, broken)
    }

    /// References are checked here too: a restore may have run with the checks switched off.
    pub(in crate::store) fn references(&self) -> Result<Vec<String>> {
        let client = &mut self.session.borrow_mut().client;
        let keys = "SELECT CAST(CAST(conrelid AS regclass) AS TEXT), CAST(CAST(confrelid AS regclass) AS TEXT),
                           quote_ident(own.attname), quote_ident(other.attname)
                    FROM pg_constraint
                    JOIN pg_attribute AS own ON own.attrelid = conrelid AND own.attnum = conkey[1]
                    JOIN pg_attribute AS other ON other.attrelid = confrelid AND other.attnum = confkey[1]
                    WHERE contype = 'f' AND connamespace = CAST(current_schema() AS regnamespace) ORDER BY 1, 2, 3";
        let mut broken = Vec::new();
        for key in client.query(keys, &[])? {
            let [table, parent, column, named]: [String; 4] =
                [key.try_get(0)?, key.try_get(1)?, key.try_get(2)?, key.try_get(3)?];
            let missing = format!(
                "SELECT '{table} refers to ' || count(*) || ' missing rows of {parent}' FROM {table} AS one
                 WHERE {column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {parent} AS other WHERE other.{named} = one.{column})
                 HAVING count(*) > 0"
            );
            broken.extend(texts(client, &missing)?);
        }
        Ok(broken)
    }

    pub(in crate::store) fn compact(&self) -> Result<bool> {
        self.session.borrow_mut().client.batch_execute("VACUUM (ANALYZE)")?;
        Ok(true)
    }
}

fn texts(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    client.query(sql, &[])?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// What can be said of a database without changing anything.
pub(in crate::store) fn inspect(location: &Location, config: &str) -> Result<Inspection> {
    let mut client = connect(location, config)?;
    let server = "SELECT current_setting('server_version'), CAST(current_setting('server_version_num') AS INTEGER),
                         current_setting('server_encoding')";
    let row = client.query_one(server, &[])?;
    let (release, number, encoding): (String, i32, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let version = version(&mut client)?;
    let newest = "SELECT at FROM event ORDER BY key DESC LIMIT 1";
    let newest_event = match version {
        0 => None,
        _ => client.query_opt(newest, &[])?.map(|row| row.try_get::<_, Timestamp>(0)).transpose()?,
    };
    let mut pending = Vec::new();
    if version == VERSION {
        for row in client.query("SELECT task, since FROM maintenance ORDER BY task", &[])? {
            pending.push(Pending { task: row.try_get(0)?, since: row.try_get(1)? });
        }
    }
    Ok(Inspection {
        engine: format!("PostgreSQL {release}"),
        is_old: number < OLDEST_SERVER,
        oldest: "14",
        version,
        newest_event,
        pending,
        encoding: Some(encoding),
    })
}
