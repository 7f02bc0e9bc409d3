//! The history of a message: all its revisions, what changed between any two, and restoring one.

use std::time::{Duration, Instant};

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;

use super::conversation::{Names, names};
use super::texts::{Cut, Piece, pieces};
use super::{Admin, Id, command, read_id};
use crate::error::{Error, Kind};
use crate::http::pages::answer::{Page, done, is_of_form, notice, refused};
use crate::http::pages::assets;
use crate::http::pages::form::{Form, new_key, parameter};
use crate::http::pages::session::{frame, read_slowly, write};
use crate::http::pages::view::{self, Frame, Notice, Place, Problems};
use crate::http::server::{Shared, aside};
use crate::model::{DiffPart, Message, MessageId, MessageSelector, UserId, diff};
use crate::service::messages::{self, Version, Versions};
use crate::service::sessions::Session;
use crate::store::Tx;

/// How many revisions a page lists
const LISTED: i64 = 50;

/// How much of each it shows, in characters
const SHOWN: u16 = 160;

/// How long a page compares texts; after it, all that is left counts as changed
const PATIENCE: Duration = Duration::from_millis(25);

/// `/admin/messages/ID/history/`
#[derive(Template)]
#[template(path = "admin/history.html", whitespace = "minimize")]
struct History {
    frame: Frame,
    problems: Problems,
    message: Message,
    /// What its conversation is called
    names: Names,
    /// Each with as much of its text as is shown
    versions: Vec<(Version, Cut)>,
    /// The path of the page
    path: String,
    /// The query that keeps what is compared, or which revisions are listed
    newer: Option<String>,
    older: Option<String>,
    /// The revisions that are compared, or that were asked for
    pair: Option<(i64, i64)>,
    comparison: Option<Comparison>,
    /// Whose page it is
    viewer: UserId,
    may_restore: bool,
    key: String,
    command: String,
}

/// What changed between two revisions
struct Comparison {
    pieces: Vec<Piece>,
    is_same: bool,
    is_whole: bool,
    /// Whether anything is left out
    is_cut: bool,
}

impl Comparison {
    fn new(old: &str, new: &str, is_whole: bool) -> Self {
        let parts: Vec<DiffPart> = diff(old, new, Instant::now() + PATIENCE);
        let pieces = pieces(parts, is_whole);
        let is_cut = pieces.iter().any(|piece| matches!(piece, Piece::Skipped(_) | Piece::Rest(_)));
        Self { pieces, is_same: old == new, is_whole, is_cut }
    }
}

/// What a page is asked for
#[derive(Clone, Copy, Default)]
struct Wanted {
    from: Option<i64>,
    to: Option<i64>,
    /// Of the list only the revisions below this one
    below: Option<i64>,
    is_whole: bool,
}

impl Wanted {
    fn read(query: Option<&str>) -> Self {
        let number = |name| parameter(query, name).and_then(|text| text.trim().parse().ok());
        let is_whole = parameter(query, "whole").is_some();
        Self { from: number("from"), to: number("to"), below: number("before"), is_whole }
    }

    /// Whether the page chooses what is compared
    fn is_unasked(self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Which two revisions are compared: those that are asked for, else the current one with the one before it
    fn pair(self, current: i64) -> Option<(i64, i64)> {
        match (self.from, self.to) {
            (None, None) if current == 1 => None,
            (None, None) => Some((current - 1, current)),
            (Some(from), None) => Some((from, current)),
            (None, Some(to)) => Some((to.saturating_sub(1).max(1), to)),
            (Some(from), Some(to)) => Some((from, to)),
        }
    }

    /// The query with other revisions in the list
    fn query(self, below: Option<i64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, number) in [("from", self.from), ("to", self.to), ("before", below)] {
            query.extend_pairs(number.map(|number| (name, number.to_string())));
        }
        query.finish()
    }
}

/// The path of the page of a message
pub(super) fn path_of(message: MessageId) -> String {
    format!("/admin/messages/{message}/history/")
}

