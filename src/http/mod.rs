//! REST over HTTP: each endpoint is a short handler over one function of a service.
//!
//! What every request goes through stands in [`around`], which paths there are in [`routes`], and what a connection may do in
//! [`listen`].

mod answer;
mod around;
mod changes;
mod client;
mod conditions;
mod conversations;
mod cors;
mod document;
mod endpoint;
mod entrance;
mod hashing;
mod health;
mod io;
mod limits;
mod listen;
mod log;
mod messages;
mod metrics;
mod notifications;
mod places;
mod problem;
mod request;
mod router;
mod routes;
mod sites;
mod stream;
mod testing;
mod tokens;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use self::conditions::Conditions;
use self::cors::Cors;
pub use self::document::openapi;
pub use self::endpoint::{Access, Endpoint};
use self::hashing::Hashing;
use self::health::Readiness;
pub use self::limits::Allowed;
use self::limits::Limits;
pub use self::listen::{Listener, Stop, serve};
pub use self::log::Log;
pub use self::metrics::Metrics;
use self::places::Places;
use self::request::Caller;
pub use self::routes::endpoints;
pub use self::sites::{host, origin};
use crate::app::SharedApp;
use crate::error::{Error, Result};
use crate::model::{Actor, UserId};
use crate::service;
use crate::service::login::Client;
use crate::service::tokens::Keys;
use crate::store::Tx;

/// How many exports there are at once, and how many of one account
const EXPORTS: usize = 16;
const EXPORTS_OF_ONE: usize = 2;

/// How many large bodies are read at once; a client has a quarter of these places
const LARGE_BODIES: usize = 64;

/// How a server works.
#[derive(Clone, Debug)]
pub struct Options {
    /// Hosts that requests may be for, beside this machine; `.example.org` stands for every host under it, `*` for all
    pub hosts: Vec<String>,
    /// Whether strangers may register
    pub registration: bool,
    /// Whether a proxy in front says whose requests it passes on
    pub behind_proxy: bool,
    /// How many connections at once
    pub connections: usize,
    /// How often somebody may try
    pub allowed: Allowed,
    /// Origins of the sites whose pages may use the API, or `*`
    pub origins: Vec<String>,
    pub metrics: MetricsFor,
    /// The database is temporary, and a test suite may return it to an earlier state
    pub is_ephemeral: bool,
}

/// Who is told what the server counts
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsFor {
    #[default]
    ThisMachine,
    Everybody,
    Nobody,
}

/// What all requests share.
pub struct Server {
    app: SharedApp,
    keys: Keys,
    options: Options,
    log: Log,
    metrics: Arc<Metrics>,
    limits: Limits,
    cors: Cors,
    readiness: Readiness,
    hashing: Hashing,
    /// Each has a connection to the database as long as somebody reads
    exports: Places<UserId>,
    /// Large ones
    bodies: Places<Client>,
    /// Tells the requests of this process from those of others
    instance: u32,
    requests: AtomicU64,
}

/// A server, shared by the threads that answer
pub type Shared = Arc<Server>;

impl Server {
    pub fn new(app: SharedApp, keys: Keys, options: Options, log: Log, metrics: Metrics) -> Shared {
        let instance = std::process::id();
        let pages = Cors::new(&options.origins);
        let (limits, hashing) = (Limits::new(options.allowed), Hashing::new());
        let exports = Places::new(EXPORTS, EXPORTS_OF_ONE);
        let bodies = Places::new(LARGE_BODIES, LARGE_BODIES / 4);
        let (metrics, readiness, requests) = (Arc::new(metrics), Readiness::default(), AtomicU64::new(0));
        Arc::new(Self {
            app,
            keys,
            options,
            log,
            metrics,
            limits,
            cors: pages,
            readiness,
            hashing,
            exports,
            bodies,
            instance,
            requests,
        })
    }

    /// A name for the next request that has none
    fn next_request(&self) -> String {
        format!("{:x}-{:x}", self.instance, self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Runs `work`, which only reads, for a caller whose token still counts.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        work: impl FnMut(&mut Tx<'_>, &Actor) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_as_stranger(acting(caller, work)).await
    }

    /// Runs `work`, which only reads: in place where that takes so little that nobody has to wait for it.
    async fn read_as_stranger<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.app.pool().is_embedded() {
            return self.app.read(work);
        }
        let server = Arc::clone(self);
        aside(move || server.app.read(work)).await
    }

    /// As [`Server::read`], for what may take long: beside the thread that answers.
    async fn read_slowly<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        work: impl FnMut(&mut Tx<'_>, &Actor) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (server, work) = (Arc::clone(self), acting(caller, work));
        aside(move || server.app.read(work)).await
    }

    /// Runs `work` in one transaction, for a caller whose token still counts, on what has no entity tag to be changed by.
    async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        caller: Caller,
        mut work: impl FnMut(&mut Tx<'_>, &Actor) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let work = move |tx: &mut Tx<'_>, actor: &Actor, conditions: &Conditions| {
            let done = work(tx, actor)?;
            // Last: what is refused anyway is refused for its own reason. It is undone.
            conditions.must_be_met_by_any()?;
            Ok(done)
        };
        self.write_if(caller, work).await
    }

    /// As [`Server::write`], where `work` looks by itself whether the caller's conditions are met.
    async fn write_if<T: Send + 'static>(
        self: &Arc<Self>,
        mut caller: Caller,
        mut work: impl FnMut(&mut Tx<'_>, &Actor, &Conditions) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let conditions = std::mem::take(&mut caller.1);
        self.write_as_stranger(acting(caller, move |tx, actor| work(tx, actor, &conditions))).await
    }

    /// Runs `work` in one transaction; what came of it is in the database for good.
    async fn write_as_stranger<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let outcome = self.carry_out(work).await;
        self.readiness.note(&outcome);
        outcome
    }

    async fn carry_out<T: Send + 'static>(
        self: &Arc<Self>,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let work = move |tx: &mut Tx<'_>| Ok((work(tx)?, tx.take_notes()));
        let end = move |outcome| {
            // Whoever asked may be gone.
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
            aside(write).await?;
        }
        let outcome = receiver.await.unwrap_or_else(|_| Err(Error::internal("a write ended without an outcome")));
        let (value, notes) = outcome?;
        for note in &notes {
            self.log.write(&log::Note { at: self.app.now(), note });
        }
        Ok(value)
    }
}

/// Work that begins with a look whether the caller's token still counts.
fn acting<T>(
    Caller(claims, _): Caller,
    mut work: impl FnMut(&mut Tx<'_>, &Actor) -> Result<T> + Send,
) -> impl FnMut(&mut Tx<'_>) -> Result<T> + Send {
    move |tx| {
        let actor = service::tokens::acting(tx, &claims)?;
        work(tx, &actor).map_err(Error::of_body)
    }
}

/// Does what takes long beside the thread that answers.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::internal(error)))
}
