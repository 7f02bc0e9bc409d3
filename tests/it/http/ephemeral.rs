//! Servers for test suites: what they are given, what they leave, how they go back.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use super::connections::stall;
use super::{WORLD, messages_of};
use crate::server::{Connection, Server};

/// A folder with a world, and another one for temporary files
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("tmp")).unwrap();
    fs::write(folder.path().join("world.yaml"), WORLD).unwrap();
    folder
}

const WITH_WORLD: [&str; 5] = ["--ephemeral", "--fixture", "world.yaml", "--token-for", "ann,bob"];

fn start(folder: &Path, environment: &[(&str, &str)]) -> Server {
    let tmp = folder.join("tmp");
    Server::start(folder, &WITH_WORLD, &[&[("TMPDIR", tmp.to_str().unwrap())], environment].concat())
}

/// What is left of temporary files
fn left(folder: &Path) -> Vec<String> {
    let found = fs::read_dir(folder.join("tmp")).unwrap();
    found.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_temporary_server_touches_no_database_and_leaves_nothing() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let folder = folder();
        fs::write(folder.path().join(".env"), "DB_NAME=env.db\nSECRET_KEY=short\n").unwrap();
        let environment = [
            ("TIDINGS_DB", "variable.db"),
            ("DB_HOST", "localhost.invalid"),
            ("DB_NAME", "other.db"),
            ("DB_PASSWORD", "x"),
        ];
        let before: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        let mut server = start(folder.path(), &environment);
        assert_eq!(left(folder.path()).len(), 1);
        let messages = messages_of(&server, server.token("bob"));
        server.post(&messages, server.token("bob"), &json!({ "content": "gone soon" })).expect(201);
        assert_eq!(server.tokens.len(), 2);
        server.signal(signal);
        assert_eq!(server.process.wait().unwrap().code(), Some(0));
        assert!(left(folder.path()).is_empty(), "{:?}", left(folder.path()));
        let after: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(before.len(), after.len(), "{after:?}");
    }
    let folder = folder();
    let named = Server::start(folder.path(), &[&["--db", "named.db"], &WITH_WORLD[..]].concat(), &[]);
    assert_eq!(named.stop(), Some(0));
    assert!(!folder.path().join("named.db").exists());
}

#[test]
fn a_temporary_server_that_is_stopped_while_it_starts_leaves_nothing() {
    let folder = folder();
    let tmp = folder.path().join("tmp");
    let mut command = Server::command(folder.path(), &WITH_WORLD, &[("TMPDIR", tmp.to_str().unwrap())]);
    let mut process = command.spawn().unwrap();
    wait_until("it makes no folder", || !left(folder.path()).is_empty());
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(left(folder.path()).is_empty(), "{:?}", left(folder.path()));
}

#[test]
fn a_temporary_server_ends_with_the_program_that_started_it() {
    let folder = folder();
    let script = r#""$0" serve --ephemeral --fixture world.yaml --bind 127.0.0.1:0 --ready-json & wait"#;
    for is_early in [false, true] {
        let mut shell = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_tidings")])
            .env_clear()
            .env("TMPDIR", folder.path().join("tmp"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(shell.stdout.take().unwrap());
        if is_early {
            wait_until("it makes no folder", || !left(folder.path()).is_empty());
        } else {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let pid = serde_json::from_str::<Value>(&line).unwrap()["pid"].as_i64().unwrap();
            let server = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            test_kill_process(server).unwrap();
        }
        shell.kill().unwrap();
        shell.wait().unwrap();
        // The pipe ends with the last process that could write to it.
        stdout.read_to_end(&mut Vec::new()).unwrap();
        assert!(left(folder.path()).is_empty(), "{:?}", left(folder.path()));
    }
}

#[test]
fn a_rollback_brings_back_everything_that_was_there_at_the_checkpoint() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let (ann, bob) = (server.token("ann"), server.token("bob"));
    let messages = messages_of(&server, ann);
    let send = |content: &str| server.post(&messages, ann, &json!({ "content": content })).expect(201).json();
    let said = || -> Vec<String> {
        let found = server.get(&messages, ann).expect(200).json();
        let found = found["results"].as_array().unwrap().clone();
        found.iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    };
    let test = |what: &str| server.test(what).expect(204);
    send("one");
    // Without a checkpoint: as it began
    test("rollback");
    assert_eq!(said(), ["hello world"]);
    let first = send("two");
    assert_eq!(first["number"], 2);
    test("checkpoint");
    send("three");
    let leaving = server.log_in("bob", "correct horse 8");
    server.ask("DELETE", "/api/user/delete/", &leaving.0, &[], None).expect(204);
    server.get("/api/users/me/", bob).problem(401, "unauthenticated");
    for _ in 0..3 {
        test("rollback");
        assert_eq!(said(), ["two", "hello world"]);
        server.get("/api/users/me/", bob).expect(200);
        server.post("/api/token/refresh/", "", &json!({ "refresh": leaving.1 })).problem(401, "unauthenticated");
        let found = server.get("/api/messages/?search=three", ann).expect(200).json();
        assert_eq!(found["count"], 0);
        assert_eq!(send("three")["number"], 3);
        assert_eq!(server.get("/api/notifications/", bob).json()["count"], 2, "of what was said since the fixture");
    }
    // Failures are forgotten too, or one test would refuse the log-ins of the next.
    for _ in 0..10 {
        let wrong = json!({ "username": "bob", "password": "wrong" });
        server.post("/api/token/", "", &wrong).problem(401, "unauthenticated");
    }
    let right = json!({ "username": "bob", "password": "correct horse 8" });
    server.post("/api/token/", "", &right).problem(429, "rate_limited");
    test("rollback");
    server.post("/api/token/", "", &right).expect(200);
}

#[test]
fn a_page_of_another_site_cannot_take_a_temporary_server_back() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let messages = messages_of(&server, server.token("ann"));
    server.post(&messages, server.token("ann"), &json!({ "content": "stays" })).expect(201);
    for what in ["/test/checkpoint", "/test/rollback"] {
        // All that a form, or a script that asks nobody, can send
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let headers = [("Origin", "https://evil.example"), ("Content-Type", kind)];
            server.send("POST", what, &headers, b"").problem(403, "forbidden");
        }
        let asked = [("Origin", "https://evil.example"), ("Access-Control-Request-Headers", "tidings-test")];
        let allowed = server.send("OPTIONS", what, &asked, b"");
        assert!(allowed.header("access-control-allow-origin").is_none(), "{allowed:?}");
    }
    assert_eq!(server.get(&messages, server.token("ann")).json()["count"], 2);
}

