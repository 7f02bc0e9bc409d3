//! Log-ins and tokens: short access tokens that are checked by themselves and against the account's generation, and refresh
//! tokens of which each is valid once.

mod access;
mod hashes;
mod keys;
mod sealing;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use self::access::{Claims, LIFETIME};
pub use self::keys::Keys;
use super::login::Client;
use crate::error::{Error, Result};
use crate::model::{Actor, Event, EventKind, Timestamp, User, UserSelector};
use crate::store::tokens::{self, AddressHash, Hash, Login, RefreshToken};
use crate::store::{self, Tx};

/// How long a refresh token is valid, in seconds: 30 days
pub const REFRESH_LIFETIME: i64 = 30 * 24 * 60 * 60;

/// How long a used refresh token still returns the same successor, in seconds
pub const AGAIN: i64 = 30;

/// The detail of every refused log-in, as the original system worded it
const NO_ACCOUNT: &str = "No active account found with the given credentials";

/// A new refresh token: 256 random bits.
#[derive(Clone, Copy)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// The text that clients hold
    pub fn token(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The hash that is stored
    pub fn hash(self) -> Hash {
        Sha256::digest(self.0).into()
    }
}

/// Reads a text as a secret, if it can be one
pub fn secret_of(token: &str) -> Option<Secret> {
    // Nothing longer is read: it may be as long as a body.
    let token = Some(token).filter(|token| token.len() == 43)?;
    URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok().map(Secret)
}

/// The error for wrong credentials.
pub fn refused() -> Error {
    Error::unauthenticated(NO_ACCOUNT)
}

/// The error for an invalid token.
pub fn bad_token() -> Error {
    Error::unauthenticated("The token is invalid or expired.")
}

/// A log-in: the user, its id, the generation of their tokens, and the refresh token.
pub struct LoggedIn {
    pub user: User,
    pub login: Uuid,
    pub generation: i64,
    pub refresh: Secret,
}

/// The tokens of a log-in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TokenPair {
    /// Sent as `Authorization: Bearer`; valid for ten minutes
    pub access: String,
    /// Exchanged for the next pair, once; valid for 30 days
    pub refresh: String,
    pub user: User,
}

impl LoggedIn {
    /// The tokens as clients get them; `id` makes the access token unique.
    pub fn pair(self, keys: &Keys, now: Timestamp, id: [u8; 16]) -> Result<TokenPair> {
        let Self { user, login, generation, refresh } = self;
        let id = uuid::Builder::from_random_bytes(id).into_uuid();
        let access = keys.sign(user.person.user_id, login, generation, now, id)?;
        Ok(TokenPair { access, refresh: refresh.token(), user })
    }
}

/// Begins a log-in from that address, after the password was verified; `better_hash` replaces the hash it was verified by.
///
/// # Errors
/// `Unauthenticated` if the account changed meanwhile.
pub fn log_in(
    tx: &mut Tx<'_>,
    login: &Login,
    better_hash: Option<&str>,
    refresh: Secret,
    address: Option<&AddressHash>,
) -> Result<LoggedIn> {
    let now = settled(tx, login, better_hash)?;
    keep(tx, now, None, refresh, address)
}

/// The account whose password was verified, locked to the end of the transaction; `better_hash` replaces the hash it was verified
/// by.
///
/// # Errors
/// `Unauthenticated` if the account changed meanwhile.
pub(super) fn settled(tx: &mut Tx<'_>, login: &Login, better_hash: Option<&str>) -> Result<Login> {
    let now = tokens::lock(tx, login.user.person.key)?.ok_or_else(refused)?;
    if now.generation != login.generation || !now.user.is_active {
        return Err(refused());
    }
    if let (Some(before), Some(after)) = (&login.password_hash, better_hash) {
        tokens::rehash(tx, now.user.person.key, before, after)?;
    }
    Ok(now)
}

