//! `tidings message list`

use std::iter;

use clap::Args;

use crate::cli::{Context, Outcome, PAGE, limit, time};
use crate::model::{ConversationSelector, Number, Timestamp, UserSelector};
use crate::service::messages;

/// The default of --limit
const LIMIT: i64 = 50;

/// List messages: the newest that match, oldest of them first
///
/// Without a conversation, all visible messages.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings message list support --limit 10\n  \
    tidings message list --from alice --since 2026-01-01T00:00:00Z\n  \
    tidings message list --unread --as bob")]
pub(in crate::cli) struct List {
    /// Name, id, or @USER for the direct one
    #[arg(value_name = "CONV")]
    conversation: Option<ConversationSelector>,
    /// How many at most [default: 50]
    #[arg(long, value_name = "N", value_parser = limit, allow_negative_numbers = true)]
    limit: Option<i64>,
    /// The messages just before this number of the conversation
    #[arg(long, value_name = "N", requires = "conversation")]
    before: Option<i64>,
    /// The messages just after this number of the conversation
    #[arg(long, value_name = "N", requires = "conversation")]
    after: Option<i64>,
    /// Sent at this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Sent before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Sent by this user
    #[arg(long, value_name = "USER")]
    from: Option<UserSelector>,
    /// Sent to this user
    #[arg(long, value_name = "USER")]
    to: Option<UserSelector>,
    /// Only messages that you have not read
    #[arg(long, conflicts_with_all = ["before", "after"])]
    unread: bool,
}

impl List {
    pub(super) fn run(self, mut context: Context<'_>) -> Outcome {
        if self.unread {
            context.needs_user()?;
        }
        let request = messages::List {
            conversation: self.conversation,
            before: self.before.map(Number),
            after: self.after.map(Number),
            since: self.since,
            until: self.until,
            sender: self.from,
            receiver: self.to,
            unread: self.unread,
            limit: self.limit.unwrap_or(LIMIT),
        };
        let (actor, first, others) = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            let (first, others) = messages::begin(tx, &actor, &request, PAGE.into())?;
            Ok((actor, first, others))
        })?;
        let Context { app, out, .. } = &mut context;
        let more = others.chunks(PAGE.into()).map(|keys| app.read(|tx| messages::resume(tx, &actor, keys)));
        let shown = out.list(iter::once(Ok(first)).chain(more), "No messages found.")?;
        context.say_if_cut(shown, self.limit, LIMIT);
        Ok(())
    }
}
