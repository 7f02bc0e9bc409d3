//! Prompts whose answers are not echoed. However the program ends, echo is restored.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::text::drop_line_break;

/// The signals that end or stop the program
const SIGNALS: [i32; 5] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP];

/// A prompt on the controlling terminal, independent of stdin and stdout.
pub(super) struct Prompt(Arc<Terminal>);

struct Terminal {
    device: File,
    /// Its settings outside of a prompt
    usual: Termios,
    /// The current question
    question: Mutex<Option<String>>,
}

impl Prompt {
    /// Opens the terminal. A thread then handles the signals, restores echo, and lets them take their default effect.
    pub(super) fn open() -> io::Result<Self> {
        let device = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let terminal = Arc::new(Terminal { usual: tcgetattr(&device)?, device, question: Mutex::new(None) });
        let mut signals = Signals::new(SIGNALS)?;
        let watched = Arc::clone(&terminal);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                watched.heed(signal);
            }
        })?;
        Ok(Self(terminal))
    }

    /// Asks a question; the answer ends with a line break, which is not part of it.
    ///
    /// # Errors
    /// `UnexpectedEof` if there is no answer.
    pub(super) fn ask(&self, question: &str) -> io::Result<String> {
        let mut answer = String::new();
        let read = self.0.begin(question).and_then(|()| BufReader::new(&self.0.device).read_line(&mut answer));
        self.0.end()?;
        if read? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        drop_line_break(&mut answer);
        Ok(answer)
    }
}

impl Terminal {
    fn question(&self) -> MutexGuard<'_, Option<String>> {
        self.question.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, question: &str) -> io::Result<()> {
        *self.question() = Some(question.to_owned());
        self.put(question)
    }

    fn end(&self) -> io::Result<()> {
        *self.question() = None;
        self.show()
    }

    /// Turns echo off and writes the question.
    fn put(&self, question: &str) -> io::Result<()> {
        let mut hidden = self.usual.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // The line break that ends the answer moves the cursor on.
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&self.device, OptionalActions::Now, &hidden)?;
        (&self.device).write_all(question.as_bytes())
    }

    fn show(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.device, OptionalActions::Now, &self.usual)?)
    }

    /// Lets a signal take effect. If it only stopped the program, the question is written again.
    fn heed(&self, signal: i32) {
        // Holds the lock, so that no answer ends the question meanwhile.
        let question = self.question();
        if question.is_some() {
            let _ = self.show();
            let _ = (&self.device).write_all(b"\n");
        }
        let _ = emulate_default_handler(signal);
        if let Some(question) = &*question {
            let _ = self.put(question);
        }
    }
}
