//! A connection's bytes.
//!
//! What hyper cannot read as a request it answers by itself, with a bare status. Such an answer is replaced on its way by the
//! problem document that every other error has.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::HeaderMap;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;

use super::connection::Connection;
use super::middleware::OF_EVERY_ANSWER;
use super::problem;
use crate::error::{Error, Kind};
use crate::service::login::Client;

/// How long a client may read nothing before its connection is closed
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a refused client may continue to send
const LINGER: Duration = Duration::from_secs(2);

/// How many bytes the kernel keeps for a client that gets a stream and does not read: unless told, it took 2.6 MB for each
const KEPT_OF_STREAM: usize = 32 * 1024;

/// How many bytes in parts are copied into one: so few are sent faster in one piece than gathered by the kernel
const TOGETHER: usize = 2048;

/// A connection, whichever way it came.
pub(crate) struct Io {
    stream: Stream,
    connection: Connection,
    /// The kernel keeps little for it
    is_narrow: bool,
    /// The bytes that replace hyper's own error response, and how far they are written
    instead: Option<(Vec<u8>, usize)>,
    /// When the time is up for a client that does not read on
    stalled: Option<Pin<Box<Sleep>>>,
    /// The CORS headers of that response
    cors: HeaderMap,
}

enum Stream {
    Tcp(TokioIo<TcpStream>),
    Unix(TokioIo<UnixStream>),
}

