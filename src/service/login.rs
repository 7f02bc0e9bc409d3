//! Log-ins: where they come from, whose they are, and what those that fail count against.

use std::net::IpAddr;

use super::tokens::Keys;
use crate::error::Result;
use crate::model::{UserKey, fold_case, normalize, uuid};
use crate::store::Tx;
use crate::store::tokens::{self, Login};

/// Where a client is, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    At(IpAddr),
    /// On this machine, at the other end of a Unix socket
    Socket,
    /// Behind a proxy that did not say where, or not in words that can be read
    Unknown,
}

impl Client {
    /// The same for all addresses that are one's as soon as one of them is: of IPv6 a network of 64 bits.
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

/// What log-ins that fail count against: an account, whichever of its names they named, or a name that is nobody's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    Account(UserKey),
    /// Folded
    Nobody(String),
}

/// A log-in that is tried.
pub struct Attempt {
    pub subject: Subject,
    /// The account; none where nobody may log in to it
    pub login: Option<Login>,
    /// Whether somebody is logged in to that account from there, so that strangers cannot keep them out
    pub is_familiar: bool,
    /// The hash that takes longest of those that Django made, where there still are any
    pub slowest: Option<String>,
}

/// Whose account somebody at `client` says is theirs, by username or else by email.
pub fn attempt(tx: &mut Tx<'_>, keys: &Keys, name: &str, client: Client) -> Result<Attempt> {
    let name = normalize(name);
    let slowest = tokens::slowest_pbkdf2(tx)?;
    let Some(login) = account(tx, &name)? else {
        return Ok(Attempt { subject: Subject::Nobody(fold_case(&name)), login: None, is_familiar: false, slowest });
    };
    let user = &login.user.person;
    let is_familiar = match keys.hash_address(user.user_id, client) {
        Some((hash, earlier)) => tokens::count_at(tx, user.key, login.generation, [&hash, &earlier])?,
        None => false,
    };
    let subject = Subject::Account(user.key);
    let login = Some(login).filter(|login| login.user.is_active && login.password_hash.is_some());
    Ok(Attempt { subject, login, is_familiar, slowest })
}

fn account(tx: &mut Tx<'_>, name: &str) -> Result<Option<Login>> {
    if !super::may_name_user(name) || uuid(name).is_some() {
        return Ok(None);
    }
    match tokens::login_by_username(tx, name)? {
        None if name.contains('@') => tokens::login_by_email(tx, name),
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
