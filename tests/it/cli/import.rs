//! `data import`: its words and its codes

use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::Shell;

fn data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

fn shell() -> Shell {
    let shell = Shell::new();
    let dump = String::from_utf8(data("django-dumpdata.jsonl")).unwrap();
    // Of what every project of Django has, one row is enough.
    let is_others = |line: &&str| !["auth.permission", "contenttypes"].iter().any(|model| line.contains(model));
    let lines: Vec<&str> = dump.lines().take(1).chain(dump.lines().filter(is_others)).collect();
    std::fs::write(shell.path("dump.json"), lines.join("\n")).unwrap();
    shell
}

#[test]
fn an_import_says_what_it_created_and_row_by_row_what_it_did_not_carry() {
    let shell = shell();
    let before = shell.dump();
    assert_snapshot!(shell.run("data import django dump.json --dry-run"), @"
     users          2
     conversations  1
     messages       3
     notifications  1
     there already  0
     not carried    4
    --- stderr
    dump.json: chats.user 3f845c63-4be8-4dbc-a8cf-c1acdfeefd18 phone_number: The field is not carried.
    dump.json: chats.user 7d56ca3b-6838-441e-babb-704e211f3f7b role: The field is not carried.
    dump.json: chats.notification 1 created_at: The field is not carried.
    dump.json: contenttypes.contenttype 1: The model is not carried.
    Dry run, nothing was changed. Without --dry-run: Imported dump.json.
    ");
    assert_eq!(shell.dump(), before);
    assert_snapshot!(shell.run("data import django dump.json"), @"
     users          2
     conversations  1
     messages       3
     notifications  1
     there already  0
     not carried    4
    --- stderr
    dump.json: chats.user 3f845c63-4be8-4dbc-a8cf-c1acdfeefd18 phone_number: The field is not carried.
    dump.json: chats.user 7d56ca3b-6838-441e-babb-704e211f3f7b role: The field is not carried.
    dump.json: chats.notification 1 created_at: The field is not carried.
    dump.json: contenttypes.contenttype 1: The model is not carried.
    Imported dump.json.
    ");
    assert_snapshot!(shell.run("data import django dump.json --quiet"), @"
    users          0
    conversations  0
    messages       0
    notifications  0
    there already  7
    not carried    4
    ");
    assert_snapshot!(shell.run("data import django dump.json --fields skipped,created.users -o csv -q"), @"
    skipped,created.users
    7,0
    ");
    assert_eq!(shell.done("user list -o ids").stdout.lines().count(), 2);
}

#[test]
fn an_import_as_json_holds_what_it_did_not_carry_and_says_it_nowhere_else() {
    let shell = shell();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&data("django.json")).unwrap();
    let run = shell.run_with("data import django - -o json", packed.finish().unwrap());
    let said = "Imported standard input.\n1 message is older than earlier ones in the same conversation, which is ordered by number, not by time.\n";
    assert_eq!((run.code, run.stderr.as_str()), (0, said), "{run}");
    let result: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(result["created"], json!({ "users": 5, "conversations": 3, "messages": 9, "notifications": 3 }));
    assert_eq!(result["skipped"], 0);
    let not_carried = result["not_carried"].as_array().unwrap();
    assert_eq!(not_carried.len(), 46);
    assert_eq!(
        not_carried[0],
        json!({
            "model": "chats.user",
            "pk": "0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a003",
            "field": "email",
            "reason": "“not an email” is not an email address. The user is carried without an email.",
        })
    );
}

#[test]
fn what_cannot_be_imported_is_told_with_its_place_and_changes_nothing() {
    let shell = shell();
    let before = shell.dump();
    assert_snapshot!(shell.run_with("data import django -", "[\n{\"model\" \"auth.user\"}]"), @"
    --- stderr
    standard input:2: This is not JSON: expected `:` (column 10).
    tidings: standard input has a problem; nothing was changed.
    --- exit code 6
    ");
    assert_snapshot!(shell.run_with("data import django - -o json", "[{\"name\": \"alice\"}]"), @r#"
    --- stderr
    {"type":"about:blank","title":"Bad Request","status":400,"code":"invalid","detail":"standard input has a problem; nothing was changed.","errors":{"standard input:1":["This is not what `manage.py dumpdata` writes: missing field `model`."]}}
    --- exit code 6
    "#);
    assert_snapshot!(shell.run_with("data import django -", "hello"), @"
    --- stderr
    standard input:1: This is neither the beginning of an array nor of a row, as `manage.py dumpdata` writes them as json or jsonl.
    tidings: standard input has a problem; nothing was changed.
    --- exit code 6
    ");
    let row = r#"[{"model": "sessions.session", "pk": "x", "fields": {"session_data": "…"}}]"#;
    assert_snapshot!(shell.run_with("data import django -", row), @"
    --- stderr
    standard input: sessions.session x: The model is not carried.
    tidings: standard input holds no users, conversations or messages to import; nothing was changed.
    --- exit code 6
    ");
    assert_snapshot!(shell.run("data import django absent.json"), @"
    --- stderr
    tidings: There is no file absent.json.
    --- exit code 3
    ");
    assert_eq!(shell.dump(), before);
    shell.done("user create alice --first-name Alice --no-password");
    assert_snapshot!(shell.run("data import django dump.json --quiet"), @"
    --- stderr
    dump.json: chats.user 3f845c63-4be8-4dbc-a8cf-c1acdfeefd18: The user “alice” is there already; it differs in user_id, email, first_name, role, created_at, password_hash.
    tidings: dump.json has a problem; nothing was changed.
    --- exit code 5
    ");
    assert_snapshot!(shell.run("data import django dump.json --as alice"), @"
    --- stderr
    tidings: Only the operator can use this command.
    hint: Leave out --as; if TIDINGS_AS is set, use --operator.
    --- exit code 4
    ");
    assert_eq!(shell.run("data import slack dump.json").code, 2);
}
