//! A server under load: beside the command line, and killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tidings::store::Location;

use super::{is_whole, number, on_every_address, random_up_to, tally};
use crate::server::{Connection, Server};
use crate::support::{Shell, World, is_long};

const WRITERS: usize = 32;

/// A server on the database, which on PostgreSQL needs a secret
pub(super) fn serve(shell: &Shell, address: &str) -> Server {
    serve_with(shell, address, &[])
}

/// The same with more variables
pub(super) fn serve_with(shell: &Shell, address: &str, variables: &[(&'static str, String)]) -> Server {
    let more = variables.iter().map(|(name, value)| (*name, value.as_str()));
    let all: Vec<_> = secret(address).iter().copied().chain(more).collect();
    Server::start(&shell.path(""), &["--db", address], &all)
}

pub(super) fn secret(address: &str) -> &'static [(&'static str, &'static str)] {
    if address == "test.db" { &[] } else { &[("SECRET_KEY", "a secret of the tests")] }
}

/// Three people in a group, as the world begins
fn people(location: &Location) {
    let world = World::open(location.clone());
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
    world.group("team", &ann, &[&bob, &eve]);
}

/// An access token that counts for the next minutes
pub(super) fn token(shell: &Shell, address: &str, user: &str) -> String {
    let program = std::process::Command::new(super::PROGRAM)
        .args(["--db", address, "token", "issue", user, "-o", "json"])
        .env_clear()
        .env("USER", "root")
        .envs(secret(address).iter().copied())
        .current_dir(shell.path(""))
        .output()
        .unwrap();
    let pair: serde_json::Value = serde_json::from_slice(&program.stdout).unwrap_or_else(|_| panic!("{program:?}"));
    pair["access"].as_str().unwrap().to_owned()
}

/// Where the messages of the group are
pub(super) fn messages_of(server: &Server, token: &str) -> String {
    let found = server.get("/api/conversations/", token).expect(200).json();
    format!("/api/conversations/{}/messages/", found["results"][0]["conversation_id"].as_str().unwrap())
}

/// Sends messages one after the other, each with a word of its own, until the connection ends or it is told to stop; notes what
/// was acknowledged, by word.
fn send(
    server: &Server,
    messages: &str,
    token: &str,
    writer: &str,
    acknowledged: &Mutex<BTreeMap<String, (String, i64)>>,
    is_over: &AtomicBool,
) {
    let Ok(mut connection) = Connection::to(server.address()) else { return };
    for count in 0.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let word = format!("{writer}n{count}");
        let body = json!({ "content": word }).to_string();
        let Ok(reply) = connection.ask("POST", messages, token, &body) else { return };
        let message = reply.expect(201).json();
        let sent = (message["message_id"].as_str().unwrap().to_owned(), message["number"].as_i64().unwrap());
        acknowledged.lock().unwrap().insert(word, sent);
    }
}

