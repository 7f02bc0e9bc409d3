//! Preconditions are looked at before anything is done; what an endpoint does not know is refused.

use serde_json::{Value, json};

use super::{House, in_every_house, messages_of};
use crate::server::{Reply, Server};

/// Somebody who asks
struct Asker<'s> {
    server: &'s Server,
    token: String,
}

impl Asker<'_> {
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let body = Some(body).filter(|body| !body.is_null());
        self.server.ask(method, path, &self.token, headers, body)
    }

    fn get(&self, path: &str) -> Reply {
        self.server.get(path, &self.token).expect(200)
    }

    fn tag(&self, path: &str) -> String {
        self.get(path).header("etag").unwrap().to_owned()
    }
}

fn on_each(test: impl Fn(&House, &Asker<'_>)) {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (token, _) = server.log_in("ann", "correct horse 7");
        test(house, &Asker { server: &server, token });
    });
}

/// Every object that can be changed: its path, a change, and another one
fn objects(ann: &Asker<'_>) -> Vec<(String, Value, Value)> {
    let messages = messages_of(ann.server, &ann.token);
    let message = ann.get(&messages).json()["results"][0]["message_id"].as_str().unwrap().to_owned();
    let bob = ann.get("/api/users/?search=bob").json()["results"][0]["user_id"].as_str().unwrap().to_owned();
    let change = |field: &str| (json!({ field: "one" }), json!({ field: "another" }));
    let (title, other_title) = change("title");
    let (first, other_first) = change("first_name");
    let (content, other_content) = change("content");
    vec![
        (messages.trim_end_matches("messages/").to_owned(), title, other_title),
        ("/api/users/me/".to_owned(), first.clone(), other_first.clone()),
        (format!("/api/users/{bob}/"), first, other_first),
        (format!("{messages}{message}/"), content.clone(), other_content.clone()),
        (format!("/api/messages/{message}/"), json!({ "content": "more" }), json!({ "content": "most" })),
    ]
}

#[test]
fn what_changed_since_it_was_seen_is_neither_changed_nor_deleted() {
    on_each(|house, ann| {
        for (path, change, other) in objects(ann) {
            println!("{path}");
            let seen = ann.tag(&path);
            let (first, _) = seen.trim_matches('"').split_once('-').unwrap();
            // What cannot be changed by this request is no reason to refuse it.
            let messages = messages_of(ann.server, &ann.token);
            ann.ask("POST", &messages, &[], &json!({ "content": "in between" })).expect(201);
            let weak = format!("W/{seen}");
            let several = format!("\"x-y\", \"{first}-z\" , \"9999\"");
            let answer = ann.ask("PATCH", &path, &[("If-Match", &several)], &change).expect(200);
            let changed = ann.tag(&path);
            assert_ne!(changed.split_once('-').unwrap().0, seen.split_once('-').unwrap().0);
            assert_eq!(answer.header("etag").unwrap().split_once('-').unwrap().0, changed.split_once('-').unwrap().0);
            let before = house.run("data dump", "").stdout;
            for stale in [&seen, &weak, "\"x\"", "W/\"\""] {
                ann.ask("PATCH", &path, &[("If-Match", stale)], &other).problem(412, "stale");
                let deleted = ann.ask("DELETE", &path, &[("If-Match", stale)], &Value::Null);
                assert!(deleted.status == 412 || path == "/api/users/me/" && deleted.status == 405, "{deleted:?}");
            }
            for none in ["*", &changed, &format!("\"x\", {changed}"), &format!("W/{changed}")] {
                ann.ask("PATCH", &path, &[("If-None-Match", none)], &other).problem(412, "stale");
                let deleted = ann.ask("DELETE", &path, &[("If-None-Match", none)], &Value::Null);
                assert!(deleted.status == 412 || path == "/api/users/me/" && deleted.status == 405, "{deleted:?}");
            }
            for header in ["If-Match", "If-None-Match"] {
                for bad in ["", "x", "\"x", "\"x\" \"y\"", "*, \"x\""] {
                    ann.ask("PATCH", &path, &[(header, bad)], &other).problem(400, "invalid");
                }
            }
            assert_eq!(house.run("data dump", "").stdout, before, "{path}");
            // One of the same content has the tag that was seen, but of another time or revision.
            let both = [("If-Match", "*"), ("If-None-Match", seen.as_str())];
            ann.ask("PATCH", &path, &both, &other).expect(200);
        }
    });
}

