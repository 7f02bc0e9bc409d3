//! Who sends a request.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::Shared;
use super::conditions::Conditions;
use super::problem::Problem;
use crate::error::Error;
use crate::service::tokens::{Claims, bad_token};

/// The sender of a request: the claims of the access token, and the preconditions. Both are checked again in the
/// transaction.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Claims, pub(crate) Conditions);

impl Caller {
    /// The caller of a request; none without a token
    pub(crate) fn of(parts: &Parts, server: &Shared) -> Result<Option<Self>, Error> {
        let Some(credentials) = parts.headers.get(AUTHORIZATION) else { return Ok(None) };
        let token = credentials.to_str().ok().and_then(|text| text.split_once(' '));
        let Some((scheme, token)) = token else { return Err(wrong_scheme()) };
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(wrong_scheme());
        }
        let claims = server.keys.verify(token.trim(), server.app.now());
        Ok(Some(Self(claims.ok_or_else(bad_token)?, Conditions::of(parts)?)))
    }
}

/// The error for a request without a token.
pub(crate) fn no_credentials() -> Error {
    Error::unauthenticated("Authentication credentials were not provided.")
}

/// Credentials of another kind than an access token.
fn wrong_scheme() -> Error {
    Error::unauthenticated("Send an access token as `Authorization: Bearer TOKEN`.")
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        parts.extensions.remove().ok_or_else(|| no_credentials().into())
    }
}

impl OptionalFromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Option<Self>, Problem> {
        Ok(parts.extensions.remove())
    }
}
