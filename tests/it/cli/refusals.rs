//! Bad input: each has its exit code, its sentence and its problem document, and changes nothing.

use serde_json::Value;

use super::guidance::leaves;
use super::shell;
use crate::support::{Run, Shell};

/// Fails unless the line was refused as the contract has it.
fn is_refused(shell: &Shell, line: &str, input: &[u8], (exit, status, code): (i32, i64, &str)) {
    let plain = shell.run_with(line, input);
    let document = shell.run_with(&format!("-o json {line}"), input);
    let named = |run: &Run| assert_eq!((run.code, run.stdout.as_str()), (exit, ""), "{line}: {run}");
    named(&plain);
    named(&document);
    let mut lines = plain.stderr.lines();
    let sentence = lines.next().unwrap_or_default();
    assert!(sentence.starts_with("tidings: ") && sentence.ends_with('.'), "{line}: {plain}");
    assert!(lines.all(|more| more.starts_with("hint: ")), "{line}: {plain}");
    let problem: Value = serde_json::from_str(&document.stderr).unwrap_or_else(|_| panic!("{line}: {document}"));
    assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()), "{line}: {document}");
    assert_eq!(format!("tidings: {}", problem["detail"].as_str().unwrap()), sentence, "{line}");
    assert_eq!(problem["errors"].is_object(), code == "invalid", "{line}: {document}");
    assert_eq!(document.stderr.lines().count(), 1, "{line}: {document}");
}

#[test]
fn bad_input_has_its_exit_code_and_sentence_and_changes_nothing() {
    const INVALID: (i32, i64, &str) = (6, 400, "invalid");
    const FORBIDDEN: (i32, i64, &str) = (4, 403, "forbidden");
    const NOT_FOUND: (i32, i64, &str) = (3, 404, "not_found");
    const CONFLICT: (i32, i64, &str) = (5, 409, "conflict");
    const STALE: (i32, i64, &str) = (5, 412, "stale");
    let shell = shell();
    shell.done("user create eve --no-password");
    shell.done("conversation create ann eve --name club");
    std::fs::write(shell.path("long"), "x".repeat(65_537)).unwrap();
    std::fs::write(shell.path("longest"), "x".repeat(65_536)).unwrap();
    std::fs::write(shell.path("nul"), "one\0two").unwrap();
    std::fs::write(shell.path("latin"), b"caf\xe9").unwrap();
    let before = shell.dump();
    let refused = |line: &str, kind| is_refused(&shell, line, b"", kind);
    for line in [
        "user show nobody",
        "user update nobody --first-name x",
        "user delete nobody --yes",
        "message send --to nobody hi --as ann",
        "message send team hi --as nobody",
        "message send team hi --receiver nobody --as ann",
        "conversation create nobody --as ann",
        "conversation add team nobody --as ann",
        "notifications list --user nobody",
    ] {
        refused(line, NOT_FOUND);
    }
    for line in [
        "user create ann --no-password",
        "user create ANN --no-password",
        "user create dan --email Ann@Example.org --no-password",
        "user update bob --username Ann",
        "conversation create eve --name team --as bob",
        "conversation create eve --name TEAM --as bob",
        "conversation update club --name Team",
    ] {
        refused(line, CONFLICT);
    }
    for line in [
        "message send team '' --as ann",
        "message send team ' \t ' --as ann",
        "message send team --file long --as ann",
        "message send team --file nul --as ann",
        "message send team --file latin --as ann",
        "message edit team#1 '' --as ann",
        "message edit team#1 --file long --as ann",
        "message edit team#1 --file nul --as ann",
        "message edit team#1 --file latin --as ann",
        "message send club hi --reply-to team#1 --as ann",
    ] {
        refused(line, INVALID);
    }
    is_refused(&shell, "message send team - --as ann", b"caf\xe9", INVALID);
    is_refused(&shell, "message send team - --as ann", b"one\0two", INVALID);
    is_refused(&shell, "message edit team#1 - --as ann", b"\xff", INVALID);
    refused("message edit team#1 mine --as bob", FORBIDDEN);
    refused("message delete team#1 --yes --as bob", FORBIDDEN);
    refused("message restore team#1 1 --as bob", FORBIDDEN);
    refused("message edit team#1 other --if-revision 7 --as ann", STALE);
    // Eve is not in the team.
    for line in [
        "message send team hi",
        "message send club hi --reply-to team#1",
        "message list team",
        "message show team#1",
        "message edit team#1 mine",
        "message history team#1",
        "message thread team#1",
        "message delete team#1 --yes",
        "message read team",
        "message read team#1",
        "message search lunch --in team",
        "conversation show team",
        "conversation update team --title mine",
        "conversation add team eve",
        "conversation remove team eve",
        "conversation level team none",
        "conversation delete team --yes",
    ] {
        refused(&format!("{line} --as eve"), NOT_FOUND);
    }
    assert_eq!(shell.dump(), before);
    shell.done("message send team --file longest --as ann");
}

#[test]
fn no_option_takes_a_password() {
    let mut found = std::collections::BTreeSet::new();
    for (name, command) in leaves(&tidings::cli::command(), "") {
        for argument in command.get_arguments().filter(|argument| argument.get_id().as_str().contains("password")) {
            assert!(!argument.is_positional(), "{name}: {}", argument.get_id());
            let value = argument.get_action().takes_values().then(|| argument.get_value_names().unwrap().join(" "));
            found.insert((argument.get_long().unwrap().to_owned(), value));
        }
    }
    let found: Vec<_> = found.iter().map(|(option, value)| (option.as_str(), value.as_deref())).collect();
    assert_eq!(
        found,
        [
            ("no-password", None),
            ("password-file", Some("FILE")),
            ("password-hash", Some("PHC")),
            ("password-stdin", None),
        ]
    );
}
