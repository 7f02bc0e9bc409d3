//! What others do while a load is between its check and its writing: then it is a conflict, and nothing is loaded.

use std::io::Write;

use tidings::error::{Kind, Result};
use tidings::model::{Actor, MessageSelector, Role, UserSelector};
use tidings::service::conversations::{self, NewConversation};
use tidings::service::messages::{self, MessageEdit};
use tidings::service::{self, accounts, users};
use tidings::store::Tx;
use tidings::transfer::dump::Request;
use tidings::transfer::input::Input;
use tidings::transfer::load::{self, Failure, Stage};

use super::dump::text;
use super::load::{PEOPLE, TALK, load, load_by};
use crate::support::{World, draft, new_user, on_every_engine, operator, place};

type Deed = fn(&mut Tx<'_>) -> Result<()>;

fn who(tx: &mut Tx<'_>, name: &str) -> Result<Actor> {
    service::acting(tx, &UserSelector::from(name.to_owned()))
}

fn named(message: &str) -> MessageSelector {
    message.parse().unwrap()
}

fn leave(tx: &mut Tx<'_>) -> Result<()> {
    conversations::remove(tx, &operator(), &place("team"), &[UserSelector::from("eve".to_owned())]).map(drop)
}

fn send(tx: &mut Tx<'_>) -> Result<()> {
    let ann = who(tx, "ann")?;
    messages::send(tx, &ann, &draft("team", "faster")).map(drop)
}

fn delete(tx: &mut Tx<'_>) -> Result<()> {
    messages::delete(tx, &operator(), &[named("team#2")]).map(drop)
}

fn delete_with_replies(tx: &mut Tx<'_>) -> Result<()> {
    messages::delete(tx, &operator(), &[named("team#1")]).map(drop)
}

fn edit(tx: &mut Tx<'_>) -> Result<()> {
    let change = MessageEdit { content: "hey".to_owned(), ..MessageEdit::default() };
    messages::edit(tx, &operator(), &named("team#1"), &change).map(drop)
}

fn end(tx: &mut Tx<'_>) -> Result<()> {
    conversations::delete(tx, &operator(), &place("team")).map(drop)
}

fn forget_bob(tx: &mut Tx<'_>) -> Result<()> {
    accounts::delete(tx, &operator(), &[UserSelector::from("bob".to_owned())]).map(drop)
}

fn create_zoe(tx: &mut Tx<'_>) -> Result<()> {
    let mut zoe = new_user("Zoe", Role::User);
    "Another".clone_into(&mut zoe.details.first_name);
    users::create(tx, &operator(), &zoe).map(drop)
}

fn take_email(tx: &mut Tx<'_>) -> Result<()> {
    let mut yan = new_user("yan", Role::User);
    yan.details.email = Some("Zoe@example.org".to_owned());
    users::create(tx, &operator(), &yan).map(drop)
}

fn create_room(tx: &mut Tx<'_>) -> Result<()> {
    let room = NewConversation {
        participants: vec![UserSelector::from("eve".to_owned())],
        name: Some("Room".to_owned()),
        ..NewConversation::default()
    };
    let ann = who(tx, "ann")?;
    conversations::create(tx, &ann, &room).map(drop)
}

/// The same database, as somebody else uses it
fn beside(world: &World) -> World {
    World { app: world.later(0), location: world.location.clone() }
}

/// What somebody does meanwhile, the record that it concerns, and what is said of that
const CASES: [(Deed, &str, &str); 13] = [
    (
        leave,
        r#"{"type":"notification","user":"eve","message":"m1"}"#,
        "The message was deleted meanwhile, or “eve” is no longer a participant.",
    ),
    (delete, r#"{"type":"notification","user":"ann","message":"m2"}"#, "The message “m2” no longer exists."),
    (
        send,
        r#"{"type":"message","conversation":"team","sender":"ann","content":"third","number":3}"#,
        "Another message has the number 3.",
    ),
    (
        delete,
        r#"{"type":"message","conversation":"team","sender":"ann","content":"third","reply_to":"m2"}"#,
        "The message “m2” no longer exists.",
    ),
    (
        delete_with_replies,
        r#"{"type":"message","conversation":"team","sender":"ann","content":"hi","timestamp":"2020-01-01T09:00:00Z","key":"m1"}"#,
        "",
    ),
    (
        edit,
        r#"{"type":"message","conversation":"team","sender":"ann","content":"hi","timestamp":"2020-01-01T09:00:00Z","key":"m1"}"#,
        "The message is there already; it differs in content",
    ),
    (
        end,
        r#"{"type":"message","conversation":"team","sender":"ann","content":"third"}"#,
        "The conversation “team” no longer exists.",
    ),
    (
        forget_bob,
        r#"{"type":"message","conversation":"team","sender":"bob","content":"third"}"#,
        "The user “bob” no longer exists.",
    ),
    (
        forget_bob,
        r#"{"type":"conversation","name":"room","participants":["ann","bob"]}"#,
        "The user “bob” no longer exists.",
    ),
    (
        forget_bob,
        r#"{"type":"message","conversation":"team","sender":"ann","receiver":"bob","content":"third"}"#,
        "The user “bob” no longer exists.",
    ),
    (
        create_zoe,
        r#"{"type":"user","username":"zoe","first_name":"Zoe"}"#,
        "The user is there already; it differs in username, first_name.",
    ),
    (
        take_email,
        r#"{"type":"user","username":"zoe","email":"zoe@example.org"}"#,
        "The email zoe@example.org is that of yan.",
    ),
    (
        create_room,
        r#"{"type":"conversation","name":"room","participants":["ann","bob"]}"#,
        "The conversation is there already; it differs in name, participants.",
    ),
];

#[test]
fn what_others_change_between_the_check_and_the_writing_is_a_conflict_and_nothing_is_loaded() {
    for (deed, record, said) in CASES {
        on_every_engine(|world| {
            load(world, &format!("{PEOPLE}{TALK}")).unwrap();
            let other = beside(world);
            let mut after = None;
            let records = format!("{}\n{record}\n", r#"{"type":"user","username":"first"}"#);
            let loaded = load_by(&world.app, records.as_bytes(), false, &mut |stage| {
                if stage == Stage::Checking && after.is_none() {
                    other.app.write(deed).unwrap();
                    after = Some(text(&other, &Request::default()));
                }
            });
            let refused = loaded.expect_err(record);
            assert_eq!(refused.len(), 1, "{refused:?}");
            let (line, kind, detail) = &refused[0];
            assert_eq!((*line, *kind), (2, Kind::Conflict), "{record}: {detail}");
            assert!(detail.starts_with(said), "{record}: {detail}");
            assert_eq!(Some(text(world, &Request::default())), after, "{record}");
            assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
        });
    }
}

#[test]
fn what_is_there_by_the_time_of_writing_in_the_same_words_is_passed_over() {
    on_every_engine(|world| {
        load(world, &format!("{PEOPLE}{TALK}")).unwrap();
        let other = world.later(0);
        let mut is_done = false;
        let records = "{\"type\":\"conversation\",\"participants\":[\"eve\",\"ann\"]}\n{\"type\":\"user\",\"username\":\"new\"}\n";
        let loaded = load_by(&world.app, records.as_bytes(), false, &mut |_| {
            if !is_done {
                is_done = true;
                let direct = NewConversation {
                    participants: vec![UserSelector::from("eve".to_owned())],
                    ..NewConversation::default()
                };
                let create = |tx: &mut Tx<'_>| {
                    let ann = who(tx, "ann")?;
                    conversations::create(tx, &ann, &direct)
                };
                other.write(create).unwrap();
            }
        });
        let loaded = loaded.unwrap();
        assert_eq!((loaded.created.users, loaded.created.conversations, loaded.skipped), (1, 0, 1));
    });
}

#[test]
fn a_database_that_somebody_begins_to_use_meanwhile_stays_theirs() {
    on_every_engine(|world: &World| {
        let other = beside(world);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(PEOPLE.as_bytes()).unwrap();
        let input = Input::open(file.path()).unwrap();
        let mut after = None;
        let loaded = load::load(&world.app, &operator(), &input, false, &mut |_| {
            if after.is_none() {
                other.app.write(create_zoe).unwrap();
                after = Some(text(&other, &Request::default()));
            }
        });
        match loaded {
            Err(Failure::Error(error)) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
            loaded => panic!("{loaded:?}"),
        }
        assert_eq!(Some(text(world, &Request::default())), after);
    });
}
