//! Behind a proxy: whose requests they are, as metrics, links and the log know it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::world;
use crate::server::Server;

#[test]
fn an_address_that_cannot_be_read_is_not_this_machines() {
    let shell = world();
    let from = |server: &Server, header: (&str, &str)| server.ask("GET", "/metrics", "", &[header], None);
    let server = Server::on(&shell.path(""), &["--behind-proxy"]);
    for address in ["203.0.113.7:4444", "[2001:db8::1]:99", "\"203.0.113.7\"", "unknown", "", "127.0.0.1, x"] {
        from(&server, ("X-Forwarded-For", address)).problem(404, "not_found");
    }
    for address in ["127.0.0.1:4444", "[::1]:99", "203.0.113.7, ::1"] {
        from(&server, ("X-Forwarded-For", address)).expect(200);
    }
    drop(server);
    // A proxy that is not believed makes everybody seem to be here, whatever it says of them.
    let server = Server::on(&shell.path(""), &[]);
    for name in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
        from(&server, (name, "127.0.0.1")).problem(404, "not_found");
    }
    server.get("/metrics", "").expect(200);
}

#[test]
fn links_have_the_scheme_that_the_client_used() {
    let shell = world();
    let next = |server: &Server, token: &str, scheme: &str| {
        let list = "/api/users/?page_size=1";
        let found = server.ask("GET", list, token, &[("X-Forwarded-Proto", scheme)], None).expect(200).json();
        found["next"].as_str().unwrap().split(':').next().unwrap().to_owned()
    };
    let server = Server::on(&shell.path(""), &["--behind-proxy"]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    for (said, scheme) in
        [("https", "https"), ("HTTPS", "https"), ("https,http", "https"), ("http", "http"), ("http, https", "http")]
    {
        assert_eq!(next(&server, &token, said), scheme, "{said}");
    }
    drop(server);
    let server = Server::on(&shell.path(""), &[]);
    assert_eq!(next(&server, &token, "https"), "http");
}

#[test]
fn the_log_tells_where_the_client_is() {
    let shell = world();
    let from = |server: &Server, id: &str, address: Option<&str>| -> Value {
        let mut headers = vec![("X-Request-Id", id)];
        headers.extend(address.map(|address| ("X-Forwarded-For", address)));
        server.ask("GET", "/health/live", "", &headers, None).expect(200);
        let start = Instant::now();
        loop {
            let line = server.log().lines().find(|line| line.contains(id)).map(ToOwned::to_owned);
            if let Some(line) = line {
                return serde_json::from_str::<Value>(&line).unwrap()["from"].clone();
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{id} is not in the log");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let server = Server::on(&shell.path(""), &["--behind-proxy"]);
    assert_eq!(from(&server, "one", Some("127.0.0.1, [2001:db8::1]:99")), "2001:db8::1");
    assert_eq!(from(&server, "two", Some("unknown")), Value::Null);
    assert_eq!(from(&server, "three", None), "127.0.0.1");
    drop(server);
    let server = Server::on(&shell.path(""), &[]);
    assert_eq!(from(&server, "four", Some("2001:db8::1")), "127.0.0.1");
}
