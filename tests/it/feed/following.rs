//! Who follows a database without a feed of their own hears the same, and is in nobody's way.

use std::thread;
use std::time::{Duration, Instant};

use tidings::feed::{Follower, Following, News};
use tidings::model::{Actor, ConversationSelector, UserSelector};
use tidings::service::events::{Narrowing, ResetReason};
use tidings::service::users::{self, UserChange};
use tidings::service::{accounts, conversations};
use tidings::store::{Db, Location};

use super::{PATIENCE, connect, log, on_every_engine, on_postgres};
use crate::assert_refused;
use crate::support::{World, operator, place, selector};

fn following(location: &Location, acting: Option<&Actor>, since: Option<&str>) -> Following {
    Following {
        location: location.clone(),
        acting: acting.map(selector),
        operator: operator(),
        narrowing: Narrowing::default(),
        since: since.map(ToOwned::to_owned),
        together: 3,
    }
}

fn begin(world: &World, acting: Option<&Actor>, since: Option<&str>) -> Follower {
    Follower::begin(connect(&world.location).unwrap(), following(&world.location, acting, since)).unwrap()
}

/// The next thing that is new
fn next(follower: &mut Follower) -> News {
    let start = Instant::now();
    loop {
        if let Some(news) = follower.listen().unwrap() {
            return news;
        }
        assert!(start.elapsed() < PATIENCE, "nothing more comes");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The next event: its kind and its cursor
fn event(follower: &mut Follower) -> (String, String) {
    match next(follower) {
        News::Event(view) => (view.event.to_string(), view.id),
        other => panic!("{other:?}"),
    }
}

/// Nothing comes for a while, in which it closes what it can close.
fn is_silent(follower: &mut Follower) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(600) {
        let news = follower.listen().unwrap();
        assert!(news.is_none(), "{news:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn everything_is_heard_once_and_in_order_from_any_cursor_on_also_after_a_silence() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        let mut all = begin(world, None, None);
        world.group("team", &ann, &[&bob]);
        let mut heard = vec![event(&mut all)];
        for number in 0..10 {
            world.send(&ann, "team", &number.to_string());
            if number % 4 == 0 {
                heard.extend((heard.len()..number + 2).map(|_| event(&mut all)));
                is_silent(&mut all);
            }
        }
        heard.push(event(&mut all));
        is_silent(&mut all);
        assert_eq!(heard.len() + 2, log(world).len(), "the accounts were there before");
        for (index, (_, cursor)) in heard.iter().enumerate() {
            let mut again = begin(world, None, Some(cursor));
            let rest: Vec<_> = heard[index + 1..].iter().map(|_| event(&mut again)).collect();
            assert_eq!(rest, heard[index + 1..], "from event {index} on");
            assert!(again.listen().unwrap().is_none());
            assert_eq!(again.cursor(), heard.last().unwrap().1);
        }
    });
}

/// The kinds of what is heard before an event of a kind
fn heard_up_to(follower: &mut Follower, kind: &str) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        match event(follower).0 {
            last if last == kind => return heard,
            other => heard.push(other),
        }
    }
}

#[test]
fn what_an_account_takes_along_from_where_its_user_had_left_is_heard_there() {
    on_every_engine(|world| {
        let [root, ann, bob] = [world.admin("root"), world.user("ann"), world.user("bob")];
        for name in ["past", "other"] {
            world.group(name, &ann, &[&bob]);
        }
        world.send(&bob, "past", "words");
        for name in ["past", "other"] {
            world.app.write(|tx| conversations::remove(tx, &bob, &place(name), &[selector(&bob)])).unwrap();
        }
        let follow = |actor: &Actor, name: &str| {
            let narrowing = Narrowing { conversations: vec![place(name)], kinds: Vec::new() };
            let following = Following { narrowing, ..following(&world.location, Some(actor), None) };
            Follower::begin(connect(&world.location).unwrap(), following).unwrap()
        };
        let mut there = [&root, &ann].map(|actor| follow(actor, "past"));
        let mut elsewhere = follow(&root, "other");
        world.app.write(|tx| accounts::delete(tx, &operator(), &[selector(&bob)])).unwrap();
        world.send(&ann, "other", "after it");
        for follower in &mut there {
            heard_up_to(follower, "message.deleted");
            is_silent(follower);
        }
        let heard = heard_up_to(&mut elsewhere, "message.created");
        assert!(!heard.contains(&"message.deleted".to_owned()), "{heard:?}");
    });
}

