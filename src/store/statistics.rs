//! Numbers of the whole database: each reads many rows, so the callers keep them for a while.

use super::Tx;
use crate::error::Result;
use crate::model::Timestamp;

/// The microseconds of a day
pub const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// How many messages were sent on each of the days that begin at these times, in their order
pub fn messages_of_days(tx: &mut Tx<'_>, days: &[Timestamp]) -> Result<Vec<i64>> {
    tx.all(
        "SELECT (SELECT count(*) FROM message WHERE sent_at >= day.begins AND sent_at < day.begins + $1)
         FROM (SELECT CAST(value AS BIGINT) AS begins FROM json_each(CAST($2 AS TEXT))) AS day ORDER BY day.begins",
        &[&DAY, &super::list(days.iter().map(|day| day.0))],
        |row| row.get(0),
    )
}

/// How many accounts were created on each day from a time on, by the number of the day since 1970; days without are left out.
pub fn accounts_by_day(tx: &mut Tx<'_>, since: Timestamp) -> Result<Vec<(i64, i64)>> {
    tx.all(
        "SELECT created_at / $1, count(*) FROM account WHERE created_at >= $2 GROUP BY 1
         /* scans: accounts are few beside messages, and have no index by time */",
        &[&DAY, &since],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// How many notifications are unread
pub fn unread(tx: &mut Tx<'_>) -> Result<i64> {
    tx.only(
        "SELECT count(*) FROM notification WHERE is_read = FALSE
         /* scans: PostgreSQL's indexes begin with the user */",
        &[],
        |row| row.get(0),
    )
}
