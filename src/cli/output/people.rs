//! What people read: pieces by what they mean, rows and sheets of them, headings with a text below.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::escape::escape;
use super::style::Meaning;
use crate::model::{Timestamp, UserKey};

/// A piece of what people read, by what it means.
#[derive(Clone, Debug)]
pub(in crate::cli) enum Piece {
    Plain(String),
    /// What names a thing to people and in the next command
    Address(String),
    Person(String),
    Time(Timestamp),
    /// What is rarely looked at: ids
    Faint(String),
    /// What waits for somebody: unread
    Alert(String),
}

impl<T: ToString> From<T> for Piece {
    fn from(text: T) -> Self {
        Self::Plain(text.to_string())
    }
}

/// What became of a part of a text
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum TextMark {
    Equal,
    Delete,
    Insert,
    /// Nothing: it is what was searched for
    Found,
}

/// A heading and a text below it, for what is read rather than looked up.
pub(in crate::cli) struct Paragraph<'p> {
    /// Groups of pieces
    pub(in crate::cli) heading: Vec<Vec<Piece>>,
    pub(in crate::cli) body: Vec<(TextMark, Cow<'p, str>)>,
    /// How deep it stands below others
    pub(in crate::cli) depth: usize,
}

impl<'p> Paragraph<'p> {
    /// A heading above a text.
    pub(in crate::cli) fn new(heading: Vec<Vec<Piece>>, text: &'p str) -> Self {
        Self { heading, body: vec![(TextMark::Equal, text.into())], depth: 0 }
    }
}

/// Deeper paragraphs stand no further to the right, so that there is room for their text.
const DEEPEST: usize = 10;

/// For whom, and among what, a thing is shown.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct View {
    /// None: the operator
    pub(in crate::cli) viewer: Option<UserKey>,
    pub(in crate::cli) in_list: bool,
}

/// How pieces look
#[derive(Clone, Copy, Debug)]
pub(super) struct Looks {
    pub(super) colored: bool,
    /// On a terminal times are told from here
    pub(super) now: Option<Timestamp>,
    /// How many characters fit beside each other
    pub(super) width: Option<u16>,
    /// Whether columns have headings
    pub(super) header: bool,
}

impl Looks {
    /// A piece's text, escaped, and its meaning
    fn text(self, piece: &Piece) -> (String, Meaning) {
        let (text, meaning) = match piece {
            Piece::Plain(text) => (text, Meaning::Plain),
            Piece::Address(text) => (text, Meaning::Address),
            Piece::Person(text) => (text, Meaning::Person),
            Piece::Faint(text) => (text, Meaning::Faint),
            Piece::Alert(text) => (text, Meaning::Alert),
            Piece::Time(instant) => {
                return (self.now.map_or_else(|| time(*instant), |now| ago(*instant, now)), Meaning::Faint);
            }
        };
        (escape(text), meaning)
    }

    fn cell(self, piece: &Piece) -> Cell {
        let (text, meaning) = self.text(piece);
        Cell::new(meaning.paint(&text, self.colored))
    }

    /// Writes a thing as a label and a value a line, as far as it has values; without labels, all values.
    pub(super) fn sheet(self, out: &mut impl Write, columns: &[String], cells: &[Piece]) -> io::Result<()> {
        if !self.header {
            for cell in cells {
                let (text, meaning) = self.text(cell);
                writeln!(out, "{}", meaning.paint(&text, self.colored))?;
            }
            return Ok(());
        }
        let mut table = table();
        let is_said = |cell: &&Piece| !matches!(cell, Piece::Plain(text) if text.is_empty());
        for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| is_said(cell)) {
            table.add_row([Cell::new(Meaning::Heading.paint(column, self.colored)), self.cell(cell)]);
        }
        write_table(out, &table)
    }

    /// Writes a heading, and below it a text, indented.
    pub(super) fn paragraph(self, out: &mut impl Write, paragraph: &Paragraph<'_>) -> io::Result<()> {
        let Paragraph { heading, body, depth } = paragraph;
        let indent = "  ".repeat(*depth.min(&DEEPEST));
        let below = format!("{indent}    ");
        let piece = |piece: &Piece| {
            let (text, meaning) = self.text(piece);
            meaning.paint(&text, self.colored)
        };
        let groups = heading.iter().map(|group| group.iter().map(piece).collect::<Vec<_>>().join(" "));
        writeln!(out, "{indent}{}", groups.collect::<Vec<_>>().join(" · "))?;
        if body.iter().all(|(_, text)| text.is_empty()) {
            return Ok(());
        }
        let mut whole = String::new();
        for (change, text) in body {
            let lines: Vec<String> = text.split('\n').map(|line| self.changed(*change, &escape(line))).collect();
            whole.push_str(&lines.join("\n"));
        }
        for line in whole.split('\n') {
            match self.width {
                // On a terminal lines are broken between words, below the text and not below the heading.
                Some(width) => {
                    let room = usize::from(width).saturating_sub(below.len()).max(20);
                    for part in textwrap::wrap(line, textwrap::Options::new(room)) {
                        writeln!(out, "{below}{part}")?;
                    }
                }
                None => writeln!(out, "{below}{line}")?,
            }
        }
        Ok(())
    }

    /// A part of a line, so that one sees what became of it.
    fn changed(self, change: TextMark, escaped: &str) -> String {
        match change {
            _ if escaped.is_empty() => String::new(),
            TextMark::Equal => escaped.to_owned(),
            // Marked also where there are colours: not everybody sees them, and they are not copied.
            TextMark::Delete => Meaning::Removed.paint(&format!("[-{escaped}-]"), self.colored),
            TextMark::Insert => Meaning::Added.paint(&format!("{{+{escaped}+}}"), self.colored),
            TextMark::Found if self.colored => Meaning::Found.paint(escaped, true),
            TextMark::Found => format!("**{escaped}**"),
        }
    }
}

