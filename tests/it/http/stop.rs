//! Where a server listens, and how it ends.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{messages_of, world};
use crate::server::{Connection, Reply, Server};
use crate::support::Shell;

const LOG_IN: &str = r#"{"username": "ann", "password": "correct horse 7"}"#;

/// A server that cannot start
fn refused(shell: &Shell, arguments: &[&str]) -> Output {
    let output = Server::command(&shell.path(""), &[&["--db", "test.db"], arguments].concat(), &[]).output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    output
}

/// Asks at a socket's path.
fn ask_at(path: &Path) -> std::io::Result<Reply> {
    let mut stream = UnixStream::connect(path)?;
    stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Reply::parse(&answer).ok_or_else(|| ErrorKind::UnexpectedEof.into())
}

#[test]
fn a_signal_lets_requests_come_to_their_end_and_no_more_begin() {
    for signal in [Signal::TERM, Signal::INT] {
        let shell = world();
        let mut server = Server::on(&shell.path(""), &[]);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let messages = messages_of(&server, &token);
        let address = server.address();
        let (sent, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            // Each takes a core for a while, so most of them wait when the signal comes.
            for _ in 0..12 {
                scope.spawn(|| {
                    let mut connection = Connection::to(address).unwrap();
                    let head =
                        format!("POST /api/token/ HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n");
                    let request = format!("{head}Content-Length: {}\r\n\r\n{LOG_IN}", LOG_IN.len());
                    connection.stream().write_all(request.as_bytes()).unwrap();
                    sent.fetch_add(1, Ordering::SeqCst);
                    connection.answer().unwrap().expect(200);
                    answered.fetch_add(1, Ordering::SeqCst);
                });
            }
            let mut half = Connection::to(address).unwrap();
            let body = r#"{"content": "to the end"}"#;
            let head = format!(
                "POST {messages} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            half.stream().write_all(&[head.as_bytes(), &body.as_bytes()[..9]].concat()).unwrap();
            // Those that say nothing keep nobody up.
            let idle: Vec<_> = (0..50).map(|_| TcpStream::connect(address).unwrap()).collect();
            while sent.load(Ordering::SeqCst) < 12 {
                thread::sleep(Duration::from_millis(1));
            }
            server.signal(signal);
            let start = Instant::now();
            while TcpStream::connect(address).map_err(|error| error.kind()).err() != Some(ErrorKind::ConnectionRefused)
            {
                assert!(start.elapsed() < Duration::from_secs(5), "new connections are accepted");
                thread::sleep(Duration::from_millis(5));
            }
            assert!(server.process.try_wait().unwrap().is_none(), "a request that was begun is waited for");
            half.stream().write_all(&body.as_bytes()[9..]).unwrap();
            half.answer().unwrap().expect(201);
            drop(idle);
        });
        assert_eq!(answered.into_inner(), 12);
        let start = Instant::now();
        assert_eq!(server.process.wait().unwrap().code(), Some(0), "{signal:?}");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        for file in ["test.db-wal", "test.db-shm"] {
            assert!(!shell.path(file).exists(), "{file} is left");
        }
        let said = shell.done("message list team --operator -o json").stdout;
        assert!(said.contains("to the end"), "{said}");
    }
}

