//! Whether the server is well: whether it can read and write, what is still to be done, and its metrics.

use askama::Template;
use axum::extract::State;

use super::Admin;
use super::overview::{self, bytes};
use crate::error::{Error, Kind};
use crate::http::pages::answer::Page;
use crate::http::pages::assets;
use crate::http::pages::session::{frame, read};
use crate::http::pages::view::{self, Frame, Place, grouped};
use crate::http::server::Shared;
use crate::http::server::metrics::{Figures, RouteFigures};
use crate::model::Pending;
use crate::service::overview::pending;

/// The path of the page
pub(super) const PATH: &str = "/admin/health/";

/// `/admin/health/`
#[derive(Template)]
#[template(path = "admin/health.html", whitespace = "minimize")]
struct Health {
    frame: Frame,
    /// What is wrong with the database; none: it can be read, and the last write succeeded
    fault: Option<&'static str>,
    engine: &'static str,
    pending: Vec<Pending>,
    numbers: Vec<(&'static str, String)>,
    routes: Vec<Route>,
}

/// The requests to one route
struct Route {
    name: String,
    count: String,
    failed: String,
    /// How long one took on average, in milliseconds
    average: String,
}

impl Route {
    fn new(figures: &RouteFigures) -> Self {
        let RouteFigures { route: (method, path), count, failed, seconds } = figures;
        let path = if path.is_empty() { "no such path" } else { path };
        #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
        let average = seconds * 1e3 / (*count).max(1) as f64;
        let number = |count: u64| grouped(i64::try_from(count).unwrap_or(i64::MAX));
        Self {
            name: format!("{method} {path}"),
            count: number(*count),
            failed: number(*failed),
            average: format!("{average:.1} ms"),
        }
    }
}

/// What is wrong, without the places that the error may name, which are the operator's
fn fault(error: &Error) -> &'static str {
    match error.kind() {
        Kind::NoSpace => "The database cannot be written: its disk is full.",
        _ => "The database cannot be written, or does not answer in time.",
    }
}

/// Shows how the server is. As `/health/ready` does, it tries to write now and then, and leaves nothing behind.
pub(super) async fn show(State(server): State<Shared>, Admin(session): Admin) -> Page {
    let fault = server.readiness.check(&server).await.err().map(|error| fault(&error));
    let pending = read(&server, &session, |tx, session| pending(tx, &session.actor())).await?;
    let Figures { connections, listeners, delay, waiting, log_bytes, lost_lines, routes } =
        server.metrics.figures(&server)?;
    let is_embedded = server.app.pool().is_embedded();
    let mut numbers = vec![
        ("Open connections", grouped(connections)),
        ("Open event streams", grouped(listeners)),
        ("Delay of the last event", format!("{:.1} ms", delay * 1e3)),
        ("Log lines lost", grouped(i64::try_from(lost_lines).unwrap_or(i64::MAX))),
    ];
    if is_embedded {
        numbers.push(("Writes waiting", grouped(waiting)));
        numbers.push(("Write-ahead log", bytes(log_bytes)));
    }
    Ok(view::page(&Health {
        frame: Frame { place: Some(Place::Health), ..frame(&session, None) },
        fault,
        engine: if is_embedded { "SQLite" } else { "PostgreSQL" },
        pending,
        numbers,
        routes: routes.iter().map(Route::new).collect(),
    })?)
}
