//! `tidings doctor`

mod files;

use clap::Args;
use serde::Serialize;

use super::keys;
use super::output::{Field, Output, Paragraph, Piece, Record, View};
use super::{Failure, Global, Outcome, Settings, counted};
use crate::app::clock;
use crate::error::{Error, Result};
use crate::model::{Pending, Task, Timestamp};
use crate::store::{self, Inspection, Location};

/// Check settings, secrets, permissions, disk, clock and engine
///
/// Lists each finding with a remedy. It changes nothing, and works without a database or with one that cannot be
/// opened. Exit code 7 if there is a problem. `tidings db check` checks the contents of a database.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings doctor -o json")]
pub(super) struct Doctor {}

/// How bad a finding is
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Problem,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// What was looked at, and what to do about it.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    level: Level,
    detail: String,
    remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, detail: detail.into(), remedy: None }
    }

    fn warning(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    fn problem(check: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::warning(check, detail, remedy) }
    }

    fn of_error(check: &'static str, error: &Error) -> Self {
        Self::problem(check, error.to_string(), error.advice().unwrap_or("Use --verbose for the cause."))
    }
}

/// The fields of a finding
pub(super) const FIELDS: &[Field] =
    &[Field::Value("check"), Field::Value("level"), Field::Value("detail"), Field::Value("remedy")];

impl Record for Finding {
    const FIELDS: &'static [Field] = FIELDS;

    fn ids(&self) -> Vec<String> {
        vec![self.check.to_owned()]
    }

    fn paragraph(&self, _: View) -> Option<Paragraph<'_>> {
        let word = self.level.word();
        let level = if self.level == Level::Ok { word.into() } else { Piece::Alert(word.to_owned()) };
        let heading = [level, self.check.into(), self.detail.as_str().into()].map(|piece| vec![piece]);
        Some(Paragraph::new(heading.into(), self.remedy.as_deref().unwrap_or_default()))
    }
}

pub(super) fn run(global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
    let mut findings = look_at_settings(global, settings);
    match settings.location_or(global.db.as_deref()) {
        Ok(location) => look_at_database(global, settings, &location, &mut findings),
        Err(failure) => findings.push(of_failure("location", failure)),
    }
    let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
    out.list([Ok(findings)], "Nothing was checked.")?;
    if problems == 0 {
        return Ok(());
    }
    let problems = counted(problems, "problem");
    Err(Error::unavailable(format!("The doctor found {problems}.")).hint("Each is listed with its remedy.").into())
}

fn of_failure(check: &'static str, failure: Failure) -> Finding {
    match failure {
        Failure::Usage(sentence) => Finding::problem(check, sentence, "Correct the setting: tidings config show"),
        Failure::Refused(error) => Finding::of_error(check, &error),
        Failure::Unwritten(error) => Finding::problem(check, error.to_string(), "Check the disk."),
    }
}

fn look_at_settings(global: &Global, settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(problem) = &settings.problem {
        findings.push(Finding::problem("settings", problem, "Correct that file, or name another with --env-file."));
    }
    if let Some(warning) = &settings.warning {
        findings.push(Finding::warning("settings", warning, "Change its owner (chown), or name it with --env-file."));
    }
    let parsed =
        [settings.format().err(), settings.now().err(), settings.seed().err(), super::serve::check(settings).err()];
    findings.extend(parsed.into_iter().flatten().map(|failure| of_failure("settings", failure)));
    if findings.is_empty() {
        findings.push(match &settings.file {
            Some(file) => Finding::ok("settings", format!("from the environment and {}", file.display())),
            None => Finding::ok("settings", "from the environment; there is no env file"),
        });
    }
    findings.extend(super::config::unknown(settings).into_iter().map(|(name, meant)| {
        let remedy = meant.map_or_else(
            || "Unset it; tidings config show lists the known ones.".to_owned(),
            |meant| format!("If you mean {meant}, rename it; else unset it."),
        );
        Finding::warning("settings", format!("unknown variable {name}"), remedy)
    }));
    let frozen = global.now.or_else(|| settings.now().ok().flatten());
    if let Some(now) = frozen {
        findings.push(Finding::warning(
            "frozen_clock",
            format!("the clock is frozen at {now}"),
            "Unset TIDINGS_NOW, unless this is a test.",
        ));
    }
    findings
}

