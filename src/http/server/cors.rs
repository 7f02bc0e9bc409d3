//! Whose pages may use the API from a browser (the Fetch standard, CORS): said on every answer, whatever became of the request.

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response};

/// The request headers that pages may send
const SENT: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, prefer",
);

/// The methods that pages may use
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PATCH, DELETE");

/// The response headers that pages may read
const READ: HeaderValue = HeaderValue::from_static("etag, preference-applied, retry-after, x-request-id");

/// Whose pages they are; none of any other site.
#[derive(Debug)]
pub(crate) enum Cors {
    Nobodys,
    Everybodys,
    Of(Vec<HeaderValue>),
}

impl Cors {
    /// `*` means every site.
    pub(crate) fn new(origins: &[String]) -> Self {
        if origins.is_empty() {
            Self::Nobodys
        } else if origins.iter().any(|origin| origin == "*") {
            Self::Everybodys
        } else {
            Self::Of(origins.iter().filter_map(|origin| origin.parse().ok()).collect())
        }
    }

    /// Whether a path may be of use to pages of other sites; the pages of this server are none of them.
    pub(crate) fn concerns(path: &str) -> bool {
        ["/api/", "/health/", "/metrics", "/test/"].iter().any(|prefix| path.starts_with(prefix))
    }

    /// The answer to a browser that asks whether a page may send a request; none to any other request.
    pub(crate) fn answer(&self, parts: &Parts) -> Option<Response<Body>> {
        let is_asking = parts.method == Method::OPTIONS
            && parts.headers.contains_key(ORIGIN)
            && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_asking || matches!(self, Self::Nobodys) {
            return None;
        }
        let mut answer = Response::new(Body::empty());
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
        Some(answer)
    }

    /// Says on an answer whether pages of that origin may read it.
    pub(crate) fn mark(&self, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
        let allowed = match self {
            Self::Nobodys => return,
            Self::Everybodys => Some(HeaderValue::from_static("*")),
            Self::Of(origins) => {
                headers.append(VARY, HeaderValue::from_static("origin"));
                origin.filter(|origin| origins.contains(origin)).cloned()
            }
        };
        if let Some(allowed) = allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
        }
    }

    /// The headers for a response to a malformed request, whose origin is unknown: for the first site.
    pub(crate) fn unasked(&self) -> HeaderMap {
        let first = if let Self::Of(origins) = self { origins.first() } else { None };
        let mut headers = HeaderMap::new();
        self.mark(first, &mut headers);
        headers
    }
}
