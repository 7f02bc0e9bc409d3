//! Hashing passwords, which is slow on purpose and therefore outside of transactions.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::random;
use crate::error::{Error, Result};
use crate::service::passwords;

/// Checks a password and hashes it. Slow on purpose: call it before the transaction.
///
/// # Errors
/// `Invalid` if the password breaks the rules.
pub fn hash_password(password: &str, username: &str) -> Result<String> {
    passwords::check(password, username)?;
    passwords::hash(password, random()?)
}

/// Hashes checked passwords on all cores, except those that have a hash already; `on_progress` is called with the
/// number done.
///
/// # Errors
/// `Internal` if there is not enough memory or randomness.
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
