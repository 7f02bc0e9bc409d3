//! Where a listener goes on: behind the last event that was heard, or anew where the log no longer holds it.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Place;
use super::stream::{Event, Stream};
use crate::http::{House, WORLD, in_every_house, messages_of, world};
use crate::server::{Connection, Server};

/// Changes the database behind the program's back.
fn execute(house: &House, sql: &str) {
    if house.schema.is_some() {
        postgres::Client::connect(&house.address, postgres::NoTls).unwrap().batch_execute(sql).unwrap();
    } else {
        rusqlite::Connection::open(house.shell.path(&house.address)).unwrap().execute_batch(sql).unwrap();
    }
}

/// Fails unless a stream begins with a reset for that reason, and a cursor to go on from.
fn is_reset(event: &Event, reason: &str) {
    assert_eq!((event.name.as_str(), &event.data), ("reset", &json!({ "reason": reason })), "{event:?}");
    assert!(event.id.is_some());
}

#[test]
fn who_comes_again_with_a_cursor_misses_nothing_and_hears_nothing_twice() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let mut stream = Stream::open(&place.server, "", &place.bob);
        let start = stream.cursor.clone();
        for content in ["one", "two", "three"] {
            place.send(&place.ann, content);
        }
        assert_eq!(stream.content(), "one");
        let cursor = stream.cursor.clone();
        drop(stream);
        // Two more while nobody listens, one by another process
        place.send(&place.ann, "four");
        house.run("message send team five --as ann", "");
        let query = format!("?since={cursor}");
        let both = format!("?since={start}");
        for mut stream in [
            Stream::resume(&place.server, "", &place.bob, &cursor),
            Stream::open(&place.server, &query, &place.bob),
            // The address says where a client began, the header what it has heard since.
            Stream::resume(&place.server, &both, &place.bob, &cursor),
        ] {
            assert_eq!((stream.first.name.as_str(), &stream.first.id), ("bookmark", &Some(cursor.clone())));
            assert_eq!([0; 4].map(|_| stream.content()), ["two", "three", "four", "five"]);
        }
        // The tabs of a browser begin together, where the one that is furthest behind is.
        let mut ahead = Stream::open(&place.server, &query, &place.bob);
        assert_eq!(ahead.content(), "two");
        let later = ahead.cursor.clone();
        for query in [format!("?since={later}&since={cursor}"), format!("?since={cursor}&since={later}")] {
            let mut stream = Stream::open(&place.server, &query, &place.bob);
            assert_eq!(stream.first.id.as_deref(), Some(cursor.as_str()));
            assert_eq!(stream.content(), "two");
        }
        let foreign = format!("?since={cursor}&since={}", "A".repeat(54));
        is_reset(&Stream::open(&place.server, &foreign, &place.bob).first, "other_log");
        let many = format!("?{}", vec![format!("since={cursor}"); 101].join("&"));
        Stream::ask(&place.server, &many, &place.bob, &[]).err().unwrap().problem(400, "invalid");
        // An empty one is none.
        let mut now = Stream::ask(&place.server, "?since=", &place.bob, &[("Last-Event-ID", "")]).ok().unwrap();
        place.send(&place.ann, "six");
        assert_eq!(now.content(), "six");
        // Others' cursors lead to the same place, to hear from there what is one's own to hear.
        let mut eve = Stream::resume(&place.server, "", &place.eve, &start);
        place.change("PATCH", "/api/users/me/", &place.eve, &json!({ "first_name": "Eve" }));
        assert_eq!(eve.heard().name, "user.updated");
    });
}

#[test]
fn a_replay_meets_what_is_written_meanwhile_without_a_gap_or_a_repetition() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let start = Stream::open(&place.server, "", &place.bob).cursor;
        let path = format!("/api/conversations/{}/messages/", place.team);
        // More than one page of the log, and then more while they catch up
        let send = |count: usize| {
            let mut connection = Connection::to(place.server.address()).unwrap();
            for _ in 0..count {
                connection.ask("POST", &path, &place.ann, r#"{"content": "counted"}"#).unwrap().expect(201);
            }
        };
        send(600);
        thread::scope(|scope| {
            for listener in 0..6 {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    let mut cursor = start.clone();
                    let mut numbers = Vec::new();
                    // It goes away again and again, each at other places.
                    'all: for round in 0.. {
                        let mut stream = Stream::resume(&place.server, "", &place.bob, &cursor);
                        for _ in 0..(37 + 61 * listener) * (round + 1) {
                            numbers.push(stream.heard().data["message"]["number"].as_i64().unwrap());
                            if numbers.len() == 1000 {
                                break 'all;
                            }
                        }
                        cursor = stream.cursor;
                    }
                    // The first message is that of the world.
                    assert_eq!(numbers, (2..1002).collect::<Vec<i64>>());
                });
            }
            scope.spawn(move || send(200));
            scope.spawn(move || send(200));
        });
    });
}

#[test]
fn what_is_no_cursor_is_refused_and_one_that_was_forged_leads_nowhere() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let mut stream = Stream::open(&place.server, "", &place.bob);
        place.send(&place.ann, "hello");
        assert_eq!(stream.content(), "hello");
        let cursor = stream.cursor.clone();
        let long = "A".repeat(cursor.len() + 1);
        for wrong in ["0", "abc", &cursor[1..], &long, &cursor.replace(|_: char| true, "%2B"), "19fb-%00"] {
            let refused = Stream::ask(&place.server, &format!("?since={wrong}"), &place.bob, &[]).err().unwrap();
            let problem = refused.problem(400, "invalid");
            assert!(problem["errors"]["since"].is_array(), "{problem}");
        }
        for wrong in ["abc", "\u{e9}", &format!("{cursor} ")[1..]] {
            let refused = Stream::ask(&place.server, "", &place.bob, &[("Last-Event-ID", wrong)]).err().unwrap();
            refused.problem(400, "invalid");
        }
        // Each letter is sealed.
        for place_of_letter in [0, cursor.len() / 2, cursor.len() - 2] {
            let mut forged = cursor.clone().into_bytes();
            forged[place_of_letter] = if forged[place_of_letter] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            let mut stream = Stream::resume(&place.server, "", &place.bob, &forged);
            is_reset(&stream.first, "other_log");
            place.send(&place.ann, "after it");
            assert_eq!(stream.content(), "after it");
        }
    });
}

