//! The feed: whoever listens hears of every change as soon as it is committed, by whichever process.
//!
//! One thread reads the log of events behind its place, makes of each event what listeners get, once for all, and puts it into
//! the outlet, from where it is delivered. It is woken after each commit of this process, and while anybody
//! listens it looks every 20 ms for those of others. Who takes part where follows the log, event by event, so that nothing is
//! heard by somebody who was removed before it.
//!
//! Somebody who comes with a cursor is behind: pages of the log are read for them, each when the one before is delivered,
//! until they have reached the place of the feed.

mod audience;
mod follower;
mod outlet;
mod reader;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

pub use self::follower::{Follower, Following, News};
use self::outlet::{Counted, Message, Outlet};
pub use self::outlet::{Delivery, EndReason, ListenerId, Ticket};
use crate::app::App;
use crate::error::{Error, Result};
use crate::model::Actor;
use crate::service::Credentials;
use crate::service::events::{EventView, Narrowing, ResetReason};
use crate::store::Tx;

/// Makes of an event what is delivered, and of the news that a listener has to begin anew at a cursor.
#[derive(Clone, Copy)]
pub struct Format {
    pub event: fn(&EventView) -> Result<Arc<[u8]>>,
    pub reset: fn(ResetReason, &str) -> Arc<[u8]>,
}

/// Opens a connection of the feed's own.
pub type Connect = Box<dyn Fn() -> Result<App> + Send>;

/// Who listens, to what, from where.
pub struct Request {
    pub who: Who,
    pub narrowing: Narrowing,
    /// The cursor of the last event that was heard; of several the earliest counts; none: from now on
    pub since: Vec<String>,
}

/// Who listens
#[derive(Clone, Debug)]
pub enum Who {
    /// Everybody's events
    Operator(Actor),
    /// Those that concern a user, as long as the token or the session is valid
    User(Credentials),
}

impl Who {
    fn actor(&self, tx: &mut Tx<'_>) -> Result<Actor> {
        match self {
            Self::Operator(actor) => Ok(actor.clone()),
            Self::User(credentials) => credentials.acting(tx),
        }
    }
}

/// Where somebody begins to listen.
#[derive(Debug)]
pub struct Begun {
    /// The place in the outlet
    pub ticket: Ticket,
    /// The cursor to begin with
    pub cursor: Arc<str>,
    /// Why it is not the one that was asked for
    pub reset: Option<ResetReason>,
}

/// What the feed is asked
enum Ask {
    /// Something was committed.
    Look,
    Join(Box<Join>),
    /// A listener who is behind has got what there was.
    More(ListenerId),
    Leave(ListenerId),
    /// The feed closes its connection, says so, and waits for the other side to be gone.
    LetGo {
        gone: Sender<()>,
        until: Receiver<()>,
    },
    End,
}

/// Somebody who wants to listen
struct Join {
    request: Request,
    counted: Counted,
    begun: oneshot::Sender<Result<Begun>>,
}

/// The state that the feed's thread and everybody else share
struct Shared {
    asks: Mutex<Sender<Ask>>,
    /// What was asked before the thread was started
    unread: Mutex<Option<Receiver<Ask>>>,
    outlet: Outlet,
    /// How many listen
    listeners: AtomicUsize,
    /// The feed was told to look, and has not done so yet
    is_told: AtomicBool,
    /// How long ago the newest event happened when it was delivered, in microseconds
    delay: AtomicI64,
}

/// The feed of a process, as everybody who uses it holds it.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

/// The feed's thread; it ends when this is dropped.
pub struct Running {
    feed: Feed,
    thread: Option<JoinHandle<()>>,
}

impl Default for Feed {
    fn default() -> Self {
        let (sender, asks) = mpsc::channel();
        Self(Arc::new(Shared {
            asks: Mutex::new(sender),
            unread: Mutex::new(Some(asks)),
            outlet: Outlet::default(),
            listeners: AtomicUsize::new(0),
            is_told: AtomicBool::new(false),
            delay: AtomicI64::new(0),
        }))
    }
}

impl Feed {
    /// Starts the thread, once.
    ///
    /// # Errors
    /// `Internal` where no thread can be started.
    pub fn start(&self, connect: Connect, format: Format) -> Result<Running> {
        let asks = self.0.unread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let asks = asks.ok_or_else(|| Error::internal("the feed runs already"))?;
        let feed = self.clone();
        let thread = std::thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || reader::run(&feed, &asks, &connect, format))
            .map_err(Error::internal)?;
        Ok(Running { feed: self.clone(), thread: Some(thread) })
    }

    /// Says that something was committed in this process.
    pub fn look(&self) {
        let is_heard = self.0.listeners.load(Ordering::Relaxed) > 0;
        if is_heard && !self.0.is_told.swap(true, Ordering::AcqRel) {
            self.ask(Ask::Look);
        }
    }

    /// Hands to the listeners what there is for them, for as long as it is polled: one task of those who deliver it.
    pub async fn deliver(&self) {
        self.0.outlet.distribute().await;
    }

    /// Ends everybody's listening, also of those who come later.
    pub fn close(&self) {
        self.0.outlet.close();
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// `Unauthenticated`, `NotFound` for a conversation that the listener may not see, `Invalid` for what is no cursor,
    /// `Unavailable` while the database cannot be read.
    pub async fn join(&self, request: Request) -> Result<Begun> {
        let (begun, joined) = oneshot::channel();
        // Before the feed reads the log: from here on it is told of what is committed.
        let counted = Counted::new(self);
        self.ask(Ask::Join(Box::new(Join { request, counted, begun })));
        joined.await.unwrap_or_else(|_| Err(Error::unavailable("The events cannot be read right now.")))
    }

    /// Does something while the feed does not have the database open.
    pub fn let_go<T>(&self, work: impl FnOnce() -> T) -> T {
        let (gone, is_gone) = mpsc::channel();
        let (working, until) = mpsc::channel();
        self.ask(Ask::LetGo { gone, until });
        // Where the feed does not run any more it has nothing open.
        let _ = is_gone.recv();
        let outcome = work();
        drop(working);
        outcome
    }

    /// How many listen
    pub fn listeners(&self) -> usize {
        self.0.listeners.load(Ordering::Relaxed)
    }

    /// How long after it happened the last event was delivered, in seconds
    pub fn delay(&self) -> f64 {
        std::time::Duration::from_micros(self.0.delay.load(Ordering::Relaxed).unsigned_abs()).as_secs_f64()
    }

    fn say(&self, message: Message) {
        self.0.outlet.say(message);
    }

    fn ask(&self, ask: Ask) {
        // Where the feed is gone nobody listens.
        let _ = self.0.asks.lock().unwrap_or_else(PoisonError::into_inner).send(ask);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.feed.ask(Ask::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
