//! What each action leaves in the log of events, and that who was in which conversation follows from it.

use std::collections::{BTreeMap, BTreeSet};

use tidings::error::Result;
use tidings::model::{Actor, Level, MessageSelector, Role};
use tidings::service::conversations::{self, ConversationChange, NewConversation};
use tidings::service::messages::{self, Destination, Draft, MessageEdit};
use tidings::service::tokens::{self, Secret};
use tidings::service::users::{self, UserChange};
use tidings::service::{accounts, notifications};
use tidings::store::Tx;

use super::told::{newest, told_since};
use crate::support::{World, draft, new_user, on_every_engine, operator, place, selector, texts};
use crate::transfer::apply::apply_files;
use crate::transfer::load::{load, load_with};

/// Fails unless an action leaves these events.
fn expect(world: &World, what: &str, events: &[&str], action: impl FnOnce()) {
    let before = newest(world);
    action();
    assert_eq!(told_since(world, before), events, "{what}");
}

/// As [`expect`], of what is done in one transaction.
fn expect_of(world: &World, what: &str, events: &[&str], mut action: impl FnMut(&mut Tx<'_>) -> Result<()>) {
    expect(world, what, events, || world.app.write(&mut action).unwrap());
}

fn named(names: &[&str]) -> Vec<MessageSelector> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn with(people: &[&Actor], name: Option<&str>) -> NewConversation {
    NewConversation {
        participants: people.iter().map(|person| selector(person)).collect(),
        name: name.map(ToOwned::to_owned),
        ..NewConversation::default()
    }
}

#[test]
fn what_is_done_to_conversations_leaves_these_events() {
    on_every_engine(|world| {
        let [root, ann, bob, eve] = [world.admin("root"), world.user("ann"), world.user("bob"), world.user("eve")];
        let team = place("team");
        expect_of(world, "a group begins", &["conversation.created by ann to - of team in team for ann bob"], |tx| {
            conversations::create(tx, &ann, &with(&[&bob], Some("team"))).map(drop)
        });
        expect_of(
            world,
            "a direct conversation begins",
            &["conversation.created by eve to - of direct in direct for bob eve"],
            |tx| conversations::create(tx, &eve, &with(&[&bob], None)).map(drop),
        );
        expect_of(world, "it is there already", &[], |tx| {
            conversations::create(tx, &bob, &with(&[&eve], None)).map(drop)
        });
        let with_level = NewConversation { level: Some(Level::Mentions), ..with(&[&eve], None) };
        expect_of(world, "with another level", &["participant.updated by bob to bob of direct in -"], |tx| {
            conversations::create(tx, &bob, &with_level).map(drop)
        });
        let title = ConversationChange { title: Some("Title".to_owned()), ..ConversationChange::default() };
        for (what, events) in
            [("a title", &["conversation.updated by root to - of team in team"][..]), ("the same title", &[])]
        {
            expect_of(world, what, events, |tx| conversations::update(tx, &root, &team, &title).map(drop));
        }
        expect_of(
            world,
            "two are added, one of them twice",
            &[
                "participant.added by operator root to root of root in team",
                "participant.added by operator root to eve of eve in team",
            ],
            |tx| {
                let people = [&eve, &root, &eve, &bob].map(selector);
                conversations::add(tx, &operator(), &team, &people).map(drop)
            },
        );
        for (level, events) in
            [(Level::None, &["participant.updated by eve to eve of team in -"][..]), (Level::None, &[])]
        {
            expect_of(world, "a level", events, |tx| conversations::set_level(tx, &eve, &team, level).map(drop));
        }
        expect_of(world, "one leaves", &["participant.removed by eve to eve of eve in team"], |tx| {
            conversations::remove(tx, &eve, &team, &[selector(&eve)]).map(drop)
        });
        expect_of(
            world,
            "two are removed",
            &["participant.removed by ann to root of root in team", "participant.removed by ann to bob of bob in team"],
            |tx| conversations::remove(tx, &ann, &team, &[selector(&bob), selector(&root)]).map(drop),
        );
        expect_of(
            world,
            "the last one leaves",
            &["participant.removed by ann to ann of ann in -", "conversation.deleted by ann to - of - in -"],
            |tx| conversations::remove(tx, &ann, &team, &[selector(&ann)]).map(drop),
        );
        world.group("team", &ann, &[&bob, &eve]);
        expect_of(world, "a group is deleted", &["conversation.deleted by ann to - of - in - for ann bob eve"], |tx| {
            conversations::delete(tx, &ann, &team).map(drop)
        });
        let listed = world.app.read(|tx| crate::support::list_conversations(tx, &bob, None, None, None, 9)).unwrap();
        let direct = place(&listed[0].conversation_id.to_string());
        expect_of(
            world,
            "a direct one is deleted",
            &["conversation.deleted by root to - of - in - for bob eve"],
            |tx| conversations::delete(tx, &root, &direct).map(drop),
        );
    });
}

#[test]
fn what_is_done_to_messages_leaves_these_events() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        for name in ["team", "hall"] {
            world.group(name, &ann, &[&bob, &eve]);
        }
        for number in 1..=6 {
            let event = format!("message.created by ann to - of team#{number} in team");
            expect(world, "a message", &[&event], || drop(world.send(&ann, "team", "hi, @bob")));
        }
        let first: MessageSelector = "team#1".parse().unwrap();
        let remembered = Draft { idempotency_key: Some("k".to_owned()), ..draft("hall", "once") };
        for events in [&["message.created by ann to - of hall#1 in hall"][..], &[]] {
            expect_of(world, "once", events, |tx| messages::send(tx, &ann, &remembered).map(drop));
        }
        let to_eve = Draft { destination: Destination::User(selector(&eve)), ..draft("", "hi") };
        expect_of(
            world,
            "the first to somebody",
            &[
                "conversation.created by bob to - of direct in direct for bob eve",
                "message.created by bob to - of direct#1 in direct",
            ],
            |tx| messages::send(tx, &bob, &to_eve).map(drop),
        );
        let change = MessageEdit { content: "hi, @eve".to_owned(), ..MessageEdit::default() };
        for events in [&["message.edited by operator root to - of team#1 in team"][..], &[]] {
            expect_of(world, "an edit", events, |tx| messages::edit(tx, &operator(), &first, &change).map(drop));
        }
        for events in [&["message.edited by ann to - of team#1 in team"][..], &[]] {
            expect_of(world, "restored", events, |tx| messages::restore(tx, &ann, &first, 1, None).map(drop));
        }
        let owner = |tx: &mut Tx<'_>| notifications::owner(tx, &bob, None);
        let one = [first.clone()];
        for (is_read, events) in [
            (true, &["notification.updated by bob to bob of team#1 in team read"][..]),
            (true, &[]),
            (false, &["notification.updated by bob to bob of team#1 in team unread"]),
        ] {
            expect_of(world, "one is read or not", events, |tx| {
                let owner = owner(tx)?;
                notifications::set_read(tx, &bob, &owner, &one, is_read).map(drop)
            });
        }
        let several = named(&["team#1", "team#2"]);
        for (is_read, word) in [(true, "read"), (false, "unread")] {
            let event = format!("notification.updated by operator root to bob of - in team {word}");
            expect_of(world, "several are read or not", &[&event], |tx| {
                let owner = owner(tx)?;
                notifications::set_read(tx, &operator(), &owner, &several, is_read).map(drop)
            });
        }
        let in_two = named(&["team#3", "hall#1"]);
        for (is_read, word) in [(true, "read"), (false, "unread")] {
            let event = format!("notification.updated by bob to bob of - in - {word}");
            expect_of(world, "several in two conversations are read or not", &[&event], |tx| {
                let owner = owner(tx)?;
                notifications::set_read(tx, &bob, &owner, &in_two, is_read).map(drop)
            });
        }
        expect_of(world, "read as messages", &["notification.updated by bob to bob of team#2 in team read"], |tx| {
            let owner = owner(tx)?;
            messages::read(tx, &bob, &owner, &several[1..]).map(drop)
        });
        for events in [&["notification.updated by bob to bob of - in team read"][..], &[]] {
            expect_of(world, "a conversation is read", events, |tx| {
                let owner = owner(tx)?;
                messages::read_conversation(tx, &bob, &owner, &place("team")).map(drop)
            });
        }
        for events in [&["notification.updated by bob to bob of - in - read"][..], &[]] {
            expect_of(world, "all are read", events, |tx| {
                let owner = owner(tx)?;
                notifications::read_once(tx, &bob, &owner, None, Some("all")).map(drop)
            });
        }
        expect_of(world, "one is deleted", &["message.deleted by ann to - of - in team"], |tx| {
            messages::delete(tx, &ann, &one).map(drop)
        });
        world.reply(&bob, "team", &world.send(&ann, "team", "a question"), "an answer");
        expect_of(world, "a tombstone stays", &["message.deleted by ann to - of team#7 in team"], |tx| {
            messages::delete(tx, &ann, &named(&["team#7"])).map(drop)
        });
        expect_of(world, "several are deleted", &["message.deleted by ann to - of - in team"], |tx| {
            messages::delete(tx, &ann, &named(&["team#2", "team#3"])).map(drop)
        });
        let subject = "SELECT coalesce(CAST(subject_id AS TEXT), 'several') FROM event ORDER BY key DESC LIMIT 1";
        assert_eq!(texts(&world.location, subject), ["several"]);
        world.send(&bob, "hall", "hi");
        expect_of(
            world,
            "some in two conversations",
            &[
                "message.deleted by operator root to - of - in team",
                "message.deleted by operator root to - of - in hall",
            ],
            |tx| messages::delete(tx, &operator(), &named(&["hall#2", "team#4", "team#5"])).map(drop),
        );
        let heard =
            "SELECT CAST(count(*) AS TEXT) FROM event_audience JOIN event ON event.key = event_key WHERE kind <> 4";
        assert_eq!(texts(&world.location, heard), ["0"]);
    });
}

