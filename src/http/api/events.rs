//! Server-sent events (the HTML standard, section 9.2): what happens, as it happens.
//!
//! A stream begins with `retry:` and a bookmark, or news that the listener has to begin anew. Every 15 seconds a bookmark says how
//! far it is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use hyper::body::{Body, Bytes, Frame};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, Sleep};

use super::answer::{Answer, json};
use crate::app::secret;
use crate::error::Error;
use crate::feed::{Begun, Delivery, EndReason, Format, Request, Ticket, Who};
use crate::http::server::Shared;
use crate::http::server::caller::{Caller, no_credentials};
use crate::http::server::connection::Connection;
use crate::http::server::problem::Problem;
use crate::http::server::slots::Slot;
use crate::http::server::tickets;
use crate::model::{Choice, ConversationSelector, EventKind, Timestamp, UserId, uuid};
use crate::service::Credentials;
use crate::service::events::{EventView, Narrowing, ResetReason};

/// How often a listener is told how far it is
const BOOKMARK: Duration = Duration::from_secs(15);

/// How long a client waits before it comes again, in milliseconds: at random between these
const RETRY: (u16, u16) = (1000, 5000);

/// How many cursors a stream may begin with: the tabs of a browser share one
const MOST_CURSORS: usize = 100;

/// What tells nginx to hand on what it gets at once
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The header in which a client says which event it has heard last
static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How events are written
pub(in crate::http) const FORMAT: Format = Format { event: written, reset };

fn written(view: &EventView) -> Result<Arc<[u8]>, Error> {
    let mut text = Vec::with_capacity(1024);
    text.extend_from_slice(b"id: ");
    text.extend_from_slice(view.id.as_bytes());
    text.extend_from_slice(b"\nevent: ");
    text.extend_from_slice(view.event.word().as_bytes());
    text.extend_from_slice(b"\ndata: ");
    serde_json::to_writer(&mut text, view).map_err(Error::internal)?;
    text.extend_from_slice(b"\n\n");
    Ok(text.into())
}

fn reset(reason: ResetReason, cursor: &str) -> Arc<[u8]> {
    format!("id: {cursor}\nevent: reset\ndata: {{\"reason\":\"{}\"}}\n\n", reason.word()).into_bytes().into()
}

fn bookmark(cursor: &str) -> String {
    format!("id: {cursor}\nevent: bookmark\ndata: {{}}\n\n")
}

fn end(reason: EndReason) -> Bytes {
    format!("event: end\ndata: {{\"reason\":\"{}\"}}\n\n", reason.word()).into()
}

/// Which events to hear
#[derive(JsonSchema)]
#[expect(dead_code, reason = "describes what is read by hand, as fields may stand there more than once")]
pub(super) struct Listening {
    /// Only of this conversation; may stand there several times
    conversation: Option<Vec<crate::model::ConversationId>>,
    /// Only of this kind; may stand there several times
    event: Option<Vec<EventKind>>,
    /// The cursor of the last event that was heard, as `Last-Event-ID` says it; may stand there several times, the earliest counts
    since: Option<Vec<String>>,
}

/// Which events a request asks for
pub(in crate::http) struct Wanted {
    narrowing: Narrowing,
    since: Vec<String>,
    ticket: Option<String>,
}

impl FromRequestParts<Shared> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Problem> {
        let mut wanted = Self { narrowing: Narrowing::default(), since: Vec::new(), ticket: None };
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            match &*name {
                "conversation" => {
                    let id = uuid(&value).map(crate::model::ConversationId);
                    let invalid =
                        || Error::invalid("conversation", format!("“{value}” is not the id of a conversation."));
                    wanted.narrowing.conversations.push(ConversationSelector::Id(id.ok_or_else(invalid)?));
                }
                "event" => {
                    let kind = EventKind::ALL.iter().copied().find(|kind| kind.word() == value);
                    let invalid = || Error::invalid("event", format!("“{value}” is not a kind of events."));
                    wanted.narrowing.kinds.push(kind.ok_or_else(invalid)?);
                }
                "since" => wanted.since.push(value.into_owned()),
                "ticket" => wanted.ticket = Some(value.into_owned()),
                _ => {}
            }
        }
        if wanted.narrowing.conversations.len() > crate::service::MOST_NAMED {
            return Err(Error::invalid("conversation", "At most 1,000 are allowed at once.").into());
        }
        if wanted.since.len() > MOST_CURSORS {
            return Err(Error::invalid("since", format!("At most {MOST_CURSORS} are allowed at once.")).into());
        }
        // A client that comes again by itself says here what it heard last; the address still says where it began.
        if let Some(last) = parts.headers.get(&LAST_EVENT_ID).filter(|last| !last.is_empty()) {
            let invalid = |_| Error::invalid("since", "That is not a cursor.");
            wanted.since = vec![last.to_str().map_err(invalid)?.to_owned()];
        }
        Ok(wanted)
    }
}

