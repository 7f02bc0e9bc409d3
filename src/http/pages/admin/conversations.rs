//! Everybody's conversations: those with a name or a title, and those of somebody.

use askama::Template;
use axum::extract::{RawQuery, State};

use super::conversation::path_of;
use super::{Admin, command};
use crate::error::Kind as ErrorKind;
use crate::http::pages::address::Address;
use crate::http::pages::answer::{Page, refused};
use crate::http::pages::assets;
use crate::http::pages::session::{frame, read_by_need};
use crate::http::pages::view::{self, Around, Frame, Place, Problems, handle_of, name_of};
use crate::http::server::Shared;
use crate::model::{ConversationKey, ConversationView, Kind, Seek, Timestamp, UserSelector};
use crate::service::conversations::{Everywhere, page_everywhere};
use crate::service::page;
use crate::service::sessions::Session;
use crate::store::Tx;

/// The path of the page
const PATH: &str = "/admin/conversations/";

/// How many conversations a page lists
const LISTED: i64 = 50;

/// `/admin/conversations/`
#[derive(Template)]
#[template(path = "admin/conversations.html", whitespace = "minimize")]
struct Conversations {
    frame: Frame,
    problems: Problems,
    search: String,
    user: String,
    is_filtered: bool,
    rows: Vec<Row>,
    /// How many were looked through, where those are not all
    looked_through: Option<i64>,
    around: Around,
    command: String,
}

/// A conversation in the list
struct Row {
    path: String,
    name: String,
    /// The name of a group that is called by its title
    handle: Option<String>,
    conversation: ConversationView,
}

impl Row {
    fn new(conversation: ConversationView) -> Self {
        let (path, name, handle) =
            (path_of(conversation.conversation_id), name_of(&conversation), handle_of(&conversation));
        Self { path, name, handle, conversation }
    }
}

/// Lists conversations.
pub(super) async fn show(State(server): State<Shared>, Admin(session): Admin, RawQuery(query): RawQuery) -> Page {
    let address = Address::read(PATH, query.as_deref(), &["search", "user"]);
    let seek: Option<Seek<(Timestamp, ConversationKey)>> = address.seek(&server.keys);
    let said = |name| Some(address.text(name).trim().to_owned()).filter(|text| !text.is_empty());
    let (search, user) = (said("search"), said("user"));
    let (wanted, of) = (search.clone(), user.clone().map(UserSelector::from));
    let look = move |tx: &mut Tx<'_>, session: &Session| {
        let filter = (of.as_ref(), wanted.as_deref());
        page_everywhere(tx, &session.actor(), filter, seek.as_ref(), LISTED)
    };
    let (found, error) = match read_by_need(&server, &session, search.is_some(), look).await {
        Ok(found) => (found, None),
        // Nobody is called that, or nothing is searched for that way.
        Err(error) if [ErrorKind::NotFound, ErrorKind::Invalid].contains(&error.kind()) => {
            (Everywhere { page: page::Page::none(), looked_through: None }, Some(error))
        }
        Err(error) => return Err(error.into()),
    };
    let Everywhere { page, looked_through } = found;
    let mut around = address.around(&server.keys, page.previous.as_ref(), page.next.as_ref())?;
    // A search does not see all that is before its page.
    if around.previous.is_none() && (page.items.is_empty() || search.is_some() && user.is_none()) {
        around.first = address.beginning();
    }
    let option = |name, text: &Option<String>| text.as_deref().map(|text| format!("{name}={text}"));
    let options = [option("--search", &search), option("--user", &user)];
    let words = ["conversation", "list"].into_iter().chain(options.iter().flatten().map(String::as_str));
    let conversations = Conversations {
        frame: Frame { place: Some(Place::Conversations), ..frame(&session, None) },
        problems: error.as_ref().map(|error| Problems::new(error, &["search", "user"])).unwrap_or_default(),
        is_filtered: address.is_filtered(),
        around,
        rows: page.items.into_iter().map(Row::new).collect(),
        looked_through,
        command: command(words),
        search: search.unwrap_or_default(),
        user: user.unwrap_or_default(),
    };
    let page = view::page(&conversations)?;
    Ok(match error {
        Some(error) => refused(error, page),
        None => page,
    })
}
