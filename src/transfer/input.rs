//! Files of records: found, unpacked, and read line by line, as often as needed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use serde_json::error::Category;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::RecordProblem;
use super::records::{Entry, Record};
use crate::error::{Error, Kind, Result};
use crate::store::scratch::Scratch;

/// The longest line, in bytes: longer than any realistic message with its revisions
const LONGEST_LINE: usize = 32 << 20;

/// What is compressed more than so many times over was made to fill memory or disk; gzip reaches a thousand times.
const MOST_TIMES: u64 = 250;

/// … where it comes to more than so many bytes; that is asked all the while, so that a large bomb is refused as soon as a
/// small one
const SUSPICIOUS: u64 = 64 << 20;

/// A file of records that can be read more than once.
pub struct Input {
    /// As people call it
    pub name: String,
    file: File,
    /// The size of the file in bytes, compressed if it is
    pub bytes: u64,
}

impl Input {
    /// Opens a file; `-` is standard input. What cannot be read twice is copied into a file without a name.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable` if it cannot be read, `NoSpace` if there is no space for the copy.
    pub fn open(path: &Path) -> Result<Self> {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let failed = |cause: io::Error| unreadable(&name, cause);
        let file = if is_stdin {
            copied(io::stdin().lock(), &name)?
        } else {
            let file = File::open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            match () {
                () if metadata.is_dir() => return Err(Error::unavailable(format!("{name} is a folder, not a file."))),
                () if metadata.is_file() => file,
                () => copied(file, &name)?,
            }
        };
        let bytes = file.metadata().map_err(failed)?.len();
        Ok(Self { name, file, bytes })
    }

    /// Reads the records from the beginning, unpacking gzip and zstd.
    pub fn lines(&self) -> Result<Lines<'_>> {
        Ok(Lines { bytes: self.unpacked()?, line: 0, text: Vec::new(), anonymous: None, is_over: false })
    }

    /// The bytes from the beginning, unpacked
    pub fn unpacked(&self) -> Result<Box<dyn BufRead + '_>> {
        let failed = |cause: io::Error| unreadable(&self.name, cause);
        (&self.file).rewind().map_err(failed)?;
        let mut packed = BufReader::with_capacity(1 << 16, &self.file);
        let unpacked: Box<dyn Read + '_> = match packed.fill_buf().map_err(failed)? {
            [0x1F, 0x8B, ..] => Box::new(MultiGzDecoder::new(packed)),
            // A frame, or one to skip: parallel compressors begin with that.
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => {
                Box::new(zstd::Decoder::with_buffer(packed).map_err(failed)?)
            }
            _ => return Ok(Box::new(packed)),
        };
        Ok(Box::new(BufReader::with_capacity(1 << 17, Bounded { inner: unpacked, input: self, count: 0 })))
    }

    /// The number of bytes of the file that were read
    pub fn position(&self) -> u64 {
        (&self.file).stream_position().unwrap_or(0)
    }
}

fn unreadable(name: &str, cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::NotFound => Error::not_found(format!("There is no file {name}.")),
        _ => Error::unavailable(format!("{name} cannot be read: {cause}.")).with_source(cause),
    }
}

fn copied(mut source: impl Read, name: &str) -> Result<File> {
    let failed = |cause: io::Error| match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::no_space().with_source(cause),
        _ => unreadable(name, cause),
    };
    let mut file = tempfile::tempfile().map_err(failed)?;
    io::copy(&mut source, &mut file).map_err(failed)?;
    Ok(file)
}

/// Reads what unpacks to no more than what was read of the file can mean.
struct Bounded<'i, R> {
    inner: R,
    input: &'i Input,
    /// How many bytes came of it
    count: u64,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        if self.count > SUSPICIOUS && self.count > self.input.position().saturating_mul(MOST_TIMES) {
            let bomb =
                format!("it unpacks to more than {MOST_TIMES} times its size; if that is meant, unpack it first");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, bomb));
        }
        Ok(count)
    }
}

/// The records of a file, each with the number of its line; empty lines are passed over.
pub struct Lines<'i> {
    bytes: Box<dyn BufRead + 'i>,
    line: u64,
    text: Vec<u8>,
    /// How often a record came that has nothing to know it by
    anonymous: Option<Scratch>,
    is_over: bool,
}

