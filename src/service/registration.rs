//! Registrations: accounts that people create for themselves, idempotently.
//!
//! A hash of the request without the password is stored. The password is compared by verifying it against the account,
//! which is slow on purpose and so happens between two transactions.

use super::idempotency::{NOBODY, REMEMBERED, check_key};
use super::login::Client;
use super::tokens::Keys;
use super::users::{self, check_details, email_taken, insert, username_taken};
use crate::error::{Error, Result};
use crate::model::{Actor, Event, EventKind, User, UserDetails, UserId};
use crate::service::IdempotentRequest;
use crate::store::tokens::{Login, login_by_id};
use crate::store::{self, Tx};

/// The input of a registration.
pub struct Registration {
    details: UserDetails,
    is_open: bool,
    request: Option<Request>,
}

/// The idempotency key, and the hash of the request
struct Request {
    key: String,
    /// The idempotency key as hashed with the previous server key
    earlier_key: Option<String>,
    /// A hash of everything but the password, and the same with the previous server key
    hash: Vec<u8>,
    earlier_hash: Option<Vec<u8>>,
}

/// The error for a key that was used; it does not contain the key, which may be somebody else's.
pub fn other_request() -> Error {
    Error::conflict("The idempotency key was used for another request.")
}

/// The error while registration is closed.
fn closed() -> Error {
    Error::forbidden("Registration is closed; ask an admin for an account.")
}

impl Registration {
    /// A registration from that client, with or without an idempotency key. Keys of strangers are separate for each
    /// client address, and stored as hashes.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn new(
        details: &UserDetails,
        is_open: bool,
        request: Option<IdempotentRequest>,
        keys: &Keys,
        stranger: Option<Client>,
    ) -> Result<Self> {
        let details = check_details(details)?;
        let request = request.map(|request| {
            check_key(&request.key)?;
            let said =
                serde_json::to_vec(&(&details.username, &details.email, &details.first_name, &details.last_name));
            let (hash, earlier_hash) = keys.hash_request([b"register", b"", &said.map_err(Error::internal)?]);
            let (key, earlier_key) = match stranger {
                Some(client) => keys.hide_key(client, &request.key),
                None => (request.key, None),
            };
            Ok::<_, Error>(Request { key, earlier_key, hash, earlier_hash })
        });
        Ok(Self { details, is_open, request: request.transpose()? })
    }

    /// The details of the new account
    pub fn details(&self) -> &UserDetails {
        &self.details
    }
}

fn must_be_open(actor: Option<&Actor>, registration: &Registration) -> Result<()> {
    if registration.is_open || actor.is_some_and(Actor::administers) { Ok(()) } else { Err(closed()) }
}

/// Admins may use names that look like others'.
fn must_look_unlike_others(tx: &mut Tx<'_>, actor: Option<&Actor>, details: &UserDetails) -> Result<()> {
    if actor.is_some_and(Actor::administers) {
        Ok(())
    } else {
        users::must_look_unlike_others(tx, &details.username, None)
    }
}

/// Checks a registration before its password is hashed; returns the account that the same request created before, which
/// has to have the same password.
///
/// # Errors
/// `Forbidden` if registration is closed and the actor is not an admin, `Conflict` if the username or email is taken,
/// the username looks like another's, or the key was used for another request.
pub fn look(tx: &mut Tx<'_>, actor: Option<&Actor>, registration: &Registration) -> Result<Option<Login>> {
    must_be_open(actor, registration)?;
    let owner = actor.and_then(Actor::key).unwrap_or(NOBODY);
    if let Some(Request { key, earlier_key, hash, earlier_hash }) = &registration.request {
        let expired = tx.now().plus_seconds(-REMEMBERED);
        for key in std::iter::once(key).chain(earlier_key) {
            let found = store::idempotency::find(tx, owner, key)?.filter(|found| found.created_at >= expired);
            let Some(found) = found else { continue };
            if found.request_hash != *hash && earlier_hash.as_ref() != Some(&found.request_hash) {
                return Err(other_request());
            }
            let made = found.result.map(|id| login_by_id(tx, UserId(id))).transpose()?.flatten();
            return made.map(Some).ok_or_else(other_request);
        }
    }
    let details = &registration.details;
    if store::users::by_username(tx, &details.username)?.is_some() {
        return Err(username_taken(details));
    }
    must_look_unlike_others(tx, actor, details)?;
    let owner = details.email.as_ref().map(|email| store::users::by_email(tx, email)).transpose()?.flatten();
    if owner.is_some() { Err(email_taken(details)) } else { Ok(None) }
}

/// Creates the account; none if the same request did so meanwhile.
///
/// # Errors
/// As of [`look`].
pub fn register(
    tx: &mut Tx<'_>,
    actor: Option<&Actor>,
    registration: &Registration,
    password_hash: &str,
) -> Result<Option<User>> {
    must_be_open(actor, registration)?;
    let owner = actor.and_then(Actor::key).unwrap_or(NOBODY);
    if let Some(Request { key, hash, .. }) = &registration.request {
        let expired = tx.now().plus_seconds(-REMEMBERED);
        store::idempotency::forget(tx, expired)?;
        store::idempotency::forget_one(tx, owner, key, expired)?;
        if store::idempotency::take(tx, owner, key, hash)?.is_some() {
            return Ok(None);
        }
    }
    must_look_unlike_others(tx, actor, &registration.details)?;
    let user = insert(tx, &registration.details, Some(password_hash))??;
    let by = actor.cloned().unwrap_or_else(|| Actor::User(user.clone()));
    store::events::record(tx, &by, Event::user(EventKind::UserCreated, &user.person))?;
    if let Some(Request { key, .. }) = &registration.request {
        store::idempotency::keep(tx, owner, key, user.person.user_id.0)?;
    }
    Ok(Some(user))
}
