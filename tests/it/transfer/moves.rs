//! Usernames, emails and names that change hands in one fixture: what counts is how it is in the end.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tidings::error::Kind;
use tidings::transfer::apply::{Action, Options, Plan};
use tidings::transfer::dump::Request;

use super::apply::apply_files;
use super::dump::text;
use crate::support::{World, on_every_engine};

type Refused = Vec<(String, Kind, String)>;

fn apply(world: &World, yaml: &str, prune: bool) -> Result<Plan, Refused> {
    apply_files(world, &[("world.yaml", yaml)], Options { prune, ..Options::default() }, false)
}

fn id(number: usize) -> String {
    format!("0199f3c2-0000-7000-8000-{number:012}")
}

/// The database as records
fn dumped(world: &World) -> Vec<Value> {
    text(world, &Request::default()).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The names of those who take part, in the order of the alphabet
fn people(conversation: &Value) -> String {
    let mut people: Vec<&str> =
        conversation["participants"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    people.sort_unstable();
    Value::from(people).to_string()
}

/// Who has which email, by username, and who takes part in which group
fn names(world: &World) -> BTreeMap<String, String> {
    let named = dumped(world).into_iter().filter_map(|record| match record["type"].as_str()? {
        "user" => Some((record["username"].as_str()?.to_owned(), record["email"].as_str().unwrap_or("-").to_owned())),
        "conversation" => Some((format!("#{}", record["name"].as_str()?), people(&record))),
        _ => None,
    });
    named.collect()
}

/// Fails unless that is all the names there are: `NAME EMAIL` and `#NAME PARTICIPANTS`.
fn assert_named(world: &World, expected: &[(&str, &str)]) {
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(name, with)| ((*name).to_owned(), (*with).to_owned())).collect();
    assert_eq!(names(world), expected);
    assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
}

/// Applies a fixture, and once more, which changes nothing.
fn settle(world: &World, yaml: &str, prune: bool) -> Plan {
    let plan = apply(world, yaml, prune).unwrap_or_else(|refused| panic!("{yaml}: {refused:?}"));
    let again = apply(world, yaml, prune).unwrap();
    assert_eq!(again.changes, [], "{yaml}");
    plan
}

const BEGINNING: &str = "
- {type: user, username: bob, email: bob@example.org}
- {type: user, username: dan, email: dan@example.org}
- {type: conversation, name: hall, participants: [bob, dan]}
- {type: conversation, name: room, participants: [dan, bob]}
";

/// The beginning, and the ids of its users and groups by their names
fn begin(world: &World) -> impl Fn(&str) -> String + use<> {
    apply(world, BEGINNING, true).unwrap();
    let ids: BTreeMap<String, String> = dumped(world)
        .iter()
        .map(|record| {
            let name = record["username"].as_str().or(record["name"].as_str()).unwrap();
            let id = record["user_id"].as_str().or(record["conversation_id"].as_str()).unwrap();
            (name.to_owned(), id.to_owned())
        })
        .collect();
    move |name| ids[name].clone()
}

const GROUPS: [(&str, &str); 2] = [("#hall", r#"["bob","dan"]"#), ("#room", r#"["bob","dan"]"#)];

#[test]
fn an_email_moves_in_either_order_of_the_records() {
    on_every_engine(|world| {
        drop(begin(world));
        for (yaml, emails) in [
            (
                "[{type: user, username: bob, email: ''}, {type: user, username: dan, email: bob@example.org}]",
                ["-", "bob@example.org"],
            ),
            (
                "[{type: user, username: bob, email: BOB@example.org}, {type: user, username: dan, email: ''}]",
                ["BOB@example.org", "-"],
            ),
            (
                "[{type: user, username: dan, email: bob@Example.org}, {type: user, username: bob, email: b@example.org}]",
                ["b@example.org", "bob@Example.org"],
            ),
            (
                "[{type: user, username: dan, email: b@example.org}, {type: user, username: bob, email: bob@example.org}]",
                ["bob@example.org", "b@example.org"],
            ),
        ] {
            let plan = settle(world, yaml, false);
            assert_eq!((plan.changes.len(), plan.count(Action::Changed)), (2, 2), "{yaml}: {plan:?}");
            assert!(plan.changes.iter().all(|change| change.fields == ["email"]), "{plan:?}");
            assert_named(world, &[&[("bob", emails[0]), ("dan", emails[1])], &GROUPS[..]].concat());
        }
    });
}

#[test]
fn an_email_that_its_owner_keeps_is_not_given_to_another() {
    on_every_engine(|world| {
        let id = begin(world);
        let before = text(world, &Request::default());
        for (yaml, prune, said) in [
            ("- {type: user, username: dan, email: bob@example.org}".to_owned(), false, "The email bob@example.org is that of bob."),
            ("- {type: user, username: new, email: bob@example.org}".to_owned(), false, "The email bob@example.org is that of bob."),
            (
                "[{type: user, username: dan, email: bob@example.org}, {type: user, username: bob}]".to_owned(),
                true,
                "The email bob@example.org is that of bob.",
            ),
            // Whoever takes part in what is named is not removed.
            (
                "[{type: user, username: dan, email: bob@example.org}, {type: conversation, name: hall, participants: [dan, bob]}]".to_owned(),
                true,
                "The email bob@example.org is that of bob.",
            ),
            (
                format!("[{{type: user, username: bob, user_id: {}}}, {{type: conversation, name: hall, participants: [bob, {}]}}]", id("dan"), id("bob")),
                true,
                "The username “bob” is that of",
            ),
            (format!("- {{type: user, username: bob, user_id: {}}}", id("dan")), false, "The username “bob” is that of"),
            (
                format!("- {{type: conversation, name: hall, conversation_id: {}, participants: [bob, dan]}}", id("room")),
                false,
                "The conversation “hall” is there already, with the id",
            ),
        ] {
            let refused = apply(world, &yaml, prune).unwrap_err();
            assert_eq!(refused.len(), 1, "{refused:?}");
            let (place, kind, detail) = &refused[0];
            assert_eq!((place.as_str(), *kind), ("world.yaml:1", Kind::Conflict), "{yaml}: {detail}");
            assert!(detail.starts_with(said), "{yaml}: {detail}");
            assert_eq!(text(world, &Request::default()), before, "{yaml}");
        }
    });
}

#[test]
fn names_are_swapped_and_used_again() {
    on_every_engine(|world| {
        let id = begin(world);
        let (bob, dan, hall, room) = (id("bob"), id("dan"), id("hall"), id("room"));
        let user = |id: &str, name: &str| format!("- {{type: user, user_id: {id}, username: {name}}}\n");
        let group = |id: &str, name: &str, people: &str| {
            format!(
                "- {{type: conversation, kind: group, conversation_id: {id}, name: {name}, participants: [{people}]}}\n"
            )
        };
        // What refers to a name stands before what gives it.
        let swap =
            group(&hall, "room", "bob, dan") + &group(&room, "hall", "dan") + &user(&bob, "dan") + &user(&dan, "bob");
        settle(world, &swap, true);
        let both = r#"["bob","dan"]"#;
        assert_named(
            world,
            &[("dan", "bob@example.org"), ("bob", "dan@example.org"), ("#room", both), ("#hall", r#"["dan"]"#)],
        );

        // The ids of bob and of the hall were made of their names; now others have these.
        let again = user(&bob, "robert")
            + &user(&dan, "daniel")
            + "- {type: user, username: bob}\n"
            + &group(&hall, "cellar", "robert, bob")
            + &group(&room, "attic", "daniel")
            + "- {type: conversation, name: hall, participants: [bob, daniel]}\n";
        let plan = settle(world, &again, true);
        assert_eq!(
            (plan.count(Action::Created), plan.count(Action::Changed), plan.count(Action::Removed)),
            (2, 4, 0),
            "{plan:?}"
        );
        assert_named(
            world,
            &[
                ("robert", "bob@example.org"),
                ("daniel", "dan@example.org"),
                ("bob", "-"),
                ("#cellar", r#"["bob","robert"]"#),
                ("#attic", r#"["daniel"]"#),
                ("#hall", r#"["bob","daniel"]"#),
            ],
        );
    });
}

#[test]
fn what_is_pruned_gives_its_names_away() {
    on_every_engine(|world| {
        let id = begin(world);
        let plan = settle(
            world,
            &format!(
                "[{{type: user, user_id: {}, username: bob, email: bob@example.org}}, {{type: user, username: eve, email: dan@example.org}},
                  {{type: conversation, conversation_id: {}, name: hall, participants: [bob, eve]}}]",
                id("dan"),
                id("room")
            ),
            true,
        );
        let removed = plan.changes.iter().filter(|change| change.action == Action::Removed);
        assert_eq!(removed.map(|change| change.name.as_str()).collect::<Vec<_>>(), ["bob", "hall"]);
        assert_named(world, &[("bob", "bob@example.org"), ("eve", "dan@example.org"), ("#hall", r#"["bob","eve"]"#)]);
        let of = |record: &Value| record["username"] == "bob" && record["user_id"] == id("dan").as_str();
        assert!(dumped(world).iter().any(of), "{:?}", dumped(world));
    });
}

/// How many users and how many groups keep their ids; as many names more are there for new ones
const USERS: usize = 4;
const GROUP_COUNT: usize = 3;

#[derive(Clone, Debug)]
struct Case {
    usernames: Vec<usize>,
    emails: Vec<usize>,
    groups: Vec<usize>,
    order: Vec<usize>,
}

fn shuffled(count: usize) -> impl Strategy<Value = Vec<usize>> {
    Just((0..count).collect::<Vec<_>>()).prop_shuffle()
}

fn case() -> impl Strategy<Value = Case> {
    let shuffles =
        (shuffled(USERS + 1), shuffled(USERS + 3), shuffled(GROUP_COUNT + 1), shuffled(USERS + GROUP_COUNT + 2));
    shuffles.prop_map(|(usernames, emails, groups, order)| Case { usernames, emails, groups, order })
}

impl Case {
    fn username(&self, user: usize) -> String {
        format!("user{}", self.usernames[user])
    }

    /// Fewer than there are users have one
    fn email(&self, user: usize) -> String {
        let number = self.emails[user];
        if number < USERS { format!("{number}@example.org") } else { String::new() }
    }

    /// Users with their ids and a new one, groups with their ids and a new one, and one message; each group of two people
    /// who stay the same, whatever they are called
    fn records(&self) -> Vec<Value> {
        let user = |user: usize| {
            let record = json!({"type": "user", "username": self.username(user), "email": self.email(user)});
            with(record, "user_id", (user < USERS).then(|| id(user)))
        };
        let group = |group: usize| {
            let people = [group, group + 1].map(|user| self.username(user));
            let record =
                json!({"type": "conversation", "name": format!("group{}", self.groups[group]), "participants": people});
            with(record, "conversation_id", (group < GROUP_COUNT).then(|| id(100 + group)))
        };
        let all: Vec<Value> = (0..=USERS).map(user).chain((0..=GROUP_COUNT).map(group)).collect();
        let mut records: Vec<Value> = self.order.iter().map(|place| all[*place].clone()).collect();
        // New ones stand before what refers to them.
        records.sort_by_key(|record| record["user_id"].is_null() && record["type"] == "conversation");
        let message = json!({"type": "message", "key": "m", "content": "hello",
            "conversation": format!("group{}", self.groups[0]), "sender": self.username(1)});
        records.push(message);
        records
    }
}

fn with(mut record: Value, field: &str, value: Option<String>) -> Value {
    if let Some(value) = value {
        record[field] = value.into();
    }
    record
}

#[test]
fn whatever_changes_hands_the_end_is_as_the_fixture_says() {
    on_every_engine(|world| {
        let config = ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() };
        let options = Options { prune: true, ..Options::default() };
        let outcome = TestRunner::new(config).run(&case(), |case| {
            let fixture = Value::from(case.records()).to_string();
            for time in ["first", "again"] {
                let plan = apply_files(world, &[("world.json", &fixture)], options, false);
                let plan = plan.map_err(|refused| TestCaseError::fail(format!("{time}: {refused:?}")))?;
                prop_assert!(time == "first" || plan.changes.is_empty(), "{:?}", plan);
            }
            let there = dumped(world);
            let find =
                |field: &str, id: &str| there.iter().find(|record| record[field] == id).cloned().unwrap_or_default();
            for user in 0..USERS {
                let found = find("user_id", &id(user));
                prop_assert_eq!(found["username"].as_str(), Some(&*case.username(user)));
                prop_assert_eq!(found["email"].as_str().unwrap_or_default(), case.email(user));
            }
            let newcomer = find("username", &case.username(USERS));
            prop_assert_eq!(newcomer["email"].as_str().unwrap_or_default(), case.email(USERS));
            for group in 0..=GROUP_COUNT {
                let name = format!("group{}", case.groups[group]);
                let found = find("name", &name);
                if group < GROUP_COUNT {
                    prop_assert_eq!(found["conversation_id"].as_str(), Some(&*id(100 + group)));
                }
                let mut people = vec![json!(case.username(group)), json!(case.username(group + 1))];
                people.sort_by_key(ToString::to_string);
                let mut found = found["participants"].as_array().cloned().unwrap_or_default();
                found.sort_by_key(ToString::to_string);
                prop_assert_eq!(found, people);
            }
            prop_assert_eq!(there.len(), USERS + 1 + GROUP_COUNT + 1 + 1, "{:?}", there);
            prop_assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
            Ok(())
        });
        outcome.unwrap_or_else(|failed| panic!("{failed}"));
    });
}
