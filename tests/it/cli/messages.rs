//! `tidings message`

use insta::assert_snapshot;

use super::shell;

#[test]
fn messages_are_sent_listed_changed_and_deleted() {
    let shell = shell();
    assert_snapshot!(shell.run("message list team"), @"
    team#1 ann · 2026-01-01 09:00:00Z · 1 reply
        Lunch at noon, @bob?
    team#2 bob · 2026-01-01 09:00:00Z · reply to #1
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
    tidings: This command acts as a user; name one with --as USER.
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
    hint: It was changed meanwhile; read it again.
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
     count  1
    --- stderr
    Made 1 notification read.
    ");
    assert_snapshot!(shell.run("message delete team#1 --yes --as ann"), @"
     count  1
    --- stderr
    Deleted 1 message.
    ");
    assert_snapshot!(shell.run("message list team"), @"
    team#1 deleted · 2026-01-01 09:00:00Z · 1 reply
    team#2 bob · 2026-01-01 09:00:00Z · reply to #1
        Yes
    ");
    assert_snapshot!(shell.run("message list nowhere"), @"
    --- stderr
    tidings: There is no conversation “nowhere”.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("message show team"), @"
    --- stderr
    tidings: invalid value 'team' for '<MSG>': name a message by its id or as CONVERSATION#NUMBER

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
    tidings: Give the text as an argument or with --file, not both.
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
fn a_direct_conversation_that_is_not_begun_says_how() {
    let shell = shell();
    let run = shell.run("message send @bob hi --as ann");
    assert_eq!(run.code, 3, "{run}");
    assert!(run.stderr.contains("hint: The first message to bob creates it: --to bob"), "{run}");
    shell.done("message send --to bob hi --as ann");
    shell.done("message send @bob hi --as ann");
}
