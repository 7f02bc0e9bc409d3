//! What is known again by its hash, which nobody can compute without the key.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Keys, Secret};
use crate::model::UserId;
use crate::service::login::Client;
use crate::store::tokens::AddressHash;

/// Keyed hashes of what the database must not reveal.
impl Keys {
    /// A keyed hash of a request, which reveals nothing without the key; and the hash under the previous key
    pub fn hash_request(&self, parts: [&[u8]; 3]) -> (Vec<u8>, Option<Vec<u8>>) {
        let hash = |key: &Hmac<Sha256>| {
            let mut hash = key.clone().chain_update("request");
            for part in parts {
                hash.update(&part.len().to_be_bytes());
                hash.update(part);
            }
            hash.finalize().into_bytes().to_vec()
        };
        (hash(&self.current), self.previous.as_ref().map(hash))
    }

    /// The keyed hash of an account and an address, to recognize later log-ins, and the hash under the previous key:
    /// hashes differ between accounts, so they do not reveal who shares an address. None if the address is not known.
    pub fn hash_address(&self, user: UserId, client: Client) -> Option<(AddressHash, AddressHash)> {
        let address = bytes_of(client)?;
        let hash = |key: &Hmac<Sha256>| {
            let hash = key.clone().chain_update("address").chain_update(user.0.as_bytes()).chain_update(&address);
            hash.finalize().into_bytes().into()
        };
        let current = hash(&self.current);
        Some((current, self.previous.as_ref().map_or(current, hash)))
    }

    /// The stored form of a stranger's idempotency key, different for each client address; and its form under the
    /// previous server key
    pub fn hide_key(&self, client: Client, key: &str) -> (String, Option<String>) {
        let place = bytes_of(client).unwrap_or_else(|| b"unknown".to_vec());
        let (hash, earlier) = self.hash_request([b"key", &place, key.as_bytes()]);
        (URL_SAFE_NO_PAD.encode(hash), earlier.map(|hash| URL_SAFE_NO_PAD.encode(hash)))
    }

    /// The refresh token that takes the place of one, always the same; and what it was under the previous key
    pub fn successors(&self, token: Secret) -> (Secret, Option<Secret>) {
        let successor = |key: &Hmac<Sha256>| {
            Secret(key.clone().chain_update("refresh").chain_update(token.0).finalize().into_bytes().into())
        };
        (successor(&self.current), self.previous.as_ref().map(successor))
    }

    /// The secret of the link that a form with that key makes for a user, always the same
    pub fn link(&self, user: UserId, key: &str) -> Secret {
        let hash = self.current.clone().chain_update("link").chain_update(user.0.as_bytes()).chain_update(key);
        Secret(hash.finalize().into_bytes().into())
    }

    /// The secret of the session that takes the place of one, always the same
    pub fn next_session(&self, secret: Secret) -> Secret {
        Secret(self.current.clone().chain_update("session").chain_update(secret.0).finalize().into_bytes().into())
    }
}

/// An address as bytes; of each kind another number of them
fn bytes_of(client: Client) -> Option<Vec<u8>> {
    match client {
        Client::At(IpAddr::V4(address)) => Some(address.octets().to_vec()),
        Client::At(IpAddr::V6(address)) => Some(address.octets().to_vec()),
        Client::Socket => Some(Vec::new()),
        Client::Unknown => None,
    }
}
