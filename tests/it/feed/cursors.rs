//! Cursors: each leads to its own place in its own log, and nothing else leads anywhere.

use std::sync::LazyLock;

use proptest::prelude::*;
use tidings::error::Result;
use tidings::feed::Delivery;
use tidings::service::conversations::{self, ConversationChange};
use tidings::service::events::{Cursors, Found, Narrowing, ResetReason};
use tidings::store::Location;
use tidings::store::events::Position;

use super::{Stage, cursor_of, keys_heard, log, on_every_engine, the_operator, with_token};
use crate::assert_refused;
use crate::support::World;

fn find(world: &World, cursor: &str) -> Result<Found> {
    world.app.read(|tx| Cursors::of(tx)?.find(tx, cursor))
}

fn place_of(world: &World, cursor: &str) -> i64 {
    super::keys(world, [cursor])[0]
}

/// Two people, a group, and so many messages
fn talk(world: &World, messages: usize) {
    let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
    world.group("team", &ann, &[&bob]);
    for number in 0..messages {
        world.send(&ann, "team", &number.to_string());
    }
}

/// Removes the oldest events, as they are when they are too old.
fn prune(world: &World, up_to: i64) {
    world.execute(&format!(
        "DELETE FROM event_audience WHERE event_key <= {up_to}; DELETE FROM event WHERE key <= {up_to}"
    ));
}

#[test]
fn each_cursor_leads_to_its_own_event_and_no_two_are_alike() {
    on_every_engine(|world| {
        assert_eq!(find(world, &cursor_of(world, 0)).unwrap(), Found::At(Position::START), "of an empty log");
        talk(world, 5);
        let keys = log(world);
        let mut cursors: Vec<String> = std::iter::once(&0).chain(&keys).map(|key| cursor_of(world, *key)).collect();
        for (cursor, key) in cursors.iter().zip(std::iter::once(&0).chain(&keys)) {
            assert_eq!(place_of(world, cursor), *key);
            // The same place has the same cursor, whoever makes it.
            assert_eq!(*cursor, cursor_of(&World::open(world.location.clone()), *key));
        }
        cursors.sort();
        cursors.dedup();
        assert_eq!(cursors.len(), keys.len() + 1);
    });
}

#[test]
fn a_cursor_of_an_event_that_says_something_else_now_is_one_of_another_log() {
    on_every_engine(|world| {
        talk(world, 3);
        let keys = log(world);
        let key = keys[keys.len() - 2];
        let cursor = cursor_of(world, key);
        let (subject, no_subject) = match world.location {
            Location::Sqlite(_) => ("randomblob(16)", "NULL"),
            Location::Postgres(_) => ("gen_random_uuid()", "NULL"),
        };
        let changes = [
            ("kind", "kind + 1"),
            ("at", "at + 1"),
            ("actor_key", "actor_key + 1"),
            ("actor_key", "NULL"),
            ("operator", "'root'"),
            ("operator", "''"),
            ("conversation_key", "conversation_key + 1"),
            ("conversation_key", "NULL"),
            ("user_key", "1"),
            ("user_key", "0"),
            ("subject_id", subject),
            ("subject_id", no_subject),
            ("is_read", "TRUE"),
            ("is_read", "FALSE"),
            ("transaction_id", "transaction_id + 1"),
        ];
        let keep = "CREATE TABLE kept AS SELECT * FROM event";
        world.execute(keep);
        for (column, value) in changes {
            world.execute(&format!("UPDATE event SET {column} = {value} WHERE key = {key}"));
            let found = find(world, &cursor).unwrap();
            assert_eq!(found, Found::Nowhere(ResetReason::OtherLog), "{column} = {value}");
            world.execute(&format!(
                "UPDATE event SET {column} = (SELECT {column} FROM kept WHERE kept.key = event.key)"
            ));
            assert_eq!(place_of(world, &cursor), key);
        }
    });
}

