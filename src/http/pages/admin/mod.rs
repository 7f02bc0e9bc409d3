//! The administration: pages for admins.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Redirect;

use super::account;
use super::answer::Refused;
use super::session::LoggedIn;
use crate::http::server::Shared;
use crate::service::must_administer;
use crate::service::sessions::Session;

/// The path of the administration
pub(super) const PATH: &str = "/admin/";

/// An admin who is logged in. As with everybody who is logged in, others are led to the log-in; whoever is no admin is refused.
#[expect(dead_code, reason = "pages of the administration follow")]
pub(super) struct Admin(pub(super) Session);

impl FromRequestParts<Shared> for Admin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refused> {
        let LoggedIn(session) = LoggedIn::from_request_parts(parts, server).await?;
        must_administer(&session.actor())?;
        Ok(Self(session))
    }
}

/// The beginning of the administration.
pub(super) async fn start(_: Admin) -> Redirect {
    Redirect::to(account::PATH)
}
