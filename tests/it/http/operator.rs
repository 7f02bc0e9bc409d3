//! What an operator sees of a server: readiness, metrics, the log.

use std::io::{BufRead, BufReader, Write};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{House, in_every_house, messages_of, world};
use crate::cli::disk::SmallDisk;
use crate::server::{Connection, Server};
use crate::support::{Shell, say_left_out};

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_full_disk_refuses_writes_whole_and_a_server_recovers_by_itself() {
    let shell = world();
    let Some(disk) = SmallDisk::mount(&shell) else { return };
    shell.done("db backup disk/there.db");
    let server = Server::start(&shell.path(""), &["--db", "disk/there.db"], &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let (bob, _) = server.log_in("bob", "correct horse 8");
    let messages = messages_of(&server, &token);
    let send = |content: &str| server.post(&messages, &token, &json!({ "content": content }));
    let count = || server.get(&messages, &token).expect(200).json()["count"].as_i64().unwrap();
    send("before").expect(201);
    disk.fill();
    let mut expected = 2;
    let words = "words ".repeat(2000);
    let refused = loop {
        let reply = send(&words);
        if reply.status != 201 {
            break reply;
        }
        expected += 1;
        assert!(expected < 1000, "the disk is never full");
    };
    refused.problem(507, "no_space");
    assert_eq!(count(), expected);
    for _ in 0..20 {
        send(&words).problem(507, "no_space");
    }
    server.ask("DELETE", "/api/user/delete/", &bob, &[], None).problem(507, "no_space");
    wait_until("it is ready", || server.get("/health/ready", "").status == 507);
    server.get("/health/ready", "").problem(507, "no_space");
    server.get("/health/live", "").expect(200);
    std::fs::remove_file(shell.path("disk/ballast")).unwrap();
    wait_until("it never is ready again", || server.get("/health/ready", "").status == 200);
    assert_eq!(count(), expected);
    assert_eq!(send("after").expect(201).json()["number"], expected + 1);
    assert_eq!(server.stop(), Some(0));
    shell.done("db check --db disk/there.db");
}

#[test]
fn the_log_of_a_server_leaves_room_on_a_disk_that_is_almost_full() {
    let shell = world();
    let Some(disk) = SmallDisk::mount(&shell) else { return };
    shell.done("db backup disk/there.db");
    disk.fill_but(500_000);
    let server = Server::start(&shell.path(""), &["--db", "disk/there.db"], &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let messages = messages_of(&server, &token);
    let send = |content: &str| server.post(&messages, &token, &json!({ "content": content }));
    let mut count = 0;
    // Each takes some twenty pages of the log: all that is free, after a few, were it not moved into the file meanwhile.
    let refused = loop {
        let reply = send("a message");
        if reply.status != 201 {
            break reply;
        }
        count += 1;
    };
    refused.problem(507, "no_space");
    assert!(count > 60, "{count}");
    // Nobody is sent here for nothing, also where the smallest write would still fit.
    wait_until("it says that it is ready", || server.get("/health/ready", "").status == 507);
    for _ in 0..3 {
        send("a message");
        std::thread::sleep(Duration::from_millis(1100));
        server.get("/health/ready", "").problem(507, "no_space");
    }
    std::fs::remove_file(shell.path("disk/ballast")).unwrap();
    wait_until("it never is ready again", || server.get("/health/ready", "").status == 200);
    send("after").expect(201);
    assert_eq!(server.stop(), Some(0));
    shell.done("db check --db disk/there.db");
}

#[test]
fn a_database_that_somebody_else_holds_makes_a_server_unready_until_they_let_go() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let messages = messages_of(&server, &token);
    let other = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (sender, written) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let sent = server.post(&messages, &token, &json!({ "content": "patient" }));
            sender.send(sent).unwrap();
        });
        let start = Instant::now();
        server.get("/health/ready", "").problem(503, "unavailable");
        assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
        server.get("/health/live", "").expect(200);
        // Readers wait for nobody.
        assert_eq!(server.get(&messages, &token).expect(200).json()["count"], 1);
        other.execute_batch("ROLLBACK").unwrap();
        written.recv().unwrap().expect(201);
        wait_until("it never is ready again", || server.get("/health/ready", "").status == 200);
    });
}

#[test]
fn connections_that_postgresql_ends_are_made_anew() {
    in_every_house(|house: &House| {
        if house.address == "test.db" {
            return;
        }
        let Some((_, place)) = house.address.split_once("postgres://postgres@") else {
            return say_left_out("connections that PostgreSQL ends (the tests are not its superuser)");
        };
        // By their name only the connections of this server are ended.
        let role = format!("served_{}", std::process::id());
        let mut operator = postgres::Client::connect(&house.address, postgres::NoTls).unwrap();
        operator.batch_execute(&format!("CREATE ROLE {role} SUPERUSER LOGIN")).unwrap();
        let address = format!("postgres://{role}@{place}");
        let secret = [("SECRET_KEY", "a secret of the tests")];
        let server = Server::start(&house.shell.path(""), &["--db", &address], &secret);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let messages = messages_of(&server, &token);
        for _ in 0..3 {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
            assert!(operator.execute(end, &[&role]).unwrap() > 0);
            wait_until("nothing is sent again", || {
                server.post(&messages, &token, &json!({ "content": "again" })).status == 201
            });
            wait_until("it never is ready again", || server.get("/health/ready", "").status == 200);
        }
        assert_eq!(server.stop(), Some(0));
        operator.batch_execute(&format!("DROP ROLE {role}")).unwrap();
        house.run("db check", "");
    });
}

