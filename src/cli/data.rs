//! `tidings data`

mod apply;
mod import;
mod load;
mod seed;

use clap::Subcommand;

use super::output::{Field, Output, Record as _};
use super::{Context, Global, Outcome, Settings};
use crate::error::Error;
use crate::transfer::apply::Change;
use crate::transfer::load::Loaded;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Apply(apply::Apply),
    /// Bring in what another system wrote
    #[command(subcommand)]
    Import(import::Command),
    Load(load::Load),
    Seed(seed::Seed),
}

impl Command {
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Apply(_) => Change::FIELDS,
            Self::Import(_) => import::FIELDS,
            Self::Load(_) | Self::Seed(_) => Loaded::FIELDS,
        }
    }

    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        if settings.acting(global.acting.as_ref(), global.operator)?.is_some() {
            let refused = Error::forbidden("The data as a whole is the operator's affair.");
            return Err(refused.hint("Leave out --as; where TIDINGS_AS is set, say --operator.").into());
        }
        let mut context = Context::open(global, settings, out, false)?;
        match self {
            Self::Apply(command) => command.run(&mut context),
            Self::Import(command) => command.run(&mut context),
            Self::Load(command) => command.run(&mut context),
            Self::Seed(command) => command.run(&mut context),
        }
    }
}
