//! One order in a conversation, by number; and times that never run backwards in it.

use std::cell::Cell;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tidings::app::{App, Options};
use tidings::error::{Error, Result};
use tidings::model::{Actor, Message, MessageSelector, Number, Seek, Timestamp};
use tidings::service::accounts;
use tidings::service::conversations::{self, ConversationChange};
use tidings::service::messages::{self, List, Matching, MessageEdit, Partial, Search};
use tidings::service::users::{self, UserChange};
use tidings::store::{Db, Location, Tx};

use crate::support::{ANALYZE, NOON, World, draft, on_every_engine, operator, place, selector, texts};
use crate::transfer::load::load;

fn numbers(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.number.0).collect()
}

/// Records of messages of 2020 to the group `team`, with these numbers, where they have any
fn of_2020(numbers: &[Option<i64>]) -> String {
    let record = |(index, number): (usize, &Option<i64>)| {
        let number = number.map(|number| format!(r#","number":{number}"#)).unwrap_or_default();
        format!(
            r#"{{"type":"message","conversation":"team","sender":"bob","content":"old words","timestamp":"2020-01-01T09:{:02}:{:02}Z"{number}}}"#,
            index / 60,
            index % 60
        )
    };
    numbers.iter().enumerate().map(record).collect::<Vec<_>>().join("\n")
}

#[test]
fn whatever_time_its_messages_bring_a_conversation_is_in_the_order_of_their_numbers_in_every_list() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let first = world.send(&ann, "team", "new words");
        world.reply(&ann, "team", &first, "new words");
        world.reply(&ann, "team", &first, "new words");
        assert_eq!(load(world, &of_2020(&[None, None, Some(9), Some(7)])).unwrap().created.older, 3);
        let list = |change: &dyn Fn(List) -> List| {
            let whole = List { conversation: Some(place("team")), limit: 100, ..List::default() };
            numbers(&world.app.read(|tx| crate::support::list_messages(tx, &bob, &change(whole.clone()))).unwrap())
        };
        assert_eq!(list(&|list| list), [1, 2, 3, 4, 5, 7, 9]);
        assert_eq!(list(&|list| List { limit: 2, ..list }), [7, 9]);
        assert_eq!(list(&|list| List { limit: 2, before: Some(Number(7)), ..list }), [4, 5]);
        assert_eq!(list(&|list| List { limit: 2, before: Some(Number(2)), ..list }), [1]);
        assert_eq!(list(&|list| List { limit: 3, after: Some(Number(2)), ..list }), [3, 4, 5]);
        assert_eq!(list(&|list| List { unread: true, limit: 2, ..list }), [2, 3]);
        // By a time too, which is not in that order.
        let (day, noon) = (Timestamp(1_577_869_200_000_000), Some(NOON));
        assert_eq!(list(&|list| List { since: noon, limit: 2, ..list }), [2, 3]);
        assert_eq!(list(&|list| List { until: noon, limit: 3, ..list }), [5, 7, 9]);
        assert_eq!(list(&|list| List { until: noon, limit: 2, before: Some(Number(9)), ..list }), [5, 7]);
        assert_eq!(list(&|list| List { until: noon, limit: 2, after: Some(Number(4)), ..list }), [5, 7]);
        let brief = Some(day.plus_seconds(3));
        assert_eq!(list(&|list| List { since: Some(day.plus_seconds(1)), until: brief, ..list }), [5, 9]);
        // REST has the same ones.
        let page = |seek: Option<Seek<Number>>| {
            let matching = Matching::default();
            let page =
                world.app.read(|tx| messages::page_of(tx, &bob, &place("team"), &matching, seek.as_ref(), (3, false)));
            numbers(&page.unwrap().items)
        };
        assert_eq!(page(None), [9, 7, 5]);
        assert_eq!(page(Some(Seek::After(Number(5)))), [4, 3, 2]);
        assert_eq!(page(Some(Seek::Before(Number(5)))), [9, 7]);
        let view = world.app.read(|tx| conversations::show(tx, &bob, &place("team"))).unwrap();
        assert_eq!(view.last_message.map(|last| last.number), Some(Number(9)));
        let thread = world.app.read(|tx| {
            let keys = messages::thread(tx, &bob, &MessageSelector::Id(first.message_id))?;
            messages::resume(tx, &bob, &keys.into_iter().map(|(key, _)| key).collect::<Vec<_>>())
        });
        assert_eq!(numbers(&thread.unwrap()), [1, 2, 3]);
        assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
    });
}

