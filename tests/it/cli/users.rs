//! `tidings user`

use insta::assert_snapshot;

use super::shell;
use crate::support::{Run, Shell};

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
    The user bob exists already and was not changed.
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
    tidings: There is no terminal to ask for confirmation; use --yes to confirm, or --dry-run for a preview.
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
    tidings: There is no terminal to ask for a password; use one of --password-stdin, --password-file, --password-hash or --no-password.
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
    let shell = shell();
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
      "tokens": 0,
      "sessions": 0
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
    let shell = shell();
    for (command, name) in [
        ("message delete team#1 team#2", "2 messages"),
        ("message delete team#1", "team#1"),
        ("conversation delete team", "team"),
        ("user delete ann bob", "2 users"),
        ("user delete ann", "ann"),
    ] {
        let said = shell.run_on_terminal(command, "y");
        assert!(said.contains(&format!("Type “{name}” to confirm:")), "{command}: {said}");
        assert!(said.contains("Not confirmed; nothing was changed."), "{command}: {said}");
    }
    let said = shell.run_on_terminal("user delete ann", "ann");
    assert!(said.contains("Deleted the user ann"), "{said}");
}

#[test]
fn all_there_is_about_a_user_is_one_json_document() {
    let shell = shell();
    shell.done("message send --to bob 'Just you' --as ann");
    shell.done("message edit team#1 'Lunch at one, @bob?' --reason ferry --as ann");
    shell.done_with(&["user", "passwd", "bob", "--password-hash", HASH]);
    assert_snapshot!(shell.run("user export bob --as bob"), @r#"
    {
      "user": {
        "user_id": "019b78c9-0a80-73dd-ac58-f4b546018d9a",
        "username": "bob",
        "first_name": "",
        "last_name": "",
        "email": null,
        "role": "user",
        "is_active": true,
        "created_at": "2026-01-01T09:00:00.000000Z",
        "has_password": true,
        "token_count": 0,
        "sessions": []
      },
      "conversations": [
        {
          "conversation_id": "019b78c9-0a80-7714-a085-d4a82342e6fd",
          "kind": "direct",
          "name": null,
          "title": null,
          "created_at": "2026-01-01T09:00:00.000000Z",
          "is_creator": false,
          "level": "all",
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
          ]
        },
        {
          "conversation_id": "019b78c9-0a80-7e20-8d92-8f4200e39ec3",
          "kind": "group",
          "name": "team",
          "title": "Everybody",
          "created_at": "2026-01-01T09:00:00.000000Z",
          "is_creator": false,
          "level": "all",
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
          ]
        }
      ],
      "messages_sent": [
        {
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
          "deleted": false,
          "revisions": []
        }
      ],
      "messages_received": [
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
      ],
      "revisions": [],
      "notifications": [
        {
          "id": "019b78c9-0a80-7d1d-a7e2-8898b842928e",
          "user": "019b78c9-0a80-73dd-ac58-f4b546018d9a",
          "message": {
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
          },
          "kind": "message",
          "is_read": false,
          "created_at": "2026-01-01T09:00:00.000000Z"
        },
        {
          "id": "019b78c9-0a80-7884-9eac-98eebf188fe5",
          "user": "019b78c9-0a80-73dd-ac58-f4b546018d9a",
          "message": {
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
            "content": "Lunch at one, @bob?",
            "timestamp": "2026-01-01T09:00:00.000000Z",
            "edited": true,
            "revision": 2,
            "parent_message": null,
            "is_thread": true,
            "reply_count": 1,
            "read": false,
            "deleted": false
          },
          "kind": "mention",
          "is_read": false,
          "created_at": "2026-01-01T09:00:00.000000Z"
        }
      ]
    }
    "#);
    let as_json = shell.done("user export ann -o json").stdout;
    let document: serde_json::Value = serde_json::from_str(&as_json).unwrap();
    assert_eq!(document["messages_sent"][1]["revisions"][0]["content"], "Lunch at noon, @bob?");
    assert_eq!(shell.run_env("user export ann", &[("TIDINGS_OUTPUT", "csv")]).stdout, as_json, "a habit, not a wish");
    assert_snapshot!(shell.run("user export bob -o csv"), @"
    --- stderr
    tidings: The only output format of this command is json.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user export bob --fields user"), @"
    --- stderr
    tidings: This command shows no field “user”. The fields: it shows none.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user export ann --as bob"), @"
    --- stderr
    tidings: Only ann and admins may do that.
    --- exit code 4
    ");
    assert_snapshot!(shell.run("user export nobody"), @"
    --- stderr
    tidings: There is no user “nobody”.
    --- exit code 3
    ");
}

/// Django's of `correct horse 7`
const HASH: &str = "pbkdf2_sha256$1000$seasalt2$srplYuZudg4ih2PCbBB4Th2AVezFjaqZgStZ2FllhOg=";

#[test]
fn a_link_that_sets_a_password_is_made_by_the_operator_and_admins() {
    let shell = shell();
    // What is in a link differs each time.
    let named = |run: Run| {
        let text = run.to_string();
        let Some((before, rest)) = text.split_once("/password/") else { return text };
        format!("{before}/password/LINK{}", &rest[43..])
    };
    assert_snapshot!(named(shell.run("user password-link bob")), @"
     username     bob
     link         http://127.0.0.1:8000/password/LINK/
     valid until  2026-01-02 09:00:00Z
     id           019b78c9-0a80-73dd-ac58-f4b546018d9a
    --- stderr
    Whoever opens the link sets the password of bob: once, within 24 hours.
    ");
    let quiet = shell.done("user password-link bob -q --base-url HTTPS://Chat.example.org/").stdout;
    assert!(quiet.starts_with("https://chat.example.org/password/") && quiet.ends_with("/\n"), "{quiet}");
    let again = shell.done("user password-link bob -o json").stdout;
    assert!(again.contains("\"expires_at\": \"2026-01-02T09:00:00.000000Z\""), "{again}");
    for (arguments, code) in [("--as bob", 4), ("--dry-run", 6), ("--base-url chat.example.org", 2)] {
        let run = shell.run(&format!("user password-link bob {arguments}"));
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{run}");
    }
}
