//! Pages for people in a browser: templates in `templates/`, what they load in `assets/`. They work without scripts.

mod assets;
#[expect(dead_code, reason = "the handlers come next")]
mod view;

use axum::Router;
use axum::routing::{MethodRouter, get};

use super::server::Shared;
use super::server::answers::answering;

/// What answers each path of the pages.
pub(super) fn router(server: &Shared) -> Router {
    let mut router = Router::new();
    for (path, handler) in routes() {
        router = router.route(path, answering(path, handler));
    }
    router.with_state(Shared::clone(server))
}

fn routes() -> Vec<(&'static str, MethodRouter<Shared>)> {
    vec![(assets::PATH, get(assets::serve))]
}
