//! `tidings message thread`

use clap::Args;

use crate::cli::output::{Field, Paragraph, Record, View};
use crate::cli::{Context, Outcome};
use crate::model::{Message, MessageSelector, ThreadMessage};
use crate::service::messages;

/// Show a message and all that hangs on it, each reply below what it replies to
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message thread support#12")]
pub(in crate::cli) struct Thread {
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
        context.out.list([Ok(thread)], "")?;
        Ok(())
    }
}

impl Record for ThreadMessage {
    const FIELDS: &'static [Field] = &[Field::All(Message::FIELDS), Field::Value("depth")];

    fn ids(&self) -> Vec<String> {
        self.message.ids()
    }

    fn paragraph(&self, view: View) -> Option<Paragraph<'_>> {
        Some(Paragraph { depth: self.depth, ..self.message.paragraph(view)? })
    }
}
