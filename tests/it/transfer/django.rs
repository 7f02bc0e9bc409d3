//! `data import django`, up to the records

use std::fmt::Write as _;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::json;
use tidings::model::Role;
use tidings::service::passwords::verify;
use tidings::transfer::django::{Imported, read};
use tidings::transfer::records::Record;

/// A dump of two apps, with what goes wrong in such projects
const DUMP: &str = include_str!("../../data/django.json");

/// The records as JSON Lines, without what says nothing
fn records(imported: &Imported) -> String {
    let mut lines = String::new();
    for entry in &imported.entries {
        let mut record = serde_json::to_value(&entry.record).unwrap();
        let fields = record.as_object_mut().unwrap();
        fields.retain(|_, value| !(value.is_null() || *value == json!([]) || *value == json!("")));
        writeln!(lines, "{record}").unwrap();
    }
    lines
}

fn not_carried(imported: &Imported) -> String {
    let mut lines = String::new();
    for row in &imported.not_carried {
        writeln!(lines, "{row}").unwrap();
    }
    lines
}

fn rows(rows: &serde_json::Value) -> Imported {
    read(rows.to_string().as_bytes()).unwrap()
}

#[test]
fn a_django_dump_becomes_records_in_the_order_in_which_they_can_be_loaded() {
    assert_snapshot!(records(&read(DUMP.as_bytes()).unwrap()), @r#"
    {"type":"user","user_id":"0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a001","username":"alice","email":"alice@example.org","first_name":"Alice","role":"admin","is_active":true,"created_at":"2025-01-01T08:00:00.000000Z","password_hash":"pbkdf2_sha256$1000000$Ez2pVn0fGkQyXwbLr5sTua$IGWrATlfUjjxvEbDdL0AGm8lNDjqw7acmY5Gp4Ned+A="}
    {"type":"user","user_id":"0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a002","username":"bob","email":"bob@example.org","role":"user","is_active":true,"created_at":"2025-01-01T08:00:00.000000Z","password_hash":"$argon2id$v=19$m=102400,t=2,p=8$SkZINUtIUFd4N2FhZHROOWJxYXI3eA$5jx5Dat1hpY7LlVxOQkPR1cY1qVIRkoq/QOpN69DJW4"}
    {"type":"user","user_id":"0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a003","username":"carol","role":"user","is_active":false,"created_at":"2025-01-02T08:00:00.000000Z"}
    {"type":"user","user_id":"0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a006","username":"eve@example.org","email":"eve@example.org","role":"user","is_active":true,"created_at":"2025-01-01T08:00:00.000000Z"}
    {"type":"user","user_id":"0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a007","username":"frank","role":"user","is_active":true,"created_at":"2025-01-01T08:00:00.000000Z"}
    {"type":"conversation","conversation_id":"1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c001","kind":"direct","participants":["alice","bob"],"created_at":"2025-02-01T10:00:00.000000Z"}
    {"type":"conversation","conversation_id":"1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c003","kind":"group","title":"The ferry","participants":["alice","bob","carol"],"created_at":"2025-02-01T10:00:00.000000Z"}
    {"type":"conversation","conversation_id":"f4967da5-c48e-8565-a9a5-73d7f43aea60","kind":"direct","participants":["alice","eve@example.org"],"created_at":"2025-04-02T09:00:00.000000Z"}
    {"type":"message","message_id":"2c9c5c36-5a0e-4c3c-9b53-0c5f3cf0e001","conversation":"1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c001","sender":"alice","timestamp":"2025-02-01T10:00:01.000000Z","content":"Hello Bob","deleted":false}
    {"type":"message","message_id":"2c9c5c36-5a0e-4c3c-9b53-0c5f3cf0e003","conversation":"1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c003","sender":"carol","timestamp":"2025-02-03T10:00:00.000000Z","content":"When does it leave?","deleted":false}
    {"type":"message","message_id":"2c9c5c36-5a0e-4c3c-9b53-0c5f3cf0e002","conversation":"1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c001","sender":"bob","timestamp":"2025-03-01T10:00:02.500000Z","content":"Hello again","deleted":false}
    {"type":"message","message_id":"38b78a9a-5335-82fd-af5e-a2ba1aa3b394","conversation":"1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c001","sender":"alice","receiver":"bob","timestamp":"2025-04-01T09:05:00.000000Z","content":"Lunch at noon?","deleted":false,"revisions":[{"revision":null,"content":"Lunch?","edited_at":"2025-04-01T09:06:00.000000Z","edited_by":"alice","reason":null},{"revision":null,"content":"Lunch at ten?","edited_at":"2025-04-01T09:07:00.000000Z","edited_by":null,"reason":null}]}
    {"type":"notification","user":"bob","message":"38b78a9a-5335-82fd-af5e-a2ba1aa3b394","is_read":true}
    {"type":"message","message_id":"0112c139-a0ed-853d-b0ad-41ea6c02e56d","conversation":"1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c001","sender":"bob","receiver":"alice","reply_to":"38b78a9a-5335-82fd-af5e-a2ba1aa3b394","timestamp":"2025-04-01T09:00:00.000000Z","content":"Sure, at one","deleted":false}
    {"type":"notification","user":"alice","message":"0112c139-a0ed-853d-b0ad-41ea6c02e56d","is_read":true}
    {"type":"message","message_id":"3fde83e3-3fc6-872a-8976-84ac905a826d","conversation":"f4967da5-c48e-8565-a9a5-73d7f43aea60","sender":"eve@example.org","receiver":"alice","timestamp":"2025-04-02T09:00:00.000000Z","content":"Hi","deleted":false}
    {"type":"notification","user":"alice","message":"3fde83e3-3fc6-872a-8976-84ac905a826d","is_read":false}
    {"type":"message","message_id":"c1c8c0b2-502a-8fe0-8a58-16c039218e58","conversation":"f4967da5-c48e-8565-a9a5-73d7f43aea60","sender":"alice","receiver":"eve@example.org","timestamp":"2025-04-03T09:00:00.000000Z","content":"Round","deleted":false}
    {"type":"message","message_id":"2d8fda12-2ee4-8852-a4f9-26559ecf14cd","conversation":"f4967da5-c48e-8565-a9a5-73d7f43aea60","sender":"eve@example.org","receiver":"alice","reply_to":"c1c8c0b2-502a-8fe0-8a58-16c039218e58","timestamp":"2025-04-03T09:01:00.000000Z","content":"and round","deleted":false}
    {"type":"message","message_id":"0d43db80-d6fd-8fba-b235-78b539fbf4e1","conversation":"1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c001","sender":"alice","receiver":"bob","timestamp":"2025-04-03T09:04:00.000000Z","content":"Edited without a trace","deleted":false}
    "#);
}

#[test]
fn what_of_a_django_dump_is_not_carried_is_said_row_by_row() {
    assert_snapshot!(not_carried(&read(DUMP.as_bytes()).unwrap()), @"
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a003 email: “not an email” is not an email address. The user is carried without an email.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a003 password: The password is hashed by md5 in a way that is not verified here; the user is carried without one.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a004 username: Another user has the username “Bob”, whatever its case. The user is left out.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a005 email: “dan smith@example.org” is not an email address. The user is carried without an email.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a005 username: The username holds white space or a control character. The user is left out. Left out with them: 2 messages, 1 notification and 2 participations.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a007 email: Another user has the email ALICE@example.org too. The user is carried without an email.
    chats.conversation 1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c003 participants: The user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a005 is left out. They do not take part.
    chats.conversation 1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c004 participants: A conversation needs at least two people; it is left out, with its messages.
    chats.conversation 1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c005 participants: The user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a005 is left out. They do not take part.
    chats.conversation 1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c005 participants: A conversation needs at least two people; it is left out, with its messages.
    chats.conversation 1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c002: The same two people have the direct conversation 1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c001; its messages are carried there.
    chats.message 2c9c5c36-5a0e-4c3c-9b53-0c5f3cf0e004: The user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a005 is left out. The message is left out.
    chats.message 2c9c5c36-5a0e-4c3c-9b53-0c5f3cf0e005: The message is blank. The message is left out.
    chats.message 2c9c5c36-5a0e-4c3c-9b53-0c5f3cf0e006: The conversation 1b9c5c36-5a0e-4c3c-9b53-0c5f3cf0c004 is left out. The message is left out.
    chats.message 2c9c5c36-5a0e-4c3c-9b53-0c5f3cf0e007: There is no user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0afff. The message is left out.
    messaging.message 5: Its sender is its receiver. The message is left out.
    messaging.message 6: The user dan smith is left out. The message is left out.
    messaging.message 10 parent_message: The message 2 belongs to another conversation. The message is carried, but not as a reply.
    messaging.message 3 parent_message: It replies to itself through other messages. The message is carried, but not as a reply.
    messaging.messagehistory 3: The message 6 is left out. The earlier content is left out.
    messaging.notification 4: The user has another notification of the message; they are carried as one.
    messaging.notification 5: The message 6 is left out. The notification is left out.
    messaging.notification 6: The user does not take part in the conversation. The notification is left out.
    messaging.notification 7: The user dan smith is left out. The notification is left out.
    messaging.messagehistory 2 edited_by: The user dan smith is left out. The earlier content is carried as replaced by the operator.
    messaging.message 7 edited: Its earlier contents are not in the file. The message is carried as one that was never edited.
    chats.user date_joined: 2 times, of this field and others, have no time zone and are taken as UTC.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a001 last_login: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a001 phone_number: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a001 groups: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a002 role: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a002 phone_number: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a003 role: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a004 role: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a005 role: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a006 role: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a007 is_staff: The field is not carried.
    chats.user 0a9c5c36-5a0e-4c3c-9b53-0c5f3cf0a007 role: The field is not carried.
    messaging.notification 1 created_at: The field is not carried.
    messaging.notification 2 created_at: The field is not carried.
    messaging.notification 3 created_at: The field is not carried.
    messaging.notification 4 created_at: The field is not carried.
    contenttypes.contenttype: The model is not carried.
    contenttypes.contenttype: The model is not carried.
    auth.permission: The model is not carried.
    sessions.session gqtb0lmnlzmnd3uhpg29yl2a5uhy6v9h: The model is not carried.
    ");
}

#[test]
fn a_django_dump_gives_the_same_as_json_lines_and_pretty_printed_and_again() {
    let imported = read(DUMP.as_bytes()).unwrap();
    let value: serde_json::Value = serde_json::from_str(DUMP).unwrap();
    let lines: Vec<String> = value.as_array().unwrap().iter().map(ToString::to_string).collect();
    let pretty = format!("\u{feff}\n {}", serde_json::to_string_pretty(&value).unwrap());
    for text in [DUMP.to_owned(), lines.join("\n"), pretty] {
        let again = read(text.as_bytes()).unwrap();
        assert_eq!(records(&again), records(&imported));
        assert_eq!(again.not_carried, imported.not_carried);
    }
    let ids: std::collections::HashSet<_> = imported.entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), imported.entries.len());
    assert!(imported.entries.iter().zip(1..).all(|(entry, line)| entry.line == line));
}

