//! Deleting somebody's account: a receipt, then the name typed, then it is gone.

use askama::Template;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Redirect};

use super::user::{path_of, subject};
use super::{Admin, Id, command, named, users};
use crate::error::{Error, Kind};
use crate::http::pages::answer::{Page, done, is_of_form, refused};
use crate::http::pages::assets;
use crate::http::pages::deletion::headers_alone;
use crate::http::pages::form::Form;
use crate::http::pages::session::{Visitor, frame, read_slowly, write_with_password};
use crate::http::pages::view::{self, Frame, Notice, Place, Problems};
use crate::http::server::Shared;
use crate::model::{User, UserId, UserSelector, normalize};
use crate::service::sessions::Session;
use crate::service::{self, accounts};
use crate::store::Tx;

/// What the keys of the form are sealed for: such a key tells who was deleted by it.
const PURPOSE: &str = "deletion by an admin";

/// `/admin/users/ID/delete/`
#[derive(Template)]
#[template(path = "admin/delete.html", whitespace = "minimize")]
struct Delete {
    frame: Frame,
    user: User,
    path: String,
    /// What was typed to confirm
    typed: String,
    rows: Vec<(&'static str, String)>,
    tombstones: i64,
    /// Whether the password was last given too long ago
    asks_password: bool,
    problems: Problems,
    key: String,
    command: String,
}

/// Shows what would be deleted.
pub(super) async fn show(State(server): State<Shared>, Admin(session): Admin, id: Id, method: Method) -> Page {
    let user = subject(id)?;
    if user == session.user.person.user_id {
        return Ok(Redirect::to("/account/delete/").into_response());
    }
    if method == Method::HEAD {
        return Ok(headers_alone());
    }
    shown(&server, &session, user, String::new(), Problems::default()).await
}

async fn shown(server: &Shared, session: &Session, user: UserId, typed: String, problems: Problems) -> Page {
    server.limits.receipts.take(&session.user.person.user_id)?;
    let count = move |tx: &mut Tx<'_>, session: &Session| {
        let (actor, selector) = (session.actor(), UserSelector::Id(user));
        Ok((service::user(tx, &actor, &selector)?, accounts::receipt(tx, &actor, &selector)?))
    };
    let (user, receipt) = read_slowly(server, session, count).await?;
    let delete = Delete {
        frame: Frame { place: Some(Place::Users), ..frame(session, None) },
        path: path_of(user.person.user_id),
        typed,
        rows: view::rows(&receipt),
        tombstones: receipt.tombstones,
        asks_password: !session.is_confirmed(server.app.now()),
        problems,
        key: server.keys.seal(PURPOSE, user.person.user_id.0.as_bytes())?,
        command: command(["user", "delete", &named(&user.person)]),
        user,
    };
    Ok(view::page(&delete)?)
}

/// Deletes the account.
pub(super) async fn delete(
    State(server): State<Shared>,
    visitor: Visitor,
    Admin(mut session): Admin,
    id: Id,
    form: Form,
) -> Page {
    let user = subject(id)?;
    let username = normalize(form.text("username"));
    let delete = move |tx: &mut Tx<'_>, session: &Session| {
        let (actor, selector) = (session.actor(), UserSelector::Id(user));
        if username != service::user(tx, &actor, &selector)?.person.username {
            return Err(Error::invalid("username", "That is not the username."));
        }
        session.must_be_confirmed(tx.now())?;
        accounts::delete(tx, &actor, &[selector]).map(drop)
    };
    match write_with_password(&server, &visitor, &mut session, &form, delete).await {
        Ok(()) => Ok(done(users::PATH, Notice::UserDeleted)),
        // The form that deleted the account comes again: its answer is that of the first time.
        Err(error) if error.kind() == Kind::NotFound && is_key_of(&server, &form, user) => {
            Ok(done(users::PATH, Notice::UserDeleted))
        }
        Err(error) if is_of_form(&error) => {
            let problems = Problems::new(&error, &["username", "current_password"]);
            let page = shown(&server, &session, user, form.text("username").to_owned(), problems).await?;
            Ok(refused(error, page))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a form is of the receipt of that user
fn is_key_of(server: &Shared, form: &Form, user: UserId) -> bool {
    server.keys.open(PURPOSE, form.text("key")).is_some_and(|id| id == user.0.as_bytes())
}
