//! Logging in and out.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};

use super::answer::{Page, Refused, done, is_of_form, notice, refused, with_cookie};
use super::form::{Form, parameter};
use super::session::{Visitor, frame, going_on_to};
use super::view::{self, Again, Frame, Kept, Login, Notice, Problems};
use crate::app::secret;
use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::service::login;
use crate::service::sessions::{self, Session};
use crate::service::tokens::{self, Secret};
use crate::store::Tx;

/// Shows the form of the log-in; whoever is logged in goes on.
pub(super) async fn show(visitor: Visitor, headers: HeaderMap, RawQuery(query): RawQuery) -> Page {
    let kept = going_on_to(&parameter(query.as_deref(), "next").unwrap_or_default(), Vec::new());
    if visitor.session.is_some() {
        return Ok(Redirect::to(&kept.path).into_response());
    }
    let frame = Frame { notice: notice(&headers, query.as_deref()), ..Frame::default() };
    let login = Login { frame, problems: Problems::default(), username: String::new(), kept };
    Ok(view::page(&login)?)
}

/// Logs in, and goes on to where the visitor was led away from.
pub(super) async fn log_in(State(server): State<Shared>, visitor: Visitor, form: Form) -> Page {
    let kept = going_on_to(form.text("next"), form.kept_before());
    match begin(&server, &visitor, &form).await {
        Ok((session, secret)) => Ok(with_cookie(go_on(&session, kept)?, visitor.cookie(secret)?)),
        Err(error) if is_of_form(&error) || error.kind() == Kind::Unauthenticated => {
            let problems = Problems::new(&error, &["username", "password"]);
            let username = form.text("username").to_owned();
            let login = Login { frame: Frame::default(), problems, username, kept };
            Ok(refused(error, view::page(&login)?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn begin(server: &Shared, visitor: &Visitor, form: &Form) -> Result<(Session, Secret), Error> {
    let (username, password) = (form.text("username").to_owned(), form.text("password").to_owned());
    let client = visitor.client;
    server.limits.log_ins.take(&client)?;
    let shared = Shared::clone(server);
    let look = move |tx: &mut Tx<'_>| login::attempt(tx, &shared.keys, &username, client);
    let verified = server.verify(client, look, password).await?.ok_or_else(tokens::refused)?;
    let (next, before, browser) = (Secret(secret()?), visitor.secret, visitor.browser());
    let begin = move |tx: &mut Tx<'_>| {
        if let Some(before) = before {
            sessions::log_out(tx, &before.hash())?;
        }
        login::begin_session(tx, &verified, next, &browser)
    };
    Ok((server.write_unauthenticated(begin).await?, next))
}

/// What follows a log-in: the form that was sent without one, unless somebody else did, or the page that it is needed for
fn go_on(session: &Session, kept: Kept) -> Result<Response, Refused> {
    if kept.fields.is_empty() || !kept.is_of(session.user.person.user_id) {
        return Ok(Redirect::to(&kept.path).into_response());
    }
    Ok(view::page(&Again { frame: frame(session, None), kept })?)
}

/// Logs out.
pub(super) async fn log_out(State(server): State<Shared>, visitor: Visitor) -> Page {
    if let Some(hash) = visitor.secret.map(Secret::hash) {
        server.write_unauthenticated(move |tx| sessions::log_out(tx, &hash)).await?;
    }
    Ok(with_cookie(done("/login/", Notice::LoggedOut), visitor.no_cookie()?))
}
