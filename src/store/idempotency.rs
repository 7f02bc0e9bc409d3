//! Requests that were carried out under a key, so that sending one again does nothing twice.

use uuid::Uuid;

use super::Tx;
use crate::error::Result;
use crate::model::{Timestamp, UserKey};

/// What is known of a key.
pub struct Remembered {
    /// SHA-256 of the request; empty if its result was deleted
    pub request_hash: Vec<u8>,
    /// The id of the row that resulted
    pub result: Option<Uuid>,
    pub created_at: Timestamp,
}

/// Takes the key for this transaction. Another request with the same key waits for its end.
///
/// Returns the stored request if the key was used before.
pub fn take(tx: &mut Tx<'_>, actor: UserKey, key: &str, request_hash: &[u8]) -> Result<Option<Remembered>> {
    let taken = tx.one(
        "INSERT INTO idempotency (actor_key, key, request_hash, created_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING RETURNING created_at",
        &[&actor, &key, &request_hash, &tx.now()],
        |row| row.get::<Timestamp>(0),
    )?;
    if taken.is_some() {
        return Ok(None);
    }
    find(tx, actor, key)
}

/// What is remembered of a key
pub fn find(tx: &mut Tx<'_>, actor: UserKey, key: &str) -> Result<Option<Remembered>> {
    tx.one(
        "SELECT request_hash, result_id, created_at FROM idempotency WHERE actor_key = $1 AND key = $2",
        &[&actor, &key],
        |row| Ok(Remembered { request_hash: row.get(0)?, result: row.get(1)?, created_at: row.get(2)? }),
    )
}

/// Stores the result of the request whose key this transaction took.
pub fn keep(tx: &mut Tx<'_>, actor: UserKey, key: &str, result: Uuid) -> Result<()> {
    tx.run("UPDATE idempotency SET result_id = $1 WHERE actor_key = $2 AND key = $3", &[&result, &actor, &key])?;
    Ok(())
}

/// Stores that the result existed before.
pub fn keep_that_it_was_there(tx: &mut Tx<'_>, actor: UserKey, key: &str) -> Result<()> {
    tx.run("UPDATE idempotency SET was_there = TRUE WHERE actor_key = $1 AND key = $2", &[&actor, &key])?;
    Ok(())
}

/// Whether the result existed before
pub fn was_there(tx: &mut Tx<'_>, actor: UserKey, key: &str) -> Result<bool> {
    tx.only("SELECT was_there FROM idempotency WHERE actor_key = $1 AND key = $2", &[&actor, &key], |row| row.get(0))
}

/// As [`blank`], for deleted conversations.
pub(super) fn blank_conversations(tx: &mut Tx<'_>, conversations: &str) -> Result<()> {
    let blank: &[u8] = &[];
    tx.run(
        concat!(
            "UPDATE idempotency SET request_hash = $1 WHERE result_id IN (SELECT id FROM conversation WHERE key IN ",
            list!("$2"),
            ")"
        ),
        &[&blank, &conversations],
    )?;
    Ok(())
}

/// Deletes the hashes of requests whose messages are deleted, because the hash of a short text reveals it. The keys
/// stay taken.
pub(super) fn blank(tx: &mut Tx<'_>, messages: &str) -> Result<()> {
    let blank: &[u8] = &[];
    tx.run(
        concat!(
            "UPDATE idempotency SET request_hash = $1 WHERE result_id IN (SELECT id FROM message WHERE key IN ",
            list!("$2"),
            ")"
        ),
        &[&blank, &messages],
    )?;
    Ok(())
}

/// Deletes older keys, two at a time: more than are added, and too few to slow anybody down.
pub fn forget(tx: &mut Tx<'_>, before: Timestamp) -> Result<()> {
    tx.run(
        "DELETE FROM idempotency WHERE (actor_key, key) IN
             (SELECT actor_key, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT 2)",
        &[&before],
    )?;
    Ok(())
}

/// Deletes a key if it is older.
pub fn forget_one(tx: &mut Tx<'_>, actor: UserKey, key: &str, before: Timestamp) -> Result<()> {
    tx.run("DELETE FROM idempotency WHERE actor_key = $1 AND key = $2 AND created_at < $3", &[&actor, &key, &before])?;
    Ok(())
}
