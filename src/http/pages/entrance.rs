//! What a request to a page goes through before its handler: its form is read, and its session is looked up.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::Response;

use super::answer::Refused;
use super::events;
use super::form::Form;
use super::session::{Visitor, find};
use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::http::server::body::{Unread, read};

/// The media type of forms
const FORM: &str = "application/x-www-form-urlencoded";

/// Lets a request in.
pub(super) async fn enter(State(server): State<Shared>, request: Request, next: Next) -> Result<Response, Refused> {
    let (mut parts, body) = request.into_parts();
    let mut visitor = Visitor::of(&parts, &server);
    if parts.method == Method::POST && !hyper::body::Body::is_end_stream(&body) {
        let media_type = parts.headers.get(CONTENT_TYPE).and_then(|text| text.to_str().ok()).unwrap_or_default();
        let is_form = media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(FORM);
        if !is_form || parts.headers.contains_key(CONTENT_ENCODING) {
            return Err(Error::of_request(Kind::UnsupportedMediaType, format!("A form is sent as {FORM}.")).into());
        }
        let content = read(&server, visitor.client, None, body).await?;
        if let Some(Unread(is_unread)) = parts.extensions.get() {
            is_unread.store(false, Ordering::Relaxed);
        }
        parts.extensions.insert(Form::read(parts.uri.path(), &content));
    }
    // A page that is open and connects again by itself is not used.
    let is_use = parts.uri.path() != events::PATH;
    visitor.session = find(&server, &visitor, is_use).await?;
    parts.extensions.insert(visitor);
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}