#[test]
fn a_search_in_a_conversation_is_in_the_order_of_its_numbers_and_elsewhere_in_that_of_time() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("hall", &ann, &[&bob]);
        world.send(&ann, "hall", "new words");
        world.send(&ann, "team", "new words");
        // Numbers that were left out come last.
        load(world, &of_2020(&[Some(9), Some(3), Some(4)])).unwrap();
        let search = |conversation: Option<&str>, limit| {
            let request =
                Search { query: "words".to_owned(), conversation: conversation.map(place), limit, ..Search::default() };
            let found = world.app.read(|tx| messages::search(tx, &bob, &request, &|| false)).unwrap().messages;
            found.into_iter().map(|found| found.message.number.0).collect::<Vec<_>>()
        };
        assert_eq!(search(Some("team"), 100), [9, 4, 3, 1]);
        assert_eq!(search(Some("team"), 2), [9, 4]);
        assert_eq!(search(None, 100), [1, 1, 4, 3, 9]);
        let mut seek = None;
        let mut pages = Vec::new();
        loop {
            let request =
                Search { query: "words".to_owned(), conversation: Some(place("team")), limit: 3, ..Search::default() };
            let (page, _) =
                world.app.read(|tx| messages::search_page(tx, &bob, &request, seek.as_ref(), &|| false)).unwrap();
            pages.push(page.items.iter().map(|found| found.message.number.0).collect::<Vec<_>>());
            seek = page.next;
            if seek.is_none() {
                break;
            }
        }
        assert_eq!(pages, [vec![9, 4, 3], vec![1]]);
    });
}

/// Messages of bob's with the word `words`, which search knows, to the first or the second conversation that was made, a second apart
fn index_words(world: &World, conversation: i64, numbers: std::ops::RangeInclusive<i64>, first: Timestamp) {
    let (begin, end) = numbers.into_inner();
    world.insert(&format!(
        "WITH RECURSIVE step (number) AS (SELECT {begin} UNION ALL SELECT number + 1 FROM step WHERE number < {end})
         INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
         SELECT gen_random_uuid(), {conversation}, number, 2, 'words', {} + CAST(number AS BIGINT) * 1000000 FROM step",
        first.0
    ));
    let known =
        format!("FROM message WHERE conversation_key = {conversation} AND number >= {begin} AND number <= {end}");
    world.execute(&match &world.location {
        Location::Sqlite(_) => format!(
            "INSERT INTO message_search (rowid, words, conversation_words)
             SELECT key, '_2 words', '_{conversation}__2 _{conversation}_words' {known}"
        ),
        Location::Postgres(_) => format!(
            "INSERT INTO message_search (message_key, words, conversation_words)
             SELECT key, array_to_tsvector(ARRAY['_2', 'words']),
                 array_to_tsvector(ARRAY['_{conversation}__2', '_{conversation}_words']) {known}; {ANALYZE}"
        ),
    });
}

