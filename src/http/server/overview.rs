//! The overview of admins: counted at most once a minute and by one at a time, however many of them look at it, and apart from
//! their requests. Whoever looks meanwhile sees what was counted before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use super::{Shared, aside};
use crate::error::{Error, Result};
use crate::model::Actor;
use crate::service::overview::{Overview, overview};
use crate::store::{Sizes, Tx};

/// How long what was counted is not counted again
const KNOWN: Duration = Duration::from_mins(1);

/// How long after a failure nothing is counted
const PAUSE: Duration = Duration::from_secs(5);

/// How long the first who look wait
const PATIENCE: Duration = Duration::from_secs(1);

/// The overview, and how much room the database takes
pub(crate) struct Counted {
    pub(crate) overview: Overview,
    pub(crate) sizes: Sizes,
}

/// What was counted last
pub(crate) struct LastOverview(Recounted<Counted>);

impl Default for LastOverview {
    fn default() -> Self {
        Self(Recounted::new(KNOWN, PAUSE, PATIENCE))
    }
}

impl LastOverview {
    /// What was counted last, for those whom the caller knows to be admins, and whether it is being counted anew. Nothing was, where
    /// the first count takes long.
    ///
    /// # Errors
    /// Those of the last count, where none before it succeeded.
    pub(crate) async fn get(&self, server: &Shared) -> Result<(Option<Arc<Counted>>, bool)> {
        let server = Arc::clone(server);
        let count = async move {
            let count = |tx: &mut Tx<'_>| overview(tx, &Actor::Operator(String::new()));
            let overview = server.read_slowly_unauthenticated(count).await?;
            let sizes = aside(move || server.app.pool().sizes()).await?;
            Ok(Counted { overview, sizes })
        };
        self.0.get(count).await
    }

    /// Forgets it, where the database returned to an earlier state.
    pub(crate) fn forget(&self) {
        self.0.forget();
    }
}

/// Something that takes long to count
struct Recounted<T> {
    last: Arc<Mutex<Last<T>>>,
    known: Duration,
    pause: Duration,
    patience: Duration,
}

struct Last<T> {
    counted: Option<Arc<T>>,
    /// The end of the last count, and why it failed if it did
    ended: Option<(Instant, Option<Error>)>,
    /// Where a count goes on: closed when it ends
    running: Option<watch::Receiver<()>>,
    /// How often it was forgotten: a count of before is of no use
    age: u64,
}

