//! `tidings watch`

mod command;
mod event;
mod position;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use self::command::{Ending, Runner};
pub(super) use self::event::FIELDS;
use self::event::Shown;
use self::position::CursorFile;
use super::follow::{Deadline, End, Heard, Hearing, follow};
use super::output::{Listing, Output};
use super::{Context, Failure, Outcome, choice, counted};
use crate::error::{Error, Kind};
use crate::feed::Follower;
use crate::model::{ConversationSelector, EventKind};
use crate::service::events::Narrowing;

/// How many events are read together where no command runs for each
const TOGETHER: usize = 64;

/// Show what happens as it happens: every change, whoever makes it, from whatever program
///
/// Without --as it hears everything, with --as what that user may hear. It begins now, or after an event whose id is given.
/// It follows the name of the database: if another file takes its place, or a backup is restored, there is a reset, and it
/// goes on with the new contents; if the database is gone, it waits. Ctrl-C ends it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings watch\n  \
    tidings watch --as bob --event message.created --conversation support -o jsonl\n  \
    tidings watch --event message.created --count 1 --timeout 30s\n  \
    tidings watch --as bob --exec 'jq -r .event' --cursor-file bob.cursor")]
pub(super) struct Watch {
    /// Only events of these kinds
    #[arg(long = "event", value_name = "KIND", num_args = 1.., value_parser = choice::<EventKind>())]
    kinds: Vec<EventKind>,
    /// Only events of these conversations: names, ids, or @USER for the direct one
    #[arg(long = "conversation", value_name = "CONV", num_args = 1..)]
    conversations: Vec<ConversationSelector>,
    /// Begin after the event with this id, unless --cursor-file keeps a position already
    #[arg(long, value_name = "CURSOR")]
    since: Option<String>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Give up after this time, with exit code 8; for example 30s, 5m or 1h
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Run this command in a shell for each event, one after the other, with the event as JSON on its standard input; if it
    /// fails, the watch ends
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Keep the position in this file, and begin there next time: each event is shown, or handled by the command, at
    /// least once
    #[arg(long, value_name = "FILE")]
    cursor_file: Option<PathBuf>,
    /// Report a command that fails, and go on
    #[arg(long, requires = "exec")]
    keep_going: bool,
}

/// Parses a duration.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "it is not a duration like 30s, 500ms, 5m or 1h".to_owned();
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let milliseconds = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)
}

impl Watch {
    pub(super) fn run(self, context: Context<'_>) -> Outcome {
        if context.dry_run && (self.exec.is_some() || self.cursor_file.is_some()) {
            let why =
                "Neither --exec nor --cursor-file has a dry run: the watch would run the command and write the file.";
            return Err(Failure::Usage(why.to_owned()));
        }
        let deadline = self.timeout.map(Deadline::after);
        let file = self.cursor_file.map(CursorFile::new);
        let kept = file.as_ref().map(CursorFile::read).transpose()?.flatten();
        let is_kept = kept.is_some();
        let narrowing = Narrowing { conversations: self.conversations, kinds: self.kinds };
        let together = if self.exec.is_some() { 1 } else { TOGETHER };
        let place = context.location.to_string();
        let (mut follower, out) = match (context.follow(narrowing, kept.or(self.since), together), &file) {
            (Err(Failure::Refused(error)), Some(file))
                if is_kept
                    && error.kind() == Kind::Invalid
                    && error.problem().errors.iter().any(|(field, _)| field == "since") =>
            {
                return Err(file.unusable().into());
            }
            (begun, _) => begun?,
        };
        out.tell_times_by_the_clock();
        let listing = out.begin_list::<Shown>();
        let runner = self.exec.map(Runner::new).transpose()?;
        let mut session = Session {
            out,
            listing,
            runner,
            file,
            is_kept: true,
            deadline,
            keep_going: self.keep_going,
            count: 0,
            wanted: self.count,
        };
        let is_over = self.count == Some(0);
        // Until a reset is told it must not be forgotten.
        if let Some(file) = &mut session.file
            && (is_over || follower.reset().is_none())
        {
            file.write(follower.cursor())?;
        }
        if is_over {
            return session.end(Ok(End::Enough));
        }
        session.out.status(&format!("Watching {place}; Ctrl-C ends it."));
        let ended = follow(&mut follower, &mut session, deadline);
        session.end(ended)
    }
}

/// A watch as it goes on
struct Session<'o> {
    out: &'o mut Output,
    listing: Listing,
    runner: Option<Runner>,
    file: Option<CursorFile>,
    /// Everything that was shown is kept in the file
    is_kept: bool,
    deadline: Option<Deadline>,
    keep_going: bool,
    count: usize,
    wanted: Option<usize>,
}

impl Hearing for Session<'_> {
    fn hear(&mut self, _: &Follower, heard: Heard) -> Result<ControlFlow<()>, Failure> {
        let shown = Shown::new(heard);
        let is_event = shown.is_event();
        if let Some(runner) = &self.runner {
            let mut json = serde_json::to_string(&shown).map_err(Error::internal)?;
            json.push('\n');
            match runner.run(json, self.deadline)? {
                Ending::Well => {}
                Ending::Failed(how) if self.keep_going => {
                    self.out.complain(&format!("The command {how}, for {}.", shown.name()));
                }
                Ending::Failed(how) => {
                    let detail = format!("The command {how}, for {}; the watch ends.", shown.name());
                    let hint = "With --keep-going it reports this and goes on.";
                    return Err(Error::of_request(Kind::Internal, detail).hint(hint).into());
                }
                Ending::TooLate => {
                    let detail = format!("The command for {} was still running and was ended.", shown.name());
                    return Err(Error::of_request(Kind::Timeout, detail).into());
                }
            }
            if let Some(file) = &mut self.file {
                file.write(shown.cursor())?;
            }
        } else {
            if self.out.shows_only_ids() && !is_event {
                self.out.status(&shown.sentence());
            }
            let shown = if self.out.is_flat() { shown.flat() } else { shown };
            self.out.add_to_list(&mut self.listing, std::slice::from_ref(&shown))?;
            self.is_kept = false;
        }
        self.count += usize::from(is_event);
        Ok(self.is_enough())
    }

    fn catch_up(&mut self, follower: &Follower) -> Outcome {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.is_kept {
            return file.write_progress(follower.cursor());
        }
        self.is_kept = true;
        file.write(follower.cursor())
    }

    fn out(&mut self) -> &mut Output {
        self.out
    }

    fn needs_reader(&self) -> bool {
        // What a command does may have nothing to do with stdout.
        self.runner.is_none()
    }
}

impl Session<'_> {
    fn is_enough(&self) -> ControlFlow<()> {
        if self.wanted.is_some_and(|wanted| self.count >= wanted) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn end(self, ended: Result<End, Failure>) -> Outcome {
        // What was shown is whole, however it ended.
        let shown = if self.runner.is_none() { self.out.end_list(&self.listing) } else { Ok(()) };
        let is_late = ended? == End::TimeUp;
        shown?;
        match (self.deadline, self.wanted) {
            (Some(deadline), wanted) if is_late => {
                let heard = match (self.count, wanted) {
                    (0, _) => "Nothing was heard".to_owned(),
                    (count, Some(wanted)) => format!("Only {count} of {} came", events(wanted)),
                    (count, None) => format!("Time is up: {} came", events(count)),
                };
                Err(Error::of_request(Kind::Timeout, format!("{heard} in {deadline}.")).into())
            }
            _ => Ok(()),
        }
    }
}

fn events(count: usize) -> String {
    counted(i64::try_from(count).unwrap_or(i64::MAX), "event")
}
