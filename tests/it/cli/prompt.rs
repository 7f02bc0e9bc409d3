//! The question for a password, on a terminal that is one.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::Shell;
use crate::terminal::Terminal;

/// The question, with the rule that people have to know before they choose
const ASKED: &str = "Password (at least 8 characters): ";

/// A shell that minds no signal asks for the password of a new user, and then shows what it came to.
fn ask(shell: &Shell) -> Terminal {
    let program = env!("CARGO_BIN_EXE_tidings");
    let script = format!(
        "ulimit -c 0\ntrap : INT QUIT\nsh -c 'echo $$ > pid; exec {program} --db test.db user create zed'\n\
         echo \"code $?\"\nstty -a\n"
    );
    Terminal::open(&shell.path(""), &script)
}

fn pid(shell: &Shell) -> Pid {
    let pid = fs::read_to_string(shell.path("pid")).unwrap();
    Pid::from_raw(pid.trim().parse().unwrap()).unwrap()
}

fn is_stopped(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap();
    status.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
}

/// Waits for the end: the shell shows that code, and that the terminal shows again what is typed.
fn expect(terminal: Terminal, code: i32) {
    let (seen, _) = terminal.end();
    let (_, modes) = seen.split_once(&format!("code {code}\r\n")).unwrap_or_else(|| panic!("{seen}"));
    assert!(modes.split([' ', ';', '\r', '\n']).any(|mode| mode == "echo"), "{seen}");
}

#[test]
fn a_signal_at_the_question_for_a_password_leaves_a_terminal_that_shows_what_is_typed() {
    for (key, signal, code) in [
        (Some(b"\x03"), Signal::INT, 130),
        (Some(b"\x1c"), Signal::QUIT, 131),
        (None, Signal::TERM, 143),
        (None, Signal::HUP, 129),
    ] {
        for question in [ASKED, "Once more: "] {
            let shell = Shell::new();
            let mut terminal = ask(&shell);
            terminal.wait_for(ASKED);
            if question == "Once more: " {
                terminal.type_in(b"correct horse\n");
                terminal.wait_for(question);
            }
            assert!(!terminal.echoes());
            match key {
                Some(key) => terminal.type_in(key),
                None => kill_process(pid(&shell), signal).unwrap(),
            }
            expect(terminal, code);
            assert_eq!(shell.done("user list -o ids").stdout, "", "{signal:?} at {question}");
        }
    }
}

#[test]
fn a_question_that_was_stopped_is_asked_again_and_its_answer_is_not_shown() {
    let shell = Shell::new();
    let mut terminal = ask(&shell);
    terminal.wait_for(ASKED);
    kill_process(pid(&shell), Signal::TSTP).unwrap();
    let start = Instant::now();
    while !is_stopped(pid(&shell)) {
        assert!(start.elapsed() < Duration::from_secs(10), "it is not stopped");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(terminal.echoes());
    kill_process(pid(&shell), Signal::CONT).unwrap();
    terminal.wait_for(ASKED);
    assert!(!terminal.echoes());
    terminal.type_in(b"correct hors\x7fse\n");
    terminal.wait_for("Once more: ");
    terminal.type_in(b"correct horse\n");
    terminal.wait_for("code ");
    let seen = terminal.seen();
    assert!(!seen.contains("correct") && !seen.contains("horse"), "{seen}");
    expect(terminal, 0);
    assert_eq!(shell.done("user list -o ids").stdout.lines().count(), 1);
}

#[test]
fn a_question_without_an_answer_leaves_no_database() {
    let shell = Shell::new();
    let script = format!("{} --db new.db user create zed\n", env!("CARGO_BIN_EXE_tidings"));
    for (keys, code) in [("\x03", None), ("short\nshort\n", Some(6)), ("correct horse\ncorrect\n", Some(6))] {
        let mut terminal = Terminal::open(&shell.path(""), &format!("exec {script}"));
        terminal.wait_for(ASKED);
        terminal.type_in(keys.as_bytes());
        let (seen, status) = terminal.end();
        assert_eq!(status.code(), code, "{seen}");
        assert!(!shell.path("new.db").exists(), "{seen}");
    }
    let mut terminal = Terminal::open(&shell.path(""), &script);
    terminal.wait_for(ASKED);
    terminal.type_in(b"correct horse\ncorrect horse\n");
    let (seen, _) = terminal.end();
    assert!(seen.contains("Created the database new.db."), "{seen}");
}