#[test]
fn the_command_line_writes_beside_a_server_under_load_and_nobody_loses_anything() {
    let seconds = if is_long() { 20 } else { 3 };
    on_every_address(|shell, location, address| {
        people(location);
        let server = serve(shell, address);
        let token = token(shell, address, "ann");
        let messages = messages_of(&server, &token);
        let (acknowledged, is_over) = (Mutex::default(), AtomicBool::new(false));
        let (commands, slowest) = (AtomicUsize::new(0), Mutex::new(Duration::ZERO));
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (server, messages, token, acknowledged, is_over) =
                    (&server, &messages, &token, &acknowledged, &is_over);
                scope.spawn(move || send(server, messages, token, &format!("w{writer}"), acknowledged, is_over));
            }
            let end = Instant::now() + Duration::from_secs(seconds);
            while Instant::now() < end {
                let count = commands.fetch_add(1, Ordering::Relaxed);
                let run = |line: &str| {
                    let start = Instant::now();
                    let run = shell.run(&format!("{line} --db {address}"));
                    assert_eq!(run.code, 0, "{line}: {run}");
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = slowest.max(start.elapsed());
                    run
                };
                let sent = run(&format!("message send team clin{count} --as bob -o json"));
                let message: serde_json::Value = serde_json::from_str(&sent.stdout).unwrap();
                let sent = (message["message_id"].as_str().unwrap().to_owned(), message["number"].as_i64().unwrap());
                acknowledged.lock().unwrap().insert(format!("clin{count}"), sent);
                run(&format!("user create passer{count} --no-password"));
                run(&format!("user delete passer{count} --yes"));
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let slowest = slowest.into_inner().unwrap();
        let acknowledged = acknowledged.into_inner().unwrap();
        println!("{} messages, {commands:?} times three commands, the slowest took {slowest:?}", acknowledged.len());
        assert!(slowest < Duration::from_secs(10), "{slowest:?}");
        assert!(commands.into_inner() > 1);
        assert_eq!(server.stop(), Some(0));
        let numbers: BTreeSet<i64> = acknowledged.values().map(|(_, number)| *number).collect();
        let all = i64::try_from(acknowledged.len()).unwrap();
        assert_eq!(numbers, (1..=all).collect(), "numbers without gaps");
        assert_eq!(number(location, "SELECT count(*) FROM message"), all);
        is_whole(shell, location, address);
    });
}

#[test]
fn what_a_server_acknowledged_before_it_was_killed_is_there_once() {
    let rounds = if is_long() { 20 } else { 2 };
    on_every_address(|shell, location, address| {
        people(location);
        let token = token(shell, address, "ann");
        let acknowledged = Mutex::<BTreeMap<String, (String, i64)>>::default();
        for round in 0..rounds {
            let start = Instant::now();
            let mut server = serve(shell, address);
            assert!(start.elapsed() < Duration::from_secs(5), "started again after {:?}", start.elapsed());
            let messages = messages_of(&server, &token);
            let never = AtomicBool::new(false);
            let delay = random_up_to(Duration::from_millis(400));
            println!("round {round}: killed {delay:?} after the first answer");
            let known = acknowledged.lock().unwrap().len();
            thread::scope(|scope| {
                for writer in 0..WRITERS {
                    let (server, messages, token, acknowledged, never) =
                        (&server, &messages, &token, &acknowledged, &never);
                    let name = format!("r{round}w{writer}");
                    scope.spawn(move || send(server, messages, token, &name, acknowledged, never));
                }
                while acknowledged.lock().unwrap().len() == known && start.elapsed() < Duration::from_secs(30) {
                    thread::sleep(Duration::from_millis(1));
                }
                thread::sleep(delay);
                server.signal(Signal::KILL);
            });
            server.process.wait().unwrap();
        }
        let acknowledged = acknowledged.into_inner().unwrap();
        tally(rounds, "kills");
        tally(acknowledged.len(), "acknowledged writes");
        assert!(acknowledged.len() >= rounds);
        is_whole(shell, location, address);
        assert_eq!(
            number(location, "SELECT count(*) - count(DISTINCT content) FROM message"),
            0,
            "none is there twice"
        );
        assert_eq!(number(location, "SELECT count(*) - max(number) FROM message"), 0, "numbers without gaps");
        // Found by a server that was not killed yet.
        let server = serve(shell, address);
        let mut connection = Connection::to(server.address()).unwrap();
        for (index, (word, (id, number))) in acknowledged.iter().enumerate() {
            let message =
                connection.ask("GET", &format!("/api/messages/{id}/"), &token, "").unwrap().expect(200).json();
            assert_eq!((&message["content"], &message["number"]), (&json!(word), &json!(number)));
            if index % 10 == 0 {
                let found = connection.ask("GET", &format!("/api/messages/?search={word}"), &token, "").unwrap();
                let found = found.expect(200).json();
                assert_eq!((&found["count"], &found["results"][0]["message_id"]), (&json!(1), &json!(id)), "{word}");
            }
        }
        assert_eq!(server.stop(), Some(0));
    });
}
