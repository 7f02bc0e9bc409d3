//! Whether a file has exactly the tables of this program, and no triggers or views.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{Database, prepare};
use crate::error::{Error, Result};

/// An object in a file that this program did not create, or created differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strange {
    /// A clause for a sentence: `the trigger x is not of tidings`
    pub what: String,
    /// Whether it changes no result, like an additional index
    pub is_harmless: bool,
}

impl Strange {
    /// The warning, in a sentence
    pub fn warning(&self) -> String {
        let means = if self.is_harmless { "it slows writing down" } else { "`tidings db restore` refuses such a file" };
        format!("Warning: {}; {means}.", self.what)
    }

    /// Refuses a file with harmful objects.
    pub(crate) fn refuse(found: &[Self]) -> Result<()> {
        match found.iter().find(|strange| !strange.is_harmless) {
            Some(strange) => Err(Error::unavailable(format!("Somebody has changed it: {}.", strange.what))),
            None => Ok(()),
        }
    }
}

/// The type and name of an object
type Object = (String, String);

/// The objects of a file with their statements, without SQLite's own
fn objects(connection: &Connection) -> Result<BTreeMap<Object, String>> {
    let all = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema
               WHERE NOT (type IN ('table', 'index') AND name LIKE 'sqlite\\_%' ESCAPE '\\')";
    let mut statement = connection.prepare(all)?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The differences between a file of that version and what this program creates.
pub(super) fn strange(connection: &Connection, version: i64) -> Result<Vec<Strange>> {
    let ours = objects(&prepare::pattern(version)?)?;
    let found = objects(connection)?;
    let mut strange = Vec::new();
    for (object, sql) in &found {
        let (kind, name) = object;
        let what = match ours.get(object) {
            Some(made) if made == sql => continue,
            Some(_) => format!("the {kind} {name} is not as tidings makes it"),
            None => format!("the {kind} {name} is not of tidings"),
        };
        let is_harmless = kind == "index" && sql.starts_with("CREATE INDEX ") && !ours.contains_key(object);
        strange.push(Strange { what, is_harmless });
    }
    let missing = ours.keys().filter(|object| !found.contains_key(*object));
    strange.extend(
        missing.map(|(kind, name)| Strange { what: format!("the {kind} {name} is missing"), is_harmless: false }),
    );
    Ok(strange)
}

impl Database {
    pub(in crate::store) fn strange(&self) -> Result<Vec<Strange>> {
        strange(&self.connection, self.version()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::VERSION;

    #[test]
    fn what_this_program_makes_is_not_strange_to_it_and_each_change_of_it_is() {
        for version in 1..=VERSION {
            assert_eq!(strange(&prepare::pattern(version).unwrap(), version).unwrap(), [], "{version}");
        }
        for (change, is_harmless) in [
            ("CREATE INDEX mine ON account (created_at)", true),
            ("CREATE UNIQUE INDEX mine ON account (created_at)", false),
            ("CREATE TABLE mine (a)", false),
            ("CREATE VIEW mine AS SELECT 1", false),
            ("CREATE TRIGGER mine AFTER INSERT ON message BEGIN UPDATE account SET role = 1; END", false),
            ("ALTER TABLE account ADD COLUMN mine INTEGER AS (1)", false),
            ("DROP INDEX message_by_key_name; CREATE INDEX message_by_key_name ON message (key_name)", false),
            ("DROP INDEX message_by_key_name", false),
        ] {
            let file = prepare::pattern(VERSION).unwrap();
            file.execute_batch(change).unwrap();
            let found = strange(&file, VERSION).unwrap();
            assert_eq!(found.iter().map(|strange| strange.is_harmless).collect::<Vec<_>>(), [is_harmless], "{change}");
            assert_eq!(Strange::refuse(&found).is_ok(), is_harmless, "{change}");
        }
    }
}
