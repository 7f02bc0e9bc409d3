//! `tidings data import`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::load::{failed, say_if_older};
use crate::cli::output::{Field, Output, Piece, Record, View};
use crate::cli::progress::Progress;
use crate::cli::{Context, Failure, Outcome};
use crate::error::{Error, Kind};
use crate::transfer::django::{self, NotCarried};
use crate::transfer::input::Input;
use crate::transfer::load::{Loaded, Stage};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    Django(Django),
}

/// Import what `manage.py dumpdata` wrote: users, conversations, messages, histories, notifications
///
/// Works whatever the Django apps are called. Keeps UUIDs and passwords; importing again adds nothing. Reports each row
/// that is not carried over or was changed, with the reason, and imports the others. Refuses the whole file if it
/// breaks a rule of the database or differs from what exists.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  python -Xutf8 manage.py dumpdata --output dump.json\n  \
    tidings data import django dump.json --dry-run\n  tidings data import django dump.json.gz -o json")]
pub(in crate::cli) struct Django {
    /// JSON or JSON Lines, plain or compressed with gzip or zstd; `-` is standard input
    file: PathBuf,
}

/// A dump that was read
pub(super) struct Read {
    name: String,
    imported: django::Imported,
}

impl Django {
    /// Reads the dump, and tells what of it is not carried over.
    pub(super) fn read(&self, out: &Output) -> Result<Read, Failure> {
        let input = Input::open(&self.file)?;
        let name = input.name.clone();
        let progress = Progress::begin(out, "Reading");
        let imported = django::read(input.unpacked()?)
            .map_err(|problem| failed(&name, problem.into(), |line| format!("{name}:{line}")))?;
        drop(progress);
        // Programs find them in the result.
        if !out.is_json() {
            imported.not_carried.iter().for_each(|row| out.status(&format!("{name}: {row}")));
        }
        if imported.entries.is_empty() {
            let detail = format!("{name} holds no users, conversations or messages to import; nothing was changed.");
            return Err(Error::of_file(Kind::Invalid, detail, Vec::new()).into());
        }
        Ok(Read { name, imported })
    }
}

impl Read {
    /// Imports the dump.
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        let Self { name, imported } = self;
        let actor = context.app.read(|tx| context.actor(tx))?;
        let progress = Progress::begin(context.out, "Checking");
        let loaded = imported.load(&context.app, &actor, &mut |stage| match stage {
            Stage::Checking => progress.doing("Checking"),
            Stage::Hashing(..) => {}
            Stage::Writing(done, all) => progress.doing_part("Importing", done, all),
        });
        drop(progress);
        let place = |line| format!("{name}: {}", imported.place(line));
        let loaded = loaded.map_err(|failure| failed(&name, failure, place))?;
        context.status(&format!("Imported {name}."));
        say_if_older(context, loaded.created.older);
        Ok(context.out.show(&Imported { loaded, not_carried: imported.not_carried })?)
    }
}

/// What an import came to
#[derive(Debug, Serialize)]
struct Imported {
    #[serde(flatten)]
    loaded: Loaded,
    not_carried: Vec<NotCarried>,
}

/// The fields of what an import came to
pub(super) const FIELDS: &[Field] = &[Field::All(Loaded::FIELDS), Field::Value("not_carried")];

impl Record for Imported {
    const FIELDS: &'static [Field] = FIELDS;
    const COLUMNS: &'static [&'static str] =
        &["users", "conversations", "messages", "notifications", "there already", "not carried"];

    fn ids(&self) -> Vec<String> {
        self.loaded.ids()
    }

    fn cells(&self, view: View) -> Vec<Piece> {
        let mut cells = self.loaded.cells(view);
        cells.push(Piece::from(self.not_carried.len() as u64));
        cells
    }
}
