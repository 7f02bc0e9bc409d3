//! What a request to a page goes through before its handler: its session is looked up, and its form is read. Where the session has
//! ended, the log-in is the answer.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::answer::{Refused, worded};
use super::events;
use super::form::Form;
use super::session::{Visitor, find, log_in_first};
use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::http::server::body::{BODY_LIMIT, SMALL_BODY, Unread, read};

/// The media type of forms
const FORM: &str = "application/x-www-form-urlencoded";

/// Lets a request in.
pub(super) async fn enter(State(server): State<Shared>, request: Request, next: Next) -> Result<Response, Refused> {
    let (mut parts, body) = request.into_parts();
    let mut visitor =
        parts.extensions.get::<Visitor>().cloned().ok_or_else(|| Error::internal("an entrance without a visitor"))?;
    // Neither who looks whether a page is there uses it, nor a page that is open and connects again by itself.
    let is_use = parts.method != Method::HEAD && parts.uri.path() != events::PATH;
    visitor.session = find(&server, &visitor, is_use).await?;
    let mut content = Vec::new();
    if parts.method == Method::POST && !hyper::body::Body::is_end_stream(&body) {
        let media_type = parts.headers.get(CONTENT_TYPE).and_then(|text| text.to_str().ok()).unwrap_or_default();
        let is_form = media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM);
        if !is_form || parts.headers.contains_key(CONTENT_ENCODING) {
            return Err(Error::of_request(Kind::UnsupportedMediaType, format!("A form is sent as {FORM}.")).into());
        }
        // Strangers get none of the slots for large bodies.
        let limit = if visitor.session.is_some() { BODY_LIMIT } else { SMALL_BODY };
        content = read(&server, visitor.client, None, limit, body).await?;
        if let Some(Unread(is_unread)) = parts.extensions.get() {
            is_unread.store(false, Ordering::Relaxed);
        }
    }
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let form = Form::read(uri.path(), &content)?;
    let session = visitor.session.clone();
    parts.extensions.insert(form.clone());
    parts.extensions.insert(visitor);
    let response = next.run(Request::from_parts(parts, Body::empty())).await;
    if response.status() == StatusCode::UNAUTHORIZED && uri.path() != events::PATH {
        return log_in_first(&method, &uri, &form);
    }
    Ok(worded(session.as_ref(), &uri, response))
}
