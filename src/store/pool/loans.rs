//! How many connections a pool has opened that are not closed yet.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long work that needs the database to itself waits for those who have it open
const PATIENCE: Duration = Duration::from_secs(2);

/// The connections that are open
#[derive(Default)]
pub(super) struct Loans {
    count: Mutex<usize>,
    returned: Condvar,
}

/// A connection that is open, until this is dropped
pub(in crate::store) struct Loan(Arc<Loans>);

impl Loans {
    pub(super) fn begin(loans: &Arc<Self>) -> Loan {
        *loans.count() += 1;
        Loan(Arc::clone(loans))
    }

    /// Waits until none is open; while what this returns is kept nobody opens one. None where it takes too long.
    pub(super) fn until_none(&self) -> Option<MutexGuard<'_, usize>> {
        let waited = self.returned.wait_timeout_while(self.count(), PATIENCE, |count| *count > 0);
        let (count, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        (!waited.timed_out()).then_some(count)
    }

    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        *self.0.count() -= 1;
        self.0.returned.notify_all();
    }
}
