//! The statements behind lists of several conversations' messages, which go by time and hold no tombstones: each is a range of an
//! index between two positions, read from either end.

use crate::error::Result;
use crate::model::{MessageKey, Seek, Timestamp, UserKey};
use crate::store::{Row, Tx};

/// A message's place among all by time
pub type Position = (Timestamp, MessageKey);

/// Messages between two positions, and from which end they are read.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    above: Position,
    below: Position,
    newest_first: bool,
    pub limit: i64,
}

impl Range {
    /// The newest sent from a time on and before another
    pub fn new(since: Timestamp, until: Timestamp, limit: i64) -> Self {
        let (above, below) = ((since, MessageKey(i64::MIN)), (until, MessageKey(i64::MIN)));
        Self { above, below, newest_first: true, limit }
    }

    /// Those of them on one side of a position
    #[must_use]
    pub fn from(self, seek: Option<&Seek<Position>>, limit: i64) -> Self {
        match seek {
            None => Self { limit, ..self },
            Some(Seek::After(position)) => Self { below: self.below.min(*position), limit, ..self },
            Some(Seek::Before(position)) => {
                Self { above: self.above.max(*position), newest_first: false, limit, ..self }
            }
        }
    }
}

macro_rules! ordered {
    ($from:literal, $where:literal, $limit:literal, $order:literal) => {
        concat!(
            "SELECT message.key, message.sent_at FROM ",
            $from,
            " WHERE (message.sent_at, message.key) > ($1, $2) AND (message.sent_at, message.key) < ($3, $4) AND ",
            $where,
            " ORDER BY message.sent_at ",
            $order,
            ", message.key ",
            $order,
            " LIMIT ",
            $limit
        )
    };
}

/// The statement for a range, from whichever end it is read.
macro_rules! range {
    ($range:ident, $from:literal, $where:literal, $limit:literal) => {
        if $range.newest_first {
            ordered!($from, $where, $limit, "DESC")
        } else {
            ordered!($from, $where, $limit, "ASC")
        }
    };
}

fn position(row: &Row<'_>) -> Result<Position> {
    Ok((row.get(1)?, row.get(0)?))
}

/// Messages of all conversations
pub fn everywhere(tx: &mut Tx<'_>, range: &Range) -> Result<Vec<Position>> {
    let Range { above, below, limit, .. } = range;
    tx.all(
        range!(range, "message", "message.sender_key IS NOT NULL", "$5"),
        &[&above.0, &above.1, &below.0, &below.1, limit],
        position,
    )
}

/// Messages of a user's conversations; at most `limit` of each are read.
pub fn visible(tx: &mut Tx<'_>, viewer: UserKey, range: &Range) -> Result<Vec<Position>> {
    let Range { above, below, limit, .. } = range;
    let sql = if range.newest_first {
        ordered!(
            "participant CROSS JOIN message",
            "message.conversation_key = participant.conversation_key AND message.sender_key IS NOT NULL
             AND message.sent_at >= coalesce((
                 SELECT last.sent_at FROM message AS last
                 WHERE last.conversation_key = participant.conversation_key AND last.sender_key IS NOT NULL
                   AND (last.sent_at, last.key) > ($1, $2) AND (last.sent_at, last.key) < ($3, $4)
                 ORDER BY last.sent_at DESC LIMIT 1 OFFSET $5), $1)
             AND participant.user_key = $6",
            "$7",
            "DESC"
        )
    } else {
        ordered!(
            "participant CROSS JOIN message",
            "message.conversation_key = participant.conversation_key AND message.sender_key IS NOT NULL
             AND message.sent_at <= coalesce((
                 SELECT last.sent_at FROM message AS last
                 WHERE last.conversation_key = participant.conversation_key AND last.sender_key IS NOT NULL
                   AND (last.sent_at, last.key) > ($1, $2) AND (last.sent_at, last.key) < ($3, $4)
                 ORDER BY last.sent_at LIMIT 1 OFFSET $5), $3)
             AND participant.user_key = $6",
            "$7",
            "ASC"
        )
    };
    tx.all(sql, &[&above.0, &above.1, &below.0, &below.1, &(limit - 1).max(0), &viewer, limit], position)
}

/// Messages that a user sent, to one user or to anybody: those a viewer shares a conversation for, or all
pub fn sent_by_one(
    tx: &mut Tx<'_>,
    sender: UserKey,
    receiver: Option<UserKey>,
    viewer: Option<UserKey>,
    range: &Range,
) -> Result<Vec<Position>> {
    let Range { above, below, limit, .. } = range;
    tx.all(
        range!(
            range,
            "message",
            "message.sender_key = $5 AND (CAST($6 AS BIGINT) IS NULL OR message.receiver_key = $6)
             AND (CAST($7 AS BIGINT) IS NULL OR EXISTS (
                 SELECT 1 FROM participant
                 WHERE participant.conversation_key = message.conversation_key AND participant.user_key = $7))",
            "$8"
        ),
        &[&above.0, &above.1, &below.0, &below.1, &sender, &receiver, &viewer, limit],
        position,
    )
}

/// Messages to a user: those a viewer shares a conversation for, or all
pub fn received_by_one(
    tx: &mut Tx<'_>,
    receiver: UserKey,
    viewer: Option<UserKey>,
    range: &Range,
) -> Result<Vec<Position>> {
    let Range { above, below, limit, .. } = range;
    tx.all(
        range!(
            range,
            "message",
            "message.receiver_key = $5
             AND (CAST($6 AS BIGINT) IS NULL OR EXISTS (
                 SELECT 1 FROM participant
                 WHERE participant.conversation_key = message.conversation_key AND participant.user_key = $6))",
            "$7"
        ),
        &[&above.0, &above.1, &below.0, &below.1, &receiver, &viewer, limit],
        position,
    )
}

/// A user's unread messages, most recently received first
pub fn unread_by(
    tx: &mut Tx<'_>,
    user: UserKey,
    seek: Option<&Seek<MessageKey>>,
    limit: i64,
) -> Result<Vec<MessageKey>> {
    let (sql, position) = match seek {
        Some(Seek::Before(position)) => (
            "SELECT message_key FROM notification
             WHERE user_key = $1 AND is_read = FALSE AND message_key > $2 ORDER BY message_key LIMIT $3",
            *position,
        ),
        behind => (
            "SELECT message_key FROM notification
             WHERE user_key = $1 AND is_read = FALSE AND message_key < $2 ORDER BY message_key DESC LIMIT $3",
            if let Some(Seek::After(position)) = behind { *position } else { MessageKey(i64::MAX) },
        ),
    };
    tx.all(sql, &[&user, &position, &limit], |row| row.get(0))
}