#[test]
fn what_is_done_to_accounts_leaves_these_events() {
    on_every_engine(|world| {
        let [root, ann, bob, eve] = [world.admin("root"), world.user("ann"), world.user("bob"), world.user("eve")];
        expect_of(world, "created", &["user.created by operator root to joe of joe in -"], |tx| {
            users::create(tx, &operator(), &new_user("joe", Role::User)).map(drop)
        });
        expect(world, "registered", &["user.created by zoe to zoe of zoe in -"], || drop(world.register("zoe")));
        let secret = Secret([1; 32]);
        expect_of(world, "tokens are issued", &[], |tx| {
            tokens::issue(tx, &operator(), &selector(&ann), secret).map(drop)
        });
        // Whoever listens by that log-in has to hear that it ended.
        expect_of(world, "a log-out", &["user.updated by ann to ann of ann in -"], |tx| {
            tokens::revoke(tx, &secret.token())
        });
        expect_of(world, "a log-out again", &[], |tx| tokens::revoke(tx, &secret.token()));
        let hash = "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=";
        let renamed = UserChange { username: Some("max".to_owned()), ..UserChange::default() };
        expect_of(world, "renamed", &["user.updated by root to max of max in -"], |tx| {
            users::update(tx, &root, &"joe".to_owned().into(), &renamed).map(drop)
        });
        let password = UserChange { password_hash: Some(hash.to_owned()), ..UserChange::default() };
        expect_of(world, "a new password", &["user.updated by ann to ann of ann in -"], |tx| {
            users::update(tx, &ann, &selector(&ann), &password).map(drop)
        });
        for name in ["team", "hall", "past"] {
            world.group(name, &bob, &[&ann, &eve]);
        }
        world.group("pair", &bob, &[&ann]);
        world.send(&bob, "past", "a word that stays");
        let out = |name: &str, who: &Actor| {
            world.app.write(|tx| conversations::remove(tx, who, &place(name), &[selector(who)])).unwrap();
        };
        out("past", &bob);
        out("pair", &ann);
        for other in [&ann, &root] {
            world.app.write(|tx| conversations::create(tx, &bob, &with(&[other], None))).unwrap();
        }
        expect_of(
            world,
            "deleted",
            &[
                "conversation.deleted by root to - of - in -",
                "conversation.deleted by root to - of - in - for ann",
                "conversation.deleted by root to - of - in - for root",
                "participant.removed by root to - of - in team",
                "participant.removed by root to - of - in hall",
                "message.deleted by root to - of - in past",
                "user.deleted by root to - of - in - for ann eve root",
            ],
            |tx| accounts::delete(tx, &root, &[selector(&bob)]).map(drop),
        );
        expect_of(
            world,
            "several are deleted, one by themselves",
            &[
                "participant.removed by - to - of - in team",
                "participant.removed by - to - of - in hall",
                "participant.removed by - to - of - in past",
                "user.deleted by - to - of - in - for eve",
            ],
            |tx| accounts::delete(tx, &ann, &[selector(&ann)]).map(drop),
        );
        let before = newest(world);
        world.app.try_out(|tx| accounts::delete(tx, &operator(), &[selector(&eve)])).unwrap();
        assert_eq!(newest(world), before);
    });
}

