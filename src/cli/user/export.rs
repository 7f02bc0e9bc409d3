//! `tidings user export`

use clap::Args;

use crate::cli::{Context, Outcome};
use crate::model::UserSelector;
use crate::transfer::export::export;

/// Write everything about a user as one JSON document
///
/// The account, the conversations they take part in, the messages they sent with their histories, those sent to them,
/// earlier texts of others' messages that they changed, and their notifications, newest first. For the user, admins and
/// the operator. JSON is the only format.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user export alice > alice.json")]
pub(in crate::cli) struct Export {
    /// Id, username or email
    user: UserSelector,
}

impl Export {
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        let actor = context.app.read(|tx| context.actor(tx))?;
        Ok(export(&context.app, &actor, &self.user, None, context.out.document())?)
    }
}
