//! Which paths there are, and what answers them.

use axum::Router;
use axum::routing::get;

use super::{Shared, messages};

pub(super) fn router(server: Shared) -> Router {
    Router::new()
        .route("/api/conversations/{conversation_id}/messages/", get(messages::list).post(messages::send))
        .with_state(server)
}
