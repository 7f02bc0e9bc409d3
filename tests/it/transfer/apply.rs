//! `data apply`: a fixture becomes what is there, and applying it again changes nothing.

use std::io::Write;

use tidings::error::{Error, Kind};
use tidings::model::Level;
use tidings::service;
use tidings::transfer::apply::{self, Action, Fixture, Options, Plan};
use tidings::transfer::input::Input;
use tidings::transfer::load::Failure;

use crate::support::{World, on_every_engine, operator};

const WORLD: &str = r#"
- type: user
  username: ann
  email: ann@example.org
- {type: user, username: bob, role: admin}
- type: conversation
  name: team
  participants: [ann, {user: bob, level: mentions}]
- {type: conversation, participants: [ann, bob]}
- type: message
  conversation: team
  sender: ann
  key: m1
  timestamp: 2020-01-01T09:00:00Z
  content: hello
- type: message
  conversation: team
  sender: bob
  key: m2
  reply_to: m1
  content: hi
  revisions: [{content: ho, edited_by: bob}]
- {type: message, conversation: "@bob", sender: ann, key: m3, content: just you}
- {type: notification, user: ann, message: m2, is_read: true}
"#;

/// Applies fixtures: names of files and what they hold; a trial takes it back.
pub(crate) fn apply_files(
    world: &World,
    files: &[(&str, &str)],
    options: Options,
    is_trial: bool,
) -> Result<Plan, Vec<(String, Kind, String)>> {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<Input> = files
        .iter()
        .map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
            let mut input = Input::open(&path).unwrap();
            (*name).clone_into(&mut input.name);
            input
        })
        .collect();
    let refused = |error: Error| vec![(String::new(), error.kind(), error.to_string())];
    let (fixture, problems) = Fixture::read(&inputs).map_err(refused)?;
    let said = |failure: Failure, place: &dyn Fn(u64) -> String| match failure {
        Failure::Problems(problems) | Failure::Behind(_, problems) => {
            problems.into_iter().map(|problem| (place(problem.line), problem.kind, problem.detail)).collect()
        }
        Failure::Error(error) => panic!("{error}"),
    };
    let checked = apply::check(&world.app, fixture, problems, options, &mut |_| {})
        .map_err(|refused| said(refused.1, &|line| refused.0.place(line)))?;
    apply::apply(&world.app, &operator(), &checked, options, is_trial)
        .map_err(|failure| said(failure, &|line| checked.place(line)))
}

fn apply(world: &World, yaml: &str) -> Result<Plan, Vec<(String, Kind, String)>> {
    apply_files(world, &[("world.yaml", yaml)], Options::default(), false)
}

/// What changed: action, name and fields
fn changes(plan: &Plan) -> Vec<String> {
    plan.changes.iter().map(|change| format!("{:?} {} {:?}", change.action, change.name, change.fields)).collect()
}

#[test]
fn a_fixture_becomes_what_is_there_and_applying_it_again_changes_nothing() {
    on_every_engine(|world| {
        let plan = apply(world, WORLD).unwrap();
        assert_eq!((plan.count(Action::Created), plan.unchanged), (8, 0));
        assert!(world.app.check(|_| {}).unwrap().is_empty());
        let events = "SELECT count(*) FROM event";
        let before = count(world, events);
        let again = apply(world, WORLD).unwrap();
        assert_eq!((again.changes.len(), again.unchanged), (0, 8));
        assert_eq!(count(world, events), before, "nothing happened");
    });
}

fn count(world: &World, sql: &str) -> i64 {
    match &world.location {
        tidings::store::Location::Sqlite(path) => {
            rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
        }
        tidings::store::Location::Postgres(url) => {
            postgres::Client::connect(url, postgres::NoTls).unwrap().query_one(sql, &[]).unwrap().get(0)
        }
    }
}

#[test]
fn yaml_a_json_array_and_json_lines_say_the_same() {
    on_every_engine(|world| {
        apply(world, WORLD).unwrap();
        let records: Vec<serde_json::Value> = serde_saphyr::from_str(WORLD).unwrap();
        let array = serde_json::to_string_pretty(&records).unwrap();
        let lines = records.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for (name, text) in
            [("a.json", array.as_str()), ("stdin", &array), ("b.jsonl", &lines), ("stdin", &lines), ("stdin", WORLD)]
        {
            let plan = apply_files(world, &[(name, text)], Options::default(), false).unwrap();
            assert_eq!((plan.changes.len(), plan.unchanged), (0, 8), "{name}");
        }
    });
}

