//! What log-ins need of an account, and refresh tokens: only their hashes are kept.

use uuid::Uuid;

use super::tx::Locking;
use super::users::read;
use super::{Row, Tx};
use crate::error::Result;
use crate::model::{Timestamp, User, UserId, UserKey, fold_case};

/// SHA-256 of a refresh token
pub type Hash = [u8; 32];

/// A keyed hash of an account and an address that it was logged in from
pub type AddressHash = [u8; 32];

/// An account as a log-in needs it.
pub struct Login {
    pub user: User,
    /// None: cannot log in
    pub password_hash: Option<String>,
    /// Tokens of an earlier generation are no longer valid
    pub generation: i64,
}

macro_rules! login {
    () => {
        concat!($crate::store::users::columns!(), ", account.password_hash, account.token_generation")
    };
}
pub(super) use login;

macro_rules! select {
    () => {
        concat!("SELECT ", login!(), " FROM account")
    };
}

pub(super) fn read_login(row: &Row<'_>) -> Result<Login> {
    Ok(Login { user: read(row)?, password_hash: row.get(9)?, generation: row.get(10)? })
}

/// The account with that id
pub fn login_by_id(tx: &mut Tx<'_>, id: UserId) -> Result<Option<Login>> {
    tx.one(concat!(select!(), " WHERE id = $1"), &[&id], read_login)
}

/// The account with that username, whatever its case
pub fn login_by_username(tx: &mut Tx<'_>, username: &str) -> Result<Option<Login>> {
    tx.one(concat!(select!(), " WHERE username_folded = $1"), &[&fold_case(username)], read_login)
}

/// The account with that email, whatever its case
pub fn login_by_email(tx: &mut Tx<'_>, email: &str) -> Result<Option<Login>> {
    tx.one(concat!(select!(), " WHERE email_folded = $1"), &[&fold_case(email)], read_login)
}

/// A PBKDF2 hash that takes longest to verify, judging by the length and the digits of its text
pub fn slowest_pbkdf2(tx: &mut Tx<'_>) -> Result<Option<String>> {
    tx.one(
        "SELECT password_hash FROM account WHERE substr(password_hash, 1, 6) = 'pbkdf2' AND length(password_hash) > 0
         ORDER BY length(password_hash) DESC, password_hash DESC LIMIT 1",
        &[],
        |row| row.get(0),
    )
}

/// Keeps everybody else from changing an account and its tokens to the end of the transaction; returns it as it is.
pub fn lock(tx: &mut Tx<'_>, user: UserKey) -> Result<Option<Login>> {
    const LOCKING: Locking = locking!("SELECT ", login!(), " FROM account WHERE key = $1");
    tx.lock_one(&LOCKING, &[&user], read_login)
}

/// As [`lock`], the account that a refresh token belongs to
pub fn lock_owner(tx: &mut Tx<'_>, hash: &Hash) -> Result<Option<Login>> {
    const LOCKING: Locking =
        locking!("SELECT ", login!(), " FROM account WHERE key = (SELECT user_key FROM refresh_token WHERE hash = $1)");
    tx.lock_one(&LOCKING, &[&hash.as_slice()], read_login)
}

/// Replaces the hash of a password that stays the same; returns whether it was still the one before.
pub fn rehash(tx: &mut Tx<'_>, user: UserKey, before: &str, after: &str) -> Result<bool> {
    let sql = "UPDATE account SET password_hash = $1 WHERE key = $2 AND password_hash = $3";
    Ok(tx.run(sql, &[&after, &user, &before])? == 1)
}

/// Makes every token and session of an account invalid; returns how many refresh tokens were valid.
pub fn revoke_all(tx: &mut Tx<'_>, user: UserKey) -> Result<i64> {
    let valid = tx.run(
        "DELETE FROM refresh_token WHERE user_key = $1 AND successor_hash IS NULL AND expires_at > $2
             AND generation = (SELECT token_generation FROM account WHERE key = $1)",
        &[&user, &tx.now()],
    )?;
    tx.run("DELETE FROM refresh_token WHERE user_key = $1", &[&user])?;
    tx.run("UPDATE account SET token_generation = token_generation + 1 WHERE key = $1", &[&user])?;
    Ok(valid)
}

