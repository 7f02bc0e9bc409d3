//! Direct and group, names, joining and leaving.

mod views;

use tidings::error::Result;
use tidings::model::{Actor, ConversationView, Kind, Level, MessageSelector, UserSelector};
use tidings::service::conversations::{self, ConversationChange, NewConversation};
use tidings::service::messages::{self, List};
use tidings::store;

use crate::assert_refused;
use crate::support::{World, on_every_engine, operator, place, selector};

fn with(others: &[&Actor]) -> NewConversation {
    NewConversation { participants: others.iter().map(|other| selector(other)).collect(), ..NewConversation::default() }
}

fn titled(title: &str, others: &[&Actor]) -> NewConversation {
    NewConversation { title: Some(title.to_owned()), ..with(others) }
}

fn group(name: &str, others: &[&Actor]) -> NewConversation {
    NewConversation { name: Some(name.to_owned()), ..with(others) }
}

fn new_name(name: &str) -> ConversationChange {
    ConversationChange { name: Some(name.to_owned()), title: None }
}

fn new_title(title: &str) -> ConversationChange {
    ConversationChange { name: None, title: Some(title.to_owned()) }
}

fn create(world: &World, actor: &Actor, new: &NewConversation) -> Result<ConversationView> {
    world.app.write(|tx| Ok(conversations::create(tx, actor, new)?.0))
}

fn show(world: &World, actor: &Actor, conversation: &str) -> Result<ConversationView> {
    world.app.read(|tx| conversations::show(tx, actor, &place(conversation)))
}

fn update(world: &World, actor: &Actor, conversation: &str, change: &ConversationChange) -> Result<ConversationView> {
    world.app.write(|tx| conversations::update(tx, actor, &place(conversation), change))
}

fn add(world: &World, actor: &Actor, conversation: &str, people: &[&Actor]) -> Result<ConversationView> {
    let people: Vec<UserSelector> = people.iter().map(|person| selector(person)).collect();
    world.app.write(|tx| conversations::add(tx, actor, &place(conversation), &people))
}

fn remove(world: &World, actor: &Actor, conversation: &str, people: &[&Actor]) -> Result<bool> {
    let people: Vec<UserSelector> = people.iter().map(|person| selector(person)).collect();
    world.app.write(|tx| Ok(conversations::remove(tx, actor, &place(conversation), &people)?.ended))
}

/// The numbers of conversations and of their messages
fn counts(world: &World) -> (i64, i64) {
    world.app.read(store::conversations::count).unwrap()
}

/// The messages an actor sees, of one sender or of all
fn listed(world: &World, actor: &Actor, sender: Option<UserSelector>) -> Vec<String> {
    let all = List {
        conversation: None,
        before: None,
        after: None,
        since: None,
        until: None,
        sender,
        receiver: None,
        unread: false,
        limit: 50,
    };
    let messages = world.app.read(|tx| crate::support::list_messages(tx, actor, &all)).unwrap();
    messages.into_iter().map(|message| message.content).collect()
}

fn people(conversation: &ConversationView) -> Vec<&str> {
    conversation.participants.iter().map(|person| person.username.as_str()).collect()
}

#[test]
fn two_people_without_name_or_title_have_one_direct_conversation_and_get_it_again() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        let (first, created) = world.app.write(|tx| conversations::create(tx, &ann, &with(&[&bob]))).unwrap();
        assert!(created);
        assert_eq!((first.kind, people(&first)), (Kind::Direct, vec!["ann", "bob"]));
        assert_eq!(first.creator.unwrap().username, "ann");
        for (actor, others) in [(&ann, vec![&bob]), (&bob, vec![&ann]), (&operator(), vec![&bob, &ann])] {
            let (again, created) = world.app.write(|tx| conversations::create(tx, actor, &with(&others))).unwrap();
            assert!(!created);
            assert_eq!(again.conversation_id, first.conversation_id);
        }
        let to_each_other = [show(world, &ann, "@bob").unwrap(), show(world, &bob, "@ann").unwrap()];
        assert!(to_each_other.iter().all(|found| found.conversation_id == first.conversation_id));
        assert_eq!(counts(world), (1, 0));
    });
}

