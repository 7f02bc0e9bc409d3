//! Lists of one conversation that are narrowed to a time or to what is unread: in its order, whatever that has to do with times
//! and with the order in which messages came in, and at the cost of few messages.

use std::collections::BTreeSet;

use tidings::error::Result;
use tidings::model::{Actor, Message, Number, Seek, Timestamp};
use tidings::service::messages::{self, List, Matching};
use tidings::store::Tx;

use crate::support::{NOON, World, on_every_engine, place, selector};

fn at(seconds: i64) -> Timestamp {
    NOON.plus_seconds(seconds)
}

/// A group of two
fn team(world: &World) -> [Actor; 2] {
    let [ann, bob] = [world.user("ann"), world.user("bob")];
    world.group("team", &ann, &[&bob]);
    [ann, bob]
}

/// The first says something with each of these numbers, a second apart, which the other has read or not.
fn say(world: &World, first: i64, last: i64, is_read: bool) {
    world.insert(&format!(
        "WITH RECURSIVE step (number) AS (SELECT {first} UNION ALL SELECT number + 1 FROM step WHERE number < {last})
         INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
         SELECT gen_random_uuid(), 1, number, 1, '{}',
             {} + CAST(number AS BIGINT) * 1000000 FROM step;
         INSERT INTO notification (message_key, user_key, conversation_key, kind, is_read)
         SELECT key, 2, 1, 0, {is_read} FROM message WHERE number >= {first};
         UPDATE conversation SET last_number = {last}, message_count = {last}",
        "words ".repeat(70),
        NOON.0
    ));
}

/// Pages read after much more was said: trees may be deeper, and engines choose other ways to the same few rows; the messages that
/// were added lie on at least 800 pages.
fn must_be_as_many(some: [u64; 2], many: [u64; 2]) {
    println!("{some:?} {many:?}");
    for (some, many) in some.into_iter().zip(many) {
        assert!(many <= some + 200, "{some} {many}");
    }
}

fn list(tx: &mut Tx<'_>, actor: &Actor, request: &List) -> Result<Vec<i64>> {
    Ok(numbers(&messages::begin(tx, actor, request, usize::MAX)?.0))
}

fn numbers(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.number.0).collect()
}

fn in_team() -> List {
    List { conversation: Some(place("team")), limit: 20, ..List::default() }
}

#[test]
fn a_list_of_a_time_reads_no_more_however_much_was_said_since() {
    on_every_engine(|world| {
        let [ann, _] = team(world);
        let (since, until) = (Some(at(100)), Some(at(1_300)));
        let looked = || {
            let listed = world.pages_read("message", |tx| {
                let newest = list(tx, &ann, &List { since, until, ..in_team() })?;
                assert_eq!(newest, (1_280..1_300).collect::<Vec<_>>());
                Ok(())
            });
            let paged = world.pages_read("message", |tx| {
                let matching = Matching { since, until, ..Matching::default() };
                let page = messages::page_of(tx, &ann, &place("team"), &matching, None, (20, false))?;
                assert_eq!(numbers(&page.items), (1_280..1_300).rev().collect::<Vec<_>>());
                assert_eq!(page.count, 1_200);
                Ok(())
            });
            [listed, paged]
        };
        say(world, 1, 10_000, true);
        let some = looked();
        say(world, 10_001, 24_000, true);
        must_be_as_many(some, looked());
    });
}

#[test]
fn a_page_of_what_is_unread_in_a_conversation_reads_no_more_however_much_of_it_there_is() {
    on_every_engine(|world| {
        let [_, bob] = team(world);
        let looked = |last: i64| {
            let read = |tx: &mut Tx<'_>| {
                let newest = list(tx, &bob, &List { unread: true, ..in_team() })?;
                assert_eq!(newest, (last - 19..=last).collect::<Vec<_>>());
                Ok(())
            };
            ["message", "notification"].map(|table| world.pages_read(table, read))
        };
        say(world, 1, 10_000, false);
        let some = looked(10_000);
        say(world, 10_001, 24_000, false);
        must_be_as_many(some, looked(24_000));
    });
}

#[test]
fn few_unread_messages_are_found_without_looking_at_all_that_was_read_since() {
    on_every_engine(|world| {
        let [_, bob] = team(world);
        let looked = || {
            let read = |tx: &mut Tx<'_>| {
                let newest = list(tx, &bob, &List { unread: true, ..in_team() })?;
                assert_eq!(newest, (181..=200).collect::<Vec<_>>());
                Ok(())
            };
            ["message", "notification"].map(|table| world.pages_read(table, read))
        };
        say(world, 1, 200, false);
        say(world, 201, 10_000, true);
        let some = looked();
        say(world, 10_001, 24_000, true);
        must_be_as_many(some, looked());
    });
}