/// Streams what happens from now on, or from a cursor on.
pub(super) async fn stream(
    State(server): State<Shared>,
    Extension(connection): Extension<Connection>,
    caller: Option<Caller>,
    Wanted { narrowing, since, ticket }: Wanted,
) -> Answer {
    let claims = match (caller, ticket) {
        (Some(Caller(claims, _)), _) => claims,
        (None, Some(ticket)) => server.tickets.redeem(&server.keys, &ticket, server.app.now())?,
        (None, None) => return Err(no_credentials().into()),
    };
    let (user, expires_at) = (claims.user, claims.expires_at);
    let listens = Listens { user, credentials: Credentials::Token(claims), expires_at };
    begin(&server, &connection, listens, Wanted { narrowing, since, ticket: None }).await
}

/// Who wants to listen, and until when they may
pub(in crate::http) struct Listens {
    pub(in crate::http) user: UserId,
    pub(in crate::http) credentials: Credentials,
    pub(in crate::http) expires_at: Timestamp,
}

/// Begins a stream.
pub(in crate::http) async fn begin(
    server: &Shared,
    connection: &Connection,
    Listens { user, credentials, expires_at }: Listens,
    Wanted { narrowing, since, .. }: Wanted,
) -> Answer {
    let slot = server.streams.try_take(user).ok_or_else(|| Problem::rate_limited(10))?;
    let request = Request { who: Who::User(credentials), narrowing, since };
    let Begun { ticket, cursor, reset } = server.feed.join(request).await?;
    connection.carry_stream();
    let first = match reset {
        Some(reason) => String::from_utf8_lossy(&self::reset(reason, &cursor)).into_owned(),
        None => bookmark(&cursor),
    };
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform")),
        (ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")),
        // Another request on it would not be counted.
        (CONNECTION, HeaderValue::from_static("close")),
    ];
    let head = format!("retry: {}\n\n{first}", retry()?);
    let lasting = lasting(server.app.now(), expires_at);
    Ok((headers, axum::body::Body::new(Events::new(ticket, head.into(), lasting, slot))).into_response())
}

/// How long a client waits before it comes again, in milliseconds: drawn at random, so that not all come at once
fn retry() -> Result<u16, Error> {
    let (least, most) = RETRY;
    Ok(least + u16::from_be_bytes(secret::<2>()?) % (most - least + 1))
}

/// How long it is to an instant
fn lasting(now: Timestamp, until: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0))
}

/// A ticket, as a client gets it
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventTicket")]
pub(super) struct NewTicket {
    /// Stands in the address of one stream: `?ticket=`
    ticket: String,
    /// For how many seconds it is valid
    expires_in: i64,
}

/// Makes a ticket for one stream: `EventSource` in a browser cannot send headers.
pub(super) async fn ticket(State(server): State<Shared>, caller: Caller) -> Answer {
    let Caller(claims, _) = caller.clone();
    server.read(caller, |_, _| Ok(())).await?;
    let ticket = tickets::issue(&server.keys, &claims, server.app.now(), secret()?)?;
    json(StatusCode::CREATED, &NewTicket { ticket, expires_in: tickets::LIFETIME })
}

/// The body of a stream
struct Events {
    ticket: Ticket,
    /// What it begins with
    head: Option<Bytes>,
    /// When the next bookmark is due, or the token expires
    timer: Pin<Box<Sleep>>,
    expires_at: Instant,
    has_ended: bool,
    _slot: Slot,
}

impl Events {
    fn new(ticket: Ticket, head: Bytes, lasting: Duration, slot: Slot) -> Self {
        let expires_at = Instant::now() + lasting;
        let timer = Box::pin(tokio::time::sleep_until(expires_at.min(Instant::now() + BOOKMARK)));
        Self { ticket, head: Some(head), timer, expires_at, has_ended: false, _slot: slot }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = |bytes: Bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        let events = &mut *self;
        if events.has_ended {
            return Poll::Ready(None);
        }
        if let Some(head) = events.head.take() {
            return data(head);
        }
        match events.ticket.poll(context) {
            Poll::Ready(Delivery::One(event)) => return data(Bytes::from_owner(event)),
            Poll::Ready(Delivery::Several(events)) => return data(events.into()),
            Poll::Ready(Delivery::End(reason)) => {
                events.has_ended = true;
                return data(end(reason));
            }
            Poll::Ready(Delivery::BrokenOff) => return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into()))),
            Poll::Pending => {}
        }
        while events.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now >= events.expires_at {
                events.has_ended = true;
                return data(end(EndReason::Expired));
            }
            let next = events.expires_at.min(now + BOOKMARK);
            events.timer.as_mut().reset(next);
            if let Some(cursor) = events.ticket.reached() {
                return data(bookmark(&cursor).into());
            }
        }
        Poll::Pending
    }
}
