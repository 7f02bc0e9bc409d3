//! Places for what takes memory, or a connection to the database, for as long as a client likes: so many in all, and of these no
//! more than a share for each, so that none has them all.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places, and who has how many of them.
pub(crate) struct Places<K> {
    all: Arc<Line>,
    share: usize,
    shares: Mutex<HashMap<K, Weak<Line>>>,
}

/// One of the places, as long as it lives
pub(crate) struct Place {
    own: Held,
    of_all: Held,
}

/// Where those who come first get a place first
struct Line {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

struct Held {
    line: Arc<Line>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<K: Eq + Hash> Places<K> {
    pub(crate) fn new(all: usize, share: usize) -> Self {
        Self { all: Arc::new(Line::new(all)), share, shares: Mutex::default() }
    }

    /// A place for somebody, once one of theirs and one of all is free
    pub(crate) async fn take(&self, who: K) -> Place {
        let own = Line::wait(&self.line_of(who)).await;
        Place { own, of_all: Line::wait(&self.all).await }
    }

    /// A place for somebody, where one of theirs and one of all is free
    pub(crate) fn try_take(&self, who: K) -> Option<Place> {
        let own = Line::look(&self.line_of(who))?;
        Some(Place { own, of_all: Line::look(&self.all)? })
    }

    fn line_of(&self, who: K) -> Arc<Line> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, line| line.strong_count() > 0);
        let known = shares.get(&who).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let line = Arc::new(Line::new(self.share));
            shares.insert(who, Arc::downgrade(&line));
            line
        })
    }
}

impl Place {
    /// Whether somebody waits who could have it
    pub(crate) fn is_wanted(&self) -> bool {
        [&self.own, &self.of_all].iter().any(|held| held.line.waiting.load(Ordering::Relaxed) > 0)
    }
}

impl Line {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }

    async fn wait(line: &Arc<Self>) -> Held {
        let _waiting = Waiting::in_line(line);
        // None only where the semaphore was closed, which nobody does.
        Held { line: Arc::clone(line), _permit: Arc::clone(&line.places).acquire_owned().await.ok() }
    }

    fn look(line: &Arc<Self>) -> Option<Held> {
        let permit = Arc::clone(&line.places).try_acquire_owned().ok()?;
        Some(Held { line: Arc::clone(line), _permit: Some(permit) })
    }
}

/// Somebody who waits, until they have a place or give up
struct Waiting<'l>(&'l Line);

impl<'l> Waiting<'l> {
    fn in_line(line: &'l Line) -> Self {
        line.waiting.fetch_add(1, Ordering::Relaxed);
        Self(line)
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
    fn nobody_has_more_than_their_share_and_all_no_more_than_there_are() {
        let places = Places::new(3, 2);
        let mut kept: Vec<Place> = [1, 1, 2].iter().map(|who| places.try_take(*who).unwrap()).collect();
        assert!(places.try_take(3).is_none(), "all are taken");
        kept.pop();
        assert!(places.try_take(1).is_none(), "one's share is taken");
        assert!(places.try_take(3).is_some());
        kept.clear();
        assert_eq!([1, 1, 1].map(|who| places.try_take(who)).iter().filter(|place| place.is_some()).count(), 2);
    }

    #[test]
    fn a_place_is_wanted_while_somebody_waits_who_could_have_it() {
        let places = Places::new(3, 2);
        let [one, _two] = [1, 1].map(|who| places.try_take(who).unwrap());
        let other = places.try_take(2).unwrap();
        {
            let mut waiting = pin!(places.take(1));
            assert!(waiting.as_mut().now_or_never().is_none());
            assert!(one.is_wanted() && !other.is_wanted(), "the other's would be of no use");
        }
        assert!(!one.is_wanted(), "who gave up waits no more");
        let mut waiting = pin!(places.take(2));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(one.is_wanted() && other.is_wanted());
        drop(one);
        assert!(waiting.now_or_never().is_some());
    }
}