/// Messages whose numbers, times and order of coming in have nothing to do with each other
fn say_in_no_order(world: &World) {
    let message = |key: i64| {
        let (number, second, sender) = (1 + key * 7_919 % 997, key * 104_729 % 211, 1 + key % 2);
        format!("(gen_random_uuid(), 1, {number}, {sender}, 'hi', {})", at(second).0)
    };
    let messages = (1..=420).map(message).collect::<Vec<_>>().join(", ");
    world.insert(&format!(
        "INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at) VALUES {messages};
         INSERT INTO notification (message_key, user_key, conversation_key, kind, is_read)
         SELECT key, 2, 1, 0, key % 3 = 0 FROM message WHERE sender_key = 1;
         UPDATE conversation SET last_number = 997, message_count = 420"
    ));
}

#[test]
fn a_narrowed_list_is_in_the_order_of_numbers_whatever_the_times_and_the_order_of_coming_in() {
    on_every_engine(|world| {
        let [ann, bob] = team(world);
        say_in_no_order(world);
        let everything = List { limit: 1_000, ..in_team() };
        let all = world.app.read(|tx| Ok(messages::begin(tx, &bob, &everything, usize::MAX)?.0)).unwrap();
        assert_eq!(all.len(), 420);
        let unread: BTreeSet<i64> = world
            .notifications(&bob)
            .into_iter()
            .filter(|(.., is_read)| !is_read)
            .map(|(_, number, _)| number)
            .collect();
        assert!(unread.len() > 100, "{}", unread.len());
        let expected = |request: &List, sender: Option<&str>| {
            let is_meant = |message: &&Message| {
                let number = message.number;
                request.after.is_none_or(|after| number > after)
                    && request.before.is_none_or(|before| number < before)
                    && request.since.is_none_or(|since| message.timestamp >= since)
                    && request.until.is_none_or(|until| message.timestamp < until)
                    && sender.is_none_or(|name| message.sender.as_ref().is_some_and(|sender| sender.username == name))
                    && (!request.unread || unread.contains(&number.0))
            };
            let mut found: Vec<i64> = all.iter().filter(is_meant).map(|message| message.number.0).collect();
            let limit = usize::try_from(request.limit).unwrap().min(found.len());
            if request.after.is_some() { found[..limit].to_vec() } else { found.split_off(found.len() - limit) }
        };
        let times = [(None, None), (Some(200), None), (None, Some(3)), (Some(20), Some(150)), (Some(100), Some(101))];
        let bounds =
            [(None, None), (None, Some(300)), (Some(500), None), (Some(100), Some(900)), (Some(600), Some(601))];
        let mut asked = Vec::new();
        for (since, until) in times {
            for (after, before) in bounds {
                for limit in [1, 30, 1_000] {
                    let (since, until) = (since.map(at), until.map(at));
                    let (after, before) = (after.map(Number), before.map(Number));
                    asked.push(List { since, until, after, before, limit, ..in_team() });
                    if after.or(before).is_none() {
                        asked.push(List { since, until, limit, unread: true, ..in_team() });
                    }
                }
            }
        }
        for request in asked {
            for sender in [None, Some(&ann)] {
                let narrower = List { sender: sender.map(selector), ..request.clone() };
                let found = world.app.read(|tx| list(tx, &bob, &narrower)).unwrap();
                assert_eq!(found, expected(&request, sender.map(|_| "ann")), "{narrower:?}");
            }
        }
        // REST reads the same, from either end, behind a number and before it.
        let (since, until) = (Some(at(20)), Some(at(150)));
        let matching = Matching { since, until, ..Matching::default() };
        let everything = expected(&List { since, until, limit: 1_000, ..in_team() }, None);
        for (seek, oldest_first, from) in [
            (None, false, (None, Some(i64::MAX))),
            (None, true, (Some(0), None)),
            (Some(Seek::After(Number(500))), false, (None, Some(500))),
            (Some(Seek::After(Number(500))), true, (Some(500), None)),
            (Some(Seek::Before(Number(500))), false, (Some(500), None)),
            (Some(Seek::Before(Number(500))), true, (None, Some(500))),
        ] {
            let page = |tx: &mut Tx<'_>| {
                messages::page_of(tx, &bob, &place("team"), &matching, seek.as_ref(), (9, oldest_first))
            };
            let page = world.app.read(page).unwrap();
            let (after, before) = (from.0.map(Number), from.1.map(Number));
            let mut part = expected(&List { since, until, after, before, limit: 9, ..in_team() }, None);
            if !oldest_first {
                part.reverse();
            }
            assert_eq!(numbers(&page.items), part, "{seek:?} {oldest_first}");
            assert_eq!(usize::try_from(page.count).unwrap(), everything.len());
        }
    });
}
