//! A database that is taken away under a server: nobody is told that anything was done, nor where it lay.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use serde_json::json;
use tidings::http::endpoints;

use super::events::stream::{PATIENCE, Stream};
use super::{House, in_every_house, messages_of, world};
use crate::server::Server;
use crate::support::{Shell, say_left_out};

/// Moves the database, as it is while it is in use, to another name.
fn rename(shell: &Shell, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        fs::rename(shell.path(&format!("{from}{end}")), shell.path(&format!("{to}{end}"))).unwrap();
    }
}

/// The contents of messages in a file
fn contents(shell: &Shell, database: &str) -> BTreeSet<String> {
    let run = shell.done(&format!("message list team --fields content --no-header -o csv --db {database}"));
    run.stdout.lines().map(ToOwned::to_owned).collect()
}

#[test]
fn a_database_that_was_moved_away_acknowledges_nothing_until_it_is_back() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let messages = messages_of(&server, &token);
    let send = |content: &str| server.post(&messages, &token, &json!({ "content": content }));
    send("before").expect(201);
    rename(&shell, "test.db", "aside.db");
    // It is in what was moved away, or is not: who knows what becomes of that.
    let first = send("first").problem(503, "unavailable");
    assert_eq!(first["outcome"], "unknown", "{first}");
    assert!(first["detail"].as_str().unwrap().contains("the same idempotency key tells"), "{first}");
    for _ in 0..3 {
        let later = send("later").problem(503, "unavailable");
        assert!(later.get("outcome").is_none(), "{later}");
        server.get(&messages, &token).problem(503, "unavailable");
        server.get("/health/live", "").expect(200);
    }
    server.get("/health/ready", "").problem(503, "unavailable");
    assert!(!shell.path("test.db").exists());
    rename(&shell, "aside.db", "test.db");
    // By itself, and at once
    send("after").expect(201);
    server.get(&messages, &token).expect(200);
    let start = Instant::now();
    while server.get("/health/ready", "").status != 200 {
        assert!(start.elapsed() < std::time::Duration::from_secs(10));
    }
    let log = server.log();
    assert!(log.contains("Put test.db back"), "{log}");
    assert_eq!(server.stop(), Some(0));
    let found = contents(&shell, "test.db");
    assert!(["before", "after"].iter().all(|content| found.contains(*content)), "{found:?}");
    assert!(!found.contains("later"), "{found:?}");
    shell.done("db check");
}