#[test]
fn under_load_a_signal_ends_the_server_and_what_was_acknowledged_is_there() {
    let shell = world();
    let mut server = Server::on(&shell.path(""), &[]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let messages = messages_of(&server, &token);
    let (acknowledged, broken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for writer in 0..16 {
            let (server, token, messages, acknowledged, broken) = (&server, &token, &messages, &acknowledged, &broken);
            scope.spawn(move || {
                // Half of them take a new connection for each request.
                let mut kept = Connection::to(server.address()).unwrap();
                loop {
                    if writer % 2 == 0 {
                        match Connection::to(server.address()) {
                            Ok(new) => kept = new,
                            Err(_) => return,
                        }
                    }
                    let Ok(reply) = kept.ask("POST", messages, token, r#"{"content": "counted"}"#) else {
                        broken.fetch_add(1, Ordering::SeqCst);
                        return;
                    };
                    reply.expect(201);
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        thread::sleep(Duration::from_millis(500));
        server.signal(Signal::TERM);
    });
    let start = Instant::now();
    assert_eq!(server.process.wait().unwrap().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let stored = shell.done("message list team --operator --limit 100000 -o ids").stdout.lines().count() - 1;
    let acknowledged = acknowledged.into_inner();
    println!("{acknowledged} acknowledged, {stored} stored, {broken:?} connections broke");
    // Whoever keeps a connection cannot know whether a request comes too late, but each answered one is there.
    assert!(acknowledged > 0 && stored >= acknowledged && stored <= acknowledged + 16);
}

#[test]
fn a_signal_right_behind_the_ready_line_is_no_sudden_end() {
    for _ in 0..5 {
        let shell = world();
        assert_eq!(Server::on(&shell.path(""), &[]).stop(), Some(0));
        assert!(!shell.path("test.db-wal").exists());
    }
}

#[test]
fn a_server_that_stops_leaves_the_socket_of_another_at_its_path() {
    let shell = world();
    let path = shell.path("socket");
    let bind = ["--db", "test.db", "--bind", "./socket"];
    let first = Server::start(&shell.path(""), &bind, &[]);
    std::fs::remove_file(&path).unwrap();
    let second = Server::start(&shell.path(""), &bind, &[]);
    assert_eq!(first.stop(), Some(0));
    assert!(ask_at(&path).is_ok(), "the second is out of reach");
    assert_eq!(second.stop(), Some(0));
    assert!(!path.exists(), "the socket is left");
}

#[test]
fn a_socket_that_was_left_behind_is_replaced_and_nothing_else_is() {
    let shell = world();
    let path = shell.path("socket");
    let bind = ["--bind", "./socket"];
    let server = Server::on(&shell.path(""), &bind);
    assert_eq!(server.url, "unix:./socket");
    ask_at(&path).unwrap().expect(200);
    let second = refused(&shell, &bind);
    assert_eq!(second.status.code(), Some(7), "{second:?}");
    ask_at(&path).unwrap().expect(200);
    assert_eq!(server.stop(), Some(0));
    assert!(!path.exists(), "the socket is left");

    let mut killed = Server::on(&shell.path(""), &bind);
    killed.signal(Signal::KILL);
    killed.process.wait().unwrap();
    assert!(path.exists());
    let server = Server::on(&shell.path(""), &bind);
    ask_at(&path).unwrap().expect(200);
    assert_eq!(server.stop(), Some(0));

    std::fs::write(&path, "somebody's notes").unwrap();
    let output = refused(&shell, &bind);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's notes");
}

#[test]
fn a_socket_is_for_its_owner_unless_somebody_says_otherwise_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let shell = world();
    let path = shell.path("socket");
    let script = r#"umask 000; exec "$0" --db test.db serve --ready-json --bind ./socket "$@""#;
    for (arguments, mode) in [(&[][..], 0o600), (&["--socket-mode", "0660"], 0o660), (&["--socket-mode", "600"], 0o600)]
    {
        let mut server = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_tidings")])
            .args(arguments)
            .env_clear()
            .current_dir(shell.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let found = path.metadata().unwrap().permissions().mode() & 0o777;
        let reply = ask_at(&path);
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
        server.wait().unwrap();
        assert_eq!(found, mode, "{arguments:?}");
        reply.unwrap().expect(200);
    }
    for mode in ["rw", "1777", "-600", "+600", "888", ""] {
        let output = refused(&shell, &["--bind", "./socket", &format!("--socket-mode={mode}")]);
        assert_eq!(output.status.code(), Some(2), "{mode}: {output:?}");
    }
}

#[test]
fn only_who_says_so_listens_where_others_reach_it() {
    let shell = world();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = refused(&shell, &["--bind", address]);
        assert_eq!(output.status.code(), Some(4), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--allow-remote"), "{output:?}");
    }
    let server = Server::on(&shell.path(""), &["--bind", "0.0.0.0:0", "--allow-remote"]);
    let port = server.address().port();
    let mut connection = Connection::to(([127, 0, 0, 1], port).into()).unwrap();
    connection.ask("GET", "/health/ready", "", "").unwrap().expect(200);
    for wrong in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "localhost.invalid:1"] {
        assert_eq!(refused(&shell, &["--bind", wrong]).status.code(), Some(7), "{wrong}");
    }
    let taken = format!("127.0.0.1:{port}");
    assert_eq!(refused(&shell, &["--bind", &taken]).status.code(), Some(7));
}

/// A server that is handed the socket where it listens, as systemd does
fn handed(shell: &Shell, socket: OwnedFd) -> std::process::Child {
    let script = r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --db test.db serve --ready-json"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_tidings")]).env_clear().current_dir(shell.path(""));
    let mut process = command.stdin(Stdio::from(socket)).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = [0];
    process.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    process
}

#[test]
fn a_socket_that_is_handed_over_is_used() {
    let shell = world();
    let end = |mut process: std::process::Child| {
        kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(0));
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let process = handed(&shell, listener.into());
    Connection::to(address).unwrap().ask("GET", "/health/ready", "", "").unwrap().expect(200);
    end(process);
    let path = shell.path("socket");
    let process = handed(&shell, UnixListener::bind(&path).unwrap().into());
    assert_eq!(ask_at(&path).unwrap().expect(200).json(), json!({ "status": "ready" }));
    end(process);
    assert!(path.exists(), "whoever made it removes it");
}
