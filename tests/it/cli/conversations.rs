//! `tidings conversation`

use insta::assert_snapshot;

use super::shell;
use crate::terminal::Terminal;

#[test]
fn conversations_are_created_listed_changed_and_deleted() {
    let shell = shell();
    shell.done("user create eve --no-password");
    assert_snapshot!(shell.run("conversation list"), @"
    name  title      kind   participants  messages  unread  level  last message          id
    team  Everybody  group  ann, bob      2                        2026-01-01 09:00:00Z  019b78c9-0a80-7e20-8d92-8f4200e39ec3
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
     name          @bob
     kind          direct
     participants  ann, bob
     messages      0
     unread        0
     level         all
     id            019b78c9-0a80-70ac-91f3-2b58a58ec97a
    --- stderr
    Created the conversation ann, bob.
    ");
    assert_snapshot!(shell.run("conversation create ann -o ids --as bob"), @"
    019b78c9-0a80-70ac-91f3-2b58a58ec97a
    --- stderr
    Found the existing conversation ann, bob.
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
    tidings: This command acts as a user; name one with --as USER.
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
fn each_conversation_in_a_list_is_named_at_any_width() {
    let shell = shell();
    shell.done("user create eve --no-password");
    shell.done("conversation create bob --as ann");
    shell.done("conversation create bob eve --title Untitled --as ann");
    shell.done("conversation create bob eve --as ann");
    let names = |line: &str| {
        let rows = shell.done(line).stdout;
        rows.lines().map(|row| row.trim_start().split("  ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("conversation list --no-header --as ann"), ["ann, bob, eve", "Untitled", "@bob", "team"]);
    assert_eq!(names("conversation list --no-header --as bob"), ["ann, bob, eve", "Untitled", "@ann", "team"]);
    assert_eq!(names("conversation list --no-header"), ["ann, bob, eve", "Untitled", "ann, bob", "team"]);
    let line = format!("stty cols 20; {} --db test.db conversation list --as ann", env!("CARGO_BIN_EXE_tidings"));
    let (seen, _) = Terminal::open(&shell.path(""), &line).end();
    assert!(seen.contains("@bob") && !seen.contains("participants  "), "{seen}");
}
