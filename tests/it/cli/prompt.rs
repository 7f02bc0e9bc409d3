//! The question for a password, on a terminal that is one.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Shell, say_skipped};

/// A terminal where a shell that minds no signal asks for the password of a new user, and then shows what it came to
struct Terminal {
    shell: Shell,
    script: Child,
    seen: String,
}

impl Terminal {
    /// None where there is no `script`
    fn open() -> Option<Self> {
        let shell = Shell::new();
        let program = env!("CARGO_BIN_EXE_tidings");
        let play = format!(
            "ulimit -c 0\ntrap : INT QUIT\nsh -c 'echo $$ > pid; exec {program} --db test.db user create zed'\n\
             echo \"code $?\"\nstty -a\n"
        );
        fs::write(shell.path("play.sh"), play).unwrap();
        let mut command = Command::new("script");
        command.args(["--quiet", "--command", "sh play.sh", "/dev/null"]).current_dir(shell.path(""));
        let Ok(script) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
            say_skipped("the question for a password (script is not installed)");
            return None;
        };
        Some(Self { shell, script, seen: String::new() })
    }

    /// Reads until that is to be seen, once more than before.
    fn wait_for(&mut self, text: &str) {
        let before = self.seen.len();
        let mut byte = [0];
        while !self.seen[before..].contains(text) {
            self.script.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap_or_else(|_| panic!("{}", self.seen));
            self.seen.push(char::from(byte[0]));
        }
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.script.stdin.as_mut().unwrap().write_all(keys).unwrap();
    }

    fn pid(&self) -> Pid {
        let pid = fs::read_to_string(self.shell.path("pid")).unwrap();
        Pid::from_raw(pid.trim().parse().unwrap()).unwrap()
    }

    /// Whether the terminal shows now what is typed
    fn echoes(&self) -> bool {
        let device: PathBuf = fs::read_link(format!("/proc/{}/fd/0", self.pid().as_raw_nonzero())).unwrap();
        let modes = rustix::termios::tcgetattr(fs::File::open(device).unwrap()).unwrap();
        modes.local_modes.contains(rustix::termios::LocalModes::ECHO)
    }

    fn is_stopped(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_nonzero())).unwrap();
        status.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
    }

    /// What the shell shows behind the code of that number: whether what is typed is shown
    fn expect(mut self, code: i32) -> Shell {
        self.script.stdout.as_mut().unwrap().read_to_string(&mut self.seen).unwrap();
        self.script.wait().unwrap();
        let (_, after) = self.seen.split_once(&format!("code {code}\r\n")).unwrap_or_else(|| panic!("{}", self.seen));
        assert!(after.split([' ', ';', '\r', '\n']).any(|mode| mode == "echo"), "{}", self.seen);
        self.shell
    }
}

#[test]
fn a_signal_at_the_question_for_a_password_leaves_a_terminal_that_shows_what_is_typed() {
    for (key, signal, code) in [
        (Some(b"\x03"), Signal::INT, 130),
        (Some(b"\x1c"), Signal::QUIT, 131),
        (None, Signal::TERM, 143),
        (None, Signal::HUP, 129),
    ] {
        for question in ["Password: ", "Once more: "] {
            let Some(mut terminal) = Terminal::open() else { return };
            terminal.wait_for("Password: ");
            if question == "Once more: " {
                terminal.type_in(b"correct horse\n");
                terminal.wait_for(question);
            }
            assert!(!terminal.echoes());
            match key {
                Some(key) => terminal.type_in(key),
                None => kill_process(terminal.pid(), signal).unwrap(),
            }
            assert_eq!(terminal.expect(code).done("user list -o ids").stdout, "", "{signal:?} at {question}");
        }
    }
}

#[test]
fn a_question_that_was_stopped_is_asked_again_and_its_answer_is_not_shown() {
    let Some(mut terminal) = Terminal::open() else { return };
    terminal.wait_for("Password: ");
    kill_process(terminal.pid(), Signal::TSTP).unwrap();
    let start = Instant::now();
    while !terminal.is_stopped() {
        assert!(start.elapsed() < Duration::from_secs(10), "it is not stopped");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(terminal.echoes());
    kill_process(terminal.pid(), Signal::CONT).unwrap();
    terminal.wait_for("Password: ");
    assert!(!terminal.echoes());
    terminal.type_in(b"correct hors\x7fse\n");
    terminal.wait_for("Once more: ");
    terminal.type_in(b"correct horse\n");
    terminal.wait_for("code ");
    assert!(!terminal.seen.contains("correct") && !terminal.seen.contains("horse"), "{}", terminal.seen);
    assert_eq!(terminal.expect(0).done("user list -o ids").stdout.lines().count(), 1);
}
