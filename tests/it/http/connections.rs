//! Many connections, idle ones, and those that nobody reads.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::world;
use crate::server::{Connection, Server};
use crate::support::{is_long, say_left_out};

/// How many connections are kept open
const IDLE: usize = 5000;

/// Whether so many files may be open here, and in what is started from here
fn may_open(files: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < files) {
        say_left_out(&format!("{IDLE} connections (no more than {:?} files may be open)", limit.maximum));
        return false;
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    true
}

/// Fails unless each of some requests is answered at once.
fn is_quick(server: &Server) {
    for _ in 0..20 {
        let start = Instant::now();
        server.get("/health/ready", "").expect(200);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[test]
fn thousands_of_idle_connections_cost_little_and_end_by_themselves() {
    if !may_open(2 * IDLE as u64) {
        return;
    }
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let start = Instant::now();
    let host = &server;
    let open = move |part: usize| {
        let open = |index: usize| {
            let mut connection = Connection::to(host.address()).unwrap();
            // Half of them are of use before.
            if index.is_multiple_of(2) {
                connection.ask("GET", "/health/live", "", "").unwrap().expect(200);
            }
            connection
        };
        (part..IDLE).step_by(4).map(open).collect::<Vec<_>>()
    };
    let mut idle: Vec<Connection> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..4).map(|part| scope.spawn(move || open(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    is_quick(&server);
    println!("{IDLE} connections after {:?}", start.elapsed());
    if start.elapsed() > Duration::from_secs(8) {
        return say_left_out(&format!("{IDLE} connections (they took longer than the first of them lasts)"));
    }
    let metrics = String::from_utf8(server.get("/metrics", "").expect(200).bytes).unwrap();
    let open = metrics.lines().find_map(|line| line.strip_prefix("tidings_http_connections ")).unwrap();
    assert!(open.parse::<usize>().unwrap() > IDLE, "{open}");
    let memory = server.memory("VmRSS");
    // A debug build is larger, and fills what it allocates.
    assert!(memory < if cfg!(debug_assertions) { 170 } else { 100 } * 1024, "{memory} KiB");
    if !is_long() {
        say_left_out("the end of idle connections (TIDINGS_TEST_LONG)");
        return;
    }
    for connection in &mut idle {
        assert_eq!(connection.stream().read(&mut [0]).unwrap(), 0, "nothing is said");
    }
    let took = start.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(20)).contains(&took), "{took:?}");
    is_quick(&server);
}

#[test]
fn more_connections_than_there_may_be_wait_for_a_place() {
    let shell = world();
    let server = Server::on(&shell.path(""), &["--max-connections", "4"]);
    let mut kept: Vec<Connection> = (0..4).map(|_| Connection::to(server.address()).unwrap()).collect();
    for connection in &mut kept {
        connection.ask("GET", "/health/live", "", "").unwrap().expect(200);
    }
    let mut waiting: Vec<Connection> = (0..20).map(|_| Connection::to(server.address()).unwrap()).collect();
    let request = format!("GET /health/live HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address());
    for connection in &mut waiting {
        connection.stream().write_all(request.as_bytes()).unwrap();
    }
    let first = waiting[0].stream();
    first.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(first.read(&mut [0]).is_err(), "there was a place");
    first.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    for connection in &mut kept {
        connection.ask("GET", "/health/live", "", "").unwrap().expect(200);
    }
    kept.pop();
    for connection in &mut waiting {
        connection.answer().unwrap().expect(200);
    }
}

#[test]
fn large_bodies_that_are_begun_do_not_fill_the_memory() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let length = 1024 * 1024;
    let head = format!("POST /api/token/ HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n", server.address());
    let begun = [head.as_bytes(), &vec![b' '; length - 1]].concat();
    let send = || {
        let mut connection = Connection::to(server.address()).unwrap();
        let stream = connection.stream();
        stream.set_nonblocking(true).unwrap();
        let (mut rest, start) = (begun.as_slice(), Instant::now());
        // What is not read any more is kept by the kernel, as far as it likes.
        while !rest.is_empty() && start.elapsed() < Duration::from_millis(40) {
            rest = stream.write(rest).map_or(rest, |count| &rest[count..]);
        }
        connection
    };
    let kept: Vec<Connection> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..50).map(|_| send()).collect::<Vec<_>>())).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    is_quick(&server);
    let memory = server.memory("VmRSS");
    assert!(memory < 300 * 1024, "{memory} KiB");
    drop(kept);
}

