//! Event streams of a server that is killed while the command line writes: listeners who come again with their cursors miss nothing
//! and hear nothing twice.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tidings::error::Result;
use tidings::service::events::{Cursors, Found};
use tidings::store::Location;

use super::postgres::Cluster;
use super::served::{serve, token};
use super::{bash, on_every_address, random_up_to, tally};
use crate::support::{Shell, World, is_long, texts};

/// Says, edits and deletes things, and takes somebody out and in again, each by a process of its own, until it is told to stop.
const LOOP: &str = r#"
set -e
db=$1
run() { "$0" --db "$db" "$@" >/dev/null 2>>said; }
for ((count = 1; ; count++)); do
    [ -e stop ] && exit
    id=$("$0" --db "$db" message send team "word $count" --as ann --quiet -o ids 2>>said)
    ((count % 3)) || run message edit "$id" "another word $count" --as ann
    ((count % 5)) || run message delete "$id" --as ann --yes
    ((count % 4)) || run conversation remove team eve --yes
    ((count % 4 == 1)) && run conversation add team eve
done"#;

/// Somebody who listens all the time
struct Listener {
    token: String,
    /// The cursor and kind of each event that came whole
    heard: Mutex<Vec<(String, String)>>,
    streams: AtomicUsize,
}

/// The body of a stream, in which what is sent in pieces is put together
struct Pieces(BufReader<TcpStream>);

impl Pieces {
    /// Asks for a stream; none where there is no answer, or where the database cannot be read.
    fn open(address: SocketAddr, token: &str, since: Option<&str>) -> Option<Self> {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let since = since.map(|cursor| format!("Last-Event-ID: {cursor}\r\n")).unwrap_or_default();
        let head = format!(
            "GET /api/events/ HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{since}Accept: text/event-stream\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        let mut pieces = Self(BufReader::new(stream));
        let status = pieces.line()?;
        if status.contains(" 503 ") {
            return None;
        }
        assert!(status.contains(" 200 "), "{status}");
        while !pieces.line()?.is_empty() {}
        Some(pieces)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let is_whole = self.0.read_line(&mut line).ok()? > 0 && line.ends_with('\n');
        is_whole.then(|| line.trim_end().to_owned())
    }

    /// The next piece; none where the connection ended
    fn next(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line()?, 16).ok()?;
        let mut piece = vec![0; length + 2];
        self.0.read_exact(&mut piece).ok()?;
        piece.truncate(length);
        (length > 0).then_some(piece)
    }
}

impl Listener {
    fn new(token: String) -> Self {
        Self { token, heard: Mutex::default(), streams: AtomicUsize::new(0) }
    }

    /// Listens to whichever server there is, until it is over.
    fn listen(&self, server: &Mutex<Option<SocketAddr>>, is_over: &AtomicBool) {
        let mut last: Option<String> = None;
        while !is_over.load(Ordering::Relaxed) {
            let address = *server.lock().unwrap();
            let Some(mut pieces) = address.and_then(|address| Pieces::open(address, &self.token, last.as_deref()))
            else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            self.streams.fetch_add(1, Ordering::Relaxed);
            let mut text = Vec::new();
            while let Some(piece) = pieces.next() {
                text.extend(piece);
                while let Some(end) = text.windows(2).position(|bytes| bytes == b"\n\n") {
                    let event = String::from_utf8(text.drain(..end + 2).collect()).unwrap();
                    self.hear(&event, &mut last);
                }
            }
        }
    }

    fn hear(&self, event: &str, last: &mut Option<String>) {
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(ToOwned::to_owned);
        let (id, kind) = (field("id: "), field("event: "));
        if let Some(id) = &id {
            *last = Some(id.clone());
        }
        match (id, kind.as_deref()) {
            (_, None | Some("bookmark")) | (None, Some("end")) => {}
            (Some(id), Some(kind)) if kind != "reset" => self.heard.lock().unwrap().push((id, kind.to_owned())),
            _ => panic!("{event}"),
        }
    }
}

/// Lets everybody stop, whatever comes of the test.
struct Over<'o>(&'o AtomicBool, std::path::PathBuf);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        std::fs::write(&self.1, "").unwrap();
    }
}

/// The keys of the events that cursors are of
fn keys(world: &World, heard: &[(String, String)]) -> Vec<i64> {
    let found = world.app.read(|tx| {
        let cursors = Cursors::of(tx)?;
        heard.iter().map(|(cursor, _)| cursors.find(tx, cursor)).collect::<Result<Vec<_>>>()
    });
    let key = |found| match found {
        Found::At(position) => position.key.0,
        Found::Nowhere(reason) => panic!("{reason:?}"),
    };
    found.unwrap().into_iter().map(key).collect()
}

/// What somebody may hear behind an event: of the group while they take part in it, and of themselves
fn expected(location: &Location, name: &str, from: i64) -> Vec<i64> {
    let user = &texts(location, &format!("SELECT CAST(key AS TEXT) FROM account WHERE username = '{name}'"))[0];
    let rows = "SELECT key || ' ' || kind || ' ' || coalesce(conversation_key, 0) || ' ' || coalesce(user_key, 0)
        FROM event ORDER BY transaction_id, key";
    let mut takes_part = false;
    let mut expected = Vec::new();
    for row in texts(location, rows) {
        let [key, kind, conversation, of] = row.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let is_self = of == user;
        let was_in = takes_part;
        match kind {
            // Created with everybody but the one who only looks on
            "4" => takes_part = name != "zoe",
            "7" if is_self => takes_part = true,
            "9" if is_self => takes_part = false,
            _ => {}
        }
        let key: i64 = key.parse().unwrap();
        if key > from && (is_self || conversation != "0" && (was_in || takes_part)) {
            expected.push(key);
        }
    }
    expected
}