#[test]
fn where_the_log_no_longer_reaches_back_a_listener_begins_anew_and_goes_on() {
    in_every_house(|house| {
        let place = Place::new(house, &[]);
        let mut stream = Stream::open(&place.server, "", &place.bob);
        for content in ["one", "two", "three"] {
            place.send(&place.ann, content);
        }
        let cursors = [(); 3].map(|()| stream.heard().id.unwrap());
        execute(house, "DELETE FROM event_audience; DELETE FROM event WHERE key < (SELECT max(key) FROM event) - 1");
        is_reset(&Stream::resume(&place.server, "", &place.bob, &cursors[0]).first, "too_old");
        let mut kept = Stream::resume(&place.server, "", &place.bob, &cursors[1]);
        assert_eq!(kept.first.name, "bookmark");
        assert_eq!(kept.content(), "three");
        // Anew once, and on from there
        let cursor = Stream::resume(&place.server, "", &place.bob, &cursors[0]).cursor;
        let mut again = Stream::resume(&place.server, "", &place.bob, &cursor);
        assert_eq!(again.first.name, "bookmark");
        place.send(&place.ann, "four");
        assert_eq!(again.content(), "four");
    });
}

#[test]
fn who_listens_when_a_server_goes_back_begins_anew_and_so_does_who_comes_with_a_cursor_from_before() {
    let fixture = format!("{WORLD}- {{type: user, username: eve}}\n");
    let server = Server::ephemeral(&fixture, &["ann", "bob"], &[]);
    let messages = messages_of(&server, server.token("bob"));
    let send = |content: &str| {
        server.post(&messages, server.token("ann"), &json!({ "content": content })).expect(201);
    };
    let mut early = Stream::open(&server, "", server.token("bob"));
    send("one");
    assert_eq!(early.content(), "one");
    let before_mark = early.cursor.clone();
    server.test("checkpoint").expect(204);
    send("two");
    assert_eq!(early.content(), "two");
    let behind_mark = early.cursor.clone();
    server.test("rollback").expect(204);
    is_reset(&early.heard(), "other_log");
    send("another");
    assert_eq!(early.content(), "another");
    for cursor in [&before_mark, &behind_mark] {
        let mut late = Stream::resume(&server, "", server.token("bob"), cursor);
        is_reset(&late.first, "other_log");
        send("more");
        assert_eq!(late.content(), "more");
        assert_eq!(early.content(), "more");
    }
}

#[test]
fn the_log_of_a_copy_or_of_a_restored_database_is_another() {
    let shell = world();
    let serve =
        |database: &str| Server::start(&shell.path(""), &["--db", database], &[("SECRET_KEY", "one secret for all")]);
    let listen = |database: &str, since: Option<&str>, content: &str| {
        let server = serve(database);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let mut stream = match since {
            Some(cursor) => Stream::resume(&server, "", &token, cursor),
            None => Stream::open(&server, "", &token),
        };
        server.post(&messages_of(&server, &token), &token, &json!({ "content": content })).expect(201);
        assert_eq!(stream.content(), content);
        (stream.first, stream.cursor)
    };
    shell.done("db backup copy.db");
    let (_, in_one) = listen("test.db", None, "in one");
    let (_, in_other) = listen("copy.db", None, "in the other");
    let (first, _) = listen("test.db", Some(&in_one), "again");
    assert_eq!(first.name, "bookmark");
    // Both have an event at that place, with another message.
    is_reset(&listen("test.db", Some(&in_other), "third").0, "other_log");
    is_reset(&listen("copy.db", Some(&in_one), "third").0, "other_log");
    // A place that one of them has not reached yet
    let (_, further) = listen("test.db", None, "fourth");
    is_reset(&listen("copy.db", Some(&further), "fifth").0, "other_log");

    shell.done("db backup backup.db");
    let (_, cursor) = listen("test.db", None, "before the backup is back");
    shell.done("db restore backup.db --yes");
    is_reset(&listen("test.db", Some(&cursor), "after it").0, "other_log");
    is_reset(&listen("test.db", Some(&in_one), "after it").0, "other_log");
}

#[test]
fn bookmarks_say_how_far_the_quiet_have_come() {
    let house = House { shell: world(), address: "test.db".to_owned(), schema: None };
    let place = Place::new(&house, &[]);
    let (mut bob, mut eve) = (Stream::open(&place.server, "", &place.bob), Stream::open(&place.server, "", &place.eve));
    let start = eve.cursor.clone();
    place.send(&place.ann, "not for eve");
    assert_eq!(bob.content(), "not for eve");
    // Every 15 seconds: the stream lives, and the cursor of who hears nothing moves on all the same.
    let begun = Instant::now();
    let bookmark = eve.next().unwrap().unwrap();
    assert_eq!((bookmark.name.as_str(), &bookmark.data), ("bookmark", &json!({})));
    assert!(begun.elapsed() > Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_ne!(bookmark.id.as_ref(), Some(&start));
    let mut resumed = Stream::resume(&place.server, "", &place.bob, bookmark.id.as_ref().unwrap());
    place.send(&place.ann, "behind it");
    assert_eq!(resumed.content(), "behind it", "nothing that came before it");
}
