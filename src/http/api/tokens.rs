//! Log-ins and tokens over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, json};
use super::request::{Address, Body};
use crate::app::secret;
use crate::http::server::Shared;
use crate::service::login;
use crate::service::tokens::{self, Secret, TokenPair};
use crate::store::Tx;

/// A user's credentials
#[derive(Deserialize, JsonSchema)]
pub(super) struct Credentials {
    /// The username or email
    username: String,
    password: String,
}

/// The pair of tokens that replaces a refresh token
#[derive(Serialize, JsonSchema)]
pub(super) struct NewTokens {
    access: String,
    refresh: String,
}

/// A refresh token
#[derive(Deserialize, JsonSchema)]
pub(super) struct Refresh {
    refresh: String,
}

/// An access token or a refresh token
#[derive(Deserialize, JsonSchema)]
pub(super) struct Token {
    token: String,
}

/// An empty object
#[derive(Serialize, JsonSchema)]
pub(super) struct Nothing {}

/// Logs in.
pub(super) async fn log_in(
    State(server): State<Shared>,
    Address(client): Address,
    Body(Credentials { username, password }): Body<Credentials>,
) -> Answer {
    let shared = Shared::clone(&server);
    let look = move |tx: &mut Tx<'_>| login::attempt(tx, &shared.keys, &username, client);
    let (refresh, id) = (Secret(secret()?), secret()?);
    let verified = server.verify(client, look, password).await?.ok_or_else(tokens::refused)?;
    let shared = Shared::clone(&server);
    let begin = move |tx: &mut Tx<'_>| login::begin(tx, &shared.keys, &verified, refresh);
    let logged_in = server.write_unauthenticated(begin).await?;
    json(StatusCode::OK, &logged_in.pair(&server.keys, server.app.now(), id)?)
}

/// Exchanges a refresh token for a new pair of tokens.
pub(super) async fn refresh(
    State(server): State<Shared>,
    Address(client): Address,
    Body(Refresh { refresh }): Body<Refresh>,
) -> Answer {
    let shared = Shared::clone(&server);
    let id = secret()?;
    let refreshed = server.write_unauthenticated(move |tx| tokens::refresh(tx, &shared.keys, &refresh, client)).await?;
    let TokenPair { access, refresh, .. } = refreshed.or_refuse()?.pair(&server.keys, server.app.now(), id)?;
    json(StatusCode::OK, &NewTokens { access, refresh })
}

/// Checks whether a token is valid.
pub(super) async fn verify(State(server): State<Shared>, Body(Token { token }): Body<Token>) -> Answer {
    match server.keys.verify(&token, server.app.now()) {
        Some(claims) => {
            server.read_unauthenticated(move |tx| tokens::acting(tx, &claims)).await?;
        }
        None => server.read_unauthenticated(move |tx| tokens::must_be_valid(tx, &token)).await?,
    }
    json(StatusCode::OK, &Nothing {})
}

/// Logs out: ends the log-in of a refresh token.
pub(super) async fn revoke(State(server): State<Shared>, Body(Refresh { refresh }): Body<Refresh>) -> Answer {
    server.write_unauthenticated(move |tx| tokens::revoke(tx, &refresh)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
