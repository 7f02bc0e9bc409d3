//! Ctrl-C: the shell sees 130, and nothing is changed.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{PROGRAM, bash};
use crate::support::{Shell, say_skipped};

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
    if Command::new("script").arg("--version").output().is_err() {
        say_skipped("a terminal (script is not installed)");
        return;
    }
    let shell = shell();
    let before = shell.dump();
    for (line, question) in [
        ("user delete bob", "Type “bob”"),
        ("message delete team#1", "Type “team#1”"),
        ("conversation delete team", "Type “team”"),
        ("user create eve", "Password:"),
        ("user passwd bob", "Password:"),
    ] {
        // Whoever started the tests may ignore interrupts, which would be inherited.
        let script = format!("trap : INT; env --default-signal=INT {PROGRAM:?} --db test.db {line}; echo \"saw $?\"");
        let mut terminal = Command::new("timeout")
            .args(["--foreground", "60", "script", "--quiet", "--command", &script])
            .arg("/dev/null")
            .current_dir(shell.path(""))
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("SHELL", "/bin/bash")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keyboard = terminal.stdin.take().unwrap();
        let mut screen = terminal.stdout.take().unwrap();
        let mut shown = Vec::new();
        let mut is_asked = false;
        let mut part = [0; 1024];
        loop {
            let length = screen.read(&mut part).unwrap();
            if length == 0 {
                break;
            }
            shown.extend_from_slice(&part[..length]);
            if !is_asked && String::from_utf8_lossy(&shown).contains(question) {
                is_asked = true;
                keyboard.write_all(b"\x03").unwrap();
                keyboard.flush().unwrap();
            }
        }
        terminal.wait().unwrap();
        let shown = String::from_utf8_lossy(&shown);
        assert!(is_asked && shown.contains("saw 130"), "{line}: {shown}");
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
