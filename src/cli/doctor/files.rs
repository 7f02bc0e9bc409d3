//! What the doctor sees of a file: who may read it, what disk it lies on, what lies beside it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::Finding;

/// Below this, or below a twentieth of the disk, space is short
const LEAST_SPACE: u64 = 100_000_000;

/// What SQLite cuts its log down to after use, as we set it up; more is not given back while somebody reads
const LARGEST_LOG: u64 = 64 << 20;

/// Looks at a database's file, what lies beside it, its folder and its disk.
pub(super) fn look(path: &Path, findings: &mut Vec<Finding>) {
    let shown = path.display();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match path.metadata() {
        Ok(found) if found.is_file() => {
            findings.push(Finding::ok("location", shown.to_string()));
            look_at_rights(path, findings);
        }
        // What else it is, the database's own finding says.
        Ok(_) => findings.push(Finding::ok("location", shown.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.push(Finding::ok("location", format!("{shown}, which does not exist yet")));
        }
        Err(error) => {
            let remedy = "Check the permissions of the folders above it.";
            findings.push(Finding::problem("location", format!("{shown} cannot be examined: {error}"), remedy));
        }
    }
    let Some(folder) = folder
        .ancestors()
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        .find(|folder| folder.exists())
    else {
        return;
    };
    look_at_folder(folder, findings);
    look_at_disk(folder, findings);
}

fn look_at_rights(path: &Path, findings: &mut Vec<Finding>) {
    let before = findings.len();
    let beside = ["-wal", "-shm", "-lock", "-key"].map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    });
    for file in [path].into_iter().chain(beside.iter().map(PathBuf::as_path)) {
        let Ok(found) = file.metadata() else { continue };
        let shown = file.display();
        if found.mode() & 0o077 != 0 {
            let detail = format!("{shown} is accessible to others (mode {:04o})", found.mode() & 0o7777);
            findings.push(Finding::warning("permissions", detail, format!("chmod 600 {shown}")));
        }
        if found.uid() != user_number() {
            let detail = format!("{shown} belongs to another user (number {})", found.uid());
            findings.push(Finding::warning(
                "owner",
                detail,
                "Run tidings as that user, or change the owner of the file: chown",
            ));
        }
    }
    // The log and what goes with it keep the rights that the file had when they were made.
    for file in [path, &beside[0], &beside[1]] {
        let Ok(found) = file.metadata() else { continue };
        if access(file, Access::READ_OK | Access::WRITE_OK).is_err() || found.mode() & 0o200 == 0 {
            let detail = format!("{} cannot be written (mode {:04o})", file.display(), found.mode() & 0o7777);
            findings.push(Finding::problem("permissions", detail, format!("chmod 600 {}", file.display())));
        }
    }
    if findings.len() == before {
        findings.push(Finding::ok("permissions", "only their owner can use the files"));
    }
    let length = beside[0].metadata().map_or(0, |log| log.len());
    if length > LARGEST_LOG {
        let detail = format!("the log {} has {length} bytes", beside[0].display());
        let remedy = "Another program keeps reading; stop it, then: tidings db compact";
        findings.push(Finding::warning("log", detail, remedy));
    }
}

fn look_at_folder(folder: &Path, findings: &mut Vec<Finding>) {
    let Ok(found) = folder.metadata() else { return };
    let shown = folder.display();
    let mode = found.mode() & 0o7777;
    // In a folder with the sticky bit, as /tmp, nobody moves what is another's.
    findings.push(if access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() || mode & 0o200 == 0 {
        let remedy = "SQLite writes its log there; make it writable (chmod u+w) or use another folder";
        Finding::problem("folder", format!("{shown} cannot be written (mode {mode:04o})"), remedy)
    } else if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        let detail = format!("in {shown} others can replace files (mode {mode:04o})");
        Finding::warning("folder", detail, format!("chmod go-w {shown}"))
    } else {
        Finding::ok("folder", format!("{shown} (mode {mode:04o})"))
    });
}

fn look_at_disk(folder: &Path, findings: &mut Vec<Finding>) {
    if let Ok(disk) = rustix::fs::statvfs(folder) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let total = disk.f_blocks.saturating_mul(disk.f_frsize);
        let detail = format!("{} MB free of {}", free / 1_000_000, total / 1_000_000);
        findings.push(if free < LEAST_SPACE || free < total / 20 {
            Finding::warning("disk", detail, "Free some space: on a full disk nothing can be sent or deleted.")
        } else {
            Finding::ok("disk", detail)
        });
    }
    if let Some(name) = shared_file_system(folder) {
        let detail = format!("{} is on {name}, where SQLite's log cannot be shared safely", folder.display());
        findings.push(Finding::problem("file_system", detail, "Move the database to a local disk."));
    }
}

/// The name of a file system on which several machines, or programs, can see different things
#[cfg(target_os = "linux")]
fn shared_file_system(folder: &Path) -> Option<&'static str> {
    // The numbers of statfs(2).
    match u32::try_from(rustix::fs::statfs(folder).ok()?.f_type & 0xFFFF_FFFF).ok()? {
        0x6969 => Some("NFS"),
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE"),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn shared_file_system(_: &Path) -> Option<&'static str> {
    None
}

/// The number of the user this runs as
fn user_number() -> u32 {
    rustix::process::geteuid().as_raw()
}
