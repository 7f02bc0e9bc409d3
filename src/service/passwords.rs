//! Passwords: their rules and their hashes. Hashing is slow on purpose, so it is never done in a transaction.

use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pbkdf2::pbkdf2_hmac_array;
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::model::{fold_case, normalize};

/// Common passwords of eight characters and more, folded, one a line
const COMMON: &str = include_str!("common_passwords.txt");

/// The beginning of every hash that [`hash`] makes
const PREFIX: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

/// The hash of a password that nobody has, so that refusing an unknown user takes as long as a known one
pub const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$yU2YnVRafZcnrr2OkMpVHg$o5FoLsI4v1P8DdGi0qVJi5BK0Dd5EYzbeaAEKOR/J1k";

/// The rule of [`check`] that a prompt mentions
pub const RULE: &str = "at least 8 characters";

/// Checks that a password is 8 characters to 1,024 bytes, not among the common ones, and not the username.
///
/// # Errors
/// `Invalid`, naming the field `password`.
pub fn check(password: &str, username: &str) -> Result<()> {
    let refuse = |detail: &str| Err(Error::invalid("password", detail));
    let password = normalize(password);
    let folded = fold_case(&password);
    if password.chars().count() < 8 {
        refuse(&format!("The password is too short; it needs {RULE}."))
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

/// Hashes a password with argon2id, in Unicode's NFC: keyboards differ in how they write an accent. The parameters are OWASP's (ASVS 5.0): 19 MiB, two passes, one lane.
///
/// # Errors
/// `Internal` if there is not enough memory.
pub fn hash(password: &str, salt: [u8; 16]) -> Result<String> {
    let params = Params::new(19_456, 2, 1, None).map_err(|error| Error::internal(error.to_string()))?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = hasher
        .hash_password_with_salt(normalize(password).as_bytes(), &salt)
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(hash.to_string())
}

/// Checks that a text is a hash that [`verify`] supports: argon2 in PHC form of at most 256 MiB and 16 passes, or
/// PBKDF2 as Django writes it (`pbkdf2_sha256$…`) of at most 5,000,000 iterations. A more expensive one would let
/// anybody who logs in overload the server.
///
/// # Errors
/// `Invalid`, naming the field `password_hash`.
pub fn check_hash(hash: &str) -> Result<()> {
    if parsed(hash).is_some() {
        return Ok(());
    }
    let detail = "That is neither an argon2 hash in PHC form ($argon2id$v=19$…) nor one of Django's (pbkdf2_sha256$…), of usual \
                  cost.";
    Err(Error::invalid("password_hash", detail))
}

/// Verifies a password against a hash, in NFC and as given: hashes made before passwords were normalized stay valid.
/// Slow on purpose; the time does not depend on where they differ.
///
/// # Errors
/// `Invalid` if [`check_hash`] refuses the hash, `Internal` if there is not enough memory.
pub fn verify(password: &str, hash: &str) -> Result<bool> {
    let normal = normalize(password);
    Ok(is_hash_of(&normal, hash)? || normal != password && is_hash_of(password, hash)?)
}

/// As [`verify`], for a user who may have no password, which takes equally long.
///
/// # Errors
/// As [`verify`].
pub fn verify_for(hash: Option<&str>, password: &str) -> Result<bool> {
    Ok(verify(password, hash.unwrap_or(NOBODYS))? && hash.is_some())
}

fn is_hash_of(password: &str, hash: &str) -> Result<bool> {
    match parsed(hash) {
        None => check_hash(hash).map(|()| false),
        Some(Hash::Argon2(hash)) => match Argon2::default().verify_password(password.as_bytes(), hash.as_ref()) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(Error::internal(error.to_string())),
        },
        Some(Hash::Pbkdf2 { iterations, salt, output }) => {
            let computed = pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt.as_bytes(), iterations);
            // Compared as outputs of hashes are, in constant time.
            Ok(Output::new(&computed).map_err(|error| Error::internal(error.to_string()))? == output)
        }
    }
}

/// Spends the rest of the time that refusing a password takes for every account: that of a hash of ours, plus that of
/// the slowest remaining hash from Django. `hash` is the hash that was verified, if there was one.
///
/// # Errors
/// `Internal` if there is not enough memory.
pub fn refuse_slowly(password: &str, hash: Option<&str>, slowest: Option<&str>) -> Result<()> {
    let iterations = |hash| match parsed(hash) {
        Some(Hash::Pbkdf2 { iterations, .. }) => Some(iterations),
        Some(Hash::Argon2(_)) | None => None,
    };
    let Some(slowest) = slowest.and_then(iterations) else { return Ok(()) };
    let spent = hash.and_then(iterations);
    if spent.is_some() {
        verify(password, NOBODYS)?;
    }
    let rest = slowest.saturating_sub(spent.unwrap_or(0));
    if rest > 0 {
        std::hint::black_box(pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), b"nobody's", rest));
    }
    Ok(())
}

/// Whether a hash differs in kind or cost from what [`hash`] makes now, so that the next log-in replaces it
pub fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(PREFIX)
}

