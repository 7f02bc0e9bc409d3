//! One's own account: profile, password, levels, sessions, export.

use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::address::Address;
use super::answer::{Page, done, is_of_form, notice, refused, with_cookie};
use super::form::{Form, new_key};
use super::session::{LoggedIn, Visitor, frame, read, write};
use super::view::{self, Account, Details, Frame, Notice, Place, Problems, Subscription, handle_of, name_of};
use crate::error::{Error, Kind};
use crate::http::api::exported;
use crate::http::server::Shared;
use crate::model::{
    Choice, ConversationId, ConversationKey, ConversationView, Kind as ConversationKind, Level, Role, Seek, Timestamp,
    User, UserId, UserSelector, uuid,
};
use crate::service::page::Page as Part;
use crate::service::sessions::{self, Session};
use crate::service::tokens::Secret;
use crate::service::users::{self, UserChange};
use crate::service::{Credentials, conversations, login, once_done};
use crate::store::Tx;
use crate::store::tokens::Hash;

/// The path of the page
pub(super) const PATH: &str = "/account/";

/// How many conversations a page shows
const CONVERSATIONS: i64 = 20;

/// A position in the list of conversations
type Position = (Timestamp, ConversationKey);

/// What was typed into a form of the page that was refused, and what is wrong with it
#[derive(Default)]
struct Typed {
    change: UserChange,
    levels: Vec<(ConversationId, Level)>,
    details_problems: Problems,
    password_problems: Problems,
    levels_problems: Problems,
}

/// Shows one's account.
pub(super) async fn show(
    State(server): State<Shared>,
    LoggedIn(session): LoggedIn,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Page {
    let notice = notice(&headers, query.as_deref());
    shown(&server, &session, notice, Address::read(PATH, query.as_deref(), &[]), Typed::default()).await
}

/// Leads from the address of a form to the page that it is on.
pub(super) async fn back() -> Redirect {
    Redirect::to(PATH)
}

async fn shown(server: &Shared, session: &Session, notice: Option<Notice>, address: Address, typed: Typed) -> Page {
    let seek: Option<Seek<Position>> = address.seek(&server.keys);
    let look = move |tx: &mut Tx<'_>, session: &Session| {
        let actor = session.actor();
        let part = conversations::page_of(tx, &actor, None, seek.as_ref(), CONVERSATIONS)?;
        Ok((session.user.clone(), part, sessions::list(tx, &actor, &session.user)?))
    };
    let (user, part, sessions) = read(server, session, look).await?;
    let Part { items, next, previous, .. } = part;
    let account = Account {
        frame: Frame { place: Some(Place::Account), ..frame(session, notice) },
        details: details_of(&user, typed.change),
        details_problems: typed.details_problems,
        password_problems: typed.password_problems,
        levels_problems: typed.levels_problems,
        around: address.around(&server.keys, previous.as_ref(), next.as_ref())?,
        conversations: items.iter().map(|conversation| subscription(&user, conversation, &typed.levels)).collect(),
        beginning: address.beginning(),
        place: address.query(),
        sessions: sessions.iter().map(|found| session_view(found, session)).collect(),
        key: new_key()?,
        user,
    };
    Ok(view::page(&account)?)
}

/// The profile of a user, with what was typed into a form of it
pub(super) fn details_of(user: &User, typed: UserChange) -> Details {
    let person = &user.person;
    Details {
        username: typed.username.unwrap_or_else(|| person.username.clone()),
        first_name: typed.first_name.unwrap_or_else(|| person.first_name.clone()),
        last_name: typed.last_name.unwrap_or_else(|| person.last_name.clone()),
        email: typed.email.or_else(|| user.email.clone()).unwrap_or_default(),
    }
}

/// What a form of a profile changes: what is as it was when the page was made may be another by now, and stays.
pub(super) fn change_of(form: &Form) -> UserChange {
    UserChange {
        username: form.changed("username"),
        email: form.changed("email"),
        first_name: form.changed("first_name"),
        last_name: form.changed("last_name"),
        role: form.changed("role").and_then(|word| role(&word)),
        ..UserChange::default()
    }
}

