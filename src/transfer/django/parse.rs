//! What `manage.py dumpdata` writes, read row by row.

use std::fmt;
use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::error::Kind;
use crate::transfer::RecordProblem;
use crate::transfer::input::in_words;

/// A row of a dump: of a model, with a primary key, unless it was left out for a natural one.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Row {
    pub(super) model: String,
    #[serde(default)]
    pub(super) pk: Value,
    pub(super) fields: Map<String, Value>,
}

/// What is wrong with a dump, and at which line
type Outcome<T> = Result<T, RecordProblem>;

/// Reads the rows of an array, or one behind another, as JSON Lines are; no more than one is in memory.
///
/// # Errors
/// The first line that is not JSON or not what `dumpdata` writes.
pub(super) fn each_row(mut input: impl BufRead, mut take: impl FnMut(Row)) -> Outcome<()> {
    let (first, lines) = begin(&mut input)?;
    let refused = |error: serde_json::Error| refused(&error, lines);
    match first {
        Some(b'[') => {
            let mut json = serde_json::Deserializer::from_reader(input);
            Rows(&mut take).deserialize(&mut json).map_err(refused)?;
            json.end().map_err(refused)
        }
        Some(b'{') => serde_json::Deserializer::from_reader(input)
            .into_iter()
            .try_for_each(|row| row.map(&mut take))
            .map_err(refused),
        Some(0xFE | 0xFF) => Err(problem(
            1,
            "The file is UTF-16, which is not JSON. Let Django write it by itself: python -Xutf8 manage.py dumpdata \
             --output dump.json",
        )),
        Some(_) => Err(problem(
            lines + 1,
            "This is neither the beginning of an array nor of a row, as `manage.py dumpdata` writes them as json or jsonl.",
        )),
        None => Err(problem(1, "The file is empty.")),
    }
}

fn problem(line: usize, detail: impl Into<String>) -> RecordProblem {
    RecordProblem::new(line as u64, Kind::Invalid, detail)
}

/// Skips a byte order mark and white space; returns what byte follows, and how many lines were skipped.
fn begin(input: &mut impl BufRead) -> Outcome<(Option<u8>, usize)> {
    let mut lines = 0;
    loop {
        let buffer = input.fill_buf().map_err(|error| unreadable(lines + 1, &error))?;
        let Some(&first) = buffer.first() else { return Ok((None, lines)) };
        if buffer.starts_with(b"\xEF\xBB\xBF") {
            input.consume(3);
        } else if first.is_ascii_whitespace() {
            lines += usize::from(first == b'\n');
            input.consume(1);
        } else {
            return Ok((Some(first), lines));
        }
    }
}

fn unreadable(line: usize, cause: &dyn fmt::Display) -> RecordProblem {
    problem(line, format!("It cannot be read any further: {cause}."))
}

fn refused(error: &serde_json::Error, lines: usize) -> RecordProblem {
    let (line, said) = (error.line() + lines, in_words(error));
    match error.classify() {
        Category::Io => unreadable(line, &said),
        Category::Syntax => problem(line, format!("This is not JSON: {said} (column {}).", error.column())),
        Category::Eof => problem(line, "The file ends in the middle of it."),
        Category::Data => problem(line, format!("This is not what `manage.py dumpdata` writes: {said}.")),
    }
}

/// Gives the elements of an array away one by one.
struct Rows<'t, F>(&'t mut F);

impl<'de, F: FnMut(Row)> DeserializeSeed<'de> for Rows<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Row)> Visitor<'de> for Rows<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element()? {
            (self.0)(row);
        }
        Ok(())
    }
}
