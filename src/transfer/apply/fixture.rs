//! Fixtures: records as YAML, as a JSON array or as JSON Lines, from one file or several.

use std::io::{self, Read};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_saphyr::{Spanned, UserMessageFormatter};
use sha2::{Digest, Sha256};

use super::lines::LineFinder;
use crate::error::{Error, Kind, Result};
use crate::transfer::RecordProblem;
use crate::transfer::input::{Input, said_of};
use crate::transfer::records::{Entry, Record};

/// A fixture is held in memory; more is for `data load`.
const LONGEST: u64 = 32 << 20;

/// The records of some files, one after the other.
#[derive(Default)]
pub struct Fixture {
    /// Their lines are their places among all, counted from 1
    pub(super) entries: Vec<Entry>,
    /// File and line of each
    places: Vec<(usize, u64)>,
    files: Vec<String>,
}

/// The records of a file, or their problems, each with its line
type Found = Vec<(u64, std::result::Result<Record, String>)>;

impl Fixture {
    /// Reads files; YAML and JSON are recognized by their extensions, else by their beginning. Returns the records and
    /// the problems.
    ///
    /// # Errors
    /// `Unavailable` if a file cannot be read, `Invalid` if it is too large or not a fixture.
    pub fn read(inputs: &[Input]) -> Result<(Self, Vec<RecordProblem>)> {
        let mut fixture = Self::default();
        let mut problems = Vec::new();
        for input in inputs {
            fixture.files.push(input.name.clone());
            for (line, record) in records(input)? {
                fixture.places.push((fixture.files.len() - 1, line));
                let place = fixture.places.len() as u64;
                match record {
                    Ok(record) => fixture.entries.push(entry(place, record)?),
                    Err(detail) => problems.push(RecordProblem::new(place, Kind::Invalid, detail)),
                }
            }
        }
        Ok((fixture, problems))
    }

    /// The place of a record: `FILE:LINE`
    pub fn place(&self, place: u64) -> String {
        let index = usize::try_from(place).unwrap_or(usize::MAX).wrapping_sub(1);
        let (file, line) = self.places.get(index).copied().unwrap_or_default();
        format!("{}:{line}", self.files.get(file).map_or("", String::as_str))
    }
}

/// A record with an id made from what it says
fn entry(place: u64, record: Record) -> Result<Entry> {
    let said = serde_json::to_vec(&record).map_err(Error::internal)?;
    let mut hash = Sha256::new_with_prefix(said);
    // A password is never written, but two records that differ in it are not the same.
    if let Record::User(user) = &record {
        hash.update(user.password.as_deref().unwrap_or_default());
    }
    Ok(Entry::hashed(place, &hash.finalize(), record))
}

fn records(input: &Input) -> Result<Found> {
    let mut bytes = Vec::new();
    let unreadable = |cause: io::Error| {
        Error::invalid("file", format!("{} cannot be read: {cause}.", input.name)).with_source(cause)
    };
    input.unpacked()?.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 == LONGEST {
        let detail = format!("{} has {} MiB or more, too many for a fixture.", input.name, LONGEST >> 20);
        return Err(Error::invalid("file", detail).hint("Make it JSON Lines and load it: tidings data load FILE"));
    }
    let text = str::from_utf8(&bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len) + 1;
        no_fixture(input, line as u64, format!("The line is not UTF-8 from byte {column} on."))
    })?;
    let text = text.trim_start_matches('\u{FEFF}');
    let ends_with = |endings: &[&str]| endings.iter().any(|ending| input.name.to_ascii_lowercase().ends_with(ending));
    let begins_with = |character: char| text.trim_start().starts_with(character);
    if ends_with(&[".yaml", ".yml", ".yaml.gz", ".yml.gz"]) || !begins_with('[') && !begins_with('{') {
        yaml(input, text)
    } else if begins_with('[') {
        array(input, text)
    } else {
        Ok(lines(text))
    }
}

/// Says why a file cannot be read as a fixture.
fn no_fixture(input: &Input, line: u64, said: String) -> Error {
    let detail = format!("{} is not a fixture; nothing was changed.", input.name);
    Error::of_file(Kind::Invalid, detail, vec![(format!("{}:{line}", input.name), said)])
}

/// What is wrong with YAML, for people
fn said_of_yaml(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error::{
        AliasError, AliasExpansionLimitExceeded, AliasReplayLimitExceeded, AliasReplayStackDepthExceeded, Budget,
        DuplicateMappingKey, MultipleDocuments,
    };
    let cause = if let AliasError { error, .. } = error { error } else { error };
    let said = match cause {
        DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` stands twice"),
        DuplicateMappingKey { key: None, .. } => "a key stands twice".to_owned(),
        MultipleDocuments { .. } => "a second document begins".to_owned(),
        Budget { .. } => "there is more in it, or it is nested deeper, than is read as YAML".to_owned(),
        AliasReplayLimitExceeded { .. } | AliasExpansionLimitExceeded { .. } | AliasReplayStackDepthExceeded { .. } => {
            "its aliases stand for more than a fixture may hold".to_owned()
        }
        _ => {
            let said = error.render_with_formatter(&UserMessageFormatter);
            return said.replace("recursion limit exceeded", "it is nested too deeply");
        }
    };
    error.location().map_or_else(|| said.clone(), |location| format!("{said} (column {})", location.column()))
}

fn yaml(input: &Input, text: &str) -> Result<Found> {
    let found = from_yaml::<Option<Vec<Spanned<Value>>>>(text).map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map_or(1, |location| location.line());
        no_fixture(input, line, format!("This is not a YAML list of records: {}.", said_of_yaml(error)))
    })?;
    let finder = LineFinder::new(text);
    let read = |(index, spanned): (usize, Spanned<Value>)| match Record::deserialize(&spanned.value) {
        Ok(record) => (spanned.referenced.line(), Ok(record)),
        Err(error) => {
            let line = finder.of_problem(index, spanned.value).unwrap_or(spanned.referenced.line());
            (line, Err(said_of(&error)))
        }
    };
    Ok(found.unwrap_or_default().into_iter().enumerate().map(read).collect())
}

/// Reads YAML.
pub(super) fn from_yaml<T: DeserializeOwned>(text: &str) -> std::result::Result<T, serde_saphyr::Error> {
    // Enough for lists that are shared by aliases, not for an alias bomb.
    let limits = serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 };
    // In YAML 1.2, and in a conversation, “yes” and “on” are words.
    let options = serde_saphyr::options! { alias_limits: limits, strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options)
}

fn array(input: &Input, text: &str) -> Result<Found> {
    let found: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| no_fixture(input, error.line() as u64, said_of(&error)))?;
    let finder = LineFinder::new(text);
    let (mut line, mut end) = (1, 0);
    let read = |(index, raw): (usize, &RawValue)| {
        // Where it stands in the text it is a part of.
        let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
        line += text[end..start].matches('\n').count() as u64;
        end = start;
        serde_json::from_str(raw.get()).map_or_else(
            |error| {
                let value = serde_json::from_str(raw.get()).ok();
                let place = value.and_then(|value| finder.of_problem(index, value));
                (place.unwrap_or(line), Err(said_of(&error)))
            },
            |record| (line, Ok(record)),
        )
    };
    Ok(found.into_iter().enumerate().map(read).collect())
}

fn lines(text: &str) -> Found {
    let numbered = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    numbered.map(|(number, line)| (number, serde_json::from_str(line).map_err(|error| said_of(&error)))).collect()
}
