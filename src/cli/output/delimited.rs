//! CSV and TSV: nested objects as dotted columns, one record a line.

use std::io::{self, Write};

use serde_json::Value;

use super::escape::escape;
use super::fields::at;

/// A cell: text that people wrote, or a value of the program's
pub(super) enum Cell {
    Foreign(String),
    Own(String),
}

/// The cell of a column: text as it is, nothing for null, an array or object as JSON in one line.
pub(super) fn cell(record: &Value, column: &str) -> Cell {
    match at(record, column) {
        None => Cell::Own(String::new()),
        Some(Value::String(text)) => Cell::Foreign(text.clone()),
        Some(value) => Cell::Own(value.to_string()),
    }
}

impl Cell {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Foreign(text) | Self::Own(text) => text,
        }
    }

    /// The cell made harmless for a terminal
    pub(super) fn escaped(&self) -> Self {
        match self {
            Self::Foreign(text) => Self::Foreign(escape(text)),
            Self::Own(text) => Self::Own(escape(text)),
        }
    }

    /// The cell for a spreadsheet, which would run a text that begins as a formula does.
    fn guarded(&self) -> String {
        match self {
            Self::Foreign(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r']) => format!("'{text}"),
            cell => cell.text().to_owned(),
        }
    }
}

/// Writes rows as RFC 4180 has them, lines ended by a line feed.
pub(super) fn write_csv(out: &mut impl Write, rows: &[Vec<Cell>]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    for row in rows {
        writer.write_record(row.iter().map(Cell::guarded)).map_err(|error| match error.into_kind() {
            // As it is: a closed pipe must be known for one.
            csv::ErrorKind::Io(error) => error,
            kind => io::Error::other(format!("{kind:?}")),
        })?;
    }
    writer.flush()
}

/// Writes rows with a tab between cells; tab, line break and backslash within them as `\t`, `\n`, `\r`, `\\`, unless
/// they are escaped for a terminal already.
pub(super) fn write_tsv(out: &mut impl Write, rows: &[Vec<Cell>], are_escaped: bool) -> io::Result<()> {
    for row in rows {
        let cell = |cell: &Cell| if are_escaped { cell.text().to_owned() } else { tsv(cell.text()) };
        let cells: Vec<String> = row.iter().map(cell).collect();
        writeln!(out, "{}", cells.join("\t"))?;
    }
    Ok(())
}

fn tsv(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>, &[Vec<Cell>]) -> io::Result<()>, record: &Value) -> String {
        let row = ["text", "count", "none", "list", "person.name"].iter().map(|column| cell(record, column)).collect();
        let mut out = Vec::new();
        write(&mut out, &[row]).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cells_are_quoted_escaped_and_no_formulas() {
        let record = json!({"text": "=1+1\t\"a\"\r\n\\", "count": -1, "none": null, "list": ["x", 1], "person": null});
        assert_eq!(written(write_csv, &record), "\"'=1+1\t\"\"a\"\"\r\n\\\",-1,,\"[\"\"x\"\",1]\",\n");
        assert_eq!(
            written(|out, rows| write_tsv(out, rows, false), &record),
            "=1+1\\t\"a\"\\r\\n\\\\\t-1\t\t[\"x\",1]\t\n"
        );
        for text in ["+1", "-1", "@a", "\tx", "\rx"] {
            assert_eq!(Cell::Foreign(text.to_owned()).guarded(), format!("'{text}"));
        }
    }
}
