//! One user: their profile, role and state, conversations, notifications, sessions, and the link by which they set a password.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Redirect;

use super::conversation::{Names, names};
use super::{Admin, Id, command, named, read_id};
use crate::error::Error;
use crate::http::pages::account::{change_of, details_of, session_of, session_view, subscription};
use crate::http::pages::address::Address;
use crate::http::pages::answer::{Page, done, is_of_form, notice, refused};
use crate::http::pages::assets;
use crate::http::pages::form::{Form, new_key};
use crate::http::pages::session::{Visitor, frame, read, write, write_with_password};
use crate::http::pages::view::{self, Around, Details, Frame, Notice, Place, Problems, Subscription, grouped};
use crate::http::server::Shared;
use crate::model::{ConversationKey, Notification, Role, Seek, Timestamp, User, UserId, UserSelector};
use crate::service::page::Page as Part;
use crate::service::sessions::{self, Session};
use crate::service::users::{self, UserChange};
use crate::service::{conversations, notifications, once_done, password_links, tokens};
use crate::store::Tx;

/// How many conversations a page shows
const CONVERSATIONS: i64 = 20;

/// How many notifications the page shows
const NOTIFICATIONS: i64 = 5;

/// `/admin/users/ID/`
#[derive(Template)]
#[template(path = "admin/user.html", whitespace = "minimize")]
struct Shown {
    frame: Frame,
    user: User,
    /// Whether this is the admin's own account
    is_own: bool,
    has_password: bool,
    /// How many programs are logged in
    programs: i64,
    /// The profile, or what was typed
    details: Details,
    role: Role,
    details_problems: Problems,
    state_problems: Problems,
    link_problems: Problems,
    /// The link that was made, and until when it is valid
    link: Option<(String, Timestamp)>,
    conversations: Vec<Subscription>,
    around: Around,
    /// The page of the user with the first conversations, where it shows others
    beginning: Option<String>,
    /// How many notifications are unread, and how many there are
    unread: String,
    notified: String,
    notifications: Vec<Notification>,
    /// What the conversations of their messages are called
    names: Names,
    sessions: Vec<view::Session>,
    /// Whether the password was last given too long ago
    asks_password: bool,
    /// The query of the page of conversations that it is; empty for the first
    place: String,
    /// The beginning of the idempotency keys of its forms
    key: String,
    /// What names the user in commands
    named: String,
    /// The address of the server
    origin: String,
}

impl Shown {
    fn path(&self) -> String {
        path_of(self.user.person.user_id)
    }

    fn command(&self, verb: &str) -> String {
        command(["user", verb, &self.named])
    }

    /// The command that makes a link to this server
    fn link_command(&self) -> String {
        command(["user", "password-link", &self.named, "--base-url", &self.origin])
    }

    fn revocation(&self) -> String {
        command(["token", "revoke", &self.named])
    }

    /// What is logged in beside browsers
    fn beside(&self) -> String {
        match self.programs {
            0 => String::new(),
            1 => ", beside 1 log-in of a program".to_owned(),
            count => format!(", beside {} log-ins of programs", grouped(count)),
        }
    }
}

/// What was typed into a form of the page that was refused, and what is wrong with it
#[derive(Default)]
struct Typed {
    change: UserChange,
    details_problems: Problems,
    state_problems: Problems,
    link_problems: Problems,
    link: Option<(String, Timestamp)>,
}

/// The path of the page of a user
pub(super) fn path_of(user: UserId) -> String {
    format!("/admin/users/{user}/")
}

/// The user whose page it is
pub(super) fn subject(id: Id) -> Result<UserId, Error> {
    read_id(id, "user", UserId)
}

/// Shows a user.
pub(super) async fn show(
    State(server): State<Shared>,
    visitor: Visitor,
    Admin(session): Admin,
    id: Id,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Page {
    let user = subject(id)?;
    let notice = notice(&headers, query.as_deref());
    let address = Address::read(path_of(user), query.as_deref(), &[]);
    shown(&server, &visitor, &session, user, notice, address, Typed::default()).await
}

/// Leads from the address of a form to the page that it is on.
pub(super) async fn back(id: Id) -> Result<Redirect, crate::http::pages::answer::Refused> {
    Ok(Redirect::to(&path_of(subject(id)?)))
}

async fn shown(
    server: &Shared,
    visitor: &Visitor,
    session: &Session,
    subject: UserId,
    notice: Option<Notice>,
    address: Address,
    typed: Typed,
) -> Page {
    let seek: Option<Seek<(Timestamp, ConversationKey)>> = address.seek(&server.keys);
    let look = move |tx: &mut Tx<'_>, session: &Session| {
        let (actor, selector) = (session.actor(), UserSelector::Id(subject));
        let user = crate::service::user(tx, &actor, &selector)?;
        let credentials = users::credentials(tx, &actor, &user)?;
        let part = conversations::page_of_user(tx, &actor, &user, seek.as_ref(), CONVERSATIONS)?;
        let notified = notifications::newest_of(tx, &actor, &user, NOTIFICATIONS)?;
        let sessions = sessions::list(tx, &actor, &user)?;
        let names = names(tx, &actor, notified.2.iter().map(|notification| notification.message.conversation))?;
        Ok((user, credentials, part, (notified, names), sessions))
    };
    let (user, (has_password, programs), part, (notified, names), sessions) = read(server, session, look).await?;
    let (unread, notified, notifications) = notified;
    let Part { items, next, previous, .. } = part;
    let page = Shown {
        frame: Frame { place: Some(Place::Users), ..frame(session, notice) },
        is_own: session.user.person.key == user.person.key,
        has_password,
        programs,
        role: typed.change.role.unwrap_or(user.role),
        details: details_of(&user, typed.change),
        details_problems: typed.details_problems,
        state_problems: typed.state_problems,
        link_problems: typed.link_problems,
        link: typed.link,
        conversations: items.iter().map(|conversation| subscription(&user, conversation, &[])).collect(),
        around: address.around(&server.keys, previous.as_ref(), next.as_ref())?,
        unread: grouped(unread),
        notified: grouped(notified),
        notifications,
        names,
        sessions: sessions.iter().map(|found| session_view(found, session)).collect(),
        asks_password: !session.is_confirmed(server.app.now()),
        place: address.query(),
        beginning: address.beginning(),
        key: new_key()?,
        named: named(&user.person),
        origin: visitor.origin(),
        user,
    };
    Ok(view::page(&page)?)
}