/// Delegates to the stream, whichever it is.
macro_rules! stream {
    ($io:expr, $stream:ident => $call:expr) => {
        match &mut $io.get_mut().stream {
            Stream::Tcp($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            Stream::Unix($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
        }
    };
}

/// The addresses of both sides of a connection
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketAddrs {
    pub(crate) peer: Client,
    /// None of a Unix socket
    pub(crate) local: Option<IpAddr>,
}

impl Io {
    pub(crate) fn tcp(stream: TcpStream, connection: Connection, cors: HeaderMap) -> Self {
        Self::new(Stream::Tcp(TokioIo::new(stream)), connection, cors)
    }

    pub(crate) fn unix(stream: UnixStream, connection: Connection, cors: HeaderMap) -> Self {
        Self::new(Stream::Unix(TokioIo::new(stream)), connection, cors)
    }

    fn new(stream: Stream, connection: Connection, cors: HeaderMap) -> Self {
        Self { stream, connection, is_narrow: false, instead: None, stalled: None, cors }
    }

    /// Has the kernel keep little for a client that gets a stream.
    fn narrow(&mut self) {
        if self.is_narrow || !self.connection.carries_stream() {
            return;
        }
        self.is_narrow = true;
        // Where that cannot be, it keeps more.
        let _ = match &self.stream {
            Stream::Tcp(stream) => set_socket_send_buffer_size(stream.inner(), KEPT_OF_STREAM),
            Stream::Unix(stream) => set_socket_send_buffer_size(stream.inner(), KEPT_OF_STREAM),
        };
    }

    pub(crate) fn addrs(&self) -> SocketAddrs {
        match &self.stream {
            Stream::Tcp(stream) => SocketAddrs {
                peer: stream
                    .inner()
                    .peer_addr()
                    .map_or(Client::Unknown, |address| Client::At(address.ip().to_canonical())),
                local: stream.inner().local_addr().ok().map(|address| address.ip().to_canonical()),
            },
            Stream::Unix(_) => SocketAddrs { peer: Client::Socket, local: None },
        }
    }

    /// Writes the response for a request that was not complete in time.
    pub(crate) async fn time_out(&mut self) {
        let answer = bare(&too_slow(), &self.cors);
        // A client that does not read either is not waited for.
        let _ = match &mut self.stream {
            Stream::Tcp(stream) => tokio::time::timeout(LINGER, stream.inner_mut().write_all(&answer)).await,
            Stream::Unix(stream) => tokio::time::timeout(LINGER, stream.inner_mut().write_all(&answer)).await,
        };
    }

    /// Reads and discards for a while: closing a connection with unread bytes would lose the response.
    pub(crate) async fn linger(self) {
        let _ = match self.stream {
            Stream::Tcp(stream) => tokio::time::timeout(LINGER, drain(stream.into_inner())).await,
            Stream::Unix(stream) => tokio::time::timeout(LINGER, drain(stream.into_inner())).await,
        };
    }
}

async fn drain(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.shutdown().await?;
    let mut bytes = vec![0; 16 * 1024];
    while stream.read(&mut bytes).await? > 0 {}
    Ok(())
}

/// The error for a request that was not complete in time.
pub(crate) fn too_slow() -> Error {
    Error::of_request(Kind::Timeout, "The request was not complete in time.")
}

/// How large the head of a request may be
pub(crate) const HEAD_LIMIT: usize = 32 * 1024;

/// The head of a request is too large.
pub(crate) fn too_long() -> Error {
    let detail = "The path and the headers have more than 32 KiB, or there are more than 100 headers.";
    Error::of_request(Kind::HeadersTooLarge, detail)
}

/// A whole answer, for a connection that ends with it.
fn bare(error: &Error, cors: &HeaderMap) -> Vec<u8> {
    let body = problem::body(error);
    let status = error.problem();
    let mut head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n",
        status.status,
        status.title,
        problem::MEDIA_TYPE,
        body.len()
    );
    for (name, value) in &OF_EVERY_ANSWER {
        head.extend([name.as_str(), ": ", value, "\r\n"]);
    }
    for (name, value) in cors {
        head.extend([name.as_str(), ": ", value.to_str().unwrap_or_default(), "\r\n"]);
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}

/// What to say instead of a bare answer of hyper's; none of any other bytes.
fn instead_of(bytes: &[u8], cors: &HeaderMap) -> Option<Vec<u8>> {
    let status = bytes.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    let is_bare = || bytes.ends_with(b"\r\n\r\n") && bytes.windows(19).any(|part| part == b"content-length: 0\r\n");
    let error = match status {
        b"00" if is_bare() => Error::of_fields("That is not an HTTP/1.1 request.", Vec::new()),
        b"14" | b"31" if is_bare() => too_long(),
        _ => return None,
    };
    Some(bare(&error, cors))
}

impl Read for Io {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        stream!(self, stream => stream.poll_read(context, buffer))
    }
}

impl Io {
    /// Ends the wait for a client that does not read.
    fn unless_stalled<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Writes the replacement of `length` bytes of hyper's.
    fn write_instead(self: Pin<&mut Self>, context: &mut Context<'_>, length: usize) -> Poll<io::Result<usize>> {
        let io = self.get_mut();
        while let Some((bytes, written)) = &mut io.instead {
            let rest = &bytes[*written..];
            if rest.is_empty() {
                io.instead = None;
                break;
            }
            let poll = match &mut io.stream {
                Stream::Tcp(stream) => Pin::new(stream).poll_write(context, rest),
                Stream::Unix(stream) => Pin::new(stream).poll_write(context, rest),
            };
            match poll {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(length))
    }
}

/// The parts in one piece, where they are small.
fn gathered<'w>(parts: &[io::IoSlice<'_>], whole: &'w mut [u8; TOGETHER]) -> Option<&'w [u8]> {
    let mut length = 0;
    for part in parts {
        whole.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    Some(&whole[..length])
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.narrow();
        if self.instead.is_none() {
            self.instead = instead_of(bytes, &self.cors).map(|bytes| (bytes, 0));
        }
        let poll = if self.instead.is_some() {
            self.as_mut().write_instead(context, bytes.len())
        } else {
            stream!(self.as_mut(), stream => stream.poll_write(context, bytes))
        };
        self.unless_stalled(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = parts {
            return self.poll_write(context, only);
        }
        self.narrow();
        let mut whole = [0; TOGETHER];
        let poll = match gathered(parts, &mut whole) {
            Some(whole) => stream!(self.as_mut(), stream => stream.poll_write(context, whole)),
            None => stream!(self.as_mut(), stream => stream.poll_write_vectored(context, parts)),
        };
        self.unless_stalled(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream!(self, stream => stream.poll_shutdown(context))
    }
}
