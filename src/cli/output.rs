//! Every byte of stdout and stderr.

mod delimited;
mod escape;
mod fields;
mod format;
mod people;
mod spool;
mod style;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use clap::error::ErrorKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Serialize;
use serde_json::Value;

pub(super) use self::escape::escape;
use self::escape::{JsonEscaping, escape_json};
pub(super) use self::fields::Field;
pub(super) use self::format::Format;
use self::people::{Looks, Rows};
pub(super) use self::people::{Paragraph, Piece, TextMark, View, time};
use self::style::Meaning;
pub(super) use self::style::{Colors, When};
use super::{Failure, Outcome};
use crate::error::{Error, Kind, Result};
use crate::model::{Timestamp, UserKey};

/// A result that can be shown in every format.
pub(super) trait Record: Serialize {
    /// The serialized fields
    const FIELDS: &'static [Field];

    /// The headings of the table
    const COLUMNS: &'static [&'static str] = &[];

    /// Its ids for the format `ids`
    fn ids(&self) -> Vec<String>;

    /// The cells of its row in a table
    fn cells(&self, _: View) -> Vec<Piece> {
        Vec::new()
    }

    /// A heading and a text, instead of a row, for messages and the like
    fn paragraph(&self, _: View) -> Option<Paragraph<'_>> {
        None
    }
}

/// The number of changes, for commands that show nothing else.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub(super) count: i64,
}

impl Record for Changed {
    const FIELDS: &'static [Field] = &[Field::Value("count")];
    const COLUMNS: &'static [&'static str] = &["count"];

    fn ids(&self) -> Vec<String> {
        Vec::new()
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        vec![self.count.into()]
    }
}

/// Options for results and status messages
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) format: Format,
    /// The fields to show; none: all
    pub(super) fields: Option<Vec<String>>,
    pub(super) no_header: bool,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    pub(super) colors: Colors,
}

/// Where results and status messages go.
pub(super) struct Output {
    options: Options,
    /// Show only the id of what is created
    terse: bool,
    is_terminal: bool,
    /// The fields of the command's records
    known: &'static [Field],
    /// The columns to show
    columns: Vec<String>,
    /// The time that relative times refer to
    now: Option<Timestamp>,
    /// The viewer; none: the operator
    viewer: Cell<Option<UserKey>>,
    /// The exit code on success
    pub(super) exit_code: u8,
    stdout: BufWriter<Stdout>,
}

impl Output {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that writes to stdout")]
    pub(super) fn new(options: Options) -> Self {
        Self {
            terse: options.quiet && options.fields.is_none(),
            is_terminal: io::stdout().is_terminal(),
            known: &[],
            columns: Vec::new(),
            now: None,
            viewer: Cell::new(None),
            exit_code: 0,
            stdout: BufWriter::new(io::stdout()),
            options,
        }
    }

    /// Prepares to show records with these fields, before anything is done.
    ///
    /// # Errors
    /// `Usage` for an unknown field.
    pub(super) fn expect(&mut self, fields: &'static [Field]) -> Outcome {
        self.known = fields;
        self.columns = match &self.options.fields {
            None => fields::columns(fields),
            Some(_) if self.options.format == Format::Ids => {
                return Err(Failure::Usage("The format ids cannot be combined with --fields.".to_owned()));
            }
            Some(names) => fields::chosen(fields, names).map_err(Failure::Usage)?,
        };
        Ok(())
    }

    /// Sets the time that relative times refer to.
    pub(super) fn tell_times_from(&mut self, now: Timestamp) {
        self.now = Some(now);
    }

    /// Tells times by the clock, where what is shown goes on for long.
    pub(super) fn tell_times_by_the_clock(&mut self) {
        self.now = None;
    }

