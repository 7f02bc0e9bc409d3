//! Every byte of stdout and stderr: formats, tables, and the escaping of foreign text.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::error::Error;
use crate::model::Timestamp;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON value: a list is an array, one thing is an object
    Json,
    /// One JSON object a line
    Jsonl,
    /// One id a line
    Ids,
}

impl Format {
    /// Whether a program reads it
    fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl)
    }
}

/// Something that can be shown in every format.
pub(super) trait Record: Serialize {
    /// The headings of its columns
    const COLUMNS: &'static [&'static str];

    /// What names it: one id, or none for what has none
    fn ids(&self) -> Vec<String>;

    /// Its columns, for people
    fn cells(&self) -> Vec<String>;

    /// A heading and a text below it, for what is read rather than looked up
    fn paragraph(&self) -> Option<(String, &str)> {
        None
    }
}

/// How many things a command changed, where that is all there is to show.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub(super) count: i64,
}

impl Record for Changed {
    const COLUMNS: &'static [&'static str] = &["count"];

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }

    fn cells(&self) -> Vec<String> {
        vec![self.count.to_string()]
    }
}

/// Where results and talk go.
pub(super) struct Output {
    pub(super) format: Format,
    /// Say nothing but results
    pub(super) quiet: bool,
    /// Of what is created, show the id alone
    pub(super) terse: bool,
    verbose: bool,
    stdout: BufWriter<Stdout>,
}

impl Output {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that writes to stdout")]
    pub(super) fn new(format: Format, quiet: bool, verbose: bool) -> Self {
        Self { format, quiet, terse: quiet, verbose, stdout: BufWriter::new(io::stdout()) }
    }

