//! Two changes at once: what comes of them could have come of one after the other.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tidings::app::{App, Options};
use tidings::error::Result;
use tidings::model::{Actor, Level, Message, MessageSelector, Role};
use tidings::service::accounts;
use tidings::service::conversations::{self, NewConversation};
use tidings::service::messages::{self, Destination, Draft, MessageEdit};
use tidings::service::users::{self, NewUser, UserChange};
use tidings::store::{self, Db, Tx};

use crate::assert_refused;
use crate::support::{NOON, World, draft, new_user, on_every_engine, operator, place, selector};

/// How long the first change waits for the second, which may have to wait for the first
const PATIENCE: Duration = Duration::from_millis(500);

/// Makes the second change while the first is made but not committed.
pub(super) fn meanwhile<A, B: Send>(
    world: &World,
    first: impl Fn(&mut Tx<'_>) -> Result<A>,
    second: impl Fn(&mut Tx<'_>) -> Result<B> + Send,
) -> (Result<A>, Result<B>) {
    let (start, started) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    let location = world.location.clone();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let (db, _) = Db::open(&location, true).unwrap();
            started.recv().ok();
            let outcome = App::new(db, Options { now: Some(NOON), ..Options::default() }).write(second);
            finish.send(()).unwrap();
            outcome
        });
        let outcome = world.app.write(|tx| {
            let value = first(tx)?;
            start.send(()).ok();
            finished.recv_timeout(PATIENCE).ok();
            Ok(value)
        });
        drop(start);
        (outcome, other.join().unwrap())
    })
}

#[test]
fn of_two_last_admins_who_go_at_once_one_stays() {
    on_every_engine(|world| {
        let [ann, bob] = [world.admin("ann"), world.admin("bob")];
        let (one, other) = meanwhile(
            world,
            |tx| accounts::delete(tx, &ann, &[selector(&ann)]),
            |tx| accounts::delete(tx, &bob, &[selector(&bob)]),
        );
        one.unwrap();
        assert_refused!(other, Forbidden);
    });
}

#[test]
fn a_group_ends_when_its_last_two_leave_at_once() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let (one, other) = meanwhile(
            world,
            |tx| conversations::remove(tx, &ann, &place("team"), &[selector(&ann)]),
            |tx| conversations::remove(tx, &bob, &place("team"), &[selector(&bob)]),
        );
        assert_eq!([one.unwrap().ended, other.unwrap().ended], [false, true]);
        assert_eq!(world.app.read(store::conversations::count).unwrap(), (0, 0));
    });
}

#[test]
fn who_joins_while_the_last_leaves_keeps_the_group() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        world.app.write(|tx| conversations::remove(tx, &bob, &place("team"), &[selector(&bob)])).unwrap();
        let (joined, left) = meanwhile(
            world,
            |tx| conversations::add(tx, &operator(), &place("team"), &[selector(&eve)]),
            |tx| conversations::remove(tx, &ann, &place("team"), &[selector(&ann)]),
        );
        joined.unwrap();
        assert!(!left.unwrap().ended);
        world.send(&eve, "team", "still here");
    });
}

#[test]
fn a_group_that_is_ending_is_not_found() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let end = |tx: &mut Tx<'_>| conversations::delete(tx, &ann, &place("team"));
        world.group("team", &ann, &[&bob]);
        let (_, sent) = meanwhile(world, end, |tx| messages::send(tx, &bob, &draft("team", "hi")));
        assert_refused!(sent, NotFound);
        world.group("team", &ann, &[&bob]);
        let (_, joined) = meanwhile(world, end, |tx| conversations::add(tx, &bob, &place("team"), &[selector(&eve)]));
        assert_refused!(joined, NotFound);
        assert_eq!(world.app.read(store::conversations::count).unwrap(), (0, 0));
    });
}

#[test]
fn two_who_begin_their_direct_conversation_at_once_get_the_same() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        let with = |other| NewConversation { participants: vec![selector(other)], ..NewConversation::default() };
        let (one, other) = meanwhile(
            world,
            |tx| conversations::create(tx, &ann, &with(&bob)),
            |tx| conversations::create(tx, &bob, &with(&ann)),
        );
        let [(one, first), (other, second)] = [one.unwrap(), other.unwrap()];
        assert_eq!((one.conversation_id, first, second), (other.conversation_id, true, false));
    });
}

#[test]
fn if_not_exists_returns_who_is_being_created_at_once() {
    on_every_engine(|world| {
        let ann = NewUser { if_not_exists: true, ..new_user("ann", Role::User) };
        let create = |tx: &mut Tx<'_>| users::create(tx, &operator(), &ann);
        let (one, other) = meanwhile(world, create, create);
        let [(one, first), (other, second)] = [one.unwrap(), other.unwrap()];
        assert_eq!((one, first, second), (other, true, false));
    });
}

fn named(text: &str) -> MessageSelector {
    text.parse().unwrap()
}

fn delete(tx: &mut Tx<'_>, actor: &Actor, message: &str) -> Result<usize> {
    Ok(messages::delete(tx, actor, &[named(message)])?.len())
}

fn edit(tx: &mut Tx<'_>, actor: &Actor, content: &str, if_revision: Option<i64>) -> Result<Message> {
    let change = MessageEdit { content: content.to_owned(), if_revision, reason: None };
    messages::edit(tx, actor, &named("team#1"), &change)
}

#[test]
fn of_two_edits_at_once_both_are_kept_unless_one_meant_the_revision_before() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "first");
        let (one, other) = meanwhile(world, |tx| edit(tx, &ann, "second", None), |tx| edit(tx, &ann, "third", None));
        assert_eq!([one.unwrap().revision, other.unwrap().revision], [2, 3]);
        let (one, other) =
            meanwhile(world, |tx| edit(tx, &ann, "fourth", Some(3)), |tx| edit(tx, &ann, "fifth", Some(3)));
        assert_eq!(one.unwrap().revision, 4);
        assert_refused!(other, Stale);
    });
}

