//! Keyset pagination: a page begins after, or ends before, the position of a row. So no row is shown twice or left out while other
//! rows are added or deleted.

use crate::error::Result;
use crate::model::Seek;

/// A page of a list, with the positions of the next and the previous page.
#[derive(Clone, Debug)]
pub struct Page<T, P> {
    pub items: Vec<T>,
    /// How many items the whole list has
    pub count: i64,
    /// None on the last page
    pub next: Option<Seek<P>>,
    /// None on the first page
    pub previous: Option<Seek<P>>,
}

/// Reads one page of `size` rows. `read` gets a position (none: the beginning of the list) and a limit, and returns the rows
/// after it, in the order of the list, or the rows before it, nearest first. The count stays 0: [`Page::of`] sets it.
///
/// # Errors
/// Those of `read`.
pub fn page<T, P: Clone>(
    seek: Option<&Seek<P>>,
    size: i64,
    position: impl Fn(&T) -> P,
    mut read: impl FnMut(Option<&Seek<P>>, i64) -> Result<Vec<T>>,
) -> Result<Page<T, P>> {
    let mut items = read(seek, size + 1)?;
    let is_more = i64::try_from(items.len()).is_ok_and(|found| found > size);
    items.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    let backwards = matches!(seek, Some(Seek::Before(_)));
    if backwards {
        items.reverse();
    }
    let (first, last) = (items.first().map(&position), items.last().map(&position));
    // There usually are rows in the direction that the client came from; they may have been deleted meanwhile.
    let mut is_any = |seek: Seek<P>| Ok::<_, crate::error::Error>(!read(Some(&seek), 1)?.is_empty());
    let after = last.map(Seek::After);
    let before = first.map(Seek::Before);
    let next = match after {
        Some(after) if if backwards { is_any(after.clone())? } else { is_more } => Some(after),
        _ => None,
    };
    let previous = match before {
        Some(before) if backwards && is_more || !backwards && seek.is_some() && is_any(before.clone())? => Some(before),
        _ => None,
    };
    Ok(Page { items, count: 0, next, previous })
}

impl<T, P> Page<T, P> {
    /// A page with nothing on it
    pub fn none() -> Self {
        Self { items: Vec::new(), count: 0, next: None, previous: None }
    }

    /// The same page, of a list with `count` items
    #[must_use]
    pub fn of(self, count: i64) -> Self {
        Self { count, ..self }
    }

    /// The same page with other items, made of these.
    pub fn map<U>(self, make: impl FnOnce(Vec<T>) -> Result<Vec<U>>) -> Result<Page<U, P>> {
        let Self { items, count, next, previous } = self;
        Ok(Page { items: make(items)?, count, next, previous })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A page of the numbers 0 to `length`, in ascending order
    fn of(length: i64, seek: Option<&Seek<i64>>, size: i64) -> Page<i64, i64> {
        let read = |seek: Option<&Seek<i64>>, limit: i64| {
            let limit = usize::try_from(limit).unwrap();
            Ok(match seek {
                None => (0..length).take(limit).collect(),
                Some(Seek::After(position)) => (0..length).filter(|number| number > position).take(limit).collect(),
                Some(Seek::Before(position)) => {
                    (0..length).rev().filter(|number| number < position).take(limit).collect()
                }
            })
        };
        page(seek, size, |number| *number, read).unwrap()
    }

    proptest! {
        #[test]
        fn following_next_shows_all_rows_and_previous_leads_back(length in 0..30_i64, size in 1..10_i64) {
            let mut seen = Vec::new();
            let mut page = of(length, None, size);
            prop_assert_eq!(page.previous, None);
            loop {
                seen.extend(page.items.clone());
                let Some(next) = page.next else { break };
                let following = of(length, Some(&next), size);
                let back = of(length, following.previous.as_ref(), size);
                prop_assert_eq!(&back.items, &page.items);
                prop_assert_eq!(back.next, page.next);
                page = following;
            }
            prop_assert_eq!(seen, (0..length).collect::<Vec<_>>());
        }
    }
}
