//! What answers each path.

use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, get, on};

use super::endpoint::Endpoint;
use super::entrance::{Entrance, enter};
use super::routes::endpoints;
use super::{document, health, testing};
use crate::http::server::Shared;
use crate::http::server::answers::answering;
use crate::http::server::problem::Problem;

/// What answers each path, with and without the slash at its end.
pub(crate) fn router(server: &Shared) -> Router {
    let mut paths: Vec<(&'static str, MethodRouter<Shared>)> = vec![
        ("/api/schema/", get(document::schema)),
        ("/api/docs/", get(document::page)),
        ("/health/live", get(health::live)),
        ("/health/ready", get(health::ready)),
        ("/metrics", get(health::metrics)),
    ];
    if server.options.is_ephemeral {
        paths.push(("/test/checkpoint", on(MethodFilter::POST, testing::checkpoint)));
        paths.push(("/test/rollback", on(MethodFilter::POST, testing::rollback)));
    }
    paths.extend(endpoints().into_iter().map(|endpoint| {
        let state = (Shared::clone(server), Entrance::of(&endpoint));
        let Endpoint { path, handler, .. } = endpoint;
        (path, handler.route_layer(from_fn_with_state(state, enter)))
    }));
    let mut router = Router::new();
    for (path, handler) in paths {
        let handler = answering(path, handler);
        let bare = path.trim_end_matches('/');
        router = router.route(path, handler.clone());
        if bare != path {
            router = router.route(bare, handler);
        }
    }
    let router = router.method_not_allowed_fallback(async |method: Method| Problem::method_not_allowed(&method));
    router.with_state(Shared::clone(server))
}
