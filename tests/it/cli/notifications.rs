//! `tidings notifications`

use insta::assert_snapshot;

use super::shell;

#[test]
fn notifications_are_listed_counted_read_and_made_unread() {
    let shell = shell();
    assert_snapshot!(shell.run("notifications list --as bob"), @"
    unread · mentions you · team#1 ann · 2026-01-01 09:00:00Z · 1 reply
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
     count  1
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
    tidings: Name the user: --as USER, or --user USER as the operator.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("notifications list --unread -o json --as bob"), @"[]");
}
