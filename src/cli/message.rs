//! `tidings message`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Record, time as shown_time};
use super::search;
use super::text::TextSource;
use super::{Context, ERASURE, Failure, Outcome, limit, time};
use crate::error::Kind;
use crate::model::{
    ConversationSelector, Message, MessageId, MessageSelector, Number, Revision, Timestamp, UserSelector,
};
use crate::service;
use crate::service::messages::{self, Change, Destination, Draft};
use crate::store::Tx;

/// How many things a list shows unless told
const LIMIT: i64 = 50;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Send(Send),
    List(List),
    Show(Show),
    Edit(Edit),
    History(History),
    Restore(Restore),
    Delete(Delete),
    Read(Read),
    Search(search::Search),
    Thread(search::Thread),
}

impl Command {
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        match self {
            Self::Send(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Edit(command) => command.run(context),
            Self::History(command) => command.run(context),
            Self::Restore(command) => command.run(context),
            Self::Delete(command) => command.run(context),
            Self::Read(command) => command.run(context),
            Self::Search(command) => command.run(context),
            Self::Thread(command) => command.run(context),
        }
    }
}

/// Send a message
///
/// Everybody else in the conversation whose level lets it through is notified by the same transaction.
#[derive(Debug, Args)]
#[command(
    override_usage = "tidings message send CONV TEXT --as USER\n       tidings message send --to USER TEXT --as USER",
    after_help = "Examples:\n  tidings message send support 'Hello, @bob' --as alice\n  \
        tidings message send --to bob --file letter.txt --as alice\n  \
        date | tidings message send support - --as alice --idempotency-key \"$(date +%F)\""
)]
pub(super) struct Send {
    /// The conversation (name, id, or @USER for the direct one), unless --to names a user; then the text; `-` reads it
    /// from standard input, and after -- it may begin with a dash
    #[arg(value_name = "CONV TEXT", num_args = 0..)]
    words: Vec<String>,
    /// Send to this user, in the direct conversation, begun where there is none
    #[arg(long, value_name = "USER")]
    to: Option<UserSelector>,
    /// The message this replies to: its id, or CONVERSATION#NUMBER
    #[arg(long, value_name = "MSG")]
    reply_to: Option<MessageSelector>,
    /// In a group: the one participant it is for
    #[arg(long, value_name = "USER")]
    receiver: Option<UserSelector>,
    /// Sending the same again with this key within 24 hours returns the first message
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    source: TextSource,
}

impl Send {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        context.needs_user()?;
        let mut words = self.words.into_iter();
        let destination = match self.to {
            Some(user) => Destination::User(user),
            None => match words.next() {
                Some(word) => Destination::Conversation(selector(&word)),
                None => return Err(Failure::Usage("Say where to: a conversation, or a user with --to.".to_owned())),
            },
        };
        let text = words.next();
        if words.next().is_some() {
            return Err(Failure::Usage("The text is one word to the shell: put it in quotes.".to_owned()));
        }
        let draft = Draft {
            destination,
            content: self.source.read(text)?,
            parent: self.reply_to,
            receiver: self.receiver,
            idempotency_key: self.idempotency_key,
        };
        let message = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            messages::send(tx, &actor, &draft)
        })?;
        Ok(context.out.created(&message)?)
    }
}

fn selector(word: &str) -> ConversationSelector {
    let Ok(selector) = word.parse();
    selector
}

/// List messages: the newest that match, oldest of them first
///
/// Without a conversation, all that one may see.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings message list support --limit 10\n  \
    tidings message list --from alice --since 2026-01-01T00:00:00Z\n  \
    tidings message list --unread --as bob")]
pub(super) struct List {
    /// Name, id, or @USER for the direct one
    #[arg(value_name = "CONV")]
    conversation: Option<ConversationSelector>,
    /// How many at most [default: 50]
    #[arg(long, value_name = "N", value_parser = limit, allow_negative_numbers = true)]
    limit: Option<i64>,
    /// The page just before this number of the conversation
    #[arg(long, value_name = "N", requires = "conversation")]
    before: Option<i64>,
    /// The page just after this number of the conversation
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
    /// Only what you have not read
    #[arg(long, conflicts_with_all = ["before", "after"])]
    unread: bool,
}

