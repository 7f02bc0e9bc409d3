//! Setting a password by a link.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;

use super::account;
use super::answer::{Page, Refused, done, is_of_form, refused};
use super::form::Form;
use super::session::Visitor;
use super::view::{self, Frame, Notice, Password, Problems};
use crate::app::hash_password;
use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::http::server::limits::Tried;
use crate::model::{Timestamp, User};
use crate::service::login::Subject;
use crate::service::password_links::{self, Found, bad_link};
use crate::service::passwords;
use crate::service::tokens::{Secret, secret_of};

/// The secret in the path of a link; an error where it is not UTF-8
type Token = Result<Path<String>, PathRejection>;

/// Shows the form of a link.
pub(super) async fn show(State(server): State<Shared>, token: Token) -> Page {
    match find(&server, &token).await? {
        (_, Found::Valid(user, expires)) => shown(&user, expires, Problems::default()),
        (_, Found::Ended(..)) => Err(no_longer_valid()),
    }
}

fn shown(user: &User, expires: Timestamp, problems: Problems) -> Page {
    let username = user.person.username.clone();
    Ok(view::page(&Password { frame: Frame::default(), username, expires, problems })?)
}

/// The page of a link that sets nothing
fn no_longer_valid() -> Refused {
    Refused::titled("This link no longer works", bad_link())
}

async fn find(server: &Shared, token: &Token) -> Result<(Secret, Found), Refused> {
    let secret = token.as_ref().ok().and_then(|Path(token)| secret_of(token)).ok_or_else(no_longer_valid)?;
    Ok((secret, server.read_unauthenticated(move |tx| password_links::find(tx, secret)).await?))
}

/// Sets the password. Sent twice, it answers as the first time to whoever knows the password that was set.
pub(super) async fn set(State(server): State<Shared>, visitor: Visitor, token: Token, form: Form) -> Page {
    let (secret, found) = find(&server, &token).await?;
    let password = form.text("password").to_owned();
    let Found::Valid(user, expires) = found else { return again(&server, &visitor, found, password).await };
    match carry_out(&server, &visitor, secret, &user, password.clone()).await {
        Ok(()) => Ok(set_for(&user, &visitor)),
        Err(error) if error.kind() == Kind::NotFound => {
            // Used or replaced while the password was hashed
            let (_, found) = find(&server, &token).await?;
            again(&server, &visitor, found, password).await
        }
        Err(error) if is_of_form(&error) => {
            let page = shown(&user, expires, Problems::new(&error, &["password"]))?;
            Ok(refused(error, page))
        }
        Err(error) => Err(error.into()),
    }
}

/// Leads to the log-in, or back to the account that somebody else is logged in to in this browser.
fn set_for(user: &User, visitor: &Visitor) -> Response {
    match &visitor.session {
        Some(session) if session.user.person.key != user.person.key => done(account::PATH, Notice::OthersPasswordSet),
        _ => done("/login/", Notice::PasswordSet),
    }
}

async fn carry_out(
    server: &Shared,
    visitor: &Visitor,
    secret: Secret,
    user: &User,
    password: String,
) -> Result<(), Error> {
    let username = user.person.username.clone();
    passwords::check(&password, &username)?;
    server.limits.log_ins.take(&visitor.client)?;
    let hash = server.hash(move || hash_password(&password, &username)).await?;
    server.write_unauthenticated(move |tx| password_links::set_password(tx, secret, &hash)).await.map(drop)
}

async fn again(server: &Shared, visitor: &Visitor, found: Found, password: String) -> Page {
    let Found::Ended(user, hash) = found else { return Err(no_longer_valid()) };
    let tried = Tried::new(Subject::Account(user.person.key), visitor.client, false);
    let verify = move || Ok(passwords::verify_for(hash.as_deref(), &password)?.then_some(()));
    match server.guess(tried, verify).await? {
        Some(()) => Ok(set_for(&user, visitor)),
        None => Err(no_longer_valid()),
    }
}
