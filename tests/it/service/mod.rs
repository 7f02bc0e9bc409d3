//! The rules, each on both engines.

mod accounts;
mod conversations;
mod finding;
mod messages;
mod model_check;
mod notifications;
mod pages;
mod races;
mod rights;
mod search;
mod threads;
mod tokens;
mod users;