/// Rows that come in pages: columns never become narrower, so that pages stay below each other.
pub(super) struct Rows {
    columns: Vec<Column>,
    /// Whether every column is shown, whatever fits
    shows_all: bool,
    /// Whether the headings of the columns that are shown were written
    has_headings: bool,
}

struct Column {
    heading: String,
    width: u16,
    is_shown: bool,
}

impl Rows {
    pub(super) fn new(headings: Vec<String>, shows_all: bool) -> Self {
        let column = |heading| Column { heading, width: 0, is_shown: true };
        Self { columns: headings.into_iter().map(column).collect(), shows_all, has_headings: false }
    }

    /// Writes a page of rows, a line each. On a terminal that is too narrow it leaves columns out: ids first, then the
    /// widest, but never the first.
    pub(super) fn write(&mut self, out: &mut impl Write, looks: Looks, rows: &[Vec<Piece>]) -> io::Result<()> {
        let widths = self.table(looks, rows).column_max_content_widths();
        for (column, needed) in self.columns.iter_mut().filter(|column| column.is_shown).zip(widths) {
            column.width = needed.saturating_add(2).max(column.width);
        }
        if let Some(width) = looks.width.filter(|_| !self.shows_all) {
            self.fit(width, rows);
        }
        let mut table = self.table(looks, rows);
        let shown = self.columns.iter().filter(|column| column.is_shown);
        table.set_constraints(shown.map(|column| ColumnConstraint::LowerBoundary(Width::Fixed(column.width))));
        self.has_headings = true;
        write_table(out, &table)
    }

    /// The headings of the columns that were left out
    pub(super) fn left_out(&self) -> Vec<&str> {
        self.columns.iter().filter(|column| !column.is_shown).map(|column| column.heading.as_str()).collect()
    }

    fn fit(&mut self, width: u16, rows: &[Vec<Piece>]) {
        let holds_ids = |index: usize| rows.iter().any(|row| matches!(row.get(index), Some(Piece::Faint(_))));
        loop {
            let shown: Vec<usize> = (0..self.columns.len()).filter(|index| self.columns[*index].is_shown).collect();
            let needed = shown.iter().fold(0, |sum: u16, index| sum.saturating_add(self.columns[*index].width));
            let [_, others @ ..] = shown.as_slice() else { return };
            let Some(widest) = others.iter().max_by_key(|index| self.columns[**index].width) else { return };
            if needed <= width {
                return;
            }
            let left_out = others.iter().rfind(|index| holds_ids(**index)).unwrap_or(widest);
            self.columns[*left_out].is_shown = false;
            // Those above would stand over other columns now.
            self.has_headings = false;
        }
    }

    fn table(&self, looks: Looks, rows: &[Vec<Piece>]) -> Table {
        let mut table = table();
        if !self.has_headings && looks.header {
            let shown = self.columns.iter().filter(|column| column.is_shown);
            table.set_header(shown.map(|column| Meaning::Heading.paint(&column.heading, looks.colored)));
        }
        table.add_rows(rows.iter().map(|row| {
            let shown = row.iter().zip(&self.columns).filter(|(_, column)| column.is_shown);
            shown.map(|(piece, _)| looks.cell(piece)).collect::<Vec<_>>()
        }));
        table
    }
}

/// A table without lines. Its colours are ours, in the texts themselves.
fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.force_no_tty();
    table
}

fn write_table(out: &mut impl Write, table: &Table) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

