//! `tidings user`

use insta::assert_snapshot;

use crate::support::Shell;

#[test]
fn users_are_created_listed_shown_changed_and_deleted() {
    let shell = Shell::new();
    assert_snapshot!(shell.run("user create ann --email ann@example.org --role admin --no-password"), @"
     username  ann
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
    The user bob is there already and stays as it is.
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
     users    bob
     ids      019b78c9-0a80-73dd-ac58-f4b546018d9a
     deleted  2026-01-01 09:00:00Z
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
    Created the user dan.
    No password was given, so the user cannot log in until `tidings user passwd` sets one.
    ");
    assert_snapshot!(shell.run("user passwd dan"), @"
    --- stderr
    tidings: There is no terminal to ask on; say one of --password-stdin, --password-file, --password-hash or --no-password.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user passwd dan --password-hash secret"), @"
    --- stderr
    tidings: That is neither an argon2 hash in PHC form ($argon2id$v=19$…) nor one of Django's (pbkdf2_sha256$…), of usual cost.
    --- exit code 6
    ");
}

#[test]
fn several_users_go_with_one_receipt() {
    let shell = super::shell();
    assert_snapshot!(shell.run("user delete ann bob --dry-run -o json"), @r#"
    {
      "deleted_at": "2026-01-01T09:00:00.000000Z",
      "users": [
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
      "messages_sent": 2,
      "messages_received": 0,
      "messages_of_groups": 0,
      "tombstones": 0,
      "revisions": 0,
      "notifications": 2,
      "participations": 2,
      "direct_conversations": 0,
      "groups": 1,
      "tokens": 0
    }
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Deleted the users ann, bob and 2 messages.
    "#);
    assert_snapshot!(shell.run("user delete ann nobody --yes"), @"
    --- stderr
    tidings: There is no user “nobody”.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("user delete ann bob --yes --quiet -o ids"), @"
    019b78c9-0a80-7398-89bc-6d63798b4571
    019b78c9-0a80-73dd-ac58-f4b546018d9a
    ");
    assert_eq!(shell.done("user list -o ids").stdout, "");
}

#[test]
fn what_cannot_be_undone_is_confirmed_by_typing_its_name() {
    let shell = super::shell();
    for (command, name) in [
        ("message delete team#1 team#2", "2 messages"),
        ("message delete team#1", "team#1"),
        ("conversation delete team", "team"),
        ("user delete ann bob", "2 users"),
        ("user delete ann", "ann"),
    ] {
        let Some(said) = shell.run_on_terminal(command, "y") else { return };
        assert!(said.contains(&format!("Type “{name}” to go on:")), "{command}: {said}");
        assert!(said.contains("Not confirmed; nothing was changed."), "{command}: {said}");
    }
    let said = shell.run_on_terminal("user delete ann", "ann").unwrap();
    assert!(said.contains("Deleted the user ann"), "{said}");
}
