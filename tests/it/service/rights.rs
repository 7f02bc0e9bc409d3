//! Who may do what: the contract's matrix, every cell of it.

use std::slice::from_ref;

use tidings::app::{App, Options};
use tidings::error::{Kind, Result};
use tidings::model::{Actor, ConversationSelector, Level, MessageSelector, Role, UserSelector};
use tidings::service::accounts;
use tidings::service::conversations::{self, ConversationChange, NewConversation};
use tidings::service::messages::{self, Destination, Draft, List, MessageEdit};
use tidings::service::users::{self, UserChange};
use tidings::store::{self, Db, Tx};

use crate::assert_refused;
use crate::support::{NOON, World, draft, new_user, on_every_engine, operator, place, selector};

/// The columns of the tables
const ACTORS: [&str; 9] = [
    "the operator",
    "an admin outside",
    "an admin inside",
    "the creator",
    "the sender",
    "a participant",
    "an outsider",
    "an ex-participant",
    "a creator who left",
];

/// What an actor tries, and on what: a group with a message of the sender's, and the sender's talk with the participant
struct Scene {
    group: ConversationSelector,
    direct: ConversationSelector,
    message: MessageSelector,
    direct_message: MessageSelector,
    /// A message in the group by the actor
    own: Option<MessageSelector>,
}