const PEOPLE: &str = r#"{"type":"user","username":"ann"}
{"type":"user","username":"bob"}
{"type":"conversation","name":"team","participants":["ann","bob"]}
{"type":"conversation","participants":["bob","ann"]}
{"type":"message","conversation":"team","sender":"ann","content":"1","key":"m1","revisions":[{"content":"one"}]}
{"type":"message","conversation":"team","sender":"bob","content":"2","key":"m2"}
{"type":"notification","user":"bob","message":"m1"}"#;

#[test]
fn what_is_loaded_leaves_one_event_for_each_user_and_conversation() {
    on_every_engine(|world| {
        let made = [
            "user.created by operator root to ann of ann in -",
            "user.created by operator root to bob of bob in -",
            "conversation.created by operator root to - of team in team for ann bob",
            "conversation.created by operator root to - of direct in direct for ann bob",
        ];
        expect(world, "into an empty database", &made, || {
            load(world, PEOPLE).unwrap();
        });
        expect(world, "again", &[], || {
            load(world, PEOPLE).unwrap();
        });
        let more = r#"{"type":"user","username":"eve"}
            {"type":"conversation","name":"hall","participants":["ann","eve"]}
            {"type":"message","conversation":"hall","sender":"eve","content":"1"}
            {"type":"message","conversation":"team","sender":"ann","content":"3"}
            {"type":"message","conversation":"team","sender":"ann","content":"4","reply_to":"m1"}
            {"type":"notification","user":"bob","message":"m1"}"#;
        let added = [
            "user.created by operator root to eve of eve in -",
            "conversation.created by operator root to - of hall in hall for ann eve",
            "conversation.updated by operator root to - of team in team",
        ];
        expect(world, "beside others", &added, || {
            load(world, more).unwrap();
        });
        let notifying = r#"{"type":"message","conversation":"hall","sender":"ann","content":"5"}"#;
        expect(world, "with notifications", &["conversation.updated by operator root to - of hall in hall"], || {
            assert_eq!(load_with(world, notifying, true).unwrap().created.notifications, 1);
        });
        expect(world, "a notification", &["conversation.updated by operator root to - of team in team"], || {
            load(world, r#"{"type":"notification","user":"ann","message":"m2","is_read":true}"#).unwrap();
        });
    });
}

#[test]
fn what_a_fixture_changes_leaves_the_events_of_each_change() {
    on_every_engine(|world| {
        load(world, PEOPLE).unwrap();
        let apply = |fixture: &str, prune| {
            let options = tidings::transfer::apply::Options { prune, ..tidings::transfer::apply::Options::default() };
            drop(apply_files(world, &[("world.yaml", fixture)], options, false).unwrap());
        };
        let changed = "[{type: user, username: ann, first_name: Ann}, {type: user, username: eve},
            {type: conversation, name: team, title: Team, participants: [ann, {user: bob, level: none}, eve]},
            {type: message, conversation: team, sender: ann, content: new, key: m3},
            {type: notification, user: bob, message: m1, is_read: true}]";
        let events = [
            "user.updated by operator root to ann of ann in -",
            "user.created by operator root to eve of eve in -",
            "conversation.updated by operator root to - of team in team",
            "participant.updated by operator root to bob of team in -",
            "participant.added by operator root to eve of eve in team",
            "conversation.updated by operator root to - of team in team",
            "notification.updated by operator root to bob of team#1 in team read",
        ];
        expect(world, "a fixture", &events, || apply(changed, false));
        expect(world, "again", &[], || apply(changed, false));
        let pruned = "[{type: user, username: ann}, {type: user, username: eve},
            {type: conversation, name: team, participants: [ann, eve]},
            {type: message, conversation: team, sender: ann, content: '1', key: m1}]";
        let events = [
            "participant.removed by operator root to - of - in team",
            "conversation.deleted by operator root to - of - in - for ann",
            "message.deleted by operator root to - of - in team",
            "user.deleted by operator root to - of - in - for ann eve",
            "message.deleted by operator root to - of - in team",
        ];
        expect(world, "and nothing else", &events, || apply(pruned, true));
    });
}

