//! The JSON Schemas of ids, numbers, times and enumerations.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    Choice, ConversationId, Kind, Level, MessageId, NotificationKind, Number, Role, Snippet, Timestamp, UserId,
};

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
    Snippet: json_schema!({ "type": "string" });
    Role: words::<Role>();
    Kind: words::<Kind>();
    Level: words::<Level>();
    NotificationKind: words::<NotificationKind>();
}

fn words<T: Choice>() -> Schema {
    let words: Vec<&str> = T::ALL.iter().map(|choice| choice.word()).collect();
    json_schema!({ "type": "string", "enum": words })
}