/// Changes the profile, and the role.
pub(super) async fn change(
    State(server): State<Shared>,
    visitor: Visitor,
    Admin(mut session): Admin,
    id: Id,
    form: Form,
) -> Page {
    let (user, typed, request) = (subject(id)?, change_of(&form), form.request(&server.keys));
    let change = typed.clone();
    let update = move |tx: &mut Tx<'_>, session: &Session| {
        let (actor, selector) = (session.actor(), UserSelector::Id(user));
        once_done(tx, &actor, request.as_ref(), |tx| {
            let is_allowed = &mut |tx: &mut Tx<'_>, before: &User| match change.role {
                Some(role) if role != before.role => session.must_be_confirmed(tx.now()),
                _ => Ok(()),
            };
            users::update_if(tx, &actor, &selector, &change, is_allowed).map(drop)
        })
    };
    let address = Address::of_form(path_of(user), &form, &[]);
    match write_with_password(&server, &visitor, &mut session, &form, update).await {
        Ok(()) => Ok(done(&address.at(), Notice::UserSaved)),
        Err(error) if is_of_form(&error) => {
            let fields = ["username", "first_name", "last_name", "email", "current_password"];
            let details_problems = Problems::new(&error, &fields);
            let typed = Typed { change: typed, details_problems, ..Typed::default() };
            Ok(refused(error, shown(&server, &visitor, &session, user, None, address, typed).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether a form activates, or deactivates.
pub(super) fn activates(form: &Form) -> Result<bool, Error> {
    match form.text("action") {
        "activate" => Ok(true),
        "deactivate" => Ok(false),
        _ => Err(Error::invalid("action", "Nothing was done: press Activate or Deactivate.")),
    }
}

/// Activates or deactivates the account.
pub(super) async fn set_active(
    State(server): State<Shared>,
    visitor: Visitor,
    Admin(session): Admin,
    id: Id,
    form: Form,
) -> Page {
    let (user, is_active) = (subject(id)?, activates(&form)?);
    let set = move |tx: &mut Tx<'_>, session: &Session| {
        users::set_active(tx, &session.actor(), &UserSelector::Id(user), is_active).map(drop)
    };
    match write(&server, &session, set).await {
        Ok(()) => {
            let notice = if is_active { Notice::Activated(1) } else { Notice::Deactivated(1) };
            Ok(done(&path_of(user), notice))
        }
        Err(error) if is_of_form(&error) => {
            let typed = Typed { state_problems: Problems::new(&error, &[]), ..Typed::default() };
            let address = Address::read(path_of(user), None, &[]);
            Ok(refused(error, shown(&server, &visitor, &session, user, None, address, typed).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends a session of the user, or all of them with all access tokens.
pub(super) async fn end_sessions(State(server): State<Shared>, Admin(session): Admin, id: Id, form: Form) -> Page {
    let user = subject(id)?;
    let Some(one) = session_of(&form)? else {
        let end = move |tx: &mut Tx<'_>, session: &Session| {
            tokens::revoke_all(tx, &session.actor(), &UserSelector::Id(user)).map(drop)
        };
        write(&server, &session, end).await?;
        return Ok(done(&path_of(user), Notice::UserSignedOut));
    };
    let end =
        move |tx: &mut Tx<'_>, session: &Session| sessions::end(tx, &session.actor(), &UserSelector::Id(user), &one);
    write(&server, &session, end).await?;
    Ok(done(&path_of(user), Notice::SessionEnded))
}

/// Makes the link by which the user sets their password, and shows it: once, as nothing but its hash is kept. The same form makes
/// the same link.
pub(super) async fn make_link(
    State(server): State<Shared>,
    visitor: Visitor,
    Admin(mut session): Admin,
    id: Id,
    form: Form,
) -> Page {
    let (user, request) = (subject(id)?, form.request(&server.keys));
    let key = if request.is_some() { form.text("key").to_owned() } else { new_key()? };
    let link = server.keys.link(user, &key);
    let make = move |tx: &mut Tx<'_>, session: &Session| {
        session.must_be_confirmed(tx.now())?;
        let selector = UserSelector::Id(user);
        let made = password_links::make_once(tx, &session.actor(), &selector, link, request.as_ref());
        made.map(|(_, expires)| expires)
    };
    let address = Address::read(path_of(user), None, &[]);
    match write_with_password(&server, &visitor, &mut session, &form, make).await {
        Ok(expires) => {
            let url = format!("{}{}", visitor.origin(), password_links::path(link));
            let typed = Typed { link: Some((url, expires)), ..Typed::default() };
            shown(&server, &visitor, &session, user, None, address, typed).await
        }
        Err(error) if is_of_form(&error) => {
            let typed = Typed { link_problems: Problems::new(&error, &["current_password"]), ..Typed::default() };
            Ok(refused(error, shown(&server, &visitor, &session, user, None, address, typed).await?))
        }
        Err(error) => Err(error.into()),
    }
}