#[test]
fn what_differs_is_changed_as_the_commands_would() {
    on_every_engine(|world| {
        apply(world, WORLD).unwrap();
        let changed = WORLD
            .replace("ann@example.org", "ann@example.com")
            .replace("role: admin", "role: user, password: a good long one")
            .replace("level: mentions", "level: none")
            .replace("content: hello", "content: hello all")
            .replace("is_read: true", "is_read: false");
        let plan = apply(world, &changed).unwrap();
        let expected = [
            "Changed ann [\"email\"]",
            "Changed bob [\"role\", \"password\"]",
            "Changed team [\"participants\"]",
            "Changed m1 [\"content\"]",
            "Changed ann of m2 [\"is_read\"]",
        ];
        assert_eq!(changes(&plan), expected);
        assert_eq!(apply(world, &changed).unwrap().changes, [], "the password is the same, and so is everything");
        world
            .app
            .read(|tx| {
                let bob = service::acting(tx, &"bob".parse().unwrap())?;
                let team = service::conversations::show(tx, &bob, &"team".parse().unwrap())?;
                assert_eq!(team.level, Some(Level::None));
                let history = service::messages::history(tx, &bob, &"team#1".parse().unwrap())?;
                let editor = history[0].edited_by.as_ref().map(|editor| editor.username.as_str());
                assert_eq!((history[0].content.as_str(), editor), ("hello", Some("ann")));
                Ok(())
            })
            .unwrap();
        assert!(world.app.check(|_| {}).unwrap().is_empty());
    });
}

#[test]
fn what_cannot_be_changed_is_a_conflict_and_nothing_of_the_fixture_is_applied() {
    on_every_engine(|world| {
        apply(world, WORLD).unwrap();
        for (old, new, line, field) in [
            ("2020-01-01", "2021-01-01", 10, "timestamp"),
            ("reply_to: m1\n", "reply_to: m1\n  number: 7\n", 16, "number"),
            ("sender: bob", "sender: ann", 16, "sender"),
            ("participants: [ann, bob]}", "participants: [ann, bob], creator: ann}", 9, "creator"),
        ] {
            let yaml = format!("- {{type: user, username: new}}\n{}", WORLD.trim_start().replace(old, new));
            let problems = apply(world, &yaml).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert_eq!(
                (problems[0].0.as_str(), problems[0].1),
                (format!("world.yaml:{line}").as_str(), Kind::Conflict)
            );
            assert!(problems[0].2.contains(&format!("differs in {field}")), "{problems:?}");
            assert_eq!(count(world, "SELECT count(*) FROM account"), 2);
        }
    });
}

