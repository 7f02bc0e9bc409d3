//! That something takes its time, said on a terminal while it does.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::{Output, escape};

/// A line on stderr that moves and is gone at the end; nothing off a terminal, or for the quiet.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn begin(out: &Output, doing: &str) -> Self {
        if out.is_quiet() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(escape(doing));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what is done now.
    pub(super) fn doing(&self, what: &str) {
        self.0.set_message(escape(what));
    }

    /// Says how much of all is done; from the first time on as a bar.
    pub(super) fn reached(&self, done: i64, all: i64) {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        if self.0.length().is_none() {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {percent} % {elapsed}") {
                self.0.set_style(style);
            }
            self.0.set_length(count(all));
        }
        self.0.set_position(count(done));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
