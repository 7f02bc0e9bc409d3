//! REST as its clients have it: wiring, words and statuses.

mod keys;
mod queries;
mod rights;
mod schema;
mod start;
mod talk;
mod twins;
