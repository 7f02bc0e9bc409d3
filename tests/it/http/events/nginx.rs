//! Behind nginx as Debian sets it up, with the site of the guide to operations.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::limits::until;
use super::stream::Stream;
use crate::http::world;
use crate::server::{Connection, Server};
use crate::support::{is_long, say_left_out, say_skipped};

/// What Debian sets up
const DEBIAN: &str = "/etc/nginx/nginx.conf";

/// nginx in front of a socket, gone at the end
struct Nginx {
    process: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(folder: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
        let site = guide.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
        let socket = folder.join("socket");
        let site = site
            .replace("listen 443 ssl", &format!("listen {address}"))
            .replace("/run/tidings.sock", socket.to_str().unwrap());
        let site: String = site.lines().filter(|line| !line.contains("ssl_")).flat_map(|line| [line, "\n"]).collect();
        assert!(site.contains(&address.to_string()) && site.contains(socket.to_str().unwrap()), "{site}");
        let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let settings = fs::read_to_string(DEBIAN).unwrap();
        let lines = settings.lines().map(|line| match line.split_whitespace().next() {
            // The socket is its owner's.
            Some("user") => "user root;".to_owned(),
            Some("pid") => format!("pid {};", file("nginx.pid")),
            Some("access_log") => "access_log off;".to_owned(),
            Some("error_log") => "error_log stderr;".to_owned(),
            Some("include") if line.contains("sites-enabled") => site.clone(),
            _ => line.to_owned(),
        });
        fs::write(file("nginx.conf"), lines.collect::<Vec<_>>().join("\n")).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.args(["-e", "stderr", "-c", &file("nginx.conf"), "-g", "daemon off;"]);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { process, address };
        until("nginx listens", || Connection::to(address).is_ok());
        nginx
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Value {
        let mut connection = Connection::to(self.address).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = connection.ask(method, path, token, &body).unwrap();
        assert!((200..300).contains(&reply.status), "{reply:?}");
        reply.json()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, it would leave its workers.
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
    }
}

#[test]
fn nginx_hands_on_each_event_at_once_and_does_not_cut_a_stream_that_is_quiet() {
    if !Path::new("/usr/sbin/nginx").exists() || !Path::new(DEBIAN).exists() {
        return say_skipped("streams behind nginx (it is not installed)");
    }
    if !rustix::process::geteuid().is_root() {
        return say_left_out("streams behind nginx (only root starts it as Debian does)");
    }
    let shell = world();
    let arguments = ["--db", "test.db", "--bind", "./socket", "--behind-proxy"];
    let server = Server::start(&shell.path(""), &arguments, &[]);
    let nginx = Nginx::start(&shell.path(""));
    let log_in = |name: &str, password: &str| {
        let pair = nginx.ask("POST", "/api/token/", "", &json!({ "username": name, "password": password }));
        pair["access"].as_str().unwrap().to_owned()
    };
    let (ann, bob) = (log_in("ann", "correct horse 7"), log_in("bob", "correct horse 8"));
    let team = nginx.ask("GET", "/api/conversations/", &ann, &Value::Null)["results"][0]["conversation_id"].clone();
    let messages = format!("/api/conversations/{}/messages/", team.as_str().unwrap());
    let ticket = nginx.ask("POST", "/api/events/ticket/", &bob, &Value::Null)["ticket"].clone();
    let by_ticket = format!("?ticket={}", ticket.as_str().unwrap());
    let bearer = format!("Bearer {bob}");
    let mut stream = Stream::ask_at(nginx.address, &by_ticket, &[]).ok().unwrap();
    assert_eq!(stream.head.header("content-type"), Some("text/event-stream"));
    let mut slowest = Duration::ZERO;
    for number in 0..20 {
        let content = format!("number {number}");
        let start = Instant::now();
        nginx.ask("POST", &messages, &ann, &json!({ "content": content }));
        assert_eq!(stream.content(), content);
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "each at once: {slowest:?}");
    if is_long() {
        // Longer than nginx waits for a server that says nothing
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(70) {
            assert_eq!(stream.next().unwrap().unwrap().name, "bookmark");
        }
    } else {
        say_left_out("a quiet stream behind nginx (TIDINGS_TEST_LONG)");
    }
    shell.done("message send team later --as ann");
    assert_eq!(stream.content(), "later");
    // Who comes again with a cursor brings it through.
    let headers = [("Authorization", bearer.as_str()), ("Last-Event-ID", &stream.cursor)];
    let mut again = Stream::ask_at(nginx.address, "", &headers).ok().unwrap();
    shell.done("message send team last --as ann");
    for stream in [&mut stream, &mut again] {
        assert_eq!(stream.content(), "last");
    }
    assert_eq!(server.stop(), Some(0));
    for stream in [&mut stream, &mut again] {
        assert_eq!(stream.end().0, "shutdown");
    }
}
