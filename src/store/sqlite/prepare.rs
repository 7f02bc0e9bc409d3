//! Making files, and bringing older ones up to date.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::partial::Partial;
use super::{PATIENCE, beside, connect, folder_of, migration_failed, sync_folder, version};
use crate::error::{Error, Result};
use crate::store::{Opened, VERSION, opened};

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// `tidi`: how the header of a file says that it is ours.
pub(super) const APPLICATION_ID: i64 = 0x7469_6469;

/// Makes the file or brings it up to date, alone: refinery takes no lock, and of several first starts at once some fail.
pub(super) fn prepare_file(path: &Path) -> Result<Opened> {
    if path.as_os_str().is_empty() {
        return Err(Error::unavailable("The name of the database is empty."));
    }
    let failed = |cause: std::io::Error| match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::no_space().because(cause),
        _ => {
            let detail = format!("The database {} cannot be made: {cause}.", path.display());
            Error::unavailable(detail).because(cause)
        }
    };
    let folder = folder_of(path);
    make_folder(folder).map_err(failed)?;
    let _alone = lock_file(path).map_err(failed)?;
    if is_free(path).map_err(failed)? {
        make_file(path)?;
        return Ok(opened(0));
    }
    // The file comes first, readable by its owner only: SQLite gives -wal and -shm the same mode.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    let mut connection = connect(path)?;
    let version = version(&connection, path)?;
    if version == 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        // First of all, so that a file is ours from its first table on.
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    switch_to_wal(&connection)?;
    if version < VERSION {
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON")?;
        migrate(&mut connection)?;
    }
    drop(connection);
    sync_folder(folder).map_err(failed)?;
    Ok(opened(version))
}

/// Whether nothing lies there, nor the log of a database that did.
fn is_free(path: &Path) -> std::io::Result<bool> {
    for suffix in ["", "-wal", "-journal"] {
        match beside(path, suffix).symlink_metadata() {
            Ok(_) => return Ok(false),
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(true)
}

/// Makes the file beside its place and puts it there as a whole, so that the disk is waited for once, not at each step.
fn make_file(path: &Path) -> Result<()> {
    let partial = Partial::create(path)?;
    let mut connection = connect(partial.path())?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(&mut connection)?;
    switch_to_wal(&connection)?;
    connection.close().map_err(|(_, cause)| cause)?;
    partial.publish()
}

pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    embedded::migrations::runner().set_grouped(true).run(connection).map_err(migration_failed)?;
    Ok(())
}

/// Makes a folder, and those it lies in, for their owner only. They are there after a power cut.
pub(super) fn make_folder(folder: &Path) -> std::io::Result<()> {
    let known = folder.ancestors().find(|ancestor| ancestor.is_dir());
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for ancestor in folder.ancestors().take_while(|ancestor| Some(*ancestor) != known).filter_map(Path::parent) {
        sync_folder(ancestor)?;
    }
    Ok(())
}

/// Waits for others who look at the file: this is the one statement that ignores the busy timeout.
fn switch_to_wal(connection: &Connection) -> Result<()> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && start.elapsed() < PATIENCE => {}
            done => return Ok(done?),
        }
        #[expect(clippy::disallowed_methods, reason = "others only look at the header, and are gone at once")]
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Holds everybody else up while the file is prepared. A file of its own beside the database: closing a second handle to
/// the database itself would drop the locks SQLite holds on it.
pub(super) fn lock_file(path: &Path) -> std::io::Result<File> {
    let lock = beside(path, "-lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(lock)?;
    file.lock()?;
    Ok(file)
}
