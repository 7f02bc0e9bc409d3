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

/// The newest events of a part of the log that are sought, at most `limit` of them, among its newest `rows`
pub fn newest_sought(
    tx: &mut Tx<'_>,
    stretch: &Stretch,
    sought: &Sought,
    rows: i64,
    limit: i64,
) -> Result<Vec<EventRow>> {
    macro_rules! sought {
        ($first:literal, $is_operator:literal, $is_object:literal, $rest:literal) => {
            concat!(
                "SELECT * FROM (SELECT ",
                columns!(),
                " FROM event WHERE ",
                $first,
                ") AS looked WHERE ",
                $is_operator,
                " AND ",
                $is_object,
                $rest
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
    if tx.split(true, false) {
        return tx.all(
            sought!(
                "key >= $1 AND key < $2 ORDER BY key DESC LIMIT $3",
                "at >= $4 AND at < $5 AND (CAST($6 AS BIGINT) IS NULL OR kind = $6)
                 AND (CAST($7 AS BIGINT) IS NULL OR actor_key = $7) AND ($8 = FALSE OR actor_key IS NULL)",
                "($9 = TRUE OR user_key = $10 OR conversation_key = $11 OR subject_id = $12)",
                " ORDER BY key DESC LIMIT $13"
            ),
            &[
                &from.key,
                &below.key,
                &rows,
                &sought.since,
                &sought.until,
                &sought.kind,
                &actor,
                &is_operator,
                &is_any,
                &user,
                &conversation,
                &id,
                &limit,
            ],
            read,
        );
    }
    tx.all(
        sought!(
            "(transaction_id, key) >= ($1, $2) AND (transaction_id, key) < ($3, $4)
             ORDER BY transaction_id DESC, key DESC LIMIT $5",
            "at >= $6 AND at < $7 AND (CAST($8 AS BIGINT) IS NULL OR kind = $8)
             AND (CAST($9 AS BIGINT) IS NULL OR actor_key = $9) AND ($10 = FALSE OR actor_key IS NULL)",
            "($11 = TRUE OR user_key = $12 OR conversation_key = $13 OR subject_id = $14)",
            " ORDER BY transaction_id DESC, key DESC LIMIT $15"
        ),
        &[
            &from.transaction,
            &from.key,
            &below.transaction,
            &below.key,
            &rows,
            &sought.since,
            &sought.until,
            &sought.kind,
            &actor,
            &is_operator,
            &is_any,
            &user,
            &conversation,
            &id,
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

/// The place in the log from which on events are not before a time, found by halving: times rise with places, as long as no clock
/// was set back.
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
