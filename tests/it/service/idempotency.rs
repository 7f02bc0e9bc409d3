//! What makes a request the same as another under a key: what it means, however it names that.

use tidings::model::{Actor, ConversationSelector, MessageSelector, UserSelector};
use tidings::service::conversations::{self, ConversationChange, NewConversation};
use tidings::service::messages::{self, Destination, Draft};
use tidings::service::users::{self, UserChange};
use tidings::service::{IdempotentRequest, notifications, once_done};

use crate::assert_refused;
use crate::support::{World, draft, on_every_engine, place, selector};

fn named(name: &str) -> UserSelector {
    UserSelector::from(name.to_owned())
}

/// The number of the message that a draft sends under the key `k`
fn send(world: &World, sender: &Actor, draft: &Draft) -> Result<i64, tidings::error::Error> {
    let draft = Draft { idempotency_key: Some("k".to_owned()), ..draft.clone() };
    world.app.write(|tx| messages::send(tx, sender, &draft)).map(|sent| sent.number.0)
}

#[test]
fn a_message_is_sent_once_under_a_key_however_its_conversation_parent_and_receiver_are_named() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        let parent = world.send(&bob, "team", "a question");
        let Actor::User(user) = &bob else { panic!("nobody") };
        let as_ever = Draft {
            parent: Some("team#1".parse().unwrap()),
            receiver: Some(named("bob")),
            ..draft("team", "an answer")
        };
        assert_eq!(send(world, &ann, &as_ever).unwrap(), 2);
        let by_id = ConversationSelector::Id(parent.conversation);
        for conversation in [place("TEAM"), by_id] {
            let again = Draft {
                destination: Destination::Conversation(conversation),
                parent: Some(MessageSelector::Id(parent.message_id)),
                receiver: Some(named(&user.person.user_id.to_string())),
                ..as_ever.clone()
            };
            assert_eq!(send(world, &ann, &again).unwrap(), 2);
        }
        assert_eq!(send(world, &ann, &Draft { receiver: Some(named("BOB")), ..as_ever.clone() }).unwrap(), 2);
        assert_refused!(send(world, &ann, &Draft { receiver: Some(named("eve")), ..as_ever.clone() }), Conflict);
        assert_refused!(send(world, &ann, &Draft { receiver: None, ..as_ever.clone() }), Conflict);
        let second: MessageSelector = "team#2".parse().unwrap();
        assert_refused!(send(world, &ann, &Draft { parent: Some(second), ..as_ever.clone() }), Conflict);
        assert_refused!(send(world, &ann, &Draft { parent: None, ..as_ever.clone() }), Conflict);
        assert_refused!(send(world, &ann, &Draft { content: "An answer".to_owned(), ..as_ever }), Conflict);
    });
}

#[test]
fn a_message_to_nobody_is_refused_under_a_key_as_without_one_and_leaves_the_key_free() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let to_nobody = Draft { receiver: Some(named("nobody")), ..draft("team", "hi") };
        let without = world.app.write(|tx| messages::send(tx, &ann, &to_nobody)).unwrap_err();
        let with = send(world, &ann, &to_nobody).unwrap_err();
        assert_eq!((with.kind(), with.to_string()), (without.kind(), without.to_string()));
        assert_eq!(send(world, &ann, &draft("team", "hi")).unwrap(), 1);
    });
}

#[test]
fn a_direct_conversation_is_the_same_before_and_after_it_began() {
    on_every_engine(|world| {
        let [ann, _bob] = [world.user("ann"), world.user("bob")];
        let to_bob = Draft { destination: Destination::User(named("bob")), ..draft("", "hi") };
        assert_eq!(send(world, &ann, &to_bob).unwrap(), 1);
        assert_eq!(send(world, &ann, &to_bob).unwrap(), 1);
        assert_eq!(send(world, &ann, &draft("@Bob", "hi")).unwrap(), 1);
        let to_the_other = Draft { receiver: Some(named("bob")), ..draft("@bob", "hi") };
        assert_eq!(send(world, &ann, &to_the_other).unwrap(), 1);
    });
}

