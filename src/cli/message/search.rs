//! `tidings message search`

use std::time::Duration;

use clap::Args;

use crate::app::late_after;
use crate::cli::output::{Field, Paragraph, Record, TextMark, View};
use crate::cli::{Context, Outcome, limit, time};
use crate::model::{ConversationSelector, Message, SearchHit, Terms, Timestamp, UserSelector};
use crate::service::messages::{self, Partial};

/// The default of --limit
const LIMIT: i64 = 50;

/// How long a search may take before it shows what it found so far
const PATIENCE: Duration = Duration::from_secs(1);

/// Search messages for words, newest first
///
/// Finds messages that contain all the words, ignoring case and accents. A word that ends in * is a prefix. In one
/// conversation the newest messages are those with the highest numbers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings message search 'harbour lunch' --as alice\n  \
    tidings message search 'invoice*' --from bob --in support --since 2026-01-01T00:00:00Z")]
pub(in crate::cli) struct Search {
    /// The words; those that end in * are prefixes
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
    /// Best matches first, among the newest 500: messages that contain the words most often, in the fewest other words
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
            until: None,
            ranked: self.ranked,
            limit: self.limit.unwrap_or(LIMIT),
        };
        let is_late = late_after(PATIENCE);
        let findings = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            messages::search(tx, &actor, &request, &is_late)
        })?;
        let nothing = if Terms::parse(&request.query).is_empty() {
            "The query contains no letters or digits."
        } else {
            "No messages found."
        };
        let shown = context.out.list([Ok(findings.messages)], nothing)?;
        if let Some(partial) = findings.partial {
            context.out.status(match partial {
                Partial::Time => {
                    "There may be more, and newer ones: the search was cut short; narrow it with --in, --from, --since or more words."
                }
                Partial::Index => "There may be more: older messages are not indexed yet; see `tidings db migrate`.",
            });
        }
        context.say_if_cut(shown, self.limit, LIMIT);
        Ok(())
    }
}

impl Record for SearchHit {
    const FIELDS: &'static [Field] = &[Field::All(Message::FIELDS), Field::Value("snippet")];

    fn ids(&self) -> Vec<String> {
        self.message.ids()
    }

    fn paragraph(&self, view: View) -> Option<Paragraph<'_>> {
        let piece = |(text, is_found): (&str, bool)| {
            let change = if is_found { TextMark::Found } else { TextMark::Equal };
            (change, text.replace(['\n', '\r'], " ").into())
        };
        Some(Paragraph { body: self.snippet.pieces().map(piece).collect(), ..self.message.paragraph(view)? })
    }
}
