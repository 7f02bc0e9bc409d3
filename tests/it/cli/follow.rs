//! `message list --follow` and `notifications list --follow`: what is there, then what comes.

use std::thread;
use std::time::Duration;

use serde_json::Value;
use tidings::store::Location;

use super::shell;
use super::watch::Going;
use crate::support::{Schema, Shell, World, on_engine, postgres_server};

fn rows(going: &Going, count: usize) -> Vec<Value> {
    (0..count).map(|_| serde_json::from_str(&going.line()).unwrap()).collect()
}

#[test]
fn a_list_of_messages_goes_on_with_what_comes_and_what_becomes_of_what_was_shown() {
    let shell = shell();
    let people = Going::begin(&shell, "message list team --follow --limit 1 --as bob");
    let objects = Going::begin(&shell, "message list team --follow --limit 1 --as bob -o jsonl");
    let of_bob = Going::begin(&shell, "message list team --follow --from bob -o jsonl");
    let at = "2026-01-01 09:00:00Z";
    let expect = |heading: &str, text: &str| {
        assert_eq!(people.line(), heading);
        if !text.is_empty() {
            assert_eq!(people.line(), format!("    {text}"));
        }
    };
    expect(&format!("team#2 bob · {at} · reply to #1"), "Yes");
    assert_eq!(rows(&objects, 1)[0]["number"], 2);
    assert_eq!(rows(&of_bob, 1)[0]["number"], 2);
    for line in [
        // Of what was not shown nothing is told.
        "message edit team#1 'Lunch at one' --as ann",
        "message send team 'Where?' --as ann",
        "message send team 'Here' --as bob",
        "message edit team#3 'Where then?' --as ann",
        "message read team --as ann",
        "message delete team#3 --yes",
        "message send --to bob 'elsewhere' --as ann",
        "conversation update team --title Else --as ann",
        "message send team 'over' --as bob",
    ] {
        shell.done(line);
        // Each is looked at before the next is done: what is told is as of when it is heard.
        thread::sleep(Duration::from_millis(300));
    }
    expect(&format!("team#3 ann · {at}"), "Where?");
    expect(&format!("team#4 bob · {at}"), "Here");
    expect(&format!("edited · team#3 ann · {at} · revision 2"), "Where then?");
    expect(&format!("team#3 deleted · {at}"), "");
    expect(&format!("team#5 bob · {at}"), "over");
    let seen = rows(&objects, 5);
    let said: Vec<_> =
        seen.iter().map(|row| (row["number"].as_i64().unwrap(), row["content"].as_str().unwrap())).collect();
    assert_eq!(said, [(3, "Where?"), (4, "Here"), (3, "Where then?"), (3, ""), (5, "over")]);
    assert_eq!(
        (&seen[2]["edited"], &seen[3]["deleted"], &seen[3]["sender"]),
        (&true.into(), &true.into(), &Value::Null)
    );
    assert_eq!(rows(&of_bob, 2).iter().map(|row| row["number"].as_i64().unwrap()).collect::<Vec<_>>(), [4, 5]);
    shell.done("conversation remove team bob --as bob --yes");
    let end = "There is nothing more to follow: the conversation is gone, or you are not in it any more.";
    for going in [people, objects] {
        let (code, rest, said) = going.end();
        assert_eq!((code, rest.len(), said.last().map(String::as_str)), (Some(0), 0, Some(end)));
    }
    shell.done("conversation delete team --yes");
    assert_eq!(of_bob.end().0, Some(0));
    for (wrong, code) in [("--follow", 2), ("nowhere --follow", 3), ("team --follow --before 3", 2)] {
        assert_eq!(shell.run(&format!("message list {wrong}")).code, code, "{wrong}");
    }
}

