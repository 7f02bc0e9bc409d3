//! The users: searched and filtered, created, and activated or deactivated several at once.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Redirect;

use super::user::{activates, path_of};
use super::{Admin, command};
use crate::error::{Error, Result};
use crate::http::pages::account::role;
use crate::http::pages::address::Address;
use crate::http::pages::answer::{Page, done, is_of_form, notice, refused};
use crate::http::pages::assets;
use crate::http::pages::form::{Form, new_key};
use crate::http::pages::session::{Visitor, frame, read_by_need, write, write_with_password};
use crate::http::pages::view::{self, Around, Details, Frame, Notice, Place, Problems};
use crate::http::server::Shared;
use crate::model::{Role, Seek, User, UserDetails, UserId, uuid};
use crate::service::page::Page as Part;
use crate::service::sessions::Session;
use crate::service::users::{self, Matching, NewUser};
use crate::store::Tx;

/// The path of the page
pub(super) const PATH: &str = "/admin/users/";

/// What the list is filtered by
const FILTER: [&str; 3] = ["search", "role", "state"];

/// How many users a page shows
const SIZE: i64 = 50;

/// `/admin/users/`
#[derive(Template)]
#[template(path = "admin/users.html", whitespace = "minimize")]
struct Users {
    frame: Frame,
    address: Address,
    /// What is wrong with the filter, in place of the list
    filter_problems: Problems,
    page: Vec<User>,
    around: Around,
    /// The users that were ticked, in a form that was refused
    ticked: Vec<UserId>,
    ticked_problems: Problems,
    /// The new user that was typed
    new: Details,
    role: Role,
    new_problems: Problems,
    /// Whether the password was last given too long ago
    asks_password: bool,
    /// The beginning of the idempotency keys of its forms
    key: String,
    command: String,
}

impl Users {
    /// Whether anybody on the page can be ticked
    fn has_others(&self) -> bool {
        self.page.iter().any(|user| !self.is_own(user))
    }

    fn is_own(&self, user: &User) -> bool {
        self.frame.viewer.as_ref().is_some_and(|viewer| viewer.id == user.person.user_id)
    }
}

/// What was typed or ticked in a form of the page that was refused, and what is wrong with it
#[derive(Default)]
struct Typed {
    new: Details,
    role: Option<Role>,
    new_problems: Problems,
    ticked: Vec<UserId>,
    ticked_problems: Problems,
}

/// Shows the users.
pub(super) async fn show(
    State(server): State<Shared>,
    Admin(session): Admin,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Page {
    let notice = notice(&headers, query.as_deref());
    let address = Address::read(PATH, query.as_deref(), &FILTER);
    shown(&server, &session, notice, address, Typed::default()).await
}

/// Leads from the address of a form to the page that it is on.
pub(super) async fn back() -> Redirect {
    Redirect::to(PATH)
}

async fn shown(server: &Shared, session: &Session, notice: Option<Notice>, address: Address, typed: Typed) -> Page {
    let matching = matching(&address);
    let command = matching.as_ref().map(command_for).unwrap_or_default();
    let seek: Option<Seek<String>> = address.seek(&server.keys);
    let outcome = match matching {
        Ok(matching) => {
            let look = move |tx: &mut Tx<'_>, session: &Session| {
                users::accounts(tx, &session.actor(), &matching, seek.as_ref(), SIZE)
            };
            // A filter may have to look at every user.
            read_by_need(server, session, address.is_filtered(), look).await
        }
        Err(error) => Err(error),
    };
    let (part, filter_problem) = match outcome {
        Ok(part) => (part, None),
        Err(error) if is_of_form(&error) => (Part::none(), Some(error)),
        Err(error) => return Err(error.into()),
    };
    let page = Users {
        frame: Frame { place: Some(Place::Users), ..frame(session, notice) },
        filter_problems: filter_problem.as_ref().map(|error| Problems::new(error, &FILTER)).unwrap_or_default(),
        page: part.items,
        around: address.around(&server.keys, part.previous.as_ref(), part.next.as_ref())?,
        ticked: typed.ticked,
        ticked_problems: typed.ticked_problems,
        new: typed.new,
        role: typed.role.unwrap_or(Role::User),
        new_problems: typed.new_problems,
        asks_password: !session.is_confirmed(server.app.now()),
        key: new_key()?,
        command,
        address,
    };
    let page = view::page(&page)?;
    Ok(match filter_problem {
        Some(error) => refused(error, page),
        None => page,
    })
}

