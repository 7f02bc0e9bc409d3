//! The rules, each on both engines.

mod accounts;
mod bounds;
mod conversations;
mod idempotency;
mod log;
mod looked_through;
mod messages;
mod model_check;
mod narrowed;
mod notifications;
mod order;
mod overview;
mod pages;
mod password_links;
mod races;
mod remembered;
mod rights;
mod search;
mod sessions;
mod several;
mod suggest;
mod threads;
mod tokens;
mod told;
mod users;
mod visible;