#[test]
fn a_search_shows_the_newest_however_many_older_messages_were_loaded_since() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("hall", &ann, &[&bob]);
        index_words(world, 2, 1..=40, NOON);
        index_words(world, 1, 20_001..=20_040, NOON.plus_seconds(-20_000));
        let shown = |actor: &Actor, conversation: Option<&str>, ranked| {
            let request = Search {
                query: "words".to_owned(),
                conversation: conversation.map(place),
                ranked,
                limit: 5,
                ..Search::default()
            };
            let found = world.app.read(|tx| messages::search(tx, actor, &request, &|| false)).unwrap();
            assert_eq!(found.partial, None);
            let found: Vec<i64> = found.messages.into_iter().map(|found| found.message.number.0).collect();
            let mut seek = None;
            let mut paged = Vec::new();
            while paged.len() < 10 {
                let page = |tx: &mut Tx<'_>| messages::search_page(tx, actor, &request, seek.as_ref(), &|| false);
                let (page, partial) = world.app.read(page).unwrap();
                assert_eq!(partial, None);
                paged.extend(page.items.iter().map(|found| found.message.number.0));
                let back = page.previous.map(|previous| {
                    let page = |tx: &mut Tx<'_>| messages::search_page(tx, actor, &request, Some(&previous), &|| false);
                    world.app.read(page).unwrap().0.items.len()
                });
                assert_eq!(back, seek.is_some().then_some(5));
                seek = page.next;
            }
            assert!(ranked || found == paged[..5], "{found:?} {paged:?}");
            (found, paged)
        };
        // Both of the last forty seconds.
        let [hall, team] = [[40, 39, 38, 37, 36], [20_040, 20_039, 20_038, 20_037, 20_036]];
        let both: Vec<i64> = hall.iter().rev().chain(team.iter().rev()).copied().collect();
        for old in [1..=300, 301..=12_000] {
            index_words(world, 1, old, Timestamp(1_577_869_200_000_000));
            for actor in [&bob, &operator()] {
                assert_eq!(shown(actor, Some("team"), false).0, team);
                assert_eq!(shown(actor, Some("hall"), false).0, hall);
                let (_, mut paged) = shown(actor, None, false);
                paged.sort_unstable();
                assert_eq!(paged, both);
                assert!(shown(actor, None, true).0.iter().all(|number| *number <= 40 || *number > 20_000));
            }
        }
    });
}

#[test]
fn a_search_of_everything_finds_what_is_rare_behind_ten_thousand_others_too() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for content in ["harbour one", "harbour two"] {
            world.send(&ann, "team", content);
        }
        index_words(world, 1, 11..=10_100, NOON);
        world.send(&ann, "team", "harbour three");
        for limit in 1..=4 {
            let request = Search { query: "harbour".to_owned(), limit, ..Search::default() };
            let found = world.app.read(|tx| messages::search(tx, &operator(), &request, &|| false)).unwrap();
            let found: Vec<_> = found.messages.into_iter().map(|found| found.message.content).collect();
            let all = ["harbour three", "harbour two", "harbour one"];
            assert_eq!(found, all[..usize::try_from(limit).unwrap().min(3)]);
        }
    });
}

/// Messages of bob's that search does not find, to the second conversation that was made, a second apart
fn say_nothing(world: &World, count: i64, first: Timestamp) {
    world.insert(&format!(
        "WITH RECURSIVE step (number) AS (SELECT 101 UNION ALL SELECT number + 1 FROM step WHERE number < 100 + {count})
         INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
         SELECT gen_random_uuid(), 2, number, 2, 'nothing', {} + CAST(number AS BIGINT) * 1000000 FROM step",
        first.0
    ));
}

#[test]
fn a_search_finds_a_message_of_the_future_that_came_in_long_ago_without_looking_at_everything() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("hall", &ann, &[&bob]);
        index_words(world, 2, 1..=1, NOON.plus_seconds(1_000_000));
        say_nothing(world, 1, NOON.plus_seconds(1_000_000));
        index_words(world, 1, 1..=10_100, NOON);
        for actor in [&bob, &operator()] {
            let of = |query: &str, sender: &str, until| Search {
                query: query.to_owned(),
                sender: Some(sender.to_owned().into()),
                until,
                limit: 3,
                ..Search::default()
            };
            let found = |request: &Search| {
                let asked = Cell::new(0);
                let is_late = || asked.replace(asked.get() + 1) > 0;
                let found = world.app.read(|tx| messages::search(tx, actor, request, &is_late)).unwrap();
                assert_eq!(found.partial, None, "it took more than one look");
                found.messages.into_iter().map(|found| found.message.number.0).collect::<Vec<_>>()
            };
            assert_eq!(found(&of("wor*", "bob", None)), [1, 10_100, 10_099]);
            assert_eq!(found(&of("words", "bob", Some(NOON.plus_seconds(1_000_000)))), [10_100, 10_099, 10_098]);
            assert_eq!(found(&of("words", "ann", None)), [0; 0]);
        }
    });
}

