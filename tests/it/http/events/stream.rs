//! A stream of events as a client reads it.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{Reply, Server};

/// How long a test waits for what has to come
pub(in crate::http) const PATIENCE: Duration = Duration::from_secs(40);

/// What a stream says: an event of the log, a bookmark, a reset or its end
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct Event {
    pub(in crate::http) id: Option<String>,
    pub(in crate::http) name: String,
    pub(in crate::http) data: Value,
}

/// A stream that was opened
pub(in crate::http) struct Stream {
    /// The head of the response
    pub(in crate::http) head: Reply,
    /// How long to wait before coming again, in milliseconds
    pub(in crate::http) retry: u64,
    /// What it began with: a bookmark or a reset
    pub(in crate::http) first: Event,
    /// The newest cursor
    pub(in crate::http) cursor: String,
    body: BufReader<Body>,
}

impl Stream {
    /// Opens a stream with a token.
    pub(in crate::http) fn open(server: &Server, query: &str, token: &str) -> Self {
        Self::ask(server, query, token, &[]).unwrap_or_else(|reply| panic!("{}", String::from_utf8_lossy(&reply.bytes)))
    }

    /// Opens a stream behind a cursor, as `EventSource` does when it comes again.
    pub(in crate::http) fn resume(server: &Server, query: &str, token: &str, cursor: &str) -> Self {
        let stream = Self::ask(server, query, token, &[("Last-Event-ID", cursor)]);
        stream.unwrap_or_else(|reply| panic!("{}", String::from_utf8_lossy(&reply.bytes)))
    }

    /// Asks for a stream; without a token where that is empty. The answer, where it is another.
    pub(in crate::http) fn ask(
        server: &Server,
        query: &str,
        token: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Reply> {
        let authorization = format!("Bearer {token}");
        let mut all = headers.to_vec();
        if !token.is_empty() {
            all.push(("Authorization", &authorization));
        }
        Self::ask_at(server.address(), query, &all)
    }

    /// The same with these headers, at an address that need not be the server's own
    pub(in crate::http) fn ask_at(address: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Result<Self, Reply> {
        Self::ask_path(address, &format!("/api/events/{query}"), headers)
    }

    /// The same at another path
    pub(in crate::http) fn ask_path(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, Reply> {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n");
        for (name, value) in headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        socket.write_all(&[request.as_bytes(), b"\r\n"].concat()).unwrap();
        let mut socket = BufReader::new(socket);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            assert!(socket.read_until(b'\n', &mut head).unwrap() > 0, "{}", String::from_utf8_lossy(&head));
        }
        let mut head = Reply::parse(&[&head[..], b"0\r\n\r\n"].concat()).unwrap();
        head.bytes.clear();
        if head.status != 200 {
            let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
            head.bytes.resize(length, 0);
            socket.read_exact(&mut head.bytes).unwrap();
            return Err(head);
        }
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        let body = BufReader::new(Body { socket, left: 0, is_over: false });
        let first = Event { id: None, name: String::new(), data: Value::Null };
        let mut stream = Self { head, retry: 0, first, cursor: String::new(), body };
        stream.first = stream.next().unwrap().expect("something to begin with");
        Ok(stream)
    }

    /// The next that it says; none at its end, an error where it breaks off.
    pub(in crate::http) fn next(&mut self) -> io::Result<Option<Event>> {
        let mut event = Event { id: None, name: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            if self.body.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("retry", value)) => self.retry = value.parse().unwrap(),
                Some(("id", value)) => event.id = Some(value.to_owned()),
                Some(("event", value)) => value.clone_into(&mut event.name),
                Some(("data", value)) => event.data = serde_json::from_str(value).unwrap(),
                None if line == "\n" && event.name.is_empty() => {}
                None if line == "\n" => {
                    if let Some(id) = &event.id {
                        self.cursor.clone_from(id);
                    }
                    return Ok(Some(event));
                }
                _ => panic!("not of the format: {line:?}"),
            }
        }
    }

    /// The next that it says besides bookmarks; none at its end, an error where it breaks off.
    pub(in crate::http) fn next_heard(&mut self) -> io::Result<Option<Event>> {
        let start = Instant::now();
        loop {
            let next = self.next()?;
            if next.as_ref().is_none_or(|event| event.name != "bookmark") {
                return Ok(next);
            }
            assert!(start.elapsed() < PATIENCE, "nothing but bookmarks");
        }
    }

    /// The next that it says besides bookmarks
    pub(in crate::http) fn heard(&mut self) -> Event {
        self.next_heard().unwrap().expect("an event before the end")
    }

    /// The content of the message that was sent, if that is the next event
    pub(in crate::http) fn content(&mut self) -> String {
        let event = self.heard();
        assert_eq!(event.name, "message.created", "{event:?}");
        event.data["message"]["content"].as_str().unwrap().to_owned()
    }

    /// The reason it ends for, which is the last that it says, and whatever it said before
    pub(in crate::http) fn end(&mut self) -> (String, Vec<Event>) {
        let (reason, before) = self.rest();
        (reason.expect("a reason"), before)
    }

    /// The same; without a reason where it breaks off.
    pub(in crate::http) fn rest(&mut self) -> (Option<String>, Vec<Event>) {
        let mut before = Vec::new();
        while let Ok(event) = self.next_heard() {
            let event = event.expect("a reason before the end");
            if event.name == "end" {
                assert_eq!(event.id, None, "a reason is no place to go on from");
                assert!(self.next().unwrap().is_none(), "the end is the end");
                return (Some(event.data["reason"].as_str().unwrap().to_owned()), before);
            }
            before.push(event);
        }
        (None, before)
    }
}

/// A body that comes in chunks
struct Body {
    socket: BufReader<TcpStream>,
    /// Of the chunk that is being read
    left: usize,
    is_over: bool,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 && !self.is_over {
            let mut line = String::new();
            if self.socket.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            // Behind each chunk is the end of a line.
            if let length @ 1.. = line.trim_end().len() {
                self.left = usize::from_str_radix(&line[..length], 16).unwrap();
                self.is_over = self.left == 0;
            }
        }
        let most = buffer.len().min(self.left);
        let count = self.socket.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        Ok(count)
    }
}
