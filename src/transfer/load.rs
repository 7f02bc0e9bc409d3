//! `data load`: records into the database, checked before anything is written.
//!
//! An empty database is filled in one transaction. A database in use is filled in steps, between which others can
//! write; existing records are skipped, so repeating an interrupted load continues it.

mod check;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Serialize;

pub use self::check::MOST_PROBLEMS;
pub(super) use self::check::{Check, Rules};
pub use self::write::{Told, Undated, Write};
use super::input::Input;
use super::records::Entry;
use super::{RecordProblem, Tally};
use crate::app::{App, hash_passwords, late_after};
use crate::error::{Error, Result};
use crate::model::Actor;
use crate::store::{Tx, bulk};

/// How many records are looked up and written together
const TOGETHER: usize = 4000;

/// … unless their texts come to so many bytes
const MOST_BYTES: usize = 2 << 20;

/// How many are written between two looks at the clock, beside others
const STRIDE: usize = 500;

/// … where each may notify thousands
const STRIDE_NOTIFYING: usize = 10;

/// How long one transaction may take while others wait for it
const STEP: Duration = Duration::from_millis(200);

/// The pause between two transactions: longer than a waiting writer sleeps before it tries again
const PAUSE: Duration = Duration::from_millis(15);

/// What a load does now, and how far it is
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Up to where the input has been read
    Checking,
    /// So many passwords of so many
    Hashing(usize, usize),
    /// So many records of so many
    Writing(u64, u64),
}

/// What a load came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// What was not there
    pub created: Tally,
    /// How many records were there already
    pub skipped: u64,
}

/// Why a load failed.
#[derive(Debug)]
pub enum Failure {
    /// The file has problems
    Problems(Vec<RecordProblem>),
    /// The database changed meanwhile; so many records before are loaded
    Behind(u64, Vec<RecordProblem>),
    /// The program or the database failed
    Error(Error),
}

impl Failure {
    /// The same failure, after so many records were loaded.
    fn behind(self, written: Tally) -> Self {
        match (written.total(), self) {
            (0, failure) => failure,
            (count, Self::Problems(problems) | Self::Behind(_, problems)) => Self::Behind(count, problems),
            (count, Self::Error(error)) => {
                let loaded = format!("{count} records are loaded");
                Self::Error(error.with_partial_result(&loaded).hint("Load the file again to go on."))
            }
        }
    }
}