/// Which users an address asks for
fn matching(address: &Address) -> Result<Matching> {
    let unknown = |name| Error::invalid(name, "Choose one of these.");
    let is_active = match address.text("state") {
        "" => None,
        "active" => Some(true),
        "deactivated" => Some(false),
        _ => return Err(unknown("state")),
    };
    let word = Some(address.text("role")).filter(|word| !word.is_empty());
    let role = word.map(|word| role(word).ok_or_else(|| unknown("role"))).transpose()?;
    let search = Some(address.text("search").trim()).filter(|search| !search.is_empty()).map(ToOwned::to_owned);
    Ok(Matching { search, role, is_active })
}

fn command_for(Matching { search, role, is_active }: &Matching) -> String {
    let mut words = vec!["user".to_owned(), "list".to_owned()];
    words.extend(search.as_ref().map(|search| format!("--search={search}")));
    words.extend(role.map(|role| format!("--role={role}")));
    words.extend(is_active.map(|is_active| if is_active { "--active" } else { "--inactive" }.to_owned()));
    command(words.iter().map(String::as_str))
}

/// Creates a user, who has no password yet.
pub(super) async fn create(
    State(server): State<Shared>,
    visitor: Visitor,
    Admin(mut session): Admin,
    form: Form,
) -> Page {
    let typed = |name: &str| form.text(name).to_owned();
    let (username, email) = (typed("username"), typed("email"));
    let details = Details { username, first_name: typed("first_name"), last_name: typed("last_name"), email };
    let role = role(form.text("role")).unwrap_or(Role::User);
    let new = NewUser {
        details: UserDetails {
            username: details.username.clone(),
            email: Some(details.email.clone()),
            first_name: details.first_name.clone(),
            last_name: details.last_name.clone(),
            role,
        },
        password_hash: None,
        if_not_exists: false,
    };
    let request = form.request(&server.keys);
    let create = move |tx: &mut Tx<'_>, session: &Session| {
        if new.details.role != Role::User {
            session.must_be_confirmed(tx.now())?;
        }
        users::create_once(tx, &session.actor(), &new, request.as_ref())
    };
    match write_with_password(&server, &visitor, &mut session, &form, create).await {
        Ok(user) => Ok(done(&path_of(user.person.user_id), Notice::UserCreated)),
        Err(error) if is_of_form(&error) => {
            let fields = ["username", "first_name", "last_name", "email", "current_password"];
            let new_problems = Problems::new(&error, &fields);
            let typed = Typed { new: details, role: Some(role), new_problems, ..Typed::default() };
            let address = Address::of_form(PATH, &form, &FILTER);
            Ok(refused(error, shown(&server, &session, None, address, typed).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Activates or deactivates the users that were ticked, and no others.
pub(super) async fn change_several(State(server): State<Shared>, Admin(session): Admin, form: Form) -> Page {
    let ids = form.fields().filter(|(name, _)| *name == "user").filter_map(|(_, id)| uuid(id).map(UserId));
    let ticked: Vec<UserId> = ids.collect();
    let (request, wanted) = (form.request(&server.keys), ticked.clone());
    let address = Address::of_form(PATH, &form, &FILTER);
    let changed = match activates(&form) {
        Ok(is_active) => {
            let change = move |tx: &mut Tx<'_>, session: &Session| {
                if wanted.is_empty() {
                    return Err(Error::invalid("user", "Nobody is selected: tick the users first."));
                }
                users::set_all_active(tx, &session.actor(), &wanted, is_active, request.as_ref())
            };
            let notice = if is_active { Notice::Activated } else { Notice::Deactivated };
            write(&server, &session, change).await.map(notice)
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(notice) => Ok(done(&address.at(), notice)),
        Err(error) if is_of_form(&error) => {
            let typed = Typed { ticked, ticked_problems: Problems::new(&error, &[]), ..Typed::default() };
            Ok(refused(error, shown(&server, &session, None, address, typed).await?))
        }
        Err(error) => Err(error.into()),
    }
}
