//! Who is mentioned, by a message and by its edit.

use tidings::model::{Actor, Level, Role, UserDetails};
use tidings::service::users::NewUser;
use tidings::service::{conversations, messages, users};

use super::{edit, named, read_all, told};
use crate::support::{new_user, on_every_engine, operator, place, selector};

#[test]
fn an_at_sign_after_a_word_character_begins_no_mention() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        for content in ["mail@bob", "_@bob", "7@bob", "é@bob", "明@bob", "@ bob", "bob", "@bo b"] {
            let number = world.send(&ann, "team", content).number.0;
            assert_eq!(told(world, &bob)[0], format!("message {number}"), "{content}");
        }
        for content in ["@bob", "(@bob)", "x @bob", "\n@bob,", "-@bob", "🎉@bob", "@@bob", "@ann @bob", "@x/@bob"] {
            let number = world.send(&ann, "team", content).number.0;
            assert_eq!(told(world, &bob)[0], format!("mention {number}"), "{content}");
        }
    });
}

#[test]
fn a_letter_with_its_accent_beside_it_is_a_word_character_too() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "cafe\u{301}@bob");
        assert_eq!(told(world, &bob), ["message 1"]);
    });
}

#[test]
fn a_mention_is_the_longest_username_that_fits() {
    on_every_engine(|world| {
        let [bob, ann, annabel, ann_b] = ["bob", "ann", "annabel", "ann.b"].map(|name| world.user(name));
        world.group("team", &bob, &[&ann, &annabel, &ann_b]);
        world.send(&bob, "team", "@annabel");
        world.send(&bob, "team", "@ann.b!");
        world.send(&bob, "team", "@ann.");
        assert_eq!(told(world, &annabel), ["message 3", "message 2", "mention 1"]);
        assert_eq!(told(world, &ann_b), ["message 3", "mention 2", "message 1"]);
        assert_eq!(told(world, &ann), ["mention 3", "message 2", "message 1"]);
    });
}

#[test]
fn a_mention_ignores_case_in_every_script() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        for (at, (name, content)) in [
            ("Bob", "@bOB"),
            ("jürgen", "@JÜRGEN"),
            ("straße", "@STRASSE!"),
            ("ΣΊΣΥΦΟΣ", "@σίσυφος"),
            ("é", "@E\u{301}"),
        ]
        .into_iter()
        .enumerate()
        {
            let user = world.user(name);
            world.group(&format!("team{at}"), &ann, &[&user]);
            world.send(&ann, &format!("team{at}"), content);
            assert_eq!(told(world, &user), ["mention 1"], "{name}");
        }
    });
}

#[test]
fn the_longest_usernames_are_mentioned_whatever_their_case() {
    on_every_engine(|world| {
        let [ann, long, sharp] = ["ann".to_owned(), "é".repeat(150), "ß".repeat(150)].map(|name| world.user(&name));
        world.group("team", &ann, &[&long, &sharp]);
        world.send(&ann, "team", &format!("@{}", "É".repeat(150)));
        assert_eq!(told(world, &long), ["mention 1"]);
        world.send(&ann, "team", &format!("@{}", "SS".repeat(150)));
        assert_eq!(told(world, &sharp), ["mention 2", "message 1"]);
    });
}

#[test]
fn odd_usernames_are_mentioned() {
    on_every_engine(|world| {
        let ann = world.user("ann");
        for (at, name) in ["[[mandrix]]", "|trey|", "encKe`", "--help", "小明", "%_\\", "\"'$1"].iter().enumerate() {
            let user = world.user(name);
            world.group(&format!("team{at}"), &ann, &[&user]);
            world.send(&ann, &format!("team{at}"), &format!("ask @{name}, please"));
            assert_eq!(told(world, &user), ["mention 1"], "{name}");
        }
    });
}

#[test]
fn an_email_that_is_a_username_is_mentioned() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        let plain = new_user("bob@example.org", Role::User);
        let details = UserDetails { email: Some("Bob@Example.org".to_owned()), ..plain.details };
        let new = NewUser { details, ..plain };
        let mail = Actor::User(world.app.write(|tx| users::create(tx, &operator(), &new)).unwrap().0);
        world.group("team", &ann, &[&bob, &mail]);
        world.send(&ann, "team", "@BOB@example.org.");
        assert_eq!(told(world, &mail), ["mention 1"]);
        assert_eq!(told(world, &bob), ["message 1"]);
    });
}

#[test]
fn who_does_not_take_part_is_not_mentioned() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "@eve and @nobody");
        assert_eq!(told(world, &eve), [""; 0]);
        world.app.write(|tx| conversations::remove(tx, &bob, &place("team"), &[selector(&bob)])).unwrap();
        world.send(&ann, "team", "@bob");
        assert_eq!(told(world, &bob), [""; 0]);
    });
}

#[test]
fn an_edit_notifies_nobody_again() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &eve]);
        world.send(&ann, "team", "hi @eve");
        read_all(world, &bob);
        read_all(world, &eve);
        assert!(edit(world, &ann, "team#1", "hello @eve").read);
        assert_eq!(told(world, &bob), ["message 1 read"]);
        assert_eq!(told(world, &eve), ["mention 1 read"]);
    });
}

#[test]
fn whom_an_edit_newly_mentions_has_an_unread_mention() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &eve]);
        world.level(&eve, "team", Level::Mentions);
        world.send(&ann, "team", "hi");
        read_all(world, &bob);
        assert!(!edit(world, &ann, "team#1", "hi @bob and @eve").read);
        assert_eq!(told(world, &bob), ["mention 1"]);
        assert_eq!(told(world, &eve), ["mention 1"]);
    });
}

#[test]
fn restoring_a_mention_mentions_again() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "hi @bob");
        edit(world, &ann, "team#1", "hi");
        read_all(world, &bob);
        world.app.write(|tx| messages::restore(tx, &ann, &named("team#1"), 1, None)).unwrap();
        assert_eq!(told(world, &bob), ["mention 1"]);
    });
}

#[test]
fn an_edit_passes_over_the_level_none() {
    on_every_engine(|world| {
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob, &eve]);
        world.level(&eve, "team", Level::None);
        world.send(&ann, "team", "hi");
        read_all(world, &bob);
        world.level(&bob, "team", Level::None);
        edit(world, &ann, "team#1", "hi @bob and @eve");
        assert_eq!(told(world, &bob), ["message 1 read"]);
        assert_eq!(told(world, &eve), [""; 0]);
    });
}

#[test]
fn an_edit_never_notifies_the_author() {
    on_every_engine(|world| {
        let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
        world.group("team", &ann, &[&bob]);
        world.send(&ann, "team", "hi");
        edit(world, &ann, "team#1", "hi from @ann");
        edit(world, &operator(), "team#1", "hi");
        edit(world, &operator(), "team#1", "hi from @ann again");
        assert_eq!(told(world, &ann), [""; 0]);
    });
}
