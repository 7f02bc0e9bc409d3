//! Passwords: which are good enough, and their hashes. Slow on purpose, so never inside a transaction.

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};

use crate::error::{Error, Result};
use crate::model::fold_case;

/// Common passwords of eight characters and more, folded, one a line
const COMMON: &str = include_str!("common_passwords.txt");

/// Checks that a password is 8 characters to 1,024 bytes, not among the common ones, and not the username.
///
/// # Errors
/// `Invalid`, naming the field `password`.
pub fn check(password: &str, username: &str) -> Result<()> {
    let refuse = |detail: &str| Err(Error::invalid("password", detail));
    let folded = fold_case(password);
    if password.chars().count() < 8 {
        refuse("The password is too short; it needs at least 8 characters.")
    } else if password.len() > 1024 {
        refuse("The password is too long; at most 1,024 bytes are allowed.")
    } else if folded == fold_case(username) {
        refuse("The password is the username.")
    } else if COMMON.lines().any(|common| common == folded) {
        refuse("The password is too common.")
    } else {
        Ok(())
    }
}

/// Hashes a password with argon2id; the parameters are OWASP's (ASVS 5.0): 19 MiB, two passes, one lane.
///
/// # Errors
/// `Internal` where there is no memory for it.
pub fn hash(password: &str, salt: [u8; 16]) -> Result<String> {
    let params = Params::new(19_456, 2, 1, None).map_err(|error| Error::internal(error.to_string()))?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = hasher
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(hash.to_string())
}

/// Checks that a text is an argon2 hash in PHC form, as another system's export holds it, which to verify takes no more
/// than 256 MiB and 16 passes: one that takes more would let whoever logs in bring the server down.
///
/// # Errors
/// `Invalid`, naming the field `password_hash`.
pub fn check_hash(hash: &str) -> Result<()> {
    let is_good = PasswordHash::new(hash).is_ok_and(|parsed| {
        Algorithm::try_from(parsed.algorithm.as_str()).is_ok()
            && parsed.salt.is_some()
            && parsed.hash.is_some()
            && Params::try_from(&parsed).is_ok_and(|params| params.m_cost() <= 256 * 1024 && params.t_cost() <= 16)
    });
    if is_good {
        return Ok(());
    }
    Err(Error::invalid("password_hash", "That is not an argon2 hash in PHC form ($argon2id$v=19$…) of usual cost."))
}
