//! The JSON Schemas of records and exports, for editors and programs (draft 2020-12).

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::export::Document;
use super::records::Record;

/// The schema of a record, which is also that of a fixture: an array of them.
pub fn records() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let record = generator.subschema_for::<Record>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Records of tidings",
        "description": "A line of what `data dump` writes and `data load` reads, or a fixture that `data apply` reads: an array of the \
                        same records, as YAML or JSON.",
        "type": ["object", "array"],
        "if": { "type": "array" },
        "then": { "items": record },
        "else": record,
        "$defs": generator.take_definitions(true),
    })
}

/// The schema of `user export`.
pub fn export() -> Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Document<'_>>().to_value()
}
