//! What one request may name, and that no number of names makes it many statements.

use tidings::error::Result;
use tidings::model::{Actor, MessageSelector, Role, UserDetails, UserSelector};
use tidings::service::conversations::NewConversation;
use tidings::service::messages::Matching;
use tidings::service::users::{NewUser, UserChange};
use tidings::service::{self, conversations, messages, notifications, users};
use tidings::store::Tx;

use super::notifications::told;
use crate::assert_refused;
#[cfg(debug_assertions)]
use crate::support::World;
use crate::support::{draft, new_user, on_every_engine, operator, place};

fn named(names: impl IntoIterator<Item = impl ToString>) -> Vec<UserSelector> {
    names.into_iter().map(|name| UserSelector::from(name.to_string())).collect()
}

/// A way to name somebody
type Way<'w> = Box<dyn Fn(&mut Tx<'_>, &Actor) -> Result<()> + 'w>;

/// How many statements some work runs, which is undone
#[cfg(debug_assertions)]
fn statements<T>(world: &World, work: impl Fn(&mut Tx<'_>) -> Result<T>) -> u64 {
    let mut count = 0;
    world
        .app
        .try_out(|tx| {
            let before = tidings::store::statements_run();
            let done = work(tx);
            count = tidings::store::statements_run() - before;
            done.map(drop)
        })
        .unwrap();
    count
}

#[cfg(debug_assertions)]
#[test]
fn many_names_take_as_many_statements_as_few() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        let crowd: Vec<String> = (0..60).map(|number| format!("u{number}")).collect();
        for name in &crowd {
            world.user(name);
        }
        world.group("team", &ann, &[&bob]);
        let sent: Vec<_> = (0..60).map(|_| world.send(&ann, "team", "hi").message_id).collect();
        let people = |count: usize| named(&crowd[..count]);
        let ids = |count: usize| sent[..count].iter().copied().map(MessageSelector::Id).collect::<Vec<_>>();
        let team = place("team");
        let owner = |tx: &mut Tx<'_>| notifications::owner(tx, &bob, None);
        let [few, many] = [3, 60].map(|count| {
            [
                statements(world, |tx| {
                    let new = NewConversation { participants: people(count), ..NewConversation::default() };
                    conversations::create(tx, &ann, &new)
                }),
                statements(world, |tx| conversations::add(tx, &ann, &team, &people(count))),
                statements(world, |tx| {
                    conversations::add(tx, &ann, &team, &people(count))?;
                    conversations::remove(tx, &ann, &team, &people(count))
                }),
                statements(world, |tx| {
                    let reader = owner(tx)?;
                    messages::read(tx, &bob, &reader, &ids(count))
                }),
                statements(world, |tx| {
                    let reader = owner(tx)?;
                    notifications::set_read(tx, &bob, &reader, &ids(count), true)
                }),
            ]
        });
        assert_eq!(few, many);
    });
}

#[cfg(debug_assertions)]
#[test]
fn what_was_meant_is_not_looked_for_while_others_wait() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        let known = statements(world, |tx| service::user(tx, &ann, &UserSelector::from("ann".to_owned())));
        let unknown = statements(world, |tx| {
            assert_refused!(service::user(tx, &ann, &UserSelector::from("an".to_owned())), NotFound);
            Ok(())
        });
        assert_eq!((known, unknown), (1, 1));
        let shown = world.app.write(|tx| service::user(tx, &ann, &UserSelector::from("an".to_owned())).map(drop));
        assert_eq!(shown.unwrap_err().advice(), Some("Did you mean “ann”?"));
    });
}

#[cfg(debug_assertions)]
#[test]
fn names_that_begin_with_each_other_are_looked_up_no_more_often_than_others() {
    on_every_engine(|world| {
        let [ann, bob, a] = ["ann", "bob", "aaa"].map(|name| world.user(name));
        for length in (1..=60).filter(|length| *length != 3) {
            world.user(&"a".repeat(length));
        }
        world.group("team", &ann, &[&bob, &a]);
        let hostile: String =
            (0..77).map(|number| format!("@{}{number} ", "a".repeat(450))).collect::<Vec<_>>().concat();
        let content = format!("{hostile}@bob");
        let sending = |content: &str| {
            let draft = draft("team", content);
            statements(world, |tx| messages::send(tx, &ann, &draft))
        };
        let (plain, many) = (sending("hi"), sending(&content));
        assert!(many <= plain + 33, "{many} statements, {plain} without mentions");
        let sent = world.send(&ann, "team", &content).number.0;
        for participant in [&a, &bob] {
            assert_eq!(told(world, participant)[0], format!("mention {sent}"));
        }
    });
}

