//! Deleting one's own account: a receipt, then the name typed, then it is gone.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::empty;

use super::answer::{Page, done, is_of_form, refused, with_cookie};
use super::form::Form;
use super::session::{LoggedIn, Visitor, frame, read_slowly, write_with_password};
use super::view::{self, Delete, Notice, Problems};
use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::model::{UserId, UserSelector, normalize};
use crate::service::accounts;
use crate::service::sessions::{self, Session};
use crate::store::Tx;

/// What the keys of the form are sealed for: such a key tells who was deleted by it.
const PURPOSE: &str = "deletion";

/// Shows what would be deleted.
pub(super) async fn show(State(server): State<Shared>, LoggedIn(session): LoggedIn, method: Method) -> Page {
    match method {
        Method::HEAD => Ok(headers_alone()),
        _ => shown(&server, &session, String::new(), Problems::default()).await,
    }
}

/// The headers of a receipt. To say how long it is, everything would have to be counted.
pub(super) fn headers_alone() -> Response {
    ([(CONTENT_TYPE, view::MEDIA_TYPE)], Body::from_stream(empty::<Result<Bytes, Error>>())).into_response()
}

async fn shown(server: &Shared, session: &Session, typed: String, problems: Problems) -> Page {
    let user = &session.user;
    server.limits.receipts.take(&user.person.user_id)?;
    let count =
        |tx: &mut Tx<'_>, session: &Session| accounts::receipt(tx, &session.actor(), &UserSelector::of(&session.user));
    let receipt = read_slowly(server, session, count).await?;
    let delete = Delete {
        frame: frame(session, None),
        username: user.person.username.clone(),
        typed,
        rows: view::rows(&receipt),
        tombstones: receipt.tombstones,
        asks_password: !session.is_confirmed(server.app.now()),
        problems,
        key: server.keys.seal(PURPOSE, user.person.user_id.0.as_bytes())?,
    };
    Ok(view::page(&delete)?)
}

/// Deletes the account.
pub(super) async fn delete(State(server): State<Shared>, visitor: Visitor, form: Form) -> Page {
    let Some(mut session) = visitor.session.clone() else { return gone(&server, &visitor, &form).await };
    match carry_out(&server, &visitor, &mut session, &form).await {
        Ok(()) => Ok(with_cookie(done("/login/", Notice::AccountDeleted), visitor.no_cookie()?)),
        Err(error) if error.kind() == Kind::Unauthenticated => gone(&server, &visitor, &form).await,
        Err(error) if is_of_form(&error) => {
            let problems = Problems::new(&error, &["username", "current_password"]);
            let page = shown(&server, &session, form.text("username").to_owned(), problems).await?;
            Ok(refused(error, page))
        }
        Err(error) => Err(error.into()),
    }
}

async fn carry_out(server: &Shared, visitor: &Visitor, session: &mut Session, form: &Form) -> Result<(), Error> {
    let username = normalize(form.text("username"));
    let delete = move |tx: &mut Tx<'_>, session: &Session| {
        if username != session.user.person.username {
            return Err(Error::invalid("username", "That is not your username."));
        }
        session.must_be_confirmed(tx.now())?;
        accounts::delete(tx, &session.actor(), &[UserSelector::of(&session.user)]).map(drop)
    };
    write_with_password(server, visitor, session, form, delete).await
}

/// The answer to the form whose session has ended: that of the first time, where it deleted the account.
async fn gone(server: &Shared, visitor: &Visitor, form: &Form) -> Page {
    let id = server.keys.open(PURPOSE, form.text("key")).and_then(|id| uuid::Uuid::from_slice(&id).ok());
    let is_deleted = match id {
        Some(id) => server.read_unauthenticated(move |tx| accounts::is_deleted(tx, UserId(id))).await?,
        None => false,
    };
    if !is_deleted {
        return Err(sessions::ended().into());
    }
    Ok(with_cookie(done("/login/", Notice::AccountDeleted), visitor.no_cookie()?))
}
