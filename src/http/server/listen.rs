//! Connections: listening, limits, timeouts, and the end.
//!
//! The threads share the connections: where the scheduler has taken one of them off its core, the others answer. With connections that
//! belong to one thread each, one in a hundred requests waits for that.

use std::convert::Infallible;
use std::fs::Permissions;
use std::future::poll_fn;
use std::net::{TcpListener, ToSocketAddrs};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, socket_with};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::answers::Answers;
use super::body::Unread;
use super::connection::Connection;
use super::io::{HEAD_LIMIT, Io};
use super::{Shared, middleware, retention};
use crate::error::{Error, Result};
use crate::model::Timestamp;

/// How long the head of a request may take, and a connection may wait for the next request
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long accepted requests may take when the server stops
const LAST_REQUESTS: Duration = Duration::from_secs(30);

/// How long connections in the kernel's backlog are accepted when the server stops
const LAST_CONNECTIONS: Duration = Duration::from_millis(10);

/// The length of the kernel's backlog: with a shorter one clients retry after a second, and clients of a Unix socket
/// fail
const LINE: i32 = 4096;

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    /// With its file, where the server made it
    Unix(UnixListener, Option<SocketFile>),
}

/// The file of a socket that the server made, removed when this is dropped, unless another has replaced it since
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// The numbers of its disk and of the file on it
    number: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self { path: path.to_owned(), number: number(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if number(&self.path).is_ok_and(|number| number == self.number) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn number(path: &Path) -> std::io::Result<(u64, u64)> {
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}

impl Listener {
    /// Listens at `HOST:PORT` (port 0: any), or at a path, with this mode of the socket.
    ///
    /// # Errors
    /// `Unavailable` if that is taken, or no address; `Forbidden` for an address that others can reach, unless they may.
    pub fn bind(address: &str, allow_remote: bool, socket_mode: u32) -> Result<Self> {
        let failed = |cause: std::io::Error| {
            Error::unavailable(format!("The server cannot listen at {address}: {cause}.")).with_source(cause)
        };
        if address.contains('/') {
            return bind_path(Path::new(address), socket_mode).map_err(failed);
        }
        let addresses: Vec<_> = address.to_socket_addrs().map_err(failed)?.collect();
        if !allow_remote && addresses.iter().any(|address| !address.ip().is_loopback()) {
            let detail = format!("Other machines could reach the server at {address}, without encryption.");
            return Err(Error::forbidden(detail).hint(
                "Put a proxy with TLS in front of 127.0.0.1 or of a socket. To listen there all the same: --allow-remote",
            ));
        }
        let listener = TcpListener::bind(addresses.as_slice()).map_err(failed)?;
        lengthen_line(&listener).map_err(failed)?;
        Ok(Self::Tcp(listener))
    }

    /// The socket that the parent process opened for this program, if it did (systemd's `LISTEN_FDS`).
    ///
    /// # Errors
    /// `Unavailable` if that is no socket that listens.
    pub fn given() -> Result<Option<Self>> {
        let failed = |cause: std::io::Error| {
            Error::unavailable(format!("The inherited socket cannot be used: {cause}.")).with_source(cause)
        };
        let mut given = listenfd::ListenFd::from_env();
        if given.len() == 0 {
            return Ok(None);
        }
        if let Ok(listener) = given.take_tcp_listener(0) {
            return Ok(listener.map(Self::Tcp));
        }
        let listener = given.take_unix_listener(0).map_err(failed)?;
        Ok(listener.map(|listener| Self::Unix(listener, None)))
    }

    /// Where clients find the server
    pub fn url(&self) -> String {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(_) => "http://".to_owned(),
            },
            Self::Unix(listener, _) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname()).unwrap_or(Path::new(""));
                format!("unix:{}", path.display())
            }
        }
    }
}

/// A socket that a server left behind is replaced; one that is answered is not. Nobody can connect to it before it has its
/// mode, whatever the umask.
fn bind_path(path: &Path, mode: u32) -> std::io::Result<Listener> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    match bind(&socket, &address) {
        Err(Errno::ADDRINUSE)
            // Whatever is no socket refuses too.
            if path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket())
                && std::os::unix::net::UnixStream::connect(path)
                    .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) =>
        {
            std::fs::remove_file(path)?;
            bind(&socket, &address)?;
        }
        bound => bound?,
    }
    let file = SocketFile::of(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    lengthen_line(&socket)?;
    Ok(Listener::Unix(UnixListener::from(socket), Some(file)))
}

fn lengthen_line(listener: &impl AsFd) -> std::io::Result<()> {
    Ok(rustix::net::listen(listener, LINE)?)
}

/// The signals that let a server stop, from the moment on that this is made: before that they end the process at once.
pub struct Stop {
    runtime: Runtime,
    signals: Vec<Signal>,
}

impl Stop {
    /// Holds SIGTERM and SIGINT back until `serve` handles them; for a temporary server SIGHUP too, because it has to
    /// clean up.
    ///
    /// # Errors
    /// `Internal` if the process cannot have a handler for them.
    pub fn new(at_hangup: bool) -> Result<Self> {
        let runtime = runtime()?;
        let kinds = [SignalKind::terminate(), SignalKind::interrupt()];
        let kinds = kinds.into_iter().chain(at_hangup.then(SignalKind::hangup));
        let signals = {
            let _inside = runtime.enter();
            kinds.map(signal).collect::<std::io::Result<_>>()
        };
        Ok(Self { runtime, signals: signals.map_err(Error::internal)? })
    }
}

