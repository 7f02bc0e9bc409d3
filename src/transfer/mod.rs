//! Import and export: records as `data dump` writes and `data load` reads them, and their other sources.

pub mod apply;
pub mod django;
pub mod dump;
mod existing;
pub mod export;
pub mod input;
pub mod load;
pub mod records;
pub mod schema;
pub mod seed;

use std::io;

use serde::Serialize;

use self::records::Record;
use crate::error::{Error, Kind};

/// How many records of each kind, for example were written
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub users: u64,
    pub conversations: u64,
    pub messages: u64,
    pub notifications: u64,
    /// Messages written that are older than one before them in their conversation
    #[serde(skip)]
    pub older: u64,
}

impl Tally {
    /// Counts a record.
    fn count(&mut self, record: &Record) {
        match record {
            Record::User(_) => self.users += 1,
            Record::Conversation(_) => self.conversations += 1,
            Record::Message(_) => self.messages += 1,
            Record::Notification(_) => self.notifications += 1,
        }
    }

    /// Adds another to this one.
    fn add(&mut self, other: Self) {
        self.users += other.users;
        self.conversations += other.conversations;
        self.messages += other.messages;
        self.notifications += other.notifications;
        self.older += other.older;
    }

    /// The sum of all counts
    pub fn total(self) -> u64 {
        self.users + self.conversations + self.messages + self.notifications
    }
}

/// Why an output was interrupted.
#[derive(Debug)]
pub enum Interruption {
    /// A rule or the database refused it
    Refused(Error),
    /// It could not be written
    Unwritten(io::Error),
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Unwritten(error)
    }
}

/// What is wrong with a record.
#[derive(Clone, Debug)]
pub struct RecordProblem {
    /// Counted from 1
    pub line: u64,
    pub kind: Kind,
    /// A whole sentence
    pub detail: String,
}

impl RecordProblem {
    /// A problem of a line, in a whole sentence.
    pub fn new(line: u64, kind: Kind, detail: impl Into<String>) -> Self {
        Self { line, kind, detail: detail.into() }
    }
}

/// The number of characters of a value that a message shows
const LONGEST_QUOTE: usize = 100;

/// What a record says, for a sentence about it; of a long text its beginning.
fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("“{}…”", &text[..end]),
        None => format!("“{text}”"),
    }
}
