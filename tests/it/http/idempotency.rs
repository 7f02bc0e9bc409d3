//! Requests that are carried out once, however often they are sent.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{House, in_every_house, messages_of};
use crate::server::{Reply, Server};

fn post(server: &Server, path: &str, token: &str, key: &str, body: &Value) -> Reply {
    server.ask("POST", path, token, &[("Idempotency-Key", key)], Some(body))
}

/// Every repeatable endpoint, with a request and another one
fn requests(server: &Server, token: &str) -> Vec<(String, Value, Value)> {
    let messages = messages_of(server, token);
    let conversation = messages.trim_end_matches("messages/").to_owned();
    vec![
        (
            "/api/conversations/".to_owned(),
            json!({ "participants": ["bob"], "title": "one" }),
            json!({ "participants": ["bob"], "title": "two" }),
        ),
        (messages, json!({ "content": "once" }), json!({ "content": "twice" })),
        (
            format!("{conversation}participants/"),
            json!({ "participants": ["eve"] }),
            json!({ "participants": ["fay"] }),
        ),
        // Only elsewhere is it another request.
        (format!("{conversation}read/"), json!({}), Value::Null),
        ("/api/notifications/read/".to_owned(), json!({}), json!({ "ids": [] })),
        (
            "/api/users/".to_owned(),
            json!({ "username": "gus", "password": "correct horse 9" }),
            json!({ "username": "gus", "password": "correct horse 0" }),
        ),
    ]
}

fn people(house: &House) {
    for name in ["eve", "fay"] {
        house.run(&format!("user create {name} --no-password"), "");
    }
}

#[test]
fn the_same_request_with_a_key_has_the_same_answer_and_another_is_a_conflict() {
    in_every_house(|house| {
        people(house);
        let server = house.serve(&[]);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let requests = requests(&server, &token);
        // The document says which they are.
        let schema = server.get("/api/schema/", "").expect(200).json();
        let takes_idempotency_key = |operation: &Value| operation["parameters"].to_string().contains("Idempotency-Key");
        let paths = schema["paths"].as_object().unwrap().values();
        assert_eq!(paths.filter(|path| takes_idempotency_key(&path["post"])).count(), requests.len());
        for (path, request, other) in &requests {
            println!("{path}");
            let token = if path == "/api/users/" { "" } else { &token };
            let key = format!("key of {path}");
            let first = post(&server, path, token, &key, request);
            assert!(first.status < 300, "{first:?}");
            let before = house.run("data dump", "").stdout;
            for again in [path.as_str(), path.trim_end_matches('/')] {
                let second = post(&server, again, token, &key, request);
                assert_eq!((second.status, second.json()), (first.status, first.json()));
            }
            let (path, other) =
                if other.is_null() { ("/api/notifications/read/", &json!({})) } else { (path.as_str(), other) };
            post(&server, path, token, &key, other).problem(409, "conflict");
            assert_eq!(house.run("data dump", "").stdout, before);
        }
        // Another one's key is another key.
        let (bob, _) = server.log_in("bob", "correct horse 8");
        let (path, request, _) = &requests[1];
        let sent = post(&server, path, &bob, &format!("key of {path}"), request).expect(201).json();
        assert_eq!(sent["sender"]["username"], "bob");
    });
}

#[test]
fn one_key_on_two_paths_is_two_requests() {
    in_every_house(|house| {
        people(house);
        let server = house.serve(&[]);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let begin = |name: &str| {
            let group = json!({ "participants": ["bob", "eve"], "name": name });
            let begun = server.post("/api/conversations/", &token, &group).expect(201).json();
            format!("/api/conversations/{}/", begun["conversation_id"].as_str().unwrap())
        };
        let places = ["one", "two"].map(begin);
        // The same words, or the same people, on either path
        for (endpoint, body) in [
            ("messages/", json!({ "content": "the same words" })),
            ("participants/", json!({ "participants": ["fay"] })),
            ("read/", json!({})),
        ] {
            let path = |place: &str| format!("{place}{endpoint}");
            let key = format!("a key of {endpoint}");
            let first = post(&server, &path(&places[0]), &token, &key, &body);
            assert!(first.status < 300, "{first:?}");
            let before = house.run("data dump", "").stdout;
            post(&server, &path(&places[1]), &token, &key, &body).problem(409, "conflict");
            assert_eq!(house.run("data dump", "").stdout, before, "{endpoint}");
            let again = post(&server, &path(&places[0]), &token, &key, &body);
            assert_eq!((again.status, again.json()), (first.status, first.json()), "{endpoint}");
            let with_another = post(&server, &path(&places[1]), &token, &format!("another {key}"), &body);
            assert!(with_another.status < 300, "{with_another:?}");
        }
        // Nor does one endpoint know what another was asked with the key.
        let key = "a key of all";
        post(&server, "/api/notifications/read/", &token, key, &json!({})).expect(200);
        post(&server, &format!("{}read/", places[0]), &token, key, &json!({})).problem(409, "conflict");
        let new = json!({ "username": "gus", "password": "correct horse 9" });
        post(&server, "/api/users/", &token, key, &new).problem(409, "conflict");
    });
}

