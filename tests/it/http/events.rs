//! Streams of events over HTTP: who hears what, from where on, and how long.

mod cursors;
mod ends;
mod kinds;
mod limits;
mod narrowed;
mod nginx;
mod page;
pub(super) mod stream;
mod tickets;

use serde_json::{Value, json};

use self::stream::Stream;
use super::{House, in_every_house};
use crate::server::Server;

/// A server on the world with somebody more, who takes part in nothing, and everybody's token
struct Place {
    server: Server,
    ann: String,
    bob: String,
    eve: String,
    /// The id of the group
    team: String,
}

impl Place {
    fn new(house: &House, arguments: &[&str]) -> Self {
        house.run("user create eve --if-not-exists --password-stdin", "correct horse 9");
        let server = house.serve(arguments);
        let [ann, bob, eve] = [("ann", 7), ("bob", 8), ("eve", 9)]
            .map(|(name, number)| server.log_in(name, &format!("correct horse {number}")).0);
        let own = server.get("/api/conversations/", &bob).expect(200).json();
        let team = own["results"].as_array().unwrap().iter().find(|conversation| conversation["name"] == "team");
        let team = team.unwrap()["conversation_id"].as_str().unwrap().to_owned();
        Self { server, ann, bob, eve, team }
    }

    /// Sends a message to a conversation; returns its id.
    fn send_to(&self, conversation: &str, token: &str, content: &str) -> String {
        let path = format!("/api/conversations/{conversation}/messages/");
        let sent = self.server.post(&path, token, &json!({ "content": content })).expect(201).json();
        sent["message_id"].as_str().unwrap().to_owned()
    }

    /// Sends a message to the group; returns its id.
    fn send(&self, token: &str, content: &str) -> String {
        self.send_to(&self.team, token, content)
    }

    /// Makes a group of somebody and others; returns its id.
    fn group(&self, token: &str, title: &str, others: &[&str]) -> String {
        let body = json!({ "participants": others, "title": title });
        let made = self.server.post("/api/conversations/", token, &body).expect(201).json();
        made["conversation_id"].as_str().unwrap().to_owned()
    }

    /// A request that changes something and has to succeed
    fn change(&self, method: &str, path: &str, token: &str, body: &Value) {
        let reply = self.server.ask(method, path, token, &[], Some(body).filter(|body| !body.is_null()));
        assert!((200..300).contains(&reply.status), "{method} {path}: {}", String::from_utf8_lossy(&reply.bytes));
    }

    /// A user as others see them
    fn person(&self, token: &str) -> Value {
        let me = self.server.get("/api/users/me/", token).expect(200).json();
        let fields = ["user_id", "username", "first_name", "last_name"];
        fields.iter().map(|field| ((*field).to_owned(), me[field].clone())).collect()
    }

    fn id(&self, token: &str) -> String {
        self.person(token)["user_id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_stream_begins_with_when_to_come_again_and_a_bookmark_and_no_cache_or_proxy_keeps_it() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let headers = [("Accept-Encoding", "gzip, br"), ("Accept", "text/event-stream")];
            let stream = Stream::ask(&place.server, "", &place.bob, &headers).ok().unwrap();
            for (name, value) in [
                ("content-type", Some("text/event-stream")),
                ("cache-control", Some("no-store, no-transform")),
                ("x-accel-buffering", Some("no")),
                ("x-content-type-options", Some("nosniff")),
                ("content-encoding", None),
                ("etag", None),
            ] {
                assert_eq!(stream.head.header(name), value, "{name}");
            }
            assert!(stream.head.header("x-request-id").is_some());
            assert_eq!((stream.first.name.as_str(), &stream.first.data), ("bookmark", &json!({})));
            assert!(stream.first.id.is_some());
            assert!((1000..=5000).contains(&stream.retry), "{}", stream.retry);
            waits.push(stream.retry);
        }
        waits.dedup();
        assert!(waits.len() > 1, "all come again at the same moment: {waits:?}");
        // The path works without its slash, too, and whoever asks for the head alone gets it.
        let head = place.server.ask("HEAD", "/api/events", &place.bob, &[], None).expect(200);
        assert_eq!((head.header("content-type"), head.bytes.len()), (Some("text/event-stream"), 0));
    });
}

#[test]
fn nobody_hears_anything_without_credentials() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        for (query, token) in [("", ""), ("", "nonsense"), ("?ticket=nonsense", ""), ("?ticket=", "")] {
            let reply = Stream::ask(&place.server, query, token, &[]).err().unwrap();
            reply.problem(401, "unauthenticated");
        }
        place.server.post("/api/events/ticket/", "", &json!({})).problem(401, "unauthenticated");
        house.run("token revoke bob", "");
        Stream::ask(&place.server, "", &place.bob, &[]).err().unwrap().problem(401, "unauthenticated");
        for method in ["POST", "PUT", "DELETE"] {
            place.server.ask(method, "/api/events/", &place.ann, &[], None).problem(405, "method_not_allowed");
        }
    });
}
