//! The JSON Schema of the records, for editors and for whoever makes records elsewhere.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::records::Record;
use crate::model::{Choice, ConversationId, Kind, Level, MessageId, NotificationKind, Number, Role, Timestamp, UserId};

/// The JSON Schema of one record (draft 2020-12).
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Record).to_value()
}

macro_rules! schemas {
    ($($name:ident: $schema:expr;)+) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )+};
}

schemas! {
    UserId: json_schema!({ "type": "string", "format": "uuid" });
    ConversationId: json_schema!({ "type": "string", "format": "uuid" });
    MessageId: json_schema!({ "type": "string", "format": "uuid" });
    Timestamp: json_schema!({ "type": "string", "format": "date-time" });
    Number: json_schema!({ "type": "integer", "minimum": 1 });
    Role: words::<Role>();
    Kind: words::<Kind>();
    Level: words::<Level>();
    NotificationKind: words::<NotificationKind>();
}

fn words<T: Choice>() -> Schema {
    let words: Vec<&str> = T::ALL.iter().map(|choice| choice.word()).collect();
    json_schema!({ "enum": words })
}
