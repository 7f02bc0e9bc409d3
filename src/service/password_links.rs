//! Links by which somebody sets the password of their account, once and within a day: for whoever forgot it, or never had one.

use super::idempotency::{IdempotentRequest, once};
use super::passwords;
use super::tokens::Secret;
use crate::error::{Error, Kind, Result};
use crate::model::{Actor, Event, EventKind, Timestamp, User, UserSelector};
use crate::store::sessions::Link;
use crate::store::{self, Tx};

/// How long a link is valid, in seconds
pub const LIFETIME: i64 = 24 * 60 * 60;

/// The path of a link, below the address of a server
pub fn path(secret: Secret) -> String {
    format!("/password/{}/", secret.token())
}

/// The error for a link that is not valid, or not any more.
pub fn bad_link() -> Error {
    Error::not_found("This link is not valid: it was used, replaced by a newer one, or is older than 24 hours.")
        .hint("Ask an admin for a new one.")
}

/// Makes the link of a user, in place of the one before; returns whose it is and until when it is valid.
///
/// # Errors
/// `NotFound`, `Forbidden` if the account is deactivated, or for all but the operator and admins.
pub fn make(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector, secret: Secret) -> Result<(User, Timestamp)> {
    if !actor.administers() {
        return Err(Error::forbidden("Only the operator and admins make links that set a password."));
    }
    let user = super::users::locked(tx, actor, selector)?;
    if !user.is_active {
        let detail = format!("The account of {} is deactivated; it cannot log in.", user.person.username);
        return Err(Error::forbidden(detail));
    }
    store::sessions::forget_links(tx)?;
    let expires_at = tx.now().plus_seconds(LIFETIME);
    store::sessions::insert_link(tx, user.person.key, &secret.hash(), expires_at)?;
    store::events::record(tx, actor, Event::user(EventKind::UserUpdated, &user.person))?;
    Ok((user, expires_at))
}

/// As [`make`], once: the same request returns the same link.
///
/// # Errors
/// As [`make`], `Conflict` if that link is no longer valid.
pub fn make_once(
    tx: &mut Tx<'_>,
    actor: &Actor,
    selector: &UserSelector,
    secret: Secret,
    request: Option<&IdempotentRequest>,
) -> Result<(User, Timestamp)> {
    super::must_administer(actor)?;
    let again = |tx: &mut Tx<'_>, _| match find(tx, secret) {
        Ok(Found::Valid(user, expires_at)) => Ok(Some((user, expires_at))),
        Ok(Found::Ended(..)) => Err(over()),
        Err(error) if error.kind() == Kind::NotFound => Err(over()),
        Err(error) => Err(error),
    };
    once(tx, actor.key(), request, |tx| make(tx, actor, selector, secret), |(user, _)| user.person.user_id.0, again)
}

fn over() -> Error {
    Error::conflict("The link that this form made is no longer valid: it was used, or something ended it.")
        .hint("Make a new one.")
}

/// A link as somebody opens it.
pub enum Found {
    /// Whose password it sets, and until when
    Valid(User, Timestamp),
    /// It was used or ended before its time; the hash of the password that the account has now, if it has one
    Ended(User, Option<String>),
}

/// The link with that secret.
///
/// # Errors
/// `NotFound` if there is none, it has expired, or its account is deactivated.
pub fn find(tx: &mut Tx<'_>, secret: Secret) -> Result<Found> {
    let now = tx.now();
    let found = store::sessions::link(tx, &secret.hash())?;
    // One that a clock made that was ahead does not last for years.
    let is_of_now = |link: &Link| now < link.expires_at && link.expires_at <= now.plus_seconds(LIFETIME + 60);
    let link = found.filter(|link| is_of_now(link) && link.login.user.is_active).ok_or_else(bad_link)?;
    let Link { login, is_current, expires_at } = link;
    Ok(if is_current { Found::Valid(login.user, expires_at) } else { Found::Ended(login.user, login.password_hash) })
}

/// Sets the password of the account that a link is for, which ends everything that is logged in to it, and the link.
///
/// # Errors
/// As of [`find`]; `NotFound` also if the link was used.
pub fn set_password(tx: &mut Tx<'_>, secret: Secret, password_hash: &str) -> Result<User> {
    passwords::check_hash(password_hash)?;
    store::sessions::lock_owner(tx, &secret.hash())?.ok_or_else(bad_link)?;
    let Found::Valid(user, _) = find(tx, secret)? else { return Err(bad_link()) };
    let actor = Actor::User(user.clone());
    super::users::set_password(tx, &actor, &UserSelector::of(&user), Some(password_hash))
}