#[test]
fn the_folder_of_a_temporary_server_is_its_owners_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let script = r#"umask 000; exec "$0" serve --ephemeral --bind 127.0.0.1:0 --ready-json"#;
    let mut server = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_tidings")])
        .env_clear()
        .env("TMPDIR", folder.path().join("tmp"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    let [name] = &left(folder.path())[..] else { panic!("{:?}", left(folder.path())) };
    let mode = fs::metadata(folder.path().join("tmp").join(name)).unwrap().permissions().mode();
    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    server.wait().unwrap();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn rollbacks_beside_requests_leave_each_request_whole() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let token = server.token("ann");
    let messages = messages_of(&server, token);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = Connection::to(server.address()).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    let sent = connection.ask("POST", &messages, token, r#"{"content": "beside"}"#).unwrap();
                    sent.expect(201);
                    let found = connection.ask("GET", &messages, token, "").unwrap().expect(200).json();
                    let results = found["results"].as_array().unwrap();
                    let first = results[0]["number"].as_i64().unwrap();
                    assert_eq!(found["count"], first, "one moment of the database");
                    let numbers: Vec<i64> = results.iter().map(|message| message["number"].as_i64().unwrap()).collect();
                    assert!(numbers.windows(2).all(|pair| pair[0] == pair[1] + 1), "{numbers:?}");
                }
            });
        }
        for round in 0..40 {
            server.test(if round % 10 == 9 { "checkpoint" } else { "rollback" }).expect(204);
            thread::sleep(Duration::from_millis(10));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let count = |server: &Server| server.get(&messages, token).expect(200).json()["count"].as_i64().unwrap();
    server.test("rollback").expect(204);
    let marked = count(&server);
    server.post(&messages, token, &json!({ "content": "one more" })).expect(201);
    assert_eq!(count(&server), marked + 1);
    assert_eq!(server.stop(), Some(0));
    assert!(left(folder.path()).is_empty());
}

#[test]
fn a_server_does_not_go_back_under_somebody_who_reads_an_export() {
    let folder = folder();
    let words = "x".repeat(60_000);
    let message = |number: usize| {
        let content = format!("{number} {words}");
        let key = format!("m{number}");
        let message =
            json!({ "type": "message", "conversation": "team", "sender": "ann", "content": content, "key": key });
        format!("{message}\n")
    };
    let people = ["ann", "bob"].map(|name| format!("{}\n", json!({ "type": "user", "username": name }))).concat();
    let team = json!({ "type": "conversation", "name": "team", "participants": ["ann", "bob"] });
    let talk: String = (0..150).map(message).collect();
    fs::write(folder.path().join("talk.jsonl"), format!("{people}{team}\n{talk}")).unwrap();
    let tmp = folder.path().join("tmp");
    let arguments = ["--ephemeral", "--fixture", "talk.jsonl", "--token-for", "ann"];
    let server = Server::start(folder.path(), &arguments, &[("TMPDIR", tmp.to_str().unwrap())]);
    let token = server.token("ann");
    let messages = messages_of(&server, token);
    let send = || server.post(&messages, token, &json!({ "content": "hello" })).expect(201);
    let export = stall(&server, token);
    send();
    for what in ["rollback", "checkpoint"] {
        server.test(what).problem(503, "unavailable");
    }
    send();
    drop(export);
    wait_until("the export has ended", || server.test("rollback").status == 204);
    assert_eq!(send().json()["number"], 151);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn only_a_temporary_server_goes_back() {
    let shell = super::world();
    let server = Server::on(&shell.path(""), &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    for path in ["/test/checkpoint", "/test/rollback", "/test/"] {
        server.ask("POST", path, &token, &[], None).problem(404, "not_found");
    }
    for arguments in [["--fixture", "world.yaml"], ["--token-for", "ann"]] {
        let output = Server::command(&shell.path(""), &arguments, &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}
