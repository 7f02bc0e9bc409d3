//! `tidings notifications`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::context::Acting;
use super::going::{self, Change, Source, still_there};
use super::output::{Changed, Field, Paragraph, Piece, Record, View};
use super::{Context, Failure, Outcome, PAGE, counted, limit, pages};
use crate::error::{Kind, Result};
use crate::model::{
    Actor, EventKind, Message, MessageId, MessageKey, MessageSelector, Notification, NotificationKind, UserSelector,
};
use crate::service;
use crate::service::events::{EventView, Narrowing, Subject};
use crate::store::Tx;

/// The default of --limit
const LIMIT: i64 = 50;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(List),
    Count(Count),
    Read(Read),
    Unread(Unread),
}

impl Command {
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::List(_) => Notification::FIELDS,
            Self::Count(_) => Counts::FIELDS,
            Self::Read(_) | Self::Unread(_) => Changed::FIELDS,
        }
    }

    pub(super) fn run(self, mut context: Context<'_>) -> Outcome {
        match self {
            Self::List(command) => command.run(context),
            Self::Count(command) => command.run(&mut context),
            Self::Read(command) => command.run(&mut context),
            Self::Unread(command) => command.run(&mut context),
        }
    }
}

/// Whose notifications
#[derive(Debug, Args)]
struct Owner {
    /// For the operator: the notifications of this user
    #[arg(long, value_name = "USER")]
    user: Option<UserSelector>,
}

impl Owner {
    fn check(&self, context: &Context<'_>) -> Outcome {
        match (&self.user, &context.acting) {
            (None, None) => Err(Failure::Usage("Name the user: --as USER, or --user USER as the operator.".to_owned())),
            _ => Ok(()),
        }
    }

    fn find(&self, context: &Context<'_>, tx: &mut Tx<'_>) -> Result<(Actor, service::notifications::Owner)> {
        let actor = context.actor(tx)?;
        let owner = service::notifications::owner(tx, &actor, self.user.as_ref())?;
        Ok((actor, owner))
    }
}

/// List notifications by their messages, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings notifications list --unread --as bob\n  \
    tidings notifications list --follow --as bob")]
pub(super) struct List {
    #[command(flatten)]
    owner: Owner,
    /// Only unread ones
    #[arg(long)]
    unread: bool,
    /// How many at most [default: 50]
    #[arg(long, value_name = "N", value_parser = limit, allow_negative_numbers = true)]
    limit: Option<i64>,
    /// Only notifications after that of this message in the list
    #[arg(long, value_name = "MSG")]
    after: Option<MessageSelector>,
    /// Go on with what comes, and what becomes of what was shown, until Ctrl-C
    #[arg(long, conflicts_with = "after")]
    follow: bool,
}

impl List {
    fn run(self, mut context: Context<'_>) -> Outcome {
        self.owner.check(&context)?;
        if self.follow {
            return self.follow(context);
        }
        let (actor, owner) = context.app.read(|tx| self.owner.find(&context, tx))?;
        let Context { app, out, .. } = &mut context;
        let read = |below: Option<&MessageKey>, limit| {
            app.read(|tx| match below {
                None => service::notifications::list(tx, &actor, &owner, self.after.as_ref(), self.unread, limit),
                Some(below) => service::notifications::page(tx, &owner, *below, self.unread, limit),
            })
        };
        let pages = pages(self.limit.unwrap_or(LIMIT), read, |last: &Notification| last.message.key);
        let shown = out.list(pages, "No notifications found.")?;
        context.say_if_cut(shown, self.limit, LIMIT);
        Ok(())
    }
}

impl List {
    /// Lists, and goes on.
    fn follow(self, context: Context<'_>) -> Outcome {
        let narrowing = Narrowing {
            conversations: Vec::new(),
            kinds: vec![
                EventKind::MessageCreated,
                EventKind::MessageEdited,
                EventKind::MessageDeleted,
                EventKind::NotificationUpdated,
                EventKind::ConversationDeleted,
                EventKind::ParticipantRemoved,
                EventKind::UserDeleted,
            ],
        };
        let acting = context.acting();
        let limit = self.limit.unwrap_or(LIMIT);
        let followed = Followed {
            actor: context.acting(),
            owner: self.owner.user.clone(),
            acting,
            user: self.owner.user,
            unread: self.unread,
            limit,
        };
        going::run(context, followed, narrowing)
    }
}

/// The notifications of a list that goes on
struct Followed {
    /// As it was asked for
    acting: Acting,
    /// For the operator: whose
    user: Option<UserSelector>,
    /// The same, by what does not change
    actor: Acting,
    owner: Option<UserSelector>,
    unread: bool,
    limit: i64,
}

impl Followed {
    fn owner(&self, tx: &mut Tx<'_>) -> Result<(Actor, service::notifications::Owner)> {
        let actor = still_there(self.actor.actor(tx))?;
        let owner = still_there(service::notifications::owner(tx, &actor, self.owner.as_ref()))?;
        Ok((actor, owner))
    }
}

impl Source for Followed {
    type Row = Notification;

    fn message(row: &mut Notification) -> &mut Message {
        &mut row.message
    }

    fn find(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        self.actor = self.acting.lasting(tx)?;
        let actor = self.actor.actor(tx)?;
        let owner = service::notifications::owner(tx, &actor, self.user.as_ref())?;
        self.owner = self.user.is_some().then_some(UserSelector::Id(owner.user_id));
        Ok(())
    }

