//! The disk of a program under test: what it does there fails, or is recorded. The other half is `shim.c`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use tempfile::TempDir;

use crate::support::say_skipped;

pub(super) const WRITE: i32 = 1;
pub(super) const SYNC: i32 = 2;
pub(super) const TRUNCATE: i32 = 4;
pub(super) const REMOVE: i32 = 8;
pub(super) const OPEN: i32 = 16;
pub(super) const READ: i32 = 64;
/// All but reading
pub(super) const CHANGE: i32 = 0xff & !READ;

/// How many numbers the control file holds
const NUMBERS: usize = 7;

/// What is to fail
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) error: Errno,
    /// Which operations
    pub(super) kinds: i32,
    /// From which on, counted from 1
    pub(super) first: i32,
    /// How many; 0: all
    pub(super) count: i32,
    /// Whether half of what is to be written is written first
    pub(super) is_short: bool,
}

/// The shim, compiled, with its files
pub(super) struct Shim {
    folder: TempDir,
    control: File,
}

impl Shim {
    /// Compiles it; none where there is no compiler, or no Linux: then it says what is not tested.
    pub(super) fn compile(what: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-ldl", "-lpthread"];
        if !cfg!(target_env = "gnu") || !compile("shim.c", &folder.path().join("shim.so"), &flags) {
            say_skipped(&format!("{what} (it needs a C compiler, and Linux with glibc)"));
            return None;
        }
        let control =
            File::options().create_new(true).read(true).write(true).open(folder.path().join("control")).unwrap();
        control.set_len(4096).unwrap();
        File::create(folder.path().join("record")).unwrap();
        Some(Self { folder, control })
    }

    pub(super) fn record(&self) -> PathBuf {
        self.folder.path().join("record")
    }

    /// The variables of a program whose files below a folder fail as [`Self::fail`] says
    pub(super) fn failing(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let mut variables = self.loading(folder);
        variables.push(("SHIM_CONTROL", text(&self.folder.path().join("control"))));
        variables
    }

    /// The variables of a program that records what it does to files below a folder
    pub(super) fn recording(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let mut variables = self.loading(folder);
        variables.push(("SHIM_RECORD", text(&self.record())));
        variables
    }

    /// The variables of a program whose files below a folder are never synced, though it is told that they are
    pub(super) fn never_syncing(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let mut variables = self.loading(folder);
        variables.push(("SHIM_NO_SYNC", "1".to_owned()));
        variables
    }

    fn loading(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let folder = format!("{}/", text(&folder.canonicalize().unwrap()));
        vec![("LD_PRELOAD", text(&self.folder.path().join("shim.so"))), ("SHIM_FOLDER", folder)]
    }

    /// Lets this fail from now on.
    pub(super) fn fail(&self, fault: Fault) {
        let Fault { error, kinds, first, count, is_short } = fault;
        // What fails is switched on last.
        self.set([0; NUMBERS]);
        self.set([0, kinds, first, count, i32::from(is_short), 0, 0]);
        self.control.write_all_at(&error.raw_os_error().to_ne_bytes(), 0).unwrap();
    }

    /// Lets nothing fail any more; returns how many might have failed, and how many did.
    pub(super) fn end(&self) -> (i32, i32) {
        self.control.write_all_at(&[0; 4], 0).unwrap();
        let mut bytes = [0; 4 * NUMBERS];
        self.control.read_exact_at(&mut bytes, 0).unwrap();
        let number = |index: usize| i32::from_ne_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap());
        (number(5), number(6))
    }

    /// Only counts what might fail.
    pub(super) fn count(&self, kinds: i32) {
        self.fail(Fault { error: Errno::IO, kinds, first: i32::MAX, count: 0, is_short: false });
    }

    fn set(&self, numbers: [i32; NUMBERS]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
        self.control.write_all_at(&bytes, 0).unwrap();
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Compiles a file of this folder; false where there is no compiler.
pub(super) fn compile(source: &str, target: &Path, flags: &[&str]) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/durability").join(source);
    let Ok(compiled) = Command::new("cc").arg(source).arg("-o").arg(target).args(flags).output() else { return false };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    true
}
