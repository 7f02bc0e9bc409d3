//! Where the file of a database is: behind links, and still the same one.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::beside;
use crate::error::{Error, Result};

/// The longest chain of links, as in the kernel
const MOST_LINKS: usize = 40;

/// Which file it is, whatever its name
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of the file that is there. It is never opened: closing it would drop the locks that SQLite holds on it.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let found = path.metadata()?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }

    /// Refuses to continue with a file that was moved or replaced: nobody would find what is written into it.
    pub(in crate::store) fn must_be_at(self, path: &Path) -> Result<()> {
        if Self::of(path).is_ok_and(|found| found == self) { Ok(()) } else { Err(gone(path)) }
    }
}

pub(super) fn gone(path: &Path) -> Error {
    let path = path.display();
    Error::unavailable("The file of the database was moved, deleted or replaced while it was in use.").hint(format!(
        "Put {path} back, with its {path}-wal and {path}-shm. Before you replace it, stop every program that uses it."
    ))
}

/// What the file system says of a file: another answer after each change
type Stat = (u64, u64, u64, i64, i64);

/// What the file system says of a database and its log. It says something else after each commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    file: Option<Stat>,
    log: Option<Stat>,
}

impl FileState {
    /// Of the files as they are. They are never opened: closing one would drop the locks that SQLite holds on it.
    pub(in crate::store) fn of(path: &Path) -> Self {
        let stat = |path: &Path| {
            let found = path.metadata().ok()?;
            Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
        };
        // Whoever opens the database makes an empty log, and the last who closes it removes it.
        let log = stat(&beside(&real(path), "-wal")).filter(|(_, _, length, ..)| *length > 0);
        Self { file: stat(path), log }
    }
}

/// The file that a path leads to, existing or not: its other files are beside it, not beside a link.
pub(in crate::store) fn real(path: &Path) -> PathBuf {
    let mut real = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = real.read_link() else { break };
        real = real.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    real
}

/// Refuses a path with the write-ahead log of another database: SQLite would apply it to the new file, or discard it.
pub(super) fn refuse_leftovers(path: &Path) -> Result<()> {
    refuse_log(path, "-wal")?;
    refuse_log(path, "-journal")
}

/// As [`refuse_leftovers`], for an existing empty file. If its first change was interrupted, it has a harmless journal.
pub(super) fn refuse_leftover_log(path: &Path) -> Result<()> {
    refuse_log(&real(path), "-wal")
}

fn refuse_log(path: &Path, suffix: &str) -> Result<()> {
    let log = beside(path, suffix);
    if log.symlink_metadata().is_ok_and(|found| found.len() > 0) {
        let detail = format!("{} belongs to another database; nothing was written.", log.display());
        return Err(Error::conflict(detail).hint("Move it to the database it belongs to, or remove it."));
    }
    Ok(())
}
