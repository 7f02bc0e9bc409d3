//! `tidings message history`

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use crate::cli::output::{Field, Paragraph, Piece, Record, TextMark, View};
use crate::cli::user::PERSON;
use crate::cli::{Context, Outcome};
use crate::model::{Change, DiffPart, MessageSelector, Revision, diff};
use crate::service::messages;

/// The time limit for comparing all texts of a history; after it, whole texts are shown as changed
const PATIENCE: Duration = Duration::from_secs(2);

/// Show the earlier texts of a message, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings message history support#12\n  tidings message history support#12 --diff")]
pub(in crate::cli) struct History {
    /// The message: its id, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG")]
    message: MessageSelector,
    /// Show the changes from each text to the next, word by word
    #[arg(long)]
    diff: bool,
}

impl History {
    pub(super) fn fields(&self) -> &'static [Field] {
        if self.diff { Compared::FIELDS } else { Revision::FIELDS }
    }

    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        let (message, history) = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            Ok((messages::show(tx, &actor, &self.message)?, messages::history(tx, &actor, &self.message)?))
        })?;
        let nothing = "The message has no earlier texts.";
        if self.diff {
            context.out.list([Ok(compared(history, message.content))], nothing)?;
        } else {
            context.out.list([Ok(history)], nothing)?;
        }
        Ok(())
    }
}

/// Revisions, newest first, each with what changed from it to the next.
fn compared(history: Vec<Revision>, current: String) -> Vec<Compared> {
    let deadline = Instant::now() + PATIENCE;
    let mut next = current;
    let mut compared = Vec::new();
    for revision in history {
        let diff = diff(&revision.content, &next, deadline);
        next.clone_from(&revision.content);
        compared.push(Compared { revision, diff });
    }
    compared
}

/// A revision, and what changed from it to the next.
#[derive(Debug, Serialize)]
struct Compared {
    #[serde(flatten)]
    revision: Revision,
    diff: Vec<DiffPart>,
}

impl Record for Compared {
    const FIELDS: &'static [Field] = &[Field::All(Revision::FIELDS), Field::Value("diff")];

    fn ids(&self) -> Vec<String> {
        self.revision.ids()
    }

    fn paragraph(&self, view: View) -> Option<Paragraph<'_>> {
        let part = |part: &DiffPart| (mark(part.op), part.text.clone().into());
        Some(Paragraph { body: self.diff.iter().map(part).collect(), ..self.revision.paragraph(view)? })
    }
}

/// How a change looks
fn mark(change: Change) -> TextMark {
    match change {
        Change::Equal => TextMark::Equal,
        Change::Delete => TextMark::Delete,
        Change::Insert => TextMark::Insert,
    }
}

impl Record for Revision {
    const FIELDS: &'static [Field] = &[
        Field::Value("message"),
        Field::Value("revision"),
        Field::Value("content"),
        Field::Value("edited_at"),
        Field::Object("edited_by", PERSON),
        Field::Value("edited_by_operator"),
        Field::Value("reason"),
    ];

    fn ids(&self) -> Vec<String> {
        vec![self.revision.to_string()]
    }

    fn paragraph(&self, _: View) -> Option<Paragraph<'_>> {
        let editor = match &self.edited_by {
            Some(editor) => Piece::Person(editor.username.clone()),
            None => "the operator".into(),
        };
        let mut heading = vec![
            vec![Piece::Address(format!("revision {}", self.revision))],
            vec!["replaced".into(), Piece::Time(self.edited_at), "by".into(), editor],
        ];
        if let Some(reason) = &self.reason {
            heading.push(vec![reason.as_str().into()]);
        }
        Some(Paragraph::new(heading, &self.content))
    }
}
