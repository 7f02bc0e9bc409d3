//! Joining while others write: nothing falls between what is read of the log and what comes as it happens.

use std::sync::mpsc::{self, TryRecvError};
use std::thread;

use tidings::feed::Feed;
use tidings::service::{acting, messages};
use tidings::store::{Location, Tx};

use super::{Ear, Stage, connect, cursor_of, keys_heard, log, on_every_engine, the_operator, with_token};
use crate::support::draft;

/// How much is written at the most, so that no listener is too slow, whatever else the machine does
const MOST_WRITTEN: usize = 400;

/// Does something while ann writes all the time in another process, of which every other message is known to the feed at once.
fn while_ann_writes<T>(location: &Location, feed: &Feed, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        // Dropped also where the work panics: then the writer ends, too.
        let (_working, is_over) = mpsc::channel::<()>();
        scope.spawn(move || {
            let app = connect(location).unwrap();
            let ann = app.read(|tx| acting(tx, &"ann".to_owned().into())).unwrap();
            for number in 0..MOST_WRITTEN {
                if is_over.try_recv() == Err(TryRecvError::Disconnected) {
                    break;
                }
                app.write(|tx| messages::send(tx, &ann, &draft("team", "live"))).unwrap();
                if number % 2 == 0 {
                    feed.look();
                }
            }
        });
        work()
    })
}

#[test]
fn who_comes_from_far_back_while_others_write_hears_the_log_in_order_and_once() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let before = log(world);
        // Several pages
        let long = "word ".repeat(100);
        let send =
            |tx: &mut Tx<'_>| (0..300).try_for_each(|_| messages::send(tx, &ann, &draft("team", &long)).map(drop));
        world.app.write(send).unwrap();
        let far = cursor_of(world, *before.last().unwrap());

        let mut stage = Stage::open(&world.location);
        let [bob, eve] = [bob, eve].map(|user| with_token(world, &user));
        let mut outsider = stage.listen(&eve, Some(&far));
        let feed = stage.feed.clone();
        let mut ears = while_ann_writes(&world.location, &feed, || {
            let mut ears: Vec<Ear> = Vec::new();
            for _ in 0..3 {
                ears.extend(stage.listen_all(&bob, Some(&far), 5));
                ears.extend(stage.listen_all(&the_operator(), Some(&far), 3));
                ears.extend(stage.listen_all(&bob, None, 2));
                // Some catch up while others come.
                stage.pump();
                ears.iter_mut().for_each(Ear::listen);
            }
            // Each comes to a place beyond the one where they joined while more is written.
            world.send(&ann, "team", "all are here");
            stage.until(&mut ears.iter_mut().collect::<Vec<_>>(), |ears| {
                ears.iter().all(|ear| ear.heard.iter().rev().any(|event| event["message"]["content"] == "all are here"))
            });
            ears
        });
        let all = log(world);
        let last = cursor_of(world, *all.last().unwrap());
        stage.until(&mut ears.iter_mut().collect::<Vec<_>>(), |ears| ears.iter().all(|ear| ear.cursor() == last));

        assert_eq!(keys_heard(world, &ears[0]), all[before.len()..]);
        let whole = &ears[0].heard;
        for (index, ear) in ears.iter().enumerate() {
            assert_eq!((&ear.reset, &ear.end), (&None, &None), "{index}");
            let joined = whole.iter().position(|event| event["id"] == *ear.begun).map_or(0, |place| place + 1);
            assert!(ear.heard == whole[joined..], "{index}, from {joined} on: {} of {}", ear.heard.len(), whole.len());
        }
        stage.until(&mut [&mut outsider], |ears| ears[0].ticket.reached().as_deref() == Some(last.as_str()));
        assert!(outsider.heard.is_empty() && outsider.end.is_none(), "{:?}", outsider.heard);
    });
}
