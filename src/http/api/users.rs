//! Accounts over HTTP.

use std::sync::Arc;

use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Changeable, Here, IfNoneMatch, changed, json, shown_to_change};
use super::changes::{Rest, Unset, given};
use super::request::{Address, Body, Cleared, IdempotencyKey, NO_NUL, Path, Query};
use crate::app::hash_password;
use crate::error::Error;
use crate::http::server::caller::Caller;
use crate::http::server::conditions::Conditions;
use crate::http::server::limits::Tried;
use crate::http::server::problem::Problem;
use crate::http::server::stream::Pipe;
use crate::http::server::{Shared, aside};
use crate::model::{Actor, Role, UserDetails, UserId, UserSelector};
use crate::service::Credentials;
use crate::service::login::{Client, Subject};
use crate::service::users::{self, UserChange};
use crate::service::{accounts, passwords, registration, tokens};
use crate::store::Tx;
use crate::store::tokens::Login;
use crate::transfer::export::export;

/// None of white space, controls, / # : and what is ignored where it cannot be shown (the joiners stand where scripts need them),
/// and no @ at first
const USERNAME: &str = r"^[^\s\u0000-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8/#:@][^\s\u0000-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8/#:]*$";

/// An email address, or an empty text
const EMAIL: &str = r"^([^@\s]+@[^@\s]+)?$";

/// A new account
#[derive(Deserialize, JsonSchema)]
pub(super) struct Registration {
    /// 1 to 150 characters, without white space, / # and :
    #[schemars(length(min = 1, max = 150), regex(pattern = USERNAME))]
    username: String,
    /// 8 characters to 1,024 bytes
    #[schemars(length(min = 8, max = 1024))]
    password: String,
    #[schemars(length(max = 254), regex(pattern = EMAIL))]
    email: Option<String>,
    #[schemars(length(max = 150), regex(pattern = NO_NUL))]
    first_name: Option<String>,
    #[schemars(length(max = 150), regex(pattern = NO_NUL))]
    last_name: Option<String>,
    /// Not allowed here
    #[serde(default)]
    role: Unset,
    /// Not allowed here
    #[serde(default)]
    is_active: Unset,
}

/// Registers. Whatever refuses it does so before the time that hashing takes is spent.
pub(super) async fn register(
    State(server): State<Shared>,
    Address(client): Address,
    caller: Option<Caller>,
    conditions: Conditions,
    IdempotencyKey(request): IdempotencyKey,
    Body(new): Body<Registration>,
) -> Answer {
    let Registration { username, password, email, first_name, last_name, role: Unset, is_active: Unset } = new;
    let details = UserDetails {
        username,
        email,
        first_name: first_name.unwrap_or_default(),
        last_name: last_name.unwrap_or_default(),
        role: Role::User,
    };
    let stranger = caller.is_none().then_some(client);
    let wanted =
        registration::Registration::new(&details, server.options.registration, request, &server.keys, stranger)?;
    passwords::check(&password, &wanted.details().username)?;
    let (wanted, password) = (Arc::new(wanted), Arc::<str>::from(password));
    loop {
        let (registration, by) = (Arc::clone(&wanted), caller.clone());
        let look = move |tx: &mut Tx<'_>| {
            let actor = acting(tx, by.as_ref())?;
            registration::look(tx, actor.as_ref(), &registration)
        };
        let password = Arc::clone(&password);
        if let Some(Login { user, password_hash, .. }) = server.read_unauthenticated(look).await? {
            let tried = Tried::new(Subject::Account(user.person.key), client, false);
            let verify = move || {
                let is_right = passwords::verify_for(password_hash.as_deref(), &password)?;
                Ok(is_right.then_some(()))
            };
            server.guess(tried, verify).await?.ok_or_else(registration::other_request)?;
            return json(StatusCode::CREATED, &user);
        }
        let registration = Arc::clone(&wanted);
        let hash = server.hash(move || hash_password(&password, &registration.details().username)).await?;
        let (registration, by, wanted_so) = (Arc::clone(&wanted), caller.clone(), conditions.clone());
        let register = move |tx: &mut Tx<'_>| {
            let actor = acting(tx, by.as_ref())?;
            let user = registration::register(tx, actor.as_ref(), &registration, &hash)?;
            wanted_so.must_be_met_by_any()?;
            Ok(user)
        };
        // None: the same request was faster.
        if let Some(user) = server.write_unauthenticated(register).await? {
            return json(StatusCode::CREATED, &user);
        }
    }
}

