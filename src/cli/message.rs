//! `tidings message`

mod history;
mod list;
mod search;
pub(super) mod shown;
mod thread;

use clap::{Args, Subcommand};
use serde::Serialize;

use self::history::History;
use self::list::List;
use self::search::Search;
use self::thread::Thread;
use super::output::{Changed, Field, Piece, Record, View};
use super::text::TextSource;
use super::{Context, ERASURE, Failure, Outcome, counted};
use crate::error::Kind;
use crate::model::{ConversationSelector, Message, MessageId, MessageSelector, SearchHit, ThreadMessage, UserSelector};
use crate::service;
use crate::service::messages::{self, Destination, Draft, MessageEdit};
use crate::store::Tx;

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
    Search(Search),
    Thread(Thread),
}

impl Command {
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::History(command) => command.fields(),
            Self::Delete(_) => Deleted::FIELDS,
            Self::Read(_) => Changed::FIELDS,
            Self::Search(_) => SearchHit::FIELDS,
            Self::Thread(_) => ThreadMessage::FIELDS,
            _ => Message::FIELDS,
        }
    }

    pub(super) fn run(self, mut context: Context<'_>) -> Outcome {
        match self {
            Self::Send(command) => command.run(&mut context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(&mut context),
            Self::Edit(command) => command.run(&mut context),
            Self::History(command) => command.run(&mut context),
            Self::Restore(command) => command.run(&mut context),
            Self::Delete(command) => command.run(&mut context),
            Self::Read(command) => command.run(&mut context),
            Self::Search(command) => command.run(&mut context),
            Self::Thread(command) => command.run(&mut context),
        }
    }
}

/// Send a message
///
/// Notifies the other participants, as far as their levels allow, in the same transaction.
#[derive(Debug, Args)]
#[command(
    override_usage = "tidings message send CONV TEXT --as USER\n       tidings message send --to USER TEXT --as USER",
    after_help = "Examples:\n  tidings message send support 'Hello, @bob' --as alice\n  \
        tidings message send --to bob --file letter.txt --as alice\n  \
        date | tidings message send support - --as alice --idempotency-key \"$(date +%F)\""
)]
pub(super) struct Send {
    /// The conversation (name, id, or @USER for the direct one), unless --to names a user; then the text. `-` reads the
    /// text from standard input; after -- it can begin with a dash
    #[arg(value_name = "CONV TEXT", num_args = 0..)]
    words: Vec<String>,
    /// Send to this user, in the direct conversation, which is created if needed
    #[arg(long, value_name = "USER")]
    to: Option<UserSelector>,
    /// The message this replies to: its id, or CONVERSATION#NUMBER
    #[arg(long, value_name = "MSG")]
    reply_to: Option<MessageSelector>,
    /// In a group: the participant it is addressed to
    #[arg(long, value_name = "USER")]
    receiver: Option<UserSelector>,
    /// Send once: within 24 hours the same command with this key returns the first message
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
                None => {
                    return Err(Failure::Usage(
                        "The destination is missing: a conversation, or a user with --to.".to_owned(),
                    ));
                }
            },
        };
        let text = words.next();
        if words.next().is_some() {
            return Err(Failure::Usage("There is more than one text; put the text in quotes.".to_owned()));
        }
        let draft = Draft {
            destination,
            content: self.source.read(text)?,
            parent: self.reply_to,
            receiver: self.receiver,
            idempotency_key: self.idempotency_key,
        };
        let (message, notes) = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            Ok((messages::send(tx, &actor, &draft)?, tx.take_notes()))
        })?;
        for note in &notes {
            context.out.status(note);
        }
        if context.dry_run {
            context.status("Sent the message.");
        }
        Ok(context.out.created(&message)?)
    }
}

fn selector(word: &str) -> ConversationSelector {
    let Ok(selector) = word.parse();
    selector
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

/// Change the text of a message; its history keeps the old one
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message edit support#12 'Hello, @carol' --reason typo --as alice")]
pub(super) struct Edit {
    /// The message: its id, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG")]
    message: MessageSelector,
    /// The new text. `-` reads it from standard input; after -- it can begin with a dash
    text: Option<String>,
    /// The reason, for the history
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
            MessageEdit { content: self.source.read(self.text)?, reason: self.reason, if_revision: self.if_revision };
        let message = context.app.write(|tx| {
            let editor = context.actor(tx)?;
            messages::edit(tx, &editor, &self.message, &change)
        })?;
        context.status(&format!("The message is at revision {}.", message.revision));
        Ok(context.out.show(&message)?)
    }
}

/// Edit a message so that it has an earlier text again
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
            messages::restore(tx, &editor, &self.message, self.revision, None)
        })?;
        context.status(&format!("The message is at revision {}.", message.revision));
        Ok(context.out.show(&message)?)
    }
}

/// Delete messages with their histories and notifications; this cannot be undone
///
/// A message with replies leaves a tombstone.
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
        let count = i64::try_from(deleted.count).unwrap_or(i64::MAX);
        context.status(&format!("Deleted {}.", counted(count, "message")));
        let shown = context.out.show(&deleted);
        context.erase(shown, ERASURE)
    }
}

/// Which messages were deleted.
#[derive(Debug, Serialize)]
struct Deleted {
    count: usize,
    message_ids: Vec<MessageId>,
}

impl Record for Deleted {
    const FIELDS: &'static [Field] = &[Field::Value("count"), Field::Value("message_ids")];
    const COLUMNS: &'static [&'static str] = &["count"];

    fn ids(&self) -> Vec<String> {
        self.message_ids.iter().map(ToString::to_string).collect()
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        vec![self.count.into()]
    }
}

/// Mark messages as read: single ones, or all of a conversation
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
                .map_err(|error| Failure::Usage(format!("“{target}” is not a message: {error}.")))
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
