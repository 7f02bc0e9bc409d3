//! For test suites, on a temporary database alone: back to the state it was in.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;

use super::answer::Answer;
use crate::error::Error;
use crate::http::server::kept::KeptPages;
use crate::http::server::problem::Problem;
use crate::http::server::{Shared, aside};

/// The header that shows that a reset is intended: a page of another site cannot send it without being asked first
static TEST: HeaderName = HeaderName::from_static("tidings-test");

/// A request that no page of another site made
pub(super) struct Meant;

impl FromRequestParts<Shared> for Meant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        if parts.headers.contains_key(&TEST) {
            return Ok(Self);
        }
        let detail =
            "This request needs the header Tidings-Test, with any value, so that no page of another site can send it.";
        Err(Error::forbidden(detail).into())
    }
}

/// Notes the state to return to.
pub(super) async fn checkpoint(_: Meant, State(server): State<Shared>) -> Answer {
    let shared = Arc::clone(&server);
    aside(move || shared.feed.let_go(|| shared.app.pool().mark())).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Returns to the state that was noted last, or that the server began with.
pub(super) async fn rollback(_: Meant, State(server): State<Shared>) -> Answer {
    let shared = Arc::clone(&server);
    aside(move || shared.feed.let_go(|| shared.app.pool().return_to_mark())).await?;
    server.limits.forget();
    server.kept.iter().for_each(KeptPages::forget_all);
    server.overview.forget();
    Ok(StatusCode::NO_CONTENT.into_response())
}
