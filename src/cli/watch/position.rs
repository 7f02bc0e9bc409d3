//! A file that keeps how far a watch came.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cli::{Failure, Outcome};
use crate::error::Error;

/// How often the place is kept while nothing is heard: so that it does not become too old
const PROGRESS: Duration = Duration::from_secs(5);

pub(super) struct CursorFile {
    path: PathBuf,
    /// What stands in it, and since when
    kept: Option<(String, Instant)>,
}

impl CursorFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, kept: None }
    }

    /// The cursor that stands in it; none where there is no file yet, or an empty one
    pub(super) fn read(&self) -> Result<Option<String>, Failure> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|cursor| !cursor.is_empty())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => Err(self.unusable().into()),
            Err(cause) => Err(Failure::Usage(format!("{} cannot be read: {cause}.", self.path.display()))),
        }
    }

    /// What stands in it is no cursor.
    pub(super) fn unusable(&self) -> Error {
        Error::invalid("cursor_file", format!("{} holds no cursor.", self.path.display()))
            .hint("Name another file; without one, or with an empty one, the watch begins now.")
    }

    /// Writes the cursor, whole or not at all, if it is another.
    pub(super) fn write(&mut self, cursor: &str) -> Outcome {
        if self.kept.as_ref().is_some_and(|(kept, _)| kept == cursor) {
            return Ok(());
        }
        let write = || {
            // Where a link leads to, and as open to others as it was
            let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
            let mut partial = path.clone().into_os_string();
            partial.push(".partial");
            let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            if let Ok(old) = path.metadata() {
                file.set_permissions(old.permissions())?;
            }
            writeln!(file, "{cursor}")?;
            file.sync_data()?;
            fs::rename(&partial, &path)
        };
        write().map_err(|cause: io::Error| match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::no_space().with_source(cause),
            _ => Error::unavailable(format!("The cursor file {} cannot be written: {cause}.", self.path.display()))
                .with_source(cause),
        })?;
        self.kept = Some((cursor.to_owned(), Instant::now()));
        Ok(())
    }

    /// As [`CursorFile::write`], for a place at which nothing was heard: now and then.
    pub(super) fn write_progress(&mut self, cursor: &str) -> Outcome {
        if self.kept.as_ref().is_some_and(|(_, at)| at.elapsed() < PROGRESS) { Ok(()) } else { self.write(cursor) }
    }
}
