//! Making files, and bringing older ones up to date.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use refinery::Target;
use rusqlite::{Connection, ErrorCode};
use rustix::fs::OFlags;

use super::failure::of_system;
use super::partial::Partial;
use super::patience::PATIENCE;
use super::{beside, connect, folder_of, real, sync_folder, version};
use crate::error::{Error, Result};
use crate::store::{Opened, VERSION, migration_failed, opened};

mod embedded {
    refinery::embed_migrations!("migrations/sqlite");
}

/// `tidi`: the application id in the header of a tidings file.
pub(super) const APPLICATION_ID: i64 = 0x7469_6469;

/// Makes the file or brings it up to date, alone: refinery takes no lock, and of several first starts at once some fail.
pub(super) fn prepare_file(path: &Path) -> Result<Opened> {
    let path = &real(path);
    let failed = |cause: std::io::Error| {
        of_system(cause, |cause| {
            Error::unavailable(format!("The database {} cannot be made: {cause}.", path.display()))
        })
    };
    let folder = folder_of(path);
    make_folder(folder).map_err(failed)?;
    let _alone = lock_file(path).map_err(failed)?;
    if !path.try_exists().map_err(failed)? {
        make_file(path)?;
        return Ok(opened(0));
    }
    let mut connection = connect(path)?;
    let version = version(&connection, path)?;
    if version == 0 {
        // Readable by its owner only, first of all: SQLite gives -wal and -shm the same mode.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        // First, so that the file has the application id before its first table.
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

/// A database in memory as it is made at a version, to compare others with.
pub(super) fn pattern(version: i64) -> Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    let target = Target::Version(version.try_into().map_err(Error::internal)?);
    embedded::migrations::runner().set_target(target).run(&mut connection).map_err(migration_failed)?;
    Ok(connection)
}

/// Creates a folder and its parents, for their owner only, and syncs them.
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
    // Anybody who may make files here could have made it a link to anywhere.
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(lock)?;
    file.lock()?;
    Ok(file)
}
