//! All there is about a person as one JSON document, written while it is read.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use schemars::JsonSchema;
use serde::ser::{Error as _, SerializeSeq};
use serde::{Serialize, Serializer};

use super::Interruption;
use crate::app::{App, late_after};
use crate::error::{Error, Result};
use crate::model::{
    Actor, ConversationKey, Message, MessageId, MessageKey, Notification, Revision, UserRef, UserSelector,
};
use crate::service::Credentials;
use crate::service::export::{self, Participation, Side, Subject};
use crate::store::Tx;

/// The number of rows read in one transaction, and so in memory; a message has up to 64 KiB
const PAGE: i64 = 100;

/// How long a token is assumed valid after a check: a client may read slowly
const LOOK: Duration = Duration::from_millis(100);

/// Writes all there is about a person: each page is read in a transaction of its own, none of which is open while something
/// is written. What changes meanwhile is in the document or not. It ends when the credentials of a user who asked with some are taken away.
///
/// # Errors
/// `Refused` with `NotFound` or `Forbidden`, before anything is written, or with `Unauthenticated`; `Unwritten`.
pub fn export(
    app: &App,
    actor: &Actor,
    selector: &UserSelector,
    credentials: Option<&Credentials>,
    mut out: impl io::Write,
) -> std::result::Result<(), Interruption> {
    let subject = app.read(|tx| export::subject(tx, actor, selector)).map_err(Interruption::Refused)?;
    let is_late = RefCell::new(Box::new(late_after(LOOK)) as Box<dyn Fn() -> bool>);
    let source = Source { app, subject, credentials, is_late, failure: RefCell::new(None) };
    let document = Document {
        user: &source.subject,
        conversations: Conversations(&source),
        messages_sent: MessagesSent(&source),
        messages_received: MessagesReceived(&source),
        revisions: Revisions(&source),
        notifications: Notifications(&source),
    };
    let written = serde_json::to_writer_pretty(&mut out, &document).map_err(io::Error::from);
    let written = written.and_then(|()| writeln!(out));
    match source.failure.into_inner() {
        Some(error) => Err(Interruption::Refused(error)),
        None => written.map_err(Interruption::Unwritten),
    }
}

/// Everything about a person, as `user export` writes it; lists are newest first unless stated otherwise.
// The fields stand in the order in which they are written.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Export of a user")]
pub(super) struct Document<'s> {
    /// The account
    user: &'s Subject,
    /// The conversations of the person
    #[schemars(with = "Vec<ShownConversation<'_>>")]
    conversations: Conversations<'s>,
    /// The messages they sent, with earlier contents
    #[schemars(with = "Vec<SentMessage<'_>>")]
    messages_sent: MessagesSent<'s>,
    /// The messages they received
    #[schemars(with = "Vec<Message>")]
    messages_received: MessagesReceived<'s>,
    /// Earlier contents of others' messages that they replaced; those of their own messages are with the messages
    #[schemars(with = "Vec<Revision>")]
    revisions: Revisions<'s>,
    #[schemars(with = "Vec<Notification>")]
    notifications: Notifications<'s>,
}

/// A conversation with its participants
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Conversation")]
struct ShownConversation<'s> {
    #[serde(flatten)]
    participation: Participation,
    /// Oldest account first
    #[schemars(with = "Vec<UserRef>")]
    participants: Participants<'s>,
}

/// A message that the person sent, with its earlier contents
#[derive(Serialize, JsonSchema)]
struct SentMessage<'s> {
    #[serde(flatten)]
    message: Message,
    #[schemars(with = "Vec<Revision>")]
    revisions: History<'s>,
}

/// Where the pages come from, and why they ended
struct Source<'a> {
    app: &'a App,
    subject: Subject,
    credentials: Option<&'a Credentials>,
    /// Whether they have to be checked again
    is_late: RefCell<Box<dyn Fn() -> bool>>,
    failure: RefCell<Option<Error>>,
}

impl Source<'_> {
    /// Checks that the credentials are still valid.
    fn must_be_valid(&self, tx: &mut Tx<'_>) -> Result<()> {
        let Some(credentials) = self.credentials else { return Ok(()) };
        *self.is_late.borrow_mut() = Box::new(late_after(LOOK));
        credentials.must_not_be_revoked(tx)
    }

    /// Writes an array of whatever `read` finds beyond the last of the page before, which is at a `place`.
    fn array<S: Serializer, T, P: Copy, W: Serialize>(
        &self,
        serializer: S,
        read: impl Fn(&mut Tx<'_>, Option<P>) -> Result<Vec<T>>,
        place: impl Fn(&T) -> P,
        show: impl Fn(T) -> W,
    ) -> std::result::Result<S::Ok, S::Error> {
        let failed = |error| {
            self.failure.replace(Some(error));
            S::Error::custom("no more could be read")
        };
        let mut array = serializer.serialize_seq(None)?;
        let mut last = None;
        loop {
            let page = self.app.read(|tx| {
                self.must_be_valid(tx)?;
                read(tx, last)
            });
            let page = page.map_err(failed)?;
            let is_full = i64::try_from(page.len()) == Ok(PAGE);
            last = page.last().map(&place);
            for thing in page {
                if (self.is_late.borrow())() {
                    self.app.read(|tx| self.must_be_valid(tx)).map_err(failed)?;
                }
                array.serialize_element(&show(thing))?;
            }
            if !is_full {
                return array.end();
            }
        }
    }
}

struct Conversations<'s>(&'s Source<'s>);

impl Serialize for Conversations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.array(
            serializer,
            |tx, below| self.0.subject.conversations(tx, below, PAGE),
            |participation| participation.key,
            |participation| ShownConversation { participants: Participants(self.0, participation.key), participation },
        )
    }
}

struct Participants<'s>(&'s Source<'s>, ConversationKey);

impl Serialize for Participants<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.array(
            serializer,
            |tx, after| self.0.subject.participants(tx, self.1, after, PAGE),
            |person| person.key,
            |person| person,
        )
    }
}

struct MessagesSent<'s>(&'s Source<'s>);

impl Serialize for MessagesSent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.array(
            serializer,
            |tx, below| self.0.subject.messages(tx, Side::Sent, below, PAGE),
            |message| (message.timestamp, message.key),
            |message| SentMessage {
                revisions: History(self.0, message.edited.then_some((message.key, message.message_id))),
                message,
            },
        )
    }
}

/// The earlier contents of a message; what was never edited needs no look.
struct History<'s>(&'s Source<'s>, Option<(MessageKey, MessageId)>);

impl Serialize for History<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.array(
            serializer,
            |tx, below| match self.1 {
                Some(message) => self.0.subject.history(tx, message, below, PAGE),
                None => Ok(Vec::new()),
            },
            |revision| revision.revision,
            |revision| revision,
        )
    }
}

struct MessagesReceived<'s>(&'s Source<'s>);

impl Serialize for MessagesReceived<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.array(
            serializer,
            |tx, below| self.0.subject.messages(tx, Side::Received, below, PAGE),
            |message| (message.timestamp, message.key),
            |message| message,
        )
    }
}

struct Revisions<'s>(&'s Source<'s>);

impl Serialize for Revisions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.array(
            serializer,
            |tx, below| self.0.subject.revisions(tx, below, PAGE),
            |(message, revision)| (*message, revision.revision),
            |(_, revision)| revision,
        )
    }
}

struct Notifications<'s>(&'s Source<'s>);

impl Serialize for Notifications<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.array(
            serializer,
            |tx, below| self.0.subject.notifications(tx, below, PAGE),
            |notification| notification.message.key,
            |notification| notification,
        )
    }
}
