//! `tidings data`

mod dump;

use clap::Subcommand;

use super::output::{Field, Output};
use super::{Context, Global, Outcome, Settings, only_operator};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Dump(dump::Dump),
}

impl Command {
    pub(super) fn only_reads(&self) -> bool {
        match self {
            Self::Dump(_) => true,
        }
    }

    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Dump(_) => &[],
        }
    }

    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        only_operator(global, settings)?;
        let only_reads = self.only_reads();
        match self {
            Self::Dump(command) => {
                dump::check(global)?;
                command.run(&mut Context::open(global, settings, out, only_reads)?)
            }
        }
    }
}
