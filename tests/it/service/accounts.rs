//! Deleting an account: what goes, what stays, and the receipt.

use tidings::app::{App, Options};
use tidings::error::Result;
use tidings::model::{Actor, Message, MessageSelector, Number, Receipt, Role, UserSelector};
use tidings::service::conversations::{self, ConversationChange, NewConversation};
use tidings::service::messages::{self, Destination, Draft, List, MessageEdit};
use tidings::service::tokens::{self, Secret};
use tidings::service::{accounts, users};
use tidings::store::{Db, events};

use crate::assert_refused;
use crate::support::{NOON, World, draft, new_user, on_every_engine, operator, place, selector};

fn named(text: &str) -> MessageSelector {
    text.parse().unwrap()
}

fn forget(world: &World, actor: &Actor, name: &str) -> Result<Receipt> {
    world.app.write(|tx| accounts::delete(tx, actor, &[UserSelector::from(name.to_owned())]))
}

fn edit(world: &World, editor: &Actor, message: &str, content: &str) {
    let change = MessageEdit { content: content.to_owned(), ..MessageEdit::default() };
    world.app.write(|tx| messages::edit(tx, editor, &named(message), &change)).unwrap();
}

fn send_for(world: &World, sender: &Actor, conversation: &str, receiver: &Actor, content: &str) {
    let draft = Draft { receiver: Some(selector(receiver)), ..draft(conversation, content) };
    world.app.write(|tx| messages::send(tx, sender, &draft)).unwrap();
}

fn leave(world: &World, user: &Actor, conversation: &str) {
    world.app.write(|tx| conversations::remove(tx, user, &place(conversation), &[selector(user)])).unwrap();
}

fn begin_direct(world: &World, one: &Actor, other: &Actor) {
    let new = NewConversation { participants: vec![selector(other)], ..NewConversation::default() };
    world.app.write(|tx| conversations::create(tx, one, &new)).unwrap();
}

fn show(world: &World, message: &str) -> Result<Message> {
    world.app.read(|tx| messages::show(tx, &operator(), &named(message)))
}

/// The messages a conversation shows a user: number, sender, content
fn page(world: &World, user: &Actor, conversation: &str) -> Vec<String> {
    let request = List { conversation: Some(place(conversation)), limit: 50, ..List::default() };
    let line = |message: Message| {
        let sender = message.sender.map_or("-".to_owned(), |sender| sender.username);
        format!("{} {sender} {}", message.number.0, message.content)
    };
    world.app.read(|tx| crate::support::list_messages(tx, user, &request)).unwrap().into_iter().map(line).collect()
}

/// Ann in every relation to others that a deletion has to find: returns her, Bob and Eve.
fn build(world: &World) -> [Actor; 3] {
    let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
    begin_direct(world, &ann, &bob);
    begin_direct(world, &eve, &ann);
    begin_direct(world, &bob, &eve);
    world.send(&bob, "@eve", "between us");
    let first = world.send(&ann, "@bob", "1");
    world.send(&bob, "@ann", "2");
    world.reply(&bob, "@ann", &first, "3");
    edit(world, &bob, "@ann#2", "two");

    world.group("team", &bob, &[&ann, &eve]);
    let root = world.send(&ann, "team", "1");
    edit(world, &ann, "team#1", "one");
    edit(world, &operator(), "team#1", "One");
    let answer = world.reply(&bob, "team", &root, "2");
    let more = world.reply(&ann, "team", &answer, "3");
    world.reply(&eve, "team", &more, "4");
    send_for(world, &bob, "team", &ann, "5");
    let kept = world.send(&bob, "team", "6");
    let elsewhere = |text: &str| {
        world.app.write(|tx| {
            let message = messages::show(tx, &ann, &named("team#6"))?;
            tidings::store::messages::keep_revision(tx, &message, tx.now(), &ann, None)?;
            tidings::store::messages::replace_content(tx, message, text)
        })
    };
    elsewhere("six").unwrap();
    edit(world, &bob, "team#6", "Six");
    world.reply(&ann, "team", &kept, "7");
    let gone = world.send(&eve, "team", "8");
    world.reply(&ann, "team", &gone, "9");
    let kept = world.send(&bob, "team", "10");
    world.reply(&ann, "team", &kept, "11");
    world.reply(&bob, "team", &kept, "12");
    world.app.write(|tx| messages::delete(tx, &operator(), &[named("team#8"), named("team#10")])).unwrap();

    world.group("alone", &bob, &[&ann]);
    let first = world.send(&bob, "alone", "1");
    world.reply(&ann, "alone", &first, "2");
    send_for(world, &bob, "alone", &ann, "3");
    edit(world, &bob, "alone#1", "one");
    leave(world, &bob, "alone");

    world.group("past", &bob, &[&ann, &eve]);
    let first = world.send(&ann, "past", "1");
    send_for(world, &bob, "past", &ann, "2");
    leave(world, &ann, "past");
    world.reply(&bob, "past", &first, "3");
    [ann, bob, eve]
}

