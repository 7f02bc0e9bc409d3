//! Commands that go on: what is new is shown as it comes.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::output::Output;
use super::{Context, Failure, Outcome};
use crate::feed::{Follower, Following, News};
use crate::model::Actor;
use crate::service::events::{EventView, Narrowing, ResetReason};

/// What was heard
pub(super) enum Heard {
    Event(Box<EventView>),
    /// The log is another: it goes on from this cursor
    Reset(ResetReason, String),
}

/// Why it ended
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Enough was heard
    Enough,
    /// The time is over
    TimeUp,
    /// Nobody reads stdout any more
    Unread,
}

/// Until when it goes on
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    patience: Duration,
    at: Option<Instant>,
}

impl Deadline {
    pub(super) fn after(patience: Duration) -> Self {
        Self { patience, at: Instant::now().checked_add(patience) }
    }

    /// How much time is left
    pub(super) fn left(self) -> Duration {
        self.at.map_or(Duration::MAX, |at| at.saturating_duration_since(Instant::now()))
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.patience.as_secs_f64();
        write!(formatter, "{seconds} second{}", if self.patience == Duration::from_secs(1) { "" } else { "s" })
    }
}

/// Who is told what is heard.
pub(super) trait Hearing {
    /// Something was heard; breaks off when it is enough.
    fn hear(&mut self, follower: &Follower, heard: Heard) -> Result<ControlFlow<()>, Failure>;

    /// Everything that was heard so far was told.
    fn catch_up(&mut self, follower: &Follower) -> Outcome;

    fn out(&mut self) -> &mut Output;

    /// Whether it is in vain when nobody reads stdout
    fn needs_reader(&self) -> bool {
        true
    }
}

/// Tells what is heard until it is enough, time is up, or nobody reads it.
pub(super) fn follow(
    follower: &mut Follower,
    hearing: &mut impl Hearing,
    deadline: Option<Deadline>,
) -> Result<End, Failure> {
    let left = || deadline.map_or(Duration::MAX, Deadline::left);
    loop {
        let heard = match follower.listen()? {
            Some(News::Event(view)) => Some(Heard::Event(view)),
            Some(News::Reset(reason, cursor)) => Some(Heard::Reset(reason, cursor)),
            Some(News::Gone(error)) => {
                let why = error.to_string();
                hearing.out().status(&format!("{}; waiting for it.", why.trim_end_matches('.')));
                None
            }
            Some(News::Back) => {
                hearing.out().status("The database is there again.");
                None
            }
            None => None,
        };
        let is_new = heard.is_some();
        if let Some(heard) = heard
            && hearing.hear(follower, heard)?.is_break()
        {
            hearing.out().flush()?;
            hearing.catch_up(follower)?;
            return Ok(End::Enough);
        }
        let is_late = left().is_zero();
        if is_late || !is_new {
            hearing.out().flush()?;
            hearing.catch_up(follower)?;
        }
        if is_late {
            return Ok(End::TimeUp);
        }
        let needs_reader = hearing.needs_reader();
        if !is_new && hearing.out().wait(follower.pause().min(left()), needs_reader)? {
            return Ok(End::Unread);
        }
    }
}

impl<'c> Context<'c> {
    /// Follows the events, from a cursor on, instead of doing anything else with the database.
    pub(super) fn follow(
        self,
        narrowing: Narrowing,
        since: Option<String>,
        together: usize,
    ) -> Result<(Follower, &'c mut Output), Failure> {
        let Self { app, location, acting, operator, out, .. } = self;
        let operator = Actor::Operator(operator);
        let following = Following { location, acting, operator, narrowing, since, together };
        let follower = Follower::begin(app, following)?;
        out.show_to(follower.user());
        Ok((follower, out))
    }
}
