//! Lists that go on: what is there, then what comes, and what becomes of what was shown.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::{Serialize, Serializer};

use super::follow::{Heard, Hearing, follow};
use super::output::{Field, Listing, Output, Paragraph, Piece, Record, View};
use super::{Context, Failure, Outcome};
use crate::error::{Error, Kind, Result};
use crate::feed::Follower;
use crate::model::{Message, MessageId, MessageKey};
use crate::service::events::{EventView, Narrowing, Subject, newest};
use crate::store::Tx;

/// How many rows are known to have been shown; what becomes of older ones is not told
const KNOWN: usize = 10_000;

/// How many events are read together
const TOGETHER: usize = 64;

/// What is listed, a row for each message
pub(super) trait Source {
    type Row: Record + Clone;

    fn message(row: &mut Self::Row) -> &mut Message;

    /// Finds by what does not change whatever was named: names may become others' while the list goes on.
    fn find(&mut self, tx: &mut Tx<'_>) -> Result<()>;

    /// The list as it is now; `NotFound` where what is listed is gone
    fn list(&self, tx: &mut Tx<'_>) -> Result<Vec<Self::Row>>;

    /// All rows from one on, as they are now, in any order; `NotFound` where what is listed is gone
    fn from(&self, tx: &mut Tx<'_>, lowest: &Self::Row) -> Result<Vec<Self::Row>>;

    /// A row as it is now, if there is one; `NotFound` where what is listed is gone
    fn one(&self, tx: &mut Tx<'_>, message: MessageId) -> Result<Option<Self::Row>>;

    /// Whether an event made a row that belongs into the list
    fn is_new(&self, event: &EventView, row: &Self::Row) -> bool;

    /// Whether a row belongs into the list
    fn is_wanted(&self, row: &Self::Row) -> bool;

    /// What became of a row; none: nothing
    fn change(old: &Self::Row, new: &Self::Row) -> Option<Change>;
}

/// What became of a row
pub(super) enum Change {
    /// It is seen in the row itself.
    Seen,
    /// It is called so before the row.
    Called(&'static str),
}

/// Shows a list, and goes on with what comes.
pub(super) fn run<S: Source>(context: Context<'_>, mut source: S, narrowing: Narrowing) -> Outcome {
    // One look at the database: nothing is between the list and what comes, and nothing is in both.
    let (rows, cursor) = context.app.read(|tx| {
        source.find(tx)?;
        Ok((source.list(tx)?, newest(tx)?.0))
    })?;
    let (mut follower, out) = context.follow(narrowing, Some(cursor), TOGETHER)?;
    out.tell_times_by_the_clock();
    let mut going = Going { listing: out.begin_list::<Line<S::Row>>(), out, source, shown: BTreeMap::new() };
    for row in rows {
        going.show(row, None)?;
    }
    going.out.flush()?;
    let ended = follow(&mut follower, &mut going, None);
    let shown = going.out.end_list(&going.listing);
    ended?;
    Ok(shown?)
}

/// A list that goes on
struct Going<'o, S: Source> {
    out: &'o mut Output,
    listing: Listing,
    source: S,
    /// Each row as it was shown last
    shown: BTreeMap<MessageKey, S::Row>,
}

impl<S: Source> Hearing for Going<'_, S> {
    fn hear(&mut self, follower: &Follower, heard: Heard) -> std::result::Result<ControlFlow<()>, Failure> {
        let view = match heard {
            Heard::Reset(..) => {
                self.out.status("The list is read anew: it is another database, or one that was restored.");
                self.shown.clear();
                let rows = follower.read(|tx| {
                    self.source.find(tx)?;
                    self.source.list(tx)
                })?;
                for row in rows {
                    self.show(row, None)?;
                }
                return Ok(ControlFlow::Continue(()));
            }
            Heard::Event(view) => view,
        };
        let message = match &view.subject {
            Subject::Message { message, .. } => message.as_ref().map(|message| message.message_id),
            Subject::Notification { message, .. } => *message,
            _ => None,
        };
        let looked = match message {
            Some(message) => self.look_at(follower, &view, message),
            None => self.look_at_all(follower),
        };
        match looked {
            Err(Failure::Refused(error)) if error.kind() == Kind::NotFound => {
                self.out.status(
                    "There is nothing more to follow: the conversation is gone, or you are not in it any more.",
                );
                Ok(ControlFlow::Break(()))
            }
            looked => looked.map(ControlFlow::Continue),
        }
    }

    fn catch_up(&mut self, _: &Follower) -> Outcome {
        Ok(())
    }

    fn out(&mut self) -> &mut Output {
        self.out
    }
}

/// Refuses for a user who was there and is not found any more, as a watch does.
pub(super) fn still_there<T>(found: Result<T>) -> Result<T> {
    found.map_err(|error| match error.kind() {
        Kind::NotFound => Error::forbidden("The account was deleted; there is nothing more to hear for it."),
        _ => error,
    })
}

impl<S: Source> Going<'_, S> {
    fn show(&mut self, row: S::Row, mark: Option<&'static str>) -> Outcome {
        let mut line = Line { row, mark };
        self.out.add_to_list(&mut self.listing, std::slice::from_ref(&line))?;
        let key = S::message(&mut line.row).key;
        self.shown.insert(key, line.row);
        if self.shown.len() > KNOWN {
            self.shown.pop_first();
        }
        Ok(())
    }

    /// Shows what became of one row.
    fn look_at(&mut self, follower: &Follower, view: &EventView, id: MessageId) -> Outcome {
        let now = follower.read(|tx| self.source.one(tx, id))?;
        let key = self.shown.iter_mut().find_map(|(key, row)| (S::message(row).message_id == id).then_some(*key));
        match (key, now) {
            (None, Some(row)) if self.source.is_new(view, &row) && self.source.is_wanted(&row) => self.show(row, None),
            (Some(key), now) => self.compare(key, now),
            (None, _) => Ok(()),
        }
    }

    /// Shows what became of all that was shown, and what is behind it.
    fn look_at_all(&mut self, follower: &Follower) -> Outcome {
        let lowest = self.shown.values().next().cloned();
        let rows = follower.read(|tx| match &lowest {
            Some(lowest) => self.source.from(tx, lowest),
            None => self.source.list(tx),
        })?;
        let newest = self.shown.keys().next_back().copied();
        let keyed = rows.into_iter().map(|mut row| (S::message(&mut row).key, row));
        let mut now: BTreeMap<MessageKey, S::Row> = keyed.collect();
        for key in self.shown.keys().copied().collect::<Vec<_>>() {
            self.compare(key, now.remove(&key))?;
        }
        for (key, row) in now {
            if newest.is_none_or(|newest| key > newest) && self.source.is_wanted(&row) {
                self.show(row, None)?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, key: MessageKey, now: Option<S::Row>) -> Outcome {
        let Some(old) = self.shown.get(&key) else { return Ok(()) };
        if let Some(now) = now {
            return match S::change(old, &now) {
                Some(Change::Called(mark)) => self.show(now, Some(mark)),
                Some(Change::Seen) => self.show(now, None),
                None => Ok(()),
            };
        }
        let mut gone = old.clone();
        bury(S::message(&mut gone));
        self.show(gone, None)?;
        self.shown.remove(&key);
        Ok(())
    }
}

/// Makes of a message what is left of it.
fn bury(message: &mut Message) {
    message.content.clear();
    (message.sender, message.receiver) = (None, None);
    (message.edited, message.revision, message.read, message.deleted) = (false, 1, false, true);
    (message.parent_message, message.parent_number) = (None, None);
    (message.is_thread, message.reply_count) = (false, 0);
}

/// A row as it is shown, with what became of it
struct Line<R> {
    row: R,
    mark: Option<&'static str>,
}

impl<R: Record> Serialize for Line<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.row.serialize(serializer)
    }
}

impl<R: Record> Record for Line<R> {
    const FIELDS: &'static [Field] = R::FIELDS;
    const COLUMNS: &'static [&'static str] = R::COLUMNS;

    fn ids(&self) -> Vec<String> {
        self.row.ids()
    }

    fn cells(&self, view: View) -> Vec<Piece> {
        self.row.cells(view)
    }

    fn paragraph(&self, view: View) -> Option<Paragraph<'_>> {
        let mut paragraph = self.row.paragraph(view)?;
        if let Some(mark) = self.mark {
            paragraph.heading.insert(0, vec![Piece::Alert(mark.to_owned())]);
        }
        Some(paragraph)
    }
}
