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

    /// Says what is done now, and how much of how much.
    pub(super) fn doing_part(&self, what: &str, done: u64, all: u64) {
        if self.0.length() != Some(all) || self.0.message() != what {
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {bar:30} {percent}% {eta}") {
                self.0.set_style(style);
            }
            self.0.set_length(all);
            self.0.set_message(escape(what));
        }
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
