//! At which line of a fixture a record is wrong that goes over several.

use std::cell::OnceCell;
use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use serde_saphyr::Spanned;

use super::fixture::from_yaml;
use crate::transfer::records::{ConversationRecord, MessageRecord, NotificationRecord, UserRecord};

/// Finds lines in a text, which is read again for them once something is wrong with it
pub(super) struct LineFinder<'t> {
    text: &'t str,
    lines: OnceCell<Option<Lines>>,
}

impl<'t> LineFinder<'t> {
    /// For a list of records, in YAML, or in JSON, which is read as YAML too.
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, lines: OnceCell::new() }
    }

    /// The line of what cannot be read of a record of that index
    pub(super) fn of_problem(&self, index: usize, record: Value) -> Option<u64> {
        let path = wrong_part(record)?;
        let mut lines = self.lines.get_or_init(|| from_yaml(self.text).ok()).as_ref()?.element(index)?;
        let mut line = lines.line;
        for segment in &path {
            let part = match (segment, &lines.parts) {
                (Segment::Seq { index }, _) => lines.element(*index).map(|part| (part.line, part)),
                (Segment::Map { key }, Parts::Fields(fields)) => {
                    let field = fields.iter().find(|(name, _)| name.value == *key);
                    field.map(|(name, part)| (name.defined.line(), part))
                }
                _ => None,
            };
            let Some(part) = part else { break };
            (line, lines) = part;
        }
        Some(line)
    }
}

/// The line where a value begins, and those of its parts
struct Lines {
    line: u64,
    parts: Parts,
}

enum Parts {
    None,
    List(Vec<Lines>),
    /// Each with its name and the line of that
    Fields(Vec<(Spanned<String>, Lines)>),
}

impl Lines {
    fn element(&self, index: usize) -> Option<&Self> {
        if let Parts::List(list) = &self.parts { list.get(index) } else { None }
    }
}

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, defined, .. } = Spanned::<Parts>::deserialize(deserializer)?;
        Ok(Self { line: defined.line(), parts: value })
    }
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartsVisitor)
    }
}

struct PartsVisitor;

impl<'de> Visitor<'de> for PartsVisitor {
    type Value = Parts;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Parts, E> {
        Ok(Parts::None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Parts, E> {
        Ok(Parts::None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Parts, E> {
        Ok(Parts::None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Parts, E> {
        Ok(Parts::None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Parts, E> {
        Ok(Parts::None)
    }

    fn visit_unit<E>(self) -> Result<Parts, E> {
        Ok(Parts::None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Parts, A::Error> {
        let mut found = Vec::new();
        while let Some(element) = list.next_element()? {
            found.push(element);
        }
        Ok(Parts::List(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts, A::Error> {
        let mut found = Vec::new();
        while let Some(field) = map.next_entry()? {
            found.push(field);
        }
        Ok(Parts::Fields(found))
    }
}

/// The part of a record that cannot be read; none where the record is of no type that there is
fn wrong_part(mut record: Value) -> Option<Path> {
    let kind = record.as_object_mut()?.remove("type")?;
    match kind.as_str()? {
        "user" => unreadable::<UserRecord>(record),
        "conversation" => unreadable::<ConversationRecord>(record),
        "message" => unreadable::<MessageRecord>(record),
        "notification" => unreadable::<NotificationRecord>(record),
        _ => None,
    }
}

fn unreadable<T: DeserializeOwned>(record: Value) -> Option<Path> {
    let read: Result<T, _> = serde_path_to_error::deserialize(record);
    read.err().map(|error| error.path().clone())
}
