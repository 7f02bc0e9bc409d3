//! The fields of a row, taken out one by one under the names they usually have.

use chrono::NaiveDate;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::report::{Origin, Report};
use crate::model::{Timestamp, uuid};

/// How one row names another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// By its primary key
    Primary(String),
    /// By a natural key of one value
    Natural(String),
}

impl Key {
    /// The primary key, or natural key, that a value is
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(only)] => Some(Self::Natural(only.clone())),
                _ => None,
            },
            value => primary(value).map(Self::Primary),
        }
    }

    /// As people read it
    pub(super) fn text(&self) -> &str {
        let (Self::Primary(text) | Self::Natural(text)) = self;
        text
    }
}

/// A primary key as text; UUIDs are written in one way.
pub(super) fn primary(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(uuid(text).map_or_else(|| text.clone(), |id| id.to_string())),
        _ => None,
    }
}

/// What is left of a row's fields.
pub(super) struct Fields<'r> {
    pub(super) origin: &'r Origin,
    pub(super) left: Map<String, Value>,
    pub(super) report: &'r mut Report,
}

impl Fields<'_> {
    /// Takes the first field that has something in it of those with these names, whatever their case.
    fn take(&mut self, names: &[&str]) -> Option<(String, Value)> {
        names.iter().find_map(|name| {
            let found = self.left.keys().find(|field| field.eq_ignore_ascii_case(name))?.clone();
            let value = self.left.shift_remove(&found)?;
            if value.is_null() { None } else { Some((found, value)) }
        })
    }

    fn refuse(&mut self, field: &str, value: &Value, what: &str) {
        let mut value = value.to_string();
        if value.chars().count() > 80 {
            value = value.chars().take(80).chain("…".chars()).collect();
        }
        self.report.row(self.origin, Some(field), format!("{value} is no {what}; it is left out."));
    }

    pub(super) fn text(&mut self, names: &[&str]) -> Option<String> {
        match self.take(names)? {
            (_, Value::String(text)) => Some(text),
            (_, Value::Number(number)) => Some(number.to_string()),
            (field, value) => {
                self.refuse(&field, &value, "text");
                None
            }
        }
    }

    pub(super) fn flag(&mut self, names: &[&str]) -> Option<bool> {
        match self.take(names)? {
            (_, Value::Bool(flag)) => Some(flag),
            (_, Value::Number(number)) if number.as_u64().is_some_and(|number| number < 2) => {
                Some(number.as_u64() == Some(1))
            }
            (field, value) => {
                self.refuse(&field, &value, "truth value");
                None
            }
        }
    }

    /// An id of the row besides its primary key
    pub(super) fn id(&mut self, name: &str) -> Option<Uuid> {
        let value = self.left.iter().find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        let (field, id) = (value.0.clone(), value.1.as_str().and_then(uuid)?);
        self.left.shift_remove(&field);
        Some(id)
    }

    /// A time; where none is given in its zone, in UTC.
    pub(super) fn instant(&mut self, names: &[&str]) -> Option<Timestamp> {
        for name in names {
            let Some((field, value)) = self.take(&[name]) else { continue };
            match value.as_str().and_then(instant) {
                Some((instant, has_zone)) => {
                    if !has_zone {
                        self.report.zoneless(&self.origin.model, &field);
                    }
                    return Some(instant);
                }
                None => self.refuse(&field, &value, "time"),
            }
        }
        None
    }

    /// The row that a foreign key names; the field may be called after the column, with `_id` behind it.
    pub(super) fn reference(&mut self, names: &[&str]) -> Option<Key> {
        let (field, value) = names.iter().find_map(|name| self.take(&[name, &format!("{name}_id")]))?;
        let key = Key::of(&value);
        if key.is_none() {
            self.refuse(&field, &value, "key of a row");
        }
        key
    }

    /// The rows that a list of keys names, or a single key
    pub(super) fn references(&mut self, names: &[&str]) -> Vec<Key> {
        let found = names.iter().find_map(|name| self.take(&[name, &format!("{name}_id")]));
        let Some((field, value)) = found else { return Vec::new() };
        let Value::Array(values) = value else {
            let key = Key::of(&value);
            if key.is_none() {
                self.refuse(&field, &value, "list of keys");
            }
            return key.into_iter().collect();
        };
        let mut keys = Vec::new();
        for value in values {
            match Key::of(&value) {
                Some(key) => keys.push(key),
                None => self.refuse(&field, &value, "key of a row"),
            }
        }
        keys
    }

    /// Names the fields that nobody took and that have something in them.
    pub(super) fn leave(self) {
        for (field, value) in &self.left {
            let is_empty = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Number(number) => number.as_f64() == Some(0.0),
                Value::String(text) => text.is_empty(),
                Value::Array(values) => values.is_empty(),
                Value::Object(values) => values.is_empty(),
                Value::Bool(true) => false,
            };
            if !is_empty {
                self.report.unknown(self.origin, Some(field));
            }
        }
    }
}

/// Reads a time, and whether it says its zone.
fn instant(text: &str) -> Option<(Timestamp, bool)> {
    let text = match text.as_bytes().get(10) {
        Some(b' ') => format!("{}T{}", text.get(..10)?, text.get(11..)?),
        Some(_) => text.to_owned(),
        None => format!("{}T00:00:00", text.parse::<NaiveDate>().ok()?),
    };
    match Timestamp::parse(&text) {
        Some(instant) => Some((instant, true)),
        None => Some((Timestamp::parse(&format!("{text}Z"))?, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_a_zone_are_utc() {
        let nine = Timestamp::parse("2026-01-01T09:00:00Z").unwrap();
        let day = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        for (text, read) in [
            ("2026-01-01T09:00:00Z", Some((nine, true))),
            ("2026-01-01T11:00:00+02:00", Some((nine, true))),
            ("2026-01-01T09:00:00.000", Some((nine, false))),
            ("2026-01-01 09:00:00", Some((nine, false))),
            ("2026-01-01 09:00:00+00:00", Some((nine, true))),
            ("2026-01-01", Some((day, false))),
            ("09:00:00", None),
            ("yesterday…", None),
            ("", None),
        ] {
            assert_eq!(instant(text), read, "{text}");
        }
    }
}
