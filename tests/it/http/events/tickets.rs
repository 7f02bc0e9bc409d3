//! Tickets: what a browser's `EventSource`, which cannot send headers, has in place of a token.

use serde_json::{Value, json};

use super::Place;
use super::stream::Stream;
use crate::http::{in_every_house, messages_of, world};
use crate::server::{Reply, Server};

pub(super) fn ticket(server: &Server, token: &str) -> String {
    let made = server.post("/api/events/ticket/", token, &Value::Null).expect(201).json();
    assert_eq!(made["expires_in"], 30);
    made["ticket"].as_str().unwrap().to_owned()
}

fn refused(server: &Server, ticket: &str) -> Reply {
    let reply = Stream::ask(server, &format!("?ticket={ticket}"), "", &[]).err().expect("a ticket that is not valid");
    reply.problem(401, "unauthenticated");
    reply
}

#[test]
fn a_ticket_opens_one_stream_of_its_user() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let one = ticket(&place.server, &place.bob);
        let other = ticket(&place.server, &place.bob);
        assert_ne!(one, other);
        let mut stream = Stream::open(&place.server, &format!("?ticket={one}"), "");
        refused(&place.server, &one);
        place.send(&place.ann, "hello");
        assert_eq!(stream.content(), "hello");
        // The rest of the address says the same as with a token.
        let mut narrowed =
            Stream::open(&place.server, &format!("?ticket={other}&event=user.updated&since={}", stream.cursor), "");
        place.send(&place.ann, "hello again");
        place.change("PATCH", "/api/users/me/", &place.bob, &json!({ "first_name": "Bob" }));
        assert_eq!(narrowed.heard().name, "user.updated");
        let middle = one.len() / 2;
        let changed = if &one[middle..=middle] == "A" { "B" } else { "A" };
        let forged = format!("{}{changed}{}", &one[..middle], &one[middle + 1..]);
        for wrong in [&forged, &one[1..], &place.bob, &narrowed.cursor] {
            refused(&place.server, wrong);
        }
        // It is for nothing else.
        place.server.get("/api/users/me/", &ticket(&place.server, &place.bob)).problem(401, "unauthenticated");
    });
}

#[test]
fn a_ticket_is_worth_no_more_than_the_token_it_was_made_with() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let (of_bob, of_eve) = (ticket(&place.server, &place.bob), ticket(&place.server, &place.eve));
        house.run("user deactivate bob", "");
        refused(&place.server, &of_bob);
        house.run("user activate bob", "");
        refused(&place.server, &of_bob);
        house.run("user delete eve --yes", "");
        refused(&place.server, &of_eve);
        let (bob, _) = place.server.log_in("bob", "correct horse 8");
        let mut stream = Stream::open(&place.server, &format!("?ticket={}", ticket(&place.server, &bob)), "");
        house.run("token revoke bob", "");
        assert_eq!(stream.end().0, "revoked");
        place.server.post("/api/events/ticket/", &bob, &Value::Null).problem(401, "unauthenticated");
    });
}

#[test]
fn a_ticket_is_valid_for_thirty_seconds() {
    let shell = world();
    // The same secret at other times
    let at = |seconds: u32| {
        let now = format!("2026-01-01T09:00:{seconds:02}Z");
        let environment = [("SECRET_KEY", "a secret of the tests"), ("TIDINGS_NOW", now.as_str())];
        Server::start(&shell.path(""), &["--db", "test.db"], &environment)
    };
    let server = at(0);
    let (token, _) = server.log_in("bob", "correct horse 8");
    let [early, late] = [(); 2].map(|()| ticket(&server, &token));
    drop(server);
    let server = at(29);
    let mut stream = Stream::open(&server, &format!("?ticket={early}"), "");
    server.post(&messages_of(&server, &token), &token, &json!({ "content": "in time" })).expect(201);
    assert_eq!(stream.content(), "in time");
    drop(server);
    let server = at(30);
    server.get("/api/users/me/", &token).expect(200);
    refused(&server, &late);
}
