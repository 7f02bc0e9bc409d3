//! Chance that is the same on every machine, for ever.

use uuid::{Builder, Uuid};

use crate::model::Timestamp;

/// What is drawn from a stream of its own, so that more of one kind changes nothing of another.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Users = 1,
    Pairs = 2,
    Conversations = 3,
    Bursts = 4,
    Messages = 5,
}

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; the constants are those
/// of Vigna's public domain version, <https://prng.di.unimi.it/splitmix64.c>.
pub(super) struct Chance(u64);

impl Chance {
    /// What decides about one thing of a kind
    pub(super) fn new(seed: u64, stream: Stream, number: u64) -> Self {
        let mut of_seed = Self(seed);
        let mut of_stream = Self(of_seed.next() ^ stream as u64);
        Self(of_stream.next() ^ Self(number).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 on, below a bound; 0 where the bound is 0
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(((self.next() >> 32) * u64::from(bound)) >> 32).unwrap_or(u32::MAX)
    }

    /// A number from 0 on, below a bound; 0 where the bound is 0
    pub(super) fn below_wide(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(u64::MAX)
    }

    /// A number below a bound, the smaller the likelier
    pub(super) fn low_below(&mut self, bound: u32) -> u32 {
        self.below(bound).min(self.below(bound))
    }

    /// Whether an event with this percentage happens
    pub(super) fn per_cent(&mut self, rate: u8) -> bool {
        self.below(100) < u32::from(rate)
    }

    /// One of several
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(u32::try_from(from.len()).unwrap_or(u32::MAX)) as usize]
    }

    /// A time from `start` on and before `end`, or `start`
    pub(super) fn time(&mut self, start: Timestamp, end: Timestamp) -> Timestamp {
        let length = u64::try_from(end.0.saturating_sub(start.0)).unwrap_or(0);
        Timestamp(start.0.saturating_add_unsigned(self.below_wide(length)))
    }

    /// An id of version 7 with that time
    pub(super) fn id(&mut self, time: Timestamp) -> Uuid {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes()[..2]);
        Builder::from_unix_timestamp_millis(u64::try_from(time.0 / 1000).unwrap_or(0), &bytes).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_splitmix64() {
        let mut chance = Chance(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| chance.next()).collect();
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn every_number_below_a_bound_is_drawn_about_as_often_as_any_other() {
        let mut chance = Chance::new(0, Stream::Users, 0);
        let mut counts = [0_u32; 7];
        for _ in 0..7000 {
            counts[chance.below(7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
