//! Limits how many requests work with the database at once: one for each connection to it, and half of that for slow requests.
//!
//! A waiting request holds no thread and no connection, so that other requests continue. The thread whose request is done takes
//! the next that waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Result};

/// In how many seconds a client that waited too long may try again
pub(crate) const COME_AGAIN: u64 = 1;

/// The turns to work with the database
pub(crate) struct Turns {
    line: Arc<Mutex<Line>>,
    /// Of slow requests, half of all: the others are left for quick ones
    long: Arc<Semaphore>,
    longest_wait: Duration,
}

/// The turns that are free, or else those who wait for one
struct Line {
    free: usize,
    waiting: VecDeque<Arc<Mutex<Option<Work>>>>,
}

type Work = Box<dyn FnOnce() + Send>;

/// A turn that is taken; when this is dropped, whoever waits longest has it
pub(crate) struct Turn {
    line: Arc<Mutex<Line>>,
    is_over: bool,
}

/// Work that waits for a turn; when this is dropped, it no longer does
struct Waiting(Arc<Mutex<Option<Work>>>);

impl Turns {
    /// A turn for each connection, but at least two, so that slow requests never have all.
    pub(crate) fn new(connections: usize, longest_wait: Duration) -> Self {
        let all = connections.clamp(2, Semaphore::MAX_PERMITS);
        let line = Line { free: all, waiting: VecDeque::new() };
        Self { line: Arc::new(Mutex::new(line)), long: Arc::new(Semaphore::new(all / 2)), longest_wait }
    }

    /// Takes a turn if one is free.
    pub(crate) fn try_take(&self) -> Option<Turn> {
        take(&self.line, &mut lock(&self.line))
    }

    /// Runs `work` in a thread for blocking work when there is a turn for it; it ends there even if the client is gone.
    ///
    /// # Errors
    /// `Unavailable` if it takes too long until it begins, and those of the work.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.run_by(Instant::now() + self.longest_wait, work).await
    }

    /// As [`Turns::run`], for a slow request.
    ///
    /// # Errors
    /// As of [`Turns::run`].
    pub(crate) async fn run_slowly<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let deadline = Instant::now() + self.longest_wait;
        let of_long = timeout_at(deadline, Arc::clone(&self.long).acquire_owned()).await.map_err(|_| busy())?;
        let work = move || {
            let _of_long = of_long;
            work()
        };
        self.run_by(deadline, work).await
    }

    async fn run_by<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, mut outcome) = oneshot::channel();
        let work = Box::new(move || {
            // The client may be gone.
            let _ = sender.send(work());
        });
        let in_time = match self.line_up(work) {
            Some(waiting) => match timeout_at(deadline, &mut outcome).await {
                Ok(outcome) => Some(outcome),
                Err(_) if waiting.gives_up() => return Err(busy()),
                Err(_) => None,
            },
            None => None,
        };
        let outcome = match in_time {
            Some(outcome) => outcome,
            None => outcome.await,
        };
        outcome.unwrap_or_else(|_| Err(Error::internal("work with the database ended without an outcome")))
    }

    /// Begins work if a turn is free, else lets it wait for one.
    fn line_up(&self, work: Work) -> Option<Waiting> {
        let mut line = lock(&self.line);
        if let Some(turn) = take(&self.line, &mut line) {
            drop(line);
            turn.begin(work);
            return None;
        }
        let waiting = Arc::new(Mutex::new(Some(work)));
        line.waiting.push_back(Arc::clone(&waiting));
        Some(Waiting(waiting))
    }
}

impl Turn {
    fn begin(self, work: Work) {
        tokio::task::spawn_blocking(move || self.carry_out(work));
    }

    /// Carries out work, then what waits, in this thread: another one would have to be woken.
    fn carry_out(mut self, work: Work) {
        let mut next = Some(work);
        while let Some(work) = next {
            work();
            next = self.pass_on();
        }
    }

    /// The work that waits longest; without any the turn is free.
    fn pass_on(&mut self) -> Option<Work> {
        let mut line = lock(&self.line);
        let next = std::iter::from_fn(|| line.waiting.pop_front()).find_map(|waiting| lock(&waiting).take());
        if next.is_none() {
            line.free += 1;
            self.is_over = true;
        }
        next
    }
}

impl Drop for Turn {
    /// Of a request that was answered in place, or of work that panicked
    fn drop(&mut self) {
        if !self.is_over
            && let Some(next) = self.pass_on()
        {
            Self { line: Arc::clone(&self.line), is_over: false }.begin(next);
        }
    }
}