#[test]
fn what_is_no_django_dump_is_refused_with_the_line() {
    let refused = |text: &[u8]| {
        let problem = read(text).unwrap_err();
        format!("{}: {}", problem.line, problem.detail)
    };
    assert_snapshot!(refused(b" \n"), @"1: The file is empty.");
    assert_snapshot!(refused(b"\n\nhello"), @"3: This is neither the beginning of an array nor of a row, as `manage.py dumpdata` writes them as json or jsonl.");
    assert_snapshot!(refused(b"\xFF\xFE[\0]\0"), @"1: The file is UTF-16, which is not JSON. Let Django write it by itself: python -Xutf8 manage.py dumpdata --output dump.json");
    assert_snapshot!(refused(b"\n[\n{\"model\": \"auth.user\", \"pk\": 1, \"fields\": {}},\n{\"model\" \"auth.user\"}]"), @"4: This is not JSON: expected `:` (column 10).");
    assert_snapshot!(refused(b"[\n{\"model\": \"auth.user\", \"pk\": 1, \"fields\": {}},\n"), @"3: The file ends in the middle of it.");
    assert_snapshot!(refused(b"[{\"name\": \"alice\"}]"), @"1: This is not what `manage.py dumpdata` writes: missing field `model`.");
    assert_snapshot!(refused(b"{\"users\": [1]}"), @"1: This is not what `manage.py dumpdata` writes: missing field `model`.");
    assert_snapshot!(refused(b"[] []"), @"1: This is not JSON: trailing characters (column 4).");
    assert_snapshot!(refused(b"[{\"model\": \"auth.user\", \"pk\": 1, \"fields\": {\"username\": \"\xE9\"}}]"), @"1: This is not JSON: invalid Unicode (column 58).");
    assert!(read(&b"[]"[..]).unwrap().entries.is_empty());
}

