//! `tidings db`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Field, Output, Paragraph, Piece, Record, View, time};
use super::progress::Progress;
use super::serve::retention;
use super::{Context, Failure, Global, Outcome, Settings, counted, only_operator, text};
use crate::error::Error;
use crate::model::Pending;
use crate::store::check::Violation;
use crate::store::events::Retention;
use crate::store::{self, Contents, Location, Opened};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Migrate(Migrate),
    Status(Status),
    Check(Check),
    Backup(Backup),
    Restore(Restore),
    Compact(Compact),
}

impl Command {
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Migrate(_) | Self::Status(_) => State::FIELDS,
            Self::Check(_) => Violation::FIELDS,
            Self::Backup(_) | Self::Restore(_) => Copy::FIELDS,
            Self::Compact(_) => Compacted::FIELDS,
        }
    }

    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        only_operator(global, settings)?;
        match self {
            Self::Migrate(Migrate {}) => {
                let mut context = Context::open_or_create(global, settings, out)?;
                // A first start that was broken off may have left some of it.
                context.app.index()?;
                if context.opened == Opened::Ready {
                    context.out.status("The database is up to date.");
                }
                show_status(&mut context)
            }
            Self::Status(Status {}) => show_status(&mut Context::open(global, settings, out)?),
            Self::Check(Check {}) => check(&mut Context::open_as_it_is(global, settings, out)?),
            Self::Compact(Compact {}) => {
                let retention = retention(settings)?;
                compact(&mut Context::open_as_it_is(global, settings, out)?, retention)
            }
            Self::Backup(command) => command.run(global, settings, out),
            Self::Restore(command) => command.run(global, settings, out),
        }
    }
}

/// Upgrade the database to this version, or create it; commands upgrade it by themselves too
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings db migrate --db postgres://tidings@localhost/tidings")]
pub(super) struct Migrate {}

/// Show where the database is, its version, size, contents and pending work
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings db status -o json")]
pub(super) struct Status {}

fn show_status(context: &mut Context<'_>) -> Outcome {
    let (users, (conversations, messages), pending) = context.app.read(|tx| {
        Ok((store::users::count(tx)?, store::conversations::count(tx)?, store::maintenance::pending(tx)?))
    })?;
    let db = context.app.db();
    let sizes = db.sizes()?;
    let state = State {
        engine: db.engine(),
        location: context.location.to_string(),
        version: db.version()?,
        newest_version: store::VERSION,
        bytes: sizes.bytes,
        wal_bytes: sizes.wal_bytes,
        users,
        conversations,
        messages,
        pending,
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
    wal_bytes: Option<i64>,
    users: i64,
    conversations: i64,
    messages: i64,
    /// What is still to be done
    pending: Vec<Pending>,
}

impl Record for State {
    const FIELDS: &'static [Field] = &[
        Field::Value("engine"),
        Field::Value("location"),
        Field::Value("version"),
        Field::Value("newest_version"),
        Field::Value("bytes"),
        Field::Value("wal_bytes"),
        Field::Value("users"),
        Field::Value("conversations"),
        Field::Value("messages"),
        Field::Value("pending"),
    ];
    const COLUMNS: &'static [&'static str] = &[
        "engine",
        "location",
        "version",
        "newest version",
        "bytes",
        "bytes of the log",
        "users",
        "conversations",
        "messages",
        "pending",
    ];

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let pending: Vec<String> =
            self.pending.iter().map(|pending| format!("{} since {}", pending.task, time(pending.since))).collect();
        vec![
            self.engine.into(),
            self.location.as_str().into(),
            self.version.into(),
            self.newest_version.into(),
            self.bytes.into(),
            self.wal_bytes.map(|bytes| bytes.to_string()).unwrap_or_default().into(),
            self.users.into(),
            self.conversations.into(),
            self.messages.into(),
            if pending.is_empty() { "nothing".into() } else { Piece::Alert(pending.join("; ")) },
        ]
    }
}

/// Check the database: its files, its references, and all numbers, tombstones and names
///
/// Changes nothing and blocks nobody. Lists each problem with its remedy; exit code 7 if there is one. On PostgreSQL,
/// use pg_amcheck to check the pages.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings db check -o json")]
pub(super) struct Check {}