type Operation = fn(&mut Tx<'_>, &Actor, &Scene) -> Result<()>;

/// `y` done, `f` forbidden, `n` not found, `i` invalid, `-` nothing to try
type Row = (&'static str, &'static str, Operation);

const SEEING: [Row; 8] = [
    ("see a group", "yyy yyy nnn", |tx, actor, on| conversations::show(tx, actor, &on.group).map(drop)),
    ("list its messages", "yyy yyy nnn", |tx, actor, on| {
        crate::support::list_messages(tx, actor, &all_of(&on.group)).map(drop)
    }),
    ("see a message", "yyy yyy nnn", |tx, actor, on| messages::show(tx, actor, &on.message).map(drop)),
    ("see its history", "yyy yyy nnn", |tx, actor, on| messages::history(tx, actor, &on.message).map(drop)),
    ("see one's own", "--y yyy -nn", |tx, actor, on| messages::show(tx, actor, own(on)).map(drop)),
    ("see a direct conversation", "yyy nyy nnn", |tx, actor, on| conversations::show(tx, actor, &on.direct).map(drop)),
    ("see its message", "yyy nyy nnn", |tx, actor, on| messages::show(tx, actor, &on.direct_message).map(drop)),
    ("see a user", "yyy yyy yyy", |tx, actor, _| users::show(tx, actor, &other()).map(drop)),
];

const TALKING: [Row; 9] = [
    ("send", "ffy yyy nnn", |tx, actor, on| messages::send(tx, actor, &to(&on.group)).map(drop)),
    ("send to a direct conversation", "fff nyy nnn", |tx, actor, on| {
        messages::send(tx, actor, &to(&on.direct)).map(drop)
    }),
    ("edit", "yff fyf nnn", |tx, actor, on| messages::edit(tx, actor, &on.message, &change()).map(drop)),
    ("edit one's own", "--y yyy -nn", |tx, actor, on| messages::edit(tx, actor, own(on), &change()).map(drop)),
    ("restore", "yff fyf nnn", |tx, actor, on| messages::restore(tx, actor, &on.message, 1, None).map(drop)),
    ("delete", "yyy fyf nnn", |tx, actor, on| messages::delete(tx, actor, from_ref(&on.message)).map(drop)),
    ("delete one's own", "--y yyy -nn", |tx, actor, on| messages::delete(tx, actor, from_ref(own(on))).map(drop)),
    ("edit a direct one", "yff nyf nnn", |tx, actor, on| {
        messages::edit(tx, actor, &on.direct_message, &change()).map(drop)
    }),
    ("delete a direct one", "yyy nyf nnn", |tx, actor, on| {
        messages::delete(tx, actor, from_ref(&on.direct_message)).map(drop)
    }),
];

const GATHERING: [Row; 11] = [
    ("add", "yyy yyy nnn", |tx, actor, on| conversations::add(tx, actor, &on.group, &[named("new")]).map(drop)),
    ("remove another", "yyy yff nnn", |tx, actor, on| {
        conversations::remove(tx, actor, &on.group, &[other()]).map(drop)
    }),
    ("leave", "-ny yyy nnn", |tx, actor, on| conversations::remove(tx, actor, &on.group, &[selector(actor)]).map(drop)),
    ("leave with another", "-ny yff nnn", |tx, actor, on| {
        conversations::remove(tx, actor, &on.group, &[selector(actor), other()]).map(drop)
    }),
    ("rename", "yyy yff nnn", |tx, actor, on| conversations::update(tx, actor, &on.group, &rename()).map(drop)),
    ("delete", "yyy yff nnn", |tx, actor, on| conversations::delete(tx, actor, &on.group).map(drop)),
    ("set one's level", "fny yyy nnn", |tx, actor, on| {
        conversations::set_level(tx, actor, &on.group, Level::None).map(drop)
    }),
    ("add to a direct one", "iii nii nnn", |tx, actor, on| {
        conversations::add(tx, actor, &on.direct, &[named("new")]).map(drop)
    }),
    ("leave a direct one", "-ii nii nnn", |tx, actor, on| {
        conversations::remove(tx, actor, &on.direct, &[selector(actor)]).map(drop)
    }),
    ("rename a direct one", "iii nii nnn", |tx, actor, on| {
        conversations::update(tx, actor, &on.direct, &rename()).map(drop)
    }),
    ("delete a direct one", "yyy nff nnn", |tx, actor, on| conversations::delete(tx, actor, &on.direct).map(drop)),
];

const ACCOUNTS: [Row; 10] = [
    ("create a user", "yyy fff fff", |tx, actor, _| {
        users::create(tx, actor, &new_user("newest", Role::User)).map(drop)
    }),
    ("change another", "yyy fff fff", |tx, actor, _| users::update(tx, actor, &other(), &first_name()).map(drop)),
    ("make another an admin", "yyy fff fff", |tx, actor, _| users::update(tx, actor, &other(), &admin()).map(drop)),
    ("set another's password", "yyy fff fff", |tx, actor, _| users::set_password(tx, actor, &other(), None).map(drop)),
    ("deactivate another", "yyy fff fff", |tx, actor, _| users::set_active(tx, actor, &other(), false).map(drop)),
    ("delete another", "yyy fff fff", |tx, actor, _| accounts::delete(tx, actor, &[other()]).map(drop)),
    ("change oneself", "-yy yyy yyy", |tx, actor, _| {
        users::update(tx, actor, &selector(actor), &first_name()).map(drop)
    }),
    ("set one's own role", "-ff fff fff", |tx, actor, _| {
        let change = if actor.administers() { no_admin() } else { admin() };
        users::update(tx, actor, &selector(actor), &change).map(drop)
    }),
    ("set one's own password", "-yy yyy yyy", |tx, actor, _| {
        users::set_password(tx, actor, &selector(actor), None).map(drop)
    }),
    ("delete oneself", "-yy yyy yyy", |tx, actor, _| accounts::delete(tx, actor, &[selector(actor)]).map(drop)),
];

fn named(name: &str) -> UserSelector {
    UserSelector::from(name.to_owned())
}

/// Takes part in the groups and has nothing to do with anything else
fn other() -> UserSelector {
    named("other")
}

fn own(on: &Scene) -> &MessageSelector {
    on.own.as_ref().unwrap()
}

fn to(conversation: &ConversationSelector) -> Draft {
    Draft { destination: Destination::Conversation(conversation.clone()), ..draft("", "hi") }
}

fn change() -> MessageEdit {
    MessageEdit { content: "changed".to_owned(), ..MessageEdit::default() }
}

fn rename() -> ConversationChange {
    ConversationChange { name: Some("renamed".to_owned()), title: None }
}

fn title() -> ConversationChange {
    ConversationChange { name: None, title: Some("Title".to_owned()) }
}

fn first_name() -> UserChange {
    UserChange { first_name: Some("New".to_owned()), ..UserChange::default() }
}

fn admin() -> UserChange {
    UserChange { role: Some(Role::Admin), ..UserChange::default() }
}

fn no_admin() -> UserChange {
    UserChange { role: Some(Role::User), ..UserChange::default() }
}

fn all_of(conversation: &ConversationSelector) -> List {
    List { conversation: Some(conversation.clone()), limit: 50, ..List::default() }
}

fn message(conversation: &ConversationSelector, number: usize) -> MessageSelector {
    format!("{conversation}#{number}").parse().unwrap()
}

/// Begins a group in which the sender has changed the first message, everybody has sent one more, and one has left.
fn gather(world: &World, name: &str, people: &[&Actor], sender: &Actor, leaver: &Actor) {
    world.group(name, people[0], &people[1..]);
    world.send(sender, name, "first");
    let better = MessageEdit { content: "better".to_owned(), ..MessageEdit::default() };
    world.app.write(|tx| messages::edit(tx, sender, &message(&place(name), 1), &better)).unwrap();
    for person in people {
        world.send(person, name, "mine");
    }
    world.app.write(|tx| conversations::remove(tx, leaver, &place(name), &[selector(leaver)])).unwrap();
}

/// Everybody, in the order of the columns, each with a scene by names and numbers and the same by ids
fn scenes(world: &World) -> Vec<(Actor, [Scene; 2])> {
    let [outside, inside] = ["outside", "inside"].map(|name| world.admin(name));
    let [creator, sender, participant] = ["creator", "sender", "participant"].map(|name| world.user(name));
    let [outsider, former, founder] = ["outsider", "former", "founder"].map(|name| world.user(name));
    let [other, _] = ["other", "new"].map(|name| world.user(name));
    let team = [&creator, &inside, &sender, &participant, &former, &other];
    gather(world, "team", &team, &sender, &former);
    gather(world, "past", &[&founder, &sender, &participant, &other], &sender, &founder);
    let pair = NewConversation { participants: vec![selector(&participant)], ..NewConversation::default() };
    let talk = world.app.write(|tx| conversations::create(tx, &sender, &pair)).unwrap().0;
    let direct = ConversationSelector::Id(talk.conversation_id);
    world.app.write(|tx| messages::send(tx, &sender, &to(&direct))).unwrap();

    let id = |selector: &MessageSelector| {
        MessageSelector::Id(world.app.read(|tx| messages::show(tx, &operator(), selector)).unwrap().message_id)
    };
    let scenes = |name: &str, own: Option<usize>| {
        let by_name = Scene {
            group: place(name),
            direct: direct.clone(),
            message: message(&place(name), 1),
            direct_message: message(&direct, 1),
            own: own.map(|number| message(&place(name), number)),
        };
        let view = world.app.read(|tx| conversations::show(tx, &operator(), &place(name))).unwrap();
        let by_id = Scene {
            group: ConversationSelector::Id(view.conversation_id),
            direct: direct.clone(),
            message: id(&by_name.message),
            direct_message: id(&by_name.direct_message),
            own: by_name.own.as_ref().map(id),
        };
        [by_name, by_id]
    };
    vec![
        (operator(), scenes("team", None)),
        (outside, scenes("team", None)),
        (inside, scenes("team", Some(3))),
        (creator, scenes("team", Some(2))),
        (sender, scenes("team", Some(4))),
        (participant, scenes("team", Some(5))),
        (outsider, scenes("team", None)),
        (former, scenes("team", Some(6))),
        (founder, scenes("past", Some(2))),
    ]
}

/// Tries every cell of a table, each on the same state, and compares row by row what came of it.
fn walk(table: &[Row]) {
    on_every_engine(|world| {
        let scenes = scenes(world);
        let counts = || world.app.read(|tx| Ok((store::conversations::count(tx)?, store::users::count(tx)?))).unwrap();
        let before = counts();
        let (db, _) = Db::open(&world.location, true).unwrap();
        let app = App::new(db, Options { now: Some(NOON), seed: Some(1), dry_run: true });
        for (naming, by) in ["by names", "by ids"].iter().enumerate() {
            for (name, expected, operation) in table {
                let expected: Vec<char> = expected.chars().filter(|cell| *cell != ' ').collect();
                for (((actor, on), cell), column) in scenes.iter().zip(expected).zip(ACTORS) {
                    if cell == '-' {
                        continue;
                    }
                    let outcome = match app.write(|tx| operation(tx, actor, &on[naming])) {
                        Ok(()) => 'y',
                        Err(error) if error.kind() == Kind::Forbidden => 'f',
                        Err(error) if error.kind() == Kind::NotFound => 'n',
                        Err(error) if error.kind() == Kind::Invalid => 'i',
                        Err(error) => panic!("{name}, {column}, {by}: {error}"),
                    };
                    assert_eq!(outcome, cell, "{name}, {column}, {by}");
                }
            }
        }
        assert_eq!(counts(), before, "a cell left something behind");
    });
}

#[test]
fn a_conversation_is_seen_by_its_participants_admins_and_the_operator() {
    walk(&SEEING);
}

#[test]
fn messages_are_sent_by_participants_changed_by_senders_and_deleted_by_admins_too() {
    walk(&TALKING);
}

#[test]
fn participants_add_people_and_creator_and_admins_decide_the_rest() {
    walk(&GATHERING);
}

#[test]
fn an_account_is_its_users_and_the_admins_to_change() {
    walk(&ACCOUNTS);
}

#[test]
fn what_is_not_visible_is_refused_in_the_words_of_what_is_not_there() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob]);
        let sent = MessageSelector::Id(world.send(&ann, "team", "hi").message_id);
        let view = world.app.read(|tx| conversations::show(tx, &ann, &place("team"))).unwrap();
        let id = ConversationSelector::Id(view.conversation_id);
        let scenes = [(place("team"), sent.clone()), (id.clone(), sent), (id.clone(), message(&id, 1))];
        let scenes = scenes.map(|(group, message)| Scene {
            direct: group.clone(),
            direct_message: message.clone(),
            own: Some(message.clone()),
            group,
            message,
        });
        let tables = [SEEING.as_slice(), &TALKING, &GATHERING];
        let rows: Vec<&Row> = tables.into_iter().flatten().filter(|(name, ..)| *name != "see a user").collect();
        let words = || -> Vec<String> {
            let cells = scenes.iter().flat_map(|on| rows.iter().map(move |(_, _, operation)| (operation, on)));
            cells.map(|(try_it, on)| world.app.write(|tx| try_it(tx, &eve, on)).unwrap_err().to_string()).collect()
        };
        let invisible = words();
        world.app.write(|tx| conversations::delete(tx, &operator(), &id)).unwrap();
        assert_eq!(invisible, words());
    });
}