/// Everything the people of [`build`] can see, and the place in the log
fn everything(world: &World, people: &[Actor; 3]) -> Vec<String> {
    let mut seen = vec![format!("{:?}", world.app.read(events::newest).unwrap())];
    for person in people {
        for view in world.app.read(|tx| crate::support::list_conversations(tx, person, None, None, None, 100)).unwrap()
        {
            seen.extend(page(world, person, &view.conversation_id.to_string()));
            seen.push(format!("{view:?}"));
        }
        seen.push(format!("{:?}", world.notifications(person)));
    }
    seen
}

#[test]
fn the_receipt_counts_what_goes() {
    on_every_engine(|world| {
        let [ann, ..] = build(world);
        let Actor::User(user) = &ann else { panic!("a user") };
        let expected = Receipt {
            deleted_at: NOON,
            users: vec![user.person.clone()],
            messages_sent: 8,
            messages_received: 5,
            messages_of_groups: 1,
            tombstones: 3,
            revisions: 5,
            notifications: 24,
            participations: 4,
            direct_conversations: 2,
            groups: 1,
            tokens: 0,
            sessions: 0,
        };
        assert_eq!(forget(world, &ann, "ann").unwrap(), expected);
    });
}

#[test]
fn what_is_counted_before_is_what_a_deletion_then_reports() {
    on_every_engine(|world| {
        let people = build(world);
        let root = world.admin("root");
        world.app.write(|tx| tokens::issue(tx, &root, &selector(&people[0]), Secret([1; 32]))).unwrap();
        // Also where others who took part are gone already
        for name in ["ann", "eve", "bob"] {
            let user = UserSelector::from(name.to_owned());
            let counted = world.app.read(|tx| accounts::receipt(tx, &root, &user)).unwrap();
            assert_eq!(forget(world, &root, name).unwrap(), counted);
            assert!(counted.messages_sent > 0);
        }
        let ann = world.user("zoe");
        let count = |actor: &Actor, name: &str| {
            world.app.read(|tx| accounts::receipt(tx, actor, &UserSelector::from(name.to_owned())))
        };
        assert_refused!(count(&ann, "root"), Forbidden);
        assert_refused!(count(&root, "root"), Forbidden);
        assert_refused!(count(&root, "nobody"), NotFound);
        count(&ann, "zoe").unwrap();
        count(&operator(), "root").unwrap();
    });
}