    fn list(&self, tx: &mut Tx<'_>) -> Result<Vec<Notification>> {
        let (actor, owner) = self.owner(tx)?;
        let mut list = service::notifications::list(tx, &actor, &owner, None, self.unread, self.limit)?;
        // What comes is below it.
        list.reverse();
        Ok(list)
    }

    fn from(&self, tx: &mut Tx<'_>, lowest: &Notification) -> Result<Vec<Notification>> {
        let (_, owner) = self.owner(tx)?;
        let mut found = Vec::new();
        let mut below = MessageKey(i64::MAX);
        while below >= lowest.message.key {
            let page = service::notifications::page(tx, &owner, below, false, PAGE.into())?;
            let Some(last) = page.last() else { break };
            below = last.message.key;
            found.extend(page);
        }
        found.retain(|notification| notification.message.key >= lowest.message.key);
        Ok(found)
    }

    fn one(&self, tx: &mut Tx<'_>, message: MessageId) -> Result<Option<Notification>> {
        let (_, owner) = self.owner(tx)?;
        match service::notifications::show(tx, &owner, message) {
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    fn is_new(&self, event: &EventView, row: &Notification) -> bool {
        match (event.event, &event.subject) {
            (EventKind::MessageCreated, _) => true,
            // Of an older message that mentions its owner now
            (EventKind::MessageEdited, Subject::Message { mentions: Some(mentions), .. }) => {
                !row.is_read && mentions.contains(&row.user)
            }
            _ => false,
        }
    }

    fn is_wanted(&self, row: &Notification) -> bool {
        !(self.unread && row.is_read)
    }

    fn change(old: &Notification, new: &Notification) -> Option<Change> {
        let is_edited = old.message.revision != new.message.revision;
        match (old.is_read == new.is_read, new.is_read) {
            // That it is unread is seen anyway.
            (false, false) => Some(Change::Seen),
            (false, true) => Some(Change::Called("read")),
            (true, _) if is_edited => Some(Change::Called("edited")),
            (true, _) if old.kind != new.kind || old.message.deleted != new.message.deleted => Some(Change::Seen),
            (true, _) => None,
        }
    }
}

/// Count notifications
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings notifications count --as bob")]
pub(super) struct Count {
    #[command(flatten)]
    owner: Owner,
}

impl Count {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        self.owner.check(context)?;
        let counts = context.app.read(|tx| {
            let (_, owner) = self.owner.find(context, tx)?;
            let (unread, count) = service::notifications::count(tx, &owner)?;
            Ok(Counts { unread, count })
        })?;
        Ok(context.out.show(&counts)?)
    }
}

/// Mark notifications as read
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings notifications read support#12 --as bob")]
pub(super) struct Read {
    #[command(flatten)]
    owner: Owner,
    /// The messages: ids, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG", required_unless_present = "all")]
    messages: Vec<MessageSelector>,
    /// All notifications
    #[arg(long, conflicts_with = "messages")]
    all: bool,
}

impl Read {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        self.owner.check(context)?;
        let count = context.app.write(|tx| {
            let (actor, owner) = self.owner.find(context, tx)?;
            if self.all {
                service::notifications::read_all(tx, &actor, &owner)
            } else {
                service::notifications::set_read(tx, &actor, &owner, &self.messages, true)
            }
        })?;
        marked(context, count, true)
    }
}

/// Mark notifications as unread
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings notifications unread support#12 --as bob")]
pub(super) struct Unread {
    #[command(flatten)]
    owner: Owner,
    /// The messages: ids, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG", required = true)]
    messages: Vec<MessageSelector>,
}

impl Unread {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        self.owner.check(context)?;
        let count = context.app.write(|tx| {
            let (actor, owner) = self.owner.find(context, tx)?;
            service::notifications::set_read(tx, &actor, &owner, &self.messages, false)
        })?;
        marked(context, count, false)
    }
}

/// Shows how many notifications were made read or unread.
pub(super) fn marked(context: &mut Context<'_>, count: i64, is_read: bool) -> Outcome {
    let is = if is_read { "read" } else { "unread" };
    context.status(&format!("Made {} {is}.", counted(count, "notification")));
    Ok(context.out.show(&Changed { count })?)
}

/// How many notifications there are.
#[derive(Debug, Serialize)]
struct Counts {
    unread: i64,
    count: i64,
}

impl Record for Counts {
    const FIELDS: &'static [Field] = &[Field::Value("unread"), Field::Value("count")];
    const COLUMNS: &'static [&'static str] = &["unread", "all"];

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        vec![self.unread.into(), self.count.into()]
    }
}

impl Record for Notification {
    const FIELDS: &'static [Field] = &[
        Field::Value("id"),
        Field::Value("user"),
        Field::Object("message", Message::FIELDS),
        Field::Value("kind"),
        Field::Value("is_read"),
        Field::Value("created_at"),
    ];

    fn ids(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }

    fn paragraph(&self, view: View) -> Option<Paragraph<'_>> {
        let Paragraph { mut heading, body, depth } = self.message.paragraph(view)?;
        let kind = match self.kind {
            NotificationKind::Message => None,
            NotificationKind::Reply => Some("reply to you"),
            NotificationKind::Mention => Some("mentions you"),
        };
        let marks = [Some("unread").filter(|_| !self.is_read), kind].into_iter().flatten();
        heading.splice(0..0, marks.map(|mark| vec![Piece::Alert(mark.to_owned())]));
        Some(Paragraph { heading, body, depth })
    }
}