#[test]
fn listeners_of_a_server_that_is_killed_while_others_write_hear_the_log_as_they_may_and_once() {
    let rounds = if is_long() { 20 } else { 2 };
    on_every_address(|shell, location, address| {
        let begun = {
            let world = World::open(location.clone());
            let [ann, bob, eve, _] = ["ann", "bob", "eve", "zoe"].map(|name| world.user(name));
            world.group("team", &ann, &[&bob, &eve]);
            world.app.read(tidings::store::events::newest).unwrap().0
        };
        let names = ["ann", "bob", "eve", "zoe"];
        let listeners = names.map(|name| Listener::new(token(shell, address, name)));
        let (current, is_over) = (Mutex::new(None), AtomicBool::new(false));
        let mut command = bash(shell, LOOP, address, &[]);
        thread::scope(|scope| {
            let over = Over(&is_over, shell.path("stop"));
            let mut server = serve(shell, address);
            *current.lock().unwrap() = Some(server.address());
            for listener in &listeners {
                scope.spawn(|| listener.listen(&current, &is_over));
            }
            let everybody = |streams: usize| {
                let start = Instant::now();
                while listeners.iter().any(|listener| listener.streams.load(Ordering::Relaxed) < streams) {
                    assert!(start.elapsed() < Duration::from_mins(1), "not everybody listens");
                    thread::sleep(Duration::from_millis(5));
                }
            };
            everybody(1);
            let mut writer = command.stdout(Stdio::null()).spawn().unwrap();
            for round in 1..=rounds {
                thread::sleep(Duration::from_millis(300) + random_up_to(Duration::from_millis(900)));
                server.signal(Signal::KILL);
                server.process.wait().unwrap();
                *current.lock().unwrap() = None;
                thread::sleep(random_up_to(Duration::from_millis(200)));
                server = serve(shell, address);
                *current.lock().unwrap() = Some(server.address());
                everybody(round + 1);
            }
            std::fs::write(&over.1, "").unwrap();
            assert!(writer.wait().unwrap().success(), "{}", std::fs::read_to_string(shell.path("said")).unwrap());
            let all: Vec<Vec<i64>> = names.map(|name| expected(location, name, begun)).into();
            let start = Instant::now();
            let is_done = || {
                let mut both = listeners.iter().zip(&all);
                both.all(|(listener, expected)| listener.heard.lock().unwrap().len() >= expected.len())
            };
            while !is_done() && start.elapsed() < Duration::from_secs(30) {
                thread::sleep(Duration::from_millis(5));
            }
            drop(over);
            assert_eq!(server.stop(), Some(0));
            let world = World::open(location.clone());
            let mut count = 0;
            for ((name, listener), expected) in names.iter().zip(&listeners).zip(&all) {
                let heard = keys(&world, &listener.heard.lock().unwrap());
                assert_eq!(&heard, expected, "{name}");
                count += heard.len();
            }
            assert!(all[0].len() > all[2].len() && !all[2].is_empty() && all[3].is_empty(), "{all:?}");
            tally(rounds, "kills");
            tally(count, "events heard once");
        });
    });
}

#[test]
fn listeners_of_a_server_miss_nothing_where_postgresql_is_started_anew() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.execute("postgres", "CREATE DATABASE heard");
    let (shell, address) = (Shell::new(), cluster.url("heard"));
    let location = Location::parse(&address).unwrap();
    let open = || World::open(location.clone());
    let world = open();
    let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
    world.group("team", &ann, &[&bob]);
    let begun = world.app.read(tidings::store::events::newest).unwrap().0;
    drop(world);
    let listener = Listener::new(token(&shell, &address, "bob"));
    let server = serve(&shell, &address);
    let (current, is_over) = (Mutex::new(Some(server.address())), AtomicBool::new(false));
    thread::scope(|scope| {
        let over = Over(&is_over, shell.path("stop"));
        scope.spawn(|| listener.listen(&current, &is_over));
        let wait_for = |what: &str, is_so: &dyn Fn() -> bool| {
            let start = Instant::now();
            while !is_so() {
                assert!(start.elapsed() < Duration::from_mins(1), "{what}: {}", server.log());
                thread::sleep(Duration::from_millis(5));
            }
        };
        wait_for("nobody listens", &|| listener.streams.load(Ordering::Relaxed) > 0);
        for round in 0..4 {
            // What is sent just before the end is heard after it, if not before.
            open().send(&ann, "team", &format!("before {round}"));
            cluster.down();
            thread::sleep(random_up_to(Duration::from_millis(1500)));
            cluster.up();
            open().send(&ann, "team", &format!("after {round}"));
        }
        let expected = expected(&location, "bob", begun);
        assert!(expected.len() >= 8, "{expected:?}");
        wait_for("not all is heard", &|| listener.heard.lock().unwrap().len() >= expected.len());
        *current.lock().unwrap() = None;
        drop(over);
        assert_eq!(keys(&open(), &listener.heard.lock().unwrap()), expected);
        assert_eq!(server.stop(), Some(0));
    });
    tally(4, "restarts of PostgreSQL under a server's listeners");
}