/// Shows the history of a message.
pub(super) async fn show(
    State(server): State<Shared>,
    Admin(session): Admin,
    id: Id,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Page {
    let id = read_id(id, "message", MessageId)?;
    let notice = notice(&headers, query.as_deref());
    shown(&server, &session, id, Wanted::read(query.as_deref()), notice, Problems::default()).await
}

async fn shown(
    server: &Shared,
    session: &Session,
    id: MessageId,
    wanted: Wanted,
    notice: Option<Notice>,
    problems: Problems,
) -> Page {
    let look = move |tx: &mut Tx<'_>, session: &Session| {
        let (actor, selector) = (session.actor(), MessageSelector::Id(id));
        let below = wanted.below.unwrap_or(i64::MAX);
        // One character more says whether that is all.
        let found = messages::versions(tx, &actor, &selector, below, (LISTED, i64::from(SHOWN) + 1))?;
        let message = &found.message;
        let pair = wanted.pair(message.revision).filter(|_| !message.deleted);
        let mut content =
            |revision, field| messages::content_at(tx, message, revision).map_err(|error| error.naming(field));
        let texts =
            match pair.map(|(from, to)| Ok::<_, Error>((content(from, "from")?, content(to, "to")?))).transpose() {
                // What is shown unasked may be gone with the account of who wrote it.
                Err(error) if error.kind() == Kind::NotFound => Err(Some(error).filter(|_| !wanted.is_unasked())),
                texts => Ok(texts?),
            };
        Ok((names(tx, &actor, [message.conversation])?, found, pair, texts))
    };
    let (names, Versions { message, versions, is_more }, pair, texts) = read_slowly(server, session, look).await?;
    let (texts, absent) = texts.map_or_else(|absent| (None, absent), |texts| (texts, None));
    let compare = texts.map(|(old, new)| aside(move || Ok(Comparison::new(&old, &new, wanted.is_whole))));
    let comparison = match compare {
        Some(comparison) => Some(comparison.await?),
        None => None,
    };
    let newer = wanted.below.filter(|below| *below <= message.revision);
    let newer = newer.map(|below| Some(below + LISTED).filter(|below| *below <= message.revision));
    let oldest = versions.last().filter(|_| is_more).map(|version| version.revision);
    let history = History {
        frame: Frame { place: Some(Place::Conversations), ..frame(session, notice) },
        problems: absent.as_ref().map_or(problems, |error| Problems::new(error, &["from", "to"])),
        path: path_of(id),
        newer: newer.map(|below| wanted.query(below)),
        older: oldest.map(|oldest| wanted.query(Some(oldest))),
        pair,
        comparison,
        viewer: session.user.person.user_id,
        may_restore: message.is_from(session.user.person.key),
        key: new_key()?,
        command: command(["message", "history", &id.to_string(), "--diff"]),
        message,
        names,
        versions: versions.into_iter().map(cut).collect(),
    };
    let page = view::page(&history)?;
    Ok(match absent {
        Some(error) => refused(error, page),
        None => page,
    })
}

fn cut(version: Version) -> (Version, Cut) {
    let beginning = Cut::new(&version.beginning, usize::from(SHOWN));
    (version, beginning)
}

/// Makes an earlier content of the message its content again.
pub(super) async fn restore(State(server): State<Shared>, Admin(session): Admin, id: Id, form: Form) -> Page {
    let id = read_id(id, "message", MessageId)?;
    let revision = form.text("revision").parse().unwrap_or_default();
    let current: Option<i64> = form.text("current").parse().ok();
    let request = form.request(&server.keys);
    let restore = move |tx: &mut Tx<'_>, session: &Session| {
        let selector = MessageSelector::Id(id);
        messages::restore_once(tx, &session.actor(), &selector, revision, current, request.as_ref())
    };
    match write(&server, &session, restore).await {
        Ok(revision) => {
            let notice = if current == Some(revision) { Notice::NothingToRestore } else { Notice::Restored };
            Ok(done(&path_of(id), notice))
        }
        Err(error) if is_of_form(&error) && error.kind() != Kind::NotFound => {
            let problems = Problems::new(&error, &[]);
            Ok(refused(error, shown(&server, &session, id, Wanted::default(), None, problems).await?))
        }
        Err(error) => Err(error.into()),
    }
}
