//! `tidings data apply`: its exit codes, and that nothing is removed unasked.

use insta::assert_snapshot;

use super::{GOOD, write};
use crate::cli::shell;

const WORLD: &str = "
- {type: user, username: ann}
- {type: user, username: bob, first_name: Bob}
- {type: conversation, name: team, participants: [ann, bob]}
- {type: message, key: k1, conversation: team, sender: ann, content: hello}
";

#[test]
fn the_exit_code_tells_whether_anything_changed_where_that_is_asked() {
    let shell = shell();
    write(&shell, "world.yaml", WORLD);
    let before = shell.dump();
    assert_snapshot!(shell.run("data apply world.yaml --dry-run --detailed-exitcode"), @"
     action   type     name  fields
     changed  user     bob   first_name
     created  message  k1
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Applied world.yaml: 1 created, 1 changed, 0 removed, 2 records unchanged.
    --- exit code 10
    ");
    assert_eq!(shell.dump(), before);
    assert_snapshot!(shell.run_with("data apply - --detailed-exitcode -o jsonl", WORLD), @r#"
    {"action":"changed","type":"user","name":"bob","fields":["first_name"]}
    {"action":"created","type":"message","name":"k1","fields":[]}
    --- stderr
    Applied standard input: 1 created, 1 changed, 0 removed, 2 records unchanged.
    --- exit code 10
    "#);
    let after = shell.dump();
    assert_snapshot!(shell.run("data apply world.yaml --detailed-exitcode"), @"
    --- stderr
    All is as world.yaml says: 4 records unchanged.
    ");
    write(&shell, "more.yaml", "");
    let two = shell.done("data apply world.yaml more.yaml").stderr;
    assert_eq!(two, "All is as the fixture of 2 files says: 4 records unchanged.\n");
    assert_eq!(shell.run("data apply world.yaml --dry-run --detailed-exitcode").code, 0);
    assert_eq!(shell.dump(), after);
    shell.done("user update bob --first-name Robert");
    assert_eq!(shell.run("data apply world.yaml").code, 0);
}

#[test]
fn nothing_is_removed_without_yes_off_a_terminal() {
    let shell = shell();
    write(&shell, "world.yaml", WORLD);
    let before = shell.dump();
    assert_snapshot!(shell.run("data apply world.yaml --prune"), @"
    --- stderr
    tidings: There is no terminal to ask for confirmation; use --yes to confirm, or --dry-run for a preview.
    --- exit code 2
    ");
    assert_eq!(shell.dump(), before);
    assert_snapshot!(shell.run("data apply world.yaml --prune --dry-run"), @"
     action   type     name                                  fields
     changed  user     bob                                   first_name
     created  message  k1
     removed  message  019b78c9-0a80-7884-9eac-98eebf188fe5
     removed  message  019b78c9-0a80-7930-ac9a-1d487d21c9db
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Applied world.yaml: 1 created, 1 changed, 2 removed, 2 records unchanged.
    ");
    assert_eq!(shell.dump(), before);
    assert_snapshot!(shell.run("data apply world.yaml --prune --yes --detailed-exitcode"), @"
     action   type     name                                  fields
     changed  user     bob                                   first_name
     created  message  k1
     removed  message  019b78c9-0a80-7884-9eac-98eebf188fe5
     removed  message  019b78c9-0a80-7930-ac9a-1d487d21c9db
    --- stderr
    Applied world.yaml: 1 created, 1 changed, 2 removed, 2 records unchanged.
    --- exit code 10
    ");
    assert_eq!(shell.run("data apply world.yaml --prune --detailed-exitcode").code, 0, "there is nothing to ask");
    shell.done("db check");
}

#[test]
fn what_is_no_fixture_is_refused_with_its_place_and_changes_nothing() {
    let shell = shell();
    let mut bomb = "- &a0 {type: user, username: lol}\n".to_owned();
    for level in 1..30 {
        bomb.extend([format!("- &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "))]);
    }
    write(&shell, "bomb.yaml", bomb);
    write(
        &shell,
        "bad.yaml",
        "- {type: user, username: a b}\n- {type: usr}\n- {type: message, conversation: team, sender: ann, content: x}\n",
    );
    write(&shell, "open.yaml", "- {type: user, username: ann\n");
    write(&shell, "good.jsonl", GOOD);
    let before = shell.dump();
    let refused = |line: &str, code: i32| {
        let run = shell.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{line}: {run}");
        assert_eq!(shell.dump(), before, "{line}");
        run.stderr
    };
    assert_snapshot!(refused("data apply bomb.yaml", 6), @"
    bomb.yaml:6: This is not a YAML list of records: its aliases stand for more than a fixture may hold (column 13).
    tidings: bomb.yaml is not a fixture; nothing was changed.
    ");
    assert_snapshot!(refused("data apply good.jsonl bad.yaml -o json", 6), @r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid","detail":"The fixture of 2 files has 4 problems; nothing was changed.","errors":{"good.jsonl:5":["The message has no key; applying the fixture again would not find it."],"bad.yaml:1":["The username holds white space or a control character."],"bad.yaml:2":["This is not a record: unknown word `usr`, expected one of `user`, `conversation`, `message`, `notification`."],"bad.yaml:3":["The message has no key; applying the fixture again would not find it."]}}"#);
    assert_snapshot!(refused("data apply open.yaml", 6), @"
    open.yaml:1: This is not a YAML list of records: unclosed bracket '{' at line 1, column 3.
    tidings: open.yaml is not a fixture; nothing was changed.
    ");
    for (name, text, said) in [
        (
            "twice.yaml",
            "- {type: user, type: user}\n",
            "twice.yaml:1: This is not a YAML list of records: the key `type` stands twice",
        ),
        (
            "two.yaml",
            "- {type: user, username: x}\n---\n- 1\n",
            "two.yaml:3: This is not a YAML list of records: a second document begins",
        ),
        ("deep.yaml", &"[".repeat(3000), "This is not a YAML list of records: it is nested too deeply at line 1"),
        ("many.yaml", &"- 1\n".repeat(250_001), "there is more in it, or it is nested deeper, than is read as YAML"),
        ("word.jsonl", "{\"type\":nul}", "This is not JSON: expected true, false or null (column"),
        ("type.jsonl", "{\"type\":7}", "This is not a record: invalid type: integer `7`, expected a word."),
        (
            "list.jsonl",
            "{\"type\":\"user\",\"username\":[\"map\"]}",
            "This is not a record: invalid type: a list, expected a string.",
        ),
    ] {
        write(&shell, name, text);
        let stderr = refused(&format!("data apply {name}"), 6);
        assert!(stderr.contains(said), "{stderr}");
    }
    assert_snapshot!(refused("data apply absent.yaml", 3), @"tidings: There is no file absent.yaml.");
    refused("data apply", 2);
    refused("data apply .", 7);
    refused("data apply good.jsonl --as ann", 4);
}

#[test]
fn what_cannot_be_read_of_a_fixture_is_named_with_the_line_it_is_on() {
    let shell = shell();
    let lines = |name: &str, text: &str| {
        write(&shell, name, text);
        let run = shell.run(&format!("data apply {name} -o json"));
        assert_eq!(run.code, 6, "{run}");
        let problem: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
        let mut lines: Vec<u64> = (problem["errors"].as_object().unwrap().keys())
            .map(|place| place.rsplit_once(':').unwrap().1.parse().unwrap())
            .collect();
        lines.sort_unstable();
        lines
    };
    let yaml = "# People
- type: user
  username: zoe
  emial: zoe@example.org
- &place
  type: conversation
  name: harbour
  participants:
    - ann
    - 17

- *place
- type: message
  conversation: harbour
  content: |
    one
    two
  revisions:
    - content: three
      edited: yesterday
- type: message
  content: no conversation
- number: 1
- type: message
  conversation: harbour
  revisions:
    content: no list
";
    assert_eq!(lines("lines.yaml", yaml), [4, 10, 20, 21, 23, 26]);
    let json = r#"[
  {"type": "user",
   "username": "zoe", "role":
     "queen"},
  {"type": "user", "username": "zoe",

   "emial": null}
]"#;
    assert_eq!(lines("lines.json", json), [3, 7]);
}
