//! The other fields of a request that changes something.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Unknown fields: a client that sends one expects an effect.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Rest(Map<String, Value>);

/// An empty object
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "Empty", deny_unknown_fields)]
pub(super) struct Empty {
    #[serde(flatten)]
    #[schemars(skip)]
    pub(super) rest: Rest,
}

impl Rest {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses all of them.
    pub(super) fn must_be_empty(&self) -> Result<()> {
        self.must_be_so(&())
    }

    /// Refuses fields whose values differ from those of `thing`.
    pub(super) fn must_be_so(&self, thing: &impl Serialize) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let shown = serde_json::to_value(thing).map_err(Error::internal)?;
        let wrong = self.0.iter().filter(|(field, value)| shown.get(field) != Some(value));
        let detail = |field: &String| {
            let is_shown = shown.get(field).is_some();
            if is_shown { "This field cannot be changed." } else { "There is no such field." }
        };
        let wrong: Vec<_> = wrong.map(|(field, _)| (field.clone(), vec![detail(field).to_owned()])).collect();
        match wrong.as_slice() {
            [] => Ok(()),
            [(field, _)] => Err(Error::of_fields(format!("The field “{field}” cannot be set here."), wrong)),
            _ => Err(Error::of_fields("The body has fields that cannot be set here.", wrong)),
        }
    }
}

/// A field that may be absent, but not null.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A field of this API that cannot be set in this request.
#[derive(Default)]
pub(super) struct Unset;

impl<'de> Deserialize<'de> for Unset {
    fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(D::Error::custom("nobody sets this field here"))
    }
}

impl JsonSchema for Unset {
    fn schema_name() -> Cow<'static, str> {
        "Unset".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {} })
    }
}