impl Waiting {
    /// Takes the work back, unless it has begun.
    fn gives_up(&self) -> bool {
        lock(&self.0).take().is_some()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gives_up();
    }
}

/// Lets other tasks go first that wait for this thread, and wakes another thread to see to what comes meanwhile: a thread that waits for
/// connections and is busy with one keeps all others waiting. Unlike after `yield_now` of tokio, any thread may take the task up again.
pub(crate) async fn let_others_go_first() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn take(turns: &Arc<Mutex<Line>>, line: &mut Line) -> Option<Turn> {
    line.free = line.free.checked_sub(1)?;
    Some(Turn { line: Arc::clone(turns), is_over: false })
}

fn busy() -> Error {
    Error::busy("The database is busy: too many requests wait for it.", COME_AGAIN)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn slow_requests_never_have_all_turns() {
        for connections in [0, 1, 2, 3, 8] {
            in_runtime(async {
                let turns = Turns::new(connections, Duration::from_millis(20));
                let (begun, ends) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
                let slow = || {
                    let (end, ended) = mpsc::channel::<()>();
                    lock(&ends).push(end);
                    let begun = Arc::clone(&begun);
                    turns.run_slowly(move || {
                        begun.add_permits(1);
                        let _ = ended.recv();
                        Ok(())
                    })
                };
                let all = futures_util::future::join_all((0..connections.max(2)).map(|_| slow()));
                let others = async {
                    let most = connections.max(2) / 2;
                    begun.acquire_many(u32::try_from(most).unwrap()).await.unwrap().forget();
                    assert!(turns.try_take().is_some());
                    turns.run(|| Ok(())).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(40)).await;
                    assert_eq!(begun.available_permits(), 0, "{connections}");
                    lock(&ends).clear();
                    most
                };
                let (outcomes, most) = tokio::join!(all, others);
                let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
                assert_eq!(done, most, "the others waited too long");
                turns.run_slowly(|| Ok(())).await.unwrap();
            });
        }
    }

    #[test]
    fn a_request_waits_for_its_turn_but_not_for_too_long() {
        in_runtime(async {
            let turns = Turns::new(2, Duration::from_millis(20));
            let kept = (turns.try_take().unwrap(), turns.try_take().unwrap());
            assert!(turns.try_take().is_none());
            for late in [turns.run(|| Ok(())).await, turns.run_slowly(|| Ok(())).await] {
                let error = late.unwrap_err();
                assert_eq!((error.kind(), error.retry_after()), (Kind::Unavailable, Some(1)));
            }
            let give_back = async { drop(kept) };
            let (first, second, ()) = tokio::join!(turns.run(|| Ok(1)), turns.run(|| Ok(2)), give_back);
            assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
            let (end, ended) = mpsc::channel::<()>();
            let long = turns.run(move || {
                let _ = ended.recv();
                Ok(3)
            });
            let later = async {
                tokio::time::sleep(Duration::from_millis(60)).await;
                drop(end);
            };
            let (long, ()) = tokio::join!(long, later);
            assert_eq!(long.unwrap(), 3, "what has begun goes on");
        });
    }

    #[test]
    fn who_waits_gets_the_turn_of_work_that_panicked_and_not_after_leaving() {
        in_runtime(async {
            let turns = Turns::new(2, Duration::from_mins(1));
            let (_kept, other) = (turns.try_take().unwrap(), turns.try_take().unwrap());
            let (ran, left) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&turns.line));
            let note = |number| {
                let ran = Arc::clone(&ran);
                move || {
                    lock(&ran).push(number);
                    Ok(())
                }
            };
            let gone = tokio::time::timeout(Duration::from_millis(1), turns.run(note(1)));
            assert!(gone.await.is_err());
            let panicking = turns.run(|| -> Result<()> { panic!("a fault") });
            let (fault, second, ()) = tokio::join!(panicking, turns.run(note(2)), async { drop(other) });
            assert_eq!(fault.unwrap_err().kind(), Kind::Internal);
            second.unwrap();
            assert_eq!(*lock(&ran), [2]);
            tokio::time::timeout(Duration::from_secs(10), async {
                while lock(&left).free == 0 {
                    tokio::task::yield_now().await;
                }
            })
            .await
            .unwrap();
        });
    }

    fn in_runtime(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }
}
