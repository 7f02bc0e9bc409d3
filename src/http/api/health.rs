//! For the operator: whether the server is up, whether it is ready, and its metrics.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;

use super::answer::{Answer, json};
use super::request::not_found;
use crate::error::Error;
use crate::http::server::client::is_passed_on;
use crate::http::server::{MetricsFor, Shared};
use crate::service;
use crate::service::login::Client;

/// How long the last result is used again: everybody may ask, and a check writes to the disk.
const KNOWN: Duration = Duration::from_secs(1);

/// How long the database may take before the server says that it cannot work
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// The process answers.
pub(super) async fn live() -> Answer {
    json(axum::http::StatusCode::OK, &Status { status: "live" })
}

/// The size of the trial write after a failure, in bytes: as large as a request. A smaller one might still fit on a
/// full disk.
const LARGE: usize = 65_536;

/// Whether the database can be read and written, by the last write of a request or a trial.
pub(super) async fn ready(State(server): State<Shared>) -> Answer {
    let readiness = &server.readiness;
    let mut last = readiness.known.lock().await;
    let known = last.take().filter(|(since, _)| since.elapsed() < KNOWN);
    let (since, outcome) = if let Some(known) = known {
        known
    } else {
        let size = if readiness.is_failing.load(Ordering::Relaxed) { LARGE } else { 0 };
        let written = tokio::time::timeout(PATIENCE, server.write_at_once(move |tx| service::probe(tx, size))).await;
        let late = || Err(Error::unavailable("The database does not answer in time."));
        let outcome = written.unwrap_or_else(|_| late());
        if size == LARGE && outcome.is_ok() {
            readiness.note(&outcome);
        }
        (Instant::now(), outcome)
    };
    let answer = outcome.as_ref().map_err(Error::again).map(|()| Status { status: "ready" });
    *last = Some((since, outcome));
    json(axum::http::StatusCode::OK, &answer?)
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
