//! The keys of a server, made from its secret.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit};
use quick_cache::sync::Cache;
use sha2::Sha256;

use super::Claims;
use crate::error::{Error, Result};

/// How many access tokens are known again, each in about half a kilobyte
pub(super) const KNOWN: usize = 4096;

/// The keys that sign and verify.
pub struct Keys {
    pub(super) current: Hmac<Sha256>,
    /// Verifies tokens from before the current one
    pub(super) previous: Option<Hmac<Sha256>>,
    /// What access tokens say whose signature was right; made by the first, as other keys seal cursors only
    pub(super) known: OnceLock<Cache<Box<str>, Claims>>,
}

impl Keys {
    /// Keys made from secrets of any length.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Result<Self> {
        let key = |secret| Hmac::new_from_slice(secret).map_err(|error| Error::internal(error.to_string()));
        Ok(Self { current: key(current)?, previous: previous.map(key).transpose()?, known: OnceLock::new() })
    }
}
