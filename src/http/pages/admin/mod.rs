//! The administration: pages for admins.

mod conversation;
mod conversations;
mod deletion;
mod events;
mod health;
mod history;
mod overview;
mod search;
mod texts;
mod user;
mod users;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::routing::{MethodRouter, get, post};
use uuid::Uuid;

use super::answer::Refused;
use super::session::LoggedIn;
use crate::app::quoted;
use crate::error::Error;
use crate::http::server::Shared;
use crate::model::{UserRef, uuid};
use crate::service::must_administer;
use crate::service::sessions::Session;

/// The path of the administration
pub(super) const PATH: &str = "/admin/";

/// The method and the path of each page and of each form, and what answers it
pub(super) fn routes() -> Vec<(&'static str, &'static str, MethodRouter<Shared>)> {
    vec![
        ("GET", PATH, get(overview::show)),
        ("GET", users::PATH, get(users::show)),
        ("POST", users::PATH, post(users::create)),
        // Whoever comes to a form's address by itself gets the page with the form.
        ("GET", "/admin/users/bulk/", get(users::back)),
        ("POST", "/admin/users/bulk/", post(users::change_several)),
        ("GET", "/admin/users/{user_id}/", get(user::show)),
        ("POST", "/admin/users/{user_id}/", post(user::change)),
        ("GET", "/admin/users/{user_id}/active/", get(user::back)),
        ("POST", "/admin/users/{user_id}/active/", post(user::set_active)),
        ("GET", "/admin/users/{user_id}/sessions/", get(user::back)),
        ("POST", "/admin/users/{user_id}/sessions/", post(user::end_sessions)),
        ("GET", "/admin/users/{user_id}/password-link/", get(user::back)),
        ("POST", "/admin/users/{user_id}/password-link/", post(user::make_link)),
        ("GET", "/admin/users/{user_id}/delete/", get(deletion::show)),
        ("POST", "/admin/users/{user_id}/delete/", post(deletion::delete)),
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

/// The id in a path; an error where it is not UTF-8
type Id = Result<Path<String>, PathRejection>;

/// Reads the id of what is called so.
fn read_id<T>(path: Id, what: &str, make: fn(Uuid) -> T) -> Result<T, Error> {
    let id = path.ok().and_then(|Path(id)| uuid(&id));
    id.map(make).ok_or_else(|| Error::not_found(format!("There is no {what} with this id.")))
}

/// The line of the command that does the same, as a shell reads it
fn command<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words = words.into_iter().map(|word| format!(" {}", quoted(word)));
    words.fold("tidings".to_owned(), |line, word| line + &word)
}

/// What names a user in a command: the id where the username would be taken for an option
fn named(person: &UserRef) -> String {
    if person.username.starts_with('-') { person.user_id.to_string() } else { person.username.clone() }
}
