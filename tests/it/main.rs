//! The tests, in one binary. A rule is tested at the service, on both engines; the command line's tests prove its
//! wiring, its words and its codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "the harness reads its environment")]
#![expect(clippy::print_stdout, reason = "a test that fails shows which engine it was on")]
#![expect(clippy::too_many_lines, reason = "snapshots are long")]

mod benches;
mod brought_along;
mod check;
mod cli;
mod durability;
mod erasure;
mod event_log;
mod examples;
mod feed;
mod http;
mod kinds;
mod layers;
mod plans;
mod readme;
mod replay;
mod server;
mod service;
mod sharing;
mod store;
mod support;
mod terminal;
mod transfer;
