//! The JSON Schemas in `docs/`: they are those of this program, and what it writes and reads obeys them.

use std::fs;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};
use tidings::transfer::schema;

use crate::support::Shell;

/// A schema that values are held against
struct Validator(Schemas, SchemaIndex);

impl Validator {
    fn new(schema: Value) -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource("schema.json", schema).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Self(schemas, index)
    }

    fn accepts(&self, value: &Value) -> Result<(), String> {
        self.0.validate(value, self.1).map_err(|error| format!("{value}\n{error:#}"))
    }
}

fn data(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_schemas_in_docs_are_those_of_this_program() {
    for (name, schema) in
        [("docs/records.schema.json", schema::records()), ("docs/export.schema.json", schema::export())]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = format!("{schema:#}\n");
        if std::env::var("TIDINGS_UPDATE").is_ok() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            continue;
        }
        let kept = fs::read_to_string(path).unwrap_or_default();
        assert!(kept == text, "{name} is stale: TIDINGS_UPDATE=1 cargo test -- schema writes it");
    }
}

#[test]
fn records_and_arrays_of_them_obey_the_schema_of_records() {
    let validator = Validator::new(schema::records());
    let lines: Vec<Value> =
        data("tests/data/ubuntu-irc.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for record in &lines {
        validator.accepts(record).unwrap();
    }
    validator.accepts(&json!(lines)).unwrap();
    validator.accepts(&serde_saphyr::from_str(&data("examples/pytest/world.yaml")).unwrap()).unwrap();
    for record in [
        json!({ "type": "user", "username": "ann", "email": null, "role": "admin", "password": "correct horse" }),
        json!({ "type": "conversation", "participants": ["ann", { "user": "bob", "level": "none" }], "last_number": 0 }),
        json!({ "type": "message", "conversation": "@bob", "sender": "ann", "content": "hi", "revisions": [{ "content": "ho" }] }),
        json!({ "type": "notification", "user": "bob", "message": "m1" }),
        json!({ "type": "user", "username": "ann", "created_at": "2026-01-01" }),
        json!({ "type": "user", "username": "ann", "created_at": "2026-01-01T09:00:00+01:00" }),
    ] {
        validator.accepts(&record).unwrap();
    }
}

#[test]
fn what_is_no_record_is_refused_by_the_schema_as_by_the_program() {
    let validator = Validator::new(schema::records());
    for record in [
        json!({ "username": "ann" }),
        json!({ "type": "usr", "username": "ann" }),
        json!({ "type": "user" }),
        json!({ "type": "user", "username": "ann", "nick": "a" }),
        json!({ "type": "user", "username": "ann", "role": "owner" }),
        json!({ "type": "user", "username": "ann", "user_id": "1" }),
        json!({ "type": "user", "username": "ann", "created_at": "yesterday" }),
        json!({ "type": "user", "username": "ann", "created_at": "2026-02-30" }),
        json!({ "type": "conversation", "participants": [{ "user": "bob" }] }),
        json!({ "type": "message", "conversation": "team", "revisions": [{ "text": "x" }] }),
        json!("user"),
    ] {
        assert!(validator.accepts(&record).is_err(), "{record}");
        assert!(validator.accepts(&json!([record])).is_err(), "{record}");
        assert!(serde_json::from_value::<tidings::transfer::records::Record>(record.clone()).is_err(), "{record}");
    }
}

#[test]
fn what_user_export_writes_obeys_its_schema_and_has_no_other_fields() {
    let validator = Validator::new(closed(schema::export()));
    let shell = Shell::new();
    fs::write(shell.path("dump.json"), data("tests/data/django.json")).unwrap();
    shell.done("data import django dump.json -q");
    shell.done("user create zoe --no-password");
    shell.done("conversation create alice bob zoe --name team");
    shell.done("message send team 'hello, @alice' --as zoe");
    shell.done("message edit team#1 'hello, all' --as zoe --reason 'more of them'");
    for user in ["alice", "bob", "zoe"] {
        let document: Value = serde_json::from_str(&shell.done(&format!("user export {user}")).stdout).unwrap();
        validator.accepts(&document).unwrap();
        for (part, _) in document.as_object().unwrap() {
            let mut less = document.clone();
            less.as_object_mut().unwrap().remove(part);
            assert!(validator.accepts(&less).is_err(), "{part} is not required");
        }
    }
}

/// A schema whose objects may have no fields that it does not name
fn closed(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        if fields.get("type") == Some(&json!("object")) {
            fields.insert("additionalProperties".to_owned(), json!(false));
        }
        for inner in fields.values_mut() {
            *inner = closed(inner.take());
        }
    } else if let Some(items) = schema.as_array_mut() {
        for inner in items {
            *inner = closed(inner.take());
        }
    }
    schema
}
