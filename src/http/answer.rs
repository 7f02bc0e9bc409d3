//! What is answered: JSON with an entity tag, lists with links to the pages around.

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Shared;
use super::problem::Problem;
use crate::error::Error;
use crate::model::{Message, Seek};
use crate::service::page::Page;

/// What a handler comes to
pub(super) type Answer = Result<Response, Problem>;

/// Room for what most answers need, so that they do not grow byte by byte
const ROOM: usize = 16 * 1024;

/// Something new, or something done, as JSON.
pub(super) fn json(status: StatusCode, thing: &impl Serialize) -> Answer {
    Ok((status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], written(thing)?).into_response())
}

fn written(thing: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut body, thing).map_err(Error::internal)?;
    Ok(body)
}

/// What a request asked to see, with an entity tag; to whoever has it already, that it is the same.
pub(super) fn shown(request: &HeaderMap, thing: &impl Serialize) -> Answer {
    tagged(request, StatusCode::OK, None, thing)
}

/// A message, whose entity tag begins with its revision.
pub(super) fn message(request: &HeaderMap, status: StatusCode, message: &Message) -> Answer {
    tagged(request, status, Some(message.revision), message)
}

fn tagged(request: &HeaderMap, status: StatusCode, revision: Option<i64>, thing: &impl Serialize) -> Answer {
    let body = written(thing)?;
    let hash = URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..12]);
    let tag = match revision {
        Some(revision) => format!("\"{revision}-{hash}\""),
        None => format!("\"{hash}\""),
    };
    let known = request.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    let is_known = known.is_some_and(|known| {
        known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    });
    let tag = HeaderValue::try_from(tag).map_err(|error| Error::internal(error.to_string()))?;
    if is_known && status == StatusCode::OK {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let media_type = HeaderValue::from_static("application/json");
    Ok((status, [(CONTENT_TYPE, media_type), (ETAG, tag)], body).into_response())
}

/// A part of a list, as the original system wrapped it.
#[derive(Serialize, JsonSchema)]
pub(super) struct List<T> {
    /// How many there are in all; where it is not that of a conversation's messages, up to 10,000
    count: i64,
    /// Where the page behind this one is
    next: Option<String>,
    /// Where the page before this one is
    previous: Option<String>,
    results: Vec<T>,
}

/// Where a request was sent to, for links to the pages around.
pub(super) struct Here {
    pub(super) headers: HeaderMap,
    path: String,
    query: String,
    scheme: &'static str,
}

impl FromRequestParts<Shared> for Here {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Problem> {
        let is_secure = server.options.behind_proxy
            && parts.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        Ok(Self {
            headers: parts.headers.clone(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            scheme: if is_secure { "https" } else { "http" },
        })
    }
}

impl Here {
    /// A page of a list whose positions are written by `parameter`, by name and value.
    pub(super) fn list<T: Serialize, P>(
        &self,
        page: Page<T, P>,
        parameter: impl Fn(&Seek<P>) -> (&'static str, String),
    ) -> Answer {
        let link = |seek: Option<Seek<P>>| seek.map(|seek| self.link(parameter(&seek)));
        let Page { items, count, next, previous } = page;
        shown(&self.headers, &List { count, next: link(next), previous: link(previous), results: items })
    }

    /// This address with another position
    fn link(&self, (name, value): (&str, String)) -> String {
        let kept = form_urlencoded::parse(self.query.as_bytes())
            .filter(|(name, _)| !["before", "after", "cursor"].contains(&name.as_ref()));
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair(name, &value).finish();
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}{}?{query}", self.scheme, self.path)
    }
}