#[test]
fn a_user_hears_what_concerns_them_and_follows_where_they_take_part() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        let mut ear = begin(world, Some(&bob), None);
        world.group("team", &ann, &[&eve]);
        world.send(&ann, "team", "before bob comes");
        let add = |user: &Actor| {
            world.app.write(|tx| conversations::add(tx, &ann, &place("team"), &[selector(user)])).unwrap();
        };
        add(&bob);
        world.send(&ann, "team", "while bob is there");
        is_silent_but(&mut ear, &["participant.added", "message.created"]);
        // While it has nothing open.
        world.app.write(|tx| conversations::remove(tx, &ann, &place("team"), &[selector(&bob)])).unwrap();
        world.send(&ann, "team", "after bob left");
        add(&bob);
        world.send(&ann, "team", "bob is back");
        is_silent_but(&mut ear, &["participant.removed", "participant.added", "message.created"]);
    });
}

fn is_silent_but(follower: &mut Follower, kinds: &[&str]) {
    let heard: Vec<String> = kinds.iter().map(|_| event(follower).0).collect();
    assert_eq!(heard, kinds);
    is_silent(follower);
}

#[test]
fn who_may_not_listen_any_more_hears_nothing_of_what_comes_after() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let mut ear = begin(world, Some(&bob), None);
        is_silent(&mut ear);
        let off = UserChange { is_active: Some(false), ..UserChange::default() };
        world.app.write(|tx| users::update(tx, &operator(), &selector(&bob), &off)).unwrap();
        world.send(&ann, "team", "bob is off");
        assert_eq!(event(&mut ear).0, "user.updated");
        let start = Instant::now();
        let end = loop {
            match ear.listen() {
                Ok(None) => assert!(start.elapsed() < PATIENCE),
                Ok(Some(news)) => panic!("{news:?}"),
                Err(error) => break error,
            }
        };
        assert_refused!(Err::<(), _>(end), Forbidden);
    });
}

#[test]
fn a_conversation_that_ends_while_nothing_is_open_ends_nothing_else() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let narrowing = Narrowing { conversations: vec![place("team")], kinds: Vec::new() };
        let following = Following { narrowing, ..following(&world.location, None, None) };
        let mut ear = Follower::begin(connect(&world.location).unwrap(), following).unwrap();
        is_silent(&mut ear);
        world.app.write(|tx| conversations::delete(tx, &operator(), &place("team"))).unwrap();
        is_silent_but(&mut ear, &["conversation.deleted"]);
        let unseen =
            Narrowing { conversations: vec![ConversationSelector::Name("team".to_owned())], kinds: Vec::new() };
        let unseen = Following { narrowing: unseen, ..self::following(&world.location, None, None) };
        assert_refused!(Follower::begin(connect(&world.location).unwrap(), unseen).map(|_| ()), NotFound);
    });
}

#[test]
fn what_is_no_cursor_is_refused_and_one_of_another_log_is_a_reset() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        world.group("team", &ann, &[&world.user("bob")]);
        let start = |since: &str| {
            Follower::begin(connect(&world.location).unwrap(), following(&world.location, Some(&ann), Some(since)))
        };
        assert_refused!(start("nonsense").map(|_| ()), Invalid);
        let folder = tempfile::tempdir().unwrap();
        let other = World::open(Location::Sqlite(folder.path().join("other.db")));
        let foreign = begin(&other, None, None).cursor().to_owned();
        let mut ear = start(&foreign).unwrap();
        assert_eq!(ear.reset(), Some(ResetReason::OtherLog));
        match next(&mut ear) {
            News::Reset(ResetReason::OtherLog, cursor) => assert_eq!(cursor, ear.cursor()),
            other => panic!("{other:?}"),
        }
        world.send(&ann, "team", "after the reset");
        assert_eq!(event(&mut ear).0, "message.created");
        let nobody = Following {
            acting: Some(UserSelector::from("nobody".to_owned())),
            ..following(&world.location, None, None)
        };
        assert_refused!(Follower::begin(connect(&world.location).unwrap(), nobody).map(|_| ()), NotFound);
    });
}

