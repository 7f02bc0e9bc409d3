//! What the log of events is told of accounts and levels, and what a receipt says of tokens.

use tidings::model::{Actor, Choice, EventKind, Level, Role};
use tidings::service::conversations::{self, NewConversation};
use tidings::service::tokens::{self, Secret};
use tidings::service::users::{self, UserChange};
use tidings::service::{self, accounts};
use tidings::store::{Location, Tx, events};

use crate::assert_refused;
use crate::support::{World, new_user, on_every_engine, operator, place, selector, texts};

/// Django's of `correct horse 7`
const HASH: &str = "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=";

/// What the log was told since then: kind, who did it, whom and what it is about, the conversation whose participants hear of it,
/// who else does, and what notifications became; all by name while there is one
pub(super) fn told_since(world: &World, key: i64) -> Vec<String> {
    let name = |key: &str| format!("coalesce((SELECT username FROM account WHERE key = {key}), '-')");
    let sql = format!(
        "SELECT CAST(kind AS TEXT) || ' by ' || coalesce('operator ' || operator, {}) || ' to ' || {} || ' of '
             || coalesce((SELECT username FROM account WHERE id = subject_id),
                         (SELECT coalesce(name, 'direct') FROM conversation WHERE id = subject_id),
                         (SELECT coalesce(name, 'direct') || '#' || number
                          FROM message JOIN conversation ON conversation.key = message.conversation_key
                          WHERE message.id = subject_id), '-') || ' in '
             || coalesce((SELECT coalesce(name, 'direct') FROM conversation WHERE key = conversation_key), '-')
             || coalesce((SELECT ' for ' || string_agg(username, ' ' ORDER BY username)
                          FROM event_audience JOIN account ON account.key = event_audience.user_key
                          WHERE event_key = event.key), '')
             || CASE WHEN is_read IS NULL THEN '' WHEN is_read THEN ' read' ELSE ' unread' END
         FROM event WHERE key > {key} ORDER BY key",
        name("actor_key"),
        name("event.user_key"),
    );
    let kinds = EventKind::ALL;
    let worded = texts(&world.location, &sql).into_iter().map(|row| {
        let (code, rest) = row.split_once(' ').unwrap();
        let kind = kinds.iter().find(|kind| kind.code().to_string() == code).unwrap();
        format!("{} {rest}", kind.word())
    });
    worded.collect()
}

pub(super) fn newest(world: &World) -> i64 {
    world.app.read(events::newest).unwrap().0
}

type Deed = fn(&mut Tx<'_>, &Actor, &Actor) -> tidings::error::Result<()>;

fn change(tx: &mut Tx<'_>, actor: &Actor, user: &Actor, change: &UserChange) -> tidings::error::Result<()> {
    users::update(tx, actor, &selector(user), change).map(drop)
}

/// Every change of an account, which another makes too
const CHANGES: [(&str, Deed); 9] = [
    ("first name", |tx, actor, user| {
        change(tx, actor, user, &UserChange { first_name: Some("Bob".to_owned()), ..UserChange::default() })
    }),
    ("last name", |tx, actor, user| {
        change(tx, actor, user, &UserChange { last_name: Some("B".to_owned()), ..UserChange::default() })
    }),
    ("email", |tx, actor, user| {
        change(tx, actor, user, &UserChange { email: Some("bob@example.org".to_owned()), ..UserChange::default() })
    }),
    ("role", |tx, actor, user| {
        change(tx, actor, user, &UserChange { role: Some(Role::Admin), ..UserChange::default() })
    }),
    ("role again", |tx, actor, user| {
        change(tx, actor, user, &UserChange { role: Some(Role::User), ..UserChange::default() })
    }),
    ("password", |tx, actor, user| users::set_password(tx, actor, &selector(user), Some(HASH)).map(drop)),
    ("inactive", |tx, actor, user| users::set_active(tx, actor, &selector(user), false).map(drop)),
    ("active", |tx, actor, user| users::set_active(tx, actor, &selector(user), true).map(drop)),
    ("tokens", |tx, actor, user| tokens::revoke_all(tx, actor, &selector(user)).map(drop)),
];

#[test]
fn every_change_of_an_account_is_one_event_that_says_whose_it_is() {
    on_every_engine(|world| {
        let [root, eve] = [world.admin("root"), world.user("eve")];
        let before = newest(world);
        let bob = world.user("bob");
        assert_eq!(told_since(world, before), ["user.created by operator root to bob of bob in -"]);
        world.group("team", &bob, &[&eve]);
        for (actor, name) in [(&root, "root"), (&operator(), "operator root")] {
            for (what, deed) in CHANGES {
                let before = newest(world);
                world.app.write(|tx| deed(tx, actor, &bob)).unwrap();
                let told = told_since(world, before);
                assert_eq!(told, [format!("user.updated by {name} to bob of bob in -")], "{what}");
            }
            let clear = UserChange {
                first_name: Some(String::new()),
                last_name: Some(String::new()),
                email: Some(String::new()),
                ..UserChange::default()
            };
            world.app.write(|tx| change(tx, actor, &bob, &clear)).unwrap();
        }
        let before = newest(world);
        world.app.write(|tx| change(tx, &bob, &bob, &UserChange::default())).unwrap();
        world.app.write(|tx| users::set_active(tx, &root, &selector(&bob), true)).unwrap();
        assert_eq!(told_since(world, before), [""; 0], "nothing changed");
        let own = UserChange { first_name: Some("B.".to_owned()), ..UserChange::default() };
        world.app.write(|tx| change(tx, &bob, &bob, &own)).unwrap();
        assert_eq!(told_since(world, before), ["user.updated by bob to bob of bob in -"]);
    });
}

#[test]
fn the_end_of_an_account_is_told_with_its_id() {
    on_every_engine(|world| {
        let [root, bob] = [world.admin("root"), world.user("bob")];
        let id = world.app.read(|tx| service::user(tx, &bob, &selector(&bob))).unwrap().person.user_id;
        world.app.write(|tx| accounts::delete(tx, &root, &[selector(&bob)])).unwrap();
        let subject = match &world.location {
            Location::Sqlite(_) => "lower(hex(subject_id))",
            Location::Postgres(_) => "replace(CAST(subject_id AS TEXT), '-', '')",
        };
        let subject = texts(&world.location, &format!("SELECT {subject} FROM event WHERE key = {}", newest(world)));
        assert_eq!(subject, [id.0.simple().to_string()]);
    });
}

#[test]
fn a_receipt_counts_the_refresh_tokens_of_all_who_go() {
    on_every_engine(|world| {
        let [bob, eve, zoe] = [world.user("bob"), world.user("eve"), world.user("zoe")];
        let mut number = 0;
        let mut issue = |user: &Actor| {
            number += 1;
            world.app.write(|tx| tokens::issue(tx, &operator(), &selector(user), Secret([number; 32]))).unwrap();
        };
        for user in [&bob, &bob, &bob, &eve, &zoe] {
            issue(user);
        }
        let delete = |users: &[&Actor]| {
            let users: Vec<_> = users.iter().map(|user| selector(user)).collect();
            world.app.write(|tx| accounts::delete(tx, &operator(), &users)).unwrap().tokens
        };
        assert_eq!(delete(&[&bob, &zoe]), 4);
        assert_eq!(delete(&[&eve]), 1);
        assert_eq!(texts(&world.location, "SELECT 'left' FROM refresh_token"), [""; 0]);
        let plain = new_user("max", Role::User);
        let (max, _) = world.app.write(|tx| users::create(tx, &operator(), &plain)).unwrap();
        assert_eq!(delete(&[&Actor::User(max)]), 0);
    });
}

#[test]
fn of_levels_that_are_set_together_those_that_change_are_told_or_none_is_set() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        world.group("other", &ann, &[&bob]);
        world.group("apart", &ann, &[&world.user("eve")]);
        let [team, other, apart] = ["team", "other", "apart"]
            .map(|name| world.app.read(|tx| conversations::show(tx, &ann, &place(name))).unwrap().conversation_id);
        let set = |levels: &[_]| world.app.write(|tx| conversations::set_levels(tx, &bob, levels));
        let before = newest(world);
        set(&[(other, Level::None), (team, Level::All)]).unwrap();
        let told = ["participant.updated by bob to bob of other in -"];
        assert_eq!(told_since(world, before), told);
        assert_refused!(set(&[(team, Level::None), (apart, Level::None)]), NotFound);
        assert_eq!(told_since(world, before), told);
    });
}