/// Begins a log-in for another user, as operator or admin.
///
/// # Errors
/// `NotFound`, `Forbidden` if the account is deactivated, or for all but the operator and admins.
pub fn issue(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector, refresh: Secret) -> Result<LoggedIn> {
    let user = super::user(tx, actor, selector)?;
    if !actor.administers() {
        return Err(Error::forbidden("Only the operator and admins issue tokens."));
    }
    let Some(login) = tokens::lock(tx, user.person.key)? else { return Err(super::no_user(selector)) };
    if !login.user.is_active {
        let detail = format!("The account of {} is deactivated; it cannot log in.", login.user.person.username);
        return Err(Error::forbidden(detail));
    }
    keep(tx, login, None, refresh, None)
}

/// Stores a new refresh token. Without a family it begins one, with the token's hash as id: ids drawn from a seed can repeat.
fn keep(
    tx: &mut Tx<'_>,
    login: Login,
    family: Option<Uuid>,
    refresh: Secret,
    address: Option<&AddressHash>,
) -> Result<LoggedIn> {
    tokens::forget_expired(tx)?;
    let Login { user, generation, .. } = login;
    let hash = refresh.hash();
    let own = || uuid::Builder::from_custom_bytes(std::array::from_fn(|index| hash[index])).into_uuid();
    let (family, now) = (family.unwrap_or_else(own), tx.now());
    let expires_at = now.plus_seconds(REFRESH_LIFETIME);
    let token =
        RefreshToken { user: user.person.key, family, generation, created_at: now, expires_at, successor: None };
    tokens::insert(tx, &hash, &token, address)?;
    Ok(LoggedIn { user, login: family, generation, refresh })
}

/// The result of using a refresh token.
pub enum Refreshed {
    LoggedIn(LoggedIn),
    /// It is not valid; where it had been used before, what its log-in began ended
    Refused,
}

impl Refreshed {
    /// The new log-in.
    ///
    /// # Errors
    /// `Unauthenticated` if the token was not valid.
    pub fn or_refuse(self) -> Result<LoggedIn> {
        match self {
            Self::LoggedIn(logged_in) => Ok(logged_in),
            Self::Refused => Err(bad_token()),
        }
    }
}

/// Exchanges a refresh token for a new one, for a client at that address.
///
/// The successor is computed from the token and the key, so a client that asks again within [`AGAIN`] (another tab, or after a lost
/// response) gets the same one. Later it gets it only while the successor was not used. If it was used, the token was stolen, and
/// the whole log-in ends (RFC 9700, section 4.14.2). That is not an error, because an error would roll the end back.
pub fn refresh(tx: &mut Tx<'_>, keys: &Keys, token: &str, client: Client) -> Result<Refreshed> {
    let Some((secret, login, found)) = locked(tx, token)? else { return Ok(Refreshed::Refused) };
    // As with access tokens: one from a clock that was ahead is not valid for years.
    let latest = tx.now().plus_seconds(REFRESH_LIFETIME + access::AHEAD);
    let is_of_now = tx.now() < found.expires_at && found.expires_at <= latest;
    if !login.user.is_active || login.generation != found.generation || !is_of_now {
        return Ok(Refreshed::Refused);
    }
    let Some(successor) = found.successor else {
        let (next, _) = keys.successors(secret);
        let address = keys.hash_address(login.user.person.user_id, client).map(|(hash, _)| hash);
        let logged_in = keep(tx, login, Some(found.family), next, address.as_ref())?;
        tokens::set_successor(tx, &secret.hash(), &next.hash())?;
        return Ok(Refreshed::LoggedIn(logged_in));
    };
    let Some(next) = tokens::by_hash(tx, &successor)? else { return Ok(Refreshed::Refused) };
    if next.successor.is_some() && tx.now() >= next.created_at.plus_seconds(AGAIN) {
        end(tx, &login.user, found.family)?;
        return Ok(Refreshed::Refused);
    }
    // None where the key that it followed from is gone.
    let (next, earlier) = keys.successors(secret);
    let same = [Some(next), earlier].into_iter().flatten().find(|next| next.hash() == successor);
    let Login { user, generation, .. } = login;
    let logged_in = |refresh| Refreshed::LoggedIn(LoggedIn { user, login: found.family, generation, refresh });
    Ok(same.map_or(Refreshed::Refused, logged_in))
}

