//! Where what the feed has for listeners waits until it is delivered.
//!
//! The feed wakes one task of those that deliver, and that one the listeners: from a thread that delivers nothing, each would take a
//! system call.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use foldhash::fast::FixedState;
use tokio::sync::Mutex as AsyncMutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Ask, Feed};

/// How many events wait for one listener at the most; then it is too slow
const MOST_WAITING: usize = 2048;

/// How many bytes they have at the most. Listeners of the same events share them.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// For how many events room is kept
const ROOM: usize = 64;

/// How many bytes of several events are handed on together
const TOGETHER: usize = 16 * 1024;

/// A listener
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub(super) u64);

/// Why the feed stops delivering to a listener
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The token expired
    Expired,
    /// The tokens of the account were revoked, or it was deactivated or deleted
    Revoked,
    /// Too much waits for the listener
    TooSlow,
    /// The process ends
    Shutdown,
}

impl EndReason {
    /// The word for clients
    pub fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::TooSlow => "too_slow",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Events, each with those who hear it
pub(super) type Batch = Vec<(Arc<[u8]>, Vec<ListenerId>)>;

/// What the feed says to the outlet, in the order of the log
pub(super) enum Message {
    /// Events, each for some of those who are not behind; none of them has more to come up to this cursor
    Batch {
        events: Batch,
        reached: Arc<str>,
    },
    /// Events for one who is behind, up to a cursor, and whether more are to come
    Page {
        to: ListenerId,
        events: Vec<Arc<[u8]>>,
        reached: Arc<str>,
        is_behind: bool,
    },
    End(ListenerId, EndReason),
    /// The feed has lost its place: what it has for these listeners breaks off
    BreakOff(Vec<ListenerId>),
}

/// Where those who deliver get what the listeners are to hear.
pub(super) struct Outlet {
    messages: UnboundedSender<Message>,
    undistributed: AsyncMutex<UnboundedReceiver<Message>>,
    /// How many batches were said; those that were distributed are counted apart
    said: AtomicU64,
    boxes: Mutex<Boxes>,
}

#[derive(Default)]
struct Boxes {
    of: HashMap<ListenerId, Waiting, FixedState>,
    /// How far everybody is who is not behind
    reached: Option<Arc<str>>,
    /// How many batches there were
    batches: u64,
    is_closed: bool,
}

/// What waits for a listener
#[derive(Default)]
struct Waiting {
    events: VecDeque<Arc<[u8]>>,
    bytes: usize,
    /// How far the listener was after so many batches
    reached: Option<(Arc<str>, u64)>,
    is_behind: bool,
    /// The feed was asked for more
    has_asked: bool,
    end: Option<EndReason>,
    waker: Option<Waker>,
}

impl Default for Outlet {
    fn default() -> Self {
        let (messages, undistributed) = unbounded_channel();
        Self {
            messages,
            undistributed: AsyncMutex::new(undistributed),
            said: AtomicU64::new(0),
            boxes: Mutex::default(),
        }
    }
}

impl Outlet {
    /// Distributes what the feed says, as long as it is polled; without that nobody hears anything.
    pub(super) async fn distribute(&self) {
        let mut undistributed = self.undistributed.lock().await;
        let (mut messages, mut wakers) = (Vec::new(), Vec::new());
        while undistributed.recv_many(&mut messages, 64).await > 0 {
            for message in messages.drain(..) {
                self.boxes().distribute(message, &mut wakers);
            }
            // Nobody waits for the boxes then, and everybody finds all of it.
            wakers.drain(..).for_each(Waker::wake);
        }
    }

