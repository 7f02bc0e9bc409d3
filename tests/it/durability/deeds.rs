//! Each command that writes, on a small database, and what there is before and after it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rusqlite::Connection;
use tempfile::TempDir;

use super::PROGRAM;
use crate::support::{self, Shell};

/// A command that writes
pub(super) struct Deed {
    pub(super) name: &'static str,
    line: &'static str,
    pub(super) steps: Steps,
}

/// In how many transactions something is done
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Steps {
    One,
    /// First the database is made, by the command line of that.
    MakeFirst(&'static str),
    /// One after the other; given again, it goes on.
    Several,
}

const fn whole(name: &'static str, line: &'static str) -> Deed {
    Deed { name, line, steps: Steps::One }
}

const fn made_first(name: &'static str, make: &'static str, line: &'static str) -> Deed {
    Deed { name, line, steps: Steps::MakeFirst(make) }
}

const fn in_steps(name: &'static str, line: &'static str) -> Deed {
    Deed { name, line, steps: Steps::Several }
}

pub(super) const DEEDS: [Deed; 15] = [
    whole("send", "--db test.db message send team four --as ann"),
    whole("edit", "--db test.db message edit team#1 eins --as ann"),
    whole("delete a message", "--db test.db message delete team#1 --yes"),
    whole("delete an account", "--db test.db user delete zoe --yes"),
    whole("apply", "--db test.db data apply records"),
    in_steps("load", "--db test.db data load records"),
    made_first("load into none", "--db new.db db migrate", "--db new.db data load records"),
    whole("back up", "--db test.db db backup copy.db"),
    whole("restore", "--db test.db db restore backup.db --yes"),
    whole("restore to none", "--db new.db db restore backup.db"),
    whole("compact", "--db test.db db compact"),
    made_first("first start", "--db new.db db migrate", "--db new.db user create kim --no-password"),
    made_first(
        "first start in a new folder",
        "--db folder/new.db db migrate",
        "--db folder/new.db user create kim --no-password",
    ),
    in_steps("migrate", "--db old.db db migrate"),
    // A key comes first, and is kept whatever becomes of the token.
    in_steps("issue a token", "--db test.db token issue ann"),
];

/// What counts of each file of a folder: all rows of a database, of another file how long it is
pub(super) type State = BTreeMap<String, String>;

impl Deed {
    /// Does it in a copy of the template, with more variables.
    pub(super) fn run(&self, folder: &Path, variables: &[(&'static str, String)]) -> Output {
        run(self.line, folder, variables)
    }

    /// What there is before it, what there may be on the way, and what there is after it
    pub(super) fn states(&self, template: &Shell, folder: &Path) -> States {
        let after = |line: Option<&str>| {
            clear(folder);
            copy(template, folder);
            if let Some(line) = line {
                let output = run(line, folder, &[]);
                assert!(output.status.success(), "{line}: {output:?}");
            }
            state(folder).unwrap()
        };
        let between = if let Steps::MakeFirst(make) = self.steps { Some(after(Some(make))) } else { None };
        States { before: after(None), between, after: after(Some(self.line)), is_open: self.steps == Steps::Several }
    }
}

fn run(line: &str, folder: &Path, variables: &[(&'static str, String)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(["--now", "2026-01-01T09:00:00Z", "--seed", "1", "--output", "jsonl", "--quiet"]);
    command.args(line.split(' ')).current_dir(folder).env_clear().env("HOME", folder).env("USER", "root");
    command.envs(variables.iter().map(|(name, value)| (name, value))).output().unwrap()
}

/// What there may be while a command is at work
pub(super) struct States {
    pub(super) before: State,
    between: Option<State>,
    pub(super) after: State,
    /// Whether there may be something else between
    is_open: bool,
}

impl States {
    /// Whether this may be what a command left that did not come to its end
    pub(super) fn allow(&self, state: &State) -> bool {
        self.is_open || *state == self.before || self.between.as_ref() == Some(state)
    }
}

/// A folder in memory, where there is such a place: a test of many syncs need not wait for a disk.
pub(super) fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A folder with all that the commands need
pub(super) fn template() -> Shell {
    let shell = Shell::new();
    for name in ["ann", "bob", "zoe"] {
        shell.done(&format!("user create {name} --no-password"));
    }
    shell.done("conversation create bob zoe --name team --as ann");
    shell.done("message send team one --as ann");
    shell.done("message send team two --reply-to team#1 --as bob");
    for line in 0..10 {
        shell.done(&format!("message send team 'words of zoe {line}' --as zoe"));
    }
    shell.done("db backup backup.db");
    shell.done("message send team three --as ann");
    let mut records =
        String::from("{\"type\":\"user\",\"username\":\"ann\"}\n{\"type\":\"user\",\"username\":\"bob\"}\n");
    records += "{\"type\":\"conversation\",\"name\":\"hall\",\"participants\":[\"ann\",\"bob\"],\"creator\":\"ann\"}\n";
    for line in 0..400 {
        writeln!(
            records,
            "{{\"type\":\"message\",\"conversation\":\"hall\",\"sender\":\"bob\",\"key\":\"k{line}\",\"content\":\"line {line}\"}}"
        )
        .unwrap();
    }
    fs::write(shell.path("records"), records).unwrap();
    make_old(&shell.path("old.db"));
    shell
}

/// A database as the first version of the schema left it, with messages
fn make_old(path: &Path) {
    let core = include_str!("../../../migrations/sqlite/V1__core.sql");
    let checksum = refinery::Migration::unapplied("V1__core", core).unwrap().checksum();
    let connection = Connection::open(path).unwrap();
    let history = format!(
        "PRAGMA application_id = {};
         PRAGMA journal_mode = wal;
         CREATE TABLE refinery_schema_history (
             version INTEGER PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));
         INSERT INTO refinery_schema_history VALUES (1, 'core', '2026-01-01T09:00:00Z', '{checksum}');",
        0x7469_6469
    );
    connection.execute_batch(&history).unwrap();
    connection.execute_batch(core).unwrap();
    let rows = "
        INSERT INTO account (key, id, username, username_folded, first_name, last_name, names_folded, role, created_at)
            VALUES (1, randomblob(16), 'ann', 'ann', '', '', 'ann', 0, 1), (2, randomblob(16), 'bob', 'bob', '', '', 'bob', 0, 1);
        INSERT INTO conversation (key, id, kind, name, name_folded, names_folded, creator_key, created_at, active_at, last_number, message_count)
            VALUES (1, randomblob(16), 1, 'team', 'team', 'team', 1, 1, 300, 300, 300);
        INSERT INTO participant VALUES (1, 1, 0), (1, 2, 0);
        WITH RECURSIVE line (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM line WHERE number < 300)
            INSERT INTO message (key, id, conversation_key, number, sender_key, content, sent_at)
            SELECT number, randomblob(16), 1, number, 1, 'old line ' || number, number FROM line;
        INSERT INTO notification SELECT key, 2, 1, 2, 0 FROM message;";
    connection.execute_batch(rows).unwrap();
}

/// Makes the copy of the template that a command is run on.
pub(super) fn copy(template: &Shell, target: &Path) {
    for entry in fs::read_dir(template.path("")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !is_beside(&name) {
            fs::copy(entry.path(), target.join(name)).unwrap();
        }
    }
}

/// Empties a folder.
pub(super) fn clear(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
}

/// Whether it is a file of the engine's or a lock, which says nothing by itself
fn is_beside(name: &str) -> bool {
    ["-wal", "-shm", "-journal", "-lock"].iter().any(|end| name.ends_with(end))
}

/// Whether it is what was broken off, which may lie there as long as it stands in nobody's way
pub(super) fn is_partial(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.ends_with(".partial") || name.starts_with(".tidings-key-")
}

/// What is in a folder; an error where a database there is damaged
pub(super) fn state(folder: &Path) -> Result<State, String> {
    let mut state = State::new();
    for path in crate::layers::files(folder) {
        let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|end| end == "db") {
            let damages = support::texts(&tidings::store::Location::Sqlite(path.clone()), "PRAGMA integrity_check");
            if damages != ["ok"] {
                return Err(format!("{name}: {damages:?}"));
            }
            state.insert(name, rows(&path));
        } else if !is_beside(&name) && !is_partial(&path) {
            state.insert(name, path.metadata().unwrap().len().to_string());
        }
    }
    Ok(state)
}

/// Every row, but for those that chance or the order of work has a part in: the index of search and what is pending. Of tokens
/// it is how many there are.
fn rows(path: &Path) -> String {
    let is_fixed =
        |line: &&str| !["message_search", "maintenance", "sqlite_stat"].iter().any(|name| line.starts_with(name));
    let without_chance = |line| if str::starts_with(line, "refresh_token") { "refresh_token\n" } else { line };
    support::dump(path).split_inclusive('\n').filter(is_fixed).map(without_chance).collect()
}
