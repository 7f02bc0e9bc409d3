//! `tidings data load`

use std::path::PathBuf;

use clap::Args;

use crate::cli::output::{Field, Piece, Record, View};
use crate::cli::progress::Progress;
use crate::cli::{Context, Failure, Outcome};
use crate::error::{Error, Kind};
use crate::transfer::RecordProblem;
use crate::transfer::input::Input;
use crate::transfer::load::{self, Loaded, MOST_PROBLEMS, Stage};

/// Load records as `data dump` writes them: users, conversations, messages, notifications
///
/// Checks the whole file first and lists every problem with its line. Loads all or nothing into an empty database, and
/// in steps into one that is in use. Skips what exists already, so an interrupted load continues when you repeat it.
/// Creates no notifications unless --notify is given.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings data load world.jsonl --dry-run\n  tidings data load backup.jsonl.gz\n  \
    zcat backup.jsonl.gz | tidings data load -")]
pub(in crate::cli) struct Load {
    /// JSON Lines, plain or compressed with gzip or zstd; `-` is standard input
    file: PathBuf,

    /// Create notifications for messages, as sending them would
    #[arg(long)]
    notify: bool,
}

impl Load {
    pub(super) fn open(&self) -> Result<Input, Error> {
        Input::open(&self.file)
    }

    pub(super) fn run(self, context: &mut Context<'_>, input: &Input) -> Outcome {
        let actor = context.app.read(|tx| context.actor(tx))?;
        let progress = Progress::begin(context.out, "Checking");
        let loaded = load::load(&context.app, &actor, input, self.notify, &mut |stage| match stage {
            Stage::Checking => progress.doing_part("Checking", input.position(), input.bytes),
            Stage::Hashing(done, all) => progress.doing_part("Hashing passwords", done as u64, all as u64),
            Stage::Writing(done, all) => progress.doing_part("Loading", done, all),
        });
        drop(progress);
        let loaded = loaded.map_err(|failure| failed(&input.name, failure, |line| format!("{}:{line}", input.name)))?;
        let is_empty = loaded.created.total() + loaded.skipped == 0;
        context.status(&format!("Loaded {}{}.", input.name, if is_empty { ": it holds no records" } else { "" }));
        say_if_older(context, loaded.created.older);
        Ok(context.out.show(&loaded)?)
    }
}

/// Says that messages stand behind newer ones: a conversation's order is by number.
pub(in crate::cli) fn say_if_older(context: &Context<'_>, older: u64) {
    if older > 0 {
        let are = if older == 1 { "1 message is".to_owned() } else { format!("{older} messages are") };
        context.out.status(&format!(
            "{are} older than earlier ones in the same conversation, which is ordered by number, not by time."
        ));
    }
}

/// Says all that is wrong with a file, and where: at the `place` of a line.
pub(in crate::cli) fn failed(name: &str, failure: load::Failure, place: impl Fn(u64) -> String) -> Failure {
    let (problems, changed) = match failure {
        load::Failure::Error(error) => return error.into(),
        load::Failure::Problems(problems) => (problems, "nothing was changed".to_owned()),
        load::Failure::Behind(count, problems) => (problems, format!("the {count} records before it are loaded")),
    };
    let is_conflict = problems.iter().all(|problem| problem.kind == Kind::Conflict);
    let kind = if is_conflict { Kind::Conflict } else { Kind::Invalid };
    let detail = match problems.len() {
        1 => format!("{name} has a problem; {changed}."),
        count if count >= MOST_PROBLEMS => format!("{name} has {count} problems and more; {changed}."),
        count => format!("{name} has {count} problems; {changed}."),
    };
    let placed = |problem: RecordProblem| (place(problem.line), problem.detail);
    Error::of_file(kind, detail, problems.into_iter().map(placed).collect()).into()
}

impl Record for Loaded {
    const FIELDS: &'static [Field] = &[
        Field::Object(
            "created",
            &[
                Field::Value("users"),
                Field::Value("conversations"),
                Field::Value("messages"),
                Field::Value("notifications"),
            ],
        ),
        Field::Value("skipped"),
    ];
    const COLUMNS: &'static [&'static str] = &["users", "conversations", "messages", "notifications", "there already"];

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let created = self.created;
        [created.users, created.conversations, created.messages, created.notifications, self.skipped]
            .map(Piece::from)
            .into()
    }
}
