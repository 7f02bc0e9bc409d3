//! Looking through the log of events: what is found by whom, and how it goes on.

use tidings::model::{Actor, EventKind, Timestamp, UserSelector};
use tidings::service::conversations;
use tidings::service::events::{About, By, Filter, FilterActor, LogEntry, Looked, look_through};
use tidings::service::{accounts, messages, notifications};
use tidings::store::Location;
use tidings::store::events::Position;

use crate::assert_refused;
use crate::support::{NOON, World, on_every_engine, operator, place, selector};

fn look(world: &World, filter: &Filter, below: Option<Position>, size: i64) -> Looked {
    world.app.read(|tx| look_through(tx, &operator(), filter, below, size)).unwrap()
}

/// An event in a few words: who did what to what
fn words(entry: &LogEntry) -> String {
    let by = match &entry.by {
        By::Operator(name) => name.clone().unwrap_or_default(),
        By::User(person) => person.username.clone(),
        By::Gone => "gone".to_owned(),
    };
    let user = entry.user.as_ref().map(|user| match user {
        About::There(person) => person.username.clone(),
        About::Gone(id) => format!("gone{}", if id.is_some() { " by id" } else { "" }),
    });
    let conversation = entry.conversation.as_ref().map(|conversation| match conversation {
        About::There(place) => place.name.clone(),
        About::Gone(id) => format!("gone{}", if id.is_some() { " by id" } else { "" }),
    });
    let message = entry.message.as_ref().map(|message| match message {
        About::There(_) => "there",
        About::Gone(_) => "gone",
    });
    let [user, conversation, message] =
        [user, conversation, message.map(ToOwned::to_owned)].map(|part| part.unwrap_or_else(|| "-".to_owned()));
    format!("{} by {by}: user {user}, in {conversation}, message {message}", entry.kind)
}

fn found(world: &World, filter: &Filter) -> Vec<String> {
    let looked = look(world, filter, None, 100);
    assert!(looked.next.is_none() && looked.reached.is_none());
    looked.entries.iter().map(words).collect()
}

fn of(object: &str) -> Filter {
    Filter { object: Some(object.to_owned()), ..Filter::default() }
}

fn by(actor: FilterActor) -> Filter {
    Filter { actor: Some(actor), ..Filter::default() }
}

#[test]
fn events_are_found_by_actor_kind_and_object_with_the_names_of_what_they_are_about() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        let said = world.send(&ann, "team", "hello");
        world.level(&bob, "team", tidings::model::Level::None);
        world
            .app
            .write(|tx| {
                let owner = notifications::owner(tx, &bob, None)?;
                notifications::set_read(tx, &bob, &owner, &["team#1".parse().unwrap()], true)?;
                conversations::create(
                    tx,
                    &eve,
                    &conversations::NewConversation {
                        participants: vec![selector(&bob)],
                        ..conversations::NewConversation::default()
                    },
                )
            })
            .unwrap();
        let all = [
            "conversation.created by eve: user -, in bob and eve, message -",
            "notification.updated by bob: user bob, in team, message there",
            "participant.updated by bob: user bob, in team, message -",
            "message.created by ann: user -, in team, message there",
            "conversation.created by ann: user -, in team, message -",
            "user.created by root: user eve, in -, message -",
            "user.created by root: user bob, in -, message -",
            "user.created by root: user ann, in -, message -",
        ];
        let some = |which: &[usize]| which.iter().map(|number| all[*number]).collect::<Vec<_>>();
        assert_eq!(found(world, &Filter::default()), all);
        assert_eq!(found(world, &by(FilterActor::Operator)), some(&[5, 6, 7]));
        assert_eq!(found(world, &by(FilterActor::User(selector(&bob)))), some(&[1, 2]));
        let kind = Filter { kind: Some(EventKind::ConversationCreated), ..Filter::default() };
        assert_eq!(found(world, &kind), some(&[0, 4]));
        let both = Filter { kind: Some(EventKind::ConversationCreated), ..by(FilterActor::User(selector(&ann))) };
        assert_eq!(found(world, &both), some(&[4]));
        assert_eq!(found(world, &of("BOB")), some(&[1, 2, 6]));
        assert_eq!(found(world, &of("team")), some(&[1, 2, 3, 4]));
        assert_eq!(found(world, &of(&said.conversation.to_string())), some(&[1, 2, 3, 4]));
        assert_eq!(found(world, &of("team#1")), some(&[1, 3]));
        assert_eq!(found(world, &of(&said.message_id.to_string())), some(&[1, 3]));
        assert!(found(world, &of("019b78c9-0a80-7000-8000-000000000000")).is_empty());
    });
}

