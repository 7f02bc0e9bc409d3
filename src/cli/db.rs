//! `tidings db`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Field, Piece, Record};
use super::{Context, Outcome};
use crate::store::{self, Opened};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Migrate(Migrate),
    Status(Status),
}

impl Command {
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Migrate(_) | Self::Status(_) => State::FIELDS,
        }
    }

    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        match self {
            Self::Migrate(Migrate {}) => {
                if context.opened == Opened::Ready {
                    context.out.status("The database is up to date.");
                }
                show_status(context)
            }
            Self::Status(Status {}) => show_status(context),
        }
    }
}

/// Bring the database up to date, making it where there is none; every command does so by itself
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings db migrate --db postgres://tidings@localhost/tidings")]
pub(super) struct Migrate {}

/// Show where the database is, its version, its size and what it holds
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings db status -o json")]
pub(super) struct Status {}

fn show_status(context: &mut Context<'_>) -> Outcome {
    let (users, (conversations, messages)) =
        context.app.read(|tx| Ok((store::users::count(tx)?, store::conversations::count(tx)?)))?;
    let db = context.app.db();
    let state = State {
        engine: db.engine(),
        location: context.location.to_string(),
        version: db.version()?,
        newest_version: store::VERSION,
        bytes: db.bytes()?,
        users,
        conversations,
        messages,
    };
    Ok(context.out.show(&state)?)
}

/// The state of the database.
#[derive(Debug, Serialize)]
struct State {
    engine: &'static str,
    location: String,
    version: i64,
    newest_version: i64,
    bytes: i64,
    users: i64,
    conversations: i64,
    messages: i64,
}

impl Record for State {
    const FIELDS: &'static [Field] = &[
        Field::Value("engine"),
        Field::Value("location"),
        Field::Value("version"),
        Field::Value("newest_version"),
        Field::Value("bytes"),
        Field::Value("users"),
        Field::Value("conversations"),
        Field::Value("messages"),
    ];
    const COLUMNS: &'static [&'static str] =
        &["engine", "location", "version", "newest version", "bytes", "users", "conversations", "messages"];

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }

    fn cells(&self) -> Vec<Piece> {
        let mut cells = vec![self.engine.into(), self.location.as_str().into()];
        let numbers = [self.version, self.newest_version, self.bytes, self.users, self.conversations, self.messages];
        cells.extend(numbers.map(Piece::from));
        cells
    }
}