#[test]
fn a_search_that_has_no_time_to_be_sure_of_the_order_keeps_what_it_found() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        for number in 1..=260 {
            world.group(&format!("g{number}"), &ann, &[&bob]);
        }
        // Their conversations are searched in two parts: the first of them first, the last of them last.
        world.execute("UPDATE conversation SET active_at = active_at + 1 WHERE key = 1");
        world.execute("UPDATE conversation SET active_at = active_at - 1 WHERE key = 260");
        say_nothing(world, 10_000, NOON.plus_seconds(100));
        index_words(world, 1, 1..=1, NOON);
        index_words(world, 260, 11..=15, NOON.plus_seconds(1));
        let query = "words w* wo* wor* word* words*".to_owned();
        let request = Search { query, limit: 5, ..Search::default() };
        let asked = Cell::new(0);
        let is_late = || asked.replace(asked.get() + 1) > 1;
        let found = world.app.read(|tx| messages::search(tx, &bob, &request, &is_late)).unwrap();
        assert_eq!(found.partial, Some(Partial::Time));
        let found: Vec<i64> = found.messages.into_iter().map(|found| found.message.number.0).collect();
        assert_eq!(found, [15, 14, 13, 12, 11]);
    });
}

#[test]
fn a_search_that_found_everything_says_so_however_many_messages_that_is_and_whatever_was_said_meanwhile() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("hall", &ann, &[&bob]);
        index_words(world, 1, 1..=10_600, NOON);
        say_nothing(world, 10_000, NOON.plus_seconds(100_000));
        let all = Search { query: "words".to_owned(), limit: 10_000, ..Search::default() };
        let in_team = Search { conversation: Some(place("team")), ..all.clone() };
        let ranked = Search { ranked: true, limit: 10, ..all.clone() };
        for (actor, request) in [(&bob, &all), (&bob, &in_team), (&bob, &ranked), (&operator(), &ranked)] {
            let found = world.app.read(|tx| messages::search(tx, actor, request, &|| false)).unwrap();
            let limit = usize::try_from(request.limit).unwrap();
            assert_eq!((found.messages.len(), found.partial), (limit, None), "{request:?}");
        }
    });
}

#[test]
fn a_page_of_very_many_messages_found_says_where_newer_ones_may_be_missing() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("hall", &ann, &[&bob]);
        index_words(world, 2, 1..=1, NOON.plus_seconds(1_000_000));
        say_nothing(world, 10_000, NOON.plus_seconds(100_000));
        index_words(world, 1, 1..=10_001, NOON);
        let request = Search { query: "words".to_owned(), limit: 5, ..Search::default() };
        let (page, partial) = world.app.read(|tx| messages::search_page(tx, &bob, &request, None, &|| false)).unwrap();
        assert!(page.items[0].message.number == Number(1) || partial == Some(Partial::Time), "{partial:?}");
    });
}

#[test]
fn of_many_messages_in_a_time_those_with_the_highest_numbers_are_listed() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "new words");
        load(world, &of_2020(&vec![None; 1_100])).unwrap();
        world.send(&ann, "team", "new words");
        let list = |after, limit| {
            let request =
                List { conversation: Some(place("team")), until: Some(NOON), after, limit, ..List::default() };
            numbers(&world.app.read(|tx| crate::support::list_messages(tx, &ann, &request)).unwrap())
        };
        assert_eq!(list(None, 2), [1_100, 1_101]);
        assert_eq!(list(Some(Number(1)), 2), [2, 3]);
    });
}