#[test]
fn an_account_is_deleted_only_in_the_state_that_was_seen() {
    on_each(|house, ann| {
        let (token, _) = ann.server.log_in("bob", "correct horse 8");
        let bob = Asker { server: ann.server, token };
        let seen = bob.tag("/api/users/me/");
        bob.ask("PATCH", "/api/users/me/", &[], &json!({ "email": "bob@example.org" })).expect(200);
        let before = house.run("data dump", "").stdout;
        for headers in [("If-Match", seen.as_str()), ("If-None-Match", "*")] {
            bob.ask("DELETE", "/api/user/delete/", &[headers], &Value::Null).problem(412, "stale");
        }
        assert_eq!(house.run("data dump", "").stdout, before);
        let now = bob.tag("/api/users/me/");
        bob.ask("DELETE", "/api/user/delete/", &[("If-Match", &now)], &Value::Null).expect(204);
    });
}

#[test]
fn what_has_no_entity_tag_to_be_changed_by_meets_no_condition_but_that_it_is_there() {
    on_each(|house, ann| {
        let messages = messages_of(ann.server, &ann.token);
        let place = messages.trim_end_matches("messages/");
        let posts = [
            (messages.clone(), json!({ "content": "hi" })),
            ("/api/conversations/".to_owned(), json!({ "participants": ["bob"] })),
            ("/api/users/".to_owned(), json!({ "username": "gus", "password": "correct horse 9" })),
            (format!("{place}read/"), Value::Null),
            ("/api/notifications/read/".to_owned(), Value::Null),
        ];
        let before = house.run("data dump", "").stdout;
        for (path, body) in &posts {
            for headers in [("If-None-Match", "*"), ("If-Match", "\"1-x\"")] {
                ann.ask("POST", path, &[headers], body).problem(412, "stale");
            }
        }
        assert_eq!(house.run("data dump", "").stdout, before);
        for (path, body) in &posts {
            let met = ann.ask("POST", path, &[("If-Match", "*"), ("If-None-Match", "\"1-x\"")], body);
            assert!(met.status < 300, "{path} {met:?}");
        }
        // What would be refused anyway is refused for its own reason.
        let nowhere = "/api/messages/00000000-0000-4000-8000-000000000000/";
        ann.ask("PATCH", nowhere, &[("If-None-Match", "*")], &json!({ "content": "x" })).problem(404, "not_found");
        ann.ask("POST", &messages, &[("If-None-Match", "*")], &json!({ "content": "" })).problem(400, "invalid");
        ann.server.ask("POST", &messages, "", &[("If-None-Match", "*")], None).problem(401, "unauthenticated");
    });
}

