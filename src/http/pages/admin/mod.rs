//! The administration: pages for admins.

mod conversation;
mod conversations;
mod events;
mod health;
mod history;
mod overview;
mod search;
mod texts;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::{MethodRouter, get, post};

use super::answer::Refused;
use super::session::LoggedIn;
use crate::http::server::Shared;
use crate::service::must_administer;
use crate::service::sessions::Session;

/// The path of the administration
pub(super) const PATH: &str = "/admin/";

/// The method and the path of each page and of each form, and what answers it
pub(super) fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Shared>)> {
    vec![
        ("GET", PATH, get(overview::show)),
        ("GET", events::PATH, get(events::show)),
        ("GET", health::PATH, get(health::show)),
        ("GET", "/admin/conversations/", get(conversations::show)),
        ("GET", "/admin/conversations/{conversation_id}/", get(conversation::show)),
        ("GET", "/admin/conversations/{conversation_id}/participants/", get(conversation::participants)),
        ("GET", "/admin/messages/{message_id}/history/", get(history::show)),
        ("POST", "/admin/messages/{message_id}/history/", post(history::restore)),
        ("GET", "/admin/search/", get(search::show)),
    ]
}

/// An admin who is logged in. As with everybody who is logged in, others are led to the log-in; whoever is no admin is refused.
pub(super) struct Admin(pub(super) Session);

impl FromRequestParts<Shared> for Admin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refused> {
        let LoggedIn(session) = LoggedIn::from_request_parts(parts, server).await?;
        must_administer(&session.actor())?;
        Ok(Self(session))
    }
}