#[test]
fn a_failure_is_not_remembered() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let messages = messages_of(&server, &token);
        for key in ["", &"k".repeat(256), "schl\u{fc}ssel"] {
            post(&server, &messages, &token, key, &json!({ "content": "a" })).problem(400, "invalid");
        }
        post(&server, &messages, &token, "k", &json!({ "content": "" })).problem(400, "invalid");
        post(&server, &messages, "", "k", &json!({ "content": "a" })).problem(401, "unauthenticated");
        let nowhere = "/api/conversations/00000000-0000-4000-8000-000000000000/messages/";
        post(&server, nowhere, &token, "k", &json!({ "content": "a" })).problem(404, "not_found");
        let sent = post(&server, &messages, &token, "k", &json!({ "content": "a" })).expect(201).json();
        let path = format!("/api/messages/{}/", sent["message_id"].as_str().unwrap());
        server.ask("DELETE", &path, &token, &[], None).expect(204);
        // What it made is gone: it is not made again.
        post(&server, &messages, &token, "k", &json!({ "content": "a" })).problem(409, "conflict");
        // A key is for what is made, not for what is changed.
        let edit = json!({ "content": "edited" });
        let first = server.get(&messages, &token).json()["results"][0]["message_id"].clone();
        let path = format!("/api/messages/{}/", first.as_str().unwrap());
        server.ask("PATCH", &path, &token, &[("Idempotency-Key", "k")], Some(&edit)).expect(200);
    });
}

#[test]
fn of_the_same_requests_at_once_one_is_carried_out() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let messages = messages_of(&server, &token);
        for round in 0..5 {
            let ids: BTreeSet<String> = std::thread::scope(|scope| {
                let send = || {
                    let sent =
                        post(&server, &messages, &token, &format!("round {round}"), &json!({ "content": "at once" }));
                    sent.expect(201).json()["message_id"].as_str().unwrap().to_owned()
                };
                let senders: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
                senders.into_iter().map(|sender| sender.join().unwrap()).collect()
            });
            assert_eq!(ids.len(), 1);
        }
        assert_eq!(server.get(&messages, &token).json()["count"], 6);
        let register = || {
            let new = json!({ "username": "gus", "password": "correct horse 9" });
            post(&server, "/api/users/", "", "register", &new).expect(201).json()["user_id"].clone()
        };
        let ids: Vec<Value> = std::thread::scope(|scope| {
            let strangers: Vec<_> = (0..4).map(|_| scope.spawn(register)).collect();
            strangers.into_iter().map(|stranger| stranger.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    });
}

#[test]
fn a_key_is_remembered_for_a_day() {
    let shell = super::world();
    let send = |time: &str| {
        let server = Server::on(&shell.path(""), &["--now", time]);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let sent = post(&server, &messages_of(&server, &token), &token, "daily", &json!({ "content": "news" }));
        sent.expect(201).json()["number"].as_i64().unwrap()
    };
    assert_eq!(send("2026-01-01T09:00:00Z"), 2);
    assert_eq!(send("2026-01-02T08:59:59Z"), 2);
    assert_eq!(send("2026-01-02T09:00:01Z"), 3);
}

#[test]
fn a_registration_is_remembered_without_its_password_hidden_and_as_long_as_its_account() {
    let new = |password: &str| json!({ "username": "gus", "email": "gus@example.org", "password": password });
    // What is kept of it, where it was made with that password
    let kept = |password: &str| -> Vec<String> {
        let shell = super::world();
        let secret = [("SECRET_KEY", "a secret of the tests")];
        let arguments = ["--db", "test.db", "--now", "2026-01-01T09:00:00Z", "--seed", "7"];
        let server = Server::start(&shell.path(""), &arguments, &secret);
        post(&server, "/api/users/", "", "gus@example.org", &new(password)).expect(201);
        let rows = |shell: &crate::support::Shell| -> Vec<String> {
            let dump = shell.dump();
            dump.lines().filter(|row| row.starts_with("idempotency ")).map(ToOwned::to_owned).collect()
        };
        let kept = rows(&shell);
        let (token, _) = server.log_in("gus", password);
        server.ask("DELETE", "/api/user/delete/", &token, &[], None).expect(204);
        assert_eq!(rows(&shell), [""; 0], "it outlives the account");
        // So the same key makes another account.
        post(&server, "/api/users/", "", "gus@example.org", &new("another horse 9")).expect(201);
        kept
    };
    let one = kept("correct horse 9");
    assert_eq!(one.len(), 1);
    assert!(!one[0].contains("gus@example.org"), "{one:?}");
    assert_eq!(one, kept("correct horse 0"), "it depends on the password");
}

#[test]
fn strangers_have_keys_of_their_own_at_each_address() {
    in_every_house(|house| {
        let server = house.serve(&["--behind-proxy"]);
        let register = |address: &str, name: &str| {
            let headers = [("Idempotency-Key", "first"), ("X-Forwarded-For", address)];
            let new = json!({ "username": name, "password": "correct horse 9" });
            server.ask("POST", "/api/users/", "", &headers, Some(&new))
        };
        let gus = register("192.0.2.1", "gus").expect(201).json();
        register("192.0.2.2", "eve").expect(201);
        register("unknown", "fay").expect(201);
        register("192.0.2.2", "gus").problem(409, "conflict");
        assert_eq!(register("192.0.2.1:99", "gus").expect(201).json(), gus);
        // An admin's are the admin's, wherever they are.
        let (token, _) = server.log_in("ann", "correct horse 7");
        let by_admin = |name: &str| {
            let new = json!({ "username": name, "password": "correct horse 9" });
            post(&server, "/api/users/", &token, "first", &new)
        };
        let kim = by_admin("kim").expect(201).json();
        assert_eq!(by_admin("kim").expect(201).json(), kim);
        by_admin("lou").problem(409, "conflict");
    });
}

#[test]
fn who_guesses_the_password_of_a_registration_by_its_key_is_counted() {
    let shell = super::world();
    let server = Server::on(&shell.path(""), &["--failed-logins", "3", "--registrations", "0"]);
    let register =
        |password: &str| post(&server, "/api/users/", "", "first", &json!({ "username": "gus", "password": password }));
    register("correct horse 9").expect(201);
    for number in 0..3 {
        register(&format!("wrong horse {number}")).problem(409, "conflict");
    }
    register("correct horse 9").problem(429, "rate_limited");
}
