//! Ctrl-C: the shell sees 130, and nothing is changed.

use std::time::Duration;

use super::{PROGRAM, bash};
use crate::support::Shell;
use crate::terminal::Terminal;

fn shell() -> Shell {
    let shell = Shell::new();
    for line in ["user create ann --no-password", "user create bob --no-password"] {
        shell.done(line);
    }
    shell.done("conversation create bob --name team --as ann");
    shell.done("message send team hi --as ann");
    shell
}

#[test]
fn an_interrupt_at_a_question_is_130_and_changes_nothing() {
    let shell = shell();
    let before = shell.dump();
    for (line, question) in [
        ("user delete bob", "Type “bob”"),
        ("message delete team#1", "Type “team#1”"),
        ("conversation delete team", "Type “team”"),
        ("user create eve", "Password (at least 8 characters):"),
        ("user passwd bob", "Password (at least 8 characters):"),
    ] {
        // Whoever started the tests may ignore interrupts, which would be inherited.
        let script = format!("trap : INT; env --default-signal=INT {PROGRAM:?} --db test.db {line}; echo \"saw $?\"");
        let mut terminal = Terminal::open(&shell.path(""), &script);
        terminal.wait_for(question);
        terminal.type_in(b"\x03");
        let (seen, _) = terminal.end();
        assert!(seen.contains("saw 130"), "{line}: {seen}");
        assert_eq!(shell.dump(), before, "{line}");
    }
}

#[test]
fn an_interrupt_while_a_command_waits_is_130_and_changes_nothing() {
    let shell = shell();
    let before = shell.dump();
    // Job control, because what a script starts in the background ignores interrupts otherwise.
    let script = r#"set -m
        mkfifo pipe
        env --default-signal=INT "$0" --db "$1" "${@:2}" <pipe & exec 3>pipe
        sleep 0.5
        kill -INT "$!"
        exec 3>&-
        wait "$!"
        echo "$?"
        rm pipe"#;
    let interrupted = |arguments: &[&str]| {
        let output = bash(&shell, script, "test.db", arguments).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "130\n", "{arguments:?}: {output:?}");
    };
    interrupted(&["message", "send", "team", "-", "--as", "ann"]);
    let other = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    interrupted(&["message", "send", "team", "again", "--as", "ann"]);
    interrupted(&["user", "delete", "bob", "--yes"]);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(shell.dump(), before);
    shell.done("message send team again --as ann");
}