#[test]
fn the_name_is_followed_to_whatever_file_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let make = |name: &str| {
        let world = World::open(Location::Sqlite(path(name)));
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        (world, ann)
    };
    drop(make("test.db"));
    let location = Location::Sqlite(path("test.db"));
    let open = || connect(&location).unwrap();
    for is_at_rest in [false, true] {
        let mut ear = Follower::begin(open(), following(&location, None, None)).unwrap();
        if is_at_rest {
            is_silent(&mut ear);
        }
        // Another in its place
        drop(make("other.db"));
        std::fs::rename(path("other.db"), path("test.db")).unwrap();
        assert!(matches!(next(&mut ear), News::Reset(ResetReason::OtherLog, _)), "at rest: {is_at_rest}");
        // Gone
        is_silent(&mut ear);
        std::fs::rename(path("test.db"), path("away.db")).unwrap();
        assert!(matches!(next(&mut ear), News::Gone(_)));
        is_silent(&mut ear);
        // Back again, the same
        std::fs::rename(path("away.db"), path("test.db")).unwrap();
        assert!(matches!(next(&mut ear), News::Back));
        is_silent(&mut ear);
        // Deleted, and made again
        std::fs::remove_file(path("test.db")).unwrap();
        let (world, ann) = make("test.db");
        assert!(matches!(next(&mut ear), News::Reset(ResetReason::OtherLog, _)));
        world.send(&ann, "team", "in the new one");
        let mut last = String::new();
        while last != "message.created" {
            last = event(&mut ear).0;
        }
        drop(world);
        is_silent(&mut ear);
        std::fs::remove_file(path("test.db")).unwrap();
        drop(make("test.db"));
    }
}

#[test]
fn a_database_that_was_made_anew_is_waited_for_until_it_has_what_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let make = || World::open(Location::Sqlite(path.clone()));
    let team = |world: &World| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
    };
    let world = make();
    team(&world);
    let location = world.location.clone();
    let narrowing = Narrowing { conversations: vec![place("team")], kinds: Vec::new() };
    let acting = Some(UserSelector::from("bob".to_owned()));
    let following = Following { narrowing, acting, ..following(&location, None, None) };
    let mut ear = Follower::begin(connect(&location).unwrap(), following).unwrap();
    drop(world);
    is_silent(&mut ear);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(next(&mut ear), News::Gone(_)));
    let world = make();
    match next(&mut ear) {
        News::Gone(error) => assert_eq!(error.to_string(), "There is no user “bob”."),
        other => panic!("{other:?}"),
    }
    is_silent(&mut ear);
    team(&world);
    assert!(matches!(next(&mut ear), News::Back));
    assert!(matches!(next(&mut ear), News::Reset(ResetReason::OtherLog, _)));
}

#[test]
fn nothing_is_made_where_a_database_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.db");
    let world = World::open(Location::Sqlite(path.clone()));
    let mut ear = begin(&world, None, None);
    drop(world);
    is_silent(&mut ear);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(next(&mut ear), News::Gone(_)));
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    is_silent(&mut ear);
    assert_eq!(path.metadata().unwrap().len(), 0, "an empty file was made a database");
    let (_, opened) = Db::open(&Location::Sqlite(path), true).unwrap();
    assert_eq!(opened, tidings::store::Opened::Created);
    assert!(matches!(next(&mut ear), News::Back));
    assert!(matches!(next(&mut ear), News::Reset(ResetReason::OtherLog, _)));
}

#[test]
fn a_connection_that_is_lost_is_made_again_and_nothing_is_missed() {
    on_postgres(|world, url| {
        let ann = world.user("ann");
        world.group("team", &ann, &[&world.user("bob")]);
        let mut ear = begin(world, None, None);
        assert!(ear.listen().unwrap().is_none());
        let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
        for number in 0..5 {
            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";
            client.execute(others, &[]).unwrap();
            // The world's own connection is lost too.
            let world = World::open(world.location.clone());
            world.send(&ann, "team", &number.to_string());
            assert_eq!(event(&mut ear).0, "message.created");
        }
        is_silent(&mut ear);
    });
}
