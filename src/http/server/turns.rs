//! Limits how many requests work with the database at once: one for each connection to it, and half of that for slow requests.
//!
//! A waiting request holds no thread and no connection, so that other requests continue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// In how many seconds a client that waited too long may try again
pub(crate) const COME_AGAIN: u64 = 1;

/// The turns to work with the database
pub(crate) struct Turns {
    all: Arc<Semaphore>,
    /// The turns of slow requests, half of all: the others are left for quick ones
    long: Arc<Semaphore>,
    longest_wait: Duration,
}

/// A turn that is taken until this is dropped
pub(crate) struct Turn {
    _own: OwnedSemaphorePermit,
    _of_long: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// A turn for each connection, but at least two, so that slow requests never have all.
    pub(crate) fn new(connections: usize, longest_wait: Duration) -> Self {
        let all = connections.clamp(2, Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(all)), long: Arc::new(Semaphore::new(all / 2)), longest_wait }
    }

    /// Takes a turn if one is free.
    pub(crate) fn try_take(&self) -> Option<Turn> {
        Arc::clone(&self.all).try_acquire_owned().ok().map(|own| Turn { _own: own, _of_long: None })
    }

    /// Takes a turn; waits until one is free.
    ///
    /// # Errors
    /// `Unavailable` if that takes too long.
    pub(crate) async fn take(&self) -> Result<Turn> {
        self.in_time(async { Ok(Turn { _own: taken(&self.all).await?, _of_long: None }) }).await
    }

    /// As [`Turns::take`], for a slow request.
    pub(crate) async fn take_long(&self) -> Result<Turn> {
        let long = async {
            let of_long = taken(&self.long).await?;
            Ok(Turn { _own: taken(&self.all).await?, _of_long: Some(of_long) })
        };
        self.in_time(long).await
    }

    async fn in_time(&self, turn: impl Future<Output = Result<Turn>>) -> Result<Turn> {
        let busy = || Error::busy("The database is busy: too many requests wait for it.", COME_AGAIN);
        tokio::time::timeout(self.longest_wait, turn).await.unwrap_or_else(|_| Err(busy()))
    }
}

async fn taken(turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    Arc::clone(turns).acquire_owned().await.map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_takes_long_never_has_all_turns() {
        for connections in [0, 1, 2, 3, 8] {
            let turns = Turns::new(connections, Duration::from_mins(1));
            let mut kept = Vec::new();
            while let Some(Ok(turn)) = waiting(turns.take_long()) {
                kept.push(turn);
            }
            assert!(!kept.is_empty() && kept.len() < connections.max(2), "{connections}");
            assert!(turns.try_take().is_some());
            assert!(waiting(turns.take()).is_some_and(|turn| turn.is_ok()));
            kept.pop();
            assert!(waiting(turns.take_long()).is_some(), "a turn that is over is free");
        }
    }

    #[test]
    fn nobody_waits_longer_than_they_shall() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let turns = Turns::new(2, Duration::from_millis(5));
            let _kept = (turns.take().await.unwrap(), turns.take().await.unwrap());
            assert!(turns.try_take().is_none());
            for late in [turns.take().await, turns.take_long().await] {
                let error = late.err().unwrap();
                assert_eq!((error.kind(), error.retry_after()), (Kind::Unavailable, Some(1)));
            }
        });
    }

    /// What is there at once
    fn waiting<T>(turn: impl Future<Output = T>) -> Option<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        turn.now_or_never()
    }
}
