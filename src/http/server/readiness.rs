//! Whether the server can work, as far as it is known.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::Mutex;

use crate::error::{Kind, Result};

/// When it was found out last whether the server can work, and what
#[derive(Default)]
pub(crate) struct Readiness {
    pub(crate) known: Mutex<Option<(Instant, Result<()>)>>,
    /// The last write of somebody's failed because of the database
    pub(crate) is_failing: AtomicBool,
}

impl Readiness {
    /// Notes what came of somebody's write.
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