#[test]
fn a_message_is_not_sent_before_the_one_before_it_unless_that_is_more_than_a_minute_ahead_of_the_clock() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let send = |seconds| {
            let app = world.later(seconds);
            let sent = app.write(|tx| Ok((messages::send(tx, &ann, &draft("team", "hi"))?, tx.take_notes())));
            let (sent, notes) = sent.unwrap();
            (sent.timestamp, notes.len())
        };
        let at = |seconds| NOON.plus_seconds(seconds);
        assert_eq!(send(0), (at(0), 0));
        assert_eq!(send(-30), (at(0), 0));
        assert_eq!(send(-60), (at(0), 0));
        assert_eq!(send(5), (at(5), 0));
        assert_eq!(send(-56), (at(-56), 1), "the clock counts, and it is said");
        assert_eq!(send(-57), (at(-56), 0), "it is said once");
        // What is loaded keeps the time that it brings, and does not count.
        let ahead = r#"{"type":"message","conversation":"team","sender":"bob","content":"ahead","timestamp":"2026-01-01T09:00:40Z"}"#;
        load(world, ahead).unwrap();
        assert_eq!(send(6), (at(6), 0));
        let edited = world.later(-20);
        let last = List { conversation: Some(place("team")), limit: 1, ..List::default() };
        let history = edited.write(|tx| {
            let last = MessageSelector::Id(crate::support::list_messages(tx, &ann, &last)?[0].message_id);
            let change = MessageEdit { content: "hello".to_owned(), ..MessageEdit::default() };
            messages::edit(tx, &ann, &last, &change)?;
            messages::history(tx, &ann, &last)
        });
        assert_eq!(history.unwrap()[0].edited_at, at(6), "not before it was sent");
        let view = world.app.read(|tx| conversations::show(tx, &bob, &place("team"))).unwrap();
        assert_eq!(view.active_at, at(40), "of the newest, whoever brought it");
        assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
    });
}

/// When `second` was done, which had to wait for `first`, and when that let it go on
fn done_after(
    world: &World,
    first: impl Fn(&mut Tx<'_>) -> Result<()>,
    second: impl Fn(&mut Tx<'_>) -> Result<Timestamp> + Send,
) -> (Timestamp, Timestamp) {
    let (start, started) = mpsc::channel();
    let location = world.location.clone();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let app = App::new(Db::open(&location, true).unwrap().0, Options::default());
            started.recv().unwrap();
            app.write(second).unwrap()
        });
        let app = App::new(Db::open(&world.location, true).unwrap().0, Options::default());
        let mut let_go = Timestamp::MIN;
        let _ = app.write(|tx| {
            let outcome = first(tx);
            start.send(()).unwrap();
            thread::sleep(Duration::from_millis(400));
            let_go = app.now();
            outcome
        });
        (other.join().unwrap(), let_go)
    })
}

#[test]
fn a_message_is_sent_when_its_transaction_has_its_turn_however_long_it_waited() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let change =
            |title: &str| ConversationChange { title: Some(title.to_owned()), ..ConversationChange::default() };
        let committed = |tx: &mut Tx<'_>| conversations::update(tx, &ann, &place("team"), &change("new")).map(drop);
        let undone = |tx: &mut Tx<'_>| {
            conversations::update(tx, &ann, &place("team"), &change("never"))?;
            Err(Error::conflict("It is given up."))
        };
        let send = |tx: &mut Tx<'_>| Ok(messages::send(tx, &bob, &draft("team", "after you"))?.timestamp);
        for (sent, let_go) in [done_after(world, committed, send), done_after(world, undone, send)] {
            assert!(sent >= let_go, "{sent} is before {let_go}");
        }
    });
}

#[test]
fn what_waited_for_an_account_or_its_conversations_is_done_and_logged_when_its_transaction_has_its_turn() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let rename = UserChange { first_name: Some("Bob".to_owned()), ..UserChange::default() };
        let rename = |tx: &mut Tx<'_>| users::update(tx, &bob, &selector(&bob), &rename).map(drop);
        let deactivate = |tx: &mut Tx<'_>| {
            users::set_active(tx, &operator(), &selector(&bob), false)?;
            Ok(tx.now())
        };
        let send = |tx: &mut Tx<'_>| messages::send(tx, &ann, &draft("team", "before you")).map(drop);
        let delete = |tx: &mut Tx<'_>| Ok(accounts::delete(tx, &operator(), &[selector(&bob)])?.deleted_at);
        let newest = "SELECT CAST(at AS TEXT) FROM event ORDER BY key DESC LIMIT 1";
        let (done, let_go) = done_after(world, rename, deactivate);
        assert!(done >= let_go, "{done} is before {let_go}");
        assert_eq!(texts(&world.location, newest), [done.0.to_string()]);
        let (done, let_go) = done_after(world, send, delete);
        assert!(done >= let_go, "{done} is before {let_go}");
        assert_eq!(texts(&world.location, newest), [done.0.to_string()]);
    });
}