/// A hash that can be verified
enum Hash<'h> {
    Argon2(Box<PasswordHash>),
    /// HMAC-SHA-256; the salt is text
    Pbkdf2 {
        iterations: u32,
        salt: &'h str,
        output: Output,
    },
}

fn parsed(hash: &str) -> Option<Hash<'_>> {
    if let Some(django) = hash.strip_prefix("pbkdf2_sha256$") {
        let mut parts = django.split('$');
        let (iterations, salt, output) = (parts.next()?, parts.next()?, parts.next()?);
        let is_number = iterations.bytes().all(|byte| byte.is_ascii_digit());
        let iterations =
            iterations.parse().ok().filter(|iterations| is_number && (1..=5_000_000).contains(iterations))?;
        let is_salt = (1..=1024).contains(&salt.len()) && salt.bytes().all(|byte| byte.is_ascii_graphic());
        let bytes =
            STANDARD.decode(output).ok().filter(|bytes| bytes.len() == 32 && is_salt && parts.next().is_none())?;
        return Some(Hash::Pbkdf2 { iterations, salt, output: Output::new(&bytes).ok()? });
    }
    let parsed = PasswordHash::new(hash).ok()?;
    let is_good = Algorithm::try_from(parsed.algorithm.as_str()).is_ok()
        && parsed.salt.is_some()
        && parsed.hash.is_some()
        && Params::try_from(&parsed).is_ok_and(|params| params.m_cost() <= 256 * 1024 && params.t_cost() <= 16);
    is_good.then(|| Hash::Argon2(Box::new(parsed)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made by Django 5.2
    const DJANGO: &str = "pbkdf2_sha256$1000000$Ez2pVn0fGkQyXwbLr5sTua$IGWrATlfUjjxvEbDdL0AGm8lNDjqw7acmY5Gp4Ned+A=";
    const DJANGO_FAST: &str = "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=";
    const DJANGO_ARGON2: &str = "$argon2id$v=19$m=102400,t=2,p=8$SkZINUtIUFd4N2FhZHROOWJxYXI3eA$\
                                 5jx5Dat1hpY7LlVxOQkPR1cY1qVIRkoq/QOpN69DJW4";

    #[test]
    fn hashes_of_ours_and_of_django_are_verified() {
        let own = hash("correct horse 7", [7; 16]).unwrap();
        assert!(own.starts_with(PREFIX) && is_outdated(DJANGO) && is_outdated(DJANGO_ARGON2));
        for hash in [own.as_str(), DJANGO, DJANGO_FAST, DJANGO_ARGON2] {
            check_hash(hash).unwrap();
            assert!(verify("correct horse 7", hash).unwrap(), "{hash}");
            assert!(!verify("correct horse 8", hash).unwrap(), "{hash}");
        }
        let umlauts = "pbkdf2_sha256$20000$aaaaaaaaaaaaaaaaaaaaaa$Oyw6x+at29iqicBnD1Sd6oZxIJHmRcCtiO+Bzud/opE=";
        assert!(verify("pä$$wort ☃", umlauts).unwrap());
    }

    #[test]
    fn a_password_is_the_same_however_its_accents_are_written() {
        let (composed, decomposed) = ("schlüssel 7", "schlu\u{308}ssel 7");
        for password in [composed, decomposed] {
            let hash = hash(password, [7; 16]).unwrap();
            assert!(verify(composed, &hash).unwrap() && verify(decomposed, &hash).unwrap(), "{password}");
        }
        let before = |password: &str| {
            let output = STANDARD.encode(pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), b"salt", 1000));
            format!("pbkdf2_sha256$1000$salt${output}")
        };
        assert!(verify(decomposed, &before(decomposed)).unwrap(), "a hash from before");
        assert!(verify(decomposed, &before(composed)).unwrap());
        assert!(!verify("schlussel 7", &before(decomposed)).unwrap());
        assert!(check(&"u\u{308}".repeat(5), "ann").is_err(), "five characters");
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_refused() {
        for hash in [
            "",
            "secret",
            "!unusable",
            "md5$abc$48633cc551055990aa4be5ebc4bcfe5e",
            "pbkdf2_sha256$",
            "pbkdf2_sha256$0$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=",
            "pbkdf2_sha256$+9$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=",
            "pbkdf2_sha256$5000001$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=",
            "pbkdf2_sha256$1000$$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=",
            "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhO=",
            "pbkdf2_sha256$1000$seasalt2$c2hvcnQ=",
            "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=$",
            "$argon2id$v=19$m=1024000,t=2,p=8$SkZINUtIUFd4N2FhZHROOWJxYXI3eA$5jx5Dat1hpY7LlVxOQkPR1cY1qVIRkoq/QOpN69DJW4",
        ] {
            assert!(check_hash(hash).is_err() && verify("correct horse 7", hash).is_err(), "{hash}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_check_panic(text in "(pbkdf2_sha256\\$[0-9]{0,12}\\$[a-z]{0,3}\\$)?\\PC{0,60}") {
            let _ = check_hash(&text);
        }
    }
}