/// As [`crate::http::serve`].
pub(crate) fn serve(
    server: &Shared,
    router: Router,
    listener: Listener,
    stop: Stop,
    ready: impl FnOnce() -> Result<()>,
    ends: impl Future<Output = ()>,
) -> Result<()> {
    let Stop { runtime, mut signals } = stop;
    if crate::app::clock() < Timestamp(0) {
        return Err(Error::unavailable("The clock of this machine shows a time before 1970.")
            .hint("Set it: timedatectl set-ntp true"));
    }
    let feed = server.feed.clone();
    runtime.spawn(async move { feed.deliver().await });
    runtime.spawn(retention::keep(Arc::clone(server)));
    let (close, closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    runtime.block_on(async {
        let (listener, file) = Accepting::new(listener)?;
        let answers = Answers::new(router);
        ready()?;
        {
            let mut accepting = pin!(accept(server, listener, &answers, &closing, &mut connections));
            let signalled = poll_fn(|context| {
                let is_signalled = signals.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
                if is_signalled { Poll::Ready(()) } else { Poll::Pending }
            });
            tokio::select! {
                never = &mut accepting => match never {},
                () = ends => {}
                () = signalled => {}
            }
            // The connections that came until now are answered.
            let _ = tokio::time::timeout(LAST_CONNECTIONS, accepting).await;
        }
        let _ = close.send(true);
        drop(file);
        server.feed.close();
        let _ = tokio::time::timeout(LAST_REQUESTS, async { while connections.join_next().await.is_some() {} }).await;
        Ok(())
    })
}

fn runtime() -> Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores)
        .thread_name("http")
        .on_thread_start(read_clock)
        .enable_all()
        .build()
        .map_err(Error::internal)
}

/// Has hyper read the clock once in this thread: at its first connection it does, and panics where that is before 1970 by then. Threads
/// for blocking work come here, too; they have no connections, so a wrong clock must not end them.
fn read_clock() {
    if crate::app::clock() < Timestamp(0) {
        return;
    }
    let (ours, theirs) = tokio::io::duplex(1);
    drop(theirs);
    let nothing = service_fn(async |_| Ok::<_, Infallible>(axum::response::Response::new(String::new())));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(ours), nothing).now_or_never();
}

enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Accepting {
    /// Also returns the file of the socket, if the server made it.
    fn new(listener: Listener) -> Result<(Self, Option<SocketFile>)> {
        let made = match listener {
            Listener::Tcp(listener) => listener
                .set_nonblocking(true)
                .and_then(|()| Ok((Self::Tcp(tokio::net::TcpListener::from_std(listener)?), None))),
            Listener::Unix(listener, file) => listener
                .set_nonblocking(true)
                .and_then(|()| Ok((Self::Unix(tokio::net::UnixListener::from_std(listener)?), file))),
        };
        made.map_err(Error::internal)
    }

    async fn next(&self, server: &Shared, connection: &Connection) -> std::io::Result<Io> {
        let connection = connection.clone();
        let cors = server.cors.unasked();
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without it a connection is slower.
                let _ = stream.set_nodelay(true);
                Io::tcp(stream, connection, cors)
            }
            Self::Unix(listener) => Io::unix(listener.accept().await?.0, connection, cors),
        })
    }
}

/// Accepts connections and answers their requests; beyond the limit they wait in the kernel's line.
async fn accept(
    server: &Shared,
    listener: Accepting,
    answers: &Answers,
    closing: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) -> Infallible {
    let slots = Arc::new(Semaphore::new(server.options.connections));
    loop {
        tokio::select! {
            (connection, io) = next(server, &listener, &slots) => {
                let counted = server.metrics.connected();
                let answering = converse(Arc::clone(server), answers.clone(), io, connection, closing.clone());
                connections.spawn(async move {
                    let _counted = counted;
                    answering.await;
                });
            }
            // Its memory is given back.
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The next connection, when there is a slot for it
async fn next(server: &Shared, listener: &Accepting, slots: &Arc<Semaphore>) -> (Connection, Io) {
    // The semaphore is never closed.
    let Ok(slot) = Arc::clone(slots).acquire_owned().await else { return std::future::pending().await };
    let connection = Connection::new(slot);
    loop {
        match listener.next(server, &connection).await {
            Ok(io) => return (connection, io),
            // The client is gone, or there are no file descriptors left: then some will be free soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Answers the requests of one connection.
async fn converse(server: Shared, answers: Answers, io: Io, connection: Connection, closing: watch::Receiver<bool>) {
    let addrs = io.addrs();
    let is_unread = Arc::new(AtomicBool::new(false));
    let unread = Unread(Arc::clone(&is_unread));
    let service = service_fn(move |request| {
        let of_connection = (connection.clone(), unread.clone());
        let answer = middleware::answer(Arc::clone(&server), answers.clone(), addrs, of_connection, request);
        Box::pin(async move { Ok::<_, Infallible>(answer.await) })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(io, service);
    let ended = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
        () = closed(closing) => {
            // What came until now is answered.
            match poll_fn(|context| Poll::Ready(connection.poll_without_shutdown(context))).await {
                Poll::Ready(ended) => ended,
                Poll::Pending => {
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                    poll_fn(|context| connection.poll_without_shutdown(context)).await
                }
            }
        }
    };
    let http1::Parts { mut io, read_buf, .. } = connection.into_parts();
    match ended {
        Ok(()) if !is_unread.load(Ordering::Relaxed) => return,
        // A connection that waits for its next request is closed without a response.
        Err(error) if error.is_timeout() && read_buf.is_empty() => return,
        Err(error) if error.is_timeout() => io.time_out().await,
        _ => {}
    }
    io.linger().await;
}

/// Waits until the server closes, and a moment longer for connections that came before.
async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|is_closing| *is_closing).await;
    // Before a timer, all that has come is seen.
    tokio::time::sleep(Duration::from_millis(1)).await;
}
