//! Formats, fields, colours, and what hostile text comes to.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::Value;

use super::shell;
use crate::support::Shell;

/// The names of the values in a record, dotted
fn columns(record: &Value, prefix: &str) -> Vec<String> {
    let Value::Object(fields) = record else { return vec![prefix.to_owned()] };
    let name = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
    fields.iter().flat_map(|(field, value)| columns(value, &name(field))).collect()
}

#[test]
fn the_columns_of_csv_are_the_fields_of_json() {
    let shell = shell();
    shell.done("message edit team#1 'Lunch at one' --as ann");
    shell.done("message send --to bob 'Just you' --as ann");
    for line in [
        "user show ann",
        "user list",
        "user delete ann --dry-run",
        "conversation show @bob --as ann",
        "conversation list --as ann",
        "conversation remove team bob --dry-run",
        "message show @bob#1 --as ann",
        "message list --as ann --from ann --to bob",
        "message history team#1",
        "message history team#1 --diff",
        "message delete team#1 --dry-run",
        "notifications list --as bob",
        "notifications count --as bob",
        "notifications read --all --dry-run --as bob",
        "message read team --dry-run --as bob",
        "message search just --as ann",
        "message thread @bob#1 --as ann",
        "db status",
        "db backup copy.db --dry-run",
        "config show",
        "doctor",
    ] {
        let json = shell.run(&format!("{line} -o json")).stdout;
        let json: Value = serde_json::from_str(&json).unwrap();
        let record = json.get(0).unwrap_or(&json);
        for (format, delimiter) in [("csv", ","), ("tsv", "\t")] {
            let printed = shell.run(&format!("{line} -o {format}")).stdout;
            let header: Vec<&str> = printed.lines().next().unwrap().split(delimiter).collect();
            assert_eq!(header, columns(record, ""), "{line} -o {format}");
        }
    }
}

