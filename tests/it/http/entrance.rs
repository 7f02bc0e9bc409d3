//! What is looked at before a body is read, and how many large ones are read.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::robust::at_a_place;
use super::world;
use crate::server::{Connection, Server};

/// The head of a request with a body of so many bytes
fn head(server: &Server, request: &str, headers: &str, length: usize) -> String {
    let host = server.address();
    format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n"
    )
}

#[test]
fn a_request_is_refused_before_its_body_arrives() {
    at_a_place(|place| {
        let ask = |request: &str, headers: &str, length: usize| {
            let mut connection = Connection::to(place.server.address()).unwrap();
            connection.stream().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let head = head(&place.server, request, headers, length);
            connection.stream().write_all(head.as_bytes()).unwrap();
            connection.answer().unwrap()
        };
        let good = format!("Authorization: Bearer {}\r\n", place.token);
        let messages = format!("POST {}", place.messages);
        for length in [100, 1_000_000] {
            ask(&messages, "", length).problem(401, "unauthenticated");
            ask(&messages, "Authorization: Bearer x\r\n", length).problem(401, "unauthenticated");
            ask("POST /api/users/", "Authorization: Bearer x\r\n", length).problem(401, "unauthenticated");
            ask("POST /api/nowhere/", &good, length).problem(404, "not_found");
            ask("PUT /api/users/me/", &good, length).problem(405, "method_not_allowed");
            ask(&messages, &format!("{good}Idempotency-Key: \u{fc}\r\n"), length).problem(400, "invalid");
            let foreign = head(&place.server, &messages, &good, length);
            let foreign = foreign.replace(&place.server.address().to_string(), "evil");
            let mut connection = Connection::to(place.server.address()).unwrap();
            connection.stream().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            connection.stream().write_all(foreign.as_bytes()).unwrap();
            connection.answer().unwrap().problem(421, "misdirected");
        }
    });
}

#[test]
fn a_rate_limited_request_is_refused_before_its_body_arrives() {
    let shell = world();
    let server = Server::on(&shell.path(""), &["--logins", "1", "--registrations", "1"]);
    for path in ["/api/token/", "/api/users/"] {
        server.post(path, "", &json!({ "username": "nobody", "password": "short" }));
        let mut connection = Connection::to(server.address()).unwrap();
        connection.stream().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let head = head(&server, &format!("POST {path}"), "", 1_000_000);
        connection.stream().write_all(head.as_bytes()).unwrap();
        connection.answer().unwrap().problem(429, "rate_limited");
    }
}

/// Begins large log-ins from addresses, and stops in the middle
fn stall(server: &Server, count: usize, address: impl Fn(usize) -> String) -> Vec<Connection> {
    let begin = |number: usize| {
        let forwarded = format!("X-Forwarded-For: {}\r\n", address(number));
        let head = head(server, "POST /api/token/", &forwarded, 1_000_000);
        let mut connection = Connection::to(server.address()).unwrap();
        connection.stream().write_all(&[head.as_bytes(), &vec![b' '; 17 * 1024]].concat()).unwrap();
        connection
    };
    let stalled = (0..count).map(begin).collect();
    std::thread::sleep(Duration::from_millis(300));
    stalled
}

/// How long somebody else's large message takes
fn send_large(server: &Server, token: &str, messages: &str) -> Duration {
    let start = Instant::now();
    let content: Value = json!({ "content": "x".repeat(60_000) });
    server.ask("POST", messages, token, &[("X-Forwarded-For", "198.51.100.1")], Some(&content)).expect(201);
    start.elapsed()
}

#[test]
fn large_bodies_that_stop_in_the_middle_hold_nobody_up() {
    let shell = world();
    let server = Server::on(&shell.path(""), &["--behind-proxy", "--logins", "0"]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let messages = super::messages_of(&server, &token);
    // A client has a share of the places …
    let one = stall(&server, 70, |_| "192.0.2.1".to_owned());
    let took = send_large(&server, &token, &messages);
    assert!(took < Duration::from_secs(1), "{took:?}");
    // … and who has one without sending loses it to whoever waits.
    let many = stall(&server, 70, |number| format!("203.0.113.{number}"));
    let took = send_large(&server, &token, &messages);
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop((one, many));
}

#[test]
fn a_large_body_may_take_its_time_while_nobody_waits() {
    let shell = world();
    let server = Server::on(&shell.path(""), &["--behind-proxy"]);
    let body = format!("{}{}", " ".repeat(40_000), json!({ "username": "ann", "password": "correct horse 7" }));
    let mut connection = Connection::to(server.address()).unwrap();
    connection.stream().write_all(head(&server, "POST /api/token/", "", body.len()).as_bytes()).unwrap();
    for part in body.as_bytes().chunks(20_000) {
        connection.stream().write_all(part).unwrap();
        std::thread::sleep(Duration::from_millis(1500));
    }
    connection.answer().unwrap().expect(200);
}

#[test]
fn a_connection_goes_on_behind_a_request_that_was_refused_without_its_body() {
    at_a_place(|place| {
        let mut connection = Connection::to(place.server.address()).unwrap();
        for _ in 0..3 {
            let content = json!({ "content": "hello" }).to_string();
            connection.ask("POST", &place.messages, "x", &content).unwrap().problem(401, "unauthenticated");
        }
        connection.ask("GET", "/health/live", "", "").unwrap().expect(200);
    });
}