/// Who is in which conversation, by keys
type Membership = BTreeSet<(i64, i64)>;

fn pairs(world: &World, sql: &str) -> Vec<[i64; 2]> {
    let number = |text: &str| text.parse().unwrap();
    let rows = texts(&world.location, sql);
    rows.iter().map(|row| row.split_once(' ').map(|(one, other)| [number(one), number(other)]).unwrap()).collect()
}

fn membership(world: &World) -> Membership {
    let all = pairs(world, "SELECT conversation_key || ' ' || user_key FROM participant");
    all.into_iter().map(|[conversation, user]| (conversation, user)).collect()
}

#[test]
fn who_was_in_which_conversation_follows_from_the_log() {
    on_every_engine(|world| {
        let mut seen = BTreeMap::new();
        let mut note = |world: &World| drop(seen.insert(newest(world), membership(world)));
        let [root, ann, bob, eve, zoe] =
            [world.admin("root"), world.user("ann"), world.user("bob"), world.user("eve"), world.user("zoe")];
        note(world);
        for name in ["team", "hall", "short"] {
            world.group(name, &ann, &[&bob, &eve]);
            note(world);
        }
        for (one, other) in [(&ann, &bob), (&bob, &eve), (&zoe, &ann)] {
            world.app.write(|tx| conversations::create(tx, one, &with(&[other], None))).unwrap();
            note(world);
        }
        let remove = |name: &str, who: &[&Actor]| {
            let who: Vec<_> = who.iter().map(|actor| selector(actor)).collect();
            world.app.write(|tx| conversations::remove(tx, &operator(), &place(name), &who)).unwrap();
        };
        remove("team", &[&bob, &eve]);
        note(world);
        world.app.write(|tx| conversations::add(tx, &ann, &place("team"), &[selector(&bob), selector(&zoe)])).unwrap();
        note(world);
        remove("short", &[&ann, &bob, &eve]);
        note(world);
        load(world, r#"{"type":"conversation","name":"loaded","participants":["ann","bob","eve"]}"#).unwrap();
        note(world);
        world.app.write(|tx| conversations::delete(tx, &root, &place("hall"))).unwrap();
        note(world);
        world.app.write(|tx| accounts::delete(tx, &root, &[selector(&bob)])).unwrap();
        note(world);
        remove("team", &[&zoe]);
        note(world);
        world.app.write(|tx| accounts::delete(tx, &root, &[selector(&zoe), selector(&eve)])).unwrap();
        note(world);

        let users: BTreeSet<i64> = texts(&world.location, "SELECT CAST(key AS TEXT) FROM account")
            .iter()
            .map(|key| key.parse().unwrap())
            .collect();
        assert_eq!(users.len(), 2);
        let audience = pairs(world, "SELECT event_key || ' ' || user_key FROM event_audience");
        let log = texts(
            &world.location,
            "SELECT key || ' ' || kind || ' ' || coalesce(conversation_key, 0) || ' ' || coalesce(user_key, 0)
             FROM event ORDER BY key DESC",
        );
        let mut then = membership(world);
        for event in log {
            let [key, kind, conversation, user] =
                event.split(' ').map(|number| number.parse::<i64>().unwrap()).collect::<Vec<_>>()[..]
            else {
                panic!("{event}")
            };
            let of_current = |them: &Membership| -> Membership {
                them.iter().filter(|(_, user)| users.contains(user)).copied().collect()
            };
            if let Some(seen) = seen.get(&key) {
                assert_eq!(of_current(&then), of_current(seen), "after event {key}");
            }
            match kind {
                7 => drop(then.remove(&(conversation, user))),
                9 => drop(then.insert((conversation, user))),
                4 => then.retain(|(other, _)| *other != conversation),
                6 => then
                    .extend(audience.iter().filter(|[event, _]| *event == key).map(|[_, user]| (conversation, *user))),
                _ => {}
            }
        }
        assert!(then.is_empty(), "{then:?}");
    });
}