#[test]
fn a_user_without_a_username_is_called_by_their_email() {
    let imported = rows(&json!([
        { "model": "accounts.customuser", "pk": 1, "fields": { "email": "ann@example.org", "password_hash": "!" } },
        { "model": "accounts.customuser", "pk": 2, "fields": { "email": "", "password_hash": "secret" } },
    ]));
    assert_snapshot!(records(&imported), @r#"{"type":"user","user_id":"ad8f479d-74b9-8d42-bf96-9144fef0d552","username":"ann@example.org","email":"ann@example.org","role":"user","is_active":true}"#);
    assert_snapshot!(not_carried(&imported), @"accounts.customuser 2 username: The username is empty. The user is left out.");
}

#[test]
fn without_notifications_the_messages_say_what_was_read() {
    let user = |pk: i64, name: &str| json!({ "model": "auth.user", "pk": pk, "fields": { "username": name } });
    let message = |pk: i64, fields: serde_json::Value| json!({ "model": "app.message", "pk": pk, "fields": fields });
    let imported = rows(&json!([
        user(1, "ann"),
        user(2, "bob"),
        user(3, "eve"),
        { "model": "app.conversation", "pk": 1, "fields": { "name": "Team" } },
        { "model": "app.conversationparticipant", "pk": 1, "fields": { "conversation": 1, "user": 1 } },
        { "model": "app.conversationparticipant", "pk": 2, "fields": { "conversation_id": 1, "user_id": 2 } },
        { "model": "app.conversation", "pk": 2, "fields": { "participants": [1, 2] } },
        message(1, json!({ "sender": 1, "conversation": 1, "body": "one", "is_read": true })),
        message(2, json!({ "sender": 1, "recipient": 2, "text": "two", "is_read": false })),
        { "model": "app.message", "pk": null, "fields": { "sender": 1, "receiver": 2, "text": "no key" } },
        { "model": "app.message", "pk": null, "fields": { "sender": 1, "receiver": 2, "text": "nor here" } },
        message(3, json!({ "sender": 3, "conversation": 2, "text": "an outsider", "is_read": false })),
    ]));
    assert_snapshot!(records(&imported), @r#"
    {"type":"user","user_id":"a71bada4-c63d-8a6f-a08b-947572e94c31","username":"ann","role":"user","is_active":true}
    {"type":"user","user_id":"2a673c71-0242-8d3d-af13-f2c0daf5245f","username":"bob","role":"user","is_active":true}
    {"type":"user","user_id":"cae884b1-de6c-86ad-964b-61c9409375b7","username":"eve","role":"user","is_active":true}
    {"type":"conversation","conversation_id":"815d6cc9-a3d9-8555-98b8-2b2ee26b1df0","kind":"group","title":"Team","participants":["ann","bob"]}
    {"type":"conversation","conversation_id":"19059caa-3314-885e-b34e-16ab21ae158b","kind":"group","participants":["ann","bob"]}
    {"type":"conversation","conversation_id":"8b52bf88-3da9-801a-bb7d-1ab142f79b92","kind":"direct","participants":["ann","bob"]}
    {"type":"message","message_id":"7d32e5c2-5bb2-81f8-95b2-e5cf3dbd81ab","conversation":"815d6cc9-a3d9-8555-98b8-2b2ee26b1df0","sender":"ann","content":"one","deleted":false}
    {"type":"notification","user":"bob","message":"7d32e5c2-5bb2-81f8-95b2-e5cf3dbd81ab","is_read":true}
    {"type":"message","message_id":"70977c2f-1c8b-80d1-8dfa-0726a05487a8","conversation":"8b52bf88-3da9-801a-bb7d-1ab142f79b92","sender":"ann","receiver":"bob","content":"two","deleted":false}
    {"type":"notification","user":"bob","message":"70977c2f-1c8b-80d1-8dfa-0726a05487a8","is_read":false}
    {"type":"message","message_id":"0b335d92-8450-8bc6-a2c1-0a937be85ee5","conversation":"19059caa-3314-885e-b34e-16ab21ae158b","sender":"eve","content":"an outsider","deleted":false}
    {"type":"notification","user":"ann","message":"0b335d92-8450-8bc6-a2c1-0a937be85ee5","is_read":false}
    {"type":"notification","user":"bob","message":"0b335d92-8450-8bc6-a2c1-0a937be85ee5","is_read":false}
    {"type":"message","message_id":"17c8003a-5606-8905-9545-f0ed545f7938","conversation":"8b52bf88-3da9-801a-bb7d-1ab142f79b92","sender":"ann","receiver":"bob","content":"no key","deleted":false}
    {"type":"message","message_id":"5ac6fb23-70a5-8210-a1a2-96fa03bece2a","conversation":"8b52bf88-3da9-801a-bb7d-1ab142f79b92","sender":"ann","receiver":"bob","content":"nor here","deleted":false}
    "#);
    assert_eq!(not_carried(&imported), "");
    let ids: std::collections::HashSet<_> = imported.entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), imported.entries.len());
}

