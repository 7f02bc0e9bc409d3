//! What every statement passes in debug builds: parameters in order, no table read whole, never prepared twice.

#[cfg(debug_assertions)]
use std::collections::BTreeSet;
#[cfg(debug_assertions)]
use std::sync::Mutex;

#[cfg(debug_assertions)]
use rusqlite::Connection;
use rusqlite::Statement;

/// A cached statement that SQLite prepares again for other values costs more than it saves.
pub(in crate::store) fn check_stable(statement: &Statement<'_>, sql: &str) {
    debug_assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0, "prepared again: {sql}");
}

/// SQLite numbers `$n` by first appearance and PostgreSQL by `n`, so they must agree.
#[cfg(debug_assertions)]
pub(super) fn check_order(statement: &Statement<'_>, sql: &str) {
    let in_order = (1..=statement.parameter_count())
        .all(|number| statement.parameter_name(number) == Some(format!("${number}").as_str()));
    assert!(in_order, "parameters must first appear as $1, $2, …: {sql}");
}

/// The statements that this process prepared, whose plans were checked; in debug builds only.
#[cfg(debug_assertions)]
pub fn checked_statements() -> BTreeSet<&'static str> {
    CHECKED.lock().map(|checked| checked.clone()).unwrap_or_default()
}

#[cfg(debug_assertions)]
static CHECKED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// No statement reads a whole table. One that must says so in a comment, `/* scans: why */`.
#[cfg(debug_assertions)]
pub(super) fn check_plan(connection: &Connection, sql: &'static str) {
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
    // An FTS5 table without a bound is read whole; a list bound as a parameter is meant to be.
    let is_virtual =
        scanned.contains("VIRTUAL TABLE") && !(name.starts_with("message_") && scanned.ends_with("INDEX 0:"));
    let derived = name.starts_with('(') || is_virtual || scanned.contains("CONSTANT ROW");
    let is_part = |form: String| sql.contains(&form);
    !derived && !is_part(format!("{name} (")) && !is_part(format!(") AS {name}"))
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
}