#[test]
fn every_problem_is_named_with_its_file_and_line() {
    on_every_engine(|world| {
        let users =
            "[\n  {\"type\": \"user\", \"username\": \"ann\"},\n  {\"type\": \"user\", \"username\": \"x y\"},\n  7\n]";
        let talk = "{\"type\":\"message\",\"conversation\":\"team\",\"sender\":\"ann\",\"content\":\"no key\"}\n\n{\"type\":\"user\",\"username\":\"ANN\"}\n{";
        let groups = "- {type: conversation, participants: [ann, ann]}\n- type: conversation\n  title: unnamed\n  participants: [ann]\n  kind: group\n";
        let files = [("users.json", users), ("groups.yml", groups), ("talk.jsonl", talk)];
        let problems = apply_files(world, &files, Options::default(), false).unwrap_err();
        let said: Vec<String> = problems.into_iter().map(|(place, _, detail)| format!("{place}: {detail}")).collect();
        insta::allow_duplicates! { insta::assert_snapshot!(said.join("\n"), @"
        users.json:3: The username holds white space or a control character.
        users.json:4: This is not a record: invalid type: integer `7`, expected an object with a `type`.
        groups.yml:1: “ann” is listed twice among the participants.
        groups.yml:2: The group has neither name nor id; applying the fixture again would not find it.
        talk.jsonl:1: There is no conversation “team” in the database or in earlier records.
        talk.jsonl:1: The message has no key; applying the fixture again would not find it.
        talk.jsonl:3: The username “ANN”, whatever its case, is on users.json:2 already.
        talk.jsonl:4: This is not JSON: the line ends in the middle of it (column 1).
        "); }
        assert_eq!(count(world, "SELECT count(*) FROM account"), 0);
    });
}

#[test]
fn what_is_no_fixture_is_refused_whatever_it_would_unpack_to() {
    on_every_engine(|world| {
        let bomb = (1..8)
            .map(|depth| format!("- &x{depth} [{}]\n", vec![format!("*x{}", depth - 1); 10].join(",")))
            .collect::<Vec<_>>()
            .concat();
        for (name, text) in [
            ("bomb.yaml", format!("- &x0 lol\n{bomb}").as_str()),
            ("map.yaml", "type: user\nusername: ann\n"),
            ("broken.json", "[{\"type\":\"user\","),
            ("broken.yaml", "- {type: user"),
        ] {
            let problems = apply_files(world, &[(name, text)], Options::default(), false).unwrap_err();
            assert_eq!(problems[0].1, Kind::Invalid, "{problems:?}");
            assert!(problems[0].2.contains("is not a fixture"), "{problems:?}");
        }
        assert_eq!(apply(world, "# nothing\n").unwrap().changes, []);
    });
}

#[test]
fn pruning_removes_what_the_fixture_does_not_name_and_nothing_else() {
    on_every_engine(|world| {
        apply(world, WORLD).unwrap();
        let eve = world.user("eve");
        let ann = world.app.read(|tx| service::acting(tx, &"ann".parse().unwrap())).unwrap();
        world.group("other", &ann, &[&eve]);
        world.send(&ann, "other", "gone");
        let extra = world.send(&ann, "team", "gone too");
        let team: tidings::model::ConversationSelector = "team".parse().unwrap();
        let named = [crate::support::selector(&eve)];
        world.app.write(|tx| service::conversations::add(tx, &ann, &team, &named)).unwrap();

        assert_eq!(apply(world, WORLD).unwrap().changes, [], "without pruning they stay");
        let prune = Options { prune: true, ..Options::default() };
        let plan = apply_files(world, &[("world.yaml", WORLD)], prune, false).unwrap();
        let expected = [
            "Changed team [\"participants\"]".to_owned(),
            "Removed eve []".to_owned(),
            "Removed other []".to_owned(),
            format!("Removed {} []", extra.message_id),
        ];
        assert_eq!(changes(&plan), expected);
        assert_eq!(apply_files(world, &[("world.yaml", WORLD)], prune, false).unwrap().changes, []);
        assert_eq!(count(world, "SELECT count(*) FROM message"), 3);
        assert!(world.app.check(|_| {}).unwrap().is_empty());
    });
}

const PRUNE: Options = Options { prune: true, notify: false };

#[test]
fn pruning_keeps_what_the_fixture_only_refers_to() {
    on_every_engine(|world| {
        apply(world, WORLD).unwrap();
        let eve = world.user("eve");
        let ann = world.app.read(|tx| service::acting(tx, &"ann".parse().unwrap())).unwrap();
        world.group("other", &ann, &[&eve]);
        // Neither team nor its people have a record, nor what is replied to.
        let talk = "- {type: message, conversation: team, sender: bob, key: m4, reply_to: m2, content: yes}";
        let plan = apply_files(world, &[("talk.yaml", talk)], PRUNE, false).unwrap();
        let changed: Vec<_> = changes(&plan);
        assert_eq!(changed[..2], ["Created m4 []", "Removed eve []"], "{changed:?}");
        assert_eq!(changed[3..], ["Removed other []", "Removed m1 []"], "behind the direct conversation: {changed:?}");
        assert_eq!(apply_files(world, &[("talk.yaml", talk)], PRUNE, false).unwrap().changes, []);
        assert!(world.app.check(|_| {}).unwrap().is_empty());
    });
}

#[test]
fn a_group_of_two_keeps_no_direct_conversation_of_the_same_two_from_being_pruned() {
    on_every_engine(|world| {
        let people = "- {type: user, username: ann}\n- {type: user, username: bob}\n";
        let group = format!("{people}- {{type: conversation, name: pair, participants: [ann, bob]}}\n");
        apply(world, &format!("{group}- {{type: conversation, participants: [ann, bob]}}\n")).unwrap();
        apply_files(world, &[("group.yaml", &group)], PRUNE, false).unwrap();
        assert_eq!(count(world, "SELECT count(*) FROM conversation"), 1);
        assert_eq!(count(world, "SELECT count(*) FROM conversation WHERE name = 'pair'"), 1);
    });
}

#[test]
fn pruning_by_a_fixture_without_records_is_refused() {
    on_every_engine(|world| {
        apply(world, WORLD).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.yaml");
        std::fs::write(&path, "# nothing\n").unwrap();
        let (fixture, problems) = Fixture::read(&[Input::open(&path).unwrap()]).unwrap();
        let Err(refused) = apply::check(&world.app, fixture, problems, PRUNE, &mut |_| {}) else { panic!() };
        let Failure::Error(error) = refused.1 else { panic!() };
        assert_eq!(error.to_string(), "The fixture has no records; pruning would remove everybody and everything.");
    });
}

#[test]
fn what_was_edited_since_becomes_what_the_fixture_says_and_its_history_stays() {
    on_every_engine(|world| {
        apply(world, WORLD).unwrap();
        let operator = operator();
        let edit = |content: &str| {
            let change =
                service::messages::MessageEdit { content: content.to_owned(), reason: None, if_revision: None };
            world.app.write(|tx| service::messages::edit(tx, &operator, &"team#2".parse().unwrap(), &change)).unwrap();
        };
        edit("by hand");
        assert_eq!(changes(&apply(world, WORLD).unwrap()), ["Changed m2 [\"content\"]"]);
        assert_eq!(apply(world, WORLD).unwrap().changes, []);
        // Its author goes on in the fixture, without writing down the history.
        let on = WORLD.replace("content: hi\n", "content: hi all\n");
        assert_eq!(changes(&apply(world, &on).unwrap()), ["Changed m2 [\"content\"]"]);
        assert_eq!(apply(world, &on).unwrap().changes, []);
        let history = |number: &str| {
            let found = world.app.read(|tx| service::messages::history(tx, &operator, &number.parse().unwrap()));
            found.unwrap().into_iter().rev().map(|one| one.content).collect::<Vec<_>>()
        };
        assert_eq!(history("team#2"), ["ho", "hi", "by hand", "hi"]);
        // What was said stays said.
        let problems = apply(world, &WORLD.replace("{content: ho,", "{content: other,")).unwrap_err();
        assert!(problems[0].2.contains("its earlier contents are not these"), "{problems:?}");
    });
}

#[test]
fn a_message_of_somebody_who_left_is_edited_by_the_operator() {
    on_every_engine(|world| {
        apply(world, &format!("{WORLD}- {{type: user, username: eve}}\n")).unwrap();
        let team: tidings::model::ConversationSelector = "team".parse().unwrap();
        world
            .app
            .write(|tx| {
                service::conversations::add(tx, &operator(), &team, &["eve".parse().unwrap()])?;
                service::conversations::remove(tx, &operator(), &team, &["ann".parse().unwrap()])
            })
            .unwrap();
        let talk = "- {type: message, conversation: team, sender: ann, key: m1, content: mended}";
        apply(world, talk).unwrap();
        assert_eq!(apply(world, talk).unwrap().changes, []);
        let history = world.app.read(|tx| service::messages::history(tx, &operator(), &"team#1".parse().unwrap()));
        assert!(history.unwrap()[0].edited_by_operator);
    });
}

#[test]
fn two_records_of_one_row_and_what_a_rule_refuses_are_told_with_their_lines() {
    on_every_engine(|world| {
        apply(world, WORLD).unwrap();
        let ann = world.app.read(|tx| service::user(tx, &operator(), &"ann".parse().unwrap())).unwrap().person.user_id;
        let yaml = format!("- {{type: user, username: anna, user_id: {ann}}}\n- {{type: user, username: Anna}}");
        let problems = apply(world, &yaml).unwrap_err();
        assert_eq!((problems[0].0.as_str(), problems.len()), ("world.yaml:2", 1), "{problems:?}");
        assert!(problems[0].2.contains("is on world.yaml:1 already"), "{problems:?}");
        let yaml = "- {type: user, username: ann}\n- {type: user, username: bob, is_active: false}";
        let last = apply(world, yaml);
        assert!(last.is_ok(), "the operator may: {last:?}");
        let yaml =
            "- {type: user, username: bob, password: a good one}\n- {type: user, username: bob, password: other one}";
        let problems = apply(world, yaml).unwrap_err();
        assert!(problems[0].2.contains("is on world.yaml:1 already"), "{problems:?}");
    });
}
