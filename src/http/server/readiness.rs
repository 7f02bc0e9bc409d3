//! Whether the server can work, as far as known.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::Mutex;

use crate::error::{Kind, Result};

/// When readiness was last checked, and the result
#[derive(Default)]
pub(crate) struct Readiness {
    pub(crate) known: Mutex<Option<(Instant, Result<()>)>>,
    /// Whether the last write of a request failed because of the database
    pub(crate) is_failing: AtomicBool,
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
}