/// An instant, for people
pub(in crate::cli) fn time(instant: Timestamp) -> String {
    instant.date_time().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// An instant as seen from another: how long ago, up to a week, else the date.
fn ago(instant: Timestamp, now: Timestamp) -> String {
    const WEEK: u64 = 7 * 24 * 60 * 60;
    match u64::try_from(now.0.saturating_sub(instant.0)) {
        Ok(microseconds) if microseconds / 1_000_000 < WEEK => {
            timeago::Formatter::new().convert(Duration::from_micros(microseconds))
        }
        Ok(_) => instant.date_time().format("%Y-%m-%d").to_string(),
        // The clock was set back.
        Err(_) => time(instant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOKS: Looks = Looks { colored: false, now: None, width: None, header: true };

    fn rows(width: Option<u16>, looks: Looks, shows_all: bool) -> (String, Rows) {
        let mut out = Vec::new();
        let mut rows = Rows::new(vec!["name".to_owned(), "id".to_owned(), "role".to_owned()], shows_all);
        for name in ["ann", "bob\u{1b}", "e"] {
            let row = vec![name.into(), Piece::Faint("7".to_owned()), "user".into()];
            rows.write(&mut out, Looks { width, ..looks }, &[row]).unwrap();
        }
        (String::from_utf8(out).unwrap(), rows)
    }

    #[test]
    fn pages_of_rows_stay_below_each_other() {
        let all = " name  id  role\n ann   7   user\n bob\\u{1b}  7   user\n e          7   user\n";
        assert_eq!(rows(None, LOOKS, false).0, all);
        let without_header = " ann  7  user\n bob\\u{1b}  7  user\n e          7  user\n";
        assert_eq!(rows(None, Looks { header: false, ..LOOKS }, false).0, without_header);
    }

    #[test]
    fn a_row_is_a_line_on_a_terminal_of_any_width_and_ids_are_left_out_first() {
        let (text, shown) = rows(Some(18), LOOKS, false);
        assert_eq!(text, " name  id  role\n ann   7   user\n name       role\n bob\\u{1b}  user\n e          user\n");
        assert_eq!(shown.left_out(), ["id"]);
        let (text, shown) = rows(Some(1), LOOKS, false);
        assert_eq!(text, " name\n ann\n bob\\u{1b}\n e\n");
        assert_eq!(shown.left_out(), ["id", "role"]);
        let mut out = Vec::new();
        let mut rows_of_many = Rows::new(["name", "people", "role"].map(ToOwned::to_owned).to_vec(), false);
        let row = vec!["team".into(), "ann, bob, eve and many others".into(), "user".into()];
        rows_of_many.write(&mut out, Looks { width: Some(20), ..LOOKS }, &[row]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), " name  role\n team  user\n", "the widest is left out");
        let (text, shown) = rows(Some(1), LOOKS, true);
        assert_eq!((text, shown.left_out().len()), (rows(None, LOOKS, false).0, 0), "what was asked for is all shown");
    }

    #[test]
    fn colours_stand_around_escaped_text_only() {
        let (colored, _) = rows(None, Looks { colored: true, ..LOOKS }, false);
        assert!(colored.contains("\u{1b}[1mname") && colored.contains("bob\\u{1b}"), "{colored:?}");
        let paragraph = Paragraph {
            heading: vec![vec![Piece::Person("a\u{1b}[0m".to_owned())]],
            body: vec![(TextMark::Insert, "x\n\u{1b}y".into())],
            depth: 0,
        };
        let shown = |colored| {
            let mut out = Vec::new();
            Looks { colored, ..LOOKS }.paragraph(&mut out, &paragraph).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(false), "a\\u{1b}[0m\n    {+x+}\n    {+\\u{1b}y+}\n");
        assert_eq!(
            shown(true),
            "\u{1b}[1ma\\u{1b}[0m\u{1b}[0m\n    \u{1b}[32m{+x+}\u{1b}[0m\n    \u{1b}[32m{+\\u{1b}y+}\u{1b}[0m\n"
        );
    }

    #[test]
    fn times_of_the_last_week_are_told_from_now() {
        let now = Timestamp::parse("2026-01-08T09:00:00Z").unwrap();
        let told = |text: &str| ago(Timestamp::parse(text).unwrap(), now);
        assert_eq!(told("2026-01-08T08:55:00Z"), "5 minutes ago");
        assert_eq!(told("2026-01-08T09:00:00Z"), "now");
        assert_eq!(told("2026-01-01T09:00:01Z"), "6 days ago");
        assert_eq!(told("2026-01-01T09:00:00Z"), "2026-01-01");
        assert_eq!(told("2026-01-08T09:00:01Z"), "2026-01-08 09:00:01Z");
    }
}
