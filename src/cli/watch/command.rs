//! The command that runs for each event.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTTIN, SIGTTOU};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::cli::follow::Deadline;
use crate::error::{Error, Result};

/// What ends this program, unless whoever started it wants it to go on, as `nohup` does
fn deadly() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let is_heeded = |signal: &i32| ignored.unwrap_or(0) >> (signal - 1) & 1 == 0;
    [SIGHUP, SIGINT, SIGTERM].into_iter().filter(is_heeded).collect()
}

/// Why a command has stopped for good, in words that follow “The command”; none: it runs again, or it has ended. It is not the one that
/// the terminal listens to, so a terminal stops it.
fn has_stopped(group: Pid) -> Option<&'static str> {
    loop {
        // Not yet reaped: until then its number is nobody else's.
        let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        let signal = waitid(WaitId::Pid(group), options).ok().flatten()?.stopping_signal()?;
        match signal {
            SIGTTIN => return Some("would read the terminal, which it cannot, and was ended"),
            SIGTTOU => return Some("would write to a terminal that lets it not, and was ended"),
            // Somebody stopped it, and may let it go on.
            _ => {
                let _ = waitid(WaitId::Pid(group), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
            }
        }
    }
}

/// Runs a command of a shell again and again, never two at once. A signal that ends this program ends the command, too.
pub(super) struct Runner {
    command: String,
    /// The group of processes that runs now
    running: Arc<Mutex<Option<Pid>>>,
}

/// How a command ended
pub(super) enum Ending {
    Well,
    /// In words that follow “The command”
    Failed(String),
    /// It was killed: its time was over
    TooLate,
}

impl Runner {
    pub(super) fn new(command: String) -> Result<Self> {
        let running = Arc::new(Mutex::new(None));
        let of_signals = Arc::clone(&running);
        let mut signals = Signals::new(deadly()).map_err(Error::internal)?;
        let heed = move || {
            for signal in signals.forever() {
                // Holds the lock, so that no other command begins.
                let running = locked(&of_signals);
                if let Some(group) = *running {
                    // What a shell runs in the background ignores an interrupt.
                    let _ = kill_process_group(group, Signal::TERM);
                }
                let _ = emulate_default_handler(signal);
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(heed).map_err(Error::internal)?;
        Ok(Self { command, running })
    }

    /// Runs it with this text on its standard input, until the deadline at most.
    pub(super) fn run(&self, input: String, deadline: Option<Deadline>) -> Result<Ending> {
        let cannot = |cause: std::io::Error| Error::unavailable(format!("The command cannot be run: {cause}."));
        let mut running = locked(&self.running);
        let mut command = Command::new("sh");
        // A group of its own: whatever the command started ends with it.
        command.arg("-c").arg(&self.command).stdin(Stdio::piped()).process_group(0);
        let mut child = command.spawn().map_err(cannot)?;
        let group = Pid::from_child(&child);
        *running = Some(group);
        drop(running);
        let (ended, has_ended) = mpsc::channel();
        if let Some(mut stdin) = child.stdin.take() {
            // It need not read what it is given, nor while it runs.
            let give = move || drop(stdin.write_all(input.as_bytes()));
            thread::Builder::new().name("input".to_owned()).spawn(give).map_err(Error::internal)?;
        }
        let wait = move || {
            let _ = ended.send(has_stopped(group));
        };
        thread::Builder::new().name("command".to_owned()).spawn(wait).map_err(Error::internal)?;
        let (is_late, stopped) = match deadline.map(|deadline| has_ended.recv_timeout(deadline.left())) {
            Some(Err(RecvTimeoutError::Timeout)) => (true, None),
            Some(ended) => (false, ended.ok().flatten()),
            None => (false, has_ended.recv().ok().flatten()),
        };
        if is_late || stopped.is_some() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        *locked(&self.running) = None;
        let status = child.wait().map_err(cannot)?;
        Ok(match stopped {
            Some(why) => Ending::Failed(why.to_owned()),
            None if is_late => Ending::TooLate,
            None if status.success() => Ending::Well,
            None => Ending::Failed(how(status)),
        })
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

fn locked(running: &Mutex<Option<Pid>>) -> MutexGuard<'_, Option<Pid>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}
