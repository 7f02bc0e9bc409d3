//! What answers each path, and what lies around every handler.

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::Body;
use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{Method, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use futures_util::FutureExt;
use tower::Service;
use tower::util::MapResponseLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::endpoint::Endpoint;
use super::problem::Problem;
use super::request::{IDEMPOTENCY_KEY, not_found};
use super::routes::endpoints;
use super::{Shared, document, health, testing};
use crate::error::Error;

/// Which endpoint answered
#[derive(Clone, Copy)]
pub(super) struct Route(pub(super) &'static str);

/// What answers requests.
#[derive(Clone)]
pub(super) struct Answers {
    plain: Router,
    /// For those who take gzip: a layer costs something even where it does nothing.
    compressing: Router,
}

impl Answers {
    pub(super) fn new(server: &Shared) -> Self {
        let plain = router(server);
        let compressing = plain.clone().layer(CompressionLayer::new().compress_when(is_worth_it()));
        Self { plain, compressing }
    }

    /// Answers a request; a handler that panics fails alone.
    pub(super) async fn to(self, request: Request<Body>) -> Response {
        let Self { plain, compressing } = self;
        let mut router = if request.headers().contains_key(ACCEPT_ENCODING) { compressing } else { plain };
        let answered = AssertUnwindSafe(router.call(request)).catch_unwind().await;
        let panicked = |_| Problem::from(Error::internal("a handler panicked")).into_response();
        answered.map_or_else(panicked, |Ok(response)| response)
    }
}

/// What answers each path, with and without the slash at its end
fn router(server: &Shared) -> Router {
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
    paths.extend(endpoints().into_iter().map(|Endpoint { path, handler, .. }| (path, handler)));
    let mut router = Router::new();
    for (path, handler) in paths {
        let note = move |mut response: Response| {
            response.extensions_mut().insert(Route(path));
            response
        };
        let handler = handler.layer(MapResponseLayer::new(note));
        let bare = path.trim_end_matches('/');
        router = router.route(path, handler.clone());
        if bare != path {
            router = router.route(bare, handler);
        }
    }
    let router = router
        .method_not_allowed_fallback(async |method: Method| Problem::method_not_allowed(&method))
        .fallback(async || Problem::from(not_found()));
    match origins(&server.options.origins) {
        Some(origins) => router.layer(origins).with_state(Shared::clone(server)),
        None => router.with_state(Shared::clone(server)),
    }
}

/// What is large enough to become smaller
fn is_worth_it() -> impl Predicate {
    SizeAbove::new(1024).and(NotForContentType::const_new("text/event-stream"))
}

/// Whose pages may use the API; none where no other site's may
fn origins(allowed: &[String]) -> Option<CorsLayer> {
    if allowed.is_empty() {
        return None;
    }
    let origins = if allowed.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(allowed.iter().filter_map(|origin| origin.parse().ok()))
    };
    let headers = [AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY_KEY.clone()];
    let methods = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];
    Some(CorsLayer::new().allow_origin(origins).allow_methods(methods).allow_headers(headers).expose_headers([ETAG]))
}