#[test]
fn what_django_itself_dumps_of_a_small_project_is_carried_whole_and_its_password_is_right() {
    // Made by Django 5.2 of models as such projects have them: by primary keys, then with both options for natural keys.
    let by_key = read(&include_bytes!("../../data/django-dumpdata.jsonl")[..]).unwrap();
    let by_name = read(&include_bytes!("../../data/django-natural.json")[..]).unwrap();
    let without_user_ids = |imported: &Imported| {
        let lines = records(imported);
        let of_users = lines
            .lines()
            .map(|line| if line.contains("user_id") { &line[line.find("username").unwrap()..] } else { line });
        of_users.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_user_ids(&by_key), without_user_ids(&by_name));
    assert_eq!(by_key.entries.len(), 2 + 1 + 3 + 1);
    let said = not_carried(&by_key);
    let (of_django, own): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| line.starts_with("auth.") || line.starts_with("contenttypes."));
    assert_eq!((of_django.len(), of_django[0]), (50, "contenttypes.contenttype 1: The model is not carried."));
    assert_snapshot!(own.join("\n"), @"
    chats.user 3f845c63-4be8-4dbc-a8cf-c1acdfeefd18 phone_number: The field is not carried.
    chats.user 7d56ca3b-6838-441e-babb-704e211f3f7b role: The field is not carried.
    chats.notification 1 created_at: The field is not carried.
    ");
    let Record::User(alice) = &by_key.entries[0].record else { panic!("users come first") };
    assert!(verify("correct horse 7", alice.password_hash.as_ref().unwrap()).unwrap());
    assert_eq!(alice.role, Some(Role::Admin));
}

