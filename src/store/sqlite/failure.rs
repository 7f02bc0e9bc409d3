//! The meanings of SQLite's errors, for people.

use std::io::{self, Write};
use std::path::Path;

use rusqlite::{ErrorCode, ffi};
use rustix::fs::{Access, access};

use super::{beside, folder_of, real};
use crate::error::Error;

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Self {
        match meaning(&cause) {
            Some(error) => error.with_source(cause),
            None => Self::internal(cause),
        }
    }
}

/// The meaning of an error; none for a fault of the program.
pub(in crate::store) fn meaning(cause: &rusqlite::Error) -> Option<Error> {
    let failure = failure(cause)?;
    Some(match failure.code {
        ErrorCode::DiskFull => Error::no_space(),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::unavailable("The database is busy: another program has been writing to it for too long.")
                .hint("Try again; nothing was changed.")
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => read_only(),
        // SQLite makes a log beside a file even to read it.
        ErrorCode::CannotOpen => Error::unavailable("The database cannot be opened.").hint(
            "Check the permissions of the file and its folder, and whether the disk is full. If it is on a read-only disk, copy it first.",
        ),
        ErrorCode::NotADatabase => Error::unavailable("The file is not a database, or it is damaged."),
        ErrorCode::DatabaseCorrupt => Error::unavailable("The database is damaged.")
            .hint("Keep a copy of the file, then restore a backup: tidings db restore FILE"),
        ErrorCode::SystemIoFailure => Error::unavailable("The disk failed to read or write the database."),
        ErrorCode::ConstraintViolation if failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE => {
            Error::conflict("It exists already.")
        }
        _ => return None,
    })
}

pub(super) fn read_only() -> Error {
    Error::unavailable("The database is read-only.").hint("Check the permissions of the file and its folder.")
}

fn failure(cause: &rusqlite::Error) -> Option<ffi::Error> {
    if let rusqlite::Error::SqliteFailure(failure, _) = cause { Some(*failure) } else { None }
}

/// The SQLite error behind an error, if there is one
fn failure_behind(error: &Error) -> Option<ffi::Error> {
    std::error::Error::source(error)?.downcast_ref().and_then(failure)
}

/// Whether another program kept a lock for too long: nothing had begun
pub(in crate::store) fn is_busy(error: &Error) -> bool {
    failure_behind(error).is_some_and(|failure| failure.code == ErrorCode::DatabaseBusy)
}

/// The error for a failed commit. If the disk failed, the commit may be complete, and appear when the log is read next.
pub(super) fn of_commit(cause: rusqlite::Error) -> Error {
    let is_open = failure(&cause).is_some_and(|failure| failure.code == ErrorCode::SystemIoFailure);
    let error = Error::from(cause);
    if is_open { error.of_unknown_outcome() } else { error }
}

/// Adds what SQLite does not report: whether the disk is full, and which file cannot be written.
pub(super) fn explain(path: &Path, error: Error) -> Error {
    let Some(failure) = failure_behind(&error) else { return error };
    match failure.code {
        ErrorCode::CannotOpen => if_full(path, error),
        _ if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => if_full(path, error),
        ErrorCode::ReadOnly => match unwritable(path) {
            Some(hint) => error.hint(hint),
            None => error,
        },
        _ => error,
    }
}

/// The same failure for lack of space, where the disk has no room for the smallest file of SQLite's.
fn if_full(path: &Path, error: Error) -> Error {
    match try_disk(folder_of(&real(path))) {
        Err(cause) if is_full(&cause) => error.for_lack_of_space(),
        _ => error,
    }
}

fn try_disk(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder)?.write_all(&vec![0; 32 * 1024])
}

/// Which files beside a database cannot be written; they keep the rights that the database had when they were made.
fn unwritable(path: &Path) -> Option<String> {
    let path = real(path);
    let files = ["", "-wal", "-shm"].map(|suffix| beside(&path, suffix));
    let found = files.iter().filter(|file| file.exists() && !is_writable(file));
    let names: Vec<String> = found.map(|file| file.display().to_string()).collect();
    (!names.is_empty()).then(|| format!("Make it writable: chmod u+w {}", names.join(" ")))
}