#[test]
fn an_edit_beside_a_deletion_comes_before_it_or_finds_nothing() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        for (edit_first, has_reply) in [(true, false), (false, false), (true, true), (false, true)] {
            world.group("team", &ann, &[&bob]);
            let sent = world.send(&ann, "team", "first");
            if has_reply {
                world.reply(&bob, "team", &sent, "reply");
            }
            let change = |tx: &mut Tx<'_>| edit(tx, &ann, "second", None).map(drop);
            let remove = |tx: &mut Tx<'_>| delete(tx, &ann, "team#1").map(drop);
            if edit_first {
                let (edited, deleted) = meanwhile(world, change, remove);
                edited.unwrap();
                deleted.unwrap();
            } else {
                let (deleted, edited) = meanwhile(world, remove, change);
                deleted.unwrap();
                assert_refused!(edited, NotFound);
            }
            assert_eq!(world.app.read(store::conversations::count).unwrap(), (1, i64::from(has_reply)));
            let kept = world.app.read(|tx| store::messages::history(tx, &sent)).unwrap();
            assert!(kept.is_empty(), "a deleted message left a revision behind");
            world.app.write(|tx| conversations::delete(tx, &operator(), &place("team"))).unwrap();
        }
    });
}

#[test]
fn who_is_being_removed_is_told_of_no_edit() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        world.send(&ann, "team", "first");
        let (removed, edited) = meanwhile(
            world,
            |tx| conversations::remove(tx, &ann, &place("team"), &[selector(&eve)]),
            |tx| edit(tx, &ann, "@eve: the secret is 42", None),
        );
        removed.unwrap();
        edited.unwrap();
        assert_eq!(world.notifications(&eve), []);
    });
}

#[test]
fn who_is_being_removed_sets_no_level() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let (removed, set) = meanwhile(
            world,
            |tx| conversations::remove(tx, &ann, &place("team"), &[selector(&bob)]),
            |tx| conversations::set_level(tx, &bob, &place("team"), Level::None),
        );
        removed.unwrap();
        assert_refused!(set, NotFound);
    });
}

#[test]
fn a_demotion_outlives_a_change_of_name_at_once() {
    on_every_engine(|world| {
        let [root, bob] = [world.admin("root"), world.admin("bob")];
        let demote = UserChange { role: Some(Role::User), ..UserChange::default() };
        let rename = UserChange { first_name: Some("Bob".to_owned()), ..UserChange::default() };
        let (demoted, renamed) = meanwhile(
            world,
            |tx| users::update(tx, &root, &selector(&bob), &demote),
            |tx| users::update(tx, &bob, &selector(&bob), &rename),
        );
        demoted.unwrap();
        assert_eq!(renamed.unwrap().role, Role::User);
    });
}

#[test]
fn a_message_is_deleted_once() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "first");
        world.send(&ann, "team", "second");
        let (one, other) = meanwhile(world, |tx| delete(tx, &ann, "team#1"), |tx| delete(tx, &operator(), "team#1"));
        assert_eq!(one.unwrap(), 1);
        assert_refused!(other, NotFound);
        assert_eq!(world.app.read(store::conversations::count).unwrap(), (1, 1));
    });
}

#[test]
fn an_account_is_deleted_whole_beside_a_message_to_it() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let to_ann = Draft { destination: Destination::User(selector(&ann)), ..draft("", "direct") };
        world.app.write(|tx| messages::send(tx, &bob, &to_ann)).unwrap();
        let (sent, deleted) = meanwhile(
            world,
            |tx| messages::send(tx, &bob, &to_ann),
            |tx| accounts::delete(tx, &ann, &[selector(&ann)]),
        );
        sent.unwrap();
        assert_eq!(deleted.unwrap().messages_received, 2);
        let ann = world.user("ann");
        world.app.write(|tx| conversations::add(tx, &bob, &place("team"), &[selector(&ann)])).unwrap();
        let (sent, deleted) = meanwhile(
            world,
            |tx| messages::send(tx, &bob, &draft("team", "hi, @ann")),
            |tx| accounts::delete(tx, &ann, &[selector(&ann)]),
        );
        sent.unwrap();
        assert_eq!(deleted.unwrap().notifications, 1);
        assert_eq!(world.app.read(store::conversations::count).unwrap(), (1, 1));
    });
}

#[test]
fn an_account_is_deleted_once() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        let (one, other) = meanwhile(
            world,
            |tx| accounts::delete(tx, &ann, &[selector(&ann)]),
            |tx| accounts::delete(tx, &operator(), &[selector(&ann)]),
        );
        one.unwrap();
        assert_refused!(other, NotFound);
    });
}

#[test]
fn who_is_being_deleted_is_not_found_by_who_adds_them() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        let (deleted, added) = meanwhile(
            world,
            |tx| accounts::delete(tx, &eve, &[selector(&eve)]),
            |tx| conversations::add(tx, &bob, &place("team"), &[selector(&eve)]),
        );
        deleted.unwrap();
        assert_refused!(added, NotFound);
    });
}

#[test]
fn two_who_are_deleted_at_once_leave_no_group_without_anybody() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let (one, other) = meanwhile(
            world,
            |tx| accounts::delete(tx, &ann, &[selector(&ann)]),
            |tx| accounts::delete(tx, &bob, &[selector(&bob)]),
        );
        assert_eq!([one.unwrap().groups, other.unwrap().groups], [0, 1]);
        assert_eq!(world.app.read(store::conversations::count).unwrap(), (0, 0));
    });
}
