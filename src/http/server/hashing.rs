//! Password hashing over HTTP: how many run at once, and the rate limits.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::limits::Tried;
use super::problem::Problem;
use super::{Server, Shared};
use crate::app::{hash_password, secret};
use crate::error::{Error, Result};
use crate::model::UserId;
use crate::service::login::{Attempt, Client, Verified};
use crate::service::passwords;
use crate::store::Tx;

/// Slots for computing with passwords: each takes a core, and 19 MiB.
pub(crate) struct Hashing {
    cores: Arc<Semaphore>,
    /// The slots for other things than log-ins, half of all: registrations and new passwords never delay a log-in
    others: Arc<Semaphore>,
}

impl Hashing {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores: Arc::new(Semaphore::new(cores)), others: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }
}

impl Server {
    /// Hashes a password, but not for a log-in.
    pub(crate) async fn hash<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let permit = Arc::clone(&self.hashing.others).acquire_owned().await.map_err(Error::internal)?;
        self.compute(Some(permit), work).await
    }

    /// Verifies the password of the account that `look` finds, tried by a client; none if it is wrong, or nobody may log in.
    pub(crate) async fn verify(
        self: &Shared,
        client: Client,
        look: impl FnMut(&mut Tx<'_>) -> Result<Attempt> + Send + 'static,
        password: String,
    ) -> std::result::Result<Option<Verified>, Problem> {
        let attempt = self.read_unauthenticated(look).await?;
        let tried = Tried::new(attempt.subject.clone(), client, attempt.is_familiar);
        let salt = secret()?;
        self.guess(tried, move || attempt.verify(&password, salt)).await
    }

    /// Verifies the current password of a user, whose name and hash are known, and hashes the new one.
    pub(crate) async fn new_hash(
        &self,
        (client, user): (Client, UserId),
        (username, hash): (String, Option<String>),
        password: String,
        current: String,
    ) -> std::result::Result<String, Problem> {
        passwords::check(&password, &username)?;
        let wrong = || Error::invalid("current_password", "That is not the current password.");
        let hash = hash.ok_or_else(wrong)?;
        // Failed log-ins of strangers do not count here, and failures here do not count for log-ins.
        self.limits.changes.take(&user)?;
        self.limits.log_ins.take(&client)?;
        let renew = move || {
            let is_right = passwords::verify(&current, &hash).unwrap_or(false);
            is_right.then(|| hash_password(&password, &username)).transpose()
        };
        Ok(self.hash(renew).await?.ok_or_else(wrong)?)
    }

    /// Verifies a password with `work`, which returns none if it is wrong. Failures are counted, and after too many no
    /// more are verified.
    pub(crate) async fn guess<T: Send + 'static>(
        self: &Shared,
        tried: Tried,
        work: impl FnOnce() -> Result<Option<T>> + Send + 'static,
    ) -> std::result::Result<Option<T>, Problem> {
        self.limits.may_try(&tried)?;
        let server = Arc::clone(self);
        let guess = move || {
            // Others came to their turn meanwhile.
            if let Err(problem) = server.limits.may_try(&tried) {
                return Ok(Err(problem));
            }
            let outcome = work()?;
            server.limits.count(&tried, outcome.is_some());
            Ok(Ok(outcome))
        };
        self.compute(None, guess).await?
    }

    /// Runs `work`, at most one per core, including those whose client is gone. Each runs in a thread of its own, which
    /// returns its 19 MiB at its end; the threads of a pool would keep them.
    async fn compute<T: Send + 'static>(
        &self,
        share: Option<OwnedSemaphorePermit>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let core = Arc::clone(&self.hashing.cores).acquire_owned().await.map_err(Error::internal)?;
        let (sender, hashed) = oneshot::channel();
        let hash = move || {
            let _places = (share, core);
            let _ = sender.send(work());
        };
        std::thread::Builder::new().name("hash".to_owned()).spawn(hash).map_err(Error::internal)?;
        hashed.await.unwrap_or_else(|_| Err(Error::internal("hashing a password panicked")))
    }
}
