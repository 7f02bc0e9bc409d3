//! What becomes of listeners when something fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tidings::error::{Error, Result};
use tidings::feed::{Delivery, Format};
use tidings::service::events::{EventView, Narrowing};

use super::{FORMAT, Stage, keys_heard, log, on_every_engine, the_operator, with_token, written};
use crate::assert_refused;
use crate::support::World;

/// Makes the next event fail that is written by [`failing`].
static PANICS: AtomicBool = AtomicBool::new(false);
static FAILS: AtomicBool = AtomicBool::new(false);

fn panicking(view: &EventView) -> Result<Arc<[u8]>> {
    assert!(!PANICS.swap(false, Ordering::Relaxed), "as it must");
    written(view)
}

fn failing(view: &EventView) -> Result<Arc<[u8]>> {
    if FAILS.swap(false, Ordering::Relaxed) { Err(Error::internal("as it must")) } else { written(view) }
}

#[test]
fn a_feed_that_panics_breaks_off_begins_anew_and_nothing_is_lost() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let mut stage = Stage::with_format(&world.location, Format { event: panicking, ..FORMAT });
        let [bob, eve] = [&bob, &eve].map(|user| with_token(world, user));
        let mut ears = [&bob, &eve].map(|who| stage.listen(who, None));
        world.send(&ann, "team", "before");
        stage.until_heard(&mut ears[0], 1);
        PANICS.store(true, Ordering::Relaxed);
        world.send(&ann, "team", "at which it panics");
        stage.feed.look();
        for ear in &mut ears {
            assert_eq!(stage.until_end(ear), Delivery::BrokenOff);
        }
        assert_eq!(ears[0].heard.len(), 1);
        // They come again before what they had is given up.
        let mut again = [&bob, &eve].map(|who| stage.listen(who, Some(ears[0].cursor())));
        stage.until_heard(&mut again[0], 1);
        drop(ears);
        world.send(&ann, "team", "after");
        stage.feed.look();
        stage.until_heard(&mut again[0], 2);
        let [bob, eve] = &mut again;
        eve.listen();
        assert_eq!((eve.heard.len(), &eve.end), (0, &None));
        assert_eq!(keys_heard(world, bob), log(world)[log(world).len() - 2..]);
    });
}

#[test]
fn where_an_event_cannot_be_written_nothing_is_left_out_and_nobody_waits_for_ever() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let mut stage = Stage::with_format(&world.location, Format { event: failing, ..FORMAT });
        let mut ear = stage.listen(&with_token(world, &bob), None);
        FAILS.store(true, Ordering::Relaxed);
        world
            .app
            .write(|tx| {
                let team = crate::support::place("team");
                let bob = crate::support::selector(&bob);
                tidings::service::messages::send(tx, &ann, &crate::support::draft("team", "bye"))?;
                tidings::service::conversations::remove(tx, &ann, &team, &[bob])
            })
            .unwrap();
        stage.feed.look();
        stage.until(&mut [&mut ear], |ears| ears[0].end.is_some() || ears[0].heard.len() == 2);
        if ear.end.is_some() {
            ear = stage.listen(&with_token(world, &bob), Some(&ear.begun));
            stage.until_heard(&mut ear, 2);
        }
        assert_eq!(keys_heard(world, &ear), log(world)[log(world).len() - 2..]);
    });
}

/// While the log cannot be read
fn without_log<T>(world: &World, more: &str, work: impl FnOnce() -> T) -> T {
    world.insert(&format!("ALTER TABLE event RENAME TO event_elsewhere; {more}"));
    let value = work();
    world.execute("ALTER TABLE event_elsewhere RENAME TO event");
    value
}

#[test]
fn what_came_while_the_log_could_not_be_read_is_heard_afterwards() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let mut stage = Stage::open(&world.location);
        let bob = with_token(world, &bob);
        let mut ears = [bob.clone(), the_operator()].map(|who| stage.listen(&who, None));
        without_log(world, "", || {
            stage.feed.look();
            thread::sleep(Duration::from_millis(100));
            let refused = stage.join(&bob, &Narrowing::default(), Some(&ears[0].begun));
            assert!(refused.is_err());
        });
        for number in 0..3 {
            world.send(&ann, "team", &format!("{number}"));
        }
        for ear in &mut ears {
            stage.until_heard(ear, 3);
        }
        let mut late = stage.listen(&bob, Some(&ears[0].begun));
        stage.until_heard(&mut late, 3);
        assert_eq!(keys_heard(world, &ears[0]), keys_heard(world, &late));
    });
}

#[test]
fn a_log_that_is_another_and_cannot_be_read_at_first_leaves_nobody_waiting() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let mut stage = Stage::open(&world.location);
        let bob = with_token(world, &bob);
        let mut ear = stage.listen(&bob, None);
        let other = "UPDATE event_log SET generation = gen_random_uuid()";
        without_log(world, other, || {
            stage.feed.look();
            thread::sleep(Duration::from_millis(100));
        });
        world.send(&ann, "team", "hi");
        stage.feed.look();
        stage.until(&mut [&mut ear], |ears| ears[0].end.is_some() || !ears[0].heard.is_empty());
        assert!(ear.end == Some(Delivery::BrokenOff) || ear.kinds()[0] == "reset", "{:?}", ear.heard);
        let mut again = stage.listen(&bob, None);
        world.send(&ann, "team", "again");
        stage.until_heard(&mut again, 1);
        // The cursor from before is one of the other log.
        let late = stage.listen(&bob, Some(&ear.begun));
        assert!(late.reset.is_some());
    });
}

#[test]
fn a_feed_that_has_ended_refuses_and_lets_go() {
    on_every_engine(|world| {
        world.user("ann");
        let mut stage = Stage::open(&world.location);
        let mut ears = stage.listen_all(&the_operator(), None, 100);
        stage.running = None;
        assert_refused!(stage.join(&the_operator(), &Narrowing::default(), None), Unavailable);
        for ear in &mut ears {
            assert_eq!(stage.until_end(ear), Delivery::BrokenOff);
        }
    });
}