    /// Waits; says whether nobody reads stdout any more, if that matters.
    pub(super) fn wait(&self, time: Duration, needs_reader: bool) -> io::Result<bool> {
        // That it can be written to is not waited for, only that it cannot.
        let mut stdout = [PollFd::new(self.stdout.get_ref(), PollFlags::empty())];
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(if needs_reader { &mut stdout } else { &mut [] }, Some(&time)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether only ids are shown
    pub(super) fn shows_only_ids(&self) -> bool {
        self.options.format == Format::Ids
    }

    /// Whether objects within objects are columns
    pub(super) fn is_flat(&self) -> bool {
        matches!(self.options.format, Format::Csv | Format::Tsv)
    }

    /// Sets the viewer: a user, or the operator.
    pub(super) fn show_to(&self, viewer: Option<UserKey>) {
        self.viewer.set(viewer);
    }

    /// Switches to tables with all fields and no status messages.
    pub(super) fn demonstrate(&mut self) {
        self.options = Options { quiet: true, format: Format::Table, fields: None, no_header: false, ..self.options };
        self.terse = false;
    }

    /// Shows one thing.
    pub(super) fn show<T: Record>(&mut self, thing: &T) -> io::Result<()> {
        debug_assert_eq!(self.known, T::FIELDS, "Command::fields names the fields of something else");
        match self.options.format {
            Format::Json => {
                let json = self.json(thing, true)?;
                writeln!(self.stdout, "{json}")
            }
            Format::Table => {
                let (looks, view) = (self.looks(), self.view(false));
                if self.options.fields.is_some() {
                    let row = self.columns_of(thing)?;
                    looks.sheet(&mut self.stdout, &self.columns, &row)
                } else if let Some(paragraph) = thing.paragraph(view) {
                    looks.paragraph(&mut self.stdout, &paragraph)
                } else {
                    looks.sheet(&mut self.stdout, &headings::<T>(), &thing.cells(view))
                }
            }
            Format::Jsonl | Format::Csv | Format::Tsv | Format::Ids => {
                self.page(std::slice::from_ref(thing), &mut Listing::new::<T>(self))
            }
        }
    }

    /// Shows what was created; with --quiet only its id.
    pub(super) fn created<T: Record>(&mut self, thing: &T) -> io::Result<()> {
        if self.terse && self.options.format == Format::Table {
            thing.ids().iter().try_for_each(|id| self.line(id))
        } else {
            self.show(thing)
        }
    }

    /// Shows a list, page by page, and returns its length. For tables it reports an empty list.
    pub(super) fn list<T: Record>(
        &mut self,
        pages: impl IntoIterator<Item = Result<Vec<T>>>,
        nothing: &str,
    ) -> std::result::Result<usize, Failure> {
        let mut listing = self.begin_list::<T>();
        for page in pages {
            self.add_to_list(&mut listing, &page?)?;
            self.flush()?;
        }
        self.end_list(&listing)?;
        if listing.shown == 0 && self.options.format == Format::Table {
            self.status(nothing);
        }
        Ok(listing.shown)
    }

    /// Begins a list that is shown as it comes.
    pub(super) fn begin_list<T: Record>(&self) -> Listing {
        debug_assert_eq!(self.known, T::FIELDS, "Command::fields names the fields of something else");
        Listing::new::<T>(self)
    }

    /// Adds to a list what comes next.
    pub(super) fn add_to_list<T: Record>(&mut self, listing: &mut Listing, things: &[T]) -> io::Result<()> {
        self.page(things, listing)
    }

    /// Ends a list.
    pub(super) fn end_list(&mut self, listing: &Listing) -> io::Result<()> {
        match self.options.format {
            Format::Json => writeln!(self.stdout, "{}", if listing.shown == 0 { "[]" } else { "\n]" })?,
            Format::Csv | Format::Tsv if listing.shown == 0 => self.header()?,
            _ => {}
        }
        let left_out = listing.rows.left_out();
        if !left_out.is_empty() {
            let columns = left_out.join(", ");
            self.status(&format!(
                "The terminal is too narrow for these columns: {columns}. A pipe and -o json show everything."
            ));
        }
        self.flush()
    }

    /// Writes a page of a list.
    fn page<T: Record>(&mut self, things: &[T], listing: &mut Listing) -> io::Result<()> {
        let is_first = listing.shown == 0;
        listing.shown += things.len();
        match self.options.format {
            Format::Json => {
                for (index, thing) in things.iter().enumerate() {
                    // Within strings JSON escapes line breaks, so these are all there are.
                    let json = self.json(thing, true)?.replace('\n', "\n  ");
                    write!(self.stdout, "{}\n  {json}", if is_first && index == 0 { '[' } else { ',' })?;
                }
                Ok(())
            }
            Format::Jsonl => things.iter().try_for_each(|thing| {
                let json = self.json(thing, false)?;
                writeln!(self.stdout, "{json}")
            }),
            Format::Ids => things.iter().flat_map(Record::ids).try_for_each(|id| self.line(&id)),
            Format::Csv | Format::Tsv => {
                if is_first && !things.is_empty() {
                    self.header()?;
                }
                let row = |thing| {
                    let record = serde_json::to_value(thing)?;
                    let cells = self.columns.iter().map(|column| delimited::cell(&record, column));
                    Ok(cells.map(|cell| if self.is_terminal { cell.escaped() } else { cell }).collect())
                };
                let rows = things.iter().map(row).collect::<io::Result<Vec<_>>>()?;
                self.delimited(&rows)
            }
            Format::Table => {
                let (looks, view) = (self.looks(), self.view(true));
                if self.options.fields.is_some() {
                    let rows = things.iter().map(|thing| self.columns_of(thing)).collect::<io::Result<Vec<_>>>()?;
                    return listing.rows.write(&mut self.stdout, looks, &rows);
                }
                let paragraphs: Vec<_> = things.iter().filter_map(|thing| thing.paragraph(view)).collect();
                if paragraphs.is_empty() {
                    let rows: Vec<_> = things.iter().map(|thing| thing.cells(view)).collect();
                    return listing.rows.write(&mut self.stdout, looks, &rows);
                }
                paragraphs.iter().try_for_each(|paragraph| looks.paragraph(&mut self.stdout, paragraph))
            }
        }
    }

    /// Writes a long JSON result while it is produced. The producer never waits for the reader: what is not read yet is
    /// in an unnamed file that only this program can read.
    pub(super) fn stream<T>(
        &mut self,
        produce: impl FnOnce(&mut dyn Write) -> std::result::Result<T, Failure>,
    ) -> std::result::Result<T, Failure> {
        self.flush()?;
        // Not by lines, as stdout is written otherwise.
        let mut stdout = File::from(self.stdout.get_ref().as_fd().try_clone_to_owned()?);
        if stdout.metadata()?.is_file() {
            produce(&mut stdout)
        } else if self.is_terminal {
            spool::pass(&stdout, |to| produce(&mut JsonEscaping::new(to)))
        } else {
            spool::pass(&stdout, produce)
        }
    }

    /// Whether stdout is a terminal
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether status messages are off
    pub(super) fn is_quiet(&self) -> bool {
        self.options.quiet
    }

    /// Whether the format is JSON or JSON Lines
    pub(super) fn is_json(&self) -> bool {
        self.options.format.is_json()
    }

    /// Writes a status message to stderr.
    pub(super) fn status(&self, sentence: &str) {
        if !self.options.quiet {
            talk(&escape(sentence));
        }
    }

    /// Writes a line of text to the result.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.stdout, "{}", escape(text))
    }

    /// A writer for one JSON document.
    pub(super) fn document(&mut self) -> Box<dyn Write + '_> {
        if self.is_terminal { Box::new(JsonEscaping::new(&mut self.stdout)) } else { Box::new(&mut self.stdout) }
    }