#[test]
fn what_is_deleted_is_found_by_its_id_and_named_by_nothing_else() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        let said = world.send(&ann, "team", "hello");
        let Actor::User(user) = &ann else { unreachable!() };
        world.app.write(|tx| messages::delete(tx, &ann, &["team#1".parse().unwrap()])).unwrap();
        world.app.write(|tx| conversations::delete(tx, &ann, &place("team"))).unwrap();
        world.app.write(|tx| accounts::delete(tx, &operator(), &[selector(&ann)])).unwrap();
        let message = found(world, &of(&said.message_id.to_string()));
        let expected = [
            "message.deleted by gone: user -, in gone, message gone",
            "message.created by gone: user -, in gone, message gone",
        ];
        assert_eq!(message, expected);
        let conversation = found(world, &of(&said.conversation.to_string()));
        let expected = [
            "conversation.deleted by gone: user -, in gone by id, message -",
            "conversation.created by gone: user -, in gone by id, message -",
        ];
        assert_eq!(conversation, expected);
        let account = found(world, &of(&user.person.user_id.to_string()));
        let expected = [
            "user.deleted by root: user gone by id, in -, message -",
            "user.created by root: user gone by id, in -, message -",
        ];
        assert_eq!(account, expected);
    });
}

#[test]
fn only_the_operator_and_admins_look_through_the_log_and_what_is_not_there_is_named_at_its_field() {
    on_every_engine(|world| {
        let [ann, root] = [world.user("ann"), world.admin("root")];
        let refused = |actor: &Actor, filter: &Filter| world.app.read(|tx| look_through(tx, actor, filter, None, 10));
        assert_refused!(refused(&ann, &Filter::default()), Forbidden);
        assert_eq!(refused(&root, &Filter::default()).unwrap().entries.len(), 2);
        for (filter, field) in [
            (by(FilterActor::User(UserSelector::from("nobody".to_owned()))), "actor"),
            (of("nobody"), "object"),
            (of("@nobody"), "object"),
            (of("team#1"), "object"),
        ] {
            let error = refused(&root, &filter).unwrap_err();
            assert_eq!((error.kind(), error.named()), (tidings::error::Kind::NotFound, Some(field)), "{filter:?}");
        }
    });
}

/// Fills the log with so many events a minute apart, from 1970 on, each in a transaction of its own.
fn fill(world: &World, count: i64) {
    let transaction = match &world.location {
        Location::Sqlite(_) => "0",
        Location::Postgres(_) => "n",
    };
    world.execute(&format!(
        "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < {count})
         INSERT INTO event (transaction_id, kind, at, actor_key) SELECT {transaction}, n % 3, CAST(n AS BIGINT) * 60000000, 1 FROM i"
    ));
}

#[test]
fn a_look_ends_after_ten_thousand_events_and_says_where_it_goes_on() {
    on_every_engine(|world| {
        fill(world, 25_000);
        world.execute("UPDATE event SET kind = 9 WHERE at IN (60000000, 300000000000)");
        let rare = Filter { kind: Some(EventKind::ParticipantRemoved), ..Filter::default() };
        let mut below = None;
        let mut seen = Vec::new();
        loop {
            let looked = look(world, &rare, below, 10);
            let minutes = |time: Timestamp| time.0 / 60_000_000;
            let found: Vec<i64> = looked.entries.iter().map(|entry| minutes(entry.at)).collect();
            seen.push((found, looked.reached.map(minutes)));
            below = looked.next;
            if below.is_none() {
                break;
            }
        }
        assert_eq!(seen, [(vec![], Some(15_001)), (vec![], Some(5_001)), (vec![5_000, 1], None)]);
        world.execute("DELETE FROM event WHERE at > 600000000000");
        let last = look(world, &rare, None, 10);
        assert_eq!((last.entries.len(), last.next, last.reached), (2, None, None), "ten thousand, and nothing behind");
        // The last of those that are looked through is one of them.
        world.execute("INSERT INTO event (kind, at) VALUES (0, 1)");
        let kind = Filter { kind: Some(EventKind::ParticipantRemoved), ..Filter::default() };
        assert_eq!(look(world, &kind, None, 10).entries.len(), 1);
    });
}