    /// Ends everybody's listening, also of those who come later.
    pub(super) fn close(&self) {
        let mut boxes = self.boxes();
        boxes.is_closed = true;
        let wakers: Vec<_> = boxes.of.values_mut().filter_map(|waiting| waiting.end(EndReason::Shutdown)).collect();
        drop(boxes);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn open(&self, listener: ListenerId, reached: Arc<str>, is_behind: bool) {
        let mut boxes = self.boxes();
        let end = boxes.is_closed.then_some(EndReason::Shutdown);
        // Batches from before may still be on their way.
        let reached = Some((reached, self.said.load(Ordering::Relaxed)));
        boxes.of.insert(listener, Waiting { reached, is_behind, end, ..Waiting::default() });
    }

    pub(super) fn say(&self, message: Message) {
        if matches!(message, Message::Batch { .. }) {
            self.said.fetch_add(1, Ordering::Relaxed);
        }
        // It is received as long as there is an outlet.
        let _ = self.messages.send(message);
    }

    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Boxes {
    /// Puts what the feed says where it belongs, and adds those who are to be woken.
    fn distribute(&mut self, message: Message, wakers: &mut Vec<Waker>) {
        match message {
            Message::Batch { events, reached } => {
                for (event, listeners) in events {
                    for listener in listeners {
                        let waiting = self.of.get_mut(&listener);
                        wakers.extend(waiting.and_then(|waiting| waiting.add(Arc::clone(&event))));
                    }
                }
                self.reached = Some(reached);
                self.batches += 1;
            }
            Message::Page { to, events, reached, is_behind } => {
                if let Some(waiting) = self.of.get_mut(&to).filter(|waiting| waiting.end.is_none()) {
                    waiting.bytes += events.iter().map(|event| event.len()).sum::<usize>();
                    waiting.events.extend(events);
                    waiting.reached = Some((reached, self.batches));
                    (waiting.is_behind, waiting.has_asked) = (is_behind, false);
                    wakers.extend(waiting.waker.take());
                }
            }
            Message::End(listener, reason) => {
                wakers.extend(self.of.get_mut(&listener).and_then(|waiting| waiting.end(reason)));
            }
            Message::BreakOff(listeners) => {
                let ended = listeners.iter().filter_map(|listener| self.of.remove(listener));
                wakers.extend(ended.filter_map(|waiting| waiting.waker));
            }
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Arc<[u8]>> {
        let event = self.events.pop_front()?;
        self.bytes -= event.len();
        if self.events.is_empty() && self.events.capacity() > ROOM {
            // One who listens for long needs no room for what once came together.
            self.events = VecDeque::new();
        }
        Some(event)
    }

    /// Adds an event; returns who is to be woken for it.
    fn add(&mut self, event: Arc<[u8]>) -> Option<Waker> {
        if self.end.is_some() {
            return None;
        }
        self.bytes += event.len();
        self.events.push_back(event);
        if self.events.len() > MOST_WAITING || self.bytes > MOST_BYTES && self.events.len() > 1 {
            self.events = VecDeque::new();
            return self.end(EndReason::TooSlow);
        }
        self.waker.take()
    }

    /// Ends the listening; returns who is to be woken for it.
    fn end(&mut self, reason: EndReason) -> Option<Waker> {
        self.end.get_or_insert(reason);
        self.waker.take()
    }
}

/// A listener's place in the outlet; dropped, it is given up.
pub struct Ticket {
    pub(super) id: ListenerId,
    pub(super) counted: Counted,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(formatter)
    }
}

/// Somebody who listens, or is about to
pub(super) struct Counted(pub(super) Feed);

impl Counted {
    pub(super) fn new(feed: &Feed) -> Self {
        feed.0.listeners.fetch_add(1, Ordering::Relaxed);
        Self(feed.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What there is for a listener
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {
    /// An event, which all who hear it share
    One(Arc<[u8]>),
    /// Several, one behind the other
    Several(Vec<u8>),
    /// There are no more.
    End(EndReason),
    /// The feed lost its place; the listener may come again with its cursor.
    BrokenOff,
}

impl Ticket {
    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        self.counted.0.0.outlet.boxes()
    }

    /// Takes what waits, several events only up to 16 KiB: what a listener does not read is kept for each. Waits where nothing does.
    pub fn poll(&self, context: &Context<'_>) -> Poll<Delivery> {
        let mut boxes = self.boxes();
        let Some(waiting) = boxes.of.get_mut(&self.id) else { return Poll::Ready(Delivery::BrokenOff) };
        if let Some(first) = waiting.take() {
            if waiting.events.front().is_none_or(|next| first.len() + next.len() > TOGETHER) {
                return Poll::Ready(Delivery::One(first));
            }
            let mut several = Vec::with_capacity((first.len() + waiting.bytes).min(TOGETHER));
            several.extend_from_slice(&first);
            while waiting.events.front().is_some_and(|next| several.len() + next.len() <= TOGETHER)
                && let Some(next) = waiting.take()
            {
                several.extend_from_slice(&next);
            }
            return Poll::Ready(Delivery::Several(several));
        }
        if let Some(reason) = waiting.end {
            return Poll::Ready(Delivery::End(reason));
        }
        waiting.waker = Some(context.waker().clone());
        if waiting.is_behind && !waiting.has_asked {
            waiting.has_asked = true;
            self.counted.0.ask(Ask::More(self.id));
        }
        Poll::Pending
    }

    /// The newest cursor that the listener has reached; none while anything waits
    pub fn reached(&self) -> Option<Arc<str>> {
        let boxes = self.boxes();
        let waiting = boxes.of.get(&self.id)?;
        let own = waiting.reached.as_ref().filter(|(_, batches)| waiting.is_behind || boxes.batches <= *batches);
        let reached = own.map(|(cursor, _)| cursor).or(boxes.reached.as_ref());
        reached.filter(|_| waiting.events.is_empty() && waiting.end.is_none()).cloned()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.boxes().of.remove(&self.id);
        self.counted.0.ask(Ask::Leave(self.id));
    }
}
