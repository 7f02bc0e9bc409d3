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
        crate::support::say_left_out("a full disk (only root mounts one)");
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

    /// Fills all but so many bytes.
    pub(crate) fn fill_but(&self, bytes: u64) {
        let disk = rustix::fs::statvfs(self.0.path("disk")).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        fs::write(self.0.path("disk/ballast"), vec![0; usize::try_from(free - bytes).unwrap()]).unwrap();
    }

    /// Makes it as large as that.
    fn resize(&self, bytes: u64) {
        let size = format!("remount,size={bytes}");
        assert!(Command::new("mount").args(["-o", &size]).arg(self.0.path("disk")).status().unwrap().success());
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

#[test]
fn a_restore_for_which_there_is_no_room_changes_nothing_and_says_so() {
    let shell = shell();
    let Some(disk) = SmallDisk::mount(&shell) else { return };
    disk.resize(8 << 20);
    shell.done("data seed --users 9 --conversations 5 --messages 1000 --db large.db");
    shell.done("db backup backup.db --db large.db");
    let bytes = fs::metadata(shell.path("backup.db")).unwrap().len();
    assert!(bytes > 400_000, "{bytes}");
    shell.done("db backup disk/there.db");
    shell.done("user list -q --db disk/there.db");
    let list = |database: &str| shell.done(&format!("user list -o ids --db {database}")).stdout;
    let (before, after) = (list("disk/there.db"), list("large.db"));
    let mut outcomes = [false; 2];
    // From too little to more than enough: the log takes as much as the backup, and so does the file.
    for room in (bytes / 2..5 * bytes / 2).step_by(usize::try_from(bytes / 5).unwrap()) {
        disk.fill_but(room);
        let run = shell.run("db restore backup.db --yes -q --db disk/there.db");
        fs::remove_file(shell.path("disk/ballast")).unwrap();
        let found = list("disk/there.db");
        outcomes[usize::from(run.code == 0)] = true;
        match run.code {
            0 => assert_eq!(found, after, "{room}: {run}"),
            7 => assert_eq!(found, before, "{room}: {run}"),
            _ => panic!("{room}: {run}"),
        }
        assert_eq!(run.stderr.contains("The disk is full; nothing was changed."), run.code == 7, "{room}: {run}");
        assert!(
            room >= bytes || run.stderr.contains("bytes of free space"),
            "looked for before anything is done: {run}"
        );
        shell.done("db check --db disk/there.db");
        shell.done("db restore test.db --yes --db disk/there.db");
    }
    assert_eq!(outcomes, [true; 2]);
}

/// A database as the first version left it, with messages
fn older(shell: &Shell, name: &str) {
    let older = rusqlite::Connection::open(shell.path(name)).unwrap();
    older.execute("ATTACH $1 AS made", [shell.path("test.db").to_str()]).unwrap();
    let history = "SELECT sql FROM made.sqlite_schema WHERE name = 'refinery_schema_history'";
    let history: String = older.query_row(history, [], |row| row.get(0)).unwrap();
    older.execute_batch(&history).unwrap();
    older.execute_batch(include_str!("../../../migrations/sqlite/V1__core.sql")).unwrap();
    let rows = "
        PRAGMA application_id = 0x74696469;
        INSERT INTO refinery_schema_history SELECT * FROM made.refinery_schema_history WHERE version = 1;
        INSERT INTO account (key, id, username, username_folded, first_name, last_name, names_folded, role, created_at)
        VALUES (1, randomblob(16), 'ann', 'ann', '', '', 'ann', 0, 1), (2, randomblob(16), 'bob', 'bob', '', '', 'bob', 0, 1);
        INSERT INTO conversation (key, id, kind, names_folded, created_at, active_at, last_number, message_count)
        VALUES (1, randomblob(16), 1, '', 1, 1, 900, 900);
        INSERT INTO participant (conversation_key, user_key) VALUES (1, 1), (1, 2);
        INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
        WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 900)
        SELECT randomblob(16), 1, number, 1, 'a message', 1 FROM numbers;
        INSERT INTO notification (message_key, user_key, conversation_key, kind) SELECT key, 2, 1, 0 FROM message;
        PRAGMA journal_mode = wal;";
    older.execute_batch(rows).unwrap();
}

#[test]
fn a_disk_that_is_full_when_a_database_is_made_or_brought_up_to_date_is_not_our_fault() {
    let shell = shell();
    let Some(disk) = SmallDisk::mount(&shell) else { return };
    older(&shell, "older.db");
    fs::copy(shell.path("older.db"), shell.path("disk/older.db")).unwrap();
    let refused = |line: &str, room| {
        let run = shell.run(&format!("{line} -o json"));
        assert_eq!(run.code, 7, "{room}: {line}: {run}");
        assert_eq!(json(run.stderr.lines().last().unwrap())["code"], "no_space", "{room}: {line}: {run}");
    };
    for room in [0, 20_000, 60_000, 100_000] {
        disk.fill_but(room);
        refused("user create ann --no-password --db disk/new.db", room);
        refused("data seed --db disk/new.db", room);
        refused("db migrate --db disk/older.db", room);
        fs::remove_file(shell.path("disk/ballast")).unwrap();
        for name in ["new.db", "new.db.partial"] {
            assert!(!shell.path("disk").join(name).exists(), "{name}");
        }
    }
    disk.resize(8 << 20);
    shell.done("db migrate --db disk/older.db");
    assert_eq!(json(&shell.done("db status -o json --db disk/older.db").stdout)["messages"], 900);
}