impl Lines<'_> {
    /// The next record or its problem; none after an unreadable one.
    ///
    /// # Errors
    /// `NoSpace`, `Unavailable` if the program cannot continue; problems of the file are a [`RecordProblem`].
    pub fn next_record(&mut self) -> Result<Option<std::result::Result<Entry, RecordProblem>>> {
        while !self.is_over {
            self.line += 1;
            self.text.clear();
            let problem = match self.read_line() {
                Ok(true) => match str::from_utf8(&self.text) {
                    Ok(text) if text.trim().is_empty() => continue,
                    Ok(text) => match serde_json::from_str(text.trim_ascii_end()) {
                        Ok(record) => return Ok(Some(Ok(self.entry(record)?))),
                        Err(error) => match other_format(text) {
                            Some(said) => {
                                self.is_over = true;
                                said.to_owned()
                            }
                            None => said_of(&error),
                        },
                    },
                    Err(error) => format!("The line is not UTF-8 from byte {} on.", error.valid_up_to() + 1),
                },
                Ok(false) => {
                    self.is_over = true;
                    break;
                }
                Err(error) => {
                    self.is_over = true;
                    format!("It cannot be read any further: {error}.")
                }
            };
            return Ok(Some(Err(RecordProblem::new(self.line, Kind::Invalid, problem))));
        }
        Ok(None)
    }

    /// Reads a line; false at the end of the file. Empty lines before it are passed over together: there may be millions.
    fn read_line(&mut self) -> io::Result<bool> {
        loop {
            let buffered = self.bytes.fill_buf()?;
            let empty = buffered.iter().take_while(|byte| **byte == b'\n').count();
            let is_on = empty > 0 && empty == buffered.len();
            self.bytes.consume(empty);
            self.line += empty as u64;
            if !is_on {
                break;
            }
        }
        let mut bounded = (&mut self.bytes).take(LONGEST_LINE as u64);
        let count = bounded.read_until(b'\n', &mut self.text)?;
        if count == LONGEST_LINE {
            let detail = format!("the line is longer than {} MiB", LONGEST_LINE >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, detail));
        }
        if self.line == 1 && self.text.starts_with(b"\xEF\xBB\xBF") {
            self.text.drain(..3);
        }
        Ok(count > 0)
    }

    /// The record with the id its row gets: made from the line, and from how often the same line came before where nothing
    /// else tells them apart, that of a user from the username. So the same record is found again whatever happens to the
    /// others.
    fn entry(&mut self, record: Record) -> Result<Entry> {
        let line = self.text.trim_ascii();
        let mut hash = Sha256::new_with_prefix(line);
        if record.is_anonymous() {
            let anonymous = match &mut self.anonymous {
                Some(anonymous) => anonymous,
                empty => empty.insert(Scratch::new()?),
            };
            let digest = hash.clone().finalize();
            hash.update(anonymous.count(&digest[..16])?.to_be_bytes());
        }
        Ok(Entry::hashed(self.line, &hash.finalize(), record))
    }
}

/// What else a file is, by a line of it that begins as no record does
fn other_format(line: &str) -> Option<&'static str> {
    match line.trim().as_bytes() {
        [b'[', ..] => Some(
            "This is a JSON array, and what is read here has one record a line. `tidings data apply` reads arrays, `tidings data \
             import django` what Django wrote; `jq -c '.[]'` makes lines of one.",
        ),
        [b'-', b' ', ..] | b"---" => {
            Some("This is YAML. Give one JSON record per line; `tidings data apply` reads YAML.")
        }
        _ => None,
    }
}

/// What is wrong with a record, for people
pub(super) fn said_of(error: &serde_json::Error) -> String {
    let said = in_words(error);
    match error.classify() {
        Category::Data => format!("This is not a record: {said}."),
        Category::Eof => format!("This is not JSON: the line ends in the middle of it (column {}).", error.column()),
        _ => format!("This is not JSON: {said} (column {}).", error.column()),
    }
}

/// What the parser says, without its place and in words that people know
pub(super) fn in_words(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = said.strip_suffix(&place).unwrap_or(&said);
    // What the file itself says stands between marks, and stays.
    let mut words = String::new();
    for (index, part) in said.split_inclusive(['`', '"']).enumerate() {
        let is_own = index % 2 == 0;
        words.push_str(&if is_own { plain(part) } else { part.to_owned() });
    }
    words
}

/// Words of the parser in plain ones
const PLAIN: &[(&str, &str)] = &[
    ("internally tagged enum Record", "an object with a `type`"),
    ("unknown variant", "unknown word"),
    ("variant identifier", "a word"),
    ("expected ident", "expected true, false or null"),
    ("recursion limit exceeded", "it is nested too deeply"),
    ("floating point ", "number "),
    ("expected i64", "expected a whole number"),
    ("unit value", "null"),
    ("type: map", "type: an object"),
    ("type: sequence", "type: a list"),
    ("expected a sequence", "expected a list"),
    ("expected a map", "expected an object"),
    ("struct UserRecord", "an object"),
    ("struct ConversationRecord", "an object"),
    ("struct LeveledParticipant", "an object"),
    ("struct MessageRecord", "an object"),
    ("struct RevisionRecord", "an object"),
    ("struct NotificationRecord", "an object"),
    ("struct Row", "a row"),
    ("invalid unicode code point", "invalid Unicode"),
];

fn plain(said: &str) -> String {
    PLAIN.iter().fold(said.to_owned(), |said, (word, plain)| said.replace(word, plain))
}

impl Record {
    /// Whether nothing tells the record from another like it
    fn is_anonymous(&self) -> bool {
        match self {
            Self::Message(message) => message.message_id.is_none() && message.key.is_none(),
            Self::Conversation(conversation) => {
                conversation.conversation_id.is_none() && conversation.names().0.is_none()
            }
            Self::User(_) | Self::Notification(_) => false,
        }
    }

    /// An id made from a hash: of version 7 where the record has a time, so that ids of one time lie together.
    pub(super) fn id_from(&self, hash: &[u8]) -> Uuid {
        let time = match self {
            Self::User(user) => user.created_at,
            Self::Conversation(conversation) => conversation.created_at,
            Self::Message(message) => message.timestamp,
            Self::Notification(_) => None,
        };
        let byte = |index: usize| hash.get(index).copied().unwrap_or_default();
        match time.and_then(|time| u64::try_from(time.0 / 1000).ok()) {
            Some(time) => uuid::Builder::from_unix_timestamp_millis(time, &std::array::from_fn(byte)).into_uuid(),
            None => uuid::Builder::from_custom_bytes(std::array::from_fn(byte)).into_uuid(),
        }
    }
}