#[test]
fn metrics_have_their_names_and_are_for_this_machine() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    server.log_in("ann", "correct horse 7");
    server.get("/nowhere", "").problem(404, "not_found");
    let reply = server.get("/metrics", "").expect(200);
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = String::from_utf8(reply.bytes).unwrap();
    for line in [
        r#"tidings_http_requests_total{method="POST",route="/api/token/",status="200"} 1"#,
        r#"tidings_http_requests_total{method="GET",route="",status="404"} 1"#,
        r#"tidings_http_request_duration_seconds_count{method="POST",route="/api/token/"} 1"#,
        "tidings_commit_writes_sum",
        "tidings_http_connections ",
        "tidings_wal_bytes ",
        "tidings_waiting_writes ",
        "tidings_log_lost_lines ",
        "tidings_page_hits_total ",
        "tidings_page_misses_total ",
        "tidings_pages_forgotten_total ",
        "tidings_page_memory_bytes ",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let from =
        |server: &Server, address: &str| server.ask("GET", "/metrics", "", &[("X-Forwarded-For", address)], None);
    // A proxy in front that is not believed: everybody seems to be here.
    from(&server, "127.0.0.1").problem(404, "not_found");
    drop(server);
    let server = Server::on(&shell.path(""), &["--behind-proxy"]);
    from(&server, "192.0.2.1").problem(404, "not_found");
    from(&server, "127.0.0.1").expect(200);
    drop(server);
    let server = Server::on(&shell.path(""), &["--behind-proxy", "--metrics", "all"]);
    from(&server, "192.0.2.1").expect(200);
    drop(server);
    Server::on(&shell.path(""), &["--metrics", "none"]).get("/metrics", "").problem(404, "not_found");
}

#[test]
fn the_log_is_json_without_contents_and_secrets() {
    let shell = world();
    let server = Server::on(&shell.path(""), &["--behind-proxy"]);
    let (token, refresh) = server.log_in("ann", "correct horse 7");
    let messages = messages_of(&server, &token);
    let sent = server.post(&messages, &token, &json!({ "content": "qqsecret words" })).expect(201).json();
    let id = sent["message_id"].as_str().unwrap().to_owned();
    server.post(&messages, &token, &json!({ "content": 5, "qqsecret": "qqsecret" })).problem(400, "invalid");
    server.get("/api/messages/?search=qqsecret", &token).expect(200);
    server.get("/qqsecret/", &token).problem(404, "not_found");
    server
        .ask("QQSECRET", "/api/users/", &token, &[("X-Request-Id", "qqsecret words\u{e9}")], None)
        .problem(405, "method_not_allowed");
    server.get(&format!("/api/messages/{id}/"), &token).expect(200);
    server
        .post("/api/token/", "", &json!({ "username": "qqsecret", "password": "qqsecret" }))
        .problem(401, "unauthenticated");
    server.post("/api/token/refresh/", "", &json!({ "refresh": refresh })).expect(200);
    server.ask(
        "GET",
        "/health/live",
        "",
        &[("X-Request-Id", "from-the-proxy.1"), ("X-Forwarded-For", "192.0.2.1")],
        None,
    );
    wait_until("nothing is logged", || server.log().contains("from-the-proxy.1"));
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("Listening at ")).collect();
    assert_eq!(lines.len(), 11, "{log}");
    for line in &lines {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["status"].is_u64() && line["milliseconds"].is_number() && line["at"].is_string(), "{line}");
    }
    for secret in ["qqsecret", "correct horse", &token, &refresh, &id] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

/// A server whose standard error nobody reads, and where it is
fn unread(shell: &Shell) -> (Child, std::net::SocketAddr) {
    let mut process = Server::command(&shell.path(""), &["--db", "test.db"], &[]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = ready["url"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
    (process, address)
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    let shell = world();
    let (mut process, address) = unread(&shell);
    let mut connection = Connection::to(address).unwrap();
    let request = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\nX-Request-Id: {}\r\n\r\n", "x".repeat(64));
    let lost = |connection: &mut Connection| {
        let metrics = connection.ask("GET", "/metrics", "", "").unwrap().expect(200);
        let text = String::from_utf8(metrics.bytes).unwrap();
        let lost = text.lines().find_map(|line| line.strip_prefix("tidings_log_lost_lines "));
        lost.unwrap().parse::<u64>().unwrap()
    };
    let mut rounds = 0;
    while lost(&mut connection) == 0 {
        connection.stream().write_all(request.repeat(500).as_bytes()).unwrap();
        for _ in 0..500 {
            connection.answer().unwrap().expect(200);
        }
        rounds += 1;
        assert!(rounds < 100, "all of it is kept");
    }
    let start = Instant::now();
    connection.ask("GET", "/health/ready", "", "").unwrap().expect(200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    drop(connection);
    let start = Instant::now();
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}
