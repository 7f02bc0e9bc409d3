//! What somebody proves by who they are.

use super::sessions;
use super::tokens::{self, Claims};
use crate::error::Result;
use crate::model::Actor;
use crate::store::Tx;
use crate::store::tokens::Hash;

/// What is sent with a request that goes on for long: it is looked up again while it does.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// What an access token says
    Token(Claims),
    /// The hash of a session's secret
    Session(Hash),
}

impl Credentials {
    /// Who acts.
    ///
    /// # Errors
    /// `Unauthenticated` if the credentials are not valid, or not any more.
    pub fn acting(&self, tx: &mut Tx<'_>) -> Result<Actor> {
        match self {
            Self::Token(claims) => tokens::acting_for_long(tx, claims),
            Self::Session(hash) => Ok(sessions::acting(tx, hash)?.actor()),
        }
    }

    /// Looks whether they were taken away, where it does not matter that an access token expires.
    ///
    /// # Errors
    /// `Unauthenticated` if they were, or the account is deactivated or deleted.
    pub fn must_not_be_revoked(&self, tx: &mut Tx<'_>) -> Result<()> {
        match self {
            Self::Token(claims) => tokens::must_not_be_revoked(tx, claims),
            Self::Session(hash) => sessions::acting(tx, hash).map(drop),
        }
    }
}
