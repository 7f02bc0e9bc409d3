//! What is answered over HTTP: the API and the pages, on a server.

mod api;
mod pages;
mod server;

use axum::handler::Handler;

pub use self::api::{Access, Endpoint, endpoints, openapi};
pub use self::pages::pages;
pub use self::server::{Allowed, Listener, Log, Metrics, MetricsFor, Options, Server, Shared, Stop, host, origin};
use crate::error::Result;

/// Serves until a signal, or until `ends` completes; then finishes the accepted requests. `ready` is called when
/// connections are accepted.
///
/// # Errors
/// `Internal` if threads cannot be started, `Unavailable` if the clock is before 1970.
pub fn serve(
    server: &Shared,
    listener: Listener,
    stop: Stop,
    ready: impl FnOnce() -> Result<()>,
    ends: impl Future<Output = ()>,
) -> Result<()> {
    let shared = Shared::clone(server);
    let connect = Box::new(move || shared.app.with_own_connection());
    let _running = server.feed.start(connect, api::FORMAT)?;
    let not_found = pages::not_found.with_state(Shared::clone(server));
    let router = api::router(server).merge(pages::router(server)).fallback_service(not_found);
    server::listen::serve(server, router, listener, stop, ready, ends)
}
