//! Files that are there whole or not at all.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::failure::of_system;
use super::place::refuse_leftovers;
use crate::error::{Error, Result};

/// A file that is being written beside its place, under the same name with `.partial`; gone again unless it is published.
pub(super) struct Partial {
    target: PathBuf,
    path: PathBuf,
    file: File,
    is_published: bool,
}

impl Partial {
    /// Creates the file, empty and for its owner only. The remains of a killed run, which nobody has locked, are
    /// removed.
    pub(super) fn create(target: &Path) -> Result<Self> {
        refuse_leftovers(target)?;
        let path = super::beside(target, ".partial");
        let failed = |cause| cannot_write(target, cause);
        let file = loop {
            match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    remove_abandoned(&path).map_err(|cause| cannot_write(&path, cause))?;
                }
                made => break made.map_err(failed)?,
            }
        };
        let partial = Self { target: target.to_owned(), path, file, is_published: false };
        lock(&partial.file).map_err(failed)?;
        Ok(partial)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file in its place, so that it is there after a power cut; never over another.
    pub(super) fn publish(mut self) -> Result<()> {
        let failed = |cause| cannot_write(&self.target, cause);
        self.file.sync_all().map_err(failed)?;
        refuse_leftovers(&self.target)?;
        match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
            // Not every file system can rename that way: NFS cannot, but has links.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => std::fs::hard_link(&self.path, &self.target)
                .and_then(|()| std::fs::remove_file(&self.path))
                .map_err(failed)?,
            done => done.map_err(|errno| failed(errno.into()))?,
        }
        self.is_published = true;
        super::sync_folder(super::folder_of(&self.target)).map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = remove(&self.path);
        }
    }
}

/// Removes the remains of an interrupted run: a running one would have the file locked. Its contents do not matter;
/// after a power cut even the header may be missing.
fn remove_abandoned(path: &Path) -> io::Result<()> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    match OpenOptions::new().read(true).write(true).custom_flags(no_follow).open(path) {
        Ok(file) => {
            let found = file.metadata()?;
            if !found.is_file() {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is somebody's own"));
            }
            lock(&file)?;
            // Where another run has removed it meanwhile, the name is another file's.
            if file.metadata()?.nlink() > 0 { remove(path) } else { Ok(()) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the file, after SQLite's files beside it.
fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["-journal", "-wal", "-shm"] {
        match std::fs::remove_file(super::beside(path, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::remove_file(path)
}

fn lock(file: &File) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::from(io::ErrorKind::ResourceBusy),
        TryLockError::Error(error) => error,
    })
}

fn cannot_write(target: &Path, cause: io::Error) -> Error {
    let target = target.display();
    of_system(cause, |cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => already_there(&target),
        io::ErrorKind::ResourceBusy => {
            Error::unavailable(format!("Another program is writing {target} at this moment.")).hint("Try again later.")
        }
        _ => Error::unavailable(format!("The file {target} cannot be written: {cause}.")),
    })
}

/// Refuses to write over a file.
pub(super) fn already_there(target: &dyn std::fmt::Display) -> Error {
    Error::conflict(format!("{target} exists already; nothing was written.")).hint("Name a file that does not exist.")
}
