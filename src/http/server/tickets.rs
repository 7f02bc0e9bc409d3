//! Tickets: what stands in the address of a stream in place of a token, for half a minute and once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::model::{Timestamp, UserId};
use crate::service::tokens::{Claims, Keys, bad_token};

/// For how many seconds a ticket is valid
pub(crate) const LIFETIME: i64 = 30;

/// What tickets are sealed for
const PURPOSE: &str = "ticket";

/// What tells a ticket from every other
pub(crate) type Nonce = [u8; 16];

/// Makes a ticket for somebody who has a token.
pub(crate) fn issue(keys: &Keys, claims: &Claims, now: Timestamp, nonce: Nonce) -> Result<String> {
    let Claims { user, login, generation, expires_at } = claims;
    let numbers = [*generation, expires_at.0, now.plus_seconds(LIFETIME).0].map(i64::to_be_bytes);
    keys.seal(PURPOSE, &[user.0.as_bytes(), login.as_bytes(), &nonce, numbers.as_flattened()].concat())
}

/// The tickets that were used and would still be valid
#[derive(Default)]
pub(crate) struct Tickets(Mutex<HashMap<Nonce, Timestamp>>);

impl Tickets {
    /// What a ticket stands for; it is used up.
    ///
    /// # Errors
    /// `Unauthenticated` where it is not valid, or was used.
    pub(crate) fn redeem(&self, keys: &Keys, ticket: &str, now: Timestamp) -> Result<Claims> {
        let (claims, until, nonce) = keys.open(PURPOSE, ticket).as_deref().and_then(read).ok_or_else(bad_token)?;
        if now >= until {
            return Err(bad_token());
        }
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until| now < *until);
        if used.insert(nonce, until).is_some() { Err(used_up()) } else { Ok(claims) }
    }
}

fn used_up() -> Error {
    Error::unauthenticated("The ticket was used already; a ticket is for one stream.")
}

fn read(opened: &[u8]) -> Option<(Claims, Timestamp, Nonce)> {
    let (user, rest) = opened.split_first_chunk::<16>()?;
    let (login, rest) = rest.split_first_chunk::<16>()?;
    let (nonce, rest) = rest.split_first_chunk::<16>()?;
    let ([generation, expires_at, until], []) = rest.as_chunks::<8>() else { return None };
    let number = |bytes: &[u8; 8]| i64::from_be_bytes(*bytes);
    let claims = Claims {
        user: UserId(Uuid::from_bytes(*user)),
        login: Uuid::from_bytes(*login),
        generation: number(generation),
        expires_at: Timestamp(number(expires_at)),
    };
    Some((claims, Timestamp(number(until)), *nonce))
}
