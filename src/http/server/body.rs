//! Bodies of requests: how large they may be, how long they may take, and how many large ones are read at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::caller::Caller;
use super::io::too_slow;
use super::turns::COME_AGAIN;
use crate::error::{Error, Kind};
use crate::service::login::Client;

/// How large a body may be: the longest message with every byte of it escaped needs 393,216 bytes.
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

/// How much of a body that is too large is read and thrown away, so that its sender gets to read the answer
const DRAINED: usize = 8 * 1024 * 1024;

/// The size up to which a body needs no slot, in bytes: large bodies of thousands of connections would fill the memory.
pub(crate) const SMALL_BODY: usize = 16 * 1024;

/// How long a body may take
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a large body comes at least in a while, or its slot goes to another that waits for one
const PACE: usize = 16 * 1024;

/// That while
const WHILE: Duration = Duration::from_secs(1);

/// How many large bodies are read at once; a client has a quarter of these slots
pub(crate) const LARGE_BODIES: usize = 64;

/// Whether bytes of a request were left unread, on its connection
#[derive(Clone)]
pub(crate) struct Unread(pub(crate) Arc<AtomicBool>);

/// Reads a body up to `limit` bytes. A large one takes a slot, of all and of its client's share, and keeps it while no
/// other body waits or data keeps arriving.
///
/// # Errors
/// `Timeout` if it does not come to its end in time, what it waits for here aside; `Unavailable` if it waits too long.
pub(crate) async fn read(
    server: &Shared,
    client: Client,
    caller: Option<&Caller>,
    limit: usize,
    body: Body,
) -> Result<Vec<u8>, Error> {
    let mut coming = Coming { body, limit, deadline: Instant::now() + BODY_TIMEOUT };
    if coming.body.size_hint().lower() > limit as u64 {
        return Err(coming.drain(0).await);
    }
    let mut content = Vec::new();
    while content.len() <= SMALL_BODY {
        match coming.next().await? {
            Some(data) => content.extend_from_slice(&data),
            None => return Ok(content),
        }
    }
    if content.len() > limit {
        return Err(coming.drain(content.len()).await);
    }
    let waiting = Instant::now();
    if let Some(caller) = caller {
        // Slots are only for clients with a valid token.
        server.read(caller.clone(), |_, _| Ok(())).await?;
    }
    let slot = timeout(server.options.database_wait, server.bodies.take(client)).await;
    let slot = slot.map_err(|_| Error::busy("Too many large bodies are being sent.", COME_AGAIN))?;
    // Nothing of it is read meanwhile.
    coming.deadline += waiting.elapsed();
    let (mut since, mut before) = (Instant::now(), content.len());
    while content.len() <= limit {
        match timeout_at(since + WHILE, coming.next()).await {
            Ok(Ok(Some(data))) => content.extend_from_slice(&data),
            Ok(Ok(None)) => return Ok(content),
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
        if since.elapsed() >= WHILE {
            if content.len() < before + PACE && slot.is_wanted() {
                return Err(too_slow());
            }
            (since, before) = (Instant::now(), content.len());
        }
    }
    drop(slot);
    Err(coming.drain(content.len()).await)
}

/// A body that is being read, and when it has to be here
struct Coming {
    body: Body,
    limit: usize,
    deadline: Instant,
}

impl Coming {
    /// The next piece; none behind its end
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = timeout_at(self.deadline, self.body.frame()).await.map_err(|_| too_slow())? {
            let frame = frame.map_err(|_| Error::of_fields("The body ended early.", Vec::new()))?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Throws the rest away, where so many bytes were read, up to a limit.
    async fn drain(mut self, mut length: usize) -> Error {
        while length <= DRAINED {
            match self.next().await {
                Ok(Some(data)) => length += data.len(),
                Ok(None) => break,
                Err(error) => return error,
            }
        }
        too_large(self.limit)
    }
}

pub(crate) fn too_large(limit: usize) -> Error {
    Error::of_request(Kind::TooLarge, format!("The body has more than {limit} bytes."))
}
