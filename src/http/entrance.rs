//! What a request to an endpoint goes through before its handler: who sends it, how often they may, and only then its body.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, EXPECT};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::Shared;
use super::endpoint::{Access, Endpoint, Limited};
use super::io::too_slow;
use super::problem::Problem;
use super::request::{Caller, idempotency_key, no_credentials};
use crate::error::{Error, Kind};
use crate::service::Once;
use crate::service::login::Client;

/// How large a body may be: the longest message with every byte of it escaped needs 393,216 bytes.
pub(super) const BODY_LIMIT: usize = 1024 * 1024;

/// How much of a body that is too large is read and thrown away, so that whoever sends it gets to read the answer
const DRAINED: usize = 8 * 1024 * 1024;

/// Larger ones are not all read at once: what thousands of connections begin to send would fill the memory.
const SMALL_BODY: usize = 16 * 1024;

/// How long a body may take
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// How much of a large body comes at least in a while, or its place goes to whoever waits for one
const PACE: usize = 16 * 1024;

/// That while
const WHILE: Duration = Duration::from_secs(1);

/// Whether bytes of a request were left unread, on its connection
#[derive(Clone)]
pub(super) struct Unread(pub(super) Arc<AtomicBool>);

/// What an endpoint asks of a request.
#[derive(Clone, Copy)]
pub(super) struct Entrance {
    access: Access,
    limit: Option<Limited>,
    is_repeatable: bool,
}

impl Entrance {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        Self { access: endpoint.access, limit: endpoint.limit, is_repeatable: endpoint.is_repeatable }
    }
}

/// Lets a request in, with its whole body.
pub(super) async fn enter(
    State((server, entrance)): State<(Shared, Entrance)>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = match entrance.access {
        Access::Anyone => None,
        Access::AnyoneOrUser | Access::User => Caller::of(&parts, &server)?,
    };
    if caller.is_none() && entrance.access == Access::User {
        return Err(no_credentials().into());
    }
    let client = parts.extensions.get().copied().unwrap_or(Client::Unknown).network();
    if let Some(limit) = entrance.limit {
        limit(&server.limits).take(&client)?;
    }
    let key = if entrance.is_repeatable { idempotency_key(&parts.headers)? } else { None };
    let content = if body.is_end_stream() {
        Vec::new()
    } else if parts.headers.contains_key(EXPECT) && body.size_hint().lower() > BODY_LIMIT as u64 {
        // Whoever asks first has not sent it yet.
        return Err(too_large().into());
    } else if parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let detail = "A body is to be sent as it is, without a Content-Encoding.";
        return Err(Error::of_request(Kind::UnsupportedMediaType, detail).into());
    } else {
        let reading = timeout(BODY_TIMEOUT, read(&server, client, caller.as_ref(), body));
        let content = reading.await.unwrap_or_else(|_| Err(too_slow()))?;
        if let Some(Unread(is_unread)) = parts.extensions.get() {
            is_unread.store(false, Ordering::Relaxed);
        }
        content
    };
    if let Some(key) = key {
        let path = parts.uri.path().trim_end_matches('/');
        let (request, earlier) = server.keys.hash_request([b"POST", path.as_bytes(), &content]);
        parts.extensions.insert(Once { key, request, earlier });
    }
    if let Some(caller) = caller {
        parts.extensions.insert(caller);
    }
    Ok(next.run(Request::from_parts(parts, Body::from(content))).await)
}

/// Reads a body up to the limit. A large one needs a place among all that are read, and among those of its client, and keeps it
/// while nobody waits for one, or else as long as it comes at some pace.
async fn read(server: &Shared, client: Client, caller: Option<&Caller>, mut body: Body) -> Result<Vec<u8>, Error> {
    if body.size_hint().lower() > BODY_LIMIT as u64 {
        return Err(drain(body, 0).await);
    }
    let mut content = Vec::new();
    while content.len() <= SMALL_BODY {
        match next(&mut body).await? {
            Some(data) => content.extend_from_slice(&data),
            None => return Ok(content),
        }
    }
    if let Some(caller) = caller {
        // Places are for those whose token still counts.
        server.read(caller.clone(), |_, _| Ok(())).await?;
    }
    let place = server.bodies.take(client).await;
    let (mut since, mut before) = (Instant::now(), content.len());
    while content.len() <= BODY_LIMIT {
        match timeout_at(since + WHILE, next(&mut body)).await {
            Ok(Ok(Some(data))) => content.extend_from_slice(&data),
            Ok(Ok(None)) => return Ok(content),
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
        if since.elapsed() >= WHILE {
            if content.len() < before + PACE && place.is_wanted() {
                return Err(too_slow());
            }
            (since, before) = (Instant::now(), content.len());
        }
    }
    drop(place);
    Err(drain(body, content.len()).await)
}

/// Throws the rest of a body away, of which so many bytes were read, up to a limit.
async fn drain(mut body: Body, mut length: usize) -> Error {
    while length <= DRAINED {
        match next(&mut body).await {
            Ok(Some(data)) => length += data.len(),
            Ok(None) => break,
            Err(error) => return error,
        }
    }
    too_large()
}

/// The next piece of a body; none behind its end
async fn next(body: &mut Body) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Error::of_fields("The body broke off.", Vec::new()))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn too_large() -> Error {
    Error::of_request(Kind::TooLarge, format!("The body has more than {BODY_LIMIT} bytes."))
}
