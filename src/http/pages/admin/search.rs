//! Searching everybody's messages, or those of one conversation.

use std::time::Duration;

use askama::Template;
use axum::extract::{RawQuery, State};

use super::conversation::{Names, names, path_of};
use super::{Admin, command};
use crate::app::late_after;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::http::pages::address::Address;
use crate::http::pages::answer::{Page, refused};
use crate::http::pages::assets;
use crate::http::pages::session::{frame, read_slowly};
use crate::http::pages::view::{self, Around, Frame, Place, Problems, name_of};
use crate::http::server::Shared;
use crate::model::{ConversationId, ConversationSelector, ConversationView, SearchHit, Seek, Timestamp, UserSelector};
use crate::service::messages::{self, HitPosition, Partial, Search};
use crate::service::sessions::Session;
use crate::service::{conversations, page};
use crate::store::Tx;

/// The path of the page
const PATH: &str = "/admin/search/";

/// How many messages a page shows
const SHOWN: i64 = 25;

/// How many of the newest messages found can be paged through
const COUNTED: i64 = 500;

/// How long a search may take before it shows what it found so far
const PATIENCE: Duration = Duration::from_secs(1);

/// `/admin/search/`
#[derive(Template)]
#[template(path = "admin/search.html", whitespace = "minimize")]
struct Found {
    frame: Frame,
    problems: Problems,
    /// What was typed
    query: String,
    sender: String,
    /// What the field of the date holds, and of which kind it is
    since: (String, &'static str),
    is_filtered: bool,
    /// The conversation in which is searched
    within: Option<Within>,
    /// The address of the same search in all conversations
    everywhere: String,
    hits: Vec<SearchHit>,
    /// What their conversations are called
    names: Names,
    /// How many were found, up to [`COUNTED`]
    count: i64,
    /// Whether there may be more
    is_counted_out: bool,
    partial: Option<Partial>,
    around: Around,
    command: Option<String>,
}

/// A conversation in which is searched
struct Within {
    id: ConversationId,
    path: String,
    name: String,
}

/// What is searched for, as far as it can be read
fn wanted(address: &Address) -> Result<Search> {
    let said = |name| Some(address.text(name).trim()).filter(|text| !text.is_empty());
    let date = |text| Timestamp::parse_or_date(text).ok_or_else(|| Error::invalid("since", "That is not a date."));
    let place = said("conversation").map(|place| {
        let Ok(place) = place.parse::<ConversationSelector>();
        place
    });
    Ok(Search {
        query: address.text("q").trim().to_owned(),
        conversation: place,
        sender: said("sender").map(|sender| UserSelector::from(sender.to_owned())),
        since: said("since").map(date).transpose()?,
        until: None,
        ranked: false,
        limit: SHOWN,
    })
}

/// What a search came to
type Outcome = (page::Page<SearchHit, HitPosition>, Names, Option<Partial>, Option<ConversationView>);

/// Shows what is found.
pub(super) async fn show(State(server): State<Shared>, Admin(session): Admin, RawQuery(query): RawQuery) -> Page {
    let address = Address::read(PATH, query.as_deref(), &["q", "conversation", "sender", "since"]);
    let (outcome, error) = match outcome(&server, &session, &address).await {
        Ok(outcome) => (Some(outcome), None),
        Err(error) if [ErrorKind::NotFound, ErrorKind::Invalid].contains(&error.kind()) => (None, Some(error)),
        Err(error) => return Err(error.into()),
    };
    // Where it looks is shown all the same.
    let has_words = !address.text("q").trim().is_empty();
    let error = error
        .or_else(|| (address.is_filtered() && !has_words).then(|| Error::invalid("q", "Type a word to search for.")));
    let none = || (page::Page::none(), Names::new(), None, None);
    let (page, names, partial, place) = outcome.unwrap_or_else(none);
    let text = |name| address.text(name).to_owned();
    let found = Found {
        frame: Frame { place: Some(Place::Search), ..frame(&session, None) },
        problems: error.as_ref().map(|error| Problems::new(error, &["q", "sender", "since"])).unwrap_or_default(),
        query: text("q"),
        sender: text("sender"),
        since: date_field(address.text("since").trim()),
        is_filtered: address.is_filtered(),
        around: address.around(&server.keys, page.previous.as_ref(), page.next.as_ref())?,
        within: place.map(|place| Within {
            id: place.conversation_id,
            path: path_of(place.conversation_id),
            name: name_of(&place),
        }),
        everywhere: Address::read(PATH, query.as_deref(), &["q", "sender", "since"]).first(),
        count: page.count,
        is_counted_out: page.count >= COUNTED,
        hits: page.items,
        names,
        partial,
        command: command_for(&address),
    };
    let page = view::page(&found)?;
    Ok(match error {
        Some(error) => refused(error, page),
        None => page,
    })
}

async fn outcome(server: &Shared, session: &Session, address: &Address) -> Result<Outcome> {
    let wanted = wanted(address)?;
    let seek: Option<Seek<HitPosition>> = address.seek(&server.keys);
    let look = move |tx: &mut Tx<'_>, session: &Session| {
        let actor = session.actor();
        let place = wanted.conversation.as_ref();
        let place = place.map(|place| conversations::show_briefly(tx, &actor, place)).transpose()?;
        let among = (COUNTED, &late_after(PATIENCE) as &dyn Fn() -> bool);
        let (page, partial) = messages::search_page_among(tx, &actor, &wanted, seek.as_ref(), among)?;
        let names = names(tx, &actor, page.items.iter().map(|hit| hit.message.conversation))?;
        Ok((page, names, partial, place))
    };
    read_slowly(server, session, look).await.map_err(|error| error.renaming("query", "q"))
}

/// What the field of a date shows that was sent with a text, and its kind: one for dates would be empty with anything else.
fn date_field(text: &str) -> (String, &'static str) {
    let is_date = text.len() == 10 && Timestamp::parse_or_date(text).is_some();
    (text.to_owned(), if text.is_empty() || is_date { "date" } else { "text" })
}

/// The command that finds the same
fn command_for(address: &Address) -> Option<String> {
    let said = |name| Some(address.text(name).trim()).filter(|text| !text.is_empty());
    let options = [("conversation", "--in"), ("sender", "--from"), ("since", "--since")];
    let options: Vec<String> =
        options.into_iter().filter_map(|(name, option)| Some(format!("{option}={}", said(name)?))).collect();
    let words = ["message", "search"].into_iter().chain(options.iter().map(String::as_str));
    Some(command(words.chain(["--", said("q")?])))
}
