//! Backups: verified copies, and restoring them.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, MAIN_DB};

use super::failure::explain;
use super::partial::{Partial, already_there};
use super::place::Identity;
use super::prepare::{lock_file, make_folder};
use super::schema::{self, Strange};
use super::{
    APPLICATION_ID, RENEW_GENERATION, connect, connect_to_read, folder_of, foreign, inspect, real,
    refuse_other_than_file, unreadable, version,
};
use crate::error::{Error, Kind, Result};
use crate::store::Contents;

/// How long a restore waits for others to close the database. A program that has it open keeps it open.
const SHORT: Duration = Duration::from_millis(300);

/// Copies the database while others use it.
pub(in crate::store) fn backup(source: &Path, target: &Path, dry_run: bool) -> Result<Contents> {
    copy_to_new_file(source, target, dry_run).map_err(|error| explain(source, error))
}

fn copy_to_new_file(source: &Path, target: &Path, dry_run: bool) -> Result<Contents> {
    if target.symlink_metadata().is_ok() {
        return Err(already_there(&target.display()));
    }
    let Some(_) = target.to_str() else {
        return Err(Error::invalid("file", "The name of the backup is not UTF-8."));
    };
    must_be_there(source)?;
    let connection = connect(source)?;
    let version = version(&connection, source)?;
    if version == 0 {
        return Err(empty(source));
    }
    if dry_run {
        let folder = folder_of(target);
        if !folder.is_dir() {
            return Err(Error::unavailable(format!("There is no folder {}.", folder.display())));
        }
        let bytes = inspect::bytes(&connection)? - inspect::free_bytes(&connection)?;
        return Ok(Contents { version, bytes, strange: schema::strange(&connection, version)? });
    }
    let partial = Partial::create(target)?;
    let plain = super::plain(partial.path());
    connection.execute("VACUUM INTO ?1", [plain.to_str()])?;
    let contents = verify(partial.path())?;
    partial.publish()?;
    Ok(contents)
}

/// Verifies a copy without changing it: a tidings database, not newer than this program, undamaged. Returns its
/// contents.
pub(in crate::store) fn verify(path: &Path) -> Result<Contents> {
    must_be_there(path)?;
    look_through(path).map_err(|error| of_backup(path, error))
}

/// As [`verify`], for a copy that is to be used: it must have no foreign triggers, views or tables.
pub(in crate::store) fn verify_for_use(path: &Path) -> Result<Contents> {
    let contents = verify(path)?;
    Strange::refuse(&contents.strange).map_err(|error| of_backup(path, error))?;
    Ok(contents)
}

fn of_backup(path: &Path, error: Error) -> Error {
    match error.kind() {
        // The words are those for a database that is in use.
        Kind::Unavailable => Error::unavailable(format!("The backup {} cannot be used: {error}", path.display()))
            .hint("Name another backup; nothing was changed.")
            .with_source(error),
        _ => error,
    }
}

fn look_through(path: &Path) -> Result<Contents> {
    let connection = connect_to_read(path)?;
    let version = version(&connection, path)?;
    if version == 0 {
        return Err(empty(path));
    }
    let mut damages = inspect::damages(&connection)?;
    damages.extend(inspect::broken_references(&connection)?);
    if let Some(damage) = damages.first() {
        return Err(Error::unavailable(format!("It is damaged: {damage}.")));
    }
    Ok(Contents { version, bytes: inspect::bytes(&connection)?, strange: schema::strange(&connection, version)? })
}

/// Refuses a restore over a file that is not a tidings database.
pub(in crate::store) fn check_target(source: &Path, target: &Path) -> Result<()> {
    if target.as_os_str().is_empty() {
        return Err(Error::unavailable("The name of the database is empty."));
    }
    let Ok(found) = target.metadata() else { return Ok(()) };
    refuse_other_than_file(target)?;
    if Identity::of(source).ok() == Identity::of(target).ok() {
        return Err(Error::conflict(format!("{} is the database itself.", source.display())));
    }
    // By its header alone, because the rest may be damaged.
    let mut header = [0; 72];
    let mut file = File::open(target).map_err(|cause| unreadable(target, cause))?;
    let is_ours = match file.read_exact(&mut header) {
        Ok(()) => header.starts_with(b"SQLite format 3\0") && header[68..].iter().copied().eq(id_bytes()),
        Err(_) => found.len() == 0,
    };
    if is_ours {
        return Ok(());
    }
    Err(foreign(target).hint("Move it away first; it was left as it is."))
}