#[test]
fn a_cursor_of_another_database_or_of_a_log_that_was_set_back_leads_nowhere() {
    on_every_engine(|world| {
        talk(world, 3);
        on_every_engine(|other| {
            // The same names, ids and times: both are drawn from the same seed.
            talk(other, 3);
            for key in [0, log(world)[0], log(world)[4]] {
                let found = find(other, &cursor_of(world, key)).unwrap();
                assert_eq!(found, Found::Nowhere(ResetReason::OtherLog));
            }
        });
        let all: Vec<String> = std::iter::once(&0).chain(&log(world)).map(|key| cursor_of(world, *key)).collect();
        world.insert("UPDATE event_log SET generation = gen_random_uuid()");
        for cursor in &all {
            assert_eq!(find(world, cursor).unwrap(), Found::Nowhere(ResetReason::OtherLog));
        }
        assert_eq!(place_of(world, &cursor_of(world, log(world)[1])), log(world)[1]);
    });
}

#[test]
fn in_a_copy_of_a_log_a_cursor_leads_to_what_both_have_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first.db", "second.db"].map(|name| folder.path().join(name));
    let one = World::open(Location::Sqlite(first));
    talk(&one, 3);
    one.execute(&format!("VACUUM INTO '{}'", second.display()));
    let both = log(&one);
    let other = World::open(Location::Sqlite(second));
    let [ann, bob] =
        ["ann", "bob"].map(|name| one.app.read(|tx| tidings::service::acting(tx, &name.to_owned().into())).unwrap());
    one.send(&ann, "team", "here");
    other.send(&bob, "team", "there");
    other.send(&bob, "team", "there alone");
    for key in &both {
        assert_eq!(place_of(&other, &cursor_of(&one, *key)), *key);
    }
    let newest = *log(&one).last().unwrap();
    let foreign = cursor_of(&one, newest);
    assert_eq!(find(&other, &foreign).unwrap(), Found::Nowhere(ResetReason::OtherLog));
    // From the future of the other one
    let future = cursor_of(&other, newest + 1);
    assert_eq!(find(&one, &future).unwrap(), Found::Nowhere(ResetReason::OtherLog));
    let stage = Stage::open(&one.location);
    let ear = stage.listen(&the_operator(), Some(&future));
    assert_eq!((ear.reset, &*ear.begun), (Some(ResetReason::OtherLog), &*foreign));
}

#[test]
fn a_cursor_of_what_the_log_no_longer_has_is_too_old_and_the_oldest_it_has_is_not() {
    on_every_engine(|world| {
        let empty = cursor_of(world, 0);
        talk(world, 6);
        let keys = log(world);
        let cursors: Vec<String> = keys.iter().map(|key| cursor_of(world, *key)).collect();
        assert_eq!(find(world, &empty).unwrap(), Found::At(Position::START), "nothing was removed yet");
        prune(world, keys[4]);
        let too_old = Found::Nowhere(ResetReason::TooOld);
        assert_eq!(find(world, &empty).unwrap(), too_old);
        for (index, cursor) in cursors.iter().enumerate() {
            match index {
                0..=4 => assert_eq!(find(world, cursor).unwrap(), too_old, "{index}"),
                _ => assert_eq!(place_of(world, cursor), keys[index]),
            }
        }
        let mut stage = Stage::open(&world.location);
        let mut ear = stage.listen(&the_operator(), Some(&cursors[1]));
        assert_eq!((ear.reset, &*ear.begun), (Some(ResetReason::TooOld), &**cursors.last().unwrap()));
        let eve = world.user("eve");
        stage.until_heard(&mut ear, 1);
        assert_eq!(ear.kinds(), ["user.created"]);
        let mut late = stage.listen(&the_operator(), Some(&cursors[5]));
        stage.until_heard(&mut late, keys.len() - 6 + 1);
        assert_refused!(stage.join(&with_token(world, &eve), &Narrowing::default(), Some("x")), Invalid);
    });
}

#[test]
fn who_is_behind_when_what_they_have_not_heard_is_removed_is_told_so() {
    on_every_engine(|world| {
        talk(world, 0);
        let ann = world.app.read(|tx| tidings::service::acting(tx, &"ann".to_owned().into())).unwrap();
        let fill = |tx: &mut tidings::store::Tx<'_>| {
            for number in 0..1500 {
                tidings::service::messages::send(tx, &ann, &crate::support::draft("team", &number.to_string()))?;
            }
            Ok(())
        };
        world.app.write(fill).unwrap();
        let keys = log(world);
        let mut stage = Stage::open(&world.location);
        let mut ear = stage.listen(&the_operator(), Some(&cursor_of(world, keys[0])));
        stage.until(&mut [&mut ear], |ears| !ears[0].heard.is_empty());
        let heard = ear.heard.len();
        assert!(heard < 1400, "{heard}");
        prune(world, keys[1450]);
        stage.until(&mut [&mut ear], |ears| ears[0].end.is_some() || ears[0].heard.len() >= keys.len() - 1);
        // What was fetched before may still come; after a gap nothing does.
        for event in &ear.heard {
            let found = find(world, event["id"].as_str().unwrap()).unwrap();
            assert_eq!(found, Found::Nowhere(ResetReason::TooOld), "heard over a gap");
        }
        assert_eq!(ear.end, Some(Delivery::BrokenOff));
        let again = stage.listen(&the_operator(), Some(ear.cursor()));
        assert_eq!(again.reset, Some(ResetReason::TooOld));
    });
}