/// The user who acts, if the request has a token
fn acting(tx: &mut Tx<'_>, caller: Option<&Caller>) -> Result<Option<Actor>, Error> {
    caller.map(|Caller(claims, _)| tokens::acting(tx, claims)).transpose()
}

/// Which users to list
#[derive(Deserialize, JsonSchema)]
pub(super) struct Listing {
    /// A part of the username, the first or last name; for admins also of the email
    #[schemars(length(max = 200), regex(pattern = NO_NUL))]
    search: Option<String>,
    cursor: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

/// Lists users.
pub(super) async fn list(
    State(server): State<Shared>,
    here: Here,
    caller: Caller,
    Query(Listing { search, cursor, page_size }): Query<Listing>,
) -> Answer {
    let (seek, size) = here.part(cursor.as_deref(), page_size)?;
    let matching = users::Matching { search, ..users::Matching::default() };
    let page =
        server.read_slowly(caller, move |tx, actor| users::page(tx, actor, &matching, seek.as_ref(), size)).await?;
    here.list(page)
}

/// Shows a user.
pub(super) async fn show(
    State(server): State<Shared>,
    if_none_match: IfNoneMatch,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Answer {
    let selector = UserSelector::Id(id);
    shown_to_change(&if_none_match, &server.read(caller, move |tx, actor| users::show(tx, actor, &selector)).await?)
}

/// Shows the caller's account.
pub(super) async fn show_own(State(server): State<Shared>, if_none_match: IfNoneMatch, caller: Caller) -> Answer {
    let selector = UserSelector::Id(caller.0.user);
    shown_to_change(&if_none_match, &server.read(caller, move |tx, actor| users::show(tx, actor, &selector)).await?)
}

/// Changes of the caller's account; what is absent stays
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "OwnAccountChange", deny_unknown_fields)]
pub(super) struct OwnChange {
    #[schemars(length(min = 1, max = 150), regex(pattern = USERNAME))]
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    username: Option<String>,
    /// null or an empty text removes it
    #[serde(default)]
    #[schemars(length(max = 254), regex(pattern = EMAIL))]
    email: Cleared,
    #[schemars(length(max = 150), regex(pattern = NO_NUL))]
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    first_name: Option<String>,
    #[schemars(length(max = 150), regex(pattern = NO_NUL))]
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    last_name: Option<String>,
    /// A new password; all tokens stop being valid at once
    #[schemars(length(min = 8, max = 1024))]
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    password: Option<String>,
    /// The current password; required with a new one
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    current_password: Option<String>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// Changes the caller's account.
pub(super) async fn change_own(
    State(server): State<Shared>,
    Address(client): Address,
    caller: Caller,
    Body(change): Body<OwnChange>,
) -> Answer {
    let OwnChange { username, email, first_name, last_name, password, current_password, rest } = change;
    if let Some(email) = email.0.as_deref().filter(|email| !email.is_empty()) {
        // The response shows whether the name is taken.
        let own = server.read(caller.clone(), |_, actor| Ok(actor.clone())).await?;
        if !matches!(own, Actor::User(user) if user.email.as_deref() == Some(email)) {
            server.limits.registrations.take(&client)?;
        }
    }
    let mut change = UserChange { username, email: email.0, first_name, last_name, ..UserChange::default() };
    if let Some(password) = password {
        let current = current_password
            .ok_or_else(|| Error::invalid("current_password", "A new password needs the current one."))?;
        change.password_hash = Some(new_hash(&server, &caller, client, &change, password, current).await?);
    }
    let selector = UserSelector::Id(caller.0.user);
    update(&server, caller, selector, change, rest).await
}

async fn update(server: &Shared, caller: Caller, selector: UserSelector, change: UserChange, rest: Rest) -> Answer {
    let user = server
        .write_if(caller, move |tx, actor, conditions| {
            users::update_if(tx, actor, &selector, &change, &mut |_, user| {
                conditions.must_be_met(&user.first(), || user.tag())?;
                rest.must_be_so(user)
            })
        })
        .await?;
    changed(StatusCode::OK, &user)
}

/// Verifies the current password and hashes the new one, after the other fields were checked. The token proves that the
/// current password did not change meanwhile.
async fn new_hash(
    server: &Shared,
    caller: &Caller,
    client: Client,
    change: &UserChange,
    password: String,
    current: String,
) -> Result<String, Problem> {
    let change = change.clone();
    let look = move |tx: &mut Tx<'_>, actor: &Actor| users::check_own_change(tx, actor, &change);
    let known = server.read(caller.clone(), look).await?;
    server.new_hash((client, caller.0.user), known, password, current).await
}

/// Changes of an account by an admin; what is absent stays
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AccountChange", deny_unknown_fields)]
pub(super) struct AccountPatch {
    #[schemars(length(min = 1, max = 150), regex(pattern = USERNAME))]
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    username: Option<String>,
    /// null or an empty text removes it
    #[serde(default)]
    #[schemars(length(max = 254), regex(pattern = EMAIL))]
    email: Cleared,
    #[schemars(length(max = 150), regex(pattern = NO_NUL))]
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    first_name: Option<String>,
    #[schemars(length(max = 150), regex(pattern = NO_NUL))]
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "String")]
    last_name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Role")]
    role: Option<Role>,
    /// Whether the user can log in and act
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "bool")]
    is_active: Option<bool>,
    #[serde(flatten)]
    #[schemars(skip)]
    rest: Rest,
}

