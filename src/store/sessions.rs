//! Sessions of people in a browser, and links by which a password is set: only their hashes are kept.

use super::tokens::{Hash, Login, login, read_login};
use super::tx::Locking;
use super::users::{columns, read};
use super::{Row, Tx};
use crate::error::Result;
use crate::model::{Timestamp, User, UserKey};

/// A stored session with its account.
#[derive(Clone, Debug)]
pub struct Session {
    pub user: User,
    pub hash: Hash,
    pub created_at: Timestamp,
    /// When it was used last, as far as it was written
    pub seen_at: Timestamp,
    /// When the password was given last
    pub confirmed_at: Timestamp,
    /// The browser, in words
    pub browser: String,
    /// Whether its account is active and nothing ended its tokens since
    pub is_current: bool,
}

macro_rules! select {
    () => {
        concat!(
            "SELECT ",
            columns!(),
            ", session.hash, session.created_at, session.seen_at, session.confirmed_at, session.browser,
               account.is_active AND session.generation = account.token_generation
             FROM session JOIN account ON account.key = session.user_key WHERE session."
        )
    };
}

fn read_session(row: &Row<'_>) -> Result<Session> {
    let hash: Vec<u8> = row.get(9)?;
    Ok(Session {
        user: read(row)?,
        hash: Hash::try_from(hash).unwrap_or_default(),
        created_at: row.get(10)?,
        seen_at: row.get(11)?,
        confirmed_at: row.get(12)?,
        browser: row.get(13)?,
        is_current: row.get(14)?,
    })
}

/// The session with that hash
pub fn by_hash(tx: &mut Tx<'_>, hash: &Hash) -> Result<Option<Session>> {
    tx.one(concat!(select!(), "hash = $1"), &[&hash.as_slice()], read_session)
}

/// The newest sessions of an account by their last use
pub fn of(tx: &mut Tx<'_>, user: UserKey, limit: i64) -> Result<Vec<Session>> {
    tx.all(
        concat!(select!(), "user_key = $1 ORDER BY session.seen_at DESC, session.hash LIMIT $2"),
        &[&user, &limit],
        read_session,
    )
}

/// Stores a new session of the account's present generation.
pub fn insert(tx: &mut Tx<'_>, hash: &Hash, user: UserKey, browser: &str) -> Result<()> {
    tx.run(
        "INSERT INTO session (hash, user_key, generation, created_at, seen_at, confirmed_at, browser)
         VALUES ($1, $2, (SELECT token_generation FROM account WHERE key = $2), $3, $3, $3, $4)",
        &[&hash.as_slice(), &user, &tx.now(), &browser],
    )?;
    Ok(())
}

/// Notes that a session is used.
pub fn set_seen(tx: &mut Tx<'_>, hash: &Hash) -> Result<()> {
    tx.run("UPDATE session SET seen_at = $1 WHERE hash = $2", &[&tx.now(), &hash.as_slice()])?;
    Ok(())
}

/// Notes that the password was given.
pub fn set_confirmed(tx: &mut Tx<'_>, hash: &Hash) -> Result<()> {
    tx.run("UPDATE session SET confirmed_at = $1 WHERE hash = $2", &[&tx.now(), &hash.as_slice()])?;
    Ok(())
}

/// Lets a session go on where the tokens of its account ended.
pub fn keep(tx: &mut Tx<'_>, hash: &Hash) -> Result<()> {
    tx.run(
        "UPDATE session SET generation = (SELECT token_generation FROM account WHERE key = session.user_key)
         WHERE hash = $1",
        &[&hash.as_slice()],
    )?;
    Ok(())
}

/// Deletes a session of an account; returns whether there was one.
pub fn delete(tx: &mut Tx<'_>, user: UserKey, hash: &Hash) -> Result<bool> {
    Ok(tx.run("DELETE FROM session WHERE hash = $1 AND user_key = $2", &[&hash.as_slice(), &user])? == 1)
}

/// Deletes the sessions of an account, but for one; returns their number.
pub fn delete_all(tx: &mut Tx<'_>, user: UserKey, but: Option<&Hash>) -> Result<i64> {
    let none: &[u8] = &[];
    tx.run("DELETE FROM session WHERE user_key = $1 AND hash <> $2", &[&user, &but.map_or(none, Hash::as_slice)])
}

/// Deletes all sessions of an account but the newest by their last use; returns whether there were any.
pub fn delete_oldest(tx: &mut Tx<'_>, user: UserKey, kept: i64) -> Result<bool> {
    let deleted = tx.run(
        "DELETE FROM session WHERE hash IN
             (SELECT hash FROM session WHERE user_key = $1 ORDER BY seen_at DESC, hash LIMIT 2 OFFSET $2)",
        &[&user, &kept],
    )?;
    Ok(deleted > 0)
}

/// Deletes sessions that were last used before, two at a time: more than are added by a call, and too few to slow anybody
/// down.
pub fn forget(tx: &mut Tx<'_>, before: Timestamp) -> Result<()> {
    tx.run(
        "DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE seen_at < $1 ORDER BY seen_at LIMIT 2)",
        &[&before],
    )?;
    Ok(())
}

/// A stored link by which the password of an account is set, with the account.
pub struct Link {
    pub login: Login,
    pub expires_at: Timestamp,
    /// Whether nothing ended the tokens of the account since, the use of the link among it
    pub is_current: bool,
}

/// The link with that hash
pub fn link(tx: &mut Tx<'_>, hash: &Hash) -> Result<Option<Link>> {
    tx.one(
        concat!(
            "SELECT ",
            login!(),
            ", password_link.expires_at, password_link.generation = account.token_generation
             FROM password_link JOIN account ON account.key = password_link.user_key WHERE password_link.hash = $1"
        ),
        &[&hash.as_slice()],
        |row| Ok(Link { login: read_login(row)?, expires_at: row.get(11)?, is_current: row.get(12)? }),
    )
}

/// Keeps everybody else from changing the account of a link to the end of the transaction.
pub fn lock_owner(tx: &mut Tx<'_>, hash: &Hash) -> Result<Option<User>> {
    const LOCKING: Locking = locking!(
        "SELECT ",
        columns!(),
        " FROM account WHERE key = (SELECT user_key FROM password_link WHERE hash = $1)"
    );
    tx.lock_one(&LOCKING, &[&hash.as_slice()], read)
}

/// Stores a link of the account's present generation, in place of the one before.
pub fn insert_link(tx: &mut Tx<'_>, user: UserKey, hash: &Hash, expires_at: Timestamp) -> Result<()> {
    tx.run(
        "INSERT INTO password_link (user_key, hash, generation, expires_at)
         VALUES ($1, $2, (SELECT token_generation FROM account WHERE key = $1), $3)
         ON CONFLICT (user_key) DO UPDATE
             SET hash = excluded.hash, generation = excluded.generation, expires_at = excluded.expires_at",
        &[&user, &hash.as_slice(), &expires_at],
    )?;
    Ok(())
}

/// Deletes the link of an account.
pub fn delete_link(tx: &mut Tx<'_>, user: UserKey) -> Result<()> {
    tx.run("DELETE FROM password_link WHERE user_key = $1", &[&user])?;
    Ok(())
}

/// Deletes expired links, as [`forget`] does sessions.
pub fn forget_links(tx: &mut Tx<'_>) -> Result<()> {
    tx.run(
        "DELETE FROM password_link WHERE user_key IN
             (SELECT user_key FROM password_link WHERE expires_at < $1 ORDER BY expires_at LIMIT 2)",
        &[&tx.now()],
    )?;
    Ok(())
}