#[test]
fn a_level_is_its_participants_own_and_nobody_else_hears_of_it() {
    on_every_engine(|world| {
        let [root, ann, bob, eve] = [world.admin("root"), world.user("ann"), world.user("bob"), world.user("eve")];
        world.group("team", &ann, &[&bob, &root]);
        world.group("other", &ann, &[&bob]);
        let level = |user: &Actor, name: &str| {
            world.app.read(|tx| conversations::show(tx, user, &place(name))).unwrap().level.unwrap()
        };
        let set = |actor: &Actor, to| world.app.write(|tx| conversations::set_level(tx, actor, &place("team"), to));
        let before = newest(world);
        for (user, name) in [(&bob, "bob"), (&ann, "ann"), (&root, "root")] {
            let before = newest(world);
            set(user, Level::Mentions).unwrap();
            assert_eq!(told_since(world, before), [format!("participant.updated by {name} to {name} of team in -")]);
            let levels = [&ann, &bob, &root].map(|other| level(other, "team"));
            let expected = match name {
                "bob" => [Level::All, Level::Mentions, Level::All],
                "ann" => [Level::Mentions, Level::Mentions, Level::All],
                _ => [Level::Mentions; 3],
            };
            assert_eq!(levels, expected);
        }
        set(&bob, Level::Mentions).unwrap();
        assert_eq!(told_since(world, before).len(), 3, "nothing changed");
        assert_eq!([&ann, &bob].map(|user| level(user, "other")), [Level::All; 2]);
        assert_refused!(set(&operator(), Level::None), Forbidden);
        assert_refused!(set(&eve, Level::None), NotFound);
        let zoe = world.admin("zoe");
        let there = NewConversation {
            participants: vec![selector(&bob)],
            name: Some("team".to_owned()),
            level: Some(Level::None),
            if_not_exists: true,
            ..NewConversation::default()
        };
        let before = newest(world);
        let (team, is_new) = world.app.write(|tx| conversations::create(tx, &zoe, &there)).unwrap();
        assert_eq!((team.level, is_new), (None, false), "an admin who does not take part has no level");
        assert_eq!(told_since(world, before), [""; 0]);
        let created = NewConversation {
            participants: vec![selector(&bob), selector(&eve)],
            name: Some("new".to_owned()),
            level: Some(Level::None),
            ..NewConversation::default()
        };
        world.app.write(|tx| conversations::create(tx, &ann, &created)).unwrap();
        assert_eq!([&ann, &bob, &eve].map(|user| level(user, "new")), [Level::None, Level::All, Level::All]);
    });
}