impl<T: Send + Sync + 'static> Recounted<T> {
    fn new(known: Duration, pause: Duration, patience: Duration) -> Self {
        let last = Last { counted: None, ended: None, running: None, age: 0 };
        Self { last: Arc::new(Mutex::new(last)), known, pause, patience }
    }

    async fn get(&self, count: impl Future<Output = Result<T>> + Send + 'static) -> Result<(Option<Arc<T>>, bool)> {
        let running = self.begin(count);
        let is_first = lock(&self.last).counted.is_none();
        match running {
            Some(mut running) if is_first => self.look(timeout(self.patience, running.changed()).await.is_err()),
            running => self.look(running.is_some()),
        }
    }

    /// Begins to count, where it is time for it. Whoever looked may leave: it goes on.
    fn begin(&self, count: impl Future<Output = Result<T>> + Send + 'static) -> Option<watch::Receiver<()>> {
        let mut last = lock(&self.last);
        let is_known = last
            .ended
            .as_ref()
            .is_some_and(|(ended, failure)| ended.elapsed() < if failure.is_some() { self.pause } else { self.known });
        // One that panicked has no sender any more.
        last.running = last.running.take().filter(|running| running.has_changed().is_ok());
        if is_known || last.running.is_some() {
            return last.running.clone();
        }
        let (sender, receiver) = watch::channel(());
        last.running = Some(receiver.clone());
        let (age, shared) = (last.age, Arc::clone(&self.last));
        tokio::spawn(async move {
            let outcome = count.await;
            let mut last = lock(&shared);
            if last.age == age {
                let failure = outcome.map(|counted| last.counted = Some(Arc::new(counted))).err();
                last.ended = Some((Instant::now(), failure));
                last.running = None;
            }
            drop(last);
            drop(sender);
        });
        Some(receiver)
    }

    fn look(&self, is_running: bool) -> Result<(Option<Arc<T>>, bool)> {
        let last = lock(&self.last);
        match &last.ended {
            Some((_, Some(failure))) if last.counted.is_none() && !is_running => Err(failure.again()),
            _ => Ok((last.counted.clone(), is_running)),
        }
    }

    fn forget(&self) {
        let mut last = lock(&self.last);
        *last = Last { counted: None, ended: None, running: None, age: last.age + 1 };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use tokio::sync::Semaphore;
    use tokio::time::sleep;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_mins(1);

    /// Counts how often it was counted, each time as soon as a permit is there; the numbers of `failing` fail.
    #[derive(Clone)]
    struct Counter {
        begun: Arc<AtomicI64>,
        permits: Arc<Semaphore>,
        failing: i64,
    }

    impl Counter {
        fn new(permits: usize) -> Self {
            Self { begun: Arc::default(), permits: Arc::new(Semaphore::new(permits)), failing: 0 }
        }

        async fn count(self) -> Result<i64> {
            let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
            self.permits.acquire().await.unwrap().forget();
            if number == self.failing { Err(Error::unavailable("Gone.")) } else { Ok(number) }
        }
    }

    async fn seen(counts: &Recounted<i64>, counter: &Counter) -> Result<(Option<i64>, bool)> {
        counts.get(counter.clone().count()).await.map(|(counted, is_running)| (counted.as_deref().copied(), is_running))
    }

    #[test]
    fn what_was_counted_is_shown_while_one_count_goes_on_that_outlives_whoever_asked() {
        in_runtime(async {
            let (counts, counter) = (Recounted::new(SHORT, LONG, LONG), Counter::new(0));
            let (first, second, ()) = tokio::join!(seen(&counts, &counter), seen(&counts, &counter), async {
                tokio::task::yield_now().await;
                counter.permits.add_permits(1);
            });
            assert_eq!([first.unwrap(), second.unwrap()], [(Some(1), false), (Some(1), false)], "both wait for one");
            sleep(2 * SHORT).await;
            for _ in 0..5 {
                assert_eq!(seen(&counts, &counter).await.unwrap(), (Some(1), true));
                tokio::task::yield_now().await;
            }
            assert_eq!(counter.begun.load(Ordering::Relaxed), 2);
            counter.permits.add_permits(1);
            while lock(&counts.last).running.is_some() {
                tokio::task::yield_now().await;
            }
            assert_eq!(lock(&counts.last).counted.as_deref(), Some(&2));
        });
    }

    #[test]
    fn what_is_known_is_not_counted_again_until_it_is_forgotten() {
        in_runtime(async {
            let (counts, counter) = (Recounted::new(LONG, LONG, LONG), Counter::new(9));
            for _ in 0..3 {
                assert_eq!(seen(&counts, &counter).await.unwrap(), (Some(1), false));
            }
            counts.forget();
            assert_eq!(seen(&counts, &counter).await.unwrap(), (Some(2), false));
        });
    }

    #[test]
    fn the_first_wait_only_so_long_and_a_count_of_a_state_that_is_gone_is_not_kept() {
        in_runtime(async {
            let (mut counts, counter) = (Recounted::new(LONG, LONG, LONG), Counter::new(0));
            assert!(timeout(SHORT, seen(&counts, &counter)).await.is_err(), "the first leaves");
            counts.patience = SHORT;
            assert_eq!(seen(&counts, &counter).await.unwrap(), (None, true));
            assert_eq!(counter.begun.load(Ordering::Relaxed), 1);
            counts.forget();
            counter.permits.add_permits(1);
            tokio::task::yield_now().await;
            assert_eq!(seen(&counts, &counter).await.unwrap(), (None, true));
            counter.permits.add_permits(1);
            assert_eq!(seen(&counts, &counter).await.unwrap(), (Some(2), false));
        });
    }

    #[test]
    fn a_failure_is_told_for_a_while_and_hides_nothing_that_was_counted_before() {
        in_runtime(async {
            let (counts, mut counter) = (Recounted::new(SHORT, LONG, LONG), Counter::new(9));
            counter.failing = 1;
            for _ in 0..3 {
                assert!(seen(&counts, &counter).await.is_err());
            }
            assert_eq!(counter.begun.load(Ordering::Relaxed), 1);
            counts.forget();
            assert_eq!(seen(&counts, &counter).await.unwrap(), (Some(2), false));
            counter.failing = 3;
            sleep(2 * SHORT).await;
            assert_eq!(seen(&counts, &counter).await.unwrap(), (Some(2), true));
            while lock(&counts.last).running.is_some() {
                tokio::task::yield_now().await;
            }
            assert_eq!(seen(&counts, &counter).await.unwrap(), (Some(2), false));
            assert_eq!(counter.begun.load(Ordering::Relaxed), 3);
        });
    }

    fn in_runtime(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }
}
