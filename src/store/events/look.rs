//! Looking through the log for certain events, the newest first: so many rows at a time, in the order of the log alone. It has no
//! index of what events say, which each message that is sent would have to keep.

use uuid::Uuid;

use super::read::{Position, columns, read};
use super::{EventRow, first, newest_of_all};
use crate::error::Result;
use crate::model::{ConversationKey, EventKey, EventKind, Timestamp, UserKey};
use crate::store::{Row, Tx};

/// Which events are looked for: those that are all of this.
#[derive(Clone, Debug)]
pub struct Sought {
    pub actor: Option<Doer>,
    pub kind: Option<EventKind>,
    pub object: Option<Object>,
    /// From this time on
    pub since: Timestamp,
    /// Before this time
    pub until: Timestamp,
}

/// Who did something
#[derive(Clone, Copy, Debug)]
pub enum Doer {
    Operator,
    User(UserKey),
}

/// What an event is about: whichever of these it names
#[derive(Clone, Copy, Debug)]
pub struct Object {
    pub user: Option<UserKey>,
    pub conversation: Option<ConversationKey>,
    /// That of the user, of the conversation, or of a message
    pub id: Uuid,
}

/// A part of the log: from a place in it up to another, without this one
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    pub from: Position,
    pub below: Position,
}

/// The newest events of a part of the log that are sought, at most `limit` of them
pub fn newest_sought(tx: &mut Tx<'_>, stretch: &Stretch, sought: &Sought, limit: i64) -> Result<Vec<EventRow>> {
    macro_rules! sought {
        ($of_stretch:literal) => {
            concat!(
                "SELECT ",
                columns!(),
                " FROM event
                 WHERE at >= $1 AND at < $2 AND (CAST($3 AS BIGINT) IS NULL OR kind = $3)
                   AND (CAST($4 AS BIGINT) IS NULL OR actor_key = $4) AND ($5 = FALSE OR actor_key IS NULL)
                   AND ($6 = TRUE OR user_key = $7 OR conversation_key = $8 OR subject_id = $9) AND ",
                $of_stretch
            )
        };
    }
    let Stretch { from, below } = stretch;
    let (actor, is_operator) = match sought.actor {
        Some(Doer::User(user)) => (Some(user), false),
        Some(Doer::Operator) => (None, true),
        None => (None, false),
    };
    let is_any = sought.object.is_none();
    let (user, conversation) = sought.object.map_or((None, None), |object| (object.user, object.conversation));
    let id = sought.object.map(|object| object.id);
    let Sought { kind, since, until, .. } = sought;
    if tx.split(true, false) {
        return tx.all(
            sought!("key >= $10 AND key < $11 ORDER BY key DESC LIMIT $12"),
            &[
                since,
                until,
                kind,
                &actor,
                &is_operator,
                &is_any,
                &user,
                &conversation,
                &id,
                &from.key,
                &below.key,
                &limit,
            ],
            read,
        );
    }
    tx.all(
        sought!(
            "(transaction_id, key) >= ($10, $11) AND (transaction_id, key) < ($12, $13)
             ORDER BY transaction_id DESC, key DESC LIMIT $14"
        ),
        &[
            since,
            until,
            kind,
            &actor,
            &is_operator,
            &is_any,
            &user,
            &conversation,
            &id,
            &from.transaction,
            &from.key,
            &below.transaction,
            &below.key,
            &limit,
        ],
        read,
    )
}

/// The last of the newest `rows` of a part of the log, with its time; none where it is the last of all of them.
pub fn last_looked(tx: &mut Tx<'_>, stretch: &Stretch, rows: i64) -> Result<Option<(Position, Timestamp)>> {
    let Stretch { from, below } = stretch;
    let read = |row: &Row<'_>| Ok((Position { transaction: row.get(0)?, key: row.get(1)? }, row.get(2)?));
    let mut last = if tx.split(true, false) {
        tx.all(
            "SELECT transaction_id, key, at FROM event WHERE key >= $1 AND key < $2 ORDER BY key DESC LIMIT 2 OFFSET $3",
            &[&from.key, &below.key, &(rows - 1)],
            read,
        )?
    } else {
        tx.all(
            "SELECT transaction_id, key, at FROM event
             WHERE (transaction_id, key) >= ($1, $2) AND (transaction_id, key) < ($3, $4)
             ORDER BY transaction_id DESC, key DESC LIMIT 2 OFFSET $5",
            &[&from.transaction, &from.key, &below.transaction, &below.key, &(rows - 1)],
            read,
        )?
    };
    let is_more = last.len() > 1;
    last.truncate(1);
    Ok(last.pop().filter(|_| is_more))
}

/// The place in the log from which on events are not before a time, found by halving: that is so where times rise with places, and
/// what they fall by, as after a clock was set back, is how far from the time events may be on the wrong side of the place.
pub fn place_of(tx: &mut Tx<'_>, time: Timestamp) -> Result<Position> {
    // The time of the last event up to the middle
    macro_rules! at_or_below {
        ($number:literal, $order:literal) => {
            concat!("(SELECT at FROM event WHERE ", $number, " <= (low + high) / 2 ORDER BY ", $order, " LIMIT 1)")
        };
    }
    macro_rules! halved {
        ($number:literal, $order:literal) => {
            concat!(
                "WITH RECURSIVE place (low, high) AS (
                     SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT)
                     UNION ALL
                     SELECT CASE WHEN ",
                at_or_below!($number, $order),
                " < $3 THEN (low + high) / 2 ELSE low END,
                            CASE WHEN ",
                at_or_below!($number, $order),
                " < $3 THEN high ELSE (low + high) / 2 END
                     FROM place WHERE high - low > 1)
                 SELECT high FROM place WHERE high - low <= 1"
            )
        };
    }
    let (Some(first), Some(last)) = (first(tx)?, newest_of_all(tx)?) else { return Ok(Position::START) };
    // With SQLite keys are the order, with PostgreSQL the ids of transactions first, whose events have about the same time.
    let number = |place: Position| tx.split(place.key.0, place.transaction);
    let (low, high) = (number(first) - 1, number(last) + 1);
    let halved = tx.split(halved!("key", "key DESC"), halved!("transaction_id", "transaction_id DESC, key DESC"));
    let found: i64 = tx.only(halved, &[&low, &high, &time], |row| row.get(0))?;
    Ok(tx.split(Position { transaction: 0, key: EventKey(found) }, Position { transaction: found, key: EventKey(0) }))
}
