//! `tidings message list`

use std::cell::Cell;
use std::iter;

use clap::Args;

use crate::cli::context::Acting;
use crate::cli::going::{self, Change, Source};
use crate::cli::{Context, Outcome, PAGE, limit, time};
use crate::error::{Kind, Result};
use crate::model::{
    ConversationSelector, EventKind, Message, MessageId, MessageSelector, Number, Timestamp, UserId, UserSelector,
};
use crate::service;
use crate::service::events::{EventView, Narrowing};
use crate::service::messages;
use crate::store::Tx;

/// The default of --limit
const LIMIT: i64 = 50;

/// List messages: the newest that match, oldest of them first
///
/// Without a conversation, all visible messages.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings message list support --limit 10\n  \
    tidings message list --from alice --since 2026-01-01T00:00:00Z\n  \
    tidings message list --unread --as bob\n  \
    tidings message list support --follow --as bob")]
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
    /// Go on with what comes, and what becomes of what was shown, until Ctrl-C
    #[arg(long, requires = "conversation", conflicts_with_all = ["before", "after", "until", "unread"])]
    follow: bool,
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
        if self.follow {
            return follow(context, request);
        }
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

/// Lists, and goes on.
fn follow(context: Context<'_>, request: messages::List) -> Outcome {
    let narrowing = Narrowing {
        conversations: request.conversation.iter().cloned().collect(),
        kinds: vec![
            EventKind::MessageCreated,
            EventKind::MessageEdited,
            EventKind::MessageDeleted,
            EventKind::ConversationDeleted,
            EventKind::ParticipantRemoved,
        ],
    };
    let acting = context.acting();
    going::run(context, Followed { request, acting, people: Cell::default() }, narrowing)
}

/// The messages of a list that goes on
struct Followed {
    request: messages::List,
    acting: Acting,
    /// By whom and to whom only, as of the last look at the list
    people: Cell<(Option<UserId>, Option<UserId>)>,
}

impl Source for Followed {
    type Row = Message;

    fn message(row: &mut Message) -> &mut Message {
        row
    }

    fn list(&self, tx: &mut Tx<'_>) -> Result<Vec<Message>> {
        let actor = self.acting.actor(tx)?;
        let mut id = |user: &Option<UserSelector>| -> Result<Option<UserId>> {
            user.as_ref().map(|user| Ok(service::user(tx, &actor, user)?.person.user_id)).transpose()
        };
        self.people.set((id(&self.request.sender)?, id(&self.request.receiver)?));
        Ok(messages::begin(tx, &actor, &self.request, usize::MAX)?.0)
    }

    fn from(&self, tx: &mut Tx<'_>, lowest: &Message) -> Result<Vec<Message>> {
        let actor = self.acting.actor(tx)?;
        let request = messages::List {
            conversation: self.request.conversation.clone(),
            after: Some(Number(lowest.number.0 - 1)),
            limit: i64::MAX,
            ..messages::List::default()
        };
        Ok(messages::begin(tx, &actor, &request, usize::MAX)?.0)
    }

    fn one(&self, tx: &mut Tx<'_>, message: MessageId) -> Result<Option<Message>> {
        let actor = self.acting.actor(tx)?;
        match messages::show(tx, &actor, &MessageSelector::Id(message)) {
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    fn is_new(&self, event: &EventView, _: &Message) -> bool {
        event.event == EventKind::MessageCreated
    }

    fn is_wanted(&self, row: &Message) -> bool {
        let (from, to) = self.people.get();
        let is = |wanted: Option<UserId>, person: &Option<crate::model::UserRef>| {
            wanted.is_none_or(|wanted| person.as_ref().is_some_and(|person| person.user_id == wanted))
        };
        !row.deleted
            && self.request.since.is_none_or(|since| row.timestamp >= since)
            && is(from, &row.sender)
            && is(to, &row.receiver)
    }

    fn change(old: &Message, new: &Message) -> Option<Change> {
        match (old.deleted == new.deleted, old.revision == new.revision) {
            (true, true) => None,
            // A tombstone is seen to be one.
            (false, _) => Some(Change::Seen),
            (true, false) => Some(Change::Called("edited")),
        }
    }
}
