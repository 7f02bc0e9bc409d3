//! Threads: a message and all that hangs on it.

use tidings::model::{Actor, MessageSelector};
use tidings::service::messages;

use crate::assert_refused;
use crate::support::{World, on_every_engine};

fn thread(world: &World, actor: &Actor, message: &str) -> Vec<(i64, usize, bool)> {
    let message: MessageSelector = message.parse().unwrap();
    let thread = world.app.read(|tx| messages::thread(tx, actor, &message)).unwrap();
    let (keys, depths): (Vec<_>, Vec<_>) = thread.into_iter().unzip();
    let page = world.app.read(|tx| messages::resume(tx, actor, &keys)).unwrap();
    page.iter().zip(depths).map(|(message, depth)| (message.number.0, depth, message.deleted)).collect()
}

#[test]
fn a_thread_shows_each_reply_behind_what_it_replies_to() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let root = world.send(&ann, "team", "1");
        let second = world.reply(&bob, "team", &root, "2");
        let third = world.reply(&ann, "team", &root, "3");
        world.reply(&ann, "team", &second, "4");
        world.send(&ann, "team", "5");
        world.reply(&bob, "team", &third, "6");
        world.reply(&bob, "team", &second, "7");
        let whole = [(1, 0, false), (2, 1, false), (4, 2, false), (7, 2, false), (3, 1, false), (6, 2, false)];
        assert_eq!(thread(world, &bob, "team#1"), whole);
        assert_eq!(thread(world, &bob, "team#2"), [(2, 0, false), (4, 1, false), (7, 1, false)]);
        assert_eq!(thread(world, &bob, "team#5"), [(5, 0, false)]);
        world.app.write(|tx| messages::delete(tx, &bob, &["team#2".parse().unwrap()])).unwrap();
        assert_eq!(thread(world, &bob, "team#1")[1], (2, 1, true), "the tombstone keeps its place");
    });
}

#[test]
fn an_invisible_thread_is_not_found() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "1");
        let message: MessageSelector = "team#1".parse().unwrap();
        assert_refused!(world.app.read(|tx| messages::thread(tx, &eve, &message)), NotFound);
    });
}

#[test]
fn a_chain_of_1500_replies_is_a_thread() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let mut last = world.send(&ann, "team", "1");
        for _ in 0..1500 {
            last = world.reply(&bob, "team", &last, "more");
        }
        let thread = thread(world, &ann, "team#1");
        assert!(
            thread
                .iter()
                .map(|(number, depth, _)| (*number, *depth))
                .eq((0..=1500).map(|depth| { (i64::try_from(depth).unwrap() + 1, depth) }))
        );
    });
}