#[test]
fn another_file_in_the_place_of_the_database_is_neither_read_nor_written() {
    let shell = world();
    shell.done("db backup other.db");
    let server = Server::on(&shell.path(""), &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let messages = messages_of(&server, &token);
    let send = |content: &str| server.post(&messages, &token, &json!({ "content": content }));
    send("before").expect(201);
    rename(&shell, "test.db", "aside.db");
    fs::rename(shell.path("other.db"), shell.path("test.db")).unwrap();
    let bytes = fs::read(shell.path("test.db")).unwrap();
    for content in ["first", "second", "third"] {
        send(content).problem(503, "unavailable");
    }
    server.get(&messages, &token).problem(503, "unavailable");
    server.get("/api/users/me/export/", &token).problem(503, "unavailable");
    server.get("/health/ready", "").problem(503, "unavailable");
    assert!(fs::read(shell.path("test.db")).unwrap() == bytes);
    // Somebody works with the new one; the end of the server takes nothing of theirs away.
    let open = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    open.query_row("SELECT count(*) FROM account", [], |_| Ok(())).unwrap();
    shell.done("message send team another --as bob");
    assert_eq!(server.stop(), Some(0));
    drop(open);
    assert!(contents(&shell, "test.db").contains("another"));
    assert!(contents(&shell, "aside.db").contains("before"));
    shell.done("db check");
    shell.done("db check --db aside.db");
}

/// The contents that a listener hears until that one, coming again with the cursor where the stream breaks off
fn heard_until(server: &Server, token: &str, mut stream: Stream, last: &str) -> Vec<String> {
    let start = Instant::now();
    let mut contents = Vec::new();
    loop {
        assert!(start.elapsed() < PATIENCE, "{contents:?}");
        let Ok(Some(event)) = stream.next_heard() else {
            let again = Stream::ask(server, "", token, &[("Last-Event-ID", &stream.cursor)]);
            stream = again.unwrap_or(stream);
            continue;
        };
        contents.push(event.data["message"]["content"].as_str().unwrap().to_owned());
        if contents.last().is_some_and(|content| content == last) {
            return contents;
        }
    }
}

#[test]
fn who_listens_goes_on_when_a_database_that_was_moved_away_is_back() {
    let shell = world();
    let server = Server::on(&shell.path(""), &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let messages = messages_of(&server, &token);
    let send = |content: &str| server.post(&messages, &token, &json!({ "content": content }));
    let mut stream = Stream::open(&server, "", &token);
    send("before").expect(201);
    assert_eq!(stream.content(), "before");
    rename(&shell, "test.db", "aside.db");
    // What becomes of the first nobody knows; that is said.
    send("first").problem(503, "unavailable");
    send("later").problem(503, "unavailable");
    let cursor = [("Last-Event-ID", stream.cursor.as_str())];
    Stream::ask(&server, "", &token, &cursor).err().unwrap().problem(503, "unavailable");
    rename(&shell, "aside.db", "test.db");
    send("after").expect(201);
    let heard = heard_until(&server, &token, stream, "after");
    assert!(heard == ["after"] || heard == ["first", "after"], "{heard:?}");
}

#[test]
fn who_listens_hears_nothing_of_another_file_in_the_place_of_the_database() {
    let shell = world();
    shell.done("db backup other.db");
    let server = Server::on(&shell.path(""), &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let mut stream = Stream::open(&server, "", &token);
    let cursor = stream.cursor.clone();
    rename(&shell, "test.db", "aside.db");
    fs::rename(shell.path("other.db"), shell.path("test.db")).unwrap();
    shell.done("message send team foreign --as bob");
    for headers in [&[][..], &[("Last-Event-ID", cursor.as_str())]] {
        Stream::ask(&server, "", &token, headers).err().unwrap().problem(503, "unavailable");
    }
    assert_eq!(server.stop(), Some(0));
    while let Ok(Some(event)) = stream.next_heard() {
        assert_eq!(event.name, "end", "{event:?}");
    }
}

/// Asks everything there is to ask; what is answered shows none of the words.
fn ask_everything(server: &Server, token: &str, hidden: &[&str]) {
    let id = "0192a000-0000-7000-8000-000000000000";
    let mut failed = 0;
    let asked = endpoints().into_iter().map(|endpoint| {
        let path = endpoint.path.split('/').map(|part| if part.starts_with('{') { id } else { part });
        (endpoint.method, path.collect::<Vec<_>>().join("/"))
    });
    let others = ["/health/ready", "/health/live", "/metrics", "/api/schema/", "/nowhere"];
    let asked: Vec<_> = asked.chain(others.map(|path| ("GET", path.to_owned()))).collect();
    let bodies = [
        json!({ "username": "ann", "password": "correct horse 7", "participants": ["bob"], "content": "x", "refresh": "x", "token": "x" }),
        json!({ "username": "new", "password": "correct horse 9", "message_ids": [id], "is_read": true, "level": "all" }),
        json!({ "first_name": "Ann", "title": "New", "content": "x", "refresh": "A".repeat(43), "token": "A".repeat(43) }),
        json!({}),
    ];
    for (method, path) in &asked {
        for body in &bodies {
            for token in [token, ""] {
                let reply = server.ask(method, path, token, &[], if *method == "GET" { None } else { Some(body) });
                let said = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.bytes));
                failed += usize::from(reply.status == 503);
                for word in hidden {
                    assert!(!said.contains(word), "{method} {path}: {said}");
                }
            }
        }
    }
    assert!(failed > 20, "{failed}");
}

#[test]
fn strangers_do_not_learn_where_the_database_is() {
    in_every_house(|house: &House| {
        let shell = &house.shell;
        if house.address == "test.db" {
            let server =
                Server::on(&shell.path(""), &["--failed-logins", "0", "--logins", "0", "--registrations", "0"]);
            // Before anything is read, and after
            let token = house.run("token issue ann -o json", "").stdout;
            let token: serde_json::Value = serde_json::from_str(&token).unwrap();
            let folder = shell.path("");
            let hidden = ["test.db", folder.file_name().unwrap().to_str().unwrap()];
            rename_if_there(shell, "test.db", "aside.db");
            ask_everything(&server, token["access"].as_str().unwrap(), &hidden);
            fs::write(shell.path("test.db"), "no database\n".repeat(99)).unwrap();
            ask_everything(&server, token["access"].as_str().unwrap(), &hidden);
            return;
        }
        let Some((_, place)) = house.address.split_once("postgres://postgres@") else {
            return say_left_out("a PostgreSQL that turns the server away (the tests are not its superuser)");
        };
        let role = format!("hidden_{}", std::process::id());
        let mut operator = postgres::Client::connect(&house.address, postgres::NoTls).unwrap();
        operator.batch_execute(&format!("CREATE ROLE {role} SUPERUSER LOGIN")).unwrap();
        let address = format!("postgres://{role}@{place}");
        let secret = [("SECRET_KEY", "a secret of the tests")];
        let arguments = ["--db", &address, "--failed-logins", "0", "--logins", "0", "--registrations", "0"];
        let server = Server::start(&shell.path(""), &arguments, &secret);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1";
        operator.batch_execute(&format!("ALTER ROLE {role} NOLOGIN")).unwrap();
        operator.execute(end, &[&role]).unwrap();
        ask_everything(&server, &token, &[&role, "postgres", "search_path"]);
        drop(server);
        operator.batch_execute(&format!("DROP ROLE {role}")).unwrap();
    });
}

/// As [`rename`], where nobody need have it open.
fn rename_if_there(shell: &Shell, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let _ = fs::rename(shell.path(&format!("{from}{end}")), shell.path(&format!("{to}{end}")));
    }
}
