//! What a request to an endpoint goes through before its handler: who sends it, how often they may, and only then its body.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, EXPECT};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::Body as _;

use super::endpoint::{Access, Endpoint, Limited};
use super::request::idempotency_key;
use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::http::server::body::{BODY_LIMIT, Unread, read, too_large};
use crate::http::server::caller::{Caller, no_credentials};
use crate::http::server::problem::Problem;
use crate::service::IdempotentRequest;
use crate::service::login::Client;

/// What an endpoint asks of a request.
#[derive(Clone, Copy)]
pub(super) struct Entrance {
    access: Access,
    limit: Option<Limited>,
    takes_idempotency_key: bool,
}

impl Entrance {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        Self { access: endpoint.access, limit: endpoint.limit, takes_idempotency_key: endpoint.takes_idempotency_key }
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
        Access::AnyoneOrUser | Access::User | Access::UserOrTicket => Caller::of(&parts, &server)?,
    };
    if caller.is_none() && entrance.access == Access::User {
        return Err(no_credentials().into());
    }
    let client = parts.extensions.get().copied().unwrap_or(Client::Unknown).network();
    if let Some(limit) = entrance.limit {
        limit(&server.limits).take(&client)?;
    }
    let key = if entrance.takes_idempotency_key { idempotency_key(&parts.headers)? } else { None };
    let content = if body.is_end_stream() {
        Vec::new()
    } else if parts.headers.contains_key(EXPECT) && body.size_hint().lower() > BODY_LIMIT as u64 {
        // A client that asks first (`Expect: 100-continue`) has not sent it yet.
        return Err(too_large(BODY_LIMIT).into());
    } else if parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let detail = "A body must not have a Content-Encoding.";
        return Err(Error::of_request(Kind::UnsupportedMediaType, detail).into());
    } else {
        let content = read(&server, client, caller.as_ref(), BODY_LIMIT, body).await?;
        if let Some(Unread(is_unread)) = parts.extensions.get() {
            is_unread.store(false, Ordering::Relaxed);
        }
        content
    };
    if let Some(key) = key {
        let path = parts.uri.path().trim_end_matches('/');
        let (request, earlier) = server.keys.hash_request([b"POST", path.as_bytes(), &content]);
        parts.extensions.insert(IdempotentRequest { key, request, earlier });
    }
    if let Some(caller) = caller {
        parts.extensions.insert(caller);
    }
    Ok(next.run(Request::from_parts(parts, Body::from(content))).await)
}
