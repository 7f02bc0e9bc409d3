//! Metrics for Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Shared;
use super::kept::{Counters, KeptPages};
use crate::error::{Error, Result};

/// The upper bounds of the buckets of durations, in seconds
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The upper bounds of the buckets of commits, in writes
const WRITES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: &'static str,
}

/// The metrics of a server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    commits: Histogram,
    connections: Gauge,
    log_bytes: Gauge,
    waiting: Gauge,
    lost_lines: Gauge<u64, AtomicU64>,
    listeners: Gauge,
    delay: Gauge<f64, AtomicU64>,
    kept_pages: Counters,
    kept_bytes: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tidings");
        let requests = Family::default();
        registry.register("http_requests", "Requests that were answered", requests.clone());
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let help = "From when a request's head was read until the head of its answer was ready";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, seconds.clone());
        let commits = Histogram::new(WRITES);
        registry.register("commit_writes", "Writes that shared a commit", commits.clone());
        let connections = Gauge::default();
        registry.register("http_connections", "Connections that are open", connections.clone());
        let log_bytes = Gauge::default();
        registry.register_with_unit("wal", "The size of SQLite's write-ahead log", Unit::Bytes, log_bytes.clone());
        let waiting = Gauge::default();
        registry.register("waiting_writes", "Writes that are waiting for the database", waiting.clone());
        let lost_lines = Gauge::default();
        registry.register(
            "log_lost_lines",
            "Log lines dropped because the log was read too slowly",
            lost_lines.clone(),
        );
        let listeners = Gauge::default();
        registry.register("event_listeners", "Event streams that are open", listeners.clone());
        let delay = Gauge::default();
        let help = "How long after it happened the last event was delivered that anybody heard";
        registry.register_with_unit("event_delay", help, Unit::Seconds, delay.clone());
        let kept_pages = Counters::default();
        let Counters { hits, misses, forgotten } = kept_pages.clone();
        registry.register("page_hits", "Pages of messages that were sent as they are kept in memory", hits);
        registry.register("page_misses", "Pages of messages that are kept in memory and had to be read first", misses);
        let help = "Conversations whose pages in memory were forgotten because something in them changed";
        registry.register("pages_forgotten", help, forgotten);
        let kept_bytes = Gauge::default();
        registry.register_with_unit("page_memory", "Pages that are kept in memory", Unit::Bytes, kept_bytes.clone());
        Self {
            registry,
            requests,
            seconds,
            commits,
            connections,
            log_bytes,
            waiting,
            lost_lines,
            listeners,
            delay,
            kept_pages,
            kept_bytes,
        }
    }
}

impl Metrics {
    /// Returns a function to call with the number of writes of each commit.
    pub fn commits(&self) -> impl Fn(usize) + Send + 'static {
        let commits = self.commits.clone();
        move |count| commits.observe(f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// What is counted of the pages that are kept
    pub(crate) fn kept_pages(&self) -> Counters {
        self.kept_pages.clone()
    }

    pub(crate) fn answered(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&Answered { method, route, status }).inc();
        self.seconds.get_or_create(&Route { method, route }).observe(took.as_secs_f64());
    }

    /// Counts a connection while the returned guard exists.
    pub(crate) fn connected(self: &Arc<Self>) -> Connected {
        self.connections.inc();
        Connected(Arc::clone(self))
    }

    /// All metrics in the text format of OpenMetrics
    pub(crate) fn text(&self, server: &Shared) -> Result<String> {
        self.measure(server);
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(Error::internal)?;
        Ok(text)
    }

    /// What people want to know of the metrics
    pub(crate) fn figures(&self, server: &Shared) -> Result<Figures> {
        let text = self.text(server)?;
        Ok(Figures {
            connections: self.connections.get(),
            listeners: self.listeners.get(),
            delay: self.delay.get(),
            waiting: self.waiting.get(),
            log_bytes: self.log_bytes.get(),
            lost_lines: self.lost_lines.get(),
            routes: routes(&text),
        })
    }

    /// Sets what is known only by looking.
    fn measure(&self, server: &Shared) {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.log_bytes.set(signed(server.app.pool().log_bytes()));
        self.waiting.set(signed(server.app.pool().waiting() as u64));
        self.lost_lines.set(server.log.lost());
        self.listeners.set(signed(server.feed.listeners() as u64));
        self.delay.set(server.feed.delay());
        self.kept_bytes.set(signed(server.kept.as_ref().map_or(0, KeptPages::bytes)));
    }
}

/// The metrics, for people
pub(crate) struct Figures {
    pub(crate) connections: i64,
    pub(crate) listeners: i64,
    /// In seconds
    pub(crate) delay: f64,
    pub(crate) waiting: i64,
    pub(crate) log_bytes: i64,
    pub(crate) lost_lines: u64,
    /// The routes, the most asked for first
    pub(crate) routes: Vec<RouteFigures>,
}

/// How requests to a route were answered since the server began
#[derive(Debug, Default, PartialEq)]
pub(crate) struct RouteFigures {
    /// The method and the path; the path is empty for what is at no route
    pub(crate) route: (String, String),
    pub(crate) count: u64,
    /// Those that the server failed: with a status from 500 on
    pub(crate) failed: u64,
    /// How long all of them took together, in seconds
    pub(crate) seconds: f64,
}

/// The figures of each route, read from the text of the metrics: the registry tells them in no other way.
fn routes(text: &str) -> Vec<RouteFigures> {
    let mut routes: BTreeMap<(String, String), RouteFigures> = BTreeMap::new();
    for line in text.lines() {
        let Some((name, rest)) = line.split_once('{') else { continue };
        let Some((labels, value)) = rest.rsplit_once("} ") else { continue };
        let label = |name: &str| {
            let value = labels.split_once(&format!("{name}=\""))?.1;
            value.split('"').next().map(ToOwned::to_owned)
        };
        let Some(route) = label("method").zip(label("route")) else { continue };
        let figures = routes.entry(route).or_default();
        match name {
            "tidings_http_requests_total" => {
                let count = value.parse().unwrap_or(0);
                figures.count += count;
                figures.failed += if label("status").is_some_and(|status| status.starts_with('5')) { count } else { 0 };
            }
            "tidings_http_request_duration_seconds_sum" => figures.seconds = value.parse().unwrap_or(0.0),
            _ => {}
        }
    }
    let mut routes: Vec<RouteFigures> =
        routes.into_iter().map(|(route, figures)| RouteFigures { route, ..figures }).collect();
    routes.sort_by_key(|figures| std::cmp::Reverse(figures.count));
    routes
}

/// A connection that is counted
pub(crate) struct Connected(Arc<Metrics>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_routes_are_those_of_the_metrics() {
        let metrics = Metrics::default();
        for (method, route, status, milliseconds) in [
            ("GET", "/api/users/", 200, 2),
            ("GET", "/api/users/", 503, 4),
            ("GET", "/api/users/", 404, 6),
            ("POST", "/api/users/", 201, 8),
            ("GET", "", 404, 1),
        ] {
            metrics.answered(method, route, status, Duration::from_millis(milliseconds));
        }
        let mut text = String::new();
        encode(&mut text, &metrics.registry).unwrap();
        let found = routes(&text);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.route.0.as_str(), one.route.1.as_str(), one.count, one.failed, (one.seconds * 1e3).round()))
            .collect();
        let expected = [("GET", "/api/users/", 3, 1, 12.0), ("GET", "", 1, 0, 1.0), ("POST", "/api/users/", 1, 0, 8.0)];
        assert_eq!(found, expected);
    }
}