#[test]
fn everybody_who_listens_is_told_when_the_log_is_set_back_and_goes_on_at_its_end() {
    on_every_engine(|world| {
        talk(world, 3);
        let ann = world.app.read(|tx| tidings::service::acting(tx, &"ann".to_owned().into())).unwrap();
        let mut stage = Stage::open(&world.location);
        let ann_listens = with_token(world, &ann);
        let mut ears = [
            stage.listen(&ann_listens, None),
            stage.join(&the_operator(), &Narrowing::default(), Some(&cursor_of(world, 0))).unwrap(),
        ];
        let behind = log(world).len();
        stage.until_heard(&mut ears[1], behind);
        let keys = log(world);
        // In one transaction, as `db restore` does it: a feed that looks between the two tells of each.
        world.insert(&format!(
            "BEGIN; DELETE FROM event WHERE key > {}; UPDATE event_log SET generation = gen_random_uuid(); COMMIT",
            keys[keys.len() - 2]
        ));
        stage.feed.look();
        for (ear, before) in ears.iter_mut().zip([0, behind]) {
            stage.until_heard(ear, before + 1);
            assert_eq!(
                (&ear.heard[before]["event"], &ear.heard[before]["reason"]),
                (&"reset".into(), &"other_log".into())
            );
            assert_eq!(place_of(world, ear.cursor()), keys[keys.len() - 2]);
        }
        let change = ConversationChange { title: Some("after".to_owned()), ..ConversationChange::default() };
        world.app.write(|tx| conversations::update(tx, &ann, &crate::support::place("team"), &change)).unwrap();
        stage.feed.look();
        for (ear, before) in ears.iter_mut().zip([0, behind]) {
            stage.until_heard(ear, before + 2);
            assert_eq!(place_of(world, ear.cursor()), *log(world).last().unwrap());
        }
        assert_eq!(keys_heard(world, &stage.listen(&ann_listens, None)), [0; 0]);
    });
}

/// A log that the properties look into
static LOG: LazyLock<(tempfile::TempDir, Location, Vec<String>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("test.db"));
    let world = World::open(location.clone());
    talk(&world, 4);
    let cursors = std::iter::once(&0).chain(&log(&world)).map(|key| cursor_of(&world, *key)).collect();
    (folder, location, cursors)
});

proptest! {
    #[test]
    fn no_changed_cursor_leads_anywhere(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), by in "[A-Za-z0-9_-]", cut in 0..54_usize
    ) {
        let (_, location, cursors) = &*LOG;
        let world = World::open(location.clone());
        let genuine = which.get(cursors);
        let at = at.index(genuine.len());
        let mut changed = genuine.clone();
        changed.replace_range(at..=at, &by);
        let found = find(&world, &changed).unwrap();
        prop_assert_eq!(matches!(found, Found::At(_)), changed == *genuine, "{:?}", found);
        if changed != *genuine {
            prop_assert_eq!(found, Found::Nowhere(ResetReason::OtherLog));
        }
        for wrong in [&genuine[..cut], &format!("{genuine}{by}"), &format!("{by}{genuine}"), &genuine.replace(&genuine[at..=at], "=")] {
            assert_refused!(find(&world, wrong), Invalid);
        }
    }

    #[test]
    fn what_is_no_cursor_is_invalid_and_nothing_panics(text in "\\PC{0,80}") {
        let (_, location, _) = &*LOG;
        let world = World::open(location.clone());
        match find(&world, &text) {
            Ok(found) => prop_assert_eq!((text.len(), found), (54, Found::Nowhere(ResetReason::OtherLog))),
            Err(error) => prop_assert_eq!(error.kind(), tidings::error::Kind::Invalid),
        }
    }
}
