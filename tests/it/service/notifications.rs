//! Whom a message concerns, and how; reading; events.

mod mentions;

use tidings::model::{Actor, Level, Message, MessageSelector, UserSelector};
use tidings::service::messages::{self, MessageEdit};
use tidings::service::{conversations, notifications, users};

use crate::assert_refused;
use crate::support::{World, on_every_engine, operator, place, selector};

fn named(text: &str) -> MessageSelector {
    text.parse().unwrap()
}

/// A user's notifications, newest first: kind, number, and `read` where it is
pub(super) fn told(world: &World, user: &Actor) -> Vec<String> {
    let line = |(kind, number, is_read)| format!("{kind} {number}{}", if is_read { " read" } else { "" });
    world.notifications(user).into_iter().map(line).collect()
}

fn edit(world: &World, editor: &Actor, message: &str, content: &str) -> Message {
    let change = MessageEdit { content: content.to_owned(), ..MessageEdit::default() };
    world.app.write(|tx| messages::edit(tx, editor, &named(message), &change)).unwrap()
}

fn delete(world: &World, actor: &Actor, messages: &[&str]) {
    let messages: Vec<_> = messages.iter().map(|message| named(message)).collect();
    world.app.write(|tx| messages::delete(tx, actor, &messages)).unwrap();
}

fn set_read(world: &World, user: &Actor, messages: &[&str], is_read: bool) -> tidings::error::Result<i64> {
    let messages: Vec<_> = messages.iter().map(|message| named(message)).collect();
    world.app.write(|tx| {
        let owner = notifications::owner(tx, user, None)?;
        notifications::set_read(tx, user, &owner, &messages, is_read)
    })
}

fn read_all(world: &World, user: &Actor) -> i64 {
    let read = world.app.write(|tx| {
        let owner = notifications::owner(tx, user, None)?;
        notifications::read_all(tx, user, &owner)
    });
    read.unwrap()
}

/// How many events something records
fn events(world: &World, change: impl FnOnce()) -> i64 {
    let newest = || world.app.read(tidings::store::events::newest).unwrap().0;
    let before = newest();
    change();
    newest() - before
}

#[test]
fn every_other_participant_and_nobody_else_is_notified() {
    on_every_engine(|world| {
        let [ann, bob, cyd, eve] = ["ann", "bob", "cyd", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &cyd]);
        world.send(&ann, "team", "hi");
        assert_eq!(told(world, &ann), [""; 0]);
        assert_eq!(told(world, &bob), ["message 1"]);
        assert_eq!(told(world, &cyd), ["message 1"]);
        assert_eq!(told(world, &eve), [""; 0]);
    });
}

#[test]
fn a_mention_comes_before_a_reply_and_a_reply_before_a_message() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &eve]);
        let root = world.send(&ann, "team", "question");
        world.reply(&bob, "team", &root, "answer");
        world.reply(&bob, "team", &root, "answer for @ann");
        assert_eq!(told(world, &ann), ["mention 3", "reply 2"]);
        assert_eq!(told(world, &eve), ["message 3", "message 2", "message 1"]);
    });
}

#[test]
fn a_reply_notifies_as_such_the_author_of_its_parent_only() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &eve]);
        let root = world.send(&ann, "team", "root");
        let middle = world.reply(&bob, "team", &root, "middle");
        world.reply(&eve, "team", &middle, "leaf");
        assert_eq!(told(world, &bob)[0], "reply 3");
        assert_eq!(told(world, &ann), ["message 3", "reply 2"]);
    });
}

#[test]
fn the_level_mentions_lets_only_mentions_and_replies_through() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.level(&bob, "team", Level::Mentions);
        let own = world.send(&bob, "team", "one");
        world.send(&ann, "team", "two");
        world.reply(&ann, "team", &own, "three");
        world.send(&ann, "team", "four @bob");
        assert_eq!(told(world, &bob), ["mention 4", "reply 3"]);
    });
}

