//! The tests, in one binary. A rule is tested at the service, on both engines; the command line's tests prove its
//! wiring, its words and its codes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod layers;
mod replay;
mod service;
mod store;
mod support;
