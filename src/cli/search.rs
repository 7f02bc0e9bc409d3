//! `tidings message search` and `tidings message thread`

use std::time::Duration;

use clap::Args;

use super::output::Record;
use super::{Context, Outcome, limit, time};
use crate::app::late_after;
use crate::model::{ConversationSelector, Finding, MessageSelector, ThreadMessage, Timestamp, UserSelector};
use crate::service::messages;

/// How many messages a search shows unless told
const LIMIT: i64 = 50;

/// How long a search looks before it shows what it has
const PATIENCE: Duration = Duration::from_secs(1);

/// Search messages for words, newest first
///
/// A message is found that holds all the words, whatever their case and accents. A word that ends in * is a beginning.
/// In one conversation the newest are those with the highest numbers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings message search 'harbour lunch' --as alice\n  \
    tidings message search 'invoice*' --from bob --in support --since 2026-01-01T00:00:00Z")]
pub(super) struct Search {
    /// The words; those that end in * are beginnings
    query: String,
    /// Only in this conversation: name, id, or @USER for the direct one
    #[arg(long = "in", value_name = "CONV")]
    conversation: Option<ConversationSelector>,
    /// Sent by this user
    #[arg(long, value_name = "USER")]
    from: Option<UserSelector>,
    /// Sent at this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// The best first, of the newest 500 found: those that say the words most, in the fewest others
    #[arg(long)]
    ranked: bool,
    /// How many at most [default: 50]
    #[arg(long, value_name = "N", value_parser = limit, allow_negative_numbers = true)]
    limit: Option<i64>,
}

impl Search {
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        let request = messages::Search {
            query: self.query,
            conversation: self.conversation,
            sender: self.from,
            since: self.since,
            ranked: self.ranked,
            limit: self.limit.unwrap_or(LIMIT),
        };
        let is_late = late_after(PATIENCE);
        let findings = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            messages::search(tx, &actor, &request, &is_late)
        })?;
        if findings.partial {
            context
                .out
                .status("The search was cut short, so there may be more; narrow it with --in, --from or more words.");
        }
        context.say_if_cut(findings.messages.len(), self.limit, LIMIT);
        Ok(context.out.list(&findings.messages, "There are no such messages.")?)
    }
}

/// Show a message and all that hangs on it, each reply below what it replies to
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message thread support#12")]
pub(super) struct Thread {
    /// The message: its id, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG")]
    message: MessageSelector,
}

impl Thread {
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        let thread = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            messages::thread(tx, &actor, &self.message)
        })?;
        Ok(context.out.list(&thread, "")?)
    }
}

impl Record for Finding {
    const COLUMNS: &'static [&'static str] = &[];

    fn ids(&self) -> Vec<String> {
        self.message.ids()
    }

    fn cells(&self) -> Vec<String> {
        Vec::new()
    }

    fn paragraph(&self) -> Option<(String, &str)> {
        self.message.paragraph()
    }
}

impl Record for ThreadMessage {
    const COLUMNS: &'static [&'static str] = &[];

    fn ids(&self) -> Vec<String> {
        self.message.ids()
    }

    fn cells(&self) -> Vec<String> {
        Vec::new()
    }

    fn paragraph(&self) -> Option<(String, &str)> {
        self.message.paragraph()
    }
}
