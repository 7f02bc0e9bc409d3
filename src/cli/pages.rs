//! Long lists, page by page.

use crate::error::Result;

/// The number of rows read in one transaction, and so in memory, while a list is written.
pub(super) const PAGE: u16 = 1000;

/// The pages of a list of at most `limit` rows. `read` reads each page after the last row of the one before, in its own
/// transaction, so that a slow reader of the output blocks no writer.
pub(super) fn pages<T, Place>(
    limit: i64,
    mut read: impl FnMut(Option<&Place>, i64) -> Result<Vec<T>>,
    place: impl Fn(&T) -> Place,
) -> impl Iterator<Item = Result<Vec<T>>> {
    let mut left = Some(limit);
    let mut below = None;
    std::iter::from_fn(move || {
        let wanted = left?.min(i64::from(PAGE));
        let page = read(below.as_ref(), wanted);
        let last = page.as_ref().ok().and_then(|page| page.last());
        let is_full = page.as_ref().is_ok_and(|page| i64::try_from(page.len()) == Ok(wanted));
        left = left.map(|left| left - wanted).filter(|left| is_full && *left > 0);
        below = last.map(&place);
        Some(page)
    })
}
