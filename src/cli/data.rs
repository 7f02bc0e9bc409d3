//! `tidings data`

mod load;

use clap::Subcommand;

use super::output::{Field, Output};
use super::{Context, Global, Outcome, Settings};
use crate::error::Error;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Load(load::Load),
}

impl Command {
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Load(_) => load::FIELDS,
        }
    }

    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        if settings.acting(global.acting.as_ref(), global.operator)?.is_some() {
            let refused = Error::forbidden("The data as a whole is the operator's affair.");
            return Err(refused.hint("Leave out --as; where TIDINGS_AS is set, say --operator.").into());
        }
        match self {
            Self::Load(command) => command.run(&mut Context::open(global, settings, out, false)?),
        }
    }
}
