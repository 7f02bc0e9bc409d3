//! A server as its users have it: a process of its own, asked over a socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};

/// A server that runs, and is gone at the end
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) url: String,
    /// What the ready line says, by user
    pub(crate) tokens: Map<String, Value>,
    log: Arc<Mutex<Vec<u8>>>,
    /// Where its database lies, if that is to be gone with it
    folder: Option<tempfile::TempDir>,
}

/// What a server answers
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) bytes: Vec<u8>,
}

impl Server {
    /// A server on a temporary database with that fixture, with tokens for these users
    pub(crate) fn ephemeral(fixture: &str, users: &[&str], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("world.yaml");
        std::fs::write(&file, fixture).unwrap();
        let mut all = vec!["--ephemeral", "--fixture", file.to_str().unwrap()];
        let users = users.join(",");
        if !users.is_empty() {
            all.extend(["--token-for", &users]);
        }
        all.extend(arguments);
        // A server that is killed leaves its database, in this folder.
        let mut server = Self::start(folder.path(), &all, &[("TMPDIR", folder.path().to_str().unwrap())]);
        server.folder = Some(folder);
        server
    }

    /// A server on the database `test.db` of a folder
    pub(crate) fn on(folder: &Path, arguments: &[&str]) -> Self {
        Self::start(folder, &[&["--db", "test.db"], arguments].concat(), &[])
    }

    /// Starts a server in a folder, with nothing in its environment but these variables.
    pub(crate) fn start(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Self::command(folder, arguments, environment);
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let mut said = String::new();
            let _ = process.stderr.take().unwrap().read_to_string(&mut said);
            panic!("{error}: {line}{said}")
        });
        // What it logs is read, or it would wait to be.
        let mut stderr = process.stderr.take().unwrap();
        let log = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                kept.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        let url = ready["url"].as_str().unwrap().to_owned();
        let tokens = ready["tokens"].as_object().cloned().unwrap_or_default();
        Self { process, url, tokens, log, folder: None }
    }

    /// The command that starts a server on any free port
    pub(crate) fn command(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().env("HOME", folder).env("USER", "root").envs(environment.iter().copied());
        command.current_dir(folder).args(["serve", "--ready-json"]).args(arguments);
        if !arguments.contains(&"--bind") {
            command.args(["--bind", "127.0.0.1:0"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The token of a user
    pub(crate) fn token(&self, user: &str) -> &str {
        self.tokens[user].as_str().unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("http://").parse().unwrap()
    }

    /// What it logged until now
    pub(crate) fn log(&self) -> String {
        String::from_utf8(self.log.lock().unwrap().clone()).unwrap()
    }

    /// Logs in; returns the access and the refresh token.
    pub(crate) fn log_in(&self, username: &str, password: &str) -> (String, String) {
        let pair = self.post("/api/token/", "", &json!({ "username": username, "password": password }));
        let pair = pair.expect(200).json();
        let token = |name: &str| pair[name].as_str().unwrap().to_owned();
        (token("access"), token("refresh"))
    }

    /// A number that Linux tells of the process, for example `VmHWM`, in KiB
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub(crate) fn get(&self, path: &str, token: &str) -> Reply {
        self.ask("GET", path, token, &[], None)
    }

    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> Reply {
        self.ask("POST", path, token, &[], Some(body))
    }

    /// Asks for what is for test suites alone.
    pub(crate) fn test(&self, what: &str) -> Reply {
        self.ask("POST", &format!("/test/{what}"), "", &[("Tidings-Test", "1")], None)
    }

    /// Sends a request; without a token where that is empty.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let authorization = format!("Bearer {token}");
        let mut all = headers.to_vec();
        if !token.is_empty() {
            all.push(("Authorization", &authorization));
        }
        let content = body.map(ToString::to_string).unwrap_or_default();
        if body.is_some() {
            all.push(("Content-Type", "application/json"));
        }
        self.send(method, path, &all, content.as_bytes())
    }

    /// Sends a request with these headers and bytes.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let path = path.strip_prefix(&self.url).unwrap_or(path);
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.extend(["Host: ", &self.address().to_string(), "\r\n"]);
        }
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let request = [head.as_bytes(), b"\r\n", body].concat();
        Reply::parse(&self.exchange(&request)).unwrap_or_else(|| panic!("no answer to {method} {path}"))
    }

    /// Sends bytes and returns whatever comes until the connection ends.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        // It may answer, and close, before it was told everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// Lets the server end as an operator would; returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.process.wait().unwrap().code()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

/// A connection for many requests, one after the other
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        Ok(Self { stream: BufReader::new(stream), host: address })
    }

    /// Sends a request and waits for the answer; an error where there is none.
    pub(crate) fn ask(&mut self, method: &str, path: &str, token: &str, body: &str) -> std::io::Result<Reply> {
        self.ask_with(method, path, &[], token, body)
    }

    /// The same with more headers
    pub(crate) fn ask_with(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        token: &str,
        body: &str,
    ) -> std::io::Result<Reply> {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n",
            self.host,
            body.len()
        );
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.extend(["\r\n", body]);
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.answer()
    }

    /// Waits for the answer to a request that was sent.
    pub(crate) fn answer(&mut self) -> std::io::Result<Reply> {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if self.stream.read_until(b'\n', &mut answer)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let mut reply = Reply::parse(&answer).unwrap();
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        reply.bytes.resize(length, 0);
        self.stream.read_exact(&mut reply.bytes)?;
        Ok(reply)
    }

    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        self.stream.get_mut()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        drop(self.folder.take());
    }
}

impl Reply {
    pub(crate) fn parse(answer: &[u8]) -> Option<Self> {
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&answer[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        let headers = lines.filter_map(header).collect();
        let mut reply = Self { status, headers, bytes: answer[end + 4..].to_vec() };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.bytes = unchunked(&reply.bytes)?;
        }
        Some(reply)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where there is none
    pub(crate) fn json(&self) -> Value {
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    /// The same, where the status is that one
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    /// Fails unless it is a problem document of that status and kind; returns it.
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status, &problem["code"]), (status, &json!(code)), "{problem}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        problem
    }
}

/// The body that was sent in pieces; none where its end is missing
fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|part| part == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?, 16).ok()?;
        bytes = &bytes[end + 2..];
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(..length)?);
        bytes = bytes.get(length + 2..)?;
    }
}
