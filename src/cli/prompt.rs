//! Questions whose answers are not shown while they are typed. However the program ends, the terminal shows again what is typed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::text::drop_line_break;

/// What ends or stops the program from outside
const SIGNALS: [i32; 5] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP];

/// Asks on the terminal of the program, whatever its input and output are.
pub(super) struct Prompt(Arc<Terminal>);

struct Terminal {
    device: File,
    /// What it does with what is typed when nothing is asked
    usual: Termios,
    /// The question that is asked now
    question: Mutex<Option<String>>,
}

impl Prompt {
    /// Opens the terminal. From then on signals are heeded by a thread, to do what they do anyway.
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
    /// `UnexpectedEof` where there is no answer.
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

    /// Hides what is typed from now on, and writes the question.
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

    /// Does what a signal does. Where it only stopped the program, the question is asked again.
    fn heed(&self, signal: i32) {
        // Until it is done, no answer ends the question.
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