#[test]
fn a_large_body_that_stalls_gives_its_slot_to_one_that_waits() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let head = format!(
        "POST /api/token/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
        server.address()
    );
    let begin = |length: usize| {
        let mut connection = Connection::to(server.address()).unwrap();
        connection.stream().write_all(format!("{head}{}", " ".repeat(length)).as_bytes()).unwrap();
        connection
    };
    let kept: Vec<Connection> = (0..50).map(|_| begin(20_000)).collect();
    let start = Instant::now();
    server.post("/api/token/", "", &json!({})).problem(400, "invalid");
    assert!(start.elapsed() < Duration::from_secs(2), "a small body needs no place: {:?}", start.elapsed());
    begin(100_000).answer().unwrap().problem(400, "invalid");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    drop(kept);
}

#[test]
fn who_waits_too_long_for_large_bodies_of_others_hears_when_to_come_again() {
    let shell = world();
    let server = Server::on(&shell.path(""), &["--db-wait", "1"]);
    let begin = || {
        let mut connection = Connection::to(server.address()).unwrap();
        let length = 1024 * 1024;
        let head =
            format!("POST /api/token/ HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n", server.address());
        connection.stream().write_all(format!("{head}{}", " ".repeat(20_000)).as_bytes()).unwrap();
        connection
    };
    // As many as one client may send, each of which comes on
    let mut others: Vec<Connection> = (0..16).map(|_| begin()).collect();
    std::thread::sleep(Duration::from_millis(200));
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| begin().answer().unwrap());
        let start = Instant::now();
        while !late.is_finished() && start.elapsed() < Duration::from_secs(12) {
            for other in &mut others {
                other.stream().write_all(&[b' '; 10_000]).unwrap();
            }
            std::thread::sleep(Duration::from_millis(150));
        }
        late.join().unwrap()
    });
    late.problem(503, "unavailable");
    assert_eq!(late.header("retry-after"), Some("1"));
}

/// A server where somebody has a great deal to export
fn talkative() -> (crate::support::Shell, Server, String) {
    let shell = world();
    // One long word costs search nothing.
    let words = "x".repeat(60_000);
    let message = |number: usize| {
        let content = json!(format!("{number} {words}"));
        format!("{{\"type\":\"message\",\"conversation\":\"team\",\"sender\":\"ann\",\"content\":{content}}}\n")
    };
    std::fs::write(shell.path("talk.jsonl"), (0..150).map(message).collect::<String>()).unwrap();
    shell.done("data load talk.jsonl");
    let server = Server::on(&shell.path(""), &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    (shell, server, token)
}

/// Asks for an export and reads no more than its beginning.
pub(super) fn stall(server: &Server, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let request = format!(
        "GET /api/users/me/export/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    stream
}

#[test]
fn answers_that_nobody_reads_hold_nobody_up() {
    let (_shell, server, token) = talkative();
    let stalled: Vec<TcpStream> = (0..2).map(|_| stall(&server, &token)).collect();
    // Each has a connection to the database, so nobody has many.
    let one_more = server.get("/api/users/me/export/", &token);
    one_more.problem(429, "rate_limited");
    assert!(one_more.header("retry-after").is_some());
    let (other, _) = server.log_in("bob", "correct horse 8");
    server.get("/api/users/me/export/", &other).expect(200);
    let start = Instant::now();
    server.log_in("bob", "correct horse 8");
    is_quick(&server);
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    let memory = server.memory("VmRSS");
    assert!(memory < 300 * 1024, "{memory} KiB");
    if !is_long() {
        say_left_out("the end of connections that nobody reads (TIDINGS_TEST_LONG)");
        return;
    }
    std::thread::sleep(Duration::from_secs(33));
    let mut whole = 0;
    for mut stream in stalled {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        whole += usize::from(rest.ends_with(b"0\r\n\r\n"));
    }
    assert_eq!(whole, 0, "they are given up");
}

#[test]
fn an_export_ends_when_the_tokens_of_its_account_are_revoked() {
    let (shell, server, token) = talkative();
    let (other, _) = server.log_in("bob", "correct horse 8");
    let mut export = stall(&server, &token);
    let mut others = stall(&server, &other);
    shell.done("token revoke ann");
    let rest = |stream: &mut TcpStream| {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        (rest.len(), rest.ends_with(b"0\r\n\r\n"))
    };
    let (length, is_whole) = rest(&mut export);
    assert!(!is_whole && length < 8_000_000, "{length} bytes of 9,000,000");
    assert!(rest(&mut others).1, "the other one goes on");
}
