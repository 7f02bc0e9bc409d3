//! Errors as clients get them: a problem document (RFC 9457), and the cause for the log.

use std::sync::Arc;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::error::{Error, Kind};

/// The media type of problem documents
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// An error on its way to a client.
#[derive(Debug)]
pub(crate) struct Problem(Box<Error>);

/// Why a request failed, for the log only
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) Arc<str>);

impl Problem {
    /// Too many requests of this kind; the next is accepted in so many seconds.
    pub(crate) fn rate_limited(seconds: u64) -> Self {
        let times = if seconds == 1 { "1 second".to_owned() } else { format!("{seconds} seconds") };
        Error::rate_limited(format!("Request was throttled. Expected available in {times}."), seconds).into()
    }

    /// The path is there, but not for this method.
    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        Error::of_request(Kind::MethodNotAllowed, format!("Method “{method}” not allowed.")).into()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self(Box::new(error))
    }
}

impl From<Problem> for Error {
    fn from(Problem(error): Problem) -> Self {
        *error
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let mut response = (status(error.kind()), body(&error)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.extend(error.retry_after().map(|seconds| (RETRY_AFTER, seconds.into())));
        if error.kind() == Kind::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // What to do about it is for the operator, not for a client.
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let advice = error.advice().filter(|_| response.status().is_server_error()).map(ToOwned::to_owned);
        let said: Vec<String> = cause.into_iter().chain(advice).collect();
        if !said.is_empty() {
            response.extensions_mut().insert(Cause(said.join("; ").into()));
        }
        response
    }
}

/// The problem document
pub(crate) fn body(error: &Error) -> Vec<u8> {
    serde_json::to_vec(&error.problem()).unwrap_or_default()
}

fn status(kind: Kind) -> StatusCode {
    StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
