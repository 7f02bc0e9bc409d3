//! The event stream of a session: the same as over REST.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::response::Response;

use super::session::Visitor;
use crate::error::Error;
use crate::http::api::{Listens, Wanted, begin};
use crate::http::server::Shared;
use crate::http::server::connection::Connection;
use crate::http::server::problem::Problem;
use crate::service::Credentials;
use crate::service::sessions;

/// The path of the stream
pub(super) const PATH: &str = "/events/";

/// Streams what happens to a page of this server, until its session ends.
pub(super) async fn stream(
    State(server): State<Shared>,
    Extension(connection): Extension<Connection>,
    visitor: Visitor,
    headers: HeaderMap,
    wanted: Wanted,
) -> Result<Response, Problem> {
    if !is_same_origin(&headers) {
        return Err(Error::forbidden("Events are for pages of this server alone.").into());
    }
    let session = visitor.session.ok_or_else(sessions::ended)?;
    let listens = Listens {
        user: session.user.person.user_id,
        credentials: Credentials::Session(session.hash),
        expires_at: session.ends_at(),
    };
    begin(&server, &connection, listens, wanted).await
}

/// Whether a page of this server asks, as far as the browser says
fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, host)| headers.get(HOST).is_some_and(|own| own == host))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_pages_of_this_server_hear_events() {
        let of = |pairs: &[(HeaderName, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
            is_same_origin(&pairs.chain([(HOST, HeaderValue::from_static("chat.example.org:8000"))]).collect())
        };
        let site = HeaderName::from_static("sec-fetch-site");
        assert!(of(&[]) && of(&[(site.clone(), "same-origin")]) && of(&[(ORIGIN, "http://chat.example.org:8000")]));
        for (name, value) in [
            (site.clone(), "same-site"),
            (site.clone(), "cross-site"),
            (site, "none"),
            (ORIGIN, "null"),
            (ORIGIN, "http://chat.example.org"),
            (ORIGIN, "http://evil.example"),
        ] {
            assert!(!of(&[(name.clone(), value)]), "{name}: {value}");
        }
    }
}