#[test]
fn pages_of_what_is_found_leave_nothing_out_and_show_nothing_twice() {
    on_every_engine(|world| {
        fill(world, 100);
        let some = Filter { kind: Some(EventKind::MessageEdited), ..Filter::default() };
        let mut below = None;
        let mut seen = Vec::new();
        loop {
            let looked = look(world, &some, below, 10);
            seen.extend(looked.entries.iter().map(|entry| entry.at.0 / 60_000_000));
            assert_eq!(looked.reached, None);
            below = looked.next;
            if below.is_none() {
                break;
            }
        }
        assert_eq!(seen, (1..=100).rev().filter(|minute| minute % 3 == 1).collect::<Vec<i64>>());
    });
}

#[test]
fn a_look_at_some_time_begins_there_however_long_ago_it_is() {
    on_every_engine(|world| {
        fill(world, 40_000);
        // What is missing is no hindrance.
        world.execute("DELETE FROM event WHERE at < 6000000000 OR at BETWEEN 60000000000 AND 120000000000");
        let minute = |number: i64| Timestamp(number * 60_000_000);
        for (since, until) in
            [(0, 50), (0, 100), (0, 103), (998, 1003), (1500, 2002), (1990, 2000), (39_998, 50_000), (60_000, 70_000)]
        {
            let filter = Filter { since: Some(minute(since)), until: Some(minute(until)), ..Filter::default() };
            let looked = look(world, &filter, None, 1000);
            let found: Vec<i64> = looked.entries.iter().map(|entry| entry.at.0 / 60_000_000).collect();
            let there = |number: &i64| *number >= 100 && !(1000..=2000).contains(number) && *number <= 40_000;
            assert_eq!(found, (since..until).rev().filter(there).collect::<Vec<_>>(), "{since} to {until}");
            assert_eq!((looked.next, looked.reached), (None, None));
        }
        let until = Filter { until: Some(minute(20_000)), ..Filter::default() };
        let looked = look(world, &until, None, 10);
        assert_eq!(looked.entries[0].at, minute(19_999));
        let since = Filter { since: Some(NOON), ..Filter::default() };
        assert!(look(world, &since, None, 10).entries.is_empty());
    });
}

#[test]
fn a_clock_that_was_set_back_hides_nothing_from_a_look_at_some_time() {
    on_every_engine(|world| {
        fill(world, 40_000);
        // Twelve hours ahead, and behind; among them what halving the log comes upon
        let shift = |first: i64, last: i64, by: i64| {
            world.execute(&format!(
                "UPDATE event SET at = at + {} WHERE at BETWEEN {} AND {}",
                by * 60_000_000,
                first * 60_000_000,
                last * 60_000_000
            ));
        };
        let half_a_day = 720;
        shift(29_900, 30_150, -half_a_day);
        shift(19_000, 20_100, half_a_day);
        let at = |number: i64| match number {
            19_000..=20_100 => number + half_a_day,
            29_900..=30_150 => number - half_a_day,
            number => number,
        };
        for (since, until) in
            [(18_000, 20_400), (20_200, 20_400), (20_500, 20_900), (29_500, 31_000), (29_200, 29_300), (29_950, 30_000)]
        {
            let (first, end) = (Timestamp(since * 60_000_000), Timestamp(until * 60_000_000));
            let filter = Filter { since: Some(first), until: Some(end), ..Filter::default() };
            let looked = look(world, &filter, None, 5000);
            let found: Vec<i64> = looked.entries.iter().map(|entry| entry.at.0 / 60_000_000).collect();
            let expected: Vec<i64> = (1..=40_000).rev().map(at).filter(|at| (since..until).contains(at)).collect();
            assert_eq!(found, expected, "{since} to {until}");
            assert_eq!((looked.next, looked.reached), (None, None));
        }
    });
}

#[test]
fn what_is_committed_while_somebody_goes_on_page_by_page_takes_nothing_from_them_and_is_there_for_the_next() {
    on_every_engine(|world| {
        let Location::Postgres(url) = &world.location else { return };
        for name in ["ann", "bob"] {
            world.user(name);
        }
        let mut session = postgres::Client::connect(url, postgres::NoTls).unwrap();
        session.batch_execute("BEGIN; INSERT INTO event (kind, at) VALUES (12, 7)").unwrap();
        world.user("eve");
        let walk = |commit: &mut dyn FnMut()| {
            let (mut seen, mut below) = (Vec::new(), None);
            loop {
                let looked = look(world, &Filter::default(), below, 2);
                seen.extend(looked.entries.iter().map(|entry| entry.kind));
                commit();
                below = looked.next;
                if below.is_none() {
                    return seen;
                }
            }
        };
        let created = EventKind::UserCreated;
        assert_eq!(walk(&mut || session.batch_execute("COMMIT").unwrap()), [created; 3]);
        assert_eq!(walk(&mut || {}), [created, EventKind::UserDeleted, created, created]);
    });
}
