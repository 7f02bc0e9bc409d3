//! `tidings message search` and `tidings message thread`

use insta::assert_snapshot;

use super::shell;

#[test]
fn findings_are_shown_with_what_was_found() {
    let shell = shell();
    assert_snapshot!(shell.run("message search 'LUNCH noo*' --as bob"), @"
    team#1 ann · 2026-01-01 09:00:00Z · 1 reply
        **Lunch** at **noon**, @bob?
    ");
    assert_snapshot!(shell.run("message search yes --in team --from bob -o csv --fields conversation,number,snippet --as ann"), @"
    conversation,number,snippet
    019b78c9-0a80-7e20-8d92-8f4200e39ec3,2,**Yes**
    ");
    assert_snapshot!(shell.run("message search yes -o ids"), @"019b78c9-0a80-7930-ac9a-1d487d21c9db");
    assert_snapshot!(shell.run("message search dinner"), @"
    --- stderr
    No messages found.
    ");
    assert_snapshot!(shell.run("message search dinner -o json"), @"[]");
    assert_snapshot!(shell.run("message search '\"; DROP (' --ranked -o jsonl"), @"");
    assert_snapshot!(shell.run("message search yes --in nowhere --as ann"), @"
    --- stderr
    tidings: There is no conversation “nowhere”.
    --- exit code 3
    ");
}

#[test]
fn a_search_for_something_too_long_is_invalid() {
    let shell = shell();
    let run = shell.run(&format!("message search '{}' -o json", "a".repeat(201)));
    assert_snapshot!(run, @r#"
    --- stderr
    {"type":"about:blank","title":"Bad Request","status":400,"code":"invalid","detail":"The query has 201 characters; at most 200 are allowed.","errors":{"query":["The query has 201 characters; at most 200 are allowed."]}}
    --- exit code 6
    "#);
}

#[test]
fn a_snippet_of_foreign_text_cannot_move_the_cursor() {
    let shell = shell();
    shell.done_with(&["message", "send", "team", "one\x1b[2Jtwo\r\nthree\u{202e}four", "--as", "ann"]);
    assert_snapshot!(shell.run("message search three"), @r"
    team#3 ann · 2026-01-01 09:00:00Z
        one\u{1b}[2Jtwo  **three**\u{202e}four
    ");
}

#[test]
fn a_thread_stands_below_what_it_replies_to() {
    let shell = shell();
    shell.done("message send team 'Where' --reply-to team#2 --as ann");
    shell.done("message send team 'So do I' --reply-to team#1 --as ann");
    assert_snapshot!(shell.run("message thread team#1"), @"
    team#1 ann · 2026-01-01 09:00:00Z · 2 replies
        Lunch at noon, @bob?
      team#2 bob · 2026-01-01 09:00:00Z · reply to #1 · 1 reply
          Yes
        team#3 ann · 2026-01-01 09:00:00Z · reply to #2
            Where
      team#4 ann · 2026-01-01 09:00:00Z · reply to #1
          So do I
    ");
    assert_snapshot!(shell.run("message thread team#2 -o tsv --fields number,depth --no-header"), @"
    2	0
    3	1
    ");
    assert_snapshot!(shell.run("message thread team#9"), @"
    --- stderr
    tidings: There is no message “team#9”.
    --- exit code 3
    ");
}