/// Whether a file can be written by the user who runs this, and by its owner
fn is_writable(file: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    access(file, Access::WRITE_OK).is_ok() && file.metadata().is_ok_and(|found| found.mode() & 0o200 != 0)
}

fn is_full(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The error for a failed system call on a file; `what` makes the sentence.
pub(super) fn of_system(cause: io::Error, what: impl FnOnce(&io::Error) -> Error) -> Error {
    if is_full(&cause) { Error::no_space() } else { what(&cause) }.with_source(cause)
}

pub(super) fn unreadable(path: &Path, cause: io::Error) -> Error {
    of_system(cause, |cause| Error::unavailable(format!("The database {} cannot be opened: {cause}.", path.display())))
}

pub(super) fn unopened(path: &Path, cause: rusqlite::Error) -> Error {
    let error = Error::unavailable(format!("The database {} cannot be opened: {cause}.", path.display()));
    let hint = meaning(&cause).and_then(|error| error.advice().map(ToOwned::to_owned));
    let error = error.with_source(cause);
    match hint {
        Some(hint) => explain(path, error.hint(hint)),
        None => explain(path, error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::Kind;

    fn failed(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn only_of_a_commit_that_the_disk_failed_is_the_outcome_unknown() {
        for (code, kind, is_open) in [
            (ffi::SQLITE_IOERR_FSYNC, Kind::Unavailable, true),
            (ffi::SQLITE_IOERR_WRITE, Kind::Unavailable, true),
            (ffi::SQLITE_FULL, Kind::NoSpace, false),
            (ffi::SQLITE_BUSY, Kind::Unavailable, false),
        ] {
            let error = of_commit(failed(code));
            let problem = serde_json::to_value(error.problem()).unwrap();
            assert_eq!(
                (error.kind(), problem.get("outcome")),
                (kind, is_open.then(|| "unknown".into()).as_ref()),
                "{code}"
            );
            assert_eq!(error.to_string().contains("same idempotency key"), is_open, "{error}");
            assert!(!is_open || !error.to_string().contains("nothing was changed"), "{error}");
            let again = serde_json::to_value(error.again().problem()).unwrap();
            assert_eq!(again, problem);
            assert!(serde_json::to_value(Error::from(failed(code)).problem()).unwrap().get("outcome").is_none());
        }
    }

    #[test]
    fn a_migration_that_the_disk_refuses_is_of_the_kind_of_any_write() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let mut connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute_batch("CREATE TABLE one (a); PRAGMA max_page_count = 5").unwrap();
        let full = super::super::prepare::migrate(&mut connection).unwrap_err();
        assert_eq!(full.kind(), Kind::NoSpace, "{full}");
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let mut connection = rusqlite::Connection::open_with_flags(&file, flags).unwrap();
        let read_only = super::super::prepare::migrate(&mut connection).unwrap_err();
        assert_eq!(read_only.kind(), Kind::Unavailable, "{read_only}");
    }

    #[test]
    fn where_the_disk_has_room_a_file_that_cannot_be_made_is_no_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        for code in [ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_CANTOPEN] {
            let error = explain(&file, failed(code).into());
            assert_eq!(error.kind(), Kind::Unavailable, "{error}");
        }
    }

    #[test]
    fn of_a_database_that_cannot_be_written_each_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.db");
        let set = |end: &str, mode| fs::set_permissions(beside(&file, end), fs::Permissions::from_mode(mode)).unwrap();
        for end in ["", "-wal", "-shm"] {
            fs::write(beside(&file, end), "").unwrap();
            set(end, 0o600);
        }
        let hint = || explain(&file, failed(ffi::SQLITE_READONLY).into()).advice().unwrap().to_owned();
        assert!(!hint().contains("x.db"), "{}", hint());
        set("-wal", 0o400);
        set("-shm", 0o400);
        assert!(
            hint().ends_with("x.db-shm") && hint().contains("x.db-wal ") && !hint().contains("x.db "),
            "{}",
            hint()
        );
    }
}
