//! A file between somebody who writes and somebody who reads more slowly.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::cli::Failure;
use crate::error::Error;

/// How many bytes are copied at once
const CHUNK: usize = 1 << 18;

/// Bytes on their way: those of the file between two places
struct Spool {
    file: File,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// How far the file is written
    written: u64,
    /// How far it is read
    read: u64,
    /// Nothing more comes
    is_complete: bool,
    /// Nothing more is wanted
    is_closed: bool,
}

/// Passes on what is produced while it is produced; `produce` waits for nobody.
///
/// # Errors
/// `NoSpace` if more waits for its reader than the disk for temporary files holds.
pub(super) fn pass<T>(to: &File, produce: impl FnOnce(&mut dyn Write) -> Result<T, Failure>) -> Result<T, Failure> {
    let spool = Spool { file: tempfile::tempfile()?, state: Mutex::default(), changed: Condvar::new() };
    thread::scope(|scope| {
        let copied = scope.spawn(|| spool.copy(to));
        let mut writer = Writer(&spool);
        let produced = produce(&mut writer);
        drop(writer);
        match copied.join() {
            Ok(Ok(())) => produced.map_err(|failure| match failure {
                Failure::Unwritten(cause) if is_full(&cause) => no_space(cause).into(),
                failure => failure,
            }),
            Ok(Err(error)) => Err(error.into()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn is_full(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn no_space(cause: io::Error) -> Error {
    Error::no_space()
        .hint("What is read more slowly than it comes waits in a temporary file; TMPDIR names a folder for it.")
        .with_source(cause)
}

impl Spool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Copies to the reader what is written, until it is complete.
    fn copy(&self, mut to: &File) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let waits = |state: &mut State| state.read == state.written && !state.is_complete;
            let state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
            let from = state.read;
            let length = usize::try_from(state.written - from).unwrap_or(CHUNK).min(CHUNK);
            drop(state);
            if length == 0 {
                return Ok(());
            }
            let copied = self.file.read_exact_at(&mut chunk[..length], from).and_then(|()| {
                self.change(|state| state.read += length as u64);
                to.write_all(&chunk[..length])
            });
            if copied.is_err() {
                self.change(|state| state.is_closed = true);
                return copied;
            }
        }
    }
}

/// The end of a spool that is written to; what comes is complete when it is gone
struct Writer<'s>(&'s Spool);

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state();
        if state.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if state.read == state.written {
            // With a reader who keeps up the file stays small.
            (state.read, state.written) = (0, 0);
        }
        let place = state.written;
        drop(state);
        self.0.file.write_all_at(bytes, place)?;
        self.0.change(|state| state.written += bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_complete = true);
    }
}
