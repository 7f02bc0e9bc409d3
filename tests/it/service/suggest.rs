//! What is found by its beginning, and what may have been meant.

use tidings::model::{Actor, UserSelector};
use tidings::service::{conversations, suggest, users};

use crate::support::{World, on_every_engine, operator, place};

fn usernames(world: &World, prefix: &str, limit: i64) -> Vec<String> {
    let people = world.app.read(|tx| suggest::users(tx, prefix, limit)).unwrap();
    people.into_iter().map(|person| person.username).collect()
}

fn groups(world: &World, actor: &Actor, prefix: &str) -> Vec<String> {
    let groups = world.app.read(|tx| suggest::groups(tx, actor, prefix, 10)).unwrap();
    groups.into_iter().filter_map(|group| group.name).collect()
}

fn hint_for_user(world: &World, name: &str) -> Option<String> {
    let absent = world.app.read(|tx| users::show(tx, &operator(), &UserSelector::from(name.to_owned()))).unwrap_err();
    absent.advice().map(ToOwned::to_owned)
}

fn hint_for_group(world: &World, actor: &Actor, name: &str) -> Option<String> {
    let absent = world.app.read(|tx| conversations::show(tx, actor, &place(name))).unwrap_err();
    absent.advice().map(ToOwned::to_owned)
}

#[test]
fn users_are_found_by_the_beginning_of_their_names_whatever_its_case() {
    on_every_engine(|world| {
        for name in ["ann", "Annabel", "Änne", "|trey|", "100%", "a_b"] {
            world.user(name);
        }
        assert_eq!(usernames(world, "AN", 10), ["ann", "Annabel"]);
        assert_eq!(usernames(world, "an", 1), ["ann"]);
        assert_eq!(usernames(world, "ä", 10), ["Änne"]);
        assert_eq!(usernames(world, "a\u{308}", 10), ["Änne"]);
        assert_eq!(usernames(world, "|", 10), ["|trey|"]);
        assert_eq!(usernames(world, "%", 10), [""; 0]);
        assert_eq!(usernames(world, "_", 10), [""; 0]);
        assert_eq!(usernames(world, "", 10).len(), 6);
        assert_eq!(usernames(world, "a\0", 10), [""; 0]);
    });
}

#[test]
fn conversations_are_found_by_those_who_take_part_in_them() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let admin = world.admin("root");
        world.group("team", &ann, &[&bob]);
        world.group("tea", &bob, &[&eve]);
        assert_eq!(groups(world, &ann, "TE"), ["team"]);
        assert_eq!(groups(world, &bob, "te"), ["tea", "team"]);
        assert_eq!(groups(world, &operator(), "te"), ["tea", "team"]);
        assert_eq!(groups(world, &admin, "te"), groups(world, &operator(), "te"));
        for number in 1..=12 {
            world.send(&ann, "team", &format!("text {number}"));
        }
        let found = |actor: &Actor, digits: &str| {
            let found = world.app.read(|tx| suggest::messages(tx, actor, &place("team"), digits, 3));
            found.map(|messages| messages.iter().map(|message| message.number.0).collect::<Vec<_>>())
        };
        assert_eq!(found(&bob, "").unwrap(), [12, 11, 10]);
        assert_eq!(found(&bob, "1").unwrap(), [12, 11, 10]);
        assert_eq!(found(&bob, "2").unwrap(), [2]);
        for digits in ["0", "x", "+1", "-1", "99999999999999999999"] {
            assert_eq!(found(&bob, digits).unwrap(), [0; 0], "{digits}");
        }
        crate::assert_refused!(found(&eve, ""), NotFound);
    });
}

#[test]
fn one_slip_is_found_among_any_number_of_users() {
    on_every_engine(|world| {
        // More than are compared by their beginnings
        for number in 0..230 {
            world.user(&format!("aa{number:03}"));
        }
        world.user("abzzzz");
        assert_eq!(hint_for_user(world, "aabzzzz").as_deref(), Some("Did you mean “abzzzz”?"));
        assert_eq!(hint_for_user(world, "bzzzz").as_deref(), Some("Did you mean “abzzzz”?"));
        assert_eq!(hint_for_user(world, "aa00").as_deref(), Some("Did you mean “aa000”, “aa001” or “aa002”?"));
        assert_eq!(hint_for_user(world, "AA0"), None);
        for name in ["", "x", "nobody", "a\0b", &"a".repeat(200)] {
            assert_eq!(hint_for_user(world, name), None, "{name:?}");
        }
    });
}

#[test]
fn only_visible_groups_are_suggested() {
    on_every_engine(|world| {
        let [ann, bob, eve] = [world.user("ann"), world.user("bob"), world.user("eve")];
        let admin = world.admin("root");
        world.group("support", &ann, &[&bob]);
        let meant = Some("Did you mean “support”?".to_owned());
        for actor in [&ann, &admin, &operator()] {
            assert_eq!(hint_for_group(world, actor, "suport"), meant);
        }
        for name in ["suport", "support"] {
            assert_eq!(hint_for_group(world, &eve, name), None);
        }
    });
}

#[test]
fn a_username_in_the_place_of_a_conversation_is_known_for_one() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("Bob")];
        world.group("team", &ann, &[&bob]);
        let own = hint_for_group(world, &ann, "bob").unwrap();
        assert!(own.contains("@Bob") && own.contains("message send --to Bob"), "{own}");
        assert!(hint_for_group(world, &operator(), "bob").unwrap().contains("conversation list --user Bob"));
        assert_eq!(hint_for_group(world, &ann, "ann"), None, "nobody writes to themselves");
        assert_eq!(hint_for_group(world, &ann, "b\0b"), None);
        assert!(hint_for_group(world, &ann, "tean").unwrap().contains("“team”"));
    });
}
