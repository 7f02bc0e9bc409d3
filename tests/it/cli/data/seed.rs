//! `tidings data seed`: the same numbers, seed and now give the same.

use insta::assert_snapshot;

use super::files;
use crate::cli::shell;
use crate::support::{Schema, Shell, postgres_server};

const SMALL: &str = "data seed --users 9 --conversations 4 --messages 60";

#[test]
fn the_same_seed_and_now_give_the_same_dump_on_both_engines() {
    let shell = Shell::new();
    assert_snapshot!(shell.run(SMALL), @"
     users          9
     conversations  4
     messages       60
     notifications  244
     there already  0
    --- stderr
    Made up the data of the seed 1.
    ");
    let dump = shell.done("data dump -q").stdout;
    assert_snapshot!(shell.run(&format!("{SMALL} -o json -q")), @r#"
    {
      "created": {
        "users": 0,
        "conversations": 0,
        "messages": 0,
        "notifications": 0
      },
      "skipped": 317
    }
    "#);
    assert_eq!(shell.done("data dump -q").stdout, dump, "again it adds nothing");
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let url = schema.url();
    shell.done(&format!("{SMALL} --db {url}"));
    assert!(shell.done(&format!("data dump -q --db {url}")).stdout == dump, "another dump on PostgreSQL");
}

#[test]
fn another_seed_adds_others_and_another_now_with_the_same_seed_is_a_conflict() {
    let shell = shell();
    shell.done(SMALL);
    shell.done(&format!("{SMALL} --seed 2 --language fr"));
    assert_eq!(shell.done("user list -o ids --limit 100").stdout.lines().count(), 2 + 9 + 9);
    let before = shell.dump();
    assert_snapshot!(shell.run(&format!("{SMALL} --now 2026-02-01")), @"
    --- stderr
    tidings: Some of what the seed 1 makes up exists already, with differences.
    hint: Use another --seed for other data; the same --seed and --now make the same data again.
    --- exit code 5
    ");
    assert_eq!(shell.dump(), before);
    shell.done("db check");
}

#[test]
fn two_people_talk_to_each_other() {
    let shell = Shell::new();
    let run = shell.done("data seed --users 2 --conversations 1 --direct 100 --messages 9 -o json");
    assert!(run.stdout.contains("\"conversations\": 1"), "{run}");
}

#[test]
fn a_plan_that_cannot_be_is_refused_and_makes_nothing() {
    let shell = shell();
    let (before, there) = (shell.dump(), files(&shell));
    for (line, code) in [
        ("data seed --users 1", 6),
        ("data seed --users 3 --conversations 50 --direct 100", 6),
        ("data seed --conversations 0", 6),
        ("data seed --group-size 5-3", 6),
        ("data seed --group-size many", 2),
        ("data seed --replies 101", 2),
        ("data seed --users -1", 2),
        ("data seed --days 0", 2),
        ("data seed --language tlh", 2),
        ("data seed --as ann", 4),
    ] {
        let run = shell.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{line}: {run}");
    }
    assert_eq!((shell.dump(), files(&shell)), (before, there));
    assert_snapshot!(shell.run("data seed --users 1"), @"
    --- stderr
    tidings: Two people have one direct conversation at most; among 1 there can be 0, not 20.
    --- exit code 6
    ");
    let dry = shell.done(&format!("{SMALL} --dry-run -o json"));
    assert_eq!(shell.dump(), shell.dump());
    assert_eq!(shell.done(&format!("{SMALL} -o json")).stdout, dry.stdout);
}