impl List {
    fn run(self, context: &mut Context<'_>) -> Outcome {
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
        let page = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            messages::list(tx, &actor, &request)
        })?;
        context.say_if_cut(page.len(), self.limit, LIMIT);
        Ok(context.out.list(&page, "There are no such messages.")?)
    }
}

/// Show a message
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message show support#12 -o json")]
pub(super) struct Show {
    /// The message: its id, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG")]
    message: MessageSelector,
}

impl Show {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let message = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            messages::show(tx, &actor, &self.message)
        })?;
        Ok(context.out.show(&message)?)
    }
}

/// Change the text of a message; the old one is kept in its history
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message edit support#12 'Hello, @carol' --reason typo --as alice")]
pub(super) struct Edit {
    /// The message: its id, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG")]
    message: MessageSelector,
    /// The new text; `-` reads it from standard input, and after -- it may begin with a dash
    text: Option<String>,
    /// Why, for the history
    #[arg(long)]
    reason: Option<String>,
    /// Refuse unless the message is still at this revision
    #[arg(long, value_name = "N")]
    if_revision: Option<i64>,
    #[command(flatten)]
    source: TextSource,
}

impl Edit {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let change =
            Change { content: self.source.read(self.text)?, reason: self.reason, if_revision: self.if_revision };
        let message = context.app.write(|tx| {
            let editor = context.actor(tx)?;
            messages::edit(tx, &editor, &self.message, &change)
        })?;
        context.status(&format!("The message is at revision {}.", message.revision));
        Ok(context.out.show(&message)?)
    }
}

/// Show the earlier texts of a message, newest first
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message history support#12")]
pub(super) struct History {
    /// The message: its id, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG")]
    message: MessageSelector,
}

impl History {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let history = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            messages::history(tx, &actor, &self.message)
        })?;
        Ok(context.out.list(&history, "There are no earlier texts.")?)
    }
}

/// Make an earlier text of a message its text again: an edit
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message restore support#12 1 --as alice")]
pub(super) struct Restore {
    /// The message: its id, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG")]
    message: MessageSelector,
    /// The revision, as `message history` shows it
    revision: i64,
}

impl Restore {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let message = context.app.write(|tx| {
            let editor = context.actor(tx)?;
            messages::restore(tx, &editor, &self.message, self.revision)
        })?;
        context.status(&format!("The message is at revision {}.", message.revision));
        Ok(context.out.show(&message)?)
    }
}

/// Delete messages for good: text, history and notifications
///
/// Where others' replies hang on one, a tombstone keeps its place.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message delete support#12 support#13 --yes")]
pub(super) struct Delete {
    /// The messages: ids, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG", required = true)]
    messages: Vec<MessageSelector>,
}

impl Delete {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let names: Vec<String> = self.messages.iter().map(ToString::to_string).collect();
        let delete = |tx: &mut Tx<'_>| {
            let actor = context.actor(tx)?;
            messages::delete(tx, &actor, &self.messages)
        };
        let question = |doomed: &Vec<MessageId>| {
            let name = if let [only] = names.as_slice() { only.clone() } else { format!("{} messages", doomed.len()) };
            Some((format!("Delete {}, with all earlier texts, for good?", names.join(", ")), name))
        };
        let message_ids = context.destroy(delete, question)?;
        let deleted = Deleted { count: message_ids.len(), message_ids };
        let messages = if deleted.count == 1 { "message" } else { "messages" };
        context.status(&format!("Deleted {} {messages}.", deleted.count));
        context.out.show(&deleted)?;
        context.erase(Some(ERASURE))
    }
}

