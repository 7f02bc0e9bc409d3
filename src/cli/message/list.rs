//! `tidings message list`

use std::iter;

use clap::Args;

use crate::cli::context::Acting;
use crate::cli::going::{self, Change, Source, still_there};
use crate::cli::{Context, Outcome, PAGE, limit, time};
use crate::error::{Kind, Result};
use crate::model::{
    Actor, ConversationSelector, EventKind, Message, MessageId, MessageSelector, Number, Timestamp, UserId,
    UserSelector,
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
    let (acting, actor) = (context.acting(), context.acting());
    let followed = Followed { found: request.clone(), actor, people: (None, None), request, acting };
    going::run(context, followed, narrowing)
}

/// The messages of a list that goes on
struct Followed {
    /// As it was asked for
    request: messages::List,
    acting: Acting,
    /// The same, by what does not change
    found: messages::List,
    actor: Acting,
    /// By whom and to whom only
    people: (Option<UserId>, Option<UserId>),
}

impl Followed {
    fn actor(&self, tx: &mut Tx<'_>) -> Result<Actor> {
        still_there(self.actor.actor(tx))
    }
}

impl Source for Followed {
    type Row = Message;

    fn message(row: &mut Message) -> &mut Message {
        row
    }

    fn find(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        self.actor = self.acting.lasting(tx)?;
        let actor = self.actor.actor(tx)?;
        self.found = self.request.clone();
        if let Some(conversation) = &mut self.found.conversation {
            *conversation = ConversationSelector::Id(service::conversation(tx, &actor, conversation)?.0.id);
        }
        let mut id = |user: &mut Option<UserSelector>| -> Result<Option<UserId>> {
            let Some(user) = user else { return Ok(None) };
            let id = service::user(tx, &actor, user)?.person.user_id;
            *user = UserSelector::Id(id);
            Ok(Some(id))
        };
        self.people = (id(&mut self.found.sender)?, id(&mut self.found.receiver)?);
        Ok(())
    }

    fn list(&self, tx: &mut Tx<'_>) -> Result<Vec<Message>> {
        let actor = self.actor(tx)?;
        Ok(messages::begin(tx, &actor, &self.found, usize::MAX)?.0)
    }

    fn from(&self, tx: &mut Tx<'_>, lowest: &Message) -> Result<Vec<Message>> {
        let actor = self.actor(tx)?;
        let request = messages::List {
            conversation: self.found.conversation.clone(),
            after: Some(Number(lowest.number.0 - 1)),
            limit: i64::MAX,
            ..messages::List::default()
        };
        Ok(messages::begin(tx, &actor, &request, usize::MAX)?.0)
    }

    fn one(&self, tx: &mut Tx<'_>, message: MessageId) -> Result<Option<Message>> {
        let actor = self.actor(tx)?;
        if let Some(conversation) = &self.found.conversation {
            service::conversation(tx, &actor, conversation)?;
        }
        match messages::show(tx, &actor, &MessageSelector::Id(message)) {
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    fn is_new(&self, event: &EventView, _: &Message) -> bool {
        event.event == EventKind::MessageCreated
    }

    fn is_wanted(&self, row: &Message) -> bool {
        let (from, to) = self.people;
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
