//! Sessions: log-ins of people in a browser.
//!
//! A browser holds 256 random bits and the database their hash. A session is of the generation of its account's tokens, so
//! that what ends these ends it: a new password, deactivation, deletion, revocation.

use super::tokens::Secret;
use super::users::must_be_own_or_administered;
use crate::error::{Error, Result};
use crate::model::{Actor, Event, EventKind, Timestamp, User, UserSelector};
pub use crate::store::sessions::Session;
use crate::store::tokens::Hash;
use crate::store::{self, Tx};

/// How long a session lasts, in seconds: 30 days
pub const LIFETIME: i64 = 30 * 24 * 60 * 60;

/// How long a session lasts that is not used, in seconds: 12 hours
pub const UNUSED: i64 = 12 * 60 * 60;

/// How long after the password was given it need not be given again, in seconds
pub const CONFIRMED: i64 = 10 * 60;

/// How long it is at least until the use of a session is written again, in seconds
pub const SEEN: i64 = 5 * 60;

/// How far the clock may have been ahead when a session was written, in seconds
const AHEAD: i64 = 60;

/// The largest number of sessions of an account; beyond it those end that were not used for longest.
pub const MOST: i64 = 100;

impl Session {
    /// Who acts in it
    pub fn actor(&self) -> Actor {
        Actor::User(self.user.clone())
    }

    /// When it ends unless it is used
    pub fn ends_at(&self) -> Timestamp {
        self.created_at.plus_seconds(LIFETIME).min(self.seen_at.plus_seconds(UNUSED))
    }

    /// Whether its use has to be written
    pub fn is_use_due(&self, now: Timestamp) -> bool {
        now >= self.seen_at.plus_seconds(SEEN)
    }

    /// Whether the password was given so recently that it need not be given again
    pub fn is_confirmed(&self, now: Timestamp) -> bool {
        now < self.confirmed_at.plus_seconds(CONFIRMED) && self.confirmed_at <= now.plus_seconds(AHEAD)
    }

    /// Refuses what needs the password where it was not given recently.
    ///
    /// # Errors
    /// `Invalid`, naming the field `current_password`.
    pub fn must_be_confirmed(&self, now: Timestamp) -> Result<()> {
        if self.is_confirmed(now) {
            return Ok(());
        }
        let detail = "Enter your password: you last entered it more than 10 minutes ago.";
        Err(Error::invalid("current_password", detail))
    }

    /// As with tokens: what a clock wrote that was ahead is not valid until that time.
    fn is_valid(&self, now: Timestamp) -> bool {
        let latest = now.plus_seconds(AHEAD);
        self.is_current && now < self.ends_at() && self.created_at <= latest && self.seen_at <= latest
    }
}

/// The error for what is not the secret of a session, or not any more.
pub fn ended() -> Error {
    Error::unauthenticated("You are not logged in, or your session has ended.")
}

/// The session with that hash, if it is valid
pub fn find(tx: &mut Tx<'_>, hash: &Hash) -> Result<Option<Session>> {
    let now = tx.now();
    Ok(store::sessions::by_hash(tx, hash)?.filter(|session| session.is_valid(now)))
}

/// The session with that hash.
///
/// # Errors
/// `Unauthenticated` if there is none, or it has ended.
pub fn acting(tx: &mut Tx<'_>, hash: &Hash) -> Result<Session> {
    find(tx, hash)?.ok_or_else(ended)
}

/// Begins a session of a user, who is locked.
pub(super) fn begin(tx: &mut Tx<'_>, user: &User, secret: Secret, browser: &str) -> Result<Session> {
    super::check_text("browser", browser, 200)?;
    let (key, now) = (user.person.key, tx.now());
    store::sessions::forget(tx, now.plus_seconds(-UNUSED))?;
    store::sessions::insert(tx, &secret.hash(), key, browser)?;
    if store::sessions::delete_oldest(tx, key, MOST)? {
        tell(tx, &Actor::User(user.clone()), user)?;
    }
    acting(tx, &secret.hash())
}

/// Notes that a session is used, where that is due.
pub fn note_use(tx: &mut Tx<'_>, hash: &Hash) -> Result<()> {
    let now = tx.now();
    match find(tx, hash)? {
        Some(session) if session.is_use_due(now) => store::sessions::set_seen(tx, hash),
        _ => Ok(()),
    }
}

/// The valid sessions of an account, the last used first.
///
/// # Errors
/// `Forbidden` for another's account unless as operator or admin.
pub fn list(tx: &mut Tx<'_>, actor: &Actor, user: &User) -> Result<Vec<Session>> {
    must_be_own_or_administered(actor, user)?;
    let now = tx.now();
    let mut sessions = store::sessions::of(tx, user.person.key, MOST)?;
    sessions.retain(|session| session.is_valid(now));
    Ok(sessions)
}

/// Ends a session of an account; one that is gone already is no error.
///
/// # Errors
/// `NotFound`, `Forbidden` for another's account unless as operator or admin.
pub fn end(tx: &mut Tx<'_>, actor: &Actor, selector: &UserSelector, hash: &Hash) -> Result<()> {
    let user = super::users::locked(tx, actor, selector)?;
    must_be_own_or_administered(actor, &user)?;
    if store::sessions::delete(tx, user.person.key, hash)? {
        tell(tx, actor, &user)?;
    }
    Ok(())
}

/// Logs out: ends the session with that hash, if there is one.
pub fn log_out(tx: &mut Tx<'_>, hash: &Hash) -> Result<()> {
    let Some(session) = store::sessions::by_hash(tx, hash)? else { return Ok(()) };
    let actor = session.actor();
    if store::users::lock(tx, session.user.person.key)?.is_some() {
        end(tx, &actor, &UserSelector::of(&session.user), hash)?;
    }
    Ok(())
}

/// Ends every other session and all tokens of the account; returns how many sessions that were.
///
/// # Errors
/// `Unauthenticated` if the session ended meanwhile.
pub fn end_others(tx: &mut Tx<'_>, hash: &Hash) -> Result<i64> {
    let session = acting(tx, hash)?;
    let key = session.user.person.key;
    store::users::lock(tx, key)?.ok_or_else(ended)?;
    let session = acting(tx, hash)?;
    let ended = store::sessions::delete_all(tx, key, Some(hash))?;
    store::tokens::revoke_all(tx, key)?;
    store::sessions::keep(tx, hash)?;
    tell(tx, &session.actor(), &session.user)?;
    Ok(ended)
}

/// Replaces the password of the account, which ends everything that is logged in to it, and begins the session in this browser
/// that takes the place of this one.
///
/// # Errors
/// `Unauthenticated` if the session ended meanwhile, `Invalid` if the hash is not supported.
pub fn change_password(tx: &mut Tx<'_>, hash: &Hash, password_hash: &str, next: Secret) -> Result<Session> {
    let Session { user, browser, .. } = acting(tx, hash)?;
    store::users::lock(tx, user.person.key)?.ok_or_else(ended)?;
    let actor = acting(tx, hash)?.actor();
    let user = super::users::set_password(tx, &actor, &UserSelector::of(&user), Some(password_hash))?;
    begin(tx, &user, next, &browser)
}

/// Tells whoever listens in the sessions of a user to look whether they still may.
fn tell(tx: &mut Tx<'_>, actor: &Actor, user: &User) -> Result<()> {
    store::events::record(tx, actor, Event::user(EventKind::UserUpdated, &user.person)).map(drop)
}
