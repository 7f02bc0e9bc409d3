//! Limits how many requests can hold memory or a database connection: a number of slots in all, and a share of them for
//! each client.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A limited number of slots, of which each key gets at most a share.
pub(crate) struct Slots<K> {
    all: Arc<Queue>,
    share: usize,
    shares: Mutex<HashMap<K, Weak<Queue>>>,
}

/// A slot that is taken until this is dropped
pub(crate) struct Slot {
    own: Held,
    of_all: Held,
}

/// Slots that are given in the order in which they are asked for
struct Queue {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
}

struct Held {
    queue: Arc<Queue>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<K: Eq + Hash> Slots<K> {
    pub(crate) fn new(all: usize, share: usize) -> Self {
        Self { all: Arc::new(Queue::new(all)), share, shares: Mutex::default() }
    }

    /// Takes a slot of the key's share, and of all; waits until one of each is free.
    pub(crate) async fn take(&self, who: K) -> Slot {
        let own = Queue::wait(&self.queue_of(who)).await;
        Slot { own, of_all: Queue::wait(&self.all).await }
    }

    /// Takes a slot of the key's share, and of all, if one of each is free.
    pub(crate) fn try_take(&self, who: K) -> Option<Slot> {
        let own = Queue::look(&self.queue_of(who))?;
        Some(Slot { own, of_all: Queue::look(&self.all)? })
    }

    fn queue_of(&self, who: K) -> Arc<Queue> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, queue| queue.strong_count() > 0);
        let known = shares.get(&who).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let queue = Arc::new(Queue::new(self.share));
            shares.insert(who, Arc::downgrade(&queue));
            queue
        })
    }
}

impl Slot {
    /// Whether anybody waits for this slot
    pub(crate) fn is_wanted(&self) -> bool {
        [&self.own, &self.of_all].iter().any(|held| held.queue.waiting.load(Ordering::Relaxed) > 0)
    }
}

impl Queue {
    fn new(slots: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(slots)), waiting: AtomicUsize::new(0) }
    }

    async fn wait(queue: &Arc<Self>) -> Held {
        let _waiting = Waiting::in_queue(queue);
        // None only if the semaphore was closed, which never happens.
        Held { queue: Arc::clone(queue), _permit: Arc::clone(&queue.slots).acquire_owned().await.ok() }
    }

    fn look(queue: &Arc<Self>) -> Option<Held> {
        let permit = Arc::clone(&queue.slots).try_acquire_owned().ok()?;
        Some(Held { queue: Arc::clone(queue), _permit: Some(permit) })
    }
}

/// One who waits in a queue, until they have a slot or give up
struct Waiting<'l>(&'l Queue);

impl<'l> Waiting<'l> {
    fn in_queue(queue: &'l Queue) -> Self {
        queue.waiting.fetch_add(1, Ordering::Relaxed);
        Self(queue)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn no_key_gets_more_than_its_share_and_all_keys_no_more_than_all_slots() {
        let slots = Slots::new(3, 2);
        let mut kept: Vec<Slot> = [1, 1, 2].iter().map(|who| slots.try_take(*who).unwrap()).collect();
        assert!(slots.try_take(3).is_none(), "all are taken");
        kept.pop();
        assert!(slots.try_take(1).is_none(), "one's share is taken");
        assert!(slots.try_take(3).is_some());
        kept.clear();
        assert_eq!([1, 1, 1].map(|who| slots.try_take(who)).iter().filter(|slot| slot.is_some()).count(), 2);
    }

    #[test]
    fn a_slot_is_wanted_while_somebody_waits_who_could_have_it() {
        let slots = Slots::new(3, 2);
        let [one, _two] = [1, 1].map(|who| slots.try_take(who).unwrap());
        let other = slots.try_take(2).unwrap();
        {
            let mut waiting = pin!(slots.take(1));
            assert!(waiting.as_mut().now_or_never().is_none());
            assert!(one.is_wanted() && !other.is_wanted(), "the other's would be of no use");
        }
        assert!(!one.is_wanted(), "who gave up waits no more");
        let mut waiting = pin!(slots.take(2));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(one.is_wanted() && other.is_wanted());
        drop(one);
        assert!(waiting.now_or_never().is_some());
    }
}