    /// Flushes stdout.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.stdout.flush()
    }

    /// Writes an error message.
    pub(super) fn complain(&self, sentence: &str) {
        talk(&format!("{} {}", Meaning::Error.paint("tidings:", self.options.colors.stderr), escape(sentence)));
    }

    /// Writes an error: as a problem document for JSON, else as a sentence with a hint.
    pub(super) fn error(&self, error: &Error) {
        if self.options.format.is_json() {
            talk(&escape_json(&serde_json::to_string(&error.problem()).unwrap_or_default()));
        } else {
            for (place, details) in error.places() {
                for detail in details {
                    talk(&escape(&format!("{place}: {detail}")));
                }
            }
            self.complain(&error.to_string());
            if let Some(advice) = error.advice() {
                talk(&format!("{} {}", Meaning::Hint.paint("hint:", self.options.colors.stderr), escape(advice)));
            }
        }
        let mut cause = std::error::Error::source(error).filter(|_| self.options.verbose);
        while let Some(error) = cause {
            talk(&format!("cause: {}", escape(&error.to_string())));
            cause = error.source();
        }
    }

    /// Writes a usage error of clap. It contains what was typed, so it is escaped; the colours are added here.
    pub(super) fn usage(&self, error: &clap::Error) {
        let text = error.render().to_string();
        if self.is_json() {
            let said = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
            let said = match error.kind() {
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "The command is not complete; see --help.",
                _ => said.strip_prefix("error: ").unwrap_or(&said),
            };
            return self.error(&Error::of_request(Kind::Invalid, said));
        }
        for line in text.lines() {
            let (mark, rest) = line.split_at(line.find(':').map_or(0, |colon| colon + 1));
            // The words that all our errors and hints begin with
            let (mark, meaning) = match mark.trim_start() {
                "error:" => ("tidings:", Meaning::Error),
                "tip:" => ("hint:", Meaning::Hint),
                "Usage:" => (mark, Meaning::Heading),
                _ => (mark, Meaning::Plain),
            };
            talk(&format!("{}{}", meaning.paint(&escape(mark), self.options.colors.stderr), escape(rest)));
        }
    }

    fn json<T: Record>(&self, thing: &T, pretty: bool) -> io::Result<String> {
        fn text<T: Serialize>(value: &T, pretty: bool) -> serde_json::Result<String> {
            if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }
        }
        let json = match &self.options.fields {
            None => text(thing, pretty)?,
            Some(names) => text(&fields::pruned(&serde_json::to_value(thing)?, names), pretty)?,
        };
        Ok(if self.is_terminal { escape_json(&json) } else { json })
    }

    fn header(&mut self) -> io::Result<()> {
        if self.options.no_header {
            return Ok(());
        }
        let header = self.columns.iter().map(|column| delimited::Cell::Own(column.clone())).collect();
        self.delimited(&[header])
    }

    fn delimited(&mut self, rows: &[Vec<delimited::Cell>]) -> io::Result<()> {
        if self.options.format == Format::Csv {
            delimited::write_csv(&mut self.stdout, rows)
        } else {
            delimited::write_tsv(&mut self.stdout, rows, self.is_terminal)
        }
    }

    /// The chosen fields as cells of a table
    fn columns_of<T: Record>(&self, thing: &T) -> io::Result<Vec<Piece>> {
        let record: Value = serde_json::to_value(thing)?;
        Ok(self
            .columns
            .iter()
            .map(|column| fields::at(&record, column).map_or("".into(), |value| words(value).into()))
            .collect())
    }

    fn looks(&self) -> Looks {
        Looks {
            colored: self.options.colors.stdout,
            now: self.now.filter(|_| self.is_terminal),
            width: comfy_table::Table::new().width().filter(|width| self.is_terminal && *width > 0),
            header: !self.options.no_header,
        }
    }

    fn view(&self, in_list: bool) -> View {
        View { viewer: self.viewer.get(), in_list }
    }
}

/// A list of which some is shown
pub(super) struct Listing {
    pub(super) shown: usize,
    rows: Rows,
}

impl Listing {
    fn new<T: Record>(out: &Output) -> Self {
        let is_chosen = out.options.fields.is_some();
        let columns = if is_chosen { out.columns.clone() } else { headings::<T>() };
        Self { shown: 0, rows: Rows::new(columns, is_chosen) }
    }
}

fn headings<T: Record>() -> Vec<String> {
    T::COLUMNS.iter().map(|column| (*column).to_owned()).collect()
}

/// A value for a table: the elements of an array, the username of a user, the values of another object.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(object) => match object.get("username") {
            Some(username) => words(username),
            None => object.values().map(words).collect::<Vec<_>>().join(" "),
        },
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// Writes a text of the program to stdout, unescaped.
#[expect(clippy::disallowed_methods, reason = "this is the one place that writes to stdout")]
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Writes a line to stderr; a failure cannot be reported.
pub(super) fn talk(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The output of a server's log
pub(super) fn stderr() -> impl Write + Send + 'static {
    io::stderr()
}