impl From<RecordProblem> for Failure {
    fn from(problem: RecordProblem) -> Self {
        Self::Problems(vec![problem])
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A result that names what is wrong with the file
pub type Outcome<T> = std::result::Result<T, Failure>;

/// Loads a file of records.
///
/// # Errors
/// Every problem of the file, before anything is written. What came in between is a problem too, and nothing of its step is
/// written.
pub fn load(app: &App, actor: &Actor, input: &Input, notify: bool, on_stage: &mut dyn FnMut(Stage)) -> Outcome<Loaded> {
    let entries = || {
        let mut lines = input.lines()?;
        Ok(std::iter::from_fn(move || lines.next_record().transpose()).map(|entry| Ok(entry??)))
    };
    let place = |line: u64| format!("line {line}");
    load_entries(app, actor, entries, Rules { notify, may_differ: false, place: &place }, on_stage)
}

/// Loads records, wherever they come from: `entries` gives the same ones from the first on whenever it is called.
///
/// # Errors
/// As those of [`load`].
pub(super) fn load_entries<I: Iterator<Item = Outcome<Entry>>>(
    app: &App,
    actor: &Actor,
    entries: impl Fn() -> Outcome<I>,
    rules: Rules<'_>,
    on_stage: &mut dyn FnMut(Stage),
) -> Outcome<Loaded> {
    let notify = rules.notify;
    let Checked { is_empty, records, there, passwords } = reading(app, |tx| check(tx, entries()?, rules, on_stage))?;
    if app.is_dry_run() {
        return Ok(Loaded { created: records, skipped: there });
    }
    let hashes = hashes(passwords, on_stage)?;
    let write = Write { actor, notify, hashes: &hashes, is_alone: is_empty };
    let total = records.total() + there;
    let created = write_all(app, &write, entries, &mut |done| on_stage(Stage::Writing(done, total)))?;
    let raised = if notify { created.notifications } else { 0 };
    Ok(Loaded { created, skipped: total.saturating_sub(created.total() - raised) })
}

/// What checking records found
struct Checked {
    /// Nothing is there at all
    is_empty: bool,
    /// What is not there
    records: Tally,
    there: u64,
    /// By the line they stand on
    passwords: Passwords,
}

/// Passwords by the line they stand on, each with the hash that it may have already
pub(super) type Passwords = BTreeMap<u64, (String, Option<String>)>;

/// Hashes passwords, except those that have a hash already.
pub(super) fn hashes(passwords: Passwords, on_stage: &mut dyn FnMut(Stage)) -> Result<HashMap<u64, String>> {
    let (lines, passwords): (Vec<u64>, Vec<_>) = passwords.into_iter().unzip();
    let hashes = hash_passwords(&passwords, &mut |done| on_stage(Stage::Hashing(done, passwords.len())))?;
    Ok(lines.into_iter().zip(hashes).filter_map(|(line, hash)| Some((line, hash?))).collect())
}

fn check(
    tx: &mut Tx<'_>,
    mut all: impl Iterator<Item = Outcome<Entry>>,
    rules: Rules<'_>,
    on_stage: &mut dyn FnMut(Stage),
) -> Outcome<Checked> {
    let is_empty = bulk::is_empty(tx)?;
    let mut check = Check::new(rules)?;
    let mut entries = Vec::with_capacity(TOGETHER);
    let mut records = Tally::default();
    let mut is_over = false;
    while !is_over {
        entries.clear();
        take_some(&mut entries, || {
            while !check.is_hopeless() {
                match all.next() {
                    Some(Err(Failure::Problems(problems))) => check.problems.extend(problems),
                    Some(entry) => return entry.map(Some),
                    None => break,
                }
            }
            is_over = true;
            Ok(None)
        })?;
        records.add(check.go_on(tx, is_empty, &entries)?);
        on_stage(Stage::Checking);
    }
    check.end()?;
    if check.problems.is_empty() {
        Ok(Checked { is_empty, records, there: check.there, passwords: check.passwords })
    } else {
        Err(Failure::Problems(check.problems))
    }
}

/// Writes records: in one transaction, or in steps beside others.
///
/// `entries` begins with the first record each time; `on_progress` is called with the number written.
pub fn write_all<I: Iterator<Item = Outcome<Entry>>>(
    app: &App,
    write: &Write<'_>,
    entries: impl Fn() -> Outcome<I>,
    on_progress: &mut dyn FnMut(u64),
) -> Outcome<Tally> {
    let mut undated = Undated::new();
    let mut done = 0;
    if write.is_alone {
        return transaction(app, false, |tx| {
            (undated, done) = (Undated::new(), 0);
            let mut told = Told::new();
            if !app.is_dry_run() {
                must_be_empty(tx)?;
            }
            let mut entries = entries()?;
            let (mut written, mut some) = (Tally::default(), Vec::new());
            loop {
                some.clear();
                take_some(&mut some, || entries.next().transpose())?;
                if some.is_empty() {
                    return Ok(written);
                }
                written.add(write.records(tx, &mut undated, &mut told, &some)?);
                done += some.len() as u64;
                on_progress(done);
            }
        });
    }
    let mut entries = entries()?;
    let mut waiting: Vec<Entry> = Vec::new();
    let mut written = Tally::default();
    loop {
        take_some(&mut waiting, || entries.next().transpose())?;
        if waiting.is_empty() {
            return Ok(written);
        }
        let (count, step, left) = transaction(app, false, |tx| {
            let is_late = late_after(STEP);
            let (mut count, mut step, mut undated, mut told) = (0, Tally::default(), undated.clone(), Told::new());
            for some in waiting.chunks(if write.notify { STRIDE_NOTIFYING } else { STRIDE }) {
                step.add(write.records(tx, &mut undated, &mut told, some)?);
                count += some.len();
                if is_late() {
                    break;
                }
            }
            Ok((count, step, undated))
        })
        .map_err(|failure| failure.behind(written))?;
        undated = left;
        waiting.drain(..count);
        written.add(step);
        done += count as u64;
        on_progress(done);
        #[expect(clippy::disallowed_methods, reason = "other writers are let in")]
        std::thread::sleep(PAUSE);
    }
}

/// Adds entries until there are as many as are written together.
fn take_some(some: &mut Vec<Entry>, mut next: impl FnMut() -> Outcome<Option<Entry>>) -> Outcome<()> {
    let mut bytes: usize = some.iter().map(|entry| entry.record.bytes()).sum();
    while some.len() < TOGETHER
        && bytes < MOST_BYTES
        && let Some(entry) = next()?
    {
        bytes += entry.record.bytes();
        some.push(entry);
    }
    Ok(())
}

/// Runs a transaction that only reads, and may find problems of the file.
fn reading<T>(app: &App, mut work: impl FnMut(&mut Tx<'_>) -> Outcome<T>) -> Outcome<T> {
    app.read(|tx| match work(tx) {
        Err(Failure::Error(error)) => Err(error),
        outcome => Ok(outcome),
    })?
}

/// Runs a transaction that may end with a problem of the file; then, or in a trial, it is rolled back.
pub(super) fn transaction<T>(app: &App, is_trial: bool, mut work: impl FnMut(&mut Tx<'_>) -> Outcome<T>) -> Outcome<T> {
    let mut problems = Vec::new();
    let carried_out = |tx: &mut Tx<'_>| match work(tx) {
        Ok(value) => Ok(value),
        Err(Failure::Error(error)) => Err(error),
        Err(Failure::Problems(found) | Failure::Behind(_, found)) => {
            problems = found;
            Err(Error::conflict("The database changed meanwhile."))
        }
    };
    let outcome = if is_trial { app.try_out(carried_out) } else { app.write(carried_out) };
    match outcome {
        Err(_) if !problems.is_empty() => Err(Failure::Problems(problems)),
        outcome => Ok(outcome?),
    }
}

fn must_be_empty(tx: &mut Tx<'_>) -> Result<()> {
    if bulk::is_empty(tx)? {
        return Ok(());
    }
    Err(Error::conflict("The database was used meanwhile; nothing was loaded.").hint("Load it again."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_is_not_denied() {
        let failure = Failure::Error(Error::no_space()).behind(Tally { users: 3, ..Tally::default() });
        let Failure::Error(error) = failure else { panic!("another failure") };
        assert_eq!(error.to_string(), "The disk is full; 3 records are loaded.");
        assert_eq!(error.advice(), Some("Load the file again to go on."));
    }
}