/// Changes an account.
pub(super) async fn change(
    State(server): State<Shared>,
    caller: Caller,
    Path(id): Path<UserId>,
    Body(change): Body<AccountPatch>,
) -> Answer {
    let AccountPatch { username, email, first_name, last_name, role, is_active, rest } = change;
    let change = UserChange { username, email: email.0, first_name, last_name, role, is_active, password_hash: None };
    let selector = UserSelector::Id(id);
    update(&server, caller, selector, change, rest).await
}

/// Deletes an account.
pub(super) async fn delete(
    State(server): State<Shared>,
    headers: HeaderMap,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Answer {
    delete_account(&server, &headers, caller, id).await
}

/// Deletes the caller's account.
pub(super) async fn delete_own(State(server): State<Shared>, headers: HeaderMap, caller: Caller) -> Answer {
    let id = caller.0.user;
    delete_account(&server, &headers, caller, id).await
}

async fn delete_account(server: &Shared, headers: &HeaderMap, caller: Caller, id: UserId) -> Answer {
    let selectors = [UserSelector::Id(id)];
    let receipt = server
        .write_if(caller, move |tx, actor, conditions| {
            accounts::delete_if(tx, actor, &selectors, &mut |_, user| {
                conditions.must_be_met(&user.first(), || user.tag())
            })
        })
        .await?;
    let prefers = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let is_wanted = prefers.flat_map(|value| value.split(',')).any(|word| word.trim() == "return=representation");
    if !is_wanted {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let mut answer = json(StatusCode::OK, &receipt)?;
    let applied = HeaderName::from_static("preference-applied");
    answer.headers_mut().insert(applied, HeaderValue::from_static("return=representation"));
    Ok(answer)
}

/// Exports everything about the caller: written while it is read, however much there is, until the caller's tokens are revoked.
pub(super) async fn export_own(State(server): State<Shared>, caller: Caller) -> Answer {
    let user = caller.0.user;
    let actor = server.read(caller.clone(), |_, actor| Ok(actor.clone())).await?;
    exported(&server, user, actor, Credentials::Token(caller.0)).await
}

/// Everything about a user, who acts, until their credentials are taken away.
pub(in crate::http) async fn exported(server: &Shared, user: UserId, actor: Actor, by: Credentials) -> Answer {
    let selector = UserSelector::Id(user);
    let slot = server.exports.try_take(user).ok_or_else(|| Problem::rate_limited(10))?;
    let shared = Arc::clone(server);
    let app = aside(move || shared.app.with_own_connection()).await?;
    let pipe = Pipe::fill(move |out| {
        let _slot = slot;
        export(&app, &actor, &selector, Some(&by), out).is_ok()
    })?;
    let media_type = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, media_type)], Stream::new(pipe)).into_response())
}