#[test]
fn a_name_a_title_or_a_third_person_makes_a_group() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let titled_empty = NewConversation { title: Some(String::new()), ..with(&[&bob]) };
        assert_eq!(create(world, &ann, &titled_empty).unwrap().kind, Kind::Direct, "an empty title is none");
        let named_empty = NewConversation { name: Some(String::new()), ..with(&[&bob]) };
        assert_refused!(create(world, &ann, &named_empty), Invalid);
        for new in [group("pair", &[&bob]), titled("Pair", &[&bob]), with(&[&bob, &eve]), with(&[&bob, &eve])] {
            assert_eq!(create(world, &ann, &new).unwrap().kind, Kind::Group);
        }
        assert_eq!(counts(world), (5, 0));
    });
}

#[test]
fn the_creator_is_always_in_and_duplicates_collapse() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let team = create(world, &ann, &group("team", &[&bob, &ann, &eve, &bob])).unwrap();
        assert_eq!((people(&team), team.participant_count), (vec!["ann", "bob", "eve"], 3));
        let Actor::User(user) = &bob else { panic!("bob is a user") };
        let bob_thrice =
            ["bob", "BOB", &user.person.user_id.to_string()].map(|name| UserSelector::from(name.to_owned()));
        let new = NewConversation { participants: bob_thrice.to_vec(), ..NewConversation::default() };
        assert_eq!(create(world, &ann, &new).unwrap().kind, Kind::Direct);
    });
}

#[test]
fn a_conversation_with_oneself_only_is_refused() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        for others in [vec![], vec![&ann], vec![&ann, &ann]] {
            assert_refused!(create(world, &ann, &with(&others)), Invalid);
            assert_refused!(create(world, &ann, &group("team", &others)), Invalid);
        }
        assert_eq!(counts(world), (0, 0));
    });
}

#[test]
fn the_operator_names_at_least_two_people_and_is_none_of_them() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        for others in [vec![], vec![&ann], vec![&ann, &ann]] {
            assert_refused!(create(world, &operator(), &group("team", &others)), Invalid);
        }
        let team = create(world, &operator(), &group("team", &[&ann, &bob])).unwrap();
        assert_eq!((team.creator.clone(), people(&team)), (None, vec!["ann", "bob"]));
        assert_eq!(create(world, &operator(), &with(&[&ann, &bob])).unwrap().kind, Kind::Direct);
    });
}

#[test]
fn somebody_who_is_not_there_is_not_found_and_nothing_begins() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        let nobody = UserSelector::from("nobody".to_owned());
        let new = NewConversation { participants: vec![selector(&bob), nobody.clone()], ..NewConversation::default() };
        assert_refused!(create(world, &ann, &new), NotFound);
        assert_eq!(counts(world), (0, 0));
        world.group("team", &ann, &[&bob]);
        let eve = world.user("eve");
        let some = [selector(&eve), nobody];
        assert_refused!(world.app.write(|tx| conversations::add(tx, &ann, &place("team"), &some)), NotFound);
        assert_eq!(show(world, &ann, "team").unwrap().participant_count, 2);
    });
}

#[test]
fn a_groups_name_is_1_to_64_plain_characters() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for name in ["a", "A.b_c-9", "-", "...", &"x".repeat(64)] {
            assert_eq!(create(world, &ann, &group(name, &[&bob])).unwrap().name.as_deref(), Some(name));
        }
        for name in ["a b", "é", "a/b", "a#1", "@bob", "a\0b", "a\n", " ", &"x".repeat(65)] {
            assert_refused!(create(world, &ann, &group(name, &[&bob])), Invalid);
            assert_refused!(update(world, &ann, "team", &new_name(name)), Invalid);
        }
    });
}

#[test]
fn a_title_is_free_text_of_up_to_200_characters() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        for title in [&"é".repeat(200), "What? #1: a/b @bob\n小明"] {
            assert_eq!(create(world, &ann, &titled(title, &[&bob])).unwrap().title.as_deref(), Some(title));
            assert_eq!(update(world, &ann, "team", &new_title(title)).unwrap().title.as_deref(), Some(title));
        }
        for title in [&"é".repeat(201), "a\0b"] {
            assert_refused!(create(world, &ann, &titled(title, &[&bob])), Invalid);
            assert_refused!(update(world, &ann, "team", &new_title(title)), Invalid);
        }
    });
}