fn check(context: &mut Context<'_>) -> Outcome {
    let progress = Progress::begin(context.out, "Checking");
    let problems = context.app.check(|check| progress.doing(&format!("Checking {}", check.replace('_', " "))))?;
    drop(progress);
    warn_of_look_alikes(context);
    warn_of_unseen(context);
    for strange in context.app.db().strange()?.iter().filter(|strange| strange.is_harmless) {
        context.out.status(&strange.warning());
    }
    let count = context.out.list([Ok(problems)], "The database is sound: all checks passed.")?;
    if count == 0 {
        return Ok(());
    }
    let failed = counted(count, "check");
    let error = Error::unavailable(format!("The database {} is damaged: {failed} failed.", context.location));
    Err(error.hint("Each is listed with its remedy; keep a copy of the file before you change anything.").into())
}

/// Says which usernames look alike, which is no damage: the operator may give such names, and they may be from before.
fn warn_of_look_alikes(context: &Context<'_>) {
    // A damaged file is checked as far as it can be read.
    let Ok((alike, count)) = context.app.look_alikes() else { return };
    for (one, other) in &alike {
        context.out.status(&format!("Warning: the usernames “{one}” and “{other}” look alike."));
    }
    let more = count - i64::try_from(alike.len()).unwrap_or(i64::MAX);
    if more > 0 {
        context.out.status(&format!("Warning: {} look alike too.", counted(more, "more pair")));
    }
}

/// Says which usernames hold characters that are not seen, as [`warn_of_look_alikes`]: they are from before there was a rule, or
/// were brought back by their ids.
fn warn_of_unseen(context: &Context<'_>) {
    let Ok((unseen, count)) = context.app.unseen() else { return };
    for username in &unseen {
        context.out.status(&format!("Warning: the username “{username}” contains invisible characters."));
    }
    let more = count - i64::try_from(unseen.len()).unwrap_or(i64::MAX);
    if more > 0 {
        let more = counted(more, "more username");
        context.out.status(&format!("Warning: {more} with invisible characters."));
    }
}

impl Record for Violation {
    const FIELDS: &'static [Field] =
        &[Field::Value("check"), Field::Value("problems"), Field::Value("detail"), Field::Value("remedy")];

    fn ids(&self) -> Vec<String> {
        vec![self.check.to_owned()]
    }

    fn paragraph(&self, _: View) -> Option<Paragraph<'_>> {
        let heading = [Piece::Alert(self.check.to_owned()), counted(self.problems, "problem").into()];
        let heading = heading.into_iter().chain([self.detail.as_str().into()]).map(|piece| vec![piece]).collect();
        Some(Paragraph::new(heading, self.remedy))
    }
}

/// Copy the database to a new file while others use it, and verify the copy
///
/// Only the owner can read the copy. It is written as FILE.partial and renamed when it is complete and on the disk; an
/// existing file is never replaced.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings db backup backups/monday.db")]
pub(super) struct Backup {
    /// The new file
    file: PathBuf,
}

impl Backup {
    fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        let location = settings.location_or(global.db.as_deref())?;
        let source = file_of(&location, "back it up with pg_dump, for example: pg_dump --format=custom")?;
        let progress = Progress::begin(out, "Copying and verifying");
        let contents = store::backup(source, &self.file, global.dry_run)?;
        drop(progress);
        let copy = Copy::new(&self.file, &location, contents);
        copy.say_what_is_strange(out);
        say(global, out, &format!("Backed up the database {location} to {}.", copy.file));
        Ok(out.show(&copy)?)
    }
}

/// Replace the database with a backup
///
/// Verifies the backup first and does not change it. Replaces an existing database completely or not at all, and only
/// while no other program has it open. On a terminal you type its name to confirm; elsewhere --yes is needed. A backup
/// of an older version is upgraded when it is next used.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings db restore tidings-2026-01-01.db --dry-run")]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
}