/// A stored refresh token.
pub struct RefreshToken {
    pub user: UserKey,
    /// The family of tokens of one log-in, each the successor of the one before
    pub family: Uuid,
    pub generation: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// What took its place
    pub successor: Option<Hash>,
}

/// The refresh token with that hash
pub fn by_hash(tx: &mut Tx<'_>, hash: &Hash) -> Result<Option<RefreshToken>> {
    tx.one(
        "SELECT user_key, family, generation, created_at, expires_at, successor_hash FROM refresh_token WHERE hash = $1",
        &[&hash.as_slice()],
        |row| {
            let successor: Option<Vec<u8>> = row.get(5)?;
            Ok(RefreshToken {
                user: row.get(0)?,
                family: row.get(1)?,
                generation: row.get(2)?,
                created_at: row.get(3)?,
                expires_at: row.get(4)?,
                successor: successor.and_then(|hash| Hash::try_from(hash).ok()),
            })
        },
    )
}

/// Stores a new refresh token with the address that asked for it.
pub fn insert(tx: &mut Tx<'_>, hash: &Hash, token: &RefreshToken, address: Option<&AddressHash>) -> Result<()> {
    tx.run(
        "INSERT INTO refresh_token (hash, user_key, family, generation, created_at, expires_at, address_hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &hash.as_slice(),
            &token.user,
            &token.family,
            &token.generation,
            &token.created_at,
            &token.expires_at,
            &address.map(AddressHash::as_slice),
        ],
    )?;
    Ok(())
}

/// Sets the successor of a refresh token.
pub fn set_successor(tx: &mut Tx<'_>, hash: &Hash, successor: &Hash) -> Result<()> {
    let sql = "UPDATE refresh_token SET successor_hash = $1 WHERE hash = $2";
    tx.run(sql, &[&successor.as_slice(), &hash.as_slice()])?;
    Ok(())
}

/// Whether any refresh token of an account is valid that was issued at an address, by either of the address's hashes
pub fn is_any_valid_at(tx: &mut Tx<'_>, user: UserKey, generation: i64, address: [&AddressHash; 2]) -> Result<bool> {
    let found = tx.one(
        "SELECT TRUE FROM refresh_token
         WHERE user_key = $1 AND address_hash IN ($2, $3) AND generation = $4 AND successor_hash IS NULL AND expires_at > $5
         LIMIT 1",
        &[&user, &address[0].as_slice(), &address[1].as_slice(), &generation, &tx.now()],
        |row| row.get::<bool>(0),
    )?;
    Ok(found.is_some())
}

/// Whether there is a token of that family
pub fn is_family(tx: &mut Tx<'_>, family: Uuid) -> Result<bool> {
    let sql = "SELECT TRUE FROM refresh_token WHERE family = $1 LIMIT 1";
    Ok(tx.one(sql, &[&family], |row| row.get::<bool>(0))?.is_some())
}

/// Deletes a family of tokens.
pub fn delete_family(tx: &mut Tx<'_>, family: Uuid) -> Result<()> {
    tx.run("DELETE FROM refresh_token WHERE family = $1", &[&family])?;
    Ok(())
}

/// Deletes expired tokens, two at a time: more than are added by a call, and too few to slow anybody down.
pub fn forget_expired(tx: &mut Tx<'_>) -> Result<()> {
    tx.run(
        "DELETE FROM refresh_token WHERE hash IN
             (SELECT hash FROM refresh_token WHERE expires_at < $1 ORDER BY expires_at LIMIT 2)",
        &[&tx.now()],
    )?;
    Ok(())
}

/// Whether a refresh token is valid: nothing took its place, its time is not over and ends at `latest`, and its account is not
/// revoked or deactivated
pub fn is_valid(tx: &mut Tx<'_>, hash: &Hash, latest: Timestamp) -> Result<bool> {
    let found = tx.one(
        "SELECT account.is_active AND account.token_generation = refresh_token.generation
             AND refresh_token.successor_hash IS NULL AND refresh_token.expires_at > $1
             AND refresh_token.expires_at <= $2
         FROM refresh_token JOIN account ON account.key = refresh_token.user_key WHERE refresh_token.hash = $3",
        &[&tx.now(), &latest, &hash.as_slice()],
        |row| row.get(0),
    )?;
    Ok(found.unwrap_or(false))
}
