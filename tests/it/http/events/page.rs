//! The function that the guide gives to pages, in a browser: it goes on where it was, whatever happens to the server, the token or
//! the page.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use rustix::process::Signal;
use serde_json::{Value, json};
use tidings::model::Timestamp;
use tidings::service::tokens::{Keys, LIFETIME};

use super::limits::until;
use crate::http::browser::{is_installed, node};
use crate::http::world;
use crate::server::Server;
use crate::support::say_skipped;

const SECRET: &str = "a secret of the tests";

/// A file of the project
fn project(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// A page that listens, in a browser
struct Page {
    process: Child,
    /// None at the end
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Page {
    /// A page of the site that the server allows, which runs this script on the API at that address.
    fn new(script: &str, site: &str, api: SocketAddr, folder: &Path) -> Self {
        let mut process = node()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/http/events/browser.cjs"))
            .env("PAGE", format!("{site}/page"))
            .env("API", format!("http://{api}/api"))
            .env("SCRIPT", script)
            .env("HOME", folder)
            .spawn()
            .unwrap();
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, commands, answers }
    }

    /// Does something with the page, and waits until it is done.
    fn tell(&mut self, command: &str) -> Value {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{command}: {answer}"))
    }

    /// Waits until it has heard so many events; fails unless they are the messages with these contents.
    fn has_heard(&mut self, contents: &[&str]) {
        let expected: Vec<Value> = contents.iter().map(|content| json!(["message.created", content])).collect();
        assert_eq!(self.tell(&format!("until {}", contents.len())), Value::from(expected));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // At the end of its commands it closes the browser.
        self.commands.take();
        let _ = self.process.wait();
    }
}

/// Hands bytes on between clients and a server
struct Relay {
    address: SocketAddr,
    /// How many connections there were
    count: Arc<AtomicUsize>,
    /// Those before this one get nothing any more.
    silent: Arc<AtomicUsize>,
}

impl Relay {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self { address: listener.local_addr().unwrap(), count: Arc::default(), silent: Arc::default() };
        let (count, silent) = (Arc::clone(&relay.count), Arc::clone(&relay.silent));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let Ok(server) = TcpStream::connect(server) else { continue };
                let silent = Arc::clone(&silent);
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || hand_on(from, to, || true));
                thread::spawn(move || hand_on(server, client, || number >= silent.load(Ordering::SeqCst)));
            }
        });
        relay
    }

    /// Keeps back everything that comes for the clients there are.
    fn silence(&self) {
        self.silent.store(self.count.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

fn hand_on(mut from: TcpStream, mut to: TcpStream, is_heard: impl Fn() -> bool) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if is_heard() && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn the_function_of_the_guide_goes_on_where_it_was_whatever_happens() {
    if !is_installed() {
        return say_skipped(
            "the guide's function in a browser (chromium, Node.js or playwright-core is not installed)",
        );
    }
    let guide = project("docs/rest.md");
    let script = guide.split("```js\n").nth(1).unwrap().split("```").next().unwrap();
    let shell = world();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (bind, origin) = (format!("127.0.0.1:{port}"), format!("http://localhost:{port}"));
    let serve = || {
        let arguments = ["--db", "test.db", "--bind", &bind, "--cors-origins", &origin];
        Server::start(&shell.path(""), &arguments, &[("SECRET_KEY", SECRET)])
    };
    let send = |content: &str| drop(shell.done(&format!("message send team {content} --as ann")));
    let mut server = serve();
    let (token, _) = server.log_in("bob", "correct horse 8");
    let keys = Keys::new(SECRET.as_bytes(), None).unwrap();
    let now = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
        Timestamp(now.try_into().unwrap())
    };
    let claims = keys.verify(&token, now()).unwrap();
    let mut page = Page::new(script, &origin, server.address(), &shell.path(""));
    // It answers when the browser has started, which may take long.
    page.tell(&format!("token {token}"));

    // A token whose ten minutes are over while the page listens: it goes on with the next one.
    let short = keys
        .sign(claims.user, claims.login, claims.generation, now().plus_seconds(25 - LIFETIME), claims.user.0)
        .unwrap();
    page.tell(&format!("token {short}"));
    page.tell("open");
    send("one");
    page.has_heard(&["one"]);
    page.tell(&format!("token {token}"));
    until("the token has expired", || server.get("/api/users/me/", &short).status == 401);
    send("two");
    page.has_heard(&["one", "two"]);

    // The server is killed; what is written before it is back is not lost.
    server.signal(Signal::KILL);
    server.process.wait().unwrap();
    send("three");
    server = serve();
    page.has_heard(&["one", "two", "three"]);

    // The page sleeps, and its connection is gone when it wakes up.
    page.tell("freeze");
    drop(server);
    send("four");
    server = serve();
    send("five");
    page.tell("thaw");
    page.has_heard(&["one", "two", "three", "four", "five"]);
    drop(page);

    // A connection that is dead without a word is noticed by its silence; here after 3 seconds instead of 40.
    let relay = Relay::to(server.address());
    let impatient = script.replace("40_000", "3_000");
    assert_ne!(impatient, script);
    let mut page = Page::new(&impatient, &origin, relay.address, &shell.path(""));
    page.tell(&format!("token {token}"));
    page.tell("open");
    send("six");
    page.has_heard(&["six"]);
    relay.silence();
    send("seven");
    page.has_heard(&["six", "seven"]);
}
