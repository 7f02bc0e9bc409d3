//! The feed: whoever listens hears what they may, in the order of the log, nothing twice.

mod cursors;
mod failures;
mod following;
mod joining;
mod model;
mod order;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tidings::app::{App, Options};
use tidings::error::{Error, Result};
use tidings::feed::{Begun, Delivery, Feed, Format, Request, Running, Ticket, Who};
use tidings::model::{Actor, Timestamp, UserId, UserKey};
use tidings::service::Credentials;
use tidings::service::events::{Cursors, EventView, Found, Narrowing, ResetReason};
use tidings::service::tokens::Claims;
use tidings::store::tokens::RefreshToken;
use tidings::store::{self, Db, Location};
use uuid::Uuid;

use crate::support::{NOON, World, on_engine, postgres_server, texts};

/// How long a test waits for what has to come
const PATIENCE: Duration = Duration::from_mins(1);

/// How events are written here: a line of JSON each
const FORMAT: Format = Format { event: written, reset };

fn written(view: &EventView) -> Result<Arc<[u8]>> {
    let text = serde_json::to_string(view).map_err(Error::internal)?;
    Ok(format!("{text}\n").into_bytes().into())
}

fn reset(reason: ResetReason, cursor: &str) -> Arc<[u8]> {
    format!("{}\n", json!({ "id": cursor, "event": "reset", "reason": reason.word() })).into_bytes().into()
}

/// What hands to the listeners what was said until now
type Distribution = Pin<Box<dyn Future<Output = ()>>>;

/// A feed on a database, and where what it has for listeners is fetched by hand
struct Stage {
    feed: Feed,
    distribution: Distribution,
    runtime: tokio::runtime::Runtime,
    /// Ends the feed when it is dropped
    running: Option<Running>,
}

/// Somebody who listens
struct Ear {
    ticket: Ticket,
    begun: Arc<str>,
    reset: Option<ResetReason>,
    heard: Vec<Value>,
    end: Option<Delivery>,
}

impl Stage {
    fn open(location: &Location) -> Self {
        Self::with_format(location, FORMAT)
    }

    fn with_format(location: &Location, format: Format) -> Self {
        let feed = Feed::default();
        let location = location.clone();
        let running = feed.start(Box::new(move || connect(&location)), format).unwrap();
        let delivering = feed.clone();
        let distribution = Box::pin(async move { delivering.deliver().await });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { feed, distribution, runtime, running: Some(running) }
    }

    fn join(&self, who: &Who, narrowing: &Narrowing, since: Option<&str>) -> Result<Ear> {
        self.runtime.block_on(self.feed.join(request(who, narrowing, since))).map(Ear::new)
    }

    /// Somebody who hears all that they may, from a cursor on
    fn listen(&self, who: &Who, since: Option<&str>) -> Ear {
        self.join(who, &Narrowing::default(), since).unwrap()
    }

    /// So many who come all at once
    fn listen_all(&self, who: &Who, since: Option<&str>, count: usize) -> Vec<Ear> {
        let narrowing = Narrowing::default();
        // Each asks the feed before any waits for its answer.
        let joins = (0..count).map(|_| self.feed.join(request(who, &narrowing, since)));
        self.runtime.block_on(try_join_all(joins)).unwrap().into_iter().map(Ear::new).collect()
    }

