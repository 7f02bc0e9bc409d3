//! Hashing passwords: slow on purpose, so before a transaction.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::random;
use crate::error::{Error, Result};
use crate::service::passwords;

/// Checks a password and hashes it; slow on purpose, so before a transaction.
///
/// # Errors
/// `Invalid` where the password is not good enough.
pub fn hash_password(password: &str, username: &str) -> Result<String> {
    passwords::check(password, username)?;
    passwords::hash(password, random()?)
}

/// Hashes passwords that were checked, on all cores, except those whose hash is given already; `on_progress` hears how many
/// are done.
///
/// # Errors
/// `Internal` where there is no memory or no chance for it.
pub fn hash_passwords(
    passwords: &[(String, Option<String>)],
    on_progress: &mut dyn FnMut(usize),
) -> Result<Vec<Option<String>>> {
    let next = AtomicUsize::new(0);
    let hash = |(password, known): &(String, Option<String>)| match known {
        Some(known) if passwords::verify(password, known)? => Ok(None),
        _ => passwords::hash(password, random()?).map(Some),
    };
    let hash_next = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let hashed = hash(passwords.get(index)?);
        if hashed.is_err() {
            next.fetch_add(passwords.len(), Ordering::Relaxed);
        }
        Some(hashed.map(|hash| (index, hash)))
    };
    let others = std::thread::available_parallelism().map_or(1, NonZero::get).min(passwords.len()).saturating_sub(1);
    let hashes = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..others).map(|_| scope.spawn(|| std::iter::from_fn(hash_next).collect::<Result<Vec<_>>>())).collect();
        let mut hashes = Vec::with_capacity(passwords.len());
        while let Some(hash) = hash_next() {
            hashes.push(hash?);
            on_progress(next.load(Ordering::Relaxed).min(passwords.len()));
        }
        for worker in workers {
            hashes.extend(worker.join().map_err(|_| Error::internal("hashing a password panicked"))??);
        }
        Ok::<_, Error>(hashes)
    });
    let mut hashes = hashes?;
    hashes.sort_unstable_by_key(|(index, _)| *index);
    Ok(hashes.into_iter().map(|(_, hash)| hash).collect())
}