impl Restore {
    fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        let location = settings.location_or(global.db.as_deref())?;
        let target = file_of(&location, "restore it with pg_restore or psql")?;
        let progress = Progress::begin(out, "Verifying");
        let contents = store::verify_backup(&self.file, target)?;
        drop(progress);
        let copy = Copy::new(&self.file, &location, contents);
        copy.say_what_is_strange(out);
        let may_replace = !matches!(target.try_exists(), Ok(false));
        if may_replace && !global.yes && !global.dry_run {
            let name = target.file_name().unwrap_or(target.as_os_str()).to_string_lossy();
            let question =
                format!("Replace the database {location} with {}? Its current contents are lost.", copy.file);
            text::confirm_by_name(&question, &name)?;
        }
        if !global.dry_run {
            let _progress = Progress::begin(out, "Restoring");
            if !store::restore(&self.file, target, may_replace)? {
                out.status(
                    "What was restored still lies in the log beside the file: it could not be moved into it. Keep the log; \
                     `tidings db compact` moves it, once there is room.",
                );
            }
        }
        say(global, out, &format!("Restored the database {location} from {}.", copy.file));
        Ok(out.show(&copy)?)
    }
}

/// The file of an SQLite database
fn file_of<'l>(location: &'l Location, instead: &str) -> Result<&'l Path, Failure> {
    match location {
        Location::Sqlite(path) => Ok(path),
        Location::Postgres(_) => Err(Failure::Usage(format!("The database {location} is not a file; {instead}."))),
    }
}

/// Reports what was done, or would be in a real run.
fn say(global: &Global, out: &Output, done: &str) {
    let dry_run = if global.dry_run { "Dry run, nothing was changed. Without --dry-run: " } else { "" };
    out.status(&format!("{dry_run}{done}"));
}

/// A database and its verified copy.
#[derive(Debug, Serialize)]
struct Copy {
    file: String,
    database: String,
    #[serde(flatten)]
    contents: Contents,
}

impl Copy {
    fn new(file: &Path, location: &Location, contents: Contents) -> Self {
        Self { file: file.display().to_string(), database: location.to_string(), contents }
    }

    /// Says what stands in the copy that is not ours.
    fn say_what_is_strange(&self, out: &Output) {
        for strange in &self.contents.strange {
            out.status(&strange.warning());
        }
    }
}

impl Record for Copy {
    const FIELDS: &'static [Field] =
        &[Field::Value("file"), Field::Value("database"), Field::Value("version"), Field::Value("bytes")];
    const COLUMNS: &'static [&'static str] = &["file", "database", "version", "bytes"];

    fn ids(&self) -> Vec<String> {
        vec![self.file.clone()]
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let Contents { version, bytes, .. } = self.contents;
        vec![self.file.as_str().into(), self.database.as_str().into(), version.into(), bytes.into()]
    }
}

/// Delete old events, return free space to the system, erase deleted data, and tidy the search index
///
/// TIDINGS_EVENT_DAYS and TIDINGS_EVENT_COUNT say which events are kept, as for `serve`. Rewrites the file, which
/// temporarily needs up to twice its size; writers wait meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings db compact")]
pub(super) struct Compact {}

fn compact(context: &mut Context<'_>, retention: Retention) -> Outcome {
    let db = context.app.db();
    let before = db.sizes()?.total();
    if context.dry_run {
        let after = db.free_bytes()?.map(|free| db.sizes().map(|sizes| sizes.bytes - free)).transpose()?;
        context.status("Compacted the database.");
        return Ok(context.out.show(&Compacted { bytes_before: before, bytes_after: after })?);
    }
    let progress = Progress::begin(context.out, "Compacting");
    context.app.prune_events(retention)?;
    let is_complete = context.app.compact()?;
    drop(progress);
    let after = db.sizes()?.total();
    context.status("Compacted the database.");
    if !is_complete {
        let pending = "Another program is reading, so the log beside the file could not be emptied; try again later.";
        context.out.status(pending);
    }
    Ok(context.out.show(&Compacted { bytes_before: before, bytes_after: Some(after) })?)
}

/// What compacting came to.
#[derive(Debug, Serialize)]
struct Compacted {
    bytes_before: i64,
    /// None where only doing it would tell
    bytes_after: Option<i64>,
}

impl Record for Compacted {
    const FIELDS: &'static [Field] = &[Field::Value("bytes_before"), Field::Value("bytes_after")];
    const COLUMNS: &'static [&'static str] = &["bytes before", "bytes after"];

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let after = self.bytes_after.map(|bytes| bytes.to_string()).unwrap_or_default();
        vec![self.bytes_before.into(), after.into()]
    }
}