#[test]
fn one_receipt_counts_what_goes_with_several_users_each_thing_once() {
    on_every_engine(|world| {
        let people = build(world);
        let [ann, bob] = [selector(&people[0]), selector(&people[1])];
        let one_by_one = world.app.try_out(|tx| {
            let one = accounts::delete(tx, &operator(), std::slice::from_ref(&ann))?;
            let other = accounts::delete(tx, &operator(), std::slice::from_ref(&bob))?;
            Ok((one.messages_sent + other.messages_sent, one.notifications + other.notifications))
        });
        let together = [ann.clone(), bob, ann];
        let receipt = world.app.write(|tx| accounts::delete(tx, &operator(), &together)).unwrap();
        assert_eq!((receipt.messages_sent, receipt.notifications), one_by_one.unwrap());
        let tombstones = world.app.read(|tx| {
            let mut count = 0;
            for view in crate::support::list_conversations(tx, &operator(), None, None, None, 100)? {
                let conversation = Some(place(&view.conversation_id.to_string()));
                let all = List { conversation, limit: 1000, ..List::default() };
                count +=
                    crate::support::list_messages(tx, &operator(), &all)?.iter().filter(|found| found.deleted).count();
            }
            Ok(count)
        });
        let tombstones = tombstones.unwrap();
        assert_eq!(receipt.tombstones, i64::try_from(tombstones).unwrap());
        let names: Vec<&str> = receipt.users.iter().map(|user| user.username.as_str()).collect();
        assert_eq!(names, ["ann", "bob"]);
    });
}

#[test]
fn of_several_users_all_are_deleted_or_none() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.admin("bob")];
        let both = [selector(&ann), UserSelector::from("nobody".to_owned())];
        crate::assert_refused!(world.app.write(|tx| accounts::delete(tx, &operator(), &both)), NotFound);
        let both = [selector(&ann), selector(&bob)];
        crate::assert_refused!(world.app.write(|tx| accounts::delete(tx, &bob, &both)), Forbidden);
        world.app.read(|tx| users::show(tx, &bob, &selector(&ann))).unwrap();
    });
}

#[test]
fn a_dry_run_gives_the_same_receipt_and_changes_nothing() {
    on_every_engine(|world| {
        let people = build(world);
        let (db, _) = Db::open(&world.location, true).unwrap();
        let dry = App::new(db, Options { now: Some(NOON), seed: Some(1), dry_run: true });
        let before = everything(world, &people);
        let receipt = dry.write(|tx| accounts::delete(tx, &people[0], &[selector(&people[0])])).unwrap();
        assert_eq!(everything(world, &people), before);
        assert_eq!(forget(world, &people[0], "ann").unwrap(), receipt);
    });
}

#[test]
fn what_others_said_in_groups_stays_and_tombstones_keep_its_place() {
    on_every_engine(|world| {
        let [ann, bob, eve] = build(world);
        let root = show(world, "team#1").unwrap().message_id;
        forget(world, &ann, "ann").unwrap();
        assert_eq!(
            page(world, &eve, "team"),
            ["1 - ", "2 bob 2", "3 - ", "4 eve 4", "6 bob Six", "10 - ", "12 bob 12"]
        );
        assert_eq!(page(world, &bob, "past"), ["1 - ", "3 bob 3"]);
        assert_eq!(page(world, &bob, "@eve"), ["1 bob between us"]);
        assert_eq!(show(world, "team#2").unwrap().parent_message, Some(root));
        assert_eq!(show(world, "team#4").unwrap().parent_message, Some(show(world, "team#3").unwrap().message_id));
    });
}

#[test]
fn a_tombstone_says_nothing_of_who_and_what_it_was() {
    on_every_engine(|world| {
        let [ann, ..] = build(world);
        forget(world, &ann, "ann").unwrap();
        let tombstone = show(world, "team#1").unwrap();
        assert!(tombstone.deleted && !tombstone.edited && !tombstone.read && tombstone.is_thread);
        assert_eq!((tombstone.sender, tombstone.receiver, tombstone.content.as_str()), (None, None, ""));
        assert_eq!((tombstone.revision, tombstone.reply_count), (1, 1));
        assert!(world.app.read(|tx| messages::history(tx, &operator(), &named("team#1"))).unwrap().is_empty());
    });
}

