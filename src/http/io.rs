//! A connection's bytes.
//!
//! What hyper cannot read as a request it answers by itself, with a bare status. Such an answer is replaced on its way by the
//! problem document that every other error has.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};

use super::problem;
use crate::error::{Error, Kind};

/// A connection, whichever way it came.
pub(super) struct Io {
    stream: Stream,
    /// What is written in place of what hyper would say, and how far it is
    instead: Option<(Vec<u8>, usize)>,
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

/// Both ends of a connection; none of a Unix socket
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub(super) peer: Option<IpAddr>,
    pub(super) local: Option<IpAddr>,
}

impl Io {
    pub(super) fn tcp(stream: TcpStream) -> Self {
        Self { stream: Stream::Tcp(TokioIo::new(stream)), instead: None }
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self { stream: Stream::Unix(TokioIo::new(stream)), instead: None }
    }

    pub(super) fn ends(&self) -> Ends {
        match &self.stream {
            Stream::Tcp(stream) => Ends {
                peer: stream.inner().peer_addr().ok().map(|address| address.ip().to_canonical()),
                local: stream.inner().local_addr().ok().map(|address| address.ip().to_canonical()),
            },
            Stream::Unix(_) => Ends::default(),
        }
    }

    /// Says that a request did not come to its end in time.
    pub(super) async fn time_out(self) {
        use tokio::io::AsyncWriteExt;
        let answer = bare(&too_slow());
        let _ = match self.stream {
            Stream::Tcp(stream) => stream.into_inner().write_all(&answer).await,
            Stream::Unix(stream) => stream.into_inner().write_all(&answer).await,
        };
    }
}

/// A request did not come to its end in time.
pub(super) fn too_slow() -> Error {
    Error::of_request(Kind::Timeout, "The request did not come to its end in time.")
}

/// A whole answer, for a connection that ends with it.
fn bare(error: &Error) -> Vec<u8> {
    let body = problem::body(error);
    let status = error.problem();
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.status,
        status.title,
        problem::MEDIA_TYPE,
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// What to say instead of a bare answer of hyper's; none of any other bytes.
fn instead_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let status = bytes.strip_prefix(b"HTTP/1.1 4")?.get(..2)?;
    let is_bare = || bytes.ends_with(b"\r\n\r\n") && bytes.windows(19).any(|part| part == b"content-length: 0\r\n");
    let error = match status {
        b"00" if is_bare() => Error::of_fields("That is no request of HTTP/1.1.", Vec::new()),
        b"14" | b"31" if is_bare() => {
            Error::of_request(Kind::HeadersTooLarge, "The path and the headers are too long.")
        }
        _ => return None,
    };
    Some(bare(&error))
}

impl Read for Io {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        stream!(self, stream => stream.poll_read(context, buffer))
    }
}

impl Io {
    /// Writes what takes the place of `length` bytes of hyper's.
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

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = instead_of(bytes).map(|bytes| (bytes, 0));
        }
        if self.instead.is_some() {
            return self.write_instead(context, bytes.len());
        }
        stream!(self, stream => stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = parts {
            return self.poll_write(context, only);
        }
        stream!(self, stream => stream.poll_write_vectored(context, parts))
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
