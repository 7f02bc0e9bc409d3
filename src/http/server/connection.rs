//! What a connection and its requests know of each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

/// A connection, as its requests know it
#[derive(Clone)]
pub(crate) struct Connection(Arc<State>);

struct State {
    /// The slot it takes of those there may be
    slot: Mutex<Option<OwnedSemaphorePermit>>,
    streams: AtomicBool,
}

impl Connection {
    pub(crate) fn new(slot: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(State { slot: Mutex::new(Some(slot)), streams: AtomicBool::new(false) }))
    }

    /// Makes room for another connection: this one carries a stream from now on, and those have a limit of their own.
    pub(crate) fn carry_stream(&self) {
        drop(self.0.slot.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.0.streams.store(true, Ordering::Relaxed);
    }

    pub(crate) fn carries_stream(&self) -> bool {
        self.0.streams.load(Ordering::Relaxed)
    }
}
