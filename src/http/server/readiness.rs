//! Whether the server can work, as far as known.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::Shared;
use crate::error::{Error, Kind, Result};
use crate::service;

/// How long the last result is used again: everybody may ask, and a check writes to the disk.
const KNOWN: Duration = Duration::from_secs(1);

/// How long the database may take before the server says that it cannot work
const PATIENCE: Duration = Duration::from_secs(5);

/// The size of the trial write after a failure, in bytes: as large as a request. A smaller one might still fit on a
/// full disk.
const LARGE: usize = 65_536;

/// When readiness was last checked, and the result
#[derive(Default)]
pub(crate) struct Readiness {
    known: Mutex<Option<(Instant, Result<()>)>>,
    /// Whether the last write of a request failed because of the database
    is_failing: AtomicBool,
}

impl Readiness {
    /// Records the result of a request's write.
    pub(crate) fn note<T>(&self, outcome: &Result<T>) {
        let is_failing = match outcome {
            Ok(_) => false,
            Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::NoSpace) => true,
            // That says nothing of the database.
            Err(_) => return,
        };
        if self.is_failing.load(Ordering::Relaxed) != is_failing {
            self.is_failing.store(is_failing, Ordering::Relaxed);
        }
    }

    /// Whether the database can be read and written, by the last write of a request or a trial.
    pub(crate) async fn check(&self, server: &Shared) -> Result<()> {
        let mut last = self.known.lock().await;
        let known = last.take().filter(|(since, _)| since.elapsed() < KNOWN);
        let (since, outcome) = if let Some(known) = known {
            known
        } else {
            let size = if self.is_failing.load(Ordering::Relaxed) { LARGE } else { 0 };
            let written =
                tokio::time::timeout(PATIENCE, server.write_at_once(move |tx| service::probe(tx, size))).await;
            let late = || Err(Error::unavailable("The database does not answer in time."));
            let outcome = written.unwrap_or_else(|_| late());
            if size == LARGE && outcome.is_ok() {
                self.note(&outcome);
            }
            (Instant::now(), outcome)
        };
        let result = outcome.as_ref().map_err(Error::again).copied();
        *last = Some((since, outcome));
        result
    }
}