#[test]
fn a_thousand_may_be_named_at_once_and_the_same_ones_count_once() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&eve]);
        let sent = world.send(&ann, "team", "hi").message_id;
        let new = |count: usize| NewConversation { participants: named(vec!["bob"; count]), ..Default::default() };
        let add = |count: usize| {
            world.app.try_out(|tx| conversations::add(tx, &ann, &place("team"), &named(vec!["bob"; count])))
        };
        let ids = |count: usize| vec![MessageSelector::Id(sent); count];
        let mark = |count: usize| {
            world.app.try_out(|tx| {
                let reader = notifications::owner(tx, &eve, None)?;
                notifications::set_read(tx, &eve, &reader, &ids(count), true)
            })
        };
        let read = |count: usize| {
            world.app.try_out(|tx| {
                let reader = notifications::owner(tx, &eve, None)?;
                messages::read(tx, &eve, &reader, &ids(count))
            })
        };
        assert_eq!(
            world.app.try_out(|tx| conversations::create(tx, &ann, &new(1000))).unwrap().0.participants.len(),
            2
        );
        assert_eq!(add(1000).unwrap().participant_count, 3);
        assert_eq!((mark(1000).unwrap(), read(1000).unwrap()), (1, 1));
        let field = |error: tidings::error::Error| serde_json::to_value(error.problem()).unwrap()["errors"].clone();
        for (error, name, said) in [
            (
                world.app.try_out(|tx| conversations::create(tx, &ann, &new(1001))).unwrap_err(),
                "participants",
                "participants",
            ),
            (add(1001).unwrap_err(), "participants", "participants"),
            (mark(1001).unwrap_err(), "ids", "ids"),
            (read(1001).unwrap_err(), "message_ids", "message ids"),
        ] {
            let detail = format!("The {said} are 1001; at most 1,000 are allowed at once.");
            assert_eq!(field(error), serde_json::json!({ name: [detail] }));
        }
        assert_eq!(told(world, &bob), [""; 0]);
    });
}

#[test]
fn people_are_found_by_id_by_name_in_any_form_and_in_the_order_they_are_named() {
    on_every_engine(|world| {
        let [ann, jürgen, straße] = ["ann", "jürgen", "straße"].map(|name| world.user(name));
        let Actor::User(person) = &ann else { panic!() };
        let names = named([
            "JU\u{308}RGEN".to_owned(),
            person.person.user_id.to_string(),
            "STRASSE".to_owned(),
            "ann".to_owned(),
        ]);
        let new = NewConversation { participants: names, ..NewConversation::default() };
        let view = world.app.write(|tx| conversations::create(tx, &operator(), &new)).unwrap().0;
        let taking_part: Vec<String> = view.participants.into_iter().map(|person| person.username).collect();
        assert_eq!(taking_part, ["ann", "jürgen", "straße"]);
        drop((jürgen, straße));
        for absent in ["nobody", "019b78c9-0a80-7000-8000-000000000000", "a\0", "", &"ü".repeat(5000)] {
            let new = NewConversation { participants: named(["ann", absent]), ..NewConversation::default() };
            assert_refused!(world.app.write(|tx| conversations::create(tx, &operator(), &new)), NotFound);
        }
    });
}

#[test]
fn an_email_names_a_user_for_the_operator_and_admins_only() {
    on_every_engine(|world| {
        let [ann, root] = [world.user("ann"), world.admin("root")];
        let plain = new_user("bob", Role::User);
        let details = UserDetails { email: Some("Bob@example.org".to_owned()), ..plain.details };
        let new = NewUser { details, password_hash: None, if_not_exists: false };
        world.app.write(|tx| users::create(tx, &operator(), &new)).unwrap();
        world.group("team", &ann, &[&root]);
        let bob = UserSelector::from("bob@EXAMPLE.org".to_owned());
        let begin = NewConversation { participants: vec![bob.clone()], ..NewConversation::default() };
        let begin_named =
            NewConversation { participants: named(["ann", "root", &bob.to_string()]), ..NewConversation::default() };
        let matching = Matching { sender: Some(bob.clone()), ..Matching::default() };
        let receiver = Matching { receiver: Some(bob.clone()), ..Matching::default() };
        let to_bob = messages::Draft { receiver: Some(bob.clone()), ..draft("team", "hi") };
        let direct = messages::Draft { destination: messages::Destination::User(bob.clone()), ..draft("team", "hi") };
        let change = UserChange::default();
        let team = place("team");
        let ways: Vec<(&str, Way<'_>)> = vec![
            ("show", Box::new(|tx, actor| users::show(tx, actor, &bob).map(drop))),
            ("begin", Box::new(|tx, actor| conversations::create(tx, actor, &begin).map(drop))),
            ("begin a group", Box::new(|tx, actor| conversations::create(tx, actor, &begin_named).map(drop))),
            ("add", Box::new(|tx, actor| conversations::add(tx, actor, &team, std::slice::from_ref(&bob)).map(drop))),
            ("from", Box::new(|tx, actor| messages::page_everywhere(tx, actor, &matching, None, 10).map(drop))),
            ("to", Box::new(|tx, actor| messages::page_everywhere(tx, actor, &receiver, None, 10).map(drop))),
            ("send", Box::new(|tx, actor| messages::send(tx, actor, &direct).map(drop))),
            ("in a group", Box::new(|tx, actor| messages::send(tx, actor, &to_bob).map(drop))),
            ("change", Box::new(|tx, actor| users::update(tx, actor, &bob, &change).map(drop))),
            (
                "delete",
                Box::new(|tx, actor| service::accounts::delete(tx, actor, std::slice::from_ref(&bob)).map(drop)),
            ),
        ];
        for (way, does) in ways {
            assert_refused!(world.app.try_out(|tx| does(tx, &ann)), NotFound);
            match world.app.try_out(|tx| does(tx, &root)) {
                // Bob is found, and does not take part.
                Err(error) if way == "in a group" => assert_eq!(error.kind(), tidings::error::Kind::Invalid),
                done => done.unwrap_or_else(|error| panic!("{way}: {error}")),
            }
        }
        assert!(world.app.read(|tx| users::show(tx, &operator(), &bob)).is_ok());
        assert!(world.app.read(|tx| service::acting(tx, &bob)).is_ok(), "whom the operator acts as");
    });
}
