//! The JSON Schemas of ids, numbers, times and enumerations.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{
    Choice, ConversationId, EventKind, Kind, Level, MessageId, NotificationKind, Number, Role, Snippet, Timestamp,
    UserId,
};

macro_rules! schemas {
    ($($name:ident: |$generator:pat_param| $schema:expr;)+) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )+};
}

schemas! {
    UserId: |_| json_schema!({ "type": "string", "format": "uuid" });
    ConversationId: |_| json_schema!({ "type": "string", "format": "uuid" });
    MessageId: |_| json_schema!({ "type": "string", "format": "uuid" });
    Timestamp: |generator| time(generator.contract().is_serialize());
    Number: |_| json_schema!({ "type": "integer", "minimum": 1 });
    Snippet: |_| json_schema!({ "type": "string" });
    Role: |_| words::<Role>();
    Kind: |_| words::<Kind>();
    Level: |_| words::<Level>();
    NotificationKind: |_| words::<NotificationKind>();
    EventKind: |_| words::<EventKind>();
}

/// What is read may be a date alone.
fn time(is_written: bool) -> Schema {
    if is_written {
        json_schema!({ "type": "string", "format": "date-time" })
    } else {
        json_schema!({ "type": "string", "anyOf": [{ "format": "date-time" }, { "format": "date" }] })
    }
}

fn words<T: Choice>() -> Schema {
    let words: Vec<&str> = T::ALL.iter().map(|choice| choice.word()).collect();
    json_schema!({ "type": "string", "enum": words })
}
