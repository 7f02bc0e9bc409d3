//! The order of lists whose rows have times of their own: in pages either way, over HTTP and by command.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{House, in_every_house};
use crate::server::Server;

/// When each of these was said, in seconds, whatever the order in which they were loaded
const SAID: [(&str, &[i64]); 3] = [("oldest", &[9, 30]), ("middle", &[1, 4, 5, 8]), ("newest", &[2, 3, 6, 7, 21])];

/// Three groups of ann and bob, where ann says something at times that lie between each other's, and bob is notified
fn talk(house: &House) {
    let mut records = String::new();
    for (name, _) in SAID {
        writeln!(records, r#"{{"type":"conversation","name":"{name}","participants":["ann","bob"],"creator":"ann"}}"#)
            .unwrap();
    }
    for (name, times) in SAID {
        for time in times {
            let said = json!({"type": "message", "conversation": name, "sender": "ann", "content": format!("word {time}"),
                "key": format!("k{time}"), "timestamp": format!("2020-01-01T09:00:{time:02}Z")});
            writeln!(records, "{said}").unwrap();
            writeln!(records, r#"{{"type":"notification","user":"bob","message":"k{time}"}}"#).unwrap();
        }
    }
    house.run("conversation delete team --yes", "");
    house.run("data load -", &records);
}

/// A list over HTTP, by pages of two: all of it, found the same forwards and backwards
fn walked(server: &Server, token: &str, path: &str, field: &str) -> Vec<String> {
    let page = |path: &str| {
        let page = server.get(path, token).expect(200).json();
        let pointer = format!("/{}", field.replace('.', "/"));
        let items = page["results"].as_array().unwrap().iter();
        let ids: Vec<String> = items.map(|item| item.pointer(&pointer).unwrap().as_str().unwrap().to_owned()).collect();
        (ids, page)
    };
    let link = |page: &Value, name: &str| page[name].as_str().map(ToOwned::to_owned);
    let sized = |size| format!("{path}{}page_size={size}", if path.contains('?') { '&' } else { '?' });
    let (whole, _) = page(&sized(100));
    let (first, mut current) = page(&sized(2));
    let mut pages = vec![first];
    assert_eq!(current["previous"], Value::Null);
    while let Some(next) = link(&current, "next") {
        let (items, found) = page(&next);
        assert!(!items.is_empty() && items.len() <= 2, "{path}: {items:?}");
        pages.push(items);
        current = found;
    }
    assert_eq!(pages.concat(), whole, "{path}");
    for expected in pages.iter().rev().skip(1) {
        let (items, found) = page(&link(&current, "previous").unwrap());
        assert_eq!(&items, expected, "{path}");
        current = found;
    }
    assert_eq!(current["previous"], Value::Null, "{path}");
    whole
}

/// What a command lists as bob
fn listed(house: &House, line: &str, field: &str) -> Vec<String> {
    let found: Value = serde_json::from_str(&house.run(&format!("{line} --as bob -o json"), "").stdout).unwrap();
    let pointer = format!("/{}", field.replace('.', "/"));
    found.as_array().unwrap().iter().map(|item| item.pointer(&pointer).unwrap().as_str().unwrap().to_owned()).collect()
}

fn words(times: impl IntoIterator<Item = i64>) -> Vec<String> {
    times.into_iter().map(|time| format!("word {time}")).collect()
}

fn reversed(mut list: Vec<String>) -> Vec<String> {
    list.reverse();
    list
}

#[test]
fn lists_go_by_time_in_pages_either_way_and_by_command() {
    in_every_house(|house| {
        talk(house);
        let server = house.serve(&[]);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let all = words([30, 21, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(walked(&server, &token, "/api/messages/", "content"), all);
        assert_eq!(walked(&server, &token, "/api/messages/?sender=ann", "content"), all);
        assert_eq!(listed(house, "message list", "content"), reversed(all.clone()));
        assert_eq!(listed(house, "message list --limit 4", "content"), words([8, 9, 21, 30]));
        assert_eq!(listed(house, "message list --from ann --limit 2", "content"), words([21, 30]));
        let between = "message list --since 2020-01-01T09:00:03Z --until 2020-01-01T09:00:08Z";
        assert_eq!(listed(house, between, "content"), words(3..8));
        let found = walked(&server, &token, "/api/messages/?search=word", "content");
        assert_eq!(listed(house, "message search word", "content"), found);
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), all.iter().collect());

        let groups = ["oldest", "newest", "middle"];
        assert_eq!(walked(&server, &token, "/api/conversations/", "name"), groups);
        assert_eq!(listed(house, "conversation list", "name"), groups);
        assert_eq!(listed(house, "conversation list --after newest", "name"), ["middle"]);
        assert_eq!(listed(house, "conversation list --limit 1", "name"), ["oldest"]);

        for (name, times) in SAID {
            let id = listed(house, &format!("conversation list --search {name}"), "conversation_id").pop().unwrap();
            let newest_first = reversed(words(times.iter().copied()));
            let path = format!("/api/conversations/{id}/messages/");
            assert_eq!(walked(&server, &token, &path, "content"), newest_first);
            assert_eq!(
                walked(&server, &token, &format!("{path}?ordering=timestamp"), "content"),
                reversed(newest_first)
            );
            for before in 1..=times.len() {
                let page = listed(house, &format!("message list {name} --before {before} --limit 2"), "content");
                assert_eq!(page, words(times[before.saturating_sub(3)..before - 1].iter().copied()));
                let page = listed(house, &format!("message list {name} --after {before} --limit 2"), "content");
                assert_eq!(page, words(times[before..times.len().min(before + 2)].iter().copied()));
            }
        }
    });
}

#[test]
fn what_was_read_is_in_no_list_of_what_is_unread() {
    in_every_house(|house| {
        talk(house);
        let server = house.serve(&[]);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let mut unread = walked(&server, &token, "/api/messages/unread/", "content");
        assert_eq!(unread.len(), 11);
        let first = unread[0].clone();
        let must_be = |unread: &[String]| {
            assert_eq!(walked(&server, &token, "/api/messages/unread/", "content"), unread);
            assert_eq!(walked(&server, &token, "/api/notifications/?is_read=false", "message.content"), unread);
            assert_eq!(listed(house, "notifications list --unread", "message.content"), unread);
            let mut by_command = listed(house, "message list --unread", "content");
            by_command.sort();
            let mut sorted = unread.to_vec();
            sorted.sort();
            assert_eq!(by_command, sorted);
            let count = unread.len().to_string();
            let counted = house.run("notifications count --as bob -o json", "").stdout;
            assert!(counted.contains(&count), "{counted}");
        };
        let read = |word: &str| {
            let key = word.replace("word ", "k");
            let found: Value = serde_json::from_str(&house.run("message list --as bob -o json", "").stdout).unwrap();
            let is_it = |message: &&Value| message["content"] == format!("word {}", &key[1..]);
            found.as_array().unwrap().iter().find(is_it).unwrap()["message_id"].as_str().unwrap().to_owned()
        };
        // One from the middle by command, the first and the last over HTTP, one again unread.
        let middle = unread.remove(5);
        house.run(&format!("message read {} --as bob", read(&middle)), "");
        must_be(&unread);
        let last = unread.pop().unwrap();
        unread.remove(0);
        let ids = json!({ "message_ids": [read(&first), read(&last)] });
        server.ask("PATCH", "/api/messages/unread/", &token, &[], Some(&ids)).expect(200);
        must_be(&unread);
        house.run(&format!("notifications unread {} --as bob", read(&first)), "");
        unread.insert(0, first);
        must_be(&unread);
        house.run("message read newest --as bob", "");
        unread.retain(|word| !words(SAID[2].1.iter().copied()).contains(word));
        must_be(&unread);
        // What the sender's own list says of others' reading is not theirs.
        assert_eq!(
            walked(&server, &server.log_in("ann", "correct horse 7").0, "/api/messages/unread/", "content"),
            [""; 0]
        );
    });
}

#[test]
fn of_more_than_a_thousand_unread_messages_a_thousand_are_counted() {
    in_every_house(|house| {
        let mut records = String::new();
        for number in 1..=1001 {
            writeln!(
                records,
                r#"{{"type":"message","conversation":"team","sender":"ann","content":"{number}","key":"n{number}"}}"#
            )
            .unwrap();
        }
        house.run("data load - --notify", &records);
        house.run("message read team#1 --as bob", "");
        let server = house.serve(&[]);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let must_be = |count: i64| {
            let found: Value =
                serde_json::from_str(&house.run("conversation list --as bob -o json", "").stdout).unwrap();
            assert_eq!(found[0]["unread_count"], count);
            let over_http = server.get("/api/conversations/", &token).expect(200).json();
            assert_eq!(over_http["results"][0]["unread_count"], count);
        };
        must_be(1000);
        house.run("message read team#2 --as bob", "");
        must_be(1000);
        house.run("message read team#500 --as bob", "");
        must_be(999);
    });
}
