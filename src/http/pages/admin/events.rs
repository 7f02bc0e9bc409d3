//! The log of events: what happened, who did it, and to what, the newest first.

use askama::Template;
use axum::extract::{RawQuery, State};

use super::{Admin, command};
use crate::error::{Error, Kind, Result};
use crate::http::pages::address::Address;
use crate::http::pages::answer::{Page, refused};
use crate::http::pages::assets;
use crate::http::pages::session::{frame, read_slowly};
use crate::http::pages::view::{self, Around, Frame, Place, Problems};
use crate::http::server::Shared;
use crate::model::{Choice, EventKey, EventKind, Seek, Timestamp, UserSelector};
use crate::service::events::{About, By, Filter, FilterActor, LogEntry, Looked, ROWS, look_through};
use crate::service::sessions::Session;
use crate::store::Tx;
use crate::store::events::Position;

/// The path of the page
pub(super) const PATH: &str = "/admin/events/";

/// How many events a page shows
const SHOWN: i64 = 50;

/// The parameters of the filter
const FILTER: [&str; 6] = ["actor", "by", "kind", "object", "since", "until"];

/// The word in the address for what the operator did
const OPERATOR: &str = "operator";

/// `/admin/events/`
#[derive(Template)]
#[template(path = "admin/events.html", whitespace = "minimize")]
struct Events {
    frame: Frame,
    address: Address,
    problems: Problems,
    by: [(&'static str, &'static str); 2],
    kinds: Vec<(&'static str, &'static str)>,
    /// What the fields of the times hold, and of which kind they are
    since: (String, &'static str),
    until: (String, &'static str),
    entries: Vec<LogEntry>,
    /// The time of the last event that was looked at, where there were too many to look at all
    reached: Option<Timestamp>,
    around: Around,
    command: String,
}

/// Shows a page of the log.
pub(super) async fn show(State(server): State<Shared>, Admin(session): Admin, RawQuery(query): RawQuery) -> Page {
    let address = Address::read(PATH, query.as_deref(), &FILTER);
    let below = match address.seek::<(i64, i64)>(&server.keys) {
        Some(Seek::After((transaction, key))) => Some(Position { transaction, key: EventKey(key) }),
        _ => None,
    };
    let found = match filter(&address) {
        Ok(filter) => {
            let look =
                move |tx: &mut Tx<'_>, session: &Session| look_through(tx, &session.actor(), &filter, below, SHOWN);
            read_slowly(&server, &session, look).await.map_err(Error::of_body)
        }
        Err(error) => Err(error),
    };
    let (looked, error) = match found {
        Ok(looked) => (looked, None),
        Err(error) if error.kind() == Kind::Invalid => {
            (Looked { entries: Vec::new(), next: None, reached: None }, Some(error))
        }
        Err(error) => return Err(error.into()),
    };
    let Looked { entries, next, reached } = looked;
    let next = next.map(|Position { transaction, key }| Seek::After((transaction, key.0)));
    let kind = Some(address.text("kind").trim()).filter(|kind| !kind.is_empty());
    let page = view::page(&Events {
        frame: Frame { place: Some(Place::Events), ..frame(&session, None) },
        problems: error.as_ref().map(|error| Problems::new(error, &FILTER)).unwrap_or_default(),
        by: [("", "Anybody"), (OPERATOR, "The operator")],
        kinds: [("", "All")].into_iter().chain(EventKind::ALL.iter().map(|kind| (kind.word(), kind.word()))).collect(),
        since: time_field(address.text("since")),
        until: time_field(address.text("until")),
        entries,
        reached,
        around: address.around(&server.keys, None, next.as_ref())?,
        command: command(["watch"].into_iter().chain(kind.into_iter().flat_map(|kind| ["--event", kind]))),
        address,
    })?;
    Ok(match error {
        Some(error) => refused(error, page),
        None => page,
    })
}

/// Which events an address asks for
fn filter(address: &Address) -> Result<Filter> {
    let said = |name| Some(address.text(name).trim()).filter(|text| !text.is_empty());
    let is_operator = match said("by") {
        None => false,
        Some(OPERATOR) => true,
        Some(_) => return Err(Error::invalid("by", "Choose one of these.")),
    };
    let actor = match (said("actor"), is_operator) {
        (Some(_), true) => return Err(Error::invalid("actor", "The operator is no user: leave this empty.")),
        (None, true) => Some(FilterActor::Operator),
        (user, false) => user.map(|user| FilterActor::User(UserSelector::from(user.to_owned()))),
    };
    let kind = |word: &str| {
        let kind = EventKind::ALL.iter().copied().find(|kind| kind.word() == word);
        kind.ok_or_else(|| Error::invalid("kind", "There is no such kind of events: choose one of these."))
    };
    let time_of = |name| {
        let refused = || Error::invalid(name, "That is not a time like 2026-01-01T09:00.");
        said(name).map(|text| time(text).ok_or_else(refused)).transpose()
    };
    let (since, until) = (time_of("since")?, time_of("until")?);
    if since.zip(until).is_some_and(|(since, until)| since >= until) {
        return Err(Error::invalid("until", "This is not after the time from which on events are looked for."));
    }
    let (kind, object) = (said("kind").map(kind).transpose()?, said("object").map(ToOwned::to_owned));
    Ok(Filter { actor, kind, object, since, until })
}

/// A time in UTC, as the fields of browsers have it: `2026-01-01T09:00`, with or without seconds
fn time(text: &str) -> Option<Timestamp> {
    let as_is = Timestamp::parse_or_date(text);
    as_is.or_else(|| Timestamp::parse(&format!("{text}Z"))).or_else(|| Timestamp::parse(&format!("{text}:00Z")))
}

/// What a field shows that was sent with a text, and its kind: one for times would be empty with anything but a time in UTC.
fn time_field(text: &str) -> (String, &'static str) {
    let Some(time) = time(text.trim()) else {
        return (text.to_owned(), if text.is_empty() { "datetime-local" } else { "text" });
    };
    let format = match time.0.rem_euclid(60_000_000) {
        0 => "%Y-%m-%dT%H:%M",
        rest if rest % 1_000_000 == 0 => "%Y-%m-%dT%H:%M:%S",
        _ => "%Y-%m-%dT%H:%M:%S%.3f",
    };
    (time.date_time().format(format).to_string(), "datetime-local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_browsers_send_them_and_as_commands_take_them() {
        let nine = Timestamp::parse("2026-01-01T09:00:00Z");
        for text in ["2026-01-01T09:00", "2026-01-01T09:00:00", "2026-01-01T09:00:00Z", "2026-01-01T10:00:00+01:00"] {
            assert_eq!(time(text), nine, "{text}");
            assert_eq!(time_field(text), ("2026-01-01T09:00".to_owned(), "datetime-local"));
        }
        assert_eq!(time("2026-01-01"), Timestamp::parse("2026-01-01T00:00:00Z"));
        for (text, shown, kind) in [
            ("", "", "datetime-local"),
            ("2026-01-01", "2026-01-01T00:00", "datetime-local"),
            ("2026-01-01T09:00:07", "2026-01-01T09:00:07", "datetime-local"),
            ("2026-01-01T09:00:00.5Z", "2026-01-01T09:00:00.500", "datetime-local"),
            ("today", "today", "text"),
        ] {
            assert_eq!(time_field(text), (shown.to_owned(), kind));
        }
        for text in ["nine", "2026-01-01T", "2026-13-01T09:00", "2026-01-01T25:00"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