fn id_bytes() -> impl Iterator<Item = u8> {
    APPLICATION_ID.to_be_bytes().into_iter().skip(4)
}

/// Replaces `target` with the verified backup `source`, completely or not at all. Returns whether the write-ahead log
/// could be moved into the file; the restore is complete either way.
pub(in crate::store) fn restore(source: &Path, target: &Path, may_replace: bool) -> Result<bool> {
    let target = &real(target);
    put_in_place(source, target, may_replace).map_err(|error| explain(target, error))
}

fn put_in_place(source: &Path, target: &Path, may_replace: bool) -> Result<bool> {
    let failed = |cause| unreadable(target, cause);
    make_folder(folder_of(target)).map_err(failed)?;
    let _alone = lock_file(target).map_err(failed)?;
    let from = connect_to_read(source)?;
    if !target.try_exists().map_err(failed)? {
        let partial = Partial::create(target)?;
        let mut into = connect(partial.path())?;
        // It is synced at the end, and invisible to others before.
        into.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF")?;
        copy(&from, &mut into)?;
        renew_generation(&into)?;
        into.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        into.close().map_err(|(_, cause)| cause)?;
        verify_for_use(partial.path())?;
        partial.publish()?;
        return Ok(true);
    }
    if !may_replace {
        return Err(already_there(&target.display()));
    }
    check_target(source, target)?;
    must_have_room(target, inspect::bytes(&from)?)?;
    let mut into = connect(target)?;
    if into.is_readonly(MAIN_DB)? {
        return Err(Error::unavailable(format!("The database {} is read-only.", target.display()))
            .hint("Check the permissions of the file and its folder."));
    }
    into.busy_timeout(SHORT)?;
    // With writable_schema even a file that was cut short can be written over.
    into.execute_batch(
        "PRAGMA writable_schema = ON;
         PRAGMA secure_delete = ON;
         PRAGMA locking_mode = EXCLUSIVE;
         BEGIN EXCLUSIVE;
         COMMIT;",
    )
    .map_err(|cause| if_in_use(target, cause))?;
    copy(&from, &mut into)?;
    // From here on the database has the contents of the backup.
    renew_generation(&into).map_err(|error| {
        Error::unavailable("The backup was restored, but who follows the events will not be told so.")
            .hint("Restore it again.")
            .with_source(error)
    })?;
    let is_moved = into.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).is_ok();
    Ok(into.close().is_ok() && is_moved)
}

/// Looks for room before anything is done: all pages go into the log first, and from there into the file, which may have to grow.
fn must_have_room(target: &Path, bytes: i64) -> Result<()> {
    let bytes = u64::try_from(bytes).unwrap_or(0);
    let needed = bytes + bytes / 64 + bytes.saturating_sub(target.metadata().map_or(0, |found| found.len()));
    let Ok(disk) = rustix::fs::statvfs(folder_of(target)) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if needed <= free {
        return Ok(());
    }
    Err(Error::no_space().hint(format!("The restore needs {needed} bytes of free space; there are {free}.")))
}

/// Copies every page in one transaction.
fn copy(from: &Connection, into: &mut Connection) -> Result<()> {
    match Backup::new(from, into)?.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(Error::unavailable("The database is busy; nothing was changed.").hint("Try again.")),
    }
}

/// Makes cursors from before void: the log of events goes on from where the copy was made.
fn renew_generation(connection: &Connection) -> Result<()> {
    // A backup of an older version gets one when it is brought up to date.
    if connection.table_exists(None, "event_log")? {
        connection.execute(RENEW_GENERATION, [])?;
    }
    Ok(())
}

fn if_in_use(path: &Path, cause: rusqlite::Error) -> Error {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::unavailable(format!("The database {} is in use by another program.", path.display()))
                .hint("Stop it first; nothing was changed.")
                .with_source(cause)
        }
        _ => cause.into(),
    }
}

fn must_be_there(path: &Path) -> Result<()> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::not_found(format!("There is no file {}.", path.display()))),
        Err(cause) => Err(unreadable(path, cause)),
    }
}

fn empty(path: &Path) -> Error {
    Error::unavailable(format!("{} is empty: it is not a database yet.", path.display()))
}
