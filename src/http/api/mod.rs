//! REST: each endpoint is a short handler over one function of a service.
//!
//! The paths are in [`routes`].

mod answer;
mod changes;
mod conversations;
mod document;
mod endpoint;
mod entrance;
mod events;
mod health;
mod messages;
mod notifications;
mod request;
mod router;
mod routes;
mod testing;
mod tokens;
mod users;

pub use self::document::openapi;
pub use self::endpoint::{Access, Endpoint};
pub(super) use self::events::{FORMAT, Listens, Wanted, begin};
pub(super) use self::router::router;
pub use self::routes::endpoints;
pub(super) use self::users::exported;
