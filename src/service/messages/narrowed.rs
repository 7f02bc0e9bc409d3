//! Messages of one conversation, narrowed to a time or to what is unread, in the order of their numbers.

use crate::error::Result;
use crate::model::{MessageKey, Number};
use crate::store::Tx;
use crate::store::messages::{Passed, Scope, pass_matching, pass_numbers};

/// How far each of the two walks goes at first
const FEW: i64 = 100;

/// How far it goes at once at the most: a statement's rows are kept in memory
const MANY: i64 = 10_000;

/// The messages between two numbers that are meant, up to the filter's limit: those with the highest numbers, highest first, or
/// the lowest, lowest first.
///
/// Loaded messages bring their times and may take numbers that were left out, so nothing tells which numbers those of a time have,
/// or the unread ones. Two walks take turns, each twice as far as before, up to [`MANY`]: along the numbers until there are enough,
/// and through everything of that time, or everything unread. The first that ends has the answer, and the other has gone about as
/// far: where few are far from the end among many of their time, both are long.
pub(super) fn find(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (above, below): (Number, Number),
    lowest_first: bool,
) -> Result<Vec<MessageKey>> {
    let limit = usize::try_from(scope.filter.limit).unwrap_or(usize::MAX);
    let order = |passed: &Passed| if lowest_first { passed.number.0 } else { -passed.number.0 };
    let mut rest = (above, below);
    let mut in_order = Vec::new();
    let mut matching: Vec<Passed> = Vec::new();
    let mut behind = None;
    let mut size = FEW;
    loop {
        let passed = pass_numbers(tx, scope, rest, lowest_first, size)?;
        in_order.extend(passed.iter().filter(|passed| passed.is_meant).map(|passed| passed.key));
        let last = passed.last().filter(|_| is_full(&passed, size));
        let Some(last) = last.filter(|_| in_order.len() < limit) else {
            in_order.truncate(limit);
            return Ok(in_order);
        };
        rest = if lowest_first { (last.number, below) } else { (above, last.number) };

        let passed = pass_matching(tx, scope, behind.as_ref(), size)?;
        let is_between = |number| above < number && number < below;
        matching.extend(passed.iter().filter(|passed| passed.is_meant && is_between(passed.number)));
        if matching.len() > limit {
            matching.select_nth_unstable_by_key(limit, order);
            matching.truncate(limit);
        }
        if !is_full(&passed, size) {
            matching.sort_unstable_by_key(order);
            return Ok(matching.into_iter().map(|passed| passed.key).collect());
        }
        behind = passed.last().copied();
        size = size.saturating_mul(2).min(MANY);
    }
}

/// Whether there may be more behind these
fn is_full(passed: &[Passed], size: i64) -> bool {
    i64::try_from(passed.len()).is_ok_and(|count| count >= size)
}
