//! Log-ins: where they come from, for which account, and which rate limit their failures count towards.

use std::net::IpAddr;

use super::tokens::{self, Keys, LoggedIn, Secret};
use super::{passwords, sessions};
use crate::error::Result;
use crate::model::{UserKey, fold_case, normalize, uuid};
use crate::store::tokens::Login;
use crate::store::{self, Tx};

/// Where a client is, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    At(IpAddr),
    /// On this machine, at the other end of a Unix socket
    Socket,
    /// Behind a proxy that gave no address, or an unreadable one
    Unknown,
}

impl Client {
    /// The part of the address that one client controls: for IPv6 a network of 64 bits.
    #[must_use]
    pub fn network(self) -> Self {
        match self {
            Self::At(address) => Self::At(match address.to_canonical() {
                IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
                address @ IpAddr::V4(_) => address,
            }),
            other => other,
        }
    }
}

/// What failed log-ins are counted for: an account, whichever of its names was used, or an unknown name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Account(UserKey),
    /// Folded
    Nobody(String),
}

/// An attempt to log in.
pub struct Attempt {
    pub subject: Subject,
    /// The account; none where nobody may log in to it
    login: Option<Login>,
    /// Whether somebody is logged in to that account from there, so that strangers cannot keep them out
    pub is_familiar: bool,
    /// The slowest hash from Django, if any are left
    slowest: Option<String>,
    client: Client,
}

/// A log-in whose password is right.
pub struct Verified {
    login: Login,
    /// The hash that replaces an outdated one
    better_hash: Option<String>,
    client: Client,
}

impl Attempt {
    /// Verifies the password of the account. It takes equally long if it is wrong or nobody may log in. Slow on
    /// purpose. An outdated hash is replaced by a new one with this salt.
    ///
    /// # Errors
    /// `Internal` if there is not enough memory.
    pub fn verify(self, password: &str, salt: [u8; 16]) -> Result<Option<Verified>> {
        let Self { login, slowest, client, .. } = self;
        let hash = login.as_ref().and_then(|login| login.password_hash.as_deref());
        if !passwords::verify_for(hash, password)? {
            passwords::refuse_slowly(password, hash, slowest.as_deref())?;
            return Ok(None);
        }
        let is_outdated = hash.is_some_and(passwords::is_outdated);
        let better_hash = is_outdated.then(|| passwords::hash(password, salt)).transpose()?;
        Ok(login.map(|login| Verified { login, better_hash, client }))
    }
}

/// Begins a log-in whose password is right.
///
/// # Errors
/// `Unauthenticated` if the account changed meanwhile.
pub fn begin(tx: &mut Tx<'_>, keys: &Keys, verified: &Verified, refresh: Secret) -> Result<LoggedIn> {
    let Verified { login, better_hash, client } = verified;
    let address = keys.hash_address(login.user.person.user_id, *client).map(|(hash, _)| hash);
    tokens::log_in(tx, login, better_hash.as_deref(), refresh, address.as_ref())
}

/// Begins a session in a browser, after a log-in whose password is right.
///
/// # Errors
/// `Unauthenticated` if the account changed meanwhile.
pub fn begin_session(tx: &mut Tx<'_>, verified: &Verified, secret: Secret, browser: &str) -> Result<sessions::Session> {
    let Login { user, .. } = tokens::settled(tx, &verified.login, verified.better_hash.as_deref())?;
    sessions::begin(tx, &user, secret, browser)
}

/// Notes that the password of its account was given again in a session; returns the session as it is then.
///
/// # Errors
/// `Unauthenticated` if the account changed meanwhile, or it is another's password.
pub fn confirm(tx: &mut Tx<'_>, session: &sessions::Session, verified: &Verified) -> Result<sessions::Session> {
    let Login { user, .. } = tokens::settled(tx, &verified.login, verified.better_hash.as_deref())?;
    if user.person.key != session.user.person.key {
        return Err(tokens::refused());
    }
    store::sessions::set_confirmed(tx, &session.hash)?;
    Ok(sessions::Session { confirmed_at: tx.now(), ..session.clone() })
}

/// The account of a session whose user gives the password again, from `client`.
pub fn attempt_again(tx: &mut Tx<'_>, session: &sessions::Session, client: Client) -> Result<Attempt> {
    let slowest = store::tokens::slowest_pbkdf2(tx)?;
    let login = store::tokens::login_by_id(tx, session.user.person.user_id)?;
    let subject = Subject::Account(session.user.person.key);
    let login = login.filter(|login| login.user.is_active && login.password_hash.is_some());
    Ok(Attempt { subject, login, is_familiar: true, slowest, client })
}

/// Finds the account of a log-in from `client`, by username or else by email.
pub fn attempt(tx: &mut Tx<'_>, keys: &Keys, name: &str, client: Client) -> Result<Attempt> {
    let name = normalize(name);
    let slowest = store::tokens::slowest_pbkdf2(tx)?;
    let Some(login) = account(tx, &name)? else {
        let subject = Subject::Nobody(fold_case(&name));
        return Ok(Attempt { subject, login: None, is_familiar: false, slowest, client });
    };
    let user = &login.user.person;
    let is_familiar = match keys.hash_address(user.user_id, client) {
        Some((hash, earlier)) => store::tokens::is_any_valid_at(tx, user.key, login.generation, [&hash, &earlier])?,
        None => false,
    };
    let subject = Subject::Account(user.key);
    let login = Some(login).filter(|login| login.user.is_active && login.password_hash.is_some());
    Ok(Attempt { subject, login, is_familiar, slowest, client })
}

fn account(tx: &mut Tx<'_>, name: &str) -> Result<Option<Login>> {
    if !super::may_name_user(name) || uuid(name).is_some() {
        return Ok(None);
    }
    match store::tokens::login_by_username(tx, name)? {
        None if name.contains('@') => store::tokens::login_by_email(tx, name),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one() {
        let network = |text: &str| Client::At(text.parse().unwrap()).network();
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
        assert_eq!(Client::Socket.network(), Client::Socket);
    }
}