#[test]
fn the_level_none_lets_nothing_through() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.level(&bob, "team", Level::None);
        let own = world.send(&bob, "team", "one");
        world.send(&ann, "team", "two");
        world.reply(&ann, "team", &own, "three @bob");
        assert_eq!(told(world, &bob), [""; 0]);
    });
}

#[test]
fn nobody_is_notified_of_their_own_message() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let own = world.send(&ann, "team", "I am @ann");
        world.reply(&ann, "team", &own, "I am still @ann");
        assert_eq!(told(world, &ann), [""; 0]);
    });
}

#[test]
fn who_is_deactivated_still_receives() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.app.write(|tx| users::set_active(tx, &operator(), &selector(&bob), false)).unwrap();
        world.send(&ann, "team", "hi");
        assert_eq!(told(world, &bob), ["message 1"]);
    });
}

#[test]
fn notifications_are_listed_by_their_messages_newest_first() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let sent = ["1", "2", "3", "4"].map(|text| world.send(&ann, "team", text));
        set_read(world, &bob, &["team#2", "team#4"], true).unwrap();
        edit(world, &ann, "team#1", "@bob");
        let page = |before: Option<&str>, unread_only, limit| -> Vec<i64> {
            let before = before.map(named);
            let found = world.app.read(|tx| {
                let owner = notifications::owner(tx, &bob, None)?;
                notifications::list(tx, &bob, &owner, before.as_ref(), unread_only, limit)
            });
            found.unwrap().iter().map(|found| found.message.number.0).collect()
        };
        assert_eq!(page(None, false, 9), [4, 3, 2, 1]);
        assert_eq!(page(None, false, 2), [4, 3]);
        assert_eq!(page(Some("team#3"), false, 9), [2, 1]);
        assert_eq!(page(Some(&sent[2].message_id.to_string()), false, 1), [2]);
        assert_eq!(page(None, true, 9), [3, 1]);
        assert_eq!(page(Some("team#3"), true, 9), [1]);
        assert_eq!(page(None, false, 0), [0; 0]);
    });
}

#[test]
fn a_page_is_not_asked_for_by_a_message_one_may_not_see() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let hidden = MessageSelector::Id(world.send(&ann, "team", "hi").message_id);
        let page = world.app.read(|tx| {
            let owner = notifications::owner(tx, &eve, None)?;
            notifications::list(tx, &eve, &owner, Some(&hidden), false, 9)
        });
        assert_refused!(page, NotFound);
    });
}

#[test]
fn notifications_are_for_their_owner_and_for_the_operator_who_names_one() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        let root = world.admin("root");
        let owner = |actor: &Actor, named: Option<&str>| {
            let named = named.map(|name| UserSelector::from(name.to_owned()));
            let owner = world.app.read(|tx| notifications::owner(tx, actor, named.as_ref()));
            owner.map(|owner| owner.username.clone())
        };
        assert_eq!(owner(&bob, None).unwrap(), "bob");
        assert_eq!(owner(&bob, Some("BOB")).unwrap(), "bob");
        assert_eq!(owner(&operator(), Some("bob")).unwrap(), "bob");
        assert_refused!(owner(&ann, Some("bob")), Forbidden);
        assert_refused!(owner(&root, Some("bob")), Forbidden);
        assert_refused!(owner(&operator(), None), Invalid);
        assert_refused!(owner(&operator(), Some("nobody")), NotFound);
    });
}

#[test]
fn reading_is_idempotent_and_can_be_undone() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "1");
        world.send(&ann, "team", "2");
        assert_eq!(set_read(world, &bob, &["team#1"], true).unwrap(), 1);
        assert_eq!(set_read(world, &bob, &["team#1", "team#1"], true).unwrap(), 0);
        assert_eq!(told(world, &bob), ["message 2", "message 1 read"]);
        assert_eq!(read_all(world, &bob), 1);
        assert_eq!(read_all(world, &bob), 0);
        assert_eq!(set_read(world, &bob, &["team#1", "team#2"], false).unwrap(), 2);
        assert_eq!(told(world, &bob), ["message 2", "message 1"]);
    });
}

