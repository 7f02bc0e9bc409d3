//! The fields of records: which there are, and which of them `--fields` leaves.

use serde_json::{Map, Value};

/// A field, as JSON shows it; all of a record's are known before there is a record.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Field {
    /// One value, or an array
    Value(&'static str),
    /// An object with fields of its own
    Object(&'static str, &'static [Field]),
    /// The fields of a nested record
    All(&'static [Field]),
}

/// The names of all values, dotted: the columns of CSV
pub(super) fn columns(fields: &[Field]) -> Vec<String> {
    let mut columns = Vec::new();
    for field in fields {
        match field {
            Field::Value(name) => columns.push((*name).to_owned()),
            Field::Object(name, inner) => {
                columns.extend(self::columns(inner).iter().map(|column| format!("{name}.{column}")));
            }
            Field::All(inner) => columns.extend(self::columns(inner)),
        }
    }
    columns
}

/// Whether a column is the named field, or belongs to the named object
fn belongs(column: &str, name: &str) -> bool {
    column.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The columns of the named fields, in their order
///
/// # Errors
/// A sentence that names the known fields, where one is not among them.
pub(super) fn chosen(fields: &[Field], names: &[String]) -> Result<Vec<String>, String> {
    let known = columns(fields);
    let mut chosen = Vec::new();
    for name in names {
        let before = chosen.len();
        chosen.extend(known.iter().filter(|column| belongs(column, name)).cloned());
        if chosen.len() == before {
            let known = if known.is_empty() { "it shows none".to_owned() } else { known.join(", ") };
            return Err(format!("This command shows no field “{name}”. The fields: {known}."));
        }
    }
    Ok(chosen)
}

/// What stands in a column, if anything does
pub(super) fn at<'v>(record: &'v Value, column: &str) -> Option<&'v Value> {
    column.split('.').try_fold(record, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// The named fields of a record, nested as they were, in the order of the names
pub(super) fn pruned(record: &Value, names: &[String]) -> Value {
    let mut pruned = Map::new();
    for name in names {
        copy(record, name, &mut pruned);
    }
    Value::Object(pruned)
}

fn copy(from: &Value, path: &str, into: &mut Map<String, Value>) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (from.get(name), rest) {
        (None, _) => {}
        (Some(inner @ Value::Object(_)), Some(rest)) => {
            if let Value::Object(into) = into.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                copy(inner, rest, into);
            }
        }
        (Some(value), _) => {
            into.insert(name.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PERSON: &[Field] = &[Field::Value("id"), Field::Value("name")];
    const FIELDS: &[Field] = &[Field::Object("sender", PERSON), Field::All(PERSON), Field::Value("text")];

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn fields_are_chosen_by_their_dotted_names_or_as_whole_objects() {
        assert_eq!(columns(FIELDS), ["sender.id", "sender.name", "id", "name", "text"]);
        assert_eq!(chosen(FIELDS, &names(&["text", "sender"])).unwrap(), ["text", "sender.id", "sender.name"]);
        for unknown in ["send", "sender.", "sender.x", "", "text.x"] {
            assert!(
                chosen(FIELDS, &names(&[unknown])).unwrap_err().contains("sender.name, id, name, text"),
                "{unknown}"
            );
        }
    }

    #[test]
    fn what_is_left_keeps_its_nesting_and_takes_the_order_asked_for() {
        let record = json!({"sender": {"id": 1, "name": "ann"}, "id": 2, "name": null, "text": "hi"});
        let left = |fields: &[&str]| pruned(&record, &names(fields)).to_string();
        assert_eq!(left(&["text", "sender.name", "id"]), r#"{"text":"hi","sender":{"name":"ann"},"id":2}"#);
        assert_eq!(left(&["sender"]), r#"{"sender":{"id":1,"name":"ann"}}"#);
        assert_eq!(pruned(&json!({"sender": null}), &names(&["sender.name"])).to_string(), r#"{"sender":null}"#);
    }
}
