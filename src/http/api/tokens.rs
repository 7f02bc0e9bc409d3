//! Log-ins and tokens over HTTP.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, json};
use super::request::{Address, Body};
use crate::app::secret;
use crate::error::Result;
use crate::http::server::limits::Tried;
use crate::http::server::{Server, Shared};
use crate::service::login::{self, Attempt};
use crate::service::passwords;
use crate::service::tokens::{self, LoggedIn, Secret, TokenPair};
use crate::store::Tx;

/// What a log-in is asked for with
#[derive(Deserialize, JsonSchema)]
pub(super) struct Credentials {
    /// Or the email
    username: String,
    password: String,
}

/// What a refresh token buys
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

/// A token of either kind
#[derive(Deserialize, JsonSchema)]
pub(super) struct Token {
    token: String,
}

/// Nothing
#[derive(Serialize, JsonSchema)]
pub(super) struct Nothing {}

/// Logs in.
pub(super) async fn log_in(
    State(server): State<Shared>,
    Address(client): Address,
    Body(Credentials { username, password }): Body<Credentials>,
) -> Answer {
    let shared = Shared::clone(&server);
    let attempt = move |tx: &mut Tx<'_>| login::attempt(tx, &shared.keys, &username, client);
    let Attempt { subject, login, is_familiar, slowest } = server.read_as_stranger(attempt).await?;
    let hash = login.as_ref().and_then(|login| login.password_hash.clone());
    let tried = Tried::new(subject, client, is_familiar);
    let right = server.guess(tried, move || check(&password, hash.as_deref(), slowest.as_deref())).await?;
    let (Some(login), Some(Right { better })) = (login, right) else { return Err(tokens::refused().into()) };
    let address = server.keys.hash_address(login.user.person.user_id, client).map(|(hash, _)| hash);
    let refresh = Secret(secret()?);
    let begin = move |tx: &mut Tx<'_>| tokens::log_in(tx, &login, better.as_deref(), refresh, address.as_ref());
    let logged_in = server.write_as_stranger(begin).await?;
    let pair = server.pair(logged_in)?;
    json(StatusCode::OK, &pair)
}

/// A password that is right
struct Right {
    /// What should take the place of its hash, where that is outdated
    better: Option<String>,
}

/// Whether that is the password; where it is not, or there is none, it takes as long.
fn check(password: &str, hash: Option<&str>, slowest: Option<&str>) -> Result<Option<Right>> {
    let verified_by = hash.unwrap_or(passwords::NOBODYS);
    let is_right = passwords::verify(password, verified_by)?;
    let Some(hash) = hash.filter(|_| is_right) else {
        passwords::refuse_slowly(password, verified_by, slowest)?;
        return Ok(None);
    };
    let is_outdated = passwords::is_outdated(hash);
    let better = is_outdated.then(|| passwords::hash(password, secret()?)).transpose()?;
    Ok(Some(Right { better }))
}

impl Server {
    /// What a log-in comes to, as clients hold it
    fn pair(&self, logged_in: LoggedIn) -> Result<TokenPair> {
        logged_in.pair(&self.keys, self.app.now(), secret()?)
    }
}

/// Puts a new pair of tokens in the place of one.
pub(super) async fn refresh(
    State(server): State<Shared>,
    Address(client): Address,
    Body(Refresh { refresh }): Body<Refresh>,
) -> Answer {
    let shared = Shared::clone(&server);
    let refreshed = server.write_as_stranger(move |tx| tokens::refresh(tx, &shared.keys, &refresh, client)).await?;
    let TokenPair { access, refresh, .. } = server.pair(refreshed.or_refuse()?)?;
    json(StatusCode::OK, &NewTokens { access, refresh })
}

/// Says whether a token counts.
pub(super) async fn verify(State(server): State<Shared>, Body(Token { token }): Body<Token>) -> Answer {
    match server.keys.verify(&token, server.app.now()) {
        Some(claims) => {
            server.read_as_stranger(move |tx| tokens::acting(tx, &claims)).await?;
        }
        None => server.read_as_stranger(move |tx| tokens::must_count(tx, &token)).await?,
    }
    json(StatusCode::OK, &Nothing {})
}

/// Ends what a log-in began.
pub(super) async fn revoke(State(server): State<Shared>, Body(Refresh { refresh }): Body<Refresh>) -> Answer {
    server.write_as_stranger(move |tx| tokens::revoke(tx, &refresh)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