#[test]
fn a_groups_name_is_unique_ignoring_case_and_free_again_when_it_is_given_up() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("Team", &ann, &[&bob]);
        world.group("other", &ann, &[&bob]);
        assert_refused!(create(world, &bob, &group("tEAM", &[&ann])), Conflict);
        assert_refused!(update(world, &ann, "other", &new_name("TEAM")), Conflict);
        assert_eq!(update(world, &ann, "team", &new_name("TEAM")).unwrap().name.as_deref(), Some("TEAM"));
        update(world, &ann, "team", &new_name("crew")).unwrap();
        assert_refused!(show(world, &ann, "team"), NotFound);
        update(world, &ann, "other", &new_name("team")).unwrap();
    });
}

#[test]
fn of_name_and_title_what_is_absent_stays_and_what_is_empty_goes() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        let both = |view: ConversationView| (view.name, view.title);
        let [team, title] = [Some("team".to_owned()), Some("Title".to_owned())];
        assert_eq!(both(update(world, &ann, "team", &new_title("Title")).unwrap()), (team.clone(), title.clone()));
        let nothing = ConversationChange::default();
        assert_eq!(both(update(world, &ann, "team", &nothing).unwrap()), (team, title.clone()));
        let unnamed = update(world, &ann, "team", &new_name("")).unwrap();
        assert_eq!((unnamed.kind, both(unnamed)), (Kind::Group, (None, title)));
    });
}

#[test]
fn who_joins_sees_what_was_said_before() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "before");
        assert_eq!(people(&add(world, &bob, "team", &[&eve]).unwrap()), ["ann", "bob", "eve"]);
        let first = world.app.read(|tx| messages::show(tx, &eve, &"team#1".parse().unwrap())).unwrap();
        assert_eq!(first.content, "before");
        assert_eq!(world.notifications(&eve), []);
        world.send(&ann, "team", "after");
        assert_eq!(world.notifications(&eve).len(), 1);
    });
}

#[test]
fn who_is_added_again_stays_as_they_are() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "hi");
        world.level(&bob, "team", Level::None);
        assert_eq!(add(world, &ann, "team", &[&bob, &eve]).unwrap().participant_count, 3);
        assert_eq!(show(world, &bob, "team").unwrap().level, Some(Level::None));
        assert_eq!(world.notifications(&bob).len(), 1);
    });
}

#[test]
fn who_leaves_or_is_removed_loses_notifications_and_sight_of_their_own_words_too() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        world.group("other", &ann, &[&bob, &eve]);
        world.send(&ann, "team", "hi");
        world.send(&ann, "other", "in the other");
        for (actor, leaver) in [(&bob, &bob), (&ann, &eve)] {
            let own = MessageSelector::Id(world.send(leaver, "team", "mine").message_id);
            assert!(!remove(world, actor, "team", &[leaver]).unwrap());
            assert_refused!(show(world, leaver, "team"), NotFound);
            assert_refused!(world.app.read(|tx| messages::show(tx, leaver, &own)), NotFound);
            assert_refused!(world.app.read(|tx| messages::history(tx, leaver, &own)), NotFound);
            assert_eq!(listed(world, leaver, None), ["in the other"]);
            assert!(listed(world, leaver, Some(selector(leaver))).is_empty());
            assert_eq!(world.notifications(leaver), [("message".to_owned(), 1, false)]);
        }
        assert_eq!(show(world, &ann, "team").unwrap().message_count, 3, "what they said stays");
        add(world, &ann, "team", &[&bob]).unwrap();
        assert_eq!(show(world, &bob, "team").unwrap().unread_count, Some(0), "notifications do not come back");
    });
}

#[test]
fn who_is_named_twice_joins_once() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        let newest = || world.app.read(store::events::newest).unwrap().0;
        let before = newest();
        assert_eq!(add(world, &ann, "team", &[&eve, &eve]).unwrap().participant_count, 3);
        assert_eq!(newest(), before + 1, "one change is one event");
    });
}

#[test]
fn who_is_named_twice_leaves_once() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        assert!(!remove(world, &ann, "team", &[&eve, &eve]).unwrap());
        assert_refused!(show(world, &eve, "team"), NotFound);
    });
}

