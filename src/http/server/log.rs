//! The log: a line of JSON for each request and for each note to the operator, without contents or secrets.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::Timestamp;

/// How many bytes wait to be written at most; beyond that lines are lost, so that a slow reader of the log delays no request.
const WAITING: usize = 1024 * 1024;

/// How long lines are collected before they are written together: to wake the writing thread for each took a tenth of the time of
/// all requests.
const GATHERED: Duration = Duration::from_millis(20);

/// How long the end of a server waits for its last lines to be written
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where lines of the log go.
pub struct Log {
    lines: Option<Arc<Lines>>,
    /// Hears when everything is written
    written: Mutex<Receiver<()>>,
}

#[derive(Default)]
struct Lines {
    waiting: Mutex<Waiting>,
    came: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    is_over: bool,
}

/// A line for a request.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'l> {
    pub(crate) at: Timestamp,
    pub(crate) request: &'l str,
    pub(crate) method: &'l str,
    /// The pattern of the path, without the ids in it
    pub(crate) route: &'l str,
    pub(crate) status: u16,
    /// From when the head of the request was read until the head of the answer was ready: with the time to read a body, without
    /// the time to send the answer, and to write one that is written while it is sent
    pub(crate) milliseconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<std::net::IpAddr>,
    /// The cause of a failure
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cause: Option<&'l str>,
}

/// A line that is not about a request.
#[derive(Debug, Serialize)]
pub(crate) struct Note<'l> {
    pub(crate) at: Timestamp,
    pub(crate) note: &'l str,
}

impl Log {
    /// A log that is written to `out` by a thread of its own.
    ///
    /// # Errors
    /// `Internal` if no thread can be started.
    pub fn new(out: impl Write + Send + 'static) -> Result<Self> {
        let lines = Arc::<Lines>::default();
        let (end, written) = mpsc::channel();
        let came = Arc::clone(&lines);
        let write = move || {
            came.write_to(out);
            let _ = end.send(());
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(write).map_err(Error::internal)?;
        Ok(Self { lines: Some(lines), written: Mutex::new(written) })
    }

    /// A log that writes nothing.
    pub fn silent() -> Self {
        Self { lines: None, written: Mutex::new(mpsc::channel().1) }
    }

    /// Writes a line, unless too much waits already.
    pub(crate) fn write(&self, line: &impl Serialize) {
        let Some(lines) = &self.lines else { return };
        let mut text = Vec::with_capacity(256);
        if serde_json::to_writer(&mut text, line).is_ok() {
            text.push(b'\n');
            lines.add(&text);
        }
    }

    /// How many lines were lost because the reader of the log is too slow
    pub(crate) fn lost(&self) -> u64 {
        self.lines.as_ref().map_or(0, |lines| lines.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Log {
    /// Waits until everything is written, for a limited time: perhaps nobody reads it.
    fn drop(&mut self) {
        let Some(lines) = self.lines.take() else { return };
        lines.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        lines.came.notify_one();
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = written.recv_timeout(LAST_LINES);
    }
}

impl Lines {
    fn add(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = waiting.text.is_empty();
        if waiting.text.len() + line.len() > WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.text.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.came.notify_one();
        }
    }

    /// Writes lines in batches, until the channel is closed.
    fn write_to(&self, mut out: impl Write) {
        let mut text = Vec::new();
        loop {
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = self.came.wait_while(waiting, |waiting| waiting.text.is_empty() && !waiting.is_over);
            let is_over = waiting.unwrap_or_else(PoisonError::into_inner).is_over;
            if !is_over {
                #[expect(clippy::disallowed_methods, reason = "more lines are about to come")]
                std::thread::sleep(GATHERED);
            }
            text.clear();
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut text, &mut waiting.text);
            let is_over = waiting.is_over;
            drop(waiting);
            // A log that cannot be written is no reason to stop.
            let _ = out.write_all(&text);
            if is_over {
                return;
            }
        }
    }
}
