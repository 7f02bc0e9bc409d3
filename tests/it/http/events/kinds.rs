//! What is told of each kind of change, and to whom: whoever made it, over REST or on the command line in another process.

use serde_json::{Value, json};

use super::Place;
use super::stream::{Event, Stream};
use crate::http::schema::Document;
use crate::http::{House, in_every_house};

/// What an event of that kind says, without what every event says of itself
fn said(event: &Event, kind: &str) -> Value {
    assert_eq!(event.name, kind, "{event:?}");
    Document::new().must_have_shape("Event", &event.data);
    let mut data = event.data.clone();
    let fields = data.as_object_mut().unwrap();
    assert_eq!(fields.remove("event"), Some(json!(kind)));
    assert_eq!(fields.remove("id"), Some(json!(event.id)), "the cursor is the id of the event");
    let at = fields.remove("at").unwrap();
    assert!(at.as_str().is_some_and(|at| at.len() == 27 && at.ends_with('Z')), "{at}");
    data
}

/// Those who take part in the group listen, and one who does not.
struct Listeners {
    ann: Stream,
    bob: Stream,
    eve: Stream,
}

/// Fails unless the next that each of them hears is this.
fn hear(streams: &mut [&mut Stream], kind: &str, expected: &Value) {
    for stream in streams {
        assert_eq!(said(&stream.heard(), kind), *expected);
    }
}

/// A message as events show it
fn message(place: &Place, id: &str) -> Value {
    let mut message = place.server.get(&format!("/api/messages/{id}/"), &place.ann).expect(200).json();
    message.as_object_mut().unwrap().remove("read").unwrap();
    message
}

/// A conversation as events show it
fn details(place: &Place, id: &str) -> Value {
    let mut details = place.server.get(&format!("/api/conversations/{id}/"), &place.ann).expect(200).json();
    let fields = details.as_object_mut().unwrap();
    for field in ["unread_count", "level", "last_message", "messages"] {
        fields.remove(field).unwrap();
    }
    details
}

fn begin(house: &House) -> (Place, Listeners) {
    let place = Place::new(house, &[]);
    let [ann, bob, eve] = [&place.ann, &place.bob, &place.eve].map(|token| Stream::open(&place.server, "", token));
    (place, Listeners { ann, bob, eve })
}

#[test]
fn messages_are_heard_by_those_who_take_part_whoever_wrote_them_from_whatever_process() {
    in_every_house(|house| {
        let (place, Listeners { mut ann, mut bob, mut eve }) = begin(house);
        let team = &place.team;
        let (ann_person, bob_person) = (place.person(&place.ann), place.person(&place.bob));
        let event = |actor: &Value, by_operator: Option<&str>, message: &Value, mentions: Value| {
            let mut event =
                json!({ "actor": actor, "by_operator": by_operator, "conversation": team, "message": message });
            if mentions.is_array() {
                event["mentions"] = mentions;
            }
            event
        };

        let first = place.send(&place.ann, "hello @bob");
        let expected = event(&ann_person, None, &message(&place, &first), json!([bob_person["user_id"]]));
        assert_eq!(expected["message"]["content"], "hello @bob");
        hear(&mut [&mut ann, &mut bob], "message.created", &expected);

        // Another process
        let reply = house.run("message send team reply --as bob --quiet", "").stdout.trim().to_owned();
        let expected = event(&bob_person, None, &message(&place, &reply), json!([]));
        hear(&mut [&mut ann, &mut bob], "message.created", &expected);

        let path = format!("/api/messages/{first}/");
        place.change("PATCH", &path, &place.ann, &json!({ "content": "hello all", "reason": "more people" }));
        let expected = event(&ann_person, None, &message(&place, &first), json!([]));
        assert_eq!((&expected["message"]["edited"], &expected["message"]["revision"]), (&json!(true), &json!(2)));
        hear(&mut [&mut ann, &mut bob], "message.edited", &expected);
        house.run(&format!("message restore {first} 1 --operator"), "");
        let expected = event(&Value::Null, Some("root"), &message(&place, &first), json!([bob_person["user_id"]]));
        hear(&mut [&mut ann, &mut bob], "message.edited", &expected);

        // Its reply keeps its place; what has none goes altogether.
        let body = json!({ "content": "indeed", "parent_message": reply });
        place.change("POST", &format!("/api/conversations/{team}/messages/"), &place.ann, &body);
        for stream in [&mut ann, &mut bob] {
            assert_eq!(stream.heard().data["message"]["parent_message"], json!(reply));
        }
        place.change("DELETE", &format!("/api/messages/{reply}/"), &place.bob, &Value::Null);
        let tombstone = message(&place, &reply);
        assert_eq!((&tombstone["deleted"], &tombstone["content"]), (&json!(true), &json!("")));
        let expected = event(&bob_person, None, &tombstone, Value::Null);
        hear(&mut [&mut ann, &mut bob], "message.deleted", &expected);
        house.run(&format!("message delete {first} --yes --operator"), "");
        for stream in [&mut ann, &mut bob] {
            let told = said(&stream.heard(), "message.deleted");
            assert_eq!((&told["by_operator"], &told["conversation"]), (&json!("root"), &json!(team)));
            let gone = &told["message"];
            assert_eq!(gone["message_id"], json!(first));
            assert_eq!((&gone["deleted"], &gone["content"], &gone["sender"]), (&json!(true), &json!(""), &Value::Null));
        }
        // Nothing of this was for anybody else.
        place.change("PATCH", "/api/users/me/", &place.eve, &json!({ "first_name": "Eve" }));
        assert_eq!(eve.heard().name, "user.updated");
    });
}

