//! Cursors: places in the log as clients hold them.
//!
//! A cursor has the key of its row, a check value of what the row says, and is sealed under the generation of the log, which is
//! random. So one of another database, of one that was restored since, or from before a rollback is told apart, and nobody
//! counts everybody's events by the keys.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::model::{Choice, EventKey, Timestamp};
use crate::service::tokens::Keys;
use crate::store::Tx;
use crate::store::events::{self, EventRow, Position};

/// What cursors are sealed for
const PURPOSE: &str = "events";

/// How long a cursor is: 24 bytes and the 16 of its seal, in base64
const LENGTH: usize = 54;

/// The check value of an event
type Check = [u8; 8];

/// Makes and reads the cursors of one log.
pub struct Cursors {
    generation: [u8; 16],
    keys: Keys,
}

/// Where a cursor leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    At(Position),
    /// Nowhere: the listener has to read everything anew
    Nowhere(ResetReason),
}

/// Why a listener has to begin anew
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// The cursor is not of this log, or the log was set back
    OtherLog,
    /// The log does not reach back that far any more
    TooOld,
}

impl ResetReason {
    /// The word for clients
    pub fn word(self) -> &'static str {
        match self {
            Self::OtherLog => "other_log",
            Self::TooOld => "too_old",
        }
    }
}

impl Cursors {
    /// The cursors of the log as it is now
    pub fn of(tx: &mut Tx<'_>) -> Result<Self> {
        let generation = events::generation(tx)?;
        Ok(Self { generation, keys: Keys::new(&generation, None)? })
    }

    /// Whether the log is still the one of these cursors
    pub fn are_of(&self, tx: &mut Tx<'_>) -> Result<bool> {
        Ok(events::generation(tx)? == self.generation)
    }

    /// The cursor of an event; none: that of a log without any.
    pub fn at(&self, row: Option<&EventRow>) -> Result<String> {
        let position = row.map_or(Position::START, |row| row.position);
        let check = row.map_or([0; 8], check);
        let parts = [position.transaction.to_be_bytes(), position.key.0.to_be_bytes(), check];
        self.keys.seal(PURPOSE, parts.as_flattened())
    }

    /// Where in the log a cursor leads.
    ///
    /// # Errors
    /// `Invalid` for what is no cursor at all.
    pub fn find(&self, tx: &mut Tx<'_>, cursor: &str) -> Result<Found> {
        let is_of_form = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if cursor.len() != LENGTH || !cursor.bytes().all(is_of_form) {
            return Err(Error::invalid("since", "That is not a cursor."));
        }
        let other_log = Ok(Found::Nowhere(ResetReason::OtherLog));
        let Some(opened) = self.keys.open(PURPOSE, cursor) else { return other_log };
        let ([transaction, key, kept], []) = opened.as_chunks::<8>() else { return other_log };
        let (transaction, key) = (i64::from_be_bytes(*transaction), EventKey(i64::from_be_bytes(*key)));
        let position = Position { transaction, key };
        if let Some(row) = events::at(tx, position)? {
            return if check(&row) == *kept { Ok(Found::At(position)) } else { other_log };
        }
        if reaches_back(tx, position)? {
            return Ok(Found::At(position));
        }
        let is_too_old = events::first(tx)?.is_some_and(|first| position < first);
        if is_too_old { Ok(Found::Nowhere(ResetReason::TooOld)) } else { other_log }
    }
}

/// The cursor of the newest event there is to hear, and its time: who listens from it on hears what is not yet done.
pub fn newest(tx: &mut Tx<'_>) -> Result<(String, Option<Timestamp>)> {
    let last = events::last(tx)?;
    Ok((Cursors::of(tx)?.at(last.as_ref())?, last.map(|row| row.at)))
}

/// Whether the log still has everything that is behind a place in it.
pub fn reaches_back(tx: &mut Tx<'_>, position: Position) -> Result<bool> {
    if position == Position::START {
        // The place before the first event of all is there while that is.
        return Ok(events::first(tx)?.is_none_or(|first| first.key == EventKey(1)));
    }
    Ok(events::at(tx, position)?.is_some())
}

/// What a row says, in 64 bits of SHA-256
fn check(row: &EventRow) -> Check {
    let EventRow { position, kind, at, actor, operator, conversation, user, subject, is_read } = row;
    let mut hash = Sha256::new();
    let number = |number: Option<i64>| number.unwrap_or(i64::MIN).to_be_bytes();
    for part in [
        Some(position.transaction),
        Some(position.key.0),
        Some(kind.code()),
        Some(at.0),
        actor.map(|key| key.0),
        conversation.map(|key| key.0),
        user.map(|key| key.0),
        is_read.map(i64::from),
        // Nothing is not the same as an empty text.
        subject.map(|_| 0),
        operator.as_ref().map(|_| 0),
    ] {
        hash.update(number(part));
    }
    hash.update(subject.map_or([0; 16], |id| *id.as_bytes()));
    hash.update(operator.as_deref().unwrap_or_default());
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|index| hash[index])
}