/// Which messages were deleted.
#[derive(Debug, Serialize)]
struct Deleted {
    count: usize,
    message_ids: Vec<MessageId>,
}

impl Record for Deleted {
    const COLUMNS: &'static [&'static str] = &["count"];

    fn ids(&self) -> Vec<String> {
        self.message_ids.iter().map(ToString::to_string).collect()
    }

    fn cells(&self) -> Vec<String> {
        vec![self.count.to_string()]
    }
}

/// Make messages read: single ones, or all of a conversation
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings message read support --as bob\n  \
    tidings message read support#12 support#13 --as bob")]
pub(super) struct Read {
    /// Messages (ids, or CONVERSATION#NUMBER), or one conversation (name, id, or @USER)
    #[arg(value_name = "MSG|CONV", required = true)]
    targets: Vec<String>,
}

impl Read {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        context.needs_user()?;
        let conversation = match self.targets.as_slice() {
            [target] if !target.contains('#') => Some(selector(target)),
            _ => None,
        };
        let parse = |target: &String| {
            target
                .parse::<MessageSelector>()
                .map_err(|error| Failure::Usage(format!("“{target}” names no message: {error}.")))
        };
        // An id alone may be a message's or a conversation's; a name is a conversation's.
        let messages = match &conversation {
            Some(ConversationSelector::Name(_) | ConversationSelector::Direct(_)) => Vec::new(),
            _ => self.targets.iter().map(parse).collect::<Result<Vec<_>, _>>()?,
        };
        let count = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            let reader = service::notifications::owner(tx, &actor, None)?;
            if !messages.is_empty() {
                match (messages::read(tx, &actor, &reader, &messages), &conversation) {
                    (Err(error), Some(_)) if error.kind() == Kind::NotFound => {}
                    (done, _) => return done,
                }
            }
            match &conversation {
                Some(conversation) => messages::read_conversation(tx, &actor, &reader, conversation),
                None => Ok(0),
            }
        })?;
        super::notifications::marked(context, count, true)
    }
}

impl Record for Message {
    const COLUMNS: &'static [&'static str] = &[];

    fn ids(&self) -> Vec<String> {
        vec![self.message_id.to_string()]
    }

    fn cells(&self) -> Vec<String> {
        Vec::new()
    }

    fn paragraph(&self) -> Option<(String, &str)> {
        let mut heading = self.conversation_name.clone().unwrap_or_default();
        heading.extend(["#", &self.number.0.to_string()]);
        match &self.sender {
            Some(sender) => heading.extend([" ", &sender.username]),
            None => heading.push_str(" deleted"),
        }
        if let Some(receiver) = &self.receiver {
            heading.extend([" → ", &receiver.username]);
        }
        heading.extend([" · ", &shown_time(self.timestamp)]);
        if self.parent_message.is_some() {
            heading.push_str(" · reply");
        }
        if self.reply_count > 0 {
            heading.extend([
                " · ",
                &if self.reply_count == 1 { "1 reply".to_owned() } else { format!("{} replies", self.reply_count) },
            ]);
        }
        if self.edited {
            heading.extend([" · revision ", &self.revision.to_string()]);
        }
        if self.read {
            heading.push_str(" · read by all");
        }
        heading.extend([" · ", &self.ids().concat()]);
        Some((heading, &self.content))
    }
}

impl Record for Revision {
    const COLUMNS: &'static [&'static str] = &[];

    fn ids(&self) -> Vec<String> {
        vec![self.revision.to_string()]
    }

    fn cells(&self) -> Vec<String> {
        Vec::new()
    }

    fn paragraph(&self) -> Option<(String, &str)> {
        let editor = match &self.edited_by {
            Some(editor) => editor.username.as_str(),
            None => "the operator",
        };
        let mut heading = format!("revision {} · replaced {} by {editor}", self.revision, shown_time(self.edited_at));
        if let Some(reason) = &self.reason {
            heading.extend([" · ", reason]);
        }
        Some((heading, &self.content))
    }
}
