//! Every request is counted and logged: under an id of its own, by its method, with the time it took.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::world;
use crate::server::{Connection, Server};

/// The lines of the log, once there are so many
fn lines(server: &Server, count: usize) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let log = server.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.starts_with('{')).collect();
        if lines.len() >= count && log.ends_with('\n') {
            return lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{} of {count} lines", lines.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_request_has_an_id_of_its_own_and_a_line_also_where_many_come_together() {
    const COUNT: usize = 3000;
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let mut connection = Connection::to(server.address()).unwrap();
    let mut told = BTreeSet::new();
    for _ in 0..COUNT / 500 {
        let request = format!("GET /health/live HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
        std::io::Write::write_all(connection.stream(), request.repeat(500).as_bytes()).unwrap();
        for _ in 0..500 {
            let reply = connection.answer().unwrap().expect(200);
            told.insert(reply.header("x-request-id").unwrap().to_owned());
        }
    }
    assert_eq!(told.len(), COUNT, "no two have the same");
    let logged = lines(&server, COUNT);
    let logged: BTreeSet<String> = logged.iter().map(|line| line["request"].as_str().unwrap().to_owned()).collect();
    assert_eq!(logged, told);
    let metrics = String::from_utf8(server.get("/metrics", "").expect(200).bytes).unwrap();
    assert!(metrics.contains("\ntidings_log_lost_lines 0\n"), "{metrics}");
}

#[test]
fn an_id_that_a_proxy_gave_is_kept_where_it_is_a_plain_word() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let id = |given: &str| {
        let reply = server.ask("GET", "/health/live", "", &[("X-Request-Id", given)], None).expect(200);
        reply.header("x-request-id").unwrap().to_owned()
    };
    let longest = "x".repeat(64);
    for plain in ["a", "0af7651916cd43dd8448eb211c80319c", "From-the_proxy.1", &longest] {
        assert_eq!(id(plain), plain);
    }
    for odd in ["", "two words", "a/b", "\u{e9}", "a\"b", &"x".repeat(65)] {
        let own = id(odd);
        assert!(!own.is_empty() && own != odd, "{odd}: {own}");
    }
}

#[test]
fn requests_are_counted_by_their_methods_and_those_that_nobody_has_together() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let methods = ["POST", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    for method in methods.iter().chain(&["BREW", "PUT"]) {
        server.ask(method, "/nowhere", "", &[], None).expect(404);
    }
    let metrics = String::from_utf8(server.get("/metrics", "").expect(200).bytes).unwrap();
    let counted = |method: &str, count: i32| {
        let line = format!(r#"tidings_http_requests_total{{method="{method}",route="",status="404"}} {count}"#);
        assert!(metrics.contains(&line), "{line}: {metrics}");
    };
    for method in methods {
        counted(method, 1);
    }
    counted("other", 2);
}

#[test]
fn the_log_says_how_long_a_request_took() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let start = Instant::now();
    server.log_in("ann", "correct horse 7");
    let most = start.elapsed().as_secs_f64() * 1e3;
    let took = lines(&server, 1)[0]["milliseconds"].as_f64().unwrap();
    // A password takes some while, and the request no longer than whoever asked has waited.
    assert!(took > 1.0 && took <= most, "{took} of {most}");
}
