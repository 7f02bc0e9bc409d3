//! `tidings data apply`

use std::path::{Path, PathBuf};

use clap::Args;

use super::load::{failed, say_if_older};
use crate::cli::output::{Field, Output, Piece, Record, View};
use crate::cli::progress::Progress;
use crate::cli::{Context, ERASURE_OF_ACCOUNTS, Failure, Outcome, counted, text};
use crate::transfer::RecordProblem;
use crate::transfer::apply::{self, Action, Fixture, Options, Plan, PlannedChange};
use crate::transfer::input::Input;
use crate::transfer::load::Stage;

/// The exit code for changes, with --detailed-exitcode
const CHANGED: u8 = 10;

/// Make the database match a fixture: users, conversations, messages, notifications
///
/// Matches users and groups by name, direct conversations by their two users, messages by key. Creates what is missing
/// and changes what differs, in one transaction; applying it again changes nothing. Keeps what the fixture does not
/// contain, unless --prune is given.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings data apply world.yaml\n  \
    tidings data apply users.yaml talk.jsonl --dry-run --detailed-exitcode\n  tidings data apply world.yaml --prune --yes")]
pub(in crate::cli) struct Apply {
    /// YAML, a JSON array, or JSON Lines; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Also delete users, conversations, participants and messages that the fixture does not contain
    #[arg(long)]
    prune: bool,

    /// Create notifications for new messages, as sending them would
    #[arg(long)]
    notify: bool,

    /// Exit with 10 if something changed or would change, with 0 if not
    #[arg(long)]
    detailed_exitcode: bool,
}

/// A fixture that was read
pub(super) struct Read {
    /// As people call it within a sentence
    name: String,
    fixture: Fixture,
    problems: Vec<RecordProblem>,
}

impl Apply {
    /// Reads the fixture, and what is wrong with its records.
    pub(super) fn read(&self, out: &Output) -> Result<Read, Failure> {
        if self.files.iter().filter(|file| file.as_path() == Path::new("-")).count() > 1 {
            return Err(Failure::Usage("Standard input can be read only once.".to_owned()));
        }
        let _progress = Progress::begin(out, "Reading");
        let inputs = self.files.iter().map(|file| Input::open(file)).collect::<Result<Vec<_>, _>>()?;
        let (fixture, problems) = Fixture::read(&inputs)?;
        let name = match inputs.as_slice() {
            [input] => input.name.clone(),
            inputs => format!("the fixture of {} files", inputs.len()),
        };
        Ok(Read { name, fixture, problems })
    }

    pub(super) fn run(self, context: &mut Context<'_>, read: Read) -> Outcome {
        let Read { name, fixture, problems } = read;
        let title = name.replacen("the", "The", usize::from(self.files.len() > 1));
        let options = Options { notify: self.notify, prune: self.prune };
        let actor = context.app.read(|tx| context.actor(tx))?;
        let progress = Progress::begin(context.out, "Checking");
        let checked = apply::check(&context.app, fixture, problems, options, &mut |stage| {
            if let Stage::Hashing(done, all) = stage {
                progress.doing_part("Hashing passwords", done as u64, all as u64);
            }
        });
        drop(progress);
        let checked = checked.map_err(|refused| failed(&title, refused.1, |line| refused.0.place(line)))?;
        let carry_out = |is_trial| {
            let plan = apply::apply(&context.app, &actor, &checked, options, is_trial);
            plan.map_err(|failure| failed(&title, failure, |line| checked.place(line)))
        };
        if self.prune && !context.dry_run && !context.yes {
            confirm(&carry_out(true)?)?;
        }
        let plan = carry_out(false)?;
        let removed = plan.count(Action::Removed);
        let unchanged = counted(plan.unchanged, "record");
        let is_changed = !plan.changes.is_empty();
        if is_changed {
            context.status(&format!(
                "Applied {name}: {} created, {} changed, {removed} removed, {unchanged} unchanged.",
                plan.count(Action::Created),
                plan.count(Action::Changed)
            ));
        }
        say_if_older(context, plan.older);
        let nothing = format!("All is as {name} says: {unchanged} unchanged.");
        let changes = Some(plan.changes).filter(|_| is_changed).map(Ok);
        let shown = context.out.list(changes, &nothing).map(|_| ());
        if removed > 0 {
            context.erase(shown, ERASURE_OF_ACCOUNTS)?;
        } else {
            shown?;
        }
        if self.detailed_exitcode && is_changed {
            context.out.exit_code = CHANGED;
        }
        Ok(())
    }
}

/// Asks before anything is removed.
fn confirm(plan: &Plan) -> Outcome {
    let removed: Vec<&PlannedChange> = plan.changes.iter().filter(|change| change.action == Action::Removed).collect();
    if removed.is_empty() {
        return Ok(());
    }
    let count = |kind| removed.iter().filter(|change| change.kind == kind).count() as u64;
    let question = format!(
        "Delete what the fixture does not contain: {}, {} and {} in all? This cannot be undone.",
        counted(count("user"), "user"),
        counted(count("conversation"), "conversation"),
        counted(plan.messages_removed, "message")
    );
    text::confirm_by_name(&question, "prune")
}

impl Record for PlannedChange {
    const FIELDS: &'static [Field] =
        &[Field::Value("action"), Field::Value("type"), Field::Value("name"), Field::Value("fields")];
    const COLUMNS: &'static [&'static str] = &["action", "type", "name", "fields"];

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let action = match self.action {
            Action::Created => "created".into(),
            Action::Changed => "changed".into(),
            Action::Removed => Piece::Alert("removed".to_owned()),
        };
        vec![action, self.kind.into(), Piece::Address(self.name.clone()), self.fields.join(", ").into()]
    }
}