#[test]
fn what_holds_nothing_is_not_missed_and_of_very_many_rows_the_rest_is_counted() {
    let nothing = json!({ "username": "ann", "a": false, "b": 0, "c": "", "d": [], "e": {}, "f": null, "g": 0.0 });
    let imported = rows(&json!([{ "model": "auth.user", "pk": 1, "fields": nothing }]));
    assert_eq!(not_carried(&imported), "");
    let something = json!({ "username": "ann", "a": true, "b": 1, "c": "x", "d": [0], "e": { "x": 0 } });
    let imported = rows(&json!([{ "model": "auth.user", "pk": 1, "fields": something }]));
    let fields: Vec<_> = imported.not_carried.iter().filter_map(|row| row.field.clone()).collect();
    assert_eq!(fields, ["a", "b", "c", "d", "e"]);

    let session = |pk: i64| json!({ "model": "sessions.session", "pk": pk, "fields": {} });
    let user = json!({ "model": "auth.user", "pk": 1, "fields": { "username": "ann", "phone": "1" } });
    let imported = rows(&(0..1003).map(session).chain([user]).collect());
    let said: Vec<String> = imported.not_carried.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1 + 1000 + 1);
    assert_eq!(said[0], "auth.user 1 phone: The field is not carried.");
    assert_eq!(said[1], "sessions.session 0: The model is not carried.");
    assert_eq!(said[1001], "sessions.session: The model is not carried, of 3 rows more.");
}