#[test]
fn a_request_that_changes_or_marks_something_refuses_what_it_does_not_know() {
    on_each(|house, ann| {
        let messages = messages_of(ann.server, &ann.token);
        let place = messages.trim_end_matches("messages/");
        let (token, _) = ann.server.log_in("bob", "correct horse 8");
        let bob = Asker { server: ann.server, token };
        let sent = ann.ask("POST", &messages, &[], &json!({ "content": "for bob" })).expect(201).json();
        let id = sent["message_id"].as_str().unwrap().to_owned();
        let before = house.run("data dump", "").stdout;
        for (method, path, body, fields) in [
            ("POST", "/api/notifications/read/", json!({ "message_ids": [id] }), &["message_ids"][..]),
            ("POST", "/api/notifications/read/", json!({ "ids": null }), &["ids"]),
            ("POST", "/api/notifications/read/", json!({ "ids": [id], "all": true }), &["all"]),
            ("PATCH", "/api/messages/unread/", json!({ "ids": [id], "message_ids": [id] }), &["ids"]),
            ("POST", &format!("{place}read/"), json!({ "ids": [id] }), &["ids"]),
            ("PATCH", "/api/users/me/", json!({ "new_password": "correct horse 9" }), &["new_password"]),
            ("PATCH", "/api/users/me/", json!({ "role": "admin" }), &["role"]),
            ("PATCH", "/api/users/me/", json!({ "is_active": false, "user_id": id }), &["is_active", "user_id"]),
            ("PATCH", "/api/users/me/", json!({ "username": null }), &["username"]),
            ("PATCH", "/api/users/me/", json!({ "first_name": null }), &["first_name"]),
            ("PATCH", &format!("/api/notifications/{id}/"), json!({ "is_read": true, "read": true }), &["read"]),
            ("PATCH", &format!("{place}participants/me/"), json!({ "level": "none", "muted": true }), &["muted"]),
        ] {
            let problem = bob.ask(method, path, &[], &body).problem(400, "invalid");
            let named: Vec<&str> = problem["errors"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(named, fields, "{path} {problem}");
        }
        for (path, body, field) in [
            (place.to_owned(), json!({ "title": "x", "creator": null }), "creator"),
            (place.to_owned(), json!({ "title": "x", "level": "none" }), "level"),
            (format!("{messages}{id}/"), json!({ "content": "x", "sender": null }), "sender"),
            (format!("/api/messages/{id}/"), json!({ "content": "x", "contents": "y" }), "contents"),
        ] {
            let problem = ann.ask("PATCH", &path, &[], &body).problem(400, "invalid");
            assert!(problem["errors"][field].is_array(), "{path} {problem}");
        }
        assert_eq!(house.run("data dump", "").stdout, before);
        // What is so already may be said, as whoever sends back what they were shown does.
        for (path, field) in
            [("/api/users/me/", "first_name"), (place, "title"), (&format!("/api/messages/{id}/"), "content")]
        {
            let mut whole = ann.get(path).json();
            whole[field] = json!("changed");
            assert_eq!(ann.ask("PATCH", path, &[], &whole).expect(200).json()[field], "changed");
        }
        bob.ask("POST", "/api/notifications/read/", &[], &json!({})).expect(200);
        bob.ask("POST", &format!("{place}read/"), &[], &json!({})).expect(200);
    });
}

#[test]
fn a_request_that_creates_or_logs_in_ignores_what_it_does_not_know_but_not_what_nobody_sets_there() {
    on_each(|house, ann| {
        let messages = messages_of(ann.server, &ann.token);
        let old = json!({ "content": "hi", "receiver": null, "colour": "red", "sender": "eve" });
        ann.ask("POST", &messages, &[], &old).expect(201);
        let credentials = json!({ "username": "bob", "password": "correct horse 8", "remember": true });
        ann.server.post("/api/token/", "", &credentials).expect(200);
        let new = |field: &str, value: Value| json!({ "username": "gus", "password": "correct horse 9", "password2": "correct horse 9", field: value });
        let before = house.run("user list -o ids", "").stdout;
        for (field, value) in [("role", json!("admin")), ("role", json!("user")), ("is_active", json!(true))] {
            let problem = ann.server.post("/api/users/", "", &new(field, value)).problem(400, "invalid");
            assert!(problem["errors"][field].is_array(), "{problem}");
        }
        assert_eq!(house.run("user list -o ids", "").stdout, before);
        ann.server.post("/api/users/", "", &new("phone", json!("1"))).expect(201);
    });
}

#[test]
fn what_was_done_is_answered_whatever_coding_the_client_would_rather_have() {
    on_each(|_, ann| {
        let messages = messages_of(ann.server, &ann.token);
        let count = || ann.get(&messages).json()["count"].as_i64().unwrap();
        let before = count();
        let refusing =
            ["br, *;q=0", "identity;q=0", "*;q=0", "gzip;q=0, identity;q=0", "br;q=1, identity;q=0", "gzip;q=x, *;q=0"];
        for accepts in refusing {
            let long = "words ".repeat(500);
            let sent =
                ann.ask("POST", &messages, &[("Accept-Encoding", accepts)], &json!({ "content": long })).expect(201);
            assert_eq!(sent.header("content-encoding"), None, "{accepts}");
            assert_eq!(sent.json()["content"], long);
        }
        assert_eq!(count(), before + i64::try_from(refusing.len()).unwrap());
    });
}
