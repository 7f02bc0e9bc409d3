//! For the operator: whether the server is up, whether it is ready, and its metrics.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;

use super::answer::{Answer, json};
use super::request::not_found;
use crate::http::server::client::is_passed_on;
use crate::http::server::{MetricsFor, Shared};
use crate::service::login::Client;

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// The process answers.
pub(super) async fn live() -> Answer {
    json(axum::http::StatusCode::OK, &Status { status: "live" })
}

/// Whether the database can be read and written, by the last write of a request or a trial.
pub(super) async fn ready(State(server): State<Shared>) -> Answer {
    server.readiness.check(&server).await?;
    json(axum::http::StatusCode::OK, &Status { status: "ready" })
}

/// The metrics, for allowed clients.
pub(super) async fn metrics(
    State(server): State<Shared>,
    headers: HeaderMap,
    Extension(client): Extension<Client>,
) -> Answer {
    let is_for = match server.options.metrics {
        MetricsFor::Everybody => true,
        MetricsFor::Nobody => false,
        // Behind a proxy that does not pass addresses on, every client seems to be on this machine.
        MetricsFor::ThisMachine => {
            let is_here = match client {
                Client::At(address) => address.is_loopback(),
                Client::Socket => true,
                Client::Unknown => false,
            };
            let is_told = server.options.behind_proxy && headers.contains_key("x-forwarded-for");
            is_here && (is_told || !is_passed_on(&headers))
        }
    };
    if !is_for {
        return Err(not_found().into());
    }
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, media_type)], server.metrics.text(&server)?).into_response())
}
