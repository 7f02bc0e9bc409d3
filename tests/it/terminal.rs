//! Terminals for tests: what a person sees and types.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// How long a terminal may show nothing before a test fails
const PATIENCE: Duration = Duration::from_mins(1);

/// A terminal on which a script of `sh` runs
pub(crate) struct Terminal {
    /// The side of the person: what is read from it was shown, what is written to it is typed.
    person: File,
    script: Child,
    seen: Vec<u8>,
    /// How much of it was waited for
    passed: usize,
}

impl Terminal {
    /// Runs a script in that folder.
    pub(crate) fn open(folder: &Path, script: &str) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let program = || File::from(ioctl_tiocgptpeer(&person, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap());
        let mut command = Command::new("setsid");
        command.args(["--ctty", "sh", "-c", script]).current_dir(folder);
        command.stdin(program()).stdout(program()).stderr(program());
        let script = command.spawn().unwrap();
        Self { person: person.into(), script, seen: Vec::new(), passed: 0 }
    }

    /// Waits until a text is shown behind what was waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) {
        loop {
            let new = &self.seen[self.passed..];
            if let Some(start) = new.windows(text.len()).position(|part| part == text.as_bytes()) {
                self.passed += start + text.len();
                return;
            }
            assert!(self.see(), "the script has ended: {}", self.seen());
        }
    }

    /// Reads some of what is shown; false at the end of the script and of all that it started.
    fn see(&mut self) -> bool {
        let patience = Timespec::try_from(PATIENCE).unwrap();
        let ready = poll(&mut [PollFd::new(&self.person, PollFlags::IN)], Some(&patience)).unwrap();
        assert_ne!(ready, 0, "nothing more is shown: {}", self.seen());
        let mut part = [0; 4096];
        // The end is told by an error: nobody has the other side open.
        let Ok(length) = self.person.read(&mut part) else { return false };
        self.seen.extend_from_slice(&part[..length]);
        length > 0
    }

    pub(crate) fn type_in(&mut self, keys: &[u8]) {
        self.person.write_all(keys).unwrap();
    }

    /// Whether the terminal shows what is typed
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.person).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Everything that was shown until the script ended, and how it ended
    pub(crate) fn end(mut self) -> (String, ExitStatus) {
        while self.see() {}
        let status = self.script.wait().unwrap();
        (self.seen(), status)
    }
}