#[test]
fn a_list_of_notifications_goes_on_with_what_comes_and_what_becomes_of_what_was_shown() {
    let shell = shell();
    let lines = ["--as bob", "--user bob", "--unread --as bob"];
    let all = lines.map(|who| Going::begin(&shell, &format!("notifications list {who} --follow -o jsonl")));
    for going in &all {
        assert_eq!(rows(going, 1)[0]["kind"], "mention");
    }
    for line in [
        "message send team 'Hello' --as ann",
        "message send team 'Nobody is notified of one’s own' --as bob",
        "message edit team#3 'Hello, @bob' --as ann",
        "notifications read team#3 --as bob",
        "notifications unread team#3 --as bob",
        "message read team --as bob",
        "message delete team#3 --yes",
    ] {
        shell.done(line);
        thread::sleep(Duration::from_millis(300));
    }
    for (going, who) in all.iter().zip(lines) {
        let seen = rows(going, 7);
        let told: Vec<_> = seen
            .iter()
            .map(|row| {
                (row["message"]["number"].as_i64().unwrap(), row["kind"].as_str().unwrap(), row["is_read"] == true)
            })
            .collect();
        let expected = [
            (3, "message", false),
            (3, "mention", false),
            (3, "mention", true),
            (3, "mention", false),
            (1, "mention", true),
            (3, "mention", true),
            (3, "mention", true),
        ];
        assert_eq!(told, expected, "{who}");
        assert_eq!(seen[6]["message"]["deleted"], true, "{who}");
    }
    shell.done("message send team 'Once more' --as ann");
    let later = Going::begin(&shell, "notifications list --as bob --limit 2 --follow -o jsonl");
    let mut seen = rows(&later, 2);
    shell.done("message send team 'And again' --as ann");
    seen.extend(rows(&later, 1));
    let numbers: Vec<_> = seen.iter().map(|row| row["message"]["number"].as_i64().unwrap()).collect();
    assert!(numbers.is_sorted(), "what comes is below what was there: {numbers:?}");
}

#[test]
fn a_list_goes_on_with_the_same_user_and_conversation_whatever_their_names_become() {
    let shell = shell();
    let messages = Going::begin(&shell, "message list team --follow --as bob -o jsonl");
    let notified = ["--as bob", "--user bob"]
        .map(|who| Going::begin(&shell, &format!("notifications list {who} --follow -o jsonl")));
    rows(&messages, 2);
    for going in &notified {
        rows(going, 1);
    }
    for line in [
        "user update bob --username robert",
        "conversation update team --name crew",
        // Others take the names.
        "user create bob --no-password",
        "conversation create ann --name team --as bob",
        "message send team 'Not for robert' --as ann",
        "message send crew 'For robert' --as ann",
        "message edit crew#1 'Lunch at one, @robert?' --as ann",
    ] {
        shell.done(line);
        thread::sleep(Duration::from_millis(300));
    }
    let seen = rows(&messages, 2);
    assert_eq!((&seen[0]["content"], &seen[1]["number"]), (&"For robert".into(), &1.into()));
    for going in &notified {
        let seen = rows(going, 2);
        assert_eq!(seen[0]["message"]["content"], "For robert");
        assert_eq!((&seen[1]["message"]["number"], &seen[1]["message"]["deleted"]), (&1.into(), &false.into()));
    }
    shell.done("user delete robert --yes");
    for going in notified.into_iter().chain([messages]) {
        let (code, _, said) = going.end();
        assert_eq!(code, Some(4), "{said:?}");
        let end = "The account was deleted; there is nothing more to hear for it.";
        assert!(said.iter().any(|line| line.contains(end)), "{said:?}");
    }
}

#[test]
fn between_a_list_and_what_comes_nothing_is_missed_and_nothing_is_told_twice() {
    let shell = Shell::new();
    on_engine("SQLite", || nothing_is_between(&shell, &Location::Sqlite(shell.path("test.db")), "test.db"));
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let url = schema.url();
    on_engine("PostgreSQL", || nothing_is_between(&shell, &Location::parse(&url).unwrap(), &url));
}

fn nothing_is_between(shell: &Shell, location: &Location, address: &str) {
    const COUNT: usize = 150;
    let world = World::open(location.clone());
    let [ann, bob] = ["ann", "bob"].map(|name| world.user(name));
    world.group("team", &ann, &[&bob]);
    let mut all = Vec::new();
    for number in 0..COUNT {
        if number % 10 == 5 {
            let line = format!("message list team --limit 1000 --follow -o jsonl --as bob --db {address}");
            all.push(Going::begin(shell, &line));
        }
        world.send(&ann, "team", "a word");
        thread::sleep(Duration::from_millis(3));
    }
    for (index, going) in all.iter().enumerate() {
        let numbers: Vec<usize> =
            rows(going, COUNT).iter().map(|row| usize::try_from(row["number"].as_i64().unwrap()).unwrap()).collect();
        assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>(), "{index}");
    }
    world.send(&ann, "team", "the last");
    for going in &all {
        assert_eq!(rows(going, 1)[0]["content"], "the last");
    }
}
