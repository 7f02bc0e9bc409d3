//! The command line: its wiring, its words and its codes. The rules themselves are tested at the service.

use insta::assert_snapshot;

use crate::support::Shell;

/// Two users, a group, a message with a reply
fn shell() -> Shell {
    let shell = Shell::new();
    shell.done("user create ann --email ann@example.org --first-name Ann --no-password");
    shell.done("user create bob --no-password");
    shell.done("conversation create bob --name team --title Everybody --as ann");
    shell.done("message send team 'Lunch at noon, @bob?' --as ann");
    shell.done("message send team 'Yes' --reply-to team#1 --as bob");
    shell
}

#[test]
fn users_are_created_listed_shown_changed_and_deleted() {
    let shell = Shell::new();
    assert_snapshot!(shell.run("user create ann --email ann@example.org --role admin --no-password"), @"
     username  ann
     name
     email     ann@example.org
     role      admin
     active    yes
     created   2026-01-01 09:00:00Z
     id        019b78c9-0a80-7398-89bc-6d63798b4571
    --- stderr
    Created the user ann.
    ");
    assert_snapshot!(shell.run("user create bob -q --no-password"), @"019b78c9-0a80-73dd-ac58-f4b546018d9a");
    assert_snapshot!(shell.run("user create Bob --no-password"), @"
    --- stderr
    tidings: The username “Bob” is taken.
    --- exit code 5
    ");
    assert_snapshot!(shell.run("user create bob --if-not-exists -o ids --no-password"), @"
    019b78c9-0a80-73dd-ac58-f4b546018d9a
    --- stderr
    The user bob is there already.
    ");
    assert_snapshot!(shell.run("user list"), @"
    username  name  email            role   active  created               id
    ann             ann@example.org  admin  yes     2026-01-01 09:00:00Z  019b78c9-0a80-7398-89bc-6d63798b4571
    bob                              user   yes     2026-01-01 09:00:00Z  019b78c9-0a80-73dd-ac58-f4b546018d9a
    ");
    assert_snapshot!(shell.run("user list -o json --as bob --search ann"), @r#"
    [
      {
        "user_id": "019b78c9-0a80-7398-89bc-6d63798b4571",
        "username": "ann",
        "first_name": "",
        "last_name": ""
      }
    ]
    "#);
    assert_snapshot!(shell.run("user show ann@example.org -o jsonl"), @r#"{"user_id":"019b78c9-0a80-7398-89bc-6d63798b4571","username":"ann","first_name":"","last_name":"","email":"ann@example.org","role":"admin","is_active":true,"created_at":"2026-01-01T09:00:00.000000Z"}"#);
    assert_snapshot!(shell.run("user update bob --first-name Bob --last-name B. -o jsonl"), @r#"
    {"user_id":"019b78c9-0a80-73dd-ac58-f4b546018d9a","username":"bob","first_name":"Bob","last_name":"B.","email":null,"role":"user","is_active":true,"created_at":"2026-01-01T09:00:00.000000Z"}
    --- stderr
    Updated the user bob.
    "#);
    assert_snapshot!(shell.run("user deactivate bob -o ids"), @"
    019b78c9-0a80-73dd-ac58-f4b546018d9a
    --- stderr
    The user bob is deactivated.
    ");
    assert_snapshot!(shell.run("user show bob --as bob"), @"
    --- stderr
    tidings: The account of bob is deactivated; it cannot act.
    --- exit code 4
    ");
    assert_snapshot!(shell.run("user activate bob -o ids"), @"
    019b78c9-0a80-73dd-ac58-f4b546018d9a
    --- stderr
    The user bob is active.
    ");
    assert_snapshot!(shell.run("user delete bob"), @"
    --- stderr
    tidings: There is no terminal to ask on; say --yes to do it, or --dry-run to look.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user delete bob --dry-run -o ids"), @"
    019b78c9-0a80-73dd-ac58-f4b546018d9a
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Deleted the user bob and 0 messages.
    ");
    assert_snapshot!(shell.run("user delete bob --yes"), @"
     username                       bob
     id                             019b78c9-0a80-73dd-ac58-f4b546018d9a
     deleted                        2026-01-01 09:00:00Z
     messages sent                  0
     messages received              0
     messages of groups that ended  0
     of these kept as tombstones    0
     revisions                      0
     notifications                  0
     participations                 0
     direct conversations           0
     groups that ended              0
     tokens                         0
    --- stderr
    Deleted the user bob and 0 messages.
    ");
    assert_snapshot!(shell.run("user show bob"), @"
    --- stderr
    tidings: There is no user “bob”.
    --- exit code 3
    ");
}

#[test]
fn a_password_comes_from_standard_input_or_a_file_and_never_shows() {
    let shell = Shell::new();
    assert_snapshot!(shell.run_with("user create ann --password-stdin -o ids", "correct horse 7\n"), @"
    019b78c9-0a80-7398-89bc-6d63798b4571
    --- stderr
    Created the user ann.
    ");
    assert_snapshot!(shell.run_with("user passwd ann --password-stdin", "short"), @"
    --- stderr
    tidings: The password is too short; it needs at least 8 characters.
    --- exit code 6
    ");
    assert_snapshot!(shell.run_with("user create eve --password-stdin -o json", "Password1"), @r#"
    --- stderr
    {"type":"about:blank","title":"Bad Request","status":400,"code":"invalid","detail":"The password is too common.","errors":{"password":["The password is too common."]}}
    --- exit code 6
    "#);
    assert_snapshot!(shell.run("user create dan -o ids"), @"
    019b78c9-0a80-73dd-ac58-f4b546018d9a
    --- stderr
    No password was given, so the user cannot log in until `tidings user passwd` sets one.
    Created the user dan.
    ");
    assert_snapshot!(shell.run("user passwd dan"), @"
    --- stderr
    tidings: There is no terminal to ask on; say one of --password-stdin, --password-file, --password-hash or --no-password.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user passwd dan --password-hash secret"), @"
    --- stderr
    tidings: That is not an argon2 hash in PHC form ($argon2id$v=19$…) of usual cost.
    --- exit code 6
    ");
}

#[test]
fn conversations_are_created_listed_changed_and_deleted() {
    let shell = shell();
    shell.done("user create eve --no-password");
    assert_snapshot!(shell.run("conversation list"), @"
    name  title      kind   participants  messages  unread  last message          id
    team  Everybody  group  ann, bob      2                 2026-01-01 09:00:00Z  019b78c9-0a80-7e20-8d92-8f4200e39ec3
    ");
    assert_snapshot!(shell.run("conversation show team -o json --as bob"), @r#"
    {
      "conversation_id": "019b78c9-0a80-7e20-8d92-8f4200e39ec3",
      "kind": "group",
      "name": "team",
      "title": "Everybody",
      "creator": {
        "user_id": "019b78c9-0a80-7398-89bc-6d63798b4571",
        "username": "ann",
        "first_name": "Ann",
        "last_name": ""
      },
      "participants": [
        {
          "user_id": "019b78c9-0a80-7398-89bc-6d63798b4571",
          "username": "ann",
          "first_name": "Ann",
          "last_name": ""
        },
        {
          "user_id": "019b78c9-0a80-73dd-ac58-f4b546018d9a",
          "username": "bob",
          "first_name": "",
          "last_name": ""
        }
      ],
      "participant_count": 2,
      "created_at": "2026-01-01T09:00:00.000000Z",
      "last_message": {
        "message_id": "019b78c9-0a80-7930-ac9a-1d487d21c9db",
        "conversation": "019b78c9-0a80-7e20-8d92-8f4200e39ec3",
        "number": 2,
        "sender": {
          "user_id": "019b78c9-0a80-73dd-ac58-f4b546018d9a",
          "username": "bob",
          "first_name": "",
          "last_name": ""
        },
        "receiver": null,
        "content": "Yes",
        "timestamp": "2026-01-01T09:00:00.000000Z",
        "edited": false,
        "revision": 1,
        "parent_message": "019b78c9-0a80-7884-9eac-98eebf188fe5",
        "is_thread": false,
        "reply_count": 0,
        "read": false,
        "deleted": false
      },
      "message_count": 2,
      "unread_count": 1,
      "level": "all"
    }
    "#);
    assert_snapshot!(shell.run("conversation create bob --as ann"), @"
     name
     title
     kind          direct
     participants  ann, bob
     messages      0
     unread        0
     last message
     id            019b78c9-0a80-70ac-91f3-2b58a58ec97a
    --- stderr
    Created the conversation ann, bob.
    ");
    assert_snapshot!(shell.run("conversation create ann -o ids --as bob"), @"
    019b78c9-0a80-70ac-91f3-2b58a58ec97a
    --- stderr
    There already is the conversation ann, bob.
    ");
    assert_snapshot!(shell.run("conversation create bob --name TEAM --as ann"), @"
    --- stderr
    tidings: The name “TEAM” is taken.
    --- exit code 5
    ");
    assert_snapshot!(shell.run("conversation update team --title Crew --as bob"), @"
    --- stderr
    tidings: Only the creator of the conversation and admins rename it.
    --- exit code 4
    ");
    assert_snapshot!(shell.run("conversation update team --title Crew -o ids"), @"
    019b78c9-0a80-7e20-8d92-8f4200e39ec3
    --- stderr
    Updated the conversation team.
    ");
    assert_snapshot!(shell.run("conversation add team eve -o ids --as bob"), @"
    019b78c9-0a80-7e20-8d92-8f4200e39ec3
    --- stderr
    The conversation team has 3 participants.
    ");
    assert_snapshot!(shell.run("conversation level team mentions -o ids --as eve"), @"
    019b78c9-0a80-7e20-8d92-8f4200e39ec3
    --- stderr
    The level of the conversation team is mentions.
    ");
    assert_snapshot!(shell.run("conversation level team mentions"), @"
    --- stderr
    tidings: This command acts as a user; say which with --as USER.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("conversation remove team bob --as eve"), @"
    --- stderr
    tidings: Only the creator of the conversation and admins remove others from it.
    --- exit code 4
    ");
    assert_snapshot!(shell.run("conversation remove team eve --as eve"), @"
     removed  eve
     ended    no
    --- stderr
    Removed eve from the conversation team.
    ");
    assert_snapshot!(shell.run("conversation show team --as eve"), @"
    --- stderr
    tidings: There is no conversation “team”.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("conversation delete team -y -o ids"), @"
    019b78c9-0a80-7e20-8d92-8f4200e39ec3
    --- stderr
    Deleted the conversation team and 2 messages.
    ");
}

#[test]
fn messages_are_sent_listed_changed_and_deleted() {
    let shell = shell();
    assert_snapshot!(shell.run("message list team"), @"
    team#1 ann · 2026-01-01 09:00:00Z · 1 reply · 019b78c9-0a80-7884-9eac-98eebf188fe5
        Lunch at noon, @bob?
    team#2 bob · 2026-01-01 09:00:00Z · reply · 019b78c9-0a80-7930-ac9a-1d487d21c9db
        Yes
    ");
    assert_snapshot!(shell.run("message list -o jsonl --from bob --as ann"), @r#"{"message_id":"019b78c9-0a80-7930-ac9a-1d487d21c9db","conversation":"019b78c9-0a80-7e20-8d92-8f4200e39ec3","number":2,"sender":{"user_id":"019b78c9-0a80-73dd-ac58-f4b546018d9a","username":"bob","first_name":"","last_name":""},"receiver":null,"content":"Yes","timestamp":"2026-01-01T09:00:00.000000Z","edited":false,"revision":1,"parent_message":"019b78c9-0a80-7884-9eac-98eebf188fe5","is_thread":false,"reply_count":0,"read":false,"deleted":false}"#);
    assert_snapshot!(shell.run("message show team#1 -o json --as bob"), @r#"
    {
      "message_id": "019b78c9-0a80-7884-9eac-98eebf188fe5",
      "conversation": "019b78c9-0a80-7e20-8d92-8f4200e39ec3",
      "number": 1,
      "sender": {
        "user_id": "019b78c9-0a80-7398-89bc-6d63798b4571",
        "username": "ann",
        "first_name": "Ann",
        "last_name": ""
      },
      "receiver": null,
      "content": "Lunch at noon, @bob?",
      "timestamp": "2026-01-01T09:00:00.000000Z",
      "edited": false,
      "revision": 1,
      "parent_message": null,
      "is_thread": true,
      "reply_count": 1,
      "read": false,
      "deleted": false
    }
    "#);
    assert_snapshot!(shell.run("message send --to bob 'Just you' -q --as ann"), @"019b78c9-0a80-7d1d-a7e2-8898b842928e");
    assert_snapshot!(shell.run("message send team hello"), @"
    --- stderr
    tidings: This command acts as a user; say which with --as USER.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("message edit team#1 'Lunch at one, @bob?' --reason ferry --if-revision 1 --as ann"), @"
    team#1 ann · 2026-01-01 09:00:00Z · 1 reply · revision 2 · 019b78c9-0a80-7884-9eac-98eebf188fe5
        Lunch at one, @bob?
    --- stderr
    The message is at revision 2.
    ");
    assert_snapshot!(shell.run("message edit team#1 'Lunch at two' --if-revision 1 --as ann"), @"
    --- stderr
    tidings: The message is at revision 2, not 1.
    hint: Somebody changed it; look at it again.
    --- exit code 5
    ");
    assert_snapshot!(shell.run("message edit team#1 'Mine' --as bob -o json"), @r#"
    --- stderr
    {"type":"about:blank","title":"Forbidden","status":403,"code":"forbidden","detail":"Only its sender edits a message."}
    --- exit code 4
    "#);
    assert_snapshot!(shell.run("message history team#1"), @"
    revision 1 · replaced 2026-01-01 09:00:00Z by ann · ferry
        Lunch at noon, @bob?
    ");
    assert_snapshot!(shell.run("message history team#1 -o json"), @r#"
    [
      {
        "message": "019b78c9-0a80-7884-9eac-98eebf188fe5",
        "revision": 1,
        "content": "Lunch at noon, @bob?",
        "edited_at": "2026-01-01T09:00:00.000000Z",
        "edited_by": {
          "user_id": "019b78c9-0a80-7398-89bc-6d63798b4571",
          "username": "ann",
          "first_name": "Ann",
          "last_name": ""
        },
        "edited_by_operator": false,
        "reason": "ferry"
      }
    ]
    "#);
    assert_snapshot!(shell.run("message restore team#1 1 -o ids --as ann"), @"
    019b78c9-0a80-7884-9eac-98eebf188fe5
    --- stderr
    The message is at revision 3.
    ");
    assert_snapshot!(shell.run("message read team --as bob"), @"
     changed  1
    --- stderr
    Made 1 notification read.
    ");
    assert_snapshot!(shell.run("message delete team#1 --yes --as ann"), @"
     deleted  1
    --- stderr
    Deleted 1 message.
    ");
    assert_snapshot!(shell.run("message list team"), @"
    team#1 deleted · 2026-01-01 09:00:00Z · 1 reply · 019b78c9-0a80-7884-9eac-98eebf188fe5
    team#2 bob · 2026-01-01 09:00:00Z · reply · 019b78c9-0a80-7930-ac9a-1d487d21c9db
        Yes
    ");
    assert_snapshot!(shell.run("message list nowhere"), @"
    --- stderr
    tidings: There is no conversation “nowhere”.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("message show team"), @"
    --- stderr
    error: invalid value 'team' for '<MSG>': name a message by its id or as CONVERSATION#NUMBER

    For more information, try '--help'.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("message list --unread --as bob -o json"), @r#"
    [
      {
        "message_id": "019b78c9-0a80-7d1d-a7e2-8898b842928e",
        "conversation": "019b78c9-0a80-7714-a085-d4a82342e6fd",
        "number": 1,
        "sender": {
          "user_id": "019b78c9-0a80-7398-89bc-6d63798b4571",
          "username": "ann",
          "first_name": "Ann",
          "last_name": ""
        },
        "receiver": {
          "user_id": "019b78c9-0a80-73dd-ac58-f4b546018d9a",
          "username": "bob",
          "first_name": "",
          "last_name": ""
        },
        "content": "Just you",
        "timestamp": "2026-01-01T09:00:00.000000Z",
        "edited": false,
        "revision": 1,
        "parent_message": null,
        "is_thread": false,
        "reply_count": 0,
        "read": false,
        "deleted": false
      }
    ]
    "#);
}

#[test]
fn a_text_comes_from_the_line_standard_input_or_a_file() {
    let shell = shell();
    let content = |line: &str, input: &str| -> String {
        let id = shell.run_with(&format!("message send team -o ids --as ann {line}"), input).stdout;
        let message = shell.run(&format!("message show {} -o json", id.trim())).stdout;
        serde_json::from_str::<serde_json::Value>(&message).unwrap()["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(content("-", "from a pipe\r\n"), "from a pipe");
    assert_eq!(content("- --raw", "kept\n"), "kept\n");
    assert_eq!(content("-- -dash", ""), "-dash");
    std::fs::write(shell.path("letter"), "one\ntwo\n\n").unwrap();
    assert_eq!(content("--file letter", ""), "one\ntwo\n");
    assert_snapshot!(shell.run("message send team text --file letter --as ann"), @"
    --- stderr
    tidings: The text stands in the file or on the line, not both.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("message send team --file absent --as ann"), @"
    --- stderr
    tidings: absent cannot be read: No such file or directory (os error 2).
    --- exit code 2
    ");
    assert_snapshot!(shell.run_with("message send team - --as ann", &b"caf\xe9"[..]), @"
    --- stderr
    tidings: The content is not UTF-8: byte 4 belongs to no character.
    --- exit code 6
    ");
}

#[test]
fn notifications_are_listed_counted_read_and_made_unread() {
    let shell = shell();
    assert_snapshot!(shell.run("notifications list --as bob"), @"
    unread · mentions you · team#1 ann · 2026-01-01 09:00:00Z · 1 reply · 019b78c9-0a80-7884-9eac-98eebf188fe5
        Lunch at noon, @bob?
    ");
    assert_snapshot!(shell.run("notifications list --user ann -o json"), @r#"
    [
      {
        "id": "019b78c9-0a80-7930-ac9a-1d487d21c9db",
        "user": "019b78c9-0a80-7398-89bc-6d63798b4571",
        "message": {
          "message_id": "019b78c9-0a80-7930-ac9a-1d487d21c9db",
          "conversation": "019b78c9-0a80-7e20-8d92-8f4200e39ec3",
          "number": 2,
          "sender": {
            "user_id": "019b78c9-0a80-73dd-ac58-f4b546018d9a",
            "username": "bob",
            "first_name": "",
            "last_name": ""
          },
          "receiver": null,
          "content": "Yes",
          "timestamp": "2026-01-01T09:00:00.000000Z",
          "edited": false,
          "revision": 1,
          "parent_message": "019b78c9-0a80-7884-9eac-98eebf188fe5",
          "is_thread": false,
          "reply_count": 0,
          "read": false,
          "deleted": false
        },
        "kind": "reply",
        "is_read": false,
        "created_at": "2026-01-01T09:00:00.000000Z"
      }
    ]
    "#);
    assert_snapshot!(shell.run("notifications count --as bob"), @"
    unread  1
    all     1
    ");
    assert_snapshot!(shell.run("notifications read team#1 --as bob"), @"
     changed  1
    --- stderr
    Made 1 notification read.
    ");
    assert_snapshot!(shell.run("notifications unread team#1 -o json --as bob"), @r#"
    {
      "count": 1
    }
    --- stderr
    Made 1 notification unread.
    "#);
    assert_snapshot!(shell.run("notifications read --all -q -o jsonl --as bob"), @r#"{"count":1}"#);
    assert_snapshot!(shell.run("notifications read team#2 --as bob"), @"
    --- stderr
    tidings: bob has no notification of the message “team#2”.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("notifications list"), @"
    --- stderr
    tidings: Say whose notifications: --as USER, or --user USER as the operator.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("notifications list --unread -o json --as bob"), @"[]");
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let shell = shell();
    let before = shell.dump();
    for line in [
        "user delete ann",
        "message delete team#1",
        "conversation delete team",
        "conversation remove team ann bob",
        "notifications read --all --as bob",
        "user create eve --no-password",
    ] {
        let run = shell.run(&format!("{line} --dry-run"));
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stderr.contains("Dry run"), "{run}");
    }
    assert_eq!(shell.run("message send team hi --as ann --dry-run").code, 0);
    assert_eq!(shell.dump(), before);
    for line in ["db migrate", "user list", "demo"] {
        let run = shell.run(&format!("{line} --dry-run --db absent.db"));
        assert_ne!(run.code, 0, "{line}: {run}");
        assert!(!shell.path("absent.db").exists(), "{line} made a database in a dry run");
    }
}

#[test]
fn a_secret_in_a_setting_that_cannot_be_used_is_not_shown() {
    let shell = shell();
    std::fs::write(shell.path(".env"), "TIDINGS_OUTPUT=json\nDB_PASSWORD=s3cr3t pass word\n").unwrap();
    let run = shell.run("user list --verbose");
    assert_eq!(run.code, 2, "{run}");
    assert!(run.stderr.contains("behind TIDINGS_OUTPUT") && !run.stderr.contains("s3cr3t"), "{run}");
    for url in ["postgres://ann:p@s3cr3t@localhost:1/db", "postgres://ann:s3cr3t@localhost:1/db"] {
        let run = shell.run(&format!("user list --verbose --env-file /dev/null --db {url}"));
        assert_eq!(run.code, 7, "{run}");
        assert!(!run.stderr.contains("p@s3cr3t") && !run.stderr.contains(":s3cr3t"), "{run}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_said_to_be_done() {
    let shell = shell();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["--db", "test.db", "message", "send", "team", "hi", "--as", "ann"])
        .current_dir(shell.path(""))
        .env_clear()
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("tidings: It was done, but"));
    assert_eq!(shell.done("message show team#3 -o ids").stdout.lines().count(), 1);
}

#[test]
fn a_destructive_command_without_yes_is_refused_off_a_terminal() {
    let shell = shell();
    let before = shell.dump();
    for line in
        ["user delete ann", "message delete team#1", "conversation delete team", "conversation remove team ann bob"]
    {
        let run = shell.run(line);
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.contains("--yes"), "{run}");
    }
    assert_eq!(shell.dump(), before);
}

#[test]
fn foreign_text_cannot_move_the_cursor() {
    let shell = shell();
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\r\u{7}\u{200b}\ttext";
    shell.done_with(&["user", "update", "ann", "--first-name", hostile]);
    shell.done_with(&["conversation", "update", "team", "--title", hostile]);
    shell.done_with(&["message", "send", "team", hostile, "--as", "ann"]);
    shell.done_with(&["message", "edit", "team#3", "clean", "--reason", hostile, "--as", "ann"]);
    for line in [
        "user list",
        "user show ann",
        "conversation list",
        "conversation show team",
        "message list team",
        "message history team#3",
        "notifications list --as bob",
    ] {
        let run = shell.run(line);
        let output = format!("{}{}", run.stdout, run.stderr);
        let harmless = |character: char| {
            character == '\n' || !character.is_control() && character != '\u{202e}' && character != '\u{200b}'
        };
        assert!(output.chars().all(harmless), "{line}: {output:?}");
    }
    for command in ["list", "show", hostile] {
        let refused = shell.run_words(&["message", command, hostile], "");
        assert!(!refused.stderr.contains('\u{1b}') && !refused.stderr.contains('\u{202e}'), "{refused}");
    }
    let json = shell.run("conversation show team -o json").stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["title"], hostile);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let shell = shell();
    let long = format!("message send team '{}' --as ann", "a text that fills the pipe ".repeat(400));
    for _ in 0..30 {
        shell.done(&long);
    }
    let tidings = env!("CARGO_BIN_EXE_tidings");
    let script =
        format!("'{tidings}' --db test.db message list team --limit 500 | head -n 1; echo \"${{PIPESTATUS[0]}}\"");
    let output = std::process::Command::new("bash").args(["-c", &script]).current_dir(shell.path("")).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("\n0\n"));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_env_file() {
    let shell = shell();
    std::fs::write(shell.path(".env"), "TIDINGS_AS=bob\nTIDINGS_OUTPUT=ids\nDB_NAME=other.db\n").unwrap();
    let bob = shell.run("user show bob").stdout;
    assert_eq!(bob.lines().count(), 1, "the env file asks for ids");
    assert_eq!(shell.run("message send team hi").code, 0, "the env file says who acts");
    assert_eq!(shell.run_env("user show bob", &[("TIDINGS_OUTPUT", "jsonl")]).stdout.chars().next(), Some('{'));
    assert_eq!(shell.run_env("user show bob -o ids", &[("TIDINGS_OUTPUT", "jsonl")]).stdout, bob);
    assert_eq!(shell.run_env("user show bob", &[("TIDINGS_OUTPUT", "")]).stdout, bob, "empty counts as unset");
    assert_eq!(shell.run("message send team hi --operator").code, 2);
    assert_snapshot!(shell.run_env("user list", &[("TIDINGS_OUTPUT", "xml")]), @"
    --- stderr
    tidings: TIDINGS_OUTPUT=xml cannot be used: it is one of table, json, jsonl, ids.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user list --env-file absent"), @"
    --- stderr
    tidings: The env file absent cannot be used: No such file or directory (os error 2).
    --- exit code 2
    ");
}

#[test]
fn the_database_is_the_one_the_settings_name() {
    let shell = Shell::new();
    let location = |environment: &[(&str, &str)]| {
        let run = shell.run_without_db("db status -q -o json", environment);
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()["location"].as_str().unwrap().to_owned()
    };
    assert!(location(&[]).ends_with("/tidings/tidings.db"));
    assert_eq!(location(&[("DB_NAME", "django.db")]), "django.db");
    assert_eq!(location(&[("DB_NAME", "django.db"), ("TIDINGS_DB", "mine.db")]), "mine.db");
    let refused = shell.run_without_db("db status", &[("DB_HOST", "/nowhere"), ("DB_PASSWORD", "it's secret")]);
    assert_eq!(refused.code, 7);
    assert!(!refused.stderr.contains("secret"), "{refused}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let shell = shell();
    for line in [
        "",
        "nonsense",
        "user",
        "user create",
        "message list team --limit x",
        "--now yesterday user list",
        "message send --as ann",
        "user create x --password secret",
    ] {
        let run = shell.run(line);
        assert_eq!(run.code, 2, "{line}: {run}");
        assert_eq!(run.stdout, "", "{line}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let shell = Shell::new();
    for line in [
        "user create",
        "user list",
        "user show",
        "user update",
        "user passwd",
        "user deactivate",
        "user activate",
        "user delete",
        "conversation create",
        "conversation list",
        "conversation show",
        "conversation update",
        "conversation add",
        "conversation remove",
        "conversation level",
        "conversation delete",
        "message send",
        "message list",
        "message show",
        "message edit",
        "message history",
        "message restore",
        "message delete",
        "message read",
        "notifications list",
        "notifications count",
        "notifications read",
        "notifications unread",
        "db migrate",
        "db status",
        "demo",
    ] {
        let help = shell.run(&format!("{line} --help"));
        assert_eq!(help.code, 0, "{line}");
        assert!(help.stdout.contains("Example"), "{line}: {}", help.stdout);
    }
}

#[test]
fn with_clock_and_seed_frozen_the_same_commands_give_the_same_bytes() {
    let tour = || {
        let shell = shell();
        shell.done("message edit team#1 'Lunch at one' --as ann");
        shell.done("message read team --as bob");
        (shell.run("message list -o json").stdout, shell.dump())
    };
    assert_eq!(tour(), tour());
}
