//! Of which conversations and kinds a listener hears: those they asked for, and of these what they may.

use serde_json::{Value, json};

use super::Place;
use super::stream::Stream;
use crate::http::in_every_house;

/// Fails unless these contents are what is heard next.
fn hears(stream: &mut Stream, contents: &[&str]) {
    for content in contents {
        assert_eq!(stream.content(), *content);
    }
}

#[test]
fn a_stream_can_be_of_some_conversations_and_kinds_alone() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let boat = place.group(&place.ann, "Boat", &["bob"]);
        let direct = place.group(&place.ann, "Shed", &["bob"]);
        let team = place.team.clone();
        let open = |query: &str| Stream::open(&place.server, query, &place.bob);
        let mut all = open("");
        let mut one = open(&format!("?conversation={team}"));
        let mut two = open(&format!("?conversation={team}&conversation={boat}"));
        let mut made = open("?event=message.created");
        let mut some = open(&format!("?event=message.edited&event=message.deleted&conversation={boat}"));
        for (conversation, content) in [(&team, "in team"), (&boat, "on the boat"), (&direct, "in the shed")] {
            let id = place.send_to(conversation, &place.ann, content);
            place.change("PATCH", &format!("/api/messages/{id}/"), &place.ann, &json!({ "content": "edited" }));
        }
        let kinds = |stream: &mut Stream, count: usize| -> Vec<(String, Value)> {
            let heard = (0..count).map(|_| stream.heard());
            heard.map(|event| (event.name.clone(), event.data["conversation"].clone())).collect()
        };
        let pair = |of: &str| ["message.created", "message.edited"].map(|kind| (kind.to_owned(), json!(of)));
        assert_eq!(kinds(&mut all, 6), [pair(&team), pair(&boat), pair(&direct)].concat());
        assert_eq!(kinds(&mut two, 4), [pair(&team), pair(&boat)].concat());
        let created = ("message.created".to_owned(), Value::Null);
        assert_eq!(
            kinds(&mut made, 3).into_iter().map(|(kind, _)| (kind, Value::Null)).collect::<Vec<_>>(),
            [created.clone(), created.clone(), created]
        );
        assert_eq!(kinds(&mut some, 1), [("message.edited".to_owned(), json!(boat))]);
        // The last that was sent here shows that there was nothing between.
        place.send_to(&team, &place.ann, "the last");
        assert_eq!(kinds(&mut one, 2), pair(&team));
        hears(&mut one, &["the last"]);
        hears(&mut two, &["the last"]);
        hears(&mut made, &["the last"]);
        // One's own level in it is of the conversation, too.
        let level = format!("/api/conversations/{team}/participants/me/");
        place.change("PATCH", &level, &place.bob, &json!({ "level": "mentions" }));
        assert_eq!(one.heard().name, "participant.updated");
        // With a cursor the same part of what was before is heard.
        let mut again =
            Stream::resume(&place.server, &format!("?conversation={boat}"), &place.bob, &all.first.id.unwrap());
        assert_eq!(kinds(&mut again, 2), pair(&boat));
    });
}

#[test]
fn what_is_not_visible_cannot_be_listened_to_except_by_an_admin_who_names_it() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let boat = place.group(&place.bob, "Boat", &["eve"]);
        let refused = |query: &str, token: &str| Stream::ask(&place.server, query, token, &[]).err().unwrap();
        let absent = "019b78c9-0a80-7000-8000-000000000000";
        let unseen = refused(&format!("?conversation={}", place.team), &place.eve);
        let unseen = unseen.problem(404, "not_found").to_string();
        let nowhere = refused(&format!("?conversation={absent}"), &place.eve).problem(404, "not_found").to_string();
        assert_eq!(unseen.replace(&place.team, absent), nowhere, "in the words of what is not there");
        // One that one may hear does not open the door to another.
        refused(&format!("?conversation={boat}&conversation={}", place.team), &place.eve).problem(404, "not_found");

        let mut unnamed = Stream::open(&place.server, "", &place.ann);
        let mut named = Stream::open(&place.server, &format!("?conversation={boat}"), &place.ann);
        let mut both =
            Stream::open(&place.server, &format!("?conversation={boat}&conversation={}", place.team), &place.ann);
        place.send_to(&boat, &place.eve, "at sea");
        place.send(&place.bob, "ashore");
        hears(&mut named, &["at sea"]);
        hears(&mut both, &["at sea", "ashore"]);
        hears(&mut unnamed, &["ashore"]);
        // Who is no admin any more hears what takes their right to know of it.
        house.run("user update ann --role user", "");
        assert_eq!(named.end().0, "revoked");
        assert_eq!(unnamed.heard().name, "user.updated");
        place.send(&place.bob, "goes on");
        hears(&mut unnamed, &["goes on"]);
    });
}

#[test]
fn what_no_conversation_or_kind_is_called_is_invalid() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        for (query, field) in [
            ("event=message.sent", "event"),
            ("event=message.created&event=message", "event"),
            ("event=bookmark", "event"),
            ("conversation=team", "conversation"),
        ] {
            let refused = Stream::ask(&place.server, &format!("?{query}"), &place.bob, &[]).err().unwrap();
            let problem = refused.problem(400, "invalid");
            assert!(problem["errors"][field].is_array(), "{query}: {problem}");
        }
    });
}

#[test]
fn what_somebody_hears_follows_where_they_take_part_event_by_event() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let boat = place.group(&place.ann, "Boat", &["bob"]);
        let mut bob = Stream::open(&place.server, "", &place.bob);
        let mut of_boat = Stream::open(&place.server, &format!("?conversation={boat}"), &place.bob);
        let start = bob.cursor.clone();
        let send = |content: &str| drop(place.send_to(&boat, &place.ann, content));
        let own = format!("/api/conversations/{boat}/participants/{}/", place.id(&place.bob));
        send("before");
        place.change("DELETE", &own, &place.ann, &Value::Null);
        send("without bob");
        place.change("PATCH", &format!("/api/conversations/{boat}/"), &place.ann, &json!({ "title": "Ship" }));
        house.run(&format!("conversation add {boat} bob --operator"), "");
        send("with bob");
        house.run(&format!("conversation remove {boat} bob --as bob"), "");
        send("without bob again");
        // Live and later it is the same.
        let later = Stream::resume(&place.server, "", &place.bob, &start);
        for stream in [&mut bob, &mut of_boat, &mut { later }] {
            hears(stream, &["before"]);
            assert_eq!(stream.heard().name, "participant.removed");
            assert_eq!(stream.heard().name, "participant.added");
            hears(stream, &["with bob"]);
            assert_eq!(stream.heard().name, "participant.removed");
        }
        place.send(&place.ann, "in team");
        hears(&mut bob, &["in team"]);
        // Nobody finds the way back with a cursor and the name of the group.
        let query = format!("?conversation={boat}&since={start}");
        Stream::ask(&place.server, &query, &place.bob, &[]).err().unwrap().problem(404, "not_found");
        house.run(&format!("conversation add {boat} bob --operator"), "");
        assert_eq!(of_boat.heard().name, "participant.added");
        place.change("DELETE", &format!("/api/conversations/{boat}/"), &place.ann, &Value::Null);
        assert_eq!(of_boat.heard().name, "conversation.deleted");
    });
}
