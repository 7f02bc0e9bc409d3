//! Sets of keys: a bit each, so that what is selected among millions fits in memory.

use std::ops::Range;

/// How many keys a word holds
const BITS: i64 = 64;

/// How many words a window has
const WORDS: usize = 16;

/// A set of keys of one table
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Vec<u64>);

/// The word and the bit of a key
fn place(key: i64) -> (usize, u64) {
    (usize::try_from(key / BITS).unwrap_or_default(), 1 << (key % BITS))
}

impl Keys {
    pub(super) fn insert(&mut self, key: i64) {
        let (word, bit) = place(key);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub(super) fn contains(&self, key: i64) -> bool {
        let (word, bit) = place(key);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many there are
    pub(super) fn count(&self) -> i64 {
        self.0.iter().map(|bits| i64::from(bits.count_ones())).sum()
    }

    /// How many there are up to a key
    pub(super) fn rank(&self, key: i64) -> i64 {
        let (word, bit) = place(key);
        let before: i64 = self.0[..word.min(self.0.len())].iter().map(|bits| i64::from(bits.count_ones())).sum();
        let upper_bits = bit | (bit - 1);
        before + self.0.get(word).map_or(0, |bits| i64::from((bits & upper_bits).count_ones()))
    }

    /// The first one behind a key
    pub(super) fn next_after(&self, key: i64) -> Option<i64> {
        let (first, bit) = place(key + 1);
        let from = !(bit - 1);
        (first..self.0.len()).find_map(|word| {
            let bits = self.0[word] & if word == first { from } else { u64::MAX };
            (bits != 0).then(|| key_of(word) + i64::from(bits.trailing_zeros()))
        })
    }

    /// All keys, in order
    pub(super) fn iter(&self) -> impl Iterator<Item = i64> {
        std::iter::successors(self.next_after(-1), |key| self.next_after(*key))
    }

    /// How many windows the set has: ranges of keys, so that it can be changed while each is looked at in turn
    pub(super) fn windows(&self) -> usize {
        self.0.len().div_ceil(WORDS)
    }

    /// The keys that a window may hold; none where it holds none
    pub(super) fn window(&self, window: usize) -> Option<Range<i64>> {
        let words = window * WORDS..self.0.len().min((window + 1) * WORDS);
        let is_empty = self.0[words.clone()].iter().all(|bits| *bits == 0);
        (!is_empty).then(|| key_of(words.start)..key_of(words.end))
    }
}

/// The lowest key of a word
fn key_of(word: usize) -> i64 {
    i64::try_from(word).unwrap_or(i64::MAX / BITS) * BITS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_of_keys_is_a_set(inserted in prop::collection::btree_set(0..5000_i64, 0..50), asked in 0..6000_i64) {
            let mut keys = Keys::default();
            for key in &inserted {
                keys.insert(*key);
            }
            prop_assert_eq!(keys.iter().collect::<BTreeSet<_>>(), inserted.clone());
            prop_assert_eq!(keys.contains(asked), inserted.contains(&asked));
            prop_assert_eq!(keys.next_after(asked), inserted.range(asked + 1..).next().copied());
            prop_assert_eq!(usize::try_from(keys.rank(asked)).unwrap(), inserted.range(..=asked).count());
            prop_assert_eq!(usize::try_from(keys.count()).unwrap(), inserted.len());
            let windows: Vec<_> = (0..keys.windows()).filter_map(|window| keys.window(window)).collect();
            prop_assert!(inserted.iter().all(|key| windows.iter().any(|window| window.contains(key))));
            prop_assert!(windows.iter().all(|window| inserted.range(window.clone()).next().is_some()));
        }
    }
}
