//! Ids, keys, numbers and times.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Ids that leave the program: UUIDs of version 7.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                uuid(text).map(Self).ok_or(())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(|()| de::Error::custom(format!("“{text}” is not a UUID")))
            }
        }
    )+};
}

ids!(
    /// A user's id
    UserId,
    /// A conversation's id
    ConversationId,
    /// A message's id
    MessageId,
);

/// Whole numbers with a meaning: the keys that never leave the program, and a message's number.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub i64);
    )+};
}

numbers!(
    /// The database's key of a user
    UserKey,
    /// The database's key of a conversation
    ConversationKey,
    /// The database's key of a message
    MessageKey,
    /// The database's key of an event: its place in the log
    EventKey,
    /// A message's number within its conversation: 1, 2, 3 …, never reused
    Number,
);

impl Number {
    /// Above every number there is
    pub const MAX: Self = Self(i64::MAX);
    /// The highest message number: larger integers are not exact in every JSON reader (RFC 8259, section 6)
    pub const HIGHEST: i64 = (1 << 53) - 1;
}

/// Reads a UUID in its usual form of 36 characters; other spellings are names.
pub fn uuid(text: &str) -> Option<Uuid> {
    if text.len() == 36 { Uuid::try_parse(text).ok() } else { None }
}

/// An instant in UTC: microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every instant that can be written
    pub const MIN: Self = Self(i64::MIN);
    /// After every instant that can be written
    pub const MAX: Self = Self(i64::MAX);

    /// Reads RFC 3339, for example `2026-01-01T09:00:00Z`; years 1 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let instant = DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
        let years = Self(-62_135_596_800_000_000)..Self(253_402_300_800_000_000);
        Some(Self(instant)).filter(|instant| years.contains(instant))
    }

    /// As [`Timestamp::parse`], or a date alone, which is the beginning of that day.
    pub fn parse_or_date(text: &str) -> Option<Self> {
        if text.len() == 10 { Self::parse(&format!("{text}T00:00:00Z")) } else { Self::parse(text) }
    }

    /// This instant, moved by a number of seconds
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The instant, to compute with dates.
    pub fn date_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl Timestamp {
    /// `2026-01-01T09:00:00.000000Z`, without the machinery that knows every format: a list has as many times as messages, and
    /// with it they took a twentieth of all it costs. None beyond the years of four digits.
    fn written(self) -> Option<[u8; 27]> {
        let instant = self.date_time();
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut write = |end: usize, digits: usize, mut number: u32| {
            for place in (end - digits..end).rev() {
                text[place] += u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        };
        write(4, 4, u32::try_from(instant.year()).ok().filter(|year| *year < 10_000)?);
        write(7, 2, instant.month());
        write(10, 2, instant.day());
        write(13, 2, instant.hour());
        write(16, 2, instant.minute());
        write(19, 2, instant.second());
        write(26, 6, instant.timestamp_subsec_micros());
        Some(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.written().as_ref().map(|text| std::str::from_utf8(text)) {
            Some(Ok(text)) => formatter.write_str(text),
            _ => formatter.write_str(&self.date_time().to_rfc3339_opts(SecondsFormat::Micros, true)),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.written().as_ref().map(|text| std::str::from_utf8(text)) {
            Some(Ok(text)) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom(format!("“{text}” is not a time like 2026-01-01T09:00:00Z, years 1 to 9999"));
        Self::parse_or_date(&text).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_and_written_in_utc_with_six_decimals() {
        let instant = Timestamp::parse("2026-01-01T10:00:00.5+01:00").unwrap();
        assert_eq!(instant.to_string(), "2026-01-01T09:00:00.500000Z");
        assert_eq!(Timestamp::parse("0000-12-31T23:59:59Z"), None);
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Timestamp::parse_or_date("2026-01-01"), Timestamp::parse("2026-01-01T00:00:00Z"));
        assert_eq!(Timestamp::parse_or_date("2026-02-30"), None);
    }

    proptest! {
        #[test]
        fn every_time_that_is_written_can_be_read(micros in -62_135_596_800_000_000..253_402_300_800_000_000_i64) {
            let (instant, text) = (Timestamp(micros), Timestamp(micros).to_string());
            prop_assert_eq!(&text, &instant.date_time().to_rfc3339_opts(SecondsFormat::Micros, true));
            prop_assert_eq!(Timestamp::parse(&text), Some(instant));
        }
    }
}