#[test]
fn csv_and_tsv_hold_the_same_with_null_empty_and_lists_in_one_cell() {
    let shell = shell();
    assert_snapshot!(shell.run("conversation list -o csv --fields name,title,participants,last_message.receiver,unread_count,message_count"), @r#"
    name,title,participants,last_message.receiver.user_id,last_message.receiver.username,last_message.receiver.first_name,last_message.receiver.last_name,unread_count,message_count
    team,Everybody,"[{""user_id"":""019b78c9-0a80-7398-89bc-6d63798b4571"",""username"":""ann"",""first_name"":""Ann"",""last_name"":""""},{""user_id"":""019b78c9-0a80-73dd-ac58-f4b546018d9a"",""username"":""bob"",""first_name"":"""",""last_name"":""""}]",,,,,,2
    "#);
    assert_snapshot!(shell.run("message list team -o csv --fields number,sender.username,receiver.username,content,edited"), @r#"
    number,sender.username,receiver.username,content,edited
    1,ann,,"Lunch at noon, @bob?",false
    2,bob,,Yes,false
    "#);
    shell.done_with(&["message", "send", "team", "=1+1\t\\\r\n\"é\"", "--as", "ann"]);
    let last = "message list team --limit 1 --fields content,number --no-header";
    assert_eq!(shell.run(&format!("{last} -o csv")).stdout, "\"'=1+1\t\\\r\n\"\"é\"\"\",3\n");
    assert_eq!(shell.run(&format!("{last} -o tsv")).stdout, "=1+1\\t\\\\\\r\\n\"é\"\t3\n");
    assert_eq!(
        shell.run_env("user show bob --fields username,email", &[("TIDINGS_OUTPUT", "csv")]).stdout,
        "username,email\nbob,\n"
    );
}

#[test]
fn fields_are_columns_or_what_is_left_of_json_in_their_order() {
    let shell = shell();
    assert_snapshot!(shell.run("message list team --fields number,sender.username,content"), @"
    number  sender.username  content
    1       ann              Lunch at noon, @bob?
    2       bob              Yes
    ");
    assert_snapshot!(shell.run("message list team --fields content --no-header"), @"
    Lunch at noon, @bob?
    Yes
    ");
    assert_snapshot!(shell.run("user list --no-header"), @"
    ann  Ann  ann@example.org  user  yes  2026-01-01 09:00:00Z  019b78c9-0a80-7398-89bc-6d63798b4571
    bob                        user  yes  2026-01-01 09:00:00Z  019b78c9-0a80-73dd-ac58-f4b546018d9a
    ");
    assert_snapshot!(shell.run("message show team#2 --fields content,sender"), @"
    content          Yes
    sender.user_id   019b78c9-0a80-73dd-ac58-f4b546018d9a
    sender.username  bob
    ");
    assert_snapshot!(shell.run("user show ann --fields email --no-header"), @"ann@example.org");
    assert_snapshot!(shell.run("conversation list --fields name,participants"), @"
    name  participants
    team  ann, bob
    ");
    assert_snapshot!(shell.run("conversation show team --fields participants,creator"), @"
    participants        ann, bob
    creator.user_id     019b78c9-0a80-7398-89bc-6d63798b4571
    creator.username    ann
    creator.first_name  Ann
    ");
    assert_snapshot!(shell.run("conversation remove team bob --dry-run --quiet --fields removed,ended"), @"
    removed  bob
    ended    false
    ");
    assert_snapshot!(shell.run("message show team#2 --fields content,sender.username,number,receiver.username -o jsonl"), @r#"{"content":"Yes","sender":{"username":"bob"},"number":2,"receiver":null}"#);
    assert_snapshot!(shell.run("message send team hi --as ann --quiet --fields number -o json"), @r#"
    {
      "number": 3
    }
    "#);
    assert_snapshot!(shell.run("user list --search nobody -o csv --fields username,is_active"), @"username,is_active");
    assert_eq!(shell.run("user list --search nobody -o csv --no-header").stdout, "");
    assert_eq!(shell.run("user list --search nobody -o json --fields email").stdout, "[]\n");
    shell.done("message edit team#2 No --as bob");
    assert_snapshot!(shell.run("message history team#2 --diff --fields diff"), @"
    diff
    delete Yes, insert No
    ");
}

#[test]
fn a_field_that_is_not_there_is_refused_before_anything_is_done() {
    let shell = shell();
    let before = shell.dump();
    assert_snapshot!(shell.run("message send team hi --as ann --fields content,nonsense"), @"
    --- stderr
    tidings: This command shows no field “nonsense”. The fields: message_id, conversation, number, sender.user_id, sender.username, sender.first_name, sender.last_name, receiver.user_id, receiver.username, receiver.first_name, receiver.last_name, content, timestamp, edited, revision, parent_message, is_thread, reply_count, read, deleted.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("notifications count --as bob --fields unread -o ids"), @"
    --- stderr
    tidings: The format ids cannot be combined with --fields.
    --- exit code 2
    ");
    for line in [
        "user delete ann --yes --fields email",
        "user list --search nobody --fields e-mail",
        "message read team --as bob --fields content",
        "message list --limit 1 --fields sender.email -o json",
        "user list --fields ''",
        "demo --fields number",
    ] {
        assert_eq!(shell.run(line).code, 2, "{line}");
    }
    assert_eq!(shell.dump(), before);
    assert_eq!(shell.run("user list --fields nonsense --db absent.db").code, 2);
    assert!(!shell.path("absent.db").exists());
}

#[test]
fn colours_are_there_when_asked_for_and_stand_around_escaped_text_only() {
    let shell = shell();
    shell.done_with(&["message", "send", "team", "\u{1b}[31mred", "--as", "ann"]);
    let shown = |line: &str| shell.run(line).to_string().replace('\u{1b}', "␛");
    assert_snapshot!(shown("message list team --limit 2 --color always"), @r#"
    ␛[36mteam#2␛[0m ␛[1mbob␛[0m · ␛[2m2026-01-01 09:00:00Z␛[0m · reply to #1
        Yes
    ␛[36mteam#3␛[0m ␛[1mann␛[0m · ␛[2m2026-01-01 09:00:00Z␛[0m
        \u{1b}[31mred
    "#);
    assert_snapshot!(shown("notifications list --as bob --limit 2 --color always"), @r#"
    ␛[33munread␛[0m · ␛[36mteam#3␛[0m ␛[1mann␛[0m · ␛[2m2026-01-01 09:00:00Z␛[0m
        \u{1b}[31mred
    ␛[33munread␛[0m · ␛[33mmentions you␛[0m · ␛[36mteam#1␛[0m ␛[1mann␛[0m · ␛[2m2026-01-01 09:00:00Z␛[0m · 1 reply
        Lunch at noon, @bob?
    "#);
    assert_snapshot!(shown("user list --color always"), @"
    ␛[1musername␛[0m  ␛[1mname␛[0m  ␛[1memail␛[0m            ␛[1mrole␛[0m  ␛[1mactive␛[0m  ␛[1mcreated␛[0m               ␛[1mid␛[0m
    ␛[36mann␛[0m       Ann   ann@example.org  user  yes     ␛[2m2026-01-01 09:00:00Z␛[0m  ␛[2m019b78c9-0a80-7398-89bc-6d63798b4571␛[0m
    ␛[36mbob␛[0m                              user  yes     ␛[2m2026-01-01 09:00:00Z␛[0m  ␛[2m019b78c9-0a80-73dd-ac58-f4b546018d9a␛[0m
    ");
    assert_snapshot!(shown("user show eve --color=always"), @"
    --- stderr
    ␛[1m␛[31mtidings:␛[0m There is no user “eve”.
    --- exit code 3
    ");
    assert_snapshot!(shown("message list --color always --now \u{1b}[2J"), @"
    --- stderr
    ␛[1m␛[31mtidings:␛[0m invalid value '' for '--now <TIME>': not a time like 2026-01-01T09:00:00Z or 2026-01-01 (UTC)

    For more information, try '--help'.
    --- exit code 2
    ");
    let colored =
        |line: &str, environment: &[(&str, &str)]| shell.run_env(line, environment).to_string().contains('\u{1b}');
    assert!(colored("message --help --color always", &[]));
    for line in ["message list team", "message --help", "user show eve", "nonsense"] {
        assert!(!colored(line, &[]), "{line} into a pipe");
        assert!(!colored(&format!("{line} --color never"), &[]), "{line}");
    }
    assert!(colored("message list team --color always", &[("NO_COLOR", "1")]), "flags win over the environment");
    assert_eq!(shell.run("user list --color sometimes").code, 2);
}

#[test]
fn a_message_is_headed_by_what_the_next_command_can_name_it_by() {
    let shell = shell();
    shell.done("user create eve --no-password");
    shell.done("message send --to bob 'Just you' --as ann");
    shell.done("conversation create bob eve --title Untitled --as ann -o ids");
    assert_snapshot!(shell.run("message list --as ann --from ann --to bob"), @"
    @bob#1 ann · 2026-01-01 09:00:00Z
        Just you
    ");
    assert_snapshot!(shell.run("message list --as bob --from ann --to bob"), @"
    @ann#1 ann · 2026-01-01 09:00:00Z
        Just you
    ");
    assert_snapshot!(shell.run("message list --from ann --to bob"), @"
    #1 ann → bob · 2026-01-01 09:00:00Z · 019b78c9-0a80-768f-8c55-23bc59d80c84
        Just you
    ");
    assert_snapshot!(shell.run("message show @ann#1 --as bob"), @"
    @ann#1 ann · 2026-01-01 09:00:00Z · 019b78c9-0a80-768f-8c55-23bc59d80c84
        Just you
    ");
    assert_snapshot!(shell.run("notifications list --limit 1 --as bob"), @"
    unread · @ann#1 ann · 2026-01-01 09:00:00Z
        Just you
    ");
    shell.done("message send team 'For you' --receiver bob --as ann");
    assert_snapshot!(shell.run("message list team --limit 1"), @"
    team#3 ann → bob · 2026-01-01 09:00:00Z
        For you
    ");
}

#[test]
fn a_history_shows_what_changed_word_by_word() {
    let shell = shell();
    shell.done("message edit team#1 'Lunch at one, @bob?' --reason ferry --as ann");
    shell.done_with(&["message", "edit", "team#1", "Lunch at one, @bob!\nBring \u{1b}[2J money", "--as", "ann"]);
    assert_snapshot!(shell.run("message history team#1 --diff"), @r#"
    revision 2 · replaced 2026-01-01 09:00:00Z by ann
        Lunch at one, @bob[-?-]{+!+}
        {+Bring \u{1b}[2J money+}
    revision 1 · replaced 2026-01-01 09:00:00Z by ann · ferry
        Lunch at [-noon-]{+one+}, @bob?
    "#);
    assert_snapshot!(shell.run("message history team#1 --diff --color always").to_string().replace('\u{1b}', "␛"), @r"
    ␛[36mrevision 2␛[0m · replaced ␛[2m2026-01-01 09:00:00Z␛[0m by ␛[1mann␛[0m
        Lunch at one, @bob␛[31m[-?-]␛[0m␛[32m{+!+}␛[0m
        ␛[32m{+Bring \u{1b}[2J money+}␛[0m
    ␛[36mrevision 1␛[0m · replaced ␛[2m2026-01-01 09:00:00Z␛[0m by ␛[1mann␛[0m · ferry
        Lunch at ␛[31m[-noon-]␛[0m␛[32m{+one+}␛[0m, @bob?
    ");
    assert_snapshot!(shell.run("message history team#1 --diff -o json --fields revision,diff"), @r#"
    [
      {
        "revision": 2,
        "diff": [
          {
            "op": "equal",
            "text": "Lunch at one, @bob"
          },
          {
            "op": "delete",
            "text": "?"
          },
          {
            "op": "insert",
            "text": "!\nBring \u001b[2J money"
          }
        ]
      },
      {
        "revision": 1,
        "diff": [
          {
            "op": "equal",
            "text": "Lunch at "
          },
          {
            "op": "delete",
            "text": "noon"
          },
          {
            "op": "insert",
            "text": "one"
          },
          {
            "op": "equal",
            "text": ", @bob?"
          }
        ]
      }
    ]
    "#);
    let words = |offset: u32| {
        let words = (0..9000).map(|place: u32| place.wrapping_mul(2_654_435_761).wrapping_add(offset) % 99_991);
        words.map(|word| word.to_string()).collect::<Vec<_>>().join(" ")
    };
    shell.done_with(&["message", "edit", "team#2", &words(1), "--as", "bob"]);
    shell.done_with(&["message", "edit", "team#2", &words(50_000), "--as", "bob"]);
    let began = Instant::now();
    shell.done("message history team#2 --diff");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn hostile_text_leaves_every_output_in_place() {
    let shell = Shell::new();
    let marks = "a".to_owned() + &"\u{301}".repeat(30_000);
    let name = "n".to_owned() + &"\u{489}".repeat(100);
    shell.done_with(&["user", "create", &name, "--no-password"]);
    shell.done_with(&["user", "create", "bob", "--no-password"]);
    let title = "\t\r\u{202e}\u{200b}".to_owned() + &"\u{301}".repeat(100);
    shell.done_with(&["conversation", "create", "bob", "--name", "team", "--title", &title, "--as", &name]);
    let kept = "👩\u{200d}🚀 क\u{94d}\u{200d}ष";
    shell.done_with(&["message", "send", "team", &format!("{marks}\n{kept}"), "--as", &name]);
    shell.done_with(&["message", "edit", "team#1", &format!("{marks} {kept}"), "--reason", &title, "--as", &name]);
    let mut lines = vec!["message history team#1 --diff".to_owned()];
    for line in
        ["user list", "conversation list", "message list", "message history team#1", "notifications list --as bob"]
    {
        lines.extend([line.to_owned(), format!("{line} --color always")]);
    }
    lines.extend(["message list --fields content", "user list --fields username"].map(ToOwned::to_owned));
    for line in lines {
        let run = shell.done(&line).to_string();
        assert!(run.len() < 4000, "{line} is {} bytes long", run.len());
        assert!(!run.contains(&"\u{301}".repeat(9)) && !run.contains(&"\u{489}".repeat(9)), "{line}: {run}");
        assert!(!run.contains(['\t', '\r', '\u{202e}', '\u{200b}']), "{line}: {run}");
    }
    assert!(shell.run("message list").stdout.contains(kept));
    let json: Value = serde_json::from_str(&shell.run("message show team#1 -o json").stdout).unwrap();
    assert_eq!(json["content"], format!("{marks} {kept}"));
}

#[test]
fn json_on_a_terminal_says_the_same_and_moves_no_cursor() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    shell.done("user create bob --no-password");
    shell.done_with(&["--as", "ann", "message", "send", "--to", "bob", "a\u{9b}2J\u{7f}\u{202e}b"]);
    for line in ["message list -o json", "message list -o jsonl", "user export ann", "data dump"] {
        let seen = shell.run_on_terminal(line, "");
        assert!(seen.contains(r"a\u009b2J\u007f\u202eb"), "{line}: {seen}");
        assert!(!seen.contains(['\u{9b}', '\u{7f}', '\u{202e}']), "{line}: {seen}");
        assert!(shell.done(line).stdout.contains("a\u{9b}2J\u{7f}\u{202e}b"), "{line}: in a pipe as it is");
    }
}
