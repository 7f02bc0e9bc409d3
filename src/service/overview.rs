//! The whole in numbers, for those who administer it.

use std::collections::HashMap;

use super::must_administer;
use crate::error::Result;
use crate::model::{Actor, Pending, Timestamp};
use crate::store::statistics::{self, DAY};
use crate::store::{self, Tx};

/// How many days are counted, with today
pub const DAYS: i64 = 30;

/// How much there is, and how much of it each of the last days brought.
#[derive(Clone, Debug)]
pub struct Overview {
    pub counted_at: Timestamp,
    pub users: i64,
    pub conversations: i64,
    /// Those that are not tombstones
    pub messages: i64,
    /// Unread notifications of all users
    pub unread: i64,
    /// The last days, today at the end
    pub days: Vec<Day>,
}

/// A day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub begins: Timestamp,
    /// Messages that were sent on it and are still there
    pub messages: i64,
    /// Accounts that were created on it and are still there
    pub accounts: i64,
}

/// Counts everything, which reads the messages of the last days: callers keep it for a while.
///
/// # Errors
/// `Forbidden` for all but the operator and admins.
pub fn overview(tx: &mut Tx<'_>, actor: &Actor) -> Result<Overview> {
    must_administer(actor)?;
    let today = tx.now().0.div_euclid(DAY);
    let numbers = today - DAYS + 1..=today;
    let begins: Vec<Timestamp> = numbers.clone().map(|number| Timestamp(number * DAY)).collect();
    let since = begins.first().copied().unwrap_or_default();
    let accounts: HashMap<i64, i64> = statistics::accounts_by_day(tx, since)?.into_iter().collect();
    let messages = statistics::messages_of_days(tx, &begins)?;
    let days = numbers.zip(begins).zip(messages).map(|((number, begins), messages)| Day {
        begins,
        messages,
        accounts: accounts.get(&number).copied().unwrap_or(0),
    });
    let days = days.collect();
    let (conversations, messages) = store::conversations::count(tx)?;
    Ok(Overview {
        counted_at: tx.now(),
        users: store::users::count(tx)?,
        conversations,
        messages,
        unread: statistics::unread(tx)?,
        days,
    })
}

/// Work that is not done yet.
///
/// # Errors
/// `Forbidden` for all but the operator and admins.
pub fn pending(tx: &mut Tx<'_>, actor: &Actor) -> Result<Vec<Pending>> {
    must_administer(actor)?;
    store::maintenance::pending(tx)
}
