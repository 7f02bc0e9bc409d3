//! The HTTP server: connections, limits, and the processing of every request.
//!
//! [`middleware`] processes every request, and [`listen`] every connection.

pub(crate) mod answers;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod client;
pub(crate) mod conditions;
pub(crate) mod connection;
pub(crate) mod cors;
pub(crate) mod hashing;
pub(crate) mod io;
pub(crate) mod kept;
pub(crate) mod limits;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod middleware;
pub(crate) mod overview;
pub(crate) mod problem;
pub(crate) mod readiness;
pub(crate) mod retention;
pub(crate) mod sites;
pub(crate) mod slots;
pub(crate) mod stream;
pub(crate) mod tickets;
pub(crate) mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;

use self::body::LARGE_BODIES;
use self::caller::Caller;
use self::conditions::Conditions;
use self::cors::Cors;
use self::hashing::Hashing;
use self::kept::KeptPages;
pub use self::limits::Allowed;
use self::limits::Limits;
pub use self::listen::{Listener, Stop};
pub use self::log::Log;
pub use self::metrics::Metrics;
use self::overview::LastOverview;
use self::readiness::Readiness;
pub use self::sites::{host, origin};
use self::slots::Slots;
use self::tickets::Tickets;
use self::turns::{Turns, let_others_go_first};
use crate::app::SharedApp;
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::model::{Actor, UserId};
use crate::service;
use crate::service::login::Client;
use crate::service::tokens::Keys;
use crate::store::Tx;
use crate::store::events::Retention;

/// How many exports there are at once, and how many of one account
const EXPORTS: usize = 16;
const EXPORTS_OF_ONE: usize = 2;

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Hosts that requests may name, besides this machine; `.example.org` is every host under it, `*` every host
    pub hosts: Vec<String>,
    /// Whether people without an account may register
    pub registration: bool,
    /// Whether a proxy in front passes the clients' addresses
    pub behind_proxy: bool,
    /// The largest number of open connections
    pub connections: usize,
    /// The largest number of connections to the database, without the one that writes to SQLite and those of exports
    pub database_connections: usize,
    /// How long a request waits for one of them
    pub database_wait: Duration,
    /// The largest number of open event streams, besides the connections
    pub streams: usize,
    /// The largest number of them that one user has
    pub user_streams: usize,
    /// The rate limits
    pub allowed: Allowed,
    /// Origins of the sites whose pages may use the API, or `*`
    pub origins: Vec<String>,
    pub metrics: MetricsFor,
    /// The database is temporary, and a test suite may return it to an earlier state
    pub is_ephemeral: bool,
    /// Which events are kept
    pub retention: Retention,
    /// How many bytes of pages are kept in memory, with SQLite; 0: none
    pub page_memory: u64,
}

/// Who may read the metrics
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsFor {
    #[default]
    ThisMachine,
    Everybody,
    Nobody,
}

/// The state that all requests share.
pub struct Server {
    pub(crate) app: SharedApp,
    pub(crate) keys: Keys,
    pub(crate) options: Options,
    pub(crate) log: Log,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) cors: Cors,
    pub(crate) readiness: Readiness,
    pub(crate) overview: LastOverview,
    pub(crate) hashing: Hashing,
    turns: Turns,
    /// None where no pages are kept
    pub(crate) kept: Option<KeptPages>,
    /// Exports: each holds a connection to the database until its client has read it
    pub(crate) exports: Slots<UserId>,
    /// Large bodies
    pub(crate) bodies: Slots<Client>,
    /// Event streams
    pub(crate) streams: Slots<UserId>,
    pub(crate) tickets: Tickets,
    pub(crate) feed: Feed,
    /// The first part of request ids: the id of this process
    pub(crate) instance: u32,
    pub(crate) requests: AtomicU64,
}

/// A server, shared by the threads that answer
pub type Shared = Arc<Server>;

impl Server {
    pub fn new(app: SharedApp, keys: Keys, options: Options, log: Log, metrics: Metrics, feed: Feed) -> Shared {
        let instance = std::process::id();
        let cors = Cors::new(&options.origins);
        let (limits, hashing) = (Limits::new(options.allowed), Hashing::new());
        let turns = Turns::new(options.database_connections, options.database_wait);
        // PostgreSQL would have to be asked once more, and events are not committed there in the order of their keys.
        let page_memory = if app.pool().is_embedded() { options.page_memory } else { 0 };
        let kept = KeptPages::new(page_memory, metrics.kept_pages());
        let exports = Slots::new(EXPORTS, EXPORTS_OF_ONE);
        let bodies = Slots::new(LARGE_BODIES, LARGE_BODIES / 4);
        let streams = Slots::new(options.streams, options.user_streams);
        let (metrics, readiness, requests) = (Arc::new(metrics), Readiness::default(), AtomicU64::new(0));
        Arc::new(Self {
            app,
            keys,
            options,
            log,
            metrics,
            limits,
            cors,
            readiness,
            overview: LastOverview::default(),
            hashing,
            turns,
            kept,
            exports,
            bodies,
            streams,
            tickets: Tickets::default(),
            feed,
            instance,
            requests,
        })
    }

