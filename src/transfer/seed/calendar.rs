//! When messages are sent: in bursts, by day more than by night, on weekdays more than at weekends.

use super::chance::{Chance, Stream};
use crate::model::Timestamp;

/// In microseconds
const HOUR: i64 = 3_600_000_000;

/// How many messages are sent in the hours of a day (UTC), in proportion
const HOURS: [u128; 24] = [1, 1, 1, 1, 1, 2, 5, 12, 26, 36, 38, 36, 26, 30, 36, 36, 32, 24, 14, 10, 9, 7, 4, 2];

/// How many messages follow each other closely
pub(super) const BURST: u32 = 8;

/// Gives messages their times, in order, without remembering more than the hour it has come to.
///
/// Each hour counts its length times its weight; messages divide the sum of all hours evenly among their bursts.
pub(super) struct Calendar {
    seed: u64,
    bursts: u128,
    /// Of all hours
    total: u128,
    /// Of the hours before this one
    before: u128,
    from: i64,
    end: i64,
}

impl Calendar {
    /// A calendar for so many messages from `start` on and before `end`
    pub(super) fn new(seed: u64, messages: u64, start: Timestamp, end: Timestamp) -> Self {
        let bursts = u128::from(messages.div_ceil(u64::from(BURST)));
        let mut calendar = Self { seed, bursts, total: 0, before: 0, from: start.0, end: end.0 };
        let mut from = start.0;
        while from < end.0 {
            let until = calendar.hour_end(from);
            calendar.total += size(from, until);
            from = until;
        }
        calendar
    }

    /// When the message of that number, counted from 0, is sent; not before the one asked for before
    pub(super) fn time(&mut self, message: u64, chance: &mut Chance) -> Timestamp {
        let burst = message / u64::from(BURST);
        let place = u128::from(message % u64::from(BURST)) * 1024 + u128::from(chance.below(1024));
        let start = self.total * u128::from(burst) / self.bursts;
        let width = self.total * (u128::from(burst) + 1) / self.bursts - start;
        // Not all bursts begin where the one before would end.
        let lull = width * u128::from(Chance::new(self.seed, Stream::Bursts, burst).below(1024)) / 2048;
        // The third power of the place, of at most 8 · 1024 = 2^13: quick answers first, then fewer and fewer.
        self.at(start + lull + (((width - lull) * place.pow(3)) >> 39))
    }

    fn at(&mut self, position: u128) -> Timestamp {
        loop {
            let until = self.hour_end(self.from);
            let after = self.before + size(self.from, until);
            if position < after || until >= self.end {
                let within = (position - self.before) / weight(self.from);
                return Timestamp(self.from.saturating_add(i64::try_from(within).unwrap_or(0)).min(self.end));
            }
            (self.before, self.from) = (after, until);
        }
    }

    fn hour_end(&self, from: i64) -> i64 {
        ((from / HOUR + 1) * HOUR).min(self.end)
    }
}

/// What a part of one hour counts
fn size(from: i64, until: i64) -> u128 {
    u128::from(from.abs_diff(until)) * weight(from)
}

fn weight(time: i64) -> u128 {
    let hour = time / HOUR;
    // The first of January 1970 was a Thursday.
    let is_weekend = (hour / 24 + 3) % 7 >= 5;
    let weight = usize::try_from(hour % 24).map_or(1, |hour| HOURS[hour]);
    if is_weekend { weight } else { weight * 6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_messages_are_sent_on_weekdays_by_day() {
        // A week from a Monday on
        let start = Timestamp::parse("2026-01-05T00:00:00Z").unwrap();
        let mut calendar = Calendar::new(0, 10_000, start, start.plus_seconds(7 * 86_400));
        let mut chance = Chance::new(0, Stream::Messages, 0);
        let times: Vec<i64> = (0..10_000).map(|message| calendar.time(message, &mut chance).0 - start.0).collect();
        assert!(times.is_sorted() && times.iter().all(|time| (0..7 * 24 * HOUR).contains(time)));
        let share = |is_meant: &dyn Fn(i64) -> bool| times.iter().filter(|time| is_meant(**time / HOUR)).count();
        assert!(share(&|hour| hour >= 5 * 24) < 1000, "the weekend is busy");
        assert!(share(&|hour| (7..19).contains(&(hour % 24))) > 7500, "the nights are busy");
    }
}
