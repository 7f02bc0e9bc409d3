//! Runs the router on a request, compresses responses, and answers 500 where a handler panics.

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::Body;
use axum::http::header::ACCEPT_ENCODING;
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use futures_util::FutureExt;
use tower::Service;
use tower::util::MapResponseLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

use super::Shared;
use super::problem::Problem;
use crate::error::Error;

/// Which endpoint answered
#[derive(Clone, Copy)]
pub(crate) struct Route(pub(crate) &'static str);

/// A handler whose responses say that the endpoint of this path answered
pub(crate) fn answering(path: &'static str, handler: MethodRouter<Shared>) -> MethodRouter<Shared> {
    let note = move |mut response: Response| {
        response.extensions_mut().insert(Route(path));
        response
    };
    handler.layer(MapResponseLayer::new(note))
}

/// Answers requests with the router.
#[derive(Clone)]
pub(crate) struct Answers {
    plain: Router,
    /// Only for clients that accept gzip: the layer has a cost even if it does nothing.
    compressing: Router,
}

impl Answers {
    pub(crate) fn new(plain: Router) -> Self {
        let compressing = plain.clone().layer(CompressionLayer::new().compress_when(is_worth_it()));
        Self { plain, compressing }
    }

    /// Answers a request; a handler that panics fails alone.
    pub(crate) async fn to(self, mut request: Request<Body>) -> Response {
        let Self { plain, compressing } = self;
        let mut router = if takes_gzip(request.headers()) {
            // Otherwise the layer would return 406 to a request that was carried out.
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            compressing
        } else {
            plain
        };
        let answered = AssertUnwindSafe(router.call(request)).catch_unwind().await;
        let panicked = |_| Problem::from(Error::internal("a handler panicked")).into_response();
        answered.map_or_else(panicked, |Ok(response)| response)
    }
}

/// Responses that are worth compressing: from 1 KiB, no event streams
fn is_worth_it() -> impl Predicate {
    SizeAbove::new(1024).and(NotForContentType::const_new("text/event-stream"))
}

/// Whether the client accepts gzip with at least the weight of `identity` (RFC 9110, section 12.5.3). A response that
/// it does not accept is better than none, because the request was carried out.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        for part in value.to_str().unwrap_or_default().split(',') {
            let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
            let weight =
                parameters.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.trim_start().strip_prefix('='));
            let weight = weight.map_or(Ok(1.0), |weight| weight.trim().parse::<f32>()).unwrap_or(0.0);
            match coding.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(weight),
                "*" => any = Some(weight),
                "identity" => identity = Some(weight),
                _ => {}
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= identity.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it_no_less_gladly() {
        let takes = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, text.parse().unwrap());
            takes_gzip(&headers)
        };
        for text in
            ["gzip", "br, GZIP;q=0.5", "*", "x-gzip", "gzip;q=1, identity;q=0.5", "identity;q=0, *", "gzip; q=0.1"]
        {
            assert!(takes(text), "{text}");
        }
        for text in
            ["", "br", "gzip;q=0", "br, *;q=0", "identity;q=0", "gzip;q=0, *", "identity, gzip;q=0.5", "gzip;q=x"]
        {
            assert!(!takes(text), "{text}");
        }
    }
}