#[test]
fn what_is_gone_by_the_time_it_is_told_is_shown_as_a_tombstone() {
    in_every_house(|house| {
        let (place, listeners) = begin(house);
        let cursor = listeners.bob.cursor;
        let gone = place.send(&place.ann, "a secret");
        place.change("DELETE", &format!("/api/messages/{gone}/"), &place.ann, &Value::Null);
        let mut bob = Stream::resume(&place.server, "", &place.bob, &cursor);
        for kind in ["message.created", "message.deleted"] {
            let told = said(&bob.heard(), kind);
            assert_eq!(told["message"]["message_id"], json!(gone));
            assert_eq!(told["message"]["deleted"], true);
            assert!(!told.to_string().contains("secret"), "{told}");
        }
    });
}

#[test]
fn what_somebody_read_is_heard_by_them_alone() {
    in_every_house(|house| {
        let (place, Listeners { mut ann, mut bob, .. }) = begin(house);
        let id = place.send(&place.ann, "to read");
        let person = place.person(&place.bob);
        let event = |message: Option<&str>, is_read: bool| {
            let actor = &person;
            let conversation = message.map(|_| &place.team);
            json!({ "actor": actor, "by_operator": null, "conversation": conversation, "message": message, "is_read": is_read })
        };
        assert_eq!(bob.content(), "to read");
        for is_read in [true, false] {
            let path = format!("/api/notifications/{id}/");
            place.change("PATCH", &path, &place.bob, &json!({ "is_read": is_read }));
            // Again, which changes nothing
            place.change("PATCH", &path, &place.bob, &json!({ "is_read": is_read }));
            hear(&mut [&mut bob], "notification.updated", &event(Some(&id), is_read));
        }
        place.change("POST", "/api/notifications/read/", &place.bob, &Value::Null);
        hear(&mut [&mut bob], "notification.updated", &event(None, true));
        house.run(&format!("notifications unread {id} --as bob"), "");
        hear(&mut [&mut bob], "notification.updated", &event(Some(&id), false));
        assert_eq!(ann.content(), "to read");
        place.send(&place.bob, "read");
        assert_eq!(ann.content(), "read");
    });
}

