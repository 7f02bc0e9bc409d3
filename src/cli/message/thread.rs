//! `tidings message thread`

use std::collections::HashMap;

use clap::Args;

use crate::cli::output::{Field, Paragraph, Record, View};
use crate::cli::{Context, Outcome, PAGE};
use crate::model::{Message, MessageSelector, ThreadMessage};
use crate::service::messages;

/// Show a message and all replies to it, each below the message it replies to
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings message thread support#12")]
pub(in crate::cli) struct Thread {
    /// The message: its id, or CONVERSATION#NUMBER
    #[arg(value_name = "MSG")]
    message: MessageSelector,
}

impl Thread {
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        let (actor, thread) = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            let thread = messages::thread(tx, &actor, &self.message)?;
            Ok((actor, thread))
        })?;
        let Context { app, out, .. } = context;
        let pages = thread.chunks(PAGE.into()).map(|part| {
            let (keys, depths): (Vec<_>, HashMap<_, _>) =
                part.iter().map(|(key, depth)| (*key, (*key, *depth))).unzip();
            let page = app.read(|tx| messages::resume(tx, &actor, &keys))?;
            Ok(page.into_iter().map(|message| ThreadMessage { depth: depths[&message.key], message }).collect())
        });
        out.list(pages, "")?;
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
