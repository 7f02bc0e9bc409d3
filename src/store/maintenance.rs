//! Work that is done after a commit, in steps between which others can write; pending work is stored in the database.

use super::Tx;
use super::tx::Locking;
use super::{search, users};
use crate::error::Result;
use crate::model::{MessageKey, Pending, Task, Timestamp, UserKey};

/// How many messages one step indexes: a tenth of a second
const MESSAGES: i64 = 2000;

/// How many usernames one step looks at
const USERNAMES: i64 = 2000;

macro_rules! few {
    () => {
        " /* scans: there are at most three rows */"
    };
}

/// The entries of the search index whose messages are deleted
macro_rules! deleted {
    ($entries:literal, $key:literal) => {
        concat!(
            "FROM ",
            $entries,
            " AS entry WHERE NOT EXISTS (
                 SELECT 1 FROM message WHERE message.key = entry.",
            $key,
            " AND message.sender_key IS NOT NULL)"
        )
    };
}

/// A statement about the entries of search, which each engine keeps in its own table: SQLite in one of FTS5's
macro_rules! of_entries {
    ($tx:ident, $sql:ident) => {
        $tx.split($sql!("message_search_docsize", "id"), $sql!("message_search", "message_key"))
    };
}

/// What is pending
pub fn pending(tx: &mut Tx<'_>) -> Result<Vec<Pending>> {
    tx.all(concat!("SELECT task, since FROM maintenance ORDER BY task", few!()), &[], |row| {
        Ok(Pending { task: row.get(0)?, since: row.get(1)? })
    })
}

/// Indexes the next messages that an update left to be indexed; says whether there may be more.
pub fn index_step(tx: &mut Tx<'_>) -> Result<bool> {
    const LOCKING: Locking = locking!(
        "SELECT key FROM conversation WHERE key IN (
             SELECT conversation_key FROM message WHERE message.key > $1 AND message.key <= $2)
         /* scans: a batch may touch every conversation, once after an update of the program */"
    );
    let Some(position) = position(tx, Task::Index)? else { return Ok(false) };
    let Some(last) = search::last_to_index(tx, MessageKey(position), MESSAGES)? else {
        return end(tx, Task::Index, position);
    };
    // Every change of a message locks its conversation first, so what is read here is what will be indexed.
    let locked = tx.lock(&LOCKING, &[&position, &last], |row| row.get(0))?.into_iter().collect();
    let last = search::index_older(tx, (MessageKey(position), last), &locked)?;
    advance(tx, Task::Index, (position, last.0))
}

/// Computes the skeletons of the next usernames without one; returns whether there may be more.
pub fn skeletons_step(tx: &mut Tx<'_>) -> Result<bool> {
    let Some(position) = position(tx, Task::Skeletons)? else { return Ok(false) };
    match users::add_skeletons(tx, UserKey(position), USERNAMES)? {
        Some(last) => advance(tx, Task::Skeletons, (position, last.0)),
        None => end(tx, Task::Skeletons, position),
    }
}

/// Notes how far a task is, unless it was begun again meanwhile, which is possible on PostgreSQL; there may be more.
fn advance(tx: &mut Tx<'_>, task: Task, (before, now): (i64, i64)) -> Result<bool> {
    let sql = concat!("UPDATE maintenance SET position = $1 WHERE task = $2 AND position = $3", few!());
    tx.run(sql, &[&now, &task, &before])?;
    Ok(true)
}

/// Notes that a task is done which was that far; says whether there is more, as it was begun again meanwhile.
fn end(tx: &mut Tx<'_>, task: Task, position: i64) -> Result<bool> {
    let sql = concat!("DELETE FROM maintenance WHERE task = $1 AND position = $2", few!());
    Ok(tx.run(sql, &[&task, &position])? == 0)
}

/// How many messages search does not know, and of how many deleted ones it knows still
pub fn unsound_entries(tx: &mut Tx<'_>) -> Result<(i64, i64)> {
    macro_rules! sql {
        ($entries:literal, $key:literal) => {
            concat!(
                "SELECT (SELECT count(*) FROM message WHERE sender_key IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ",
                $entries,
                " AS entry WHERE entry.",
                $key,
                " = message.key)), (SELECT count(*) ",
                deleted!($entries, $key),
                ") /* scans: the operator asks for every row to be checked */"
            )
        };
    }
    tx.only(of_entries!(tx, sql), &[], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Removes deleted messages from the search index, schedules indexing if some are missing, and schedules erasing the
/// file.
pub fn mend_index(tx: &mut Tx<'_>) -> Result<()> {
    must_erase(tx)?;
    let (unknown, deleted) = unsound_entries(tx)?;
    if deleted > 0 {
        macro_rules! sql {
            ($entries:literal, $key:literal) => {
                concat!("SELECT ", $key, " ", deleted!($entries, $key), " /* scans: what is amiss may be anywhere */")
            };
        }
        let keys: Vec<MessageKey> = tx.all(of_entries!(tx, sql), &[], |row| row.get(0))?;
        search::forget(tx, &keys)?;
    }
    if unknown > 0 {
        tx.run(
            "INSERT INTO maintenance (task, since, position) VALUES ($1, $2, 0) ON CONFLICT (task) DO UPDATE SET position = 0",
            &[&Task::Index, &tx.now()],
        )?;
    }
    Ok(())
}

/// Schedules erasing what a transaction deletes. On PostgreSQL autovacuum does it.
pub(super) fn must_erase(tx: &mut Tx<'_>) -> Result<()> {
    if tx.split(false, true) {
        return Ok(());
    }
    tx.run(
        "INSERT INTO maintenance (task, since, position) VALUES ($1, $2, 1)
         ON CONFLICT (task) DO UPDATE SET position = maintenance.position + 1",
        &[&Task::Erase, &tx.now()],
    )?;
    Ok(())
}

/// How far a task is; none: it is not pending. Of an erasure it is how many deletions there were.
pub(super) fn position(tx: &mut Tx<'_>, task: Task) -> Result<Option<i64>> {
    tx.one(concat!("SELECT position FROM maintenance WHERE task = $1", few!()), &[&task], |row| row.get(0))
}

/// Notes that everything is scrubbed which was deleted up to that many deletions; says whether more was deleted since.
pub(super) fn end_erasure(tx: &mut Tx<'_>, deletions: i64) -> Result<bool> {
    end(tx, Task::Erase, deletions)
}

/// Writes a row of so many bytes and deletes it, so that a commit writes to the disk.
pub fn probe(tx: &mut Tx<'_>, size: usize) -> Result<()> {
    const NOBODY: UserKey = UserKey(0);
    // Bytes that cannot be packed into fewer, which PostgreSQL would do.
    let bytes: Vec<u8> = (0..u32::try_from(size).unwrap_or(u32::MAX))
        .map(|index| index.wrapping_mul(2_654_435_761).rotate_left(15).wrapping_mul(2_246_822_519).to_be_bytes()[0])
        .collect();
    super::idempotency::take(tx, NOBODY, "probe", &bytes)?;
    super::idempotency::forget_one(tx, NOBODY, "probe", Timestamp::MAX)
}