#[test]
fn a_tombstone_goes_whose_last_reply_was_theirs() {
    on_every_engine(|world| {
        let [ann, ..] = build(world);
        assert!(show(world, "team#8").unwrap().deleted);
        forget(world, &ann, "ann").unwrap();
        assert_refused!(show(world, "team#8"), NotFound);
        assert!(show(world, "team#10").unwrap().deleted);
    });
}

#[test]
fn what_they_received_goes_too_even_where_they_had_left() {
    on_every_engine(|world| {
        let [ann, ..] = build(world);
        forget(world, &ann, "ann").unwrap();
        assert_refused!(show(world, "team#5"), NotFound);
        assert_refused!(show(world, "past#2"), NotFound);
    });
}

#[test]
fn their_direct_conversations_and_groups_left_with_nobody_go() {
    on_every_engine(|world| {
        let [ann, bob, eve] = build(world);
        let mine = |user: &Actor| {
            let views =
                world.app.read(|tx| crate::support::list_conversations(tx, user, None, None, None, 100)).unwrap();
            let mut names: Vec<_> = views.into_iter().map(|view| view.name.unwrap_or_default()).collect();
            names.sort();
            names
        };
        let direct = world.app.read(|tx| conversations::show(tx, &bob, &place("@ann"))).unwrap().conversation_id;
        forget(world, &ann, "ann").unwrap();
        for gone in [direct.to_string().as_str(), "alone"] {
            assert_refused!(world.app.read(|tx| conversations::show(tx, &operator(), &place(gone))), NotFound);
        }
        assert_eq!(mine(&bob), ["", "past", "team"]);
        assert_eq!(mine(&eve), ["", "past", "team"]);
    });
}

#[test]
fn a_revision_they_wrote_elsewhere_goes_and_those_of_others_stay() {
    on_every_engine(|world| {
        let [ann, bob, _] = build(world);
        forget(world, &ann, "ann").unwrap();
        let history = world.app.read(|tx| messages::history(tx, &bob, &named("team#6"))).unwrap();
        let texts: Vec<_> = history.iter().map(|old| (old.revision, old.content.as_str())).collect();
        assert_eq!(texts, [(2, "six")]);
    });
}

#[test]
fn notifications_about_their_messages_go_and_others_stay() {
    on_every_engine(|world| {
        let [ann, bob, eve] = build(world);
        forget(world, &ann, "ann").unwrap();
        let numbers = |user: &Actor| -> Vec<i64> { world.notifications(user).iter().map(|told| told.1).collect() };
        assert_eq!(numbers(&bob), [4]);
        assert_eq!(numbers(&eve), [3, 12, 6, 2, 1]);
    });
}

#[test]
fn they_take_part_in_nothing_any_more() {
    on_every_engine(|world| {
        let [ann, bob, _] = build(world);
        forget(world, &ann, "ann").unwrap();
        let view = world.app.read(|tx| conversations::show(tx, &bob, &place("team"))).unwrap();
        let names: Vec<_> = view.participants.iter().map(|person| person.username.as_str()).collect();
        assert_eq!((names, view.participant_count), (vec!["bob", "eve"], 2));
    });
}

#[test]
fn message_counts_are_right_afterwards() {
    on_every_engine(|world| {
        let [ann, bob, _] = build(world);
        forget(world, &ann, "ann").unwrap();
        for (conversation, count, last) in [("team", 4, "12"), ("past", 1, "3"), ("@eve", 1, "between us")] {
            let view = world.app.read(|tx| conversations::show(tx, &bob, &place(conversation))).unwrap();
            assert_eq!(view.message_count, count, "{conversation}");
            assert_eq!(view.last_message.unwrap().content, last);
        }
        assert_eq!(world.app.read(tidings::store::conversations::count).unwrap(), (3, 6));
    });
}

#[test]
fn the_numbers_of_their_messages_are_not_used_again() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &eve]);
        world.send(&bob, "team", "1");
        world.send(&ann, "team", "2");
        forget(world, &ann, "ann").unwrap();
        assert_eq!(world.send(&bob, "team", "3").number, Number(3));
    });
}

