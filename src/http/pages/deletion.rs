//! Deleting one's own account: a receipt, then the name typed, then it is gone.

use axum::extract::State;
use axum::http::StatusCode;

use super::answer::{Page, done, is_of_form, status, with_cookie};
use super::form::Form;
use super::session::{LoggedIn, Visitor, frame, log_in_first, write};
use super::view::{self, Delete, Notice, Problems};
use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::model::{Receipt, UserId, UserSelector, normalize};
use crate::service::accounts;
use crate::service::login::{self, Verified};
use crate::service::sessions::{self, Session};
use crate::store::Tx;

/// What the keys of the form are sealed for: such a key tells who was deleted by it.
const PURPOSE: &str = "deletion";

/// Shows what would be deleted.
pub(super) async fn show(State(server): State<Shared>, LoggedIn(session): LoggedIn) -> Page {
    shown(&server, &session, StatusCode::OK, String::new(), Problems::default()).await
}

async fn shown(server: &Shared, session: &Session, status: StatusCode, typed: String, problems: Problems) -> Page {
    let user = &session.user;
    server.limits.receipts.take(&user.person.user_id)?;
    let hash = session.hash;
    let receipt: Receipt = server
        .try_out(move |tx| {
            let session = sessions::acting(tx, &hash)?;
            accounts::delete(tx, &session.actor(), &[UserSelector::of(&session.user)])
        })
        .await?;
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
    Ok(view::page(status, &delete)?)
}

/// Deletes the account.
pub(super) async fn delete(State(server): State<Shared>, visitor: Visitor, form: Form) -> Page {
    let Some(session) = visitor.session.clone() else { return gone(&server, &visitor, &form).await };
    match carry_out(&server, &visitor, &session, &form).await {
        Ok(()) => Ok(with_cookie(done("/login/", Notice::AccountDeleted), visitor.no_cookie()?)),
        Err(error) if error.kind() == Kind::Unauthenticated => gone(&server, &visitor, &form).await,
        Err(error) if is_of_form(&error) => {
            let problems = Problems::new(&error, &["username", "current_password"]);
            shown(&server, &session, status(&error), form.text("username").to_owned(), problems).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn carry_out(server: &Shared, visitor: &Visitor, session: &Session, form: &Form) -> Result<(), Error> {
    let (username, password) = (normalize(form.text("username")), form.text("current_password").to_owned());
    let verified = if password.is_empty() { None } else { Some(verify(server, visitor, session, password).await?) };
    let delete = move |tx: &mut Tx<'_>, session: &Session| {
        let mut session = session.clone();
        if let Some(verified) = &verified {
            login::confirm(tx, &mut session, verified)?;
        }
        if username != session.user.person.username {
            return Err(Error::invalid("username", "That is not your username."));
        }
        session.must_be_confirmed(tx.now())?;
        accounts::delete(tx, &session.actor(), &[UserSelector::of(&session.user)]).map(drop)
    };
    write(server, session, delete).await
}

/// The password that is given again in a session
async fn verify(server: &Shared, visitor: &Visitor, session: &Session, password: String) -> Result<Verified, Error> {
    let (session, client) = (session.clone(), visitor.client);
    let look = move |tx: &mut Tx<'_>| login::attempt_again(tx, &session, client);
    let verified = server.verify(client, look, password).await?;
    verified.ok_or_else(|| Error::invalid("current_password", "That is not your password."))
}

/// The answer to the form whose session has ended: that of the first time, where it deleted the account.
async fn gone(server: &Shared, visitor: &Visitor, form: &Form) -> Page {
    let id = server.keys.open(PURPOSE, form.text("key")).and_then(|id| uuid::Uuid::from_slice(&id).ok());
    let is_deleted = match id {
        Some(id) => server.read_unauthenticated(move |tx| accounts::is_deleted(tx, UserId(id))).await?,
        None => false,
    };
    if !is_deleted {
        return Ok(log_in_first(form));
    }
    Ok(with_cookie(done("/login/", Notice::AccountDeleted), visitor.no_cookie()?))
}