#[test]
fn conversations_and_who_takes_part_are_heard_by_those_in_them_and_levels_by_oneself() {
    in_every_house(|house| {
        let (place, Listeners { mut ann, mut bob, mut eve }) = begin(house);
        let [ann_person, bob_person, eve_person] =
            [&place.ann, &place.bob, &place.eve].map(|token| place.person(token));
        let of = |conversation: &str, more: Value| {
            let mut event = json!({ "actor": ann_person, "by_operator": null, "conversation": conversation });
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let boat = place.group(&place.ann, "Boat", &["eve"]);
        let path = format!("/api/conversations/{boat}/");
        let expected = of(&boat, json!({ "details": details(&place, &boat) }));
        assert_eq!(expected["details"]["title"], "Boat");
        hear(&mut [&mut ann, &mut eve], "conversation.created", &expected);

        place.change("PATCH", &path, &place.ann, &json!({ "title": "Ship" }));
        let expected = of(&boat, json!({ "details": details(&place, &boat) }));
        assert_eq!(expected["details"]["title"], "Ship");
        hear(&mut [&mut ann, &mut eve], "conversation.updated", &expected);

        place.change("POST", &format!("{path}participants/"), &place.ann, &json!({ "participants": ["bob"] }));
        let expected = of(&boat, json!({ "user": bob_person }));
        hear(&mut [&mut ann, &mut eve], "participant.added", &expected);
        let to_oneself = of(&boat, json!({ "user": bob_person, "level": "all" }));
        hear(&mut [&mut bob], "participant.added", &to_oneself);

        place.change("PATCH", &format!("{path}participants/me/"), &place.eve, &json!({ "level": "mentions" }));
        let mut expected = of(&boat, json!({ "user": eve_person, "level": "mentions" }));
        expected["actor"] = eve_person.clone();
        hear(&mut [&mut eve], "participant.updated", &expected);

        let removed = format!("{path}participants/{}/", place.id(&place.eve));
        place.change("DELETE", &removed, &place.ann, &Value::Null);
        let expected = of(&boat, json!({ "user": eve_person }));
        hear(&mut [&mut ann, &mut bob, &mut eve], "participant.removed", &expected);

        place.change("DELETE", &path, &place.ann, &Value::Null);
        let expected = of(&boat, json!({ "details": null }));
        hear(&mut [&mut ann, &mut bob], "conversation.deleted", &expected);
        // Who was removed hears no more of it.
        place.change("PATCH", "/api/users/me/", &place.eve, &json!({ "first_name": "Eve" }));
        assert_eq!(eve.heard().name, "user.updated");
    });
}

#[test]
fn accounts_are_heard_of_by_themselves_and_their_end_by_those_they_talked_with() {
    in_every_house(|house| {
        let (place, Listeners { mut ann, mut bob, mut eve }) = begin(house);
        let start = ann.cursor.clone();
        place.change("PATCH", "/api/users/me/", &place.bob, &json!({ "first_name": "Bob" }));
        let person = place.person(&place.bob);
        assert_eq!(person["first_name"], "Bob");
        let expected = json!({ "actor": person, "by_operator": null, "conversation": null, "user": person });
        hear(&mut [&mut bob], "user.updated", &expected);

        // Nobody listens before their account is there; with an earlier cursor they hear that it was made.
        house.run("user create gus --password-stdin", "correct horse 9");
        let (gus, _) = place.server.log_in("gus", "correct horse 9");
        let mut gus_hears = Stream::resume(&place.server, "", &gus, &start);
        let person = place.person(&gus);
        let expected = json!({ "actor": null, "by_operator": "root", "conversation": null, "user": person });
        hear(&mut [&mut gus_hears], "user.created", &expected);

        place.send(&place.bob, "last words");
        for stream in [&mut ann, &mut bob] {
            assert_eq!(stream.content(), "last words");
        }
        let id = place.id(&place.bob);
        place.change("DELETE", "/api/user/delete/", &place.bob, &Value::Null);
        let last = loop {
            let event = ann.heard();
            if event.name == "user.deleted" {
                break said(&event, "user.deleted");
            }
            assert!(["message.deleted", "participant.removed"].contains(&event.name.as_str()), "{event:?}");
            assert!(!event.data.to_string().contains("last words"), "{event:?}");
        };
        assert_eq!((&last["user"]["user_id"], &last["user"]["username"]), (&json!(id), &Value::Null), "{last}");
        assert_eq!((&last["actor"], &last["conversation"]), (&Value::Null, &Value::Null), "who did it is gone");
        place.change("PATCH", "/api/users/me/", &place.eve, &json!({ "first_name": "Eve" }));
        assert_eq!(eve.heard().name, "user.updated", "nobody else hears of it");
    });
}
