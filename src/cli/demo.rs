//! `tidings demo`: the program introduces itself, each step with the command that does it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use clap::{Args, Parser};

use super::output::Output;
use super::{Cli, Outcome, Settings};
use crate::error::Error;

/// What is said before a step, and the step's arguments
type Step = (&'static str, &'static [&'static str]);

const STEPS: &[Step] = &[
    (
        "Three people. (Without a password they cannot log in, but act they can.)",
        &["user", "create", "alice", "--no-password"],
    ),
    ("", &["user", "create", "bob", "--no-password"]),
    ("", &["user", "create", "carol", "--no-password"]),
    ("A group, begun by Alice.", &["conversation", "create", "bob", "carol", "--name", "support", "--as", "alice"]),
    (
        "She writes to it. Bob is mentioned; both are notified by the same transaction.",
        &["message", "send", "support", "Lunch at noon, @bob?", "--as", "alice"],
    ),
    ("Bob replies.", &["message", "send", "support", "Yes. At the harbour?", "--reply-to", "support#1", "--as", "bob"]),
    (
        "Alice changes her message …",
        &["message", "edit", "support#1", "Lunch at one, @bob?", "--reason", "the ferry is late", "--as", "alice"],
    ),
    ("… and what it said before is kept.", &["message", "history", "support#1"]),
    ("Everybody is told what concerns them.", &["notifications", "list", "--as", "alice"]),
    ("Carol reads up.", &["message", "read", "support", "--as", "carol"]),
    ("The conversation, as anybody in it sees it.", &["message", "list", "support", "--as", "carol"]),
    ("Alice leaves for good. A dry run says what that would delete …", &["user", "delete", "alice", "--dry-run"]),
    ("… and this does it, with a receipt.", &["user", "delete", "alice", "--yes"]),
    ("Bob's words stay. A tombstone keeps the place of what he replied to.", &["message", "list", "support"]),
];

/// Play a conversation on a small database, showing each step with the command that does it
///
/// The database is made in a fresh folder, or at --db, and stays for you to go on with.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings demo")]
pub(super) struct Demo {}

pub(super) fn run(db: Option<&str>, settings: &Settings, out: &mut Output) -> Outcome {
    let location = match db {
        Some(db) => db.to_owned(),
        None => fresh_folder()?.join("tidings.db").display().to_string(),
    };
    out.quiet = true;
    out.terse = false;
    for (index, (before, arguments)) in STEPS.iter().enumerate() {
        if !before.is_empty() {
            if index > 0 {
                out.line("")?;
            }
            out.line(&format!("# {before}"))?;
        }
        let words: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
        out.line(&format!("$ tidings {}", words.join(" ")))?;
        let line = ["tidings", "--db", location.as_str()].into_iter().chain(arguments.iter().copied());
        let mut cli = Cli::try_parse_from(line).map_err(|error| Error::internal(error.to_string()))?;
        cli.global.operator = cli.global.acting.is_none();
        super::dispatch(cli, settings, out)?;
    }
    out.line("")?;
    out.line("# Now you: the database stays. For example (`cargo install --path .` puts tidings on your path)")?;
    out.line(&format!("export TIDINGS_DB={}", quoted(&location)))?;
    out.line("tidings message send --to carol 'Hello!' --as bob")?;
    out.line("tidings notifications list --as carol")?;
    out.line("tidings --help")?;
    Ok(())
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

/// A word as a shell reads it back
fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_./@=:".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