#[test]
fn a_message_without_a_notification_of_mine_is_not_found_and_nothing_is_read() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "theirs");
        world.send(&bob, "team", "mine");
        assert_refused!(set_read(world, &bob, &["team#1", "team#2"], true), NotFound);
        assert_refused!(set_read(world, &bob, &["team#1", "team#3"], true), NotFound);
        assert_eq!(told(world, &bob), ["message 1"]);
    });
}

#[test]
fn the_unread_and_all_are_counted() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let count = || {
            let counted = world.app.read(|tx| {
                let owner = notifications::owner(tx, &bob, None)?;
                notifications::count(tx, &owner)
            });
            counted.unwrap()
        };
        assert_eq!(count(), (0, 0));
        for text in ["1", "2", "3"] {
            world.send(&ann, "team", text);
        }
        set_read(world, &bob, &["team#2"], true).unwrap();
        assert_eq!(count(), (2, 3));
    });
}

#[test]
fn the_notifications_of_a_message_go_with_it() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "row and all");
        let root = world.send(&ann, "team", "leaves a tombstone");
        world.reply(&bob, "team", &root, "reply");
        delete(world, &ann, &["team#1", "team#2"]);
        assert_eq!(told(world, &bob), [""; 0]);
        assert_eq!(told(world, &ann), ["reply 3"]);
    });
}

#[test]
fn who_leaves_loses_the_notifications_of_that_conversation_for_good() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("one", &ann, &[&bob]);
        world.group("two", &ann, &[&bob]);
        world.send(&ann, "one", "1");
        world.send(&ann, "two", "1");
        world.send(&ann, "two", "2");
        world.app.write(|tx| conversations::remove(tx, &bob, &place("one"), &[selector(&bob)])).unwrap();
        world.app.write(|tx| conversations::add(tx, &ann, &place("one"), &[selector(&bob)])).unwrap();
        assert_eq!(told(world, &bob), ["message 2", "message 1"]);
    });
}

#[test]
fn every_change_is_one_event_and_no_change_is_none() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &eve]);
        let one = |change: &dyn Fn()| assert_eq!(events(world, change), 1);
        let none = |change: &dyn Fn()| assert_eq!(events(world, change), 0);
        one(&|| drop(world.send(&ann, "team", "@bob and @eve")));
        one(&|| drop(world.send(&ann, "team", "hi")));
        one(&|| drop(edit(world, &ann, "team#2", "hi @bob and @eve")));
        none(&|| drop(edit(world, &ann, "team#2", "hi @bob and @eve")));
        one(&|| assert_eq!(set_read(world, &bob, &["team#1", "team#2"], true).unwrap(), 2));
        none(&|| assert_eq!(set_read(world, &bob, &["team#1", "team#2"], true).unwrap(), 0));
        one(&|| assert_eq!(set_read(world, &bob, &["team#1"], false).unwrap(), 1));
        one(&|| assert_eq!(read_all(world, &eve), 2));
        none(&|| assert_eq!(read_all(world, &eve), 0));
        one(&|| world.level(&bob, "team", Level::None));
        none(&|| world.level(&bob, "team", Level::None));
        one(&|| delete(world, &ann, &["team#1"]));
    });
}

#[test]
fn many_deletions_at_once_are_one_event() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        for text in ["1", "2", "3"] {
            world.send(&ann, "team", text);
        }
        assert_eq!(events(world, || delete(world, &ann, &["team#1", "team#2", "team#3"])), 1);
    });
}

#[test]
fn who_is_added_twice_at_once_is_one_event() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        let twice = [selector(&eve), selector(&eve)];
        let add = || drop(world.app.write(|tx| conversations::add(tx, &ann, &place("team"), &twice)).unwrap());
        assert_eq!(events(world, add), 1);
    });
}
