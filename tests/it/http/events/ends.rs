//! How a stream ends: a reason as its last word, and nothing of what is not for that listener any more.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tidings::model::Timestamp;
use tidings::service::tokens::{Keys, LIFETIME};

use super::Place;
use super::stream::Stream;
use super::tickets::ticket;
use crate::http::{House, in_every_house, world};
use crate::server::Server;

/// Fails unless what is done ends the streams of bob, and no other.
fn ends(house: &House, server: &Server, others: &mut Stream, password: &str, what: &str, end: impl FnOnce(&str)) {
    println!("{what}");
    let (token, _) = server.log_in("bob", password);
    let mut streams = ["", "?event=message.created"].map(|query| Stream::open(server, query, &token));
    end(&token);
    house.run("message send team 'for the others' --as ann", "");
    for stream in &mut streams {
        let (reason, before) = stream.end();
        assert_eq!(reason, "revoked");
        assert!(before.iter().all(|event| event.name != "message.created"), "{before:?}");
    }
    while others.heard().name != "message.created" {}
}

#[test]
fn what_ends_a_token_ends_its_streams_at_once_wherever_it_is_done() {
    in_every_house(|house| {
        let place = Place::new(house, &["--failed-logins", "0"]);
        let server = &place.server;
        let mut ann = Stream::open(server, "", &place.ann);
        let path = format!("/api/users/{}/", place.id(&place.bob));
        let active = |is_active: bool| place.change("PATCH", &path, &place.ann, &json!({ "is_active": is_active }));
        ends(house, server, &mut ann, "correct horse 8", "a new password", |token| {
            let change = json!({ "password": "correct horse 9", "current_password": "correct horse 8" });
            place.change("PATCH", "/api/users/me/", token, &change);
        });
        ends(house, server, &mut ann, "correct horse 9", "a new password by the operator", |_| {
            house.run("user passwd bob --password-stdin", "correct horse 8");
        });
        ends(house, server, &mut ann, "correct horse 8", "deactivation", |_| active(false));
        active(true);
        ends(house, server, &mut ann, "correct horse 8", "deactivation by the operator", |_| {
            house.run("user deactivate bob", "");
        });
        house.run("user activate bob", "");
        ends(house, server, &mut ann, "correct horse 8", "revocation by the operator", |_| {
            house.run("token revoke bob", "");
        });
        ends(house, server, &mut ann, "correct horse 8", "deletion", |token| {
            place.change("DELETE", "/api/user/delete/", token, &Value::Null);
        });
    });
}

#[test]
fn a_log_out_ends_the_streams_of_its_log_in_alone() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let [(one, refresh), (other, _)] = ["", ""].map(|_| place.server.log_in("bob", "correct horse 8"));
        let by_ticket = format!("?ticket={}", ticket(&place.server, &one));
        let mut streams =
            [("", &*one), (&*by_ticket, "")].map(|(query, token)| Stream::open(&place.server, query, token));
        let mut others = Stream::open(&place.server, "", &other);
        let unused = format!("?ticket={}", ticket(&place.server, &one));
        place.server.post("/api/token/revoke/", "", &json!({ "refresh": refresh })).expect(204);
        house.run("message send team 'for the others' --as ann", "");
        for stream in &mut streams {
            assert_eq!(stream.end().0, "revoked");
        }
        while others.heard().name != "message.created" {}
        for (query, token) in [("", &*one), (&*unused, "")] {
            let refused = Stream::ask(&place.server, query, token, &[]).err().expect("a log-in that has ended");
            refused.problem(401, "unauthenticated");
        }
    });
}

#[test]
fn a_stream_ends_with_its_token_and_the_next_one_goes_on_from_there() {
    let secret = "a secret of the tests";
    let shell = world();
    let server = Server::start(&shell.path(""), &["--db", "test.db"], &[("SECRET_KEY", secret)]);
    let (token, _) = server.log_in("bob", "correct horse 8");
    let keys = Keys::new(secret.as_bytes(), None).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    let now = Timestamp(now.try_into().unwrap());
    let claims = keys.verify(&token, now).unwrap();
    // It was issued almost ten minutes ago.
    let issued_at = now.plus_seconds(3 - LIFETIME);
    let short = keys.sign(claims.user, claims.login, claims.generation, issued_at, claims.user.0).unwrap();
    let ticket = server.post("/api/events/ticket/", &short, &Value::Null).expect(201).json();
    let by_ticket = format!("?ticket={}", ticket["ticket"].as_str().unwrap());
    let mut streams = [Stream::open(&server, "", &short), Stream::open(&server, &by_ticket, "")];
    for stream in &mut streams {
        let (reason, before) = stream.end();
        assert_eq!((reason.as_str(), before.len()), ("expired", 0));
    }
    Stream::ask(&server, "", &short, &[]).err().unwrap().problem(401, "unauthenticated");
    shell.done("message send team missed --as ann");
    for stream in streams {
        assert_eq!(Stream::resume(&server, "", &token, &stream.cursor).content(), "missed");
    }
}

/// A server with so many users, all of one group, and their tokens
fn crowd(count: usize, arguments: &[&str]) -> (Server, Vec<String>) {
    let names: Vec<String> = (0..count).map(|number| format!("user{number}")).collect();
    let mut fixture: Vec<Value> = names.iter().map(|name| json!({ "type": "user", "username": name })).collect();
    fixture.push(json!({ "type": "conversation", "name": "all", "participants": names }));
    let users: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = Server::ephemeral(&Value::from(fixture).to_string(), &users, arguments);
    let tokens = names.iter().map(|name| server.token(name).to_owned()).collect();
    (server, tokens)
}

#[test]
fn a_signal_ends_two_hundred_streams_at_once_and_the_server_with_them() {
    let (mut server, tokens) = crowd(10, &[]);
    let mut streams: Vec<Stream> =
        tokens.iter().flat_map(|token| [(); 20].map(|()| Stream::open(&server, "", token))).collect();
    assert_eq!(streams.len(), 200);
    let start = Instant::now();
    server.signal(rustix::process::Signal::TERM);
    thread::scope(|scope| {
        scope.spawn(|| {
            for stream in &mut streams {
                assert_eq!(stream.end().0, "shutdown");
            }
        });
        assert_eq!(server.process.wait().unwrap().code(), Some(0));
    });
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