fn look_at_database(global: &Global, settings: &Settings, location: &Location, findings: &mut Vec<Finding>) {
    if let Some(path) = location.file() {
        files::look(&path, findings);
    } else {
        findings.push(Finding::ok("location", location.to_string()));
    }
    findings.push(look_at_secrets(settings, location));
    let now = global.now.or_else(|| settings.now().ok().flatten()).unwrap_or_else(clock);
    let inspected = store::inspect(location);
    let newest_event = inspected.as_ref().ok().and_then(|found| found.newest_event);
    findings.push(look_at_clock(now, newest_event));
    look_at_engine(location, inspected, findings);
}

/// What signs access tokens
fn look_at_secrets(settings: &Settings, location: &Location) -> Finding {
    let check = "secret_key";
    match keys::check(settings, location) {
        Ok(true) => Finding::ok(check, "access tokens can be signed"),
        Ok(false) if location.file().is_some() => {
            Finding::ok(check, "there is none yet; `tidings serve` creates one beside the database")
        }
        // The other commands need none.
        Ok(false) => Finding::warning(check, keys::NOT_GIVEN, keys::RECIPE),
        Err(failure) => of_failure(check, failure),
    }
}

fn of_pending(Pending { task, since }: Pending) -> Finding {
    match task {
        Task::Erase => {
            let detail = format!("data deleted since {since} may remain in the file");
            Finding::warning("erasure", detail, "Erase it: tidings db compact")
        }
        Task::Index => {
            let detail = "not all messages are indexed for search yet";
            Finding::warning("search", detail, "Index them: tidings db migrate")
        }
        Task::Skeletons => {
            let detail = "not all usernames are checked for look-alikes yet";
            Finding::warning("usernames", detail, "Finish it: tidings db migrate")
        }
    }
}

fn look_at_clock(now: Timestamp, newest_event: Option<Timestamp>) -> Finding {
    let remedy = "Set the clock and keep it synchronized: timedatectl set-ntp true";
    let absurd = ["2025-01-01T00:00:00Z", "2100-01-01T00:00:00Z"].map(Timestamp::parse);
    if Some(now) < absurd[0] || Some(now) > absurd[1] {
        return Finding::problem("clock", format!("the clock shows {now}"), remedy);
    }
    match newest_event {
        Some(event) if event > now => {
            Finding::warning("clock", format!("the clock shows {now}, but the newest event is of {event}"), remedy)
        }
        _ => Finding::ok("clock", format!("it is {now}")),
    }
}

fn look_at_engine(location: &Location, inspected: Result<Inspection>, findings: &mut Vec<Finding>) {
    let found = match inspected {
        Ok(found) => found,
        Err(error) => return findings.push(Finding::of_error("database", &error)),
    };
    findings.push(if found.is_old {
        let remedy = format!("Use {} or later.", found.oldest);
        Finding::problem("engine", format!("{} is too old", found.engine), remedy)
    } else {
        Finding::ok("engine", found.engine.clone())
    });
    if let Some(encoding) = found.encoding {
        findings.push(if encoding == "UTF8" {
            Finding::ok("encoding", encoding)
        } else {
            let remedy = "Create a new database with ENCODING 'UTF8' TEMPLATE template0.";
            Finding::problem("encoding", format!("text is encoded as {encoding}"), remedy)
        });
    }
    findings.extend(found.pending.into_iter().map(of_pending));
    findings.push(match found.version {
        0 => {
            Finding::ok("database", format!("no database at {location} yet; the first command that uses it creates it"))
        }
        store::VERSION => Finding::ok("database", format!("version {}, up to date", store::VERSION)),
        older => Finding::warning(
            "database",
            format!("version {older}; this program's is {}", store::VERSION),
            "Back it up, then upgrade it: tidings db migrate",
        ),
    });
}