#[test]
fn who_is_not_in_a_group_is_not_removed_and_nobody_else_with_them() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        assert_refused!(remove(world, &ann, "team", &[&bob, &eve]), NotFound);
        assert_eq!(show(world, &bob, "team").unwrap().participant_count, 2);
    });
}

#[test]
fn a_direct_conversation_is_never_named_joined_or_left() {
    on_every_engine(|world| {
        let [root, ann] = [world.admin("root"), world.user("ann")];
        let [bob, eve] = [world.user("bob"), world.user("eve")];
        let id = create(world, &ann, &with(&[&bob])).unwrap().conversation_id.to_string();
        for actor in [&ann, &bob, &root, &operator()] {
            for change in [new_name("talk"), new_title("Talk"), ConversationChange::default()] {
                assert_refused!(update(world, actor, &id, &change), Invalid);
            }
            assert_refused!(add(world, actor, &id, &[&eve]), Invalid);
            assert_refused!(remove(world, actor, &id, &[&bob]), Invalid);
        }
        assert_eq!(people(&show(world, &ann, &id).unwrap()), ["ann", "bob"]);
    });
}

#[test]
fn a_group_ends_messages_and_all_with_its_last_participant() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        for remover in [&bob, &operator()] {
            world.group("team", &ann, &[&bob]);
            let sent = world.send(&bob, "team", "question");
            world.reply(&ann, "team", &sent, "answer");
            assert!(!remove(world, &ann, "team", &[&ann]).unwrap());
            assert_eq!(counts(world), (1, 2));
            assert!(remove(world, remover, "team", &[&bob]).unwrap());
            assert_eq!(counts(world), (0, 0));
            let message = MessageSelector::Id(sent.message_id);
            assert_refused!(world.app.read(|tx| messages::show(tx, &operator(), &message)), NotFound);
        }
        world.group("team", &ann, &[&bob]);
        assert!(remove(world, &operator(), "team", &[&ann, &bob]).unwrap());
        assert_eq!(counts(world), (0, 0));
    });
}

#[test]
fn a_deleted_conversation_takes_messages_and_notifications_along() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("other", &ann, &[&bob]);
        world.send(&ann, "other", "stays");
        let sent = world.send(&ann, "team", "question");
        world.reply(&bob, "team", &sent, "answer");
        let deleted = world.app.write(|tx| conversations::delete(tx, &ann, &place("team"))).unwrap();
        assert_eq!((deleted.message_count, deleted.participant_count), (2, 2));
        assert_eq!(counts(world), (1, 1));
        assert_eq!(world.notifications(&bob), [("message".to_owned(), 1, false)]);
        assert_eq!(world.notifications(&ann), []);
        world.group("team", &bob, &[&ann]);
    });
}

#[test]
fn if_not_exists_returns_a_visible_group_of_that_name_unchanged() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let new = NewConversation { if_not_exists: true, ..group("team", &[&bob]) };
        let (first, created) = world.app.write(|tx| conversations::create(tx, &ann, &new)).unwrap();
        assert!(created);
        let other = NewConversation { if_not_exists: true, title: Some("T".to_owned()), ..group("TEAM", &[&eve]) };
        for actor in [&ann, &bob] {
            let (again, created) = world.app.write(|tx| conversations::create(tx, actor, &other)).unwrap();
            assert!(!created);
            assert_eq!((again.conversation_id, again.title, again.participant_count), (first.conversation_id, None, 2));
        }
        let own = NewConversation { if_not_exists: true, ..group("team", &[&ann]) };
        assert_refused!(create(world, &eve, &own), Conflict);
    });
}

#[test]
fn what_is_not_there_is_not_found_whatever_the_name() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        for name in ["team", "", "%", "@ann", "@bob", "@", "0199f3c2-0000-7000-8000-00000000000a"] {
            assert_refused!(show(world, &ann, name), NotFound);
            assert_refused!(show(world, &operator(), name), NotFound);
        }
    });
}

#[test]
fn a_name_with_a_nul_is_not_found_like_any_other() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        assert_refused!(show(world, &ann, "te\0am"), NotFound);
        assert_refused!(show(world, &ann, "@b\0b"), NotFound);
    });
}
