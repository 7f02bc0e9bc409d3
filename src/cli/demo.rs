//! `tidings demo`: the program introduces itself, each step with the command that does it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::{Args, Parser};

use super::output::Output;
use super::{Cli, Context, Failure, Global, Outcome, Settings};
use crate::app::quoted;
use crate::error::Error;
use crate::store;

/// What is said before a step, and the step's arguments
type Step = (&'static str, &'static [&'static str]);

const STEPS: &[Step] = &[
    (
        "Three people. (Without a password they cannot log in, but you can act as them.)",
        &["user", "create", "alice", "--no-password"],
    ),
    ("", &["user", "create", "bob", "--no-password"]),
    ("", &["user", "create", "carol", "--no-password"]),
    ("A group, created by Alice.", &["conversation", "create", "bob", "carol", "--name", "support", "--as", "alice"]),
    (
        "She writes to it. Bob is mentioned; both are notified by the same transaction.",
        &["message", "send", "support", "Lunch at noon, @bob?", "--as", "alice"],
    ),
    ("Bob replies.", &["message", "send", "support", "Yes. At the harbour?", "--reply-to", "support#1", "--as", "bob"]),
    (
        "Alice changes her message …",
        &["message", "edit", "support#1", "Lunch at one, @bob?", "--reason", "the ferry is late", "--as", "alice"],
    ),
    ("… and the earlier text is kept.", &["message", "history", "support#1"]),
    ("Everybody has notifications of their own.", &["notifications", "list", "--as", "alice"]),
    ("Carol marks the conversation as read.", &["message", "read", "support", "--as", "carol"]),
    ("The conversation, as every participant sees it.", &["message", "list", "support", "--as", "carol"]),
    ("Alice leaves for good. A dry run says what that would delete …", &["user", "delete", "alice", "--dry-run"]),
    ("… and this does it, with a receipt.", &["user", "delete", "alice", "--yes"]),
    ("Bob's reply stays. A tombstone keeps the place of the message he replied to.", &["message", "list", "support"]),
];

/// Play a conversation on a small database, and show the command of each step
///
/// The database is created in a new folder, or at --db, and is kept, so that you can continue with it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings demo")]
pub(super) struct Demo {}

pub(super) fn run(global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
    if global.dry_run {
        return Err(Failure::Usage("The demonstration uses its own database; --dry-run does not apply.".to_owned()));
    }
    let location = match &global.db {
        Some(db) => db.clone(),
        None => fresh_folder()?.join("tidings.db").display().to_string(),
    };
    out.demonstrate();
    let global = Global { db: Some(location.clone()), acting: None, operator: true, ..global.clone() };
    must_be_empty(&Context::open_or_create(&global, settings, out)?)?;
    for (index, (before, arguments)) in STEPS.iter().enumerate() {
        if !before.is_empty() {
            if index > 0 {
                out.line("")?;
            }
            out.line(&format!("# {before}"))?;
        }
        let words: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
        out.line(&format!("$ tidings {}", words.join(" ")))?;
        let line = ["tidings"].into_iter().chain(arguments.iter().copied());
        let step = Cli::try_parse_from(line).map_err(|error| Error::internal(error.to_string()))?;
        let Global { acting, dry_run, yes, .. } = step.global;
        let operator = acting.is_none();
        let global = Global { acting, operator, dry_run, yes, ..global.clone() };
        super::dispatch(Cli { global, command: step.command }, settings, out)?;
    }
    out.line("")?;
    out.line("# Now you: the database stays. For example (`cargo install --locked --profile dist --path .` puts tidings on your path)")?;
    out.line(&format!("export TIDINGS_DB={}", quoted(&location)))?;
    out.line("tidings message send --to carol 'Hello!' --as bob")?;
    out.line("tidings notifications list --as carol")?;
    out.line("tidings --help")?;
    Ok(())
}

/// The demonstration never mixes itself into a database that is in use.
fn must_be_empty(context: &Context<'_>) -> Result<(), Error> {
    if context.app.read(store::users::count)? == 0 {
        return Ok(());
    }
    Err(Error::conflict(format!("The database {} holds users already.", context.location))
        .hint("The demonstration needs an empty one: leave --db out, or name a new file."))
}

/// A new folder for the demonstration, for its owner only: `tidings-demo` in the folder for temporary files, or with a
/// number behind it.
fn fresh_folder() -> Result<PathBuf, Error> {
    for number in 1..1000 {
        let name = if number == 1 { "tidings-demo".to_owned() } else { format!("tidings-demo-{number}") };
        let folder = std::env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => {
                let detail = format!("The folder {} cannot be made: {cause}.", folder.display());
                return Err(Error::unavailable(detail).hint("Name a database with --db."));
            }
        }
    }
    Err(Error::unavailable("There are a thousand demonstrations already.")
        .hint("Delete some, or name a database with --db."))
}