#[test]
fn another_group_of_the_same_name_is_another_request() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("supp", &ann, &[&bob]);
        assert_eq!(send(world, &ann, &draft("supp", "help")).unwrap(), 1);
        let rename = ConversationChange { name: Some("support".to_owned()), ..ConversationChange::default() };
        world.app.write(|tx| conversations::update(tx, &ann, &place("supp"), &rename)).unwrap();
        assert_eq!(send(world, &ann, &draft("support", "help")).unwrap(), 1);
        world.group("supp", &ann, &[&bob]);
        assert_refused!(send(world, &ann, &draft("supp", "help")), Conflict);
    });
}

#[test]
fn people_and_messages_are_a_set_and_what_was_found_is_found_again() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let new = |names: &[&str]| NewConversation {
            participants: names.iter().copied().map(named).collect(),
            ..NewConversation::default()
        };
        let create = |key: &str, new: &NewConversation| {
            let created = world.app.write(|tx| conversations::create_once(tx, &ann, new, Some(key)));
            created.map(|(view, is_new)| (view.conversation_id, is_new))
        };
        let group = create("group", &new(&["bob", "eve"])).unwrap();
        assert!(group.1);
        assert_eq!(create("group", &new(&["EVE", "bob", "eve", "ann"])).unwrap(), group);
        assert_refused!(create("group", &new(&["bob"])), Conflict);
        let direct = create("direct", &new(&["bob"])).unwrap();
        assert_eq!((direct.1, create("direct", &new(&["bob"])).unwrap()), (true, direct));
        let found = create("found", &new(&["bob"])).unwrap();
        assert_eq!((found.0, found.1), (direct.0, false));
        assert_eq!(create("found", &new(&["bob"])).unwrap(), found, "it was there then, too");

        world.group("team", &ann, &[&bob]);
        let add = |names: &[&str]| {
            let users: Vec<_> = names.iter().copied().map(named).collect();
            let added = world.app.write(|tx| conversations::add_once(tx, &ann, &place("team"), &users, Some("add")));
            added.map(|view| view.participant_count)
        };
        assert_eq!(add(&["eve"]).unwrap(), 3);
        world.app.write(|tx| conversations::remove(tx, &ann, &place("team"), &[selector(&eve)])).unwrap();
        assert_eq!(add(&["Eve", "eve"]).unwrap(), 2, "it is not done again");
        assert_refused!(add(&["eve", "bob"]), Conflict);

        let [one, two] = ["one", "two"].map(|text| MessageSelector::Id(world.send(&bob, "team", text).message_id));
        let read = |which: Option<&[MessageSelector]>| {
            world.app.write(|tx| {
                let owner = notifications::owner(tx, &ann, None)?;
                notifications::read_once(tx, &ann, &owner, which, Some("read"))
            })
        };
        assert_eq!(read(Some(&[one.clone(), two.clone()])).unwrap(), 2);
        assert_eq!(read(Some(&[two.clone(), "team#1".parse().unwrap(), one.clone()])).unwrap(), 2);
        assert_refused!(read(Some(&[one])), Conflict);
        assert_refused!(read(None), Conflict);
    });
}

#[test]
fn a_key_that_was_used_tells_nobody_whether_a_conversation_is_there_that_they_do_not_see() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        world.group("secret", &ann, &[&eve]);
        send(world, &bob, &draft("team", "hello")).unwrap();
        for name in ["secret", "nowhere"] {
            assert_refused!(send(world, &bob, &draft(name, "hello")), NotFound);
        }
    });
}

#[test]
fn a_form_that_is_sent_again_changes_nothing_and_one_that_failed_is_carried_out() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        let request = |key: &str| IdempotentRequest { key: key.to_owned(), request: vec![1], earlier: None };
        let name = |key: &str, name: &str| {
            let change = UserChange { first_name: Some(name.to_owned()), ..UserChange::default() };
            world.app.write(|tx| {
                once_done(tx, &ann, Some(&request(key)), |tx| {
                    users::update(tx, &ann, &selector(&ann), &change).map(drop)
                })
            })
        };
        let first_name = || {
            let shown = world.app.read(|tx| users::show(tx, &ann, &selector(&ann))).unwrap();
            shown.person().first_name.clone()
        };
        assert_refused!(name("k", &"a".repeat(151)), Invalid);
        name("k", "Ann").unwrap();
        name("l", "Anna").unwrap();
        name("k", "Ann").unwrap();
        assert_eq!(first_name(), "Anna");
    });
}