    /// Fetches what the feed has said until now.
    fn pump(&mut self) {
        assert!(self.distribution.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }

    /// Lets these listen until they have heard enough, or one more event would come too late.
    fn until(&mut self, ears: &mut [&mut Ear], is_enough: impl Fn(&[&mut Ear]) -> bool) {
        let start = Instant::now();
        loop {
            self.pump();
            for ear in ears.iter_mut() {
                ear.listen();
            }
            if is_enough(ears) {
                return;
            }
            if start.elapsed() > PATIENCE {
                let heard: Vec<_> = ears.iter().map(|ear| (ear.heard.len(), &ear.end)).collect();
                panic!("waited for {PATIENCE:?}, and they have heard {heard:?}");
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets one listen until so many events were heard, in all.
    fn until_heard(&mut self, ear: &mut Ear, count: usize) {
        self.until(&mut [ear], |ears| ears[0].heard.len() >= count || ears[0].end.is_some());
        assert_eq!((ear.heard.len(), &ear.end), (count, &None), "{:?}", ear.heard);
    }

    /// Lets one listen until nothing more comes; returns why.
    fn until_end(&mut self, ear: &mut Ear) -> Delivery {
        self.until(&mut [ear], |ears| ears[0].end.is_some());
        ear.end.take().unwrap()
    }
}

impl Ear {
    fn new(Begun { ticket, cursor, reset }: Begun) -> Self {
        Self { ticket, begun: cursor, reset, heard: Vec::new(), end: None }
    }

    /// Takes what there is.
    fn listen(&mut self) {
        let context = Context::from_waker(Waker::noop());
        while self.end.is_none() {
            match self.ticket.poll(&context) {
                Poll::Ready(Delivery::One(event)) => self.hear(&event),
                Poll::Ready(Delivery::Several(events)) => self.hear(&events),
                Poll::Ready(end) => self.end = Some(end),
                Poll::Pending => return,
            }
        }
    }

    fn hear(&mut self, events: &[u8]) {
        let lines = std::str::from_utf8(events).unwrap().lines();
        self.heard.extend(lines.map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }

    /// The cursor of what was heard last
    fn cursor(&self) -> &str {
        self.heard.last().map_or(&*self.begun, |event| event["id"].as_str().unwrap())
    }

    /// The kinds of what was heard
    fn kinds(&self) -> Vec<&str> {
        self.heard.iter().map(|event| event["event"].as_str().unwrap()).collect()
    }
}

fn request(who: &Who, narrowing: &Narrowing, since: Option<&str>) -> Request {
    Request {
        who: who.clone(),
        narrowing: narrowing.clone(),
        since: since.into_iter().map(ToOwned::to_owned).collect(),
    }
}

/// A connection of its own
fn connect(location: &Location) -> Result<App> {
    let (db, _) = Db::open(location, false)?;
    Ok(App::new(db, Options { now: Some(NOON), seed: Some(1), dry_run: false }))
}

fn the_operator() -> Who {
    Who::Operator(crate::support::operator())
}

/// Somebody with a token that is valid for ten minutes
fn with_token(world: &World, actor: &Actor) -> Who {
    let Actor::User(user) = actor else { panic!("the operator has no token") };
    let login = world.app.read(|tx| store::tokens::login_by_id(tx, user.person.user_id)).unwrap().expect("an account");
    logged_in(world, user.person.user_id, user.person.key, login.generation)
}

/// As [`with_token`], of an account in whatever state
fn logged_in(world: &World, id: UserId, user: UserKey, generation: i64) -> Who {
    let (hash, login) = (rand(), Uuid::from_bytes(rand()));
    let expires_at: Timestamp = NOON.plus_seconds(600);
    let token = RefreshToken { user, family: login, generation, created_at: NOON, expires_at, successor: None };
    world.app.write(|tx| store::tokens::insert(tx, &hash, &token, None)).unwrap();
    Who::User(Credentials::Token(Claims { user: id, login, generation, expires_at }))
}

fn rand<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// The keys of the events that cursors are of; 0 for the place before all
fn keys<'c>(world: &World, cursors: impl IntoIterator<Item = &'c str>) -> Vec<i64> {
    let cursors: Vec<&str> = cursors.into_iter().collect();
    let found = world.app.read(|tx| {
        let all = Cursors::of(tx)?;
        cursors.iter().map(|cursor| all.find(tx, cursor)).collect::<Result<Vec<_>>>()
    });
    let key = |found| match found {
        Found::At(position) => position.key.0,
        Found::Nowhere(reason) => panic!("a cursor leads nowhere: {reason:?}"),
    };
    found.unwrap().into_iter().map(key).collect()
}

/// The keys of what somebody heard
fn keys_heard(world: &World, ear: &Ear) -> Vec<i64> {
    keys(world, ear.heard.iter().map(|event| event["id"].as_str().unwrap()))
}

/// The keys of the whole log, in its order
fn log(world: &World) -> Vec<i64> {
    let keys = "SELECT CAST(key AS TEXT) FROM event ORDER BY event.transaction_id, event.key";
    texts(&world.location, keys).iter().map(|key| key.parse().unwrap()).collect()
}

/// The cursor of an event; of 0, that of an empty log
fn cursor_of(world: &World, key: i64) -> String {
    let found = world.app.read(|tx| {
        let rows = store::events::after(tx, store::events::Position::START, i64::MAX)?;
        Cursors::of(tx)?.at(rows.iter().find(|row| row.position.key.0 == key))
    });
    found.unwrap()
}

/// Runs a test on a fresh SQLite file and, where there is a server, on a PostgreSQL database of its own.
fn on_every_engine(test: impl Fn(&World)) {
    let folder = tempfile::tempdir().unwrap();
    on_engine("SQLite", || test(&World::open(Location::Sqlite(folder.path().join("test.db")))));
    on_postgres(|world, _| test(world));
}

/// Runs a test on PostgreSQL, where there is a server; it is told the address, too.
fn on_postgres(test: impl FnOnce(&World, &str)) {
    let Some(server) = postgres_server() else { return };
    let database = Database::create(server);
    let url = database.url();
    on_engine("PostgreSQL", || test(&World::open(Location::parse(&url).unwrap()), &url));
}

/// A database of its own on the server: in one with others a feed waits for transactions of other tests.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn create(server: String) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("feed_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let database = Self { server, name };
        database.execute(&format!("CREATE DATABASE {}", database.name));
        database
    }

    fn url(&self) -> String {
        let (place, options) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (host, _) = place.rsplit_once('/').unwrap();
        format!("{host}/{}?{options}", self.name)
    }

    fn execute(&self, statement: &str) {
        postgres::Client::connect(&self.server, postgres::NoTls).unwrap().batch_execute(statement).unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[test]
fn what_is_committed_is_heard_by_whom_it_concerns_and_by_nobody_else() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        let mut stage = Stage::open(&world.location);
        let mut ears = [&ann, &bob, &eve].map(|user| stage.listen(&with_token(world, user), None));
        let mut root = stage.join(&the_operator(), &Narrowing::default(), None).unwrap();
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "hi");
        stage.feed.look();
        stage.until_heard(&mut root, 2);
        let heard = ["conversation.created", "message.created"];
        assert_eq!(root.kinds(), heard);
        for (index, ear) in ears.iter_mut().enumerate().take(2) {
            stage.until_heard(ear, 2);
            assert_eq!(ear.kinds(), heard, "{index}");
        }
        assert_eq!(root.heard[1]["message"]["content"], "hi");
        let [_, _, eve] = &mut ears;
        stage.pump();
        eve.listen();
        assert!(eve.heard.is_empty() && eve.end.is_none());
        assert_eq!(stage.feed.listeners(), 4);
    });
}