/// Finds a refresh token and its user, and locks the user until the end of the transaction.
fn locked(tx: &mut Tx<'_>, token: &str) -> Result<Option<(Secret, Login, RefreshToken)>> {
    let Some(secret) = secret_of(token) else { return Ok(None) };
    let Some(login) = tokens::lock_owner(tx, &secret.hash())? else { return Ok(None) };
    // It may have gone while we waited.
    Ok(tokens::by_hash(tx, &secret.hash())?.map(|found| (secret, login, found)))
}

/// Ends the log-in of a refresh token; an unknown token is ignored.
pub fn revoke(tx: &mut Tx<'_>, token: &str) -> Result<()> {
    match locked(tx, token)? {
        Some((_, login, found)) => end(tx, &login.user, found.family),
        None => Ok(()),
    }
}

/// Ends a log-in, and tells whoever listens by it to look whether they still may.
fn end(tx: &mut Tx<'_>, user: &User, family: Uuid) -> Result<()> {
    tokens::delete_family(tx, family)?;
    let event = Event::user(EventKind::UserUpdated, &user.person);
    store::events::record(tx, &Actor::User(user.clone()), event).map(drop)
}

/// Ends all that anybody logged in to an account with, sessions too; returns whose, and how many refresh tokens were valid.
///
/// # Errors
/// `NotFound`, `Forbidden` for another's account unless as operator or admin.
pub fn revoke_all(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector) -> Result<(User, i64)> {
    let user = super::users::locked(tx, actor, selector)?;
    super::users::must_be_own_or_administered(actor, &user)?;
    let count = tokens::revoke_all(tx, user.person.key)?;
    store::sessions::delete_all(tx, user.person.key, None)?;
    store::events::record(tx, actor, Event::user(EventKind::UserUpdated, &user.person))?;
    Ok((user, count))
}

/// Checks that a refresh token is valid.
///
/// # Errors
/// `Unauthenticated` if it is not.
pub fn must_be_valid(tx: &mut Tx<'_>, token: &str) -> Result<()> {
    let secret = secret_of(token).ok_or_else(bad_token)?;
    let latest = tx.now().plus_seconds(REFRESH_LIFETIME + access::AHEAD);
    let is_valid = tokens::is_valid(tx, &secret.hash(), latest)?;
    if is_valid { Ok(()) } else { Err(bad_token()) }
}

/// The hash of a user's password, if they have one
pub fn password_hash(tx: &mut Tx<'_>, user: &User) -> Result<Option<String>> {
    Ok(tokens::login_by_id(tx, user.person.user_id)?.and_then(|login| login.password_hash))
}

/// The user of an access token.
///
/// # Errors
/// `Unauthenticated` if it was revoked, or the account is deactivated or deleted.
pub fn acting(tx: &mut Tx<'_>, claims: &Claims) -> Result<Actor> {
    let login = unrevoked(tx, claims)?;
    if tx.now() < claims.expires_at { Ok(Actor::User(login.user)) } else { Err(bad_token()) }
}

/// As [`acting`], of what goes on: it ends with its log-in.
///
/// # Errors
/// As of [`acting`]; `Unauthenticated` also if the log-in ended.
pub fn acting_for_long(tx: &mut Tx<'_>, claims: &Claims) -> Result<Actor> {
    must_be_logged_in(tx, claims)?;
    acting(tx, claims)
}

/// Looks whether the log-in and the tokens of an account are still valid, where it does not matter that an access token expires.
///
/// # Errors
/// `Unauthenticated` if they were revoked, or the account is deactivated or deleted.
pub fn must_not_be_revoked(tx: &mut Tx<'_>, claims: &Claims) -> Result<()> {
    must_be_logged_in(tx, claims)?;
    unrevoked(tx, claims).map(drop)
}

fn must_be_logged_in(tx: &mut Tx<'_>, claims: &Claims) -> Result<()> {
    if tokens::is_family(tx, claims.login)? { Ok(()) } else { Err(bad_token()) }
}

fn unrevoked(tx: &mut Tx<'_>, claims: &Claims) -> Result<Login> {
    let is_valid = |login: &Login| login.user.is_active && login.generation == claims.generation;
    tokens::login_by_id(tx, claims.user)?.filter(is_valid).ok_or_else(bad_token)
}