    /// Shows one thing.
    pub(super) fn show<T: Record>(&mut self, thing: &T) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(thing, true),
            Format::Jsonl => self.json(thing, false),
            Format::Ids => self.lines(&thing.ids()),
            Format::Table => {
                if let Some(paragraph) = thing.paragraph() {
                    self.paragraph(&paragraph)
                } else {
                    self.sheet(thing)
                }
            }
        }
    }

    /// Shows what was just created: to whoever wants nothing else, its id alone.
    pub(super) fn created<T: Record>(&mut self, thing: &T) -> io::Result<()> {
        if self.terse && self.format == Format::Table { self.lines(&thing.ids()) } else { self.show(thing) }
    }

    /// Shows a list; for people it says where there is nothing.
    pub(super) fn list<T: Record>(&mut self, things: &[T], nothing: &str) -> io::Result<()> {
        match self.format {
            Format::Json => self.json(&things, true),
            Format::Jsonl => things.iter().try_for_each(|thing| self.json(thing, false)),
            Format::Ids => things.iter().try_for_each(|thing| self.lines(&thing.ids())),
            Format::Table if things.is_empty() => {
                self.status(nothing);
                Ok(())
            }
            Format::Table => {
                let paragraphs: Vec<_> = things.iter().filter_map(Record::paragraph).collect();
                if paragraphs.is_empty() {
                    self.rows(things)
                } else {
                    paragraphs.iter().try_for_each(|paragraph| self.paragraph(paragraph))
                }
            }
        }
    }

    /// Shows things as the rows of a table; on a terminal too narrow for it one below the other, so that nothing that is
    /// copied or compared is broken.
    fn rows<T: Record>(&mut self, things: &[T]) -> io::Result<()> {
        let mut table = table();
        table.set_header(T::COLUMNS.iter().map(|column| heading(column)));
        for thing in things {
            table.add_row(thing.cells().iter().map(|cell| Cell::new(escape(cell))));
        }
        let needed: u16 = table.column_max_content_widths().iter().map(|width| width.saturating_add(2)).sum();
        if table.width().is_none_or(|width| width == 0 || needed <= width) {
            return self.table(&table);
        }
        for (index, thing) in things.iter().enumerate() {
            if index > 0 {
                writeln!(self.stdout)?;
            }
            self.sheet(thing)?;
        }
        Ok(())
    }

    /// Shows a thing as a label and a value a line, as far as it has values.
    fn sheet<T: Record>(&mut self, thing: &T) -> io::Result<()> {
        let mut table = table();
        for (column, cell) in T::COLUMNS.iter().zip(thing.cells()).filter(|(_, cell)| !cell.is_empty()) {
            table.add_row([heading(column), Cell::new(escape(&cell))]);
        }
        self.table(&table)
    }

    /// Says what was done, to people, on stderr.
    pub(super) fn status(&self, sentence: &str) {
        if !self.quiet {
            talk(&escape(sentence));
        }
    }

    /// Writes a line of a result that is prose.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.stdout, "{}", escape(text))
    }

    fn lines(&mut self, texts: &[String]) -> io::Result<()> {
        texts.iter().try_for_each(|text| self.line(text))
    }

    /// Writes what is waiting to be written.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Says what went wrong: to programs a problem document, to people a sentence and a hint.
    pub(super) fn error(&self, error: &Error) {
        if self.format.is_json() {
            talk(&serde_json::to_string(&error.problem()).unwrap_or_default());
        } else {
            talk(&format!("tidings: {}", escape(&error.to_string())));
            if let Some(advice) = error.advice() {
                talk(&format!("hint: {}", escape(advice)));
            }
        }
        let mut cause = std::error::Error::source(error).filter(|_| self.verbose);
        while let Some(error) = cause {
            talk(&format!("cause: {}", escape(&error.to_string())));
            cause = error.source();
        }
    }

    fn json<T: Serialize + ?Sized>(&mut self, thing: &T, pretty: bool) -> io::Result<()> {
        if pretty {
            serde_json::to_writer_pretty(&mut self.stdout, thing)?;
        } else {
            serde_json::to_writer(&mut self.stdout, thing)?;
        }
        writeln!(self.stdout)
    }

    fn table(&mut self, table: &Table) -> io::Result<()> {
        for line in table.lines() {
            writeln!(self.stdout, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn paragraph(&mut self, (heading, body): &(String, &str)) -> io::Result<()> {
        writeln!(self.stdout, "{}", escape(heading))?;
        for line in body.split('\n').filter(|_| !body.is_empty()) {
            writeln!(self.stdout, "    {}", escape(line))?;
        }
        Ok(())
    }
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn heading(text: &str) -> Cell {
    let cell = Cell::new(text);
    #[expect(clippy::disallowed_methods, reason = "this is the one place that writes to stdout")]
    let is_terminal = io::stdout().is_terminal();
    if is_terminal { cell.add_attribute(Attribute::Bold) } else { cell }
}

/// Writes a text of the program's own to stdout, as it is.
#[expect(clippy::disallowed_methods, reason = "this is the one place that writes to stdout")]
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a line to stderr. There is nobody to tell when that fails.
pub(super) fn talk(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// An instant, for people
pub(super) fn time(instant: Timestamp) -> String {
    instant.date_time().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Makes foreign text harmless on a terminal: what could move the cursor, hide, or turn the direction of writing is shown
/// as `\u{…}`, and line breaks and tabs as `\n`, `\r`, `\t`.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        // A backslash that could be taken for one of ours is doubled.
        let is_ambiguous = character == '\\' && rest.as_str().starts_with(['u', 'n', 'r', 't', '\\']);
        if is_ambiguous || is_dangerous(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{3164}' | '\u{FFA0}' | '\u{E0000}'..='\u{E01EF}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_move_the_cursor_is_shown() {
        assert_eq!(escape("a\x1b[2Jb\r\n\tc\u{202e}d\u{9b}"), "a\\u{1b}[2Jb\\r\\n\\tc\\u{202e}d\\u{9b}");
        assert_eq!(escape("Grüße, 小明 🎉"), "Grüße, 小明 🎉");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text in ".*") {
            prop_assert!(!escape(&text).chars().any(is_dangerous));
        }
    }
}
