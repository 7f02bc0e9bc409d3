//! For test suites, on a temporary database alone: back to the state it was in.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::answer::Answer;
use super::{Shared, aside};

/// Notes the state to return to.
pub(super) async fn checkpoint(State(server): State<Shared>) -> Answer {
    let shared = Arc::clone(&server);
    aside(move || shared.app.pool().mark()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Returns to the state that was noted last, or that the server began with.
pub(super) async fn rollback(State(server): State<Shared>) -> Answer {
    let shared = Arc::clone(&server);
    aside(move || shared.app.pool().return_to_mark()).await?;
    server.limits.forget();
    Ok(StatusCode::NO_CONTENT.into_response())
}