/// The role with that word
pub(super) fn role(word: &str) -> Option<Role> {
    Role::ALL.iter().copied().find(|role| role.word() == word)
}

pub(super) fn subscription(
    user: &User,
    conversation: &ConversationView,
    typed: &[(ConversationId, Level)],
) -> Subscription {
    let id = conversation.conversation_id;
    let other = conversation.participants.iter().find(|person| person.key != user.person.key);
    let name = match conversation.kind {
        ConversationKind::Direct => other.map(|person| person.username.clone()).unwrap_or_default(),
        ConversationKind::Group => name_of(conversation),
    };
    let chosen = typed.iter().find(|(typed, _)| *typed == id).map(|(_, level)| *level);
    let before = conversation.level.unwrap_or(Level::All);
    Subscription {
        id,
        name,
        handle: handle_of(conversation),
        kind: conversation.kind,
        participants: conversation.participant_count,
        level: chosen.unwrap_or(before),
        before,
    }
}

pub(super) fn session_view(found: &Session, this: &Session) -> view::Session {
    view::Session {
        id: URL_SAFE_NO_PAD.encode(found.hash),
        browser: found.browser.clone(),
        made: found.created_at,
        seen: found.seen_at,
        is_this: found.hash == this.hash,
    }
}

/// Changes the profile.
pub(super) async fn change(
    State(server): State<Shared>,
    visitor: Visitor,
    LoggedIn(session): LoggedIn,
    form: Form,
) -> Page {
    let (typed, request) = (change_of(&form), form.request(&server.keys));
    let is_new = |email: &String| !email.is_empty() && session.user.email.as_ref() != Some(email);
    let is_new = typed.email.as_ref().is_some_and(is_new);
    let change = typed.clone();
    let update = move |tx: &mut Tx<'_>, session: &Session| {
        let actor = session.actor();
        once_done(tx, &actor, request.as_ref(), |tx| {
            users::update(tx, &actor, &UserSelector::of(&session.user), &change).map(drop)
        })
    };
    // As over REST: the answer shows whether an address is taken.
    let allowed = if is_new { server.limits.registrations.take(&visitor.client) } else { Ok(()) };
    let outcome = match allowed {
        Ok(()) => write(&server, &session, update).await,
        Err(problem) => Err(problem.into()),
    };
    match outcome {
        Ok(()) => Ok(done(PATH, Notice::ProfileSaved)),
        Err(error) if is_of_form(&error) => {
            let details_problems = Problems::new(&error, &["username", "first_name", "last_name", "email"]);
            let typed = Typed { change: typed, details_problems, ..Typed::default() };
            Ok(refused(error, shown(&server, &session, None, Address::read(PATH, None, &[]), typed).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Replaces the password: every log-in ends, and this browser gets a new one.
pub(super) async fn change_password(State(server): State<Shared>, visitor: Visitor, form: Form) -> Page {
    let Some((secret, session)) = visitor.secret.zip(visitor.session.clone()) else {
        return again(&server, &visitor, &form).await;
    };
    let next = server.keys.next_session(secret);
    match renew(&server, &visitor, &session, &form, next).await {
        Ok(()) => Ok(with_cookie(done(PATH, Notice::PasswordChanged), visitor.cookie(next)?)),
        Err(error) if error.kind() == Kind::Unauthenticated => again(&server, &visitor, &form).await,
        Err(error) if is_of_form(&error) => {
            let password_problems = Problems::new(&error, &["current_password", "password"]);
            let typed = Typed { password_problems, ..Typed::default() };
            Ok(refused(error, shown(&server, &session, None, Address::read(PATH, None, &[]), typed).await?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn renew(server: &Shared, visitor: &Visitor, session: &Session, form: &Form, next: Secret) -> Result<(), Error> {
    let look =
        |tx: &mut Tx<'_>, session: &Session| users::check_own_change(tx, &session.actor(), &UserChange::default());
    let (username, hash) = read(server, session, look).await?;
    let (password, current) = (form.text("password").to_owned(), form.text("current_password").to_owned());
    let user = session.user.person.user_id;
    let hash = server.new_hash((visitor.client, user), (username, hash), password, current).await?;
    let own = session.hash;
    let change = move |tx: &mut Tx<'_>| sessions::change_password(tx, &own, &hash, next);
    server.write_unauthenticated(change).await.map(drop)
}

/// The answer to the form of a new password whose session has ended: that of the first time, where it was carried out and only the
/// answer was lost. Whoever knows the new password may have the session that took the place of the one that ended.
async fn again(server: &Shared, visitor: &Visitor, form: &Form) -> Page {
    let next = server.keys.next_session(visitor.secret.ok_or_else(sessions::ended)?);
    let session = server.read_unauthenticated(move |tx| sessions::acting(tx, &next.hash())).await?;
    server.limits.changes.take(&session.user.person.user_id)?;
    let client = visitor.client;
    let look = move |tx: &mut Tx<'_>| login::attempt_again(tx, &session, client);
    match server.verify(client, look, form.text("password").to_owned()).await? {
        Some(_) => Ok(with_cookie(done(PATH, Notice::PasswordChanged), visitor.cookie(next)?)),
        None => Err(sessions::ended().into()),
    }
}

/// Sets which messages of one's conversations notify.
pub(super) async fn set_levels(State(server): State<Shared>, LoggedIn(session): LoggedIn, form: Form) -> Page {
    let level = |(name, _): (&str, &str)| {
        let (id, chosen) = (uuid(name)?, form.changed(name)?);
        let level = Level::ALL.iter().copied().find(|level| level.word() == chosen)?;
        Some((ConversationId(id), level))
    };
    let levels: Vec<(ConversationId, Level)> = form.fields().filter_map(level).collect();
    let (wanted, request) = (levels.clone(), form.request(&server.keys));
    let address = Address::of_form(PATH, &form, &[]);
    let set = move |tx: &mut Tx<'_>, session: &Session| {
        let actor = session.actor();
        once_done(tx, &actor, request.as_ref(), |tx| conversations::set_levels(tx, &actor, &wanted))
    };
    match write(&server, &session, set).await {
        Ok(()) => Ok(done(&address.at(), Notice::LevelsSaved)),
        Err(error) if is_of_form(&error) => {
            let levels_problems = Problems::new(&error, &[]);
            let typed = Typed { levels, levels_problems, ..Typed::default() };
            Ok(refused(error, shown(&server, &session, None, address, typed).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends one of one's sessions, or all but this one.
pub(super) async fn end_sessions(State(server): State<Shared>, LoggedIn(session): LoggedIn, form: Form) -> Page {
    let Some(one) = session_of(&form)? else {
        // Sent twice, it ends what began meanwhile, too.
        write(&server, &session, |tx, session| sessions::end_others(tx, &session.hash)).await?;
        return Ok(done(PATH, Notice::SessionsEnded));
    };
    let end = move |tx: &mut Tx<'_>, session: &Session| {
        sessions::end(tx, &session.actor(), &UserSelector::of(&session.user), &one)
    };
    write(&server, &session, end).await?;
    Ok(done(PATH, Notice::SessionEnded))
}

/// The session that a form names; none where it means all of them
pub(super) fn session_of(form: &Form) -> Result<Option<Hash>, Error> {
    let id = form.text("session");
    if id.is_empty() {
        return Ok(None);
    }
    let hash = URL_SAFE_NO_PAD.decode(id).ok().and_then(|hash| Hash::try_from(hash).ok());
    hash.map(Some).ok_or_else(|| Error::invalid("session", "That is not the id of a session."))
}

/// Everything about oneself, as a file.
pub(super) async fn export(State(server): State<Shared>, LoggedIn(session): LoggedIn) -> Page {
    let user: UserId = session.user.person.user_id;
    let mut response: Response =
        exported(&server, user, session.actor(), Credentials::Session(session.hash)).await?.into_response();
    let file = HeaderValue::from_static("attachment; filename=\"tidings-export.json\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, file);
    Ok(response)
}