    /// An id for a request that came without one
    pub(crate) fn next_request(&self) -> String {
        format!("{:x}-{:x}", self.instance, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs `work`, which only reads, after checking the caller's token.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        work: impl FnMut(&mut Tx<'_>, &Actor) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_unauthenticated(acting(caller, work)).await
    }

    /// Runs `work`, which only reads: on SQLite in this thread if a turn is free, as it takes so little time.
    pub(crate) async fn read_unauthenticated<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.quickly(|app| app.read(work)).await
    }

    /// Runs quick work with the database in its turn.
    pub(crate) async fn quickly<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&SharedApp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let_others_go_first().await;
        self.at_once(work).await
    }

    /// As [`Server::quickly`], without letting others go first.
    pub(crate) async fn at_once<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&SharedApp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.app.pool().is_embedded()
            && let Some(_turn) = self.turns.try_take()
        {
            return work(&self.app);
        }
        let server = Arc::clone(self);
        self.turns.run(move || work(&server.app)).await
    }

    /// As [`Server::read`], in another thread, for slow work.
    pub(crate) async fn read_slowly<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        work: impl FnMut(&mut Tx<'_>, &Actor) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_slowly_unauthenticated(acting(caller, work)).await
    }

    /// As [`Server::read_unauthenticated`], in another thread, for slow work.
    pub(crate) async fn read_slowly_unauthenticated<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let server = Arc::clone(self);
        self.turns.run_slowly(move || server.app.read(work)).await
    }

    /// Runs `work` in one transaction, after checking the caller's token, for resources without entity tags.
    pub(crate) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        mut work: impl FnMut(&mut Tx<'_>, &Actor) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let work = move |tx: &mut Tx<'_>, actor: &Actor, conditions: &Conditions| {
            let done = work(tx, actor)?;
            // Checked last, so that other errors come first; the change is then rolled back.
            conditions.must_be_met_by_any()?;
            Ok(done)
        };
        self.write_if(caller, work).await
    }

    /// As [`Server::write`], where `work` itself checks the caller's conditions.
    pub(crate) async fn write_if<T: Send + 'static>(
        self: &Arc<Self>,
        mut caller: Caller,
        mut work: impl FnMut(&mut Tx<'_>, &Actor, &Conditions) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let conditions = std::mem::take(&mut caller.1);
        self.write_unauthenticated(acting(caller, move |tx, actor| work(tx, actor, &conditions))).await
    }

    /// Runs `work` in one transaction, and returns after the commit.
    pub(crate) async fn write_unauthenticated<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.carry_out(work, false).await
    }

    /// As [`Server::write_unauthenticated`], at once: a trial does not wait behind the requests that keep the database busy, and is
    /// none of them.
    pub(crate) async fn write_at_once(
        self: &Arc<Self>,
        work: impl FnMut(&mut Tx<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.carry_out(work, true).await
    }

    async fn carry_out<T: Send + 'static>(
        self: &Arc<Self>,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
        is_trial: bool,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let work = move |tx: &mut Tx<'_>| Ok((work(tx)?, tx.take_notes()));
        let end = move |outcome| {
            // The client may be gone.
            let _ = sender.send(outcome);
        };
        if self.app.pool().is_embedded() {
            self.app.write(work, end);
        } else {
            let server = Arc::clone(self);
            let write = move || {
                server.app.write(work, end);
                Ok(())
            };
            // A request that got no turn says nothing about the state of the database.
            if is_trial { aside(write).await? } else { self.turns.run(write).await? }
        }
        let outcome = receiver.await.unwrap_or_else(|_| Err(Error::internal("a write ended without an outcome")));
        if !is_trial {
            self.readiness.note(&outcome);
        }
        let (value, notes) = outcome?;
        for note in &notes {
            self.log.write(&log::Note { at: self.app.now(), note });
        }
        Ok(value)
    }
}

/// Wraps `work` in a check that the caller's token is still valid.
fn acting<T>(
    Caller(claims, _): Caller,
    mut work: impl FnMut(&mut Tx<'_>, &Actor) -> Result<T> + Send,
) -> impl FnMut(&mut Tx<'_>) -> Result<T> + Send {
    move |tx| {
        let actor = service::tokens::acting(tx, &claims)?;
        work(tx, &actor).map_err(Error::of_body)
    }
}

/// Runs work that takes long in a thread for blocking work.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::internal(error)))
}
