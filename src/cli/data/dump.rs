//! `tidings data dump`

use clap::Args;

use crate::app::secret;
use crate::cli::progress::Progress;
use crate::cli::{Context, Outcome, counted, time};
use crate::model::{ConversationSelector, Timestamp, UserSelector};
use crate::transfer::dump::{Request, dump};
use crate::transfer::{Interruption, Tally};

/// Write the database, or a part of it, as JSON Lines that `tidings data load` reads
///
/// The dump is a snapshot of one moment and blocks nobody: if it is read slowly, the rest waits in a temporary file (in
/// TMPDIR). --conversation and --user add up; --since and --until narrow them. A partial dump is complete in itself: it
/// includes the messages that its messages reply to, their conversations with all participants, and all users it refers
/// to. It contains password hashes, so keep it safe. JSON Lines are the only format.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings data dump --conversation support --pseudonymise > support.jsonl")]
pub(in crate::cli) struct Dump {
    /// Dump this conversation (name or id); can be repeated
    #[arg(long, value_name = "CONV")]
    conversation: Vec<ConversationSelector>,

    /// Dump the conversations of this user; can be repeated
    #[arg(long, value_name = "USER")]
    user: Vec<UserSelector>,

    /// Dump messages sent at this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,

    /// Dump messages sent before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,

    /// Replace names, addresses, texts and ids by random ones, and leave out password hashes; times, numbers and who
    /// wrote to whom stay
    #[arg(long)]
    pseudonymise: bool,
}

impl Dump {
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        let request = Request {
            conversations: self.conversation,
            users: self.user,
            since: self.since,
            until: self.until,
            pseudonymise: self.pseudonymise.then(secret).transpose()?,
        };
        // Among lines on a terminal a bar would be a nuisance.
        let progress = (!context.out.is_terminal()).then(|| Progress::begin(context.out, "Dumping"));
        let actor = context.app.read(|tx| context.actor(tx))?;
        let Context { app, out, .. } = context;
        let counts = out.stream(|to| {
            let mut reached =
                |done, all| progress.iter().for_each(|progress| progress.doing_part("Dumping", done, all));
            let dumped = app.read(|tx| Ok(dump(tx, &actor, &request, to, &mut reached)))?;
            Ok(dumped.map_err(|failure| match failure {
                Interruption::Refused(error) => Interruption::Refused(app.with_hint(error)),
                unwritten @ Interruption::Unwritten(_) => unwritten,
            })?)
        })?;
        drop(progress);
        out.status(&said(counts));
        Ok(())
    }
}

/// How many records of each kind there are, in a sentence
fn said(counts: Tally) -> String {
    if counts == Tally::default() {
        return "The dump is empty: nothing matches.".to_owned();
    }
    let Tally { users, conversations, messages, notifications, .. } = counts;
    let kinds = [(users, "user"), (conversations, "conversation"), (messages, "message")]
        .map(|(count, noun)| counted(count, noun));
    format!("Dumped {} and {}.", kinds.join(", "), counted(notifications, "notification"))
}