#[test]
fn their_names_can_be_used_again_by_somebody_who_inherits_nothing() {
    on_every_engine(|world| {
        let [ann, bob, _] = build(world);
        let mut new = new_user("ann", Role::User);
        new.details.email = Some("ann@example.org".to_owned());
        forget(world, &ann, "ann").unwrap();
        let first = Actor::User(world.app.write(|tx| users::create(tx, &operator(), &new)).unwrap().0);
        forget(world, &first, "ann").unwrap();
        let ann = Actor::User(world.app.write(|tx| users::create(tx, &operator(), &new)).unwrap().0);
        assert!(
            world.app.read(|tx| crate::support::list_conversations(tx, &ann, None, None, None, 9)).unwrap().is_empty()
        );
        assert_eq!(world.notifications(&ann), []);
        assert_refused!(world.app.read(|tx| messages::show(tx, &ann, &named("team#2"))), NotFound);
        world.group("alone", &bob, &[&ann]);
        let to_ann = Draft { destination: Destination::User(selector(&ann)), ..draft("", "hi") };
        assert_eq!(world.app.write(|tx| messages::send(tx, &bob, &to_ann)).unwrap().number, Number(1));
    });
}

#[test]
fn where_the_creator_is_gone_admins_and_the_operator_stand_in() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        let root = world.admin("root");
        world.group("team", &ann, &[&bob, &eve]);
        forget(world, &ann, "ann").unwrap();
        let rename = |actor: &Actor, title: &str| {
            let change = ConversationChange { title: Some(title.to_owned()), ..ConversationChange::default() };
            world.app.write(|tx| conversations::update(tx, actor, &place("team"), &change))
        };
        assert_refused!(rename(&bob, "Bob's"), Forbidden);
        assert_eq!(rename(&root, "Root's").unwrap().creator, None);
        assert_eq!(rename(&operator(), "Ours").unwrap().title.as_deref(), Some("Ours"));
        let remove =
            |actor: &Actor| world.app.write(|tx| conversations::remove(tx, actor, &place("team"), &[selector(&eve)]));
        assert_refused!(remove(&bob), Forbidden);
        assert!(!remove(&root).unwrap().ended);
    });
}

#[test]
fn users_delete_their_own_account_and_only_admins_and_the_operator_anothers() {
    on_every_engine(|world| {
        let [ann, bob, ..] = ["ann", "bob", "eve", "zoe"].map(|name| world.user(name));
        let root = world.admin("root");
        assert_refused!(forget(world, &ann, "bob"), Forbidden);
        assert_refused!(forget(world, &ann, "nobody"), NotFound);
        forget(world, &bob, "bob").unwrap();
        forget(world, &root, "eve").unwrap();
        forget(world, &operator(), "zoe").unwrap();
        assert_refused!(forget(world, &operator(), "zoe"), NotFound);
        assert_refused!(world.app.read(|tx| tidings::service::acting(tx, &selector(&bob))), NotFound);
    });
}

#[test]
fn only_the_operator_deletes_the_last_admin() {
    on_every_engine(|world| {
        let root = world.admin("root");
        world.admin("other");
        forget(world, &root, "other").unwrap();
        assert_refused!(forget(world, &root, "root"), Forbidden);
        forget(world, &operator(), "root").unwrap();
    });
}

#[test]
fn what_their_requests_left_remembered_is_forgotten() {
    on_every_engine(|world| {
        let bob = world.user("bob");
        let draft = Draft { idempotency_key: Some("k1".to_owned()), ..draft("@bob", "hi") };
        for _ in 0..2 {
            let ann = world.user("ann");
            begin_direct(world, &ann, &bob);
            assert_eq!(world.app.write(|tx| messages::send(tx, &ann, &draft)).unwrap().number, Number(1));
            forget(world, &ann, "ann").unwrap();
        }
    });
}