#[test]
fn of_rows_with_the_same_key_the_first_in_the_file_is_carried() {
    let user = |pk: i64, name: &str| json!({ "model": "auth.user", "pk": pk, "fields": { "username": name } });
    let message = |pk: i64, content: &str, day: i64| {
        let sent = format!("2025-01-0{day}T00:00:00Z");
        let fields = json!({ "sender": 1, "conversation": 1, "content": content, "timestamp": sent });
        json!({ "model": "app.message", "pk": pk, "fields": fields })
    };
    let team = |title: &str, day: i64| {
        let fields =
            json!({ "title": title, "participants": [1, 2], "created_at": format!("2025-01-0{day}T00:00:00Z") });
        json!({ "model": "app.conversation", "pk": 1, "fields": fields })
    };
    let history =
        json!({ "model": "app.messagehistory", "pk": 1, "fields": { "message": 1, "old_content": "before" } });
    let imported = rows(&json!([
        user(1, "ann"),
        user(2, "bob"),
        user(1, "eve"),
        team("first", 2),
        team("second", 1),
        message(1, "first", 4),
        message(1, "second", 3),
        history,
        history,
    ]));
    let said = records(&imported);
    assert!(!said.contains("eve") && !said.contains("second") && said.contains("\"title\":\"first\""), "{said}");
    assert!(said.contains("\"content\":\"first\"") && said.matches("before").count() == 1, "{said}");
    let same = "The row is in the file twice; the first is carried.";
    let places = ["auth.user 1", "app.conversation 1", "app.message 1", "app.messagehistory 1"];
    assert_eq!(not_carried(&imported), places.map(|place| format!("{place}: {same}\n")).concat());
}

/// Rows of the known models with whatever in their fields
fn row() -> impl Strategy<Value = serde_json::Value> {
    let model = prop::sample::select(vec![
        "auth.user",
        "x.conversation",
        "x.participant",
        "x.message",
        "y.message",
        "x.messagehistory",
        "x.notification",
        "z.other",
        "",
    ]);
    let value = prop_oneof![
        4 => (0..4_i64).prop_map(|number| json!(number)),
        1 => Just(json!(null)),
        1 => any::<bool>().prop_map(|flag| json!(flag)),
        2 => "[a-cA-C]{0,2}|\\PC{0,12}".prop_map(|text| json!(text)),
        1 => Just(json!("2025-01-01T00:00:00")),
        2 => prop::collection::vec(0..4_i64, 0..4).prop_map(|keys| json!(keys)),
        1 => Just(json!(["a"])),
        1 => Just(json!({ "a": [1.5] })),
    ];
    let field = prop::sample::select(vec![
        "username",
        "email",
        "password",
        "role",
        "user",
        "sender",
        "receiver",
        "conversation",
        "participants",
        "title",
        "content",
        "old_content",
        "timestamp",
        "edited",
        "edited_by",
        "read",
        "parent_message",
        "message",
        "other",
    ]);
    let fields = prop::collection::btree_map(field.prop_map(ToOwned::to_owned), value, 0..9);
    (model, 0..5_i64, fields).prop_map(|(model, pk, fields)| json!({ "model": model, "pk": pk, "fields": fields }))
}

proptest! {
    #[test]
    fn no_rows_make_the_django_importer_panic(dump in prop::collection::vec(row(), 0..30)) {
        let imported = rows(&json!(dump));
        prop_assert!(imported.entries.len() <= 2 * dump.len() + dump.len() * dump.len());
    }

    #[test]
    fn no_bytes_make_the_django_importer_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), place in 0..DUMP.len()) {
        let _ = read(bytes.as_slice());
        let mut damaged = DUMP.as_bytes()[..place].to_owned();
        damaged.extend(bytes);
        let _ = read(damaged.as_slice());
    }

    #[test]
    fn replies_never_stand_before_what_they_reply_to(parents in prop::collection::vec(0..12_i64, 1..12)) {
        let messages = parents.iter().zip(0_i64..).map(|(parent, pk)| json!({
            "model": "x.message", "pk": pk,
            "fields": { "sender": 1, "receiver": 2, "content": "hi", "timestamp": "2025-01-01T00:00:00Z", "parent_message": parent },
        }));
        let users = [1, 2].map(|pk| json!({ "model": "auth.user", "pk": pk, "fields": { "username": format!("u{pk}") } }));
        let imported = rows(&users.into_iter().chain(messages).collect());
        let mut seen = std::collections::HashSet::new();
        for entry in &imported.entries {
            let record = serde_json::to_value(&entry.record).unwrap();
            if let Some(parent) = record["reply_to"].as_str() {
                prop_assert!(seen.contains(parent), "{record}");
            }
            seen.insert(entry.id.to_string());
        }
        prop_assert_eq!(seen.len(), parents.len() + 3);
    }
}