#[test]
fn where_the_creator_is_gone_admins_and_the_operator_stand_in() {
    on_every_engine(|world| {
        let [root, ann, bob, eve] = [world.admin("root"), world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &eve]);
        world.app.write(|tx| conversations::remove(tx, &ann, &place("team"), &[selector(&ann)])).unwrap();
        let rename = |actor: &Actor| world.app.write(|tx| conversations::update(tx, actor, &place("team"), &title()));
        assert_refused!(rename(&ann), NotFound);
        assert_refused!(rename(&bob), Forbidden);
        rename(&root).unwrap();
        rename(&operator()).unwrap();
        world.app.write(|tx| conversations::add(tx, &bob, &place("team"), &[selector(&ann)])).unwrap();
        rename(&ann).unwrap();
        world.app.write(|tx| accounts::delete(tx, &ann, &[selector(&ann)])).unwrap();
        assert_refused!(rename(&bob), Forbidden);
        rename(&root).unwrap();
    });
}

#[test]
fn an_admin_who_left_may_still_edit_their_own_message() {
    on_every_engine(|world| {
        let [root, ann] = [world.admin("root"), world.user("ann")];
        world.group("team", &ann, &[&root]);
        world.send(&root, "team", "hi");
        world.app.write(|tx| conversations::remove(tx, &root, &place("team"), &[selector(&root)])).unwrap();
        world.app.write(|tx| messages::edit(tx, &root, &message(&place("team"), 1), &change())).unwrap();
    });
}
