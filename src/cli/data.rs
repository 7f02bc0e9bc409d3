//! `tidings data`

mod apply;
mod dump;
mod import;
mod load;
mod seed;

use clap::Subcommand;

pub(super) use self::load::failed;
use super::output::{Field, Format, Output, Record as _};
use super::{Context, Global, Outcome, Settings, only_operator};
use crate::transfer::apply::PlannedChange;
use crate::transfer::load::Loaded;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Dump(dump::Dump),
    Load(load::Load),
    Apply(apply::Apply),
    Seed(seed::Seed),
    /// Import the data of another system
    #[command(subcommand)]
    Import(import::Command),
}

impl Command {
    pub(super) fn only_format(&self) -> Option<Format> {
        if let Self::Dump(_) = self { Some(Format::Jsonl) } else { None }
    }

    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Dump(_) => &[],
            Self::Load(_) | Self::Seed(_) => Loaded::FIELDS,
            Self::Apply(_) => PlannedChange::FIELDS,
            Self::Import(_) => import::FIELDS,
        }
    }

    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        only_operator(global, settings)?;
        // The input is checked first: if it is missing or bad, no database is created.
        match self {
            Self::Dump(command) => command.run(&mut Context::open(global, settings, out)?),
            Self::Load(command) => {
                let input = command.open()?;
                command.run(&mut Context::open_to_fill(global, settings, out)?, &input)
            }
            Self::Apply(command) => {
                let read = command.read(out)?;
                command.run(&mut Context::open_to_fill(global, settings, out)?, read)
            }
            Self::Seed(command) => {
                command.plan()?;
                command.run(&mut Context::open_to_fill(global, settings, out)?)
            }
            Self::Import(import::Command::Django(command)) => {
                let read = command.read(out)?;
                read.run(&mut Context::open_to_fill(global, settings, out)?)
            }
        }
    }
}
