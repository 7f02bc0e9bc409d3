//! Passwords over HTTP: how many are computed with at once, and what that counts against.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::limits::Tried;
use super::problem::Problem;
use super::{Server, Shared};
use crate::error::{Error, Result};

/// Slots for computing with passwords: each takes a core, and 19 MiB.
pub(crate) struct Hashing {
    cores: Arc<Semaphore>,
    /// Those of what is no log-in, half of them: registrations and new passwords never delay a log-in
    others: Arc<Semaphore>,
}

impl Hashing {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { cores: Arc::new(Semaphore::new(cores)), others: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }
}

impl Server {
    /// Computes with a password, for what is no log-in.
    pub(crate) async fn hash<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let permit = Arc::clone(&self.hashing.others).acquire_owned().await.map_err(Error::internal)?;
        self.compute(Some(permit), work).await
    }

    /// Looks whether a password is that of an account, which `work` says by none where it is not: that is counted, and too many
    /// are not looked at.
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

    /// Computes, as many at once as there are cores; what nobody waits for any more is one of them. Each in a thread whose end
    /// gives its 19 MiB back: those of a pool would keep as much, all of them.
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
