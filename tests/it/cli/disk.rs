//! Disks that are full or read-only: what is refused, and that nothing is changed or left behind.

use std::fs;
use std::process::Command;

use insta::assert_snapshot;

use super::db::json;
use super::shell;
use crate::support::Shell;

/// A disk of one megabyte
pub(crate) struct SmallDisk<'s>(&'s Shell);

impl<'s> SmallDisk<'s> {
    /// None where the tests may not mount one
    pub(crate) fn mount(shell: &'s Shell) -> Option<Self> {
        fs::create_dir(shell.path("disk")).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(shell.path("disk")).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(shell));
        }
        crate::support::say_skipped("a full disk (only root mounts one)");
        None
    }

    fn make_read_only(&self) {
        let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(self.0.path("disk")).status();
        assert!(remounted.unwrap().success());
    }

    /// Fills what is left.
    pub(crate) fn fill(&self) {
        let _ = fs::write(self.0.path("disk/ballast"), vec![0; 2 << 20]);
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path("disk")).status();
    }
}

#[test]
fn on_a_read_only_disk_a_database_is_refused_with_what_to_do() {
    let shell = shell();
    let Some(disk) = SmallDisk::mount(&shell) else { return };
    shell.done("db backup disk/there.db");
    shell.done("user list --db disk/there.db -q");
    disk.make_read_only();
    for line in ["user list", "user create eve --no-password", "db compact", "db restore test.db --yes"] {
        let run = shell.run(&format!("{line} --db disk/there.db"));
        assert_eq!(run.code, 7, "{run}");
        assert!(run.stderr.to_lowercase().contains("read-only"), "{run}");
    }
    assert_eq!(
        shell.done("db restore disk/there.db --db copy.db").code,
        0,
        "a backup is read where nothing can be written"
    );
    let findings = json(&shell.run("doctor -o json --db disk/there.db").stdout);
    let problem = |check: &str| {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["check"] == check);
        found.is_some_and(|finding| finding["level"] == "problem")
    };
    assert!(problem("permissions") && problem("folder") && !problem("database"), "{findings}");
}

#[test]
fn on_a_full_disk_nothing_is_changed_and_nothing_left_behind() {
    let shell = shell();
    let Some(disk) = SmallDisk::mount(&shell) else { return };
    shell.done("db backup disk/there.db");
    shell.done("user list --db disk/there.db -q");
    disk.fill();
    for line in [
        "db backup disk/copy.db",
        "db restore test.db --db disk/other.db",
        "message send team 'a message' --as ann --db disk/there.db",
        "user delete ann --yes --db disk/there.db",
        "user create eve --no-password --db disk/new.db",
    ] {
        let run = shell.run(&format!("{line} -o json"));
        assert_eq!(run.code, 7, "{line}: {run}");
        assert_eq!(json(run.stderr.lines().last().unwrap())["code"], "no_space", "{line}: {run}");
    }
    assert_snapshot!(shell.run("db backup disk/copy.db"), @"
    --- stderr
    tidings: The disk is full; nothing was changed.
    --- exit code 7
    ");
    for name in ["copy.db", "other.db"]
        .iter()
        .flat_map(|name| ["", ".partial", ".partial-journal"].map(|end| [name, end].concat()))
    {
        assert!(!shell.path("disk").join(&name).exists(), "{name}");
    }
    fs::remove_file(shell.path("disk/ballast")).unwrap();
    shell.done("db check --db disk/there.db");
    assert_eq!(shell.done("message list -o json --db disk/there.db").stdout, shell.done("message list -o json").stdout);
}
