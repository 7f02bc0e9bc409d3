//! Care for the database: what is copied, what is refused, and that neither leaves harm.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use serde_json::Value;

use super::shell;
use crate::support::{Shell, postgres_server};

fn names(shell: &Shell) -> Vec<String> {
    let entries = fs::read_dir(shell.path("")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(super) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(super) fn execute(shell: &Shell, statements: &str) {
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    connection.execute_batch(statements).unwrap();
}

#[test]
fn a_check_lists_each_problem_with_its_remedy() {
    let shell = shell();
    assert_snapshot!(shell.run("db check"), @"
    --- stderr
    The database is sound: all checks passed.
    ");
    execute(&shell, "UPDATE conversation SET message_count = 7; UPDATE account SET names_folded = 'x'");
    assert_snapshot!(shell.run("db check"), @"
    message_count · 1 problem · has a wrong message count: conversation 019b78c9-0a80-7e20-8d92-8f4200e39ec3
        Stop servers, and correct the count in SQL: UPDATE conversation SET message_count = (SELECT count(*) FROM message WHERE conversation_key = conversation.key AND sender_key IS NOT NULL)
    user_names · 2 problems · cannot be found by name, email or search: user 019b78c9-0a80-7398-89bc-6d63798b4571, 019b78c9-0a80-73dd-ac58-f4b546018d9a
        Set the username again, by id: tidings user update USER --username NAME
    --- stderr
    tidings: The database test.db is damaged: 2 checks failed.
    hint: Each is listed with its remedy; keep a copy of the file before you change anything.
    --- exit code 7
    ");
    let run = shell.run("db check -o json");
    assert_eq!(run.code, 7);
    let problems = json(&run.stdout);
    assert_eq!(problems[0]["check"], "message_count");
    assert_eq!((&problems[0]["problems"], &problems[1]["problems"]), (&1.into(), &2.into()));
    assert_eq!(json(&run.stderr)["code"], "unavailable");
}

#[test]
fn a_file_whose_pages_are_damaged_is_listed_as_far_as_it_can_be_read() {
    let shell = shell();
    let mut bytes = fs::read(shell.path("test.db")).unwrap();
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'message'";
    let page: u32 = connection.query_row(root, [], |row| row.get(0)).unwrap();
    drop(connection);
    let end = usize::try_from(page).unwrap() * 4096;
    bytes[end - 4096..end].fill(0x5a);
    fs::write(shell.path("test.db"), bytes).unwrap();
    let run = shell.run("db check -o json");
    assert_eq!(run.code, 7, "{run}");
    let problems = json(&run.stdout);
    assert_eq!(problems[0]["check"], "integrity", "{run}");
    let unread = problems.as_array().unwrap().iter().find(|problem| problem["check"] == "tombstone").unwrap();
    assert!(unread["detail"].as_str().unwrap().starts_with("could not be checked"), "{run}");
}

#[test]
fn a_missing_database_is_neither_checked_nor_compacted_nor_copied() {
    let shell = shell();
    let before = names(&shell);
    for line in ["db check --db absent.db", "db compact --db absent.db", "db backup new.db --db absent.db"] {
        assert!([3, 7].contains(&shell.run(line).code), "{line}");
    }
    assert_eq!(names(&shell), before);
}

#[test]
fn a_backup_is_whole_its_owners_only_and_never_over_another_file() {
    let shell = shell();
    assert_snapshot!(shell.run("db backup copy.db --dry-run"), @"
     file      copy.db
     database  test.db
     version   10
     bytes     245760
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Backed up the database test.db to copy.db.
    ");
    assert!(!shell.path("copy.db").exists());
    fs::create_dir(shell.path("copy.db.partial")).unwrap();
    assert_eq!(shell.run("db backup copy.db").code, 7, "what no run left is not removed");
    fs::remove_dir(shell.path("copy.db.partial")).unwrap();
    // What a killed run left, before it came to the header
    fs::write(shell.path("copy.db.partial"), vec![0; 70_000]).unwrap();
    fs::write(shell.path("copy.db.partial-journal"), "and what SQLite did").unwrap();
    fs::write(shell.path("copy.db-wal"), "the log of another database").unwrap();
    assert_snapshot!(shell.run("db backup copy.db"), @"
    --- stderr
    tidings: copy.db-wal belongs to another database; nothing was written.
    hint: Move it to the database it belongs to, or remove it.
    --- exit code 5
    ");
    fs::remove_file(shell.path("copy.db-wal")).unwrap();
    assert_snapshot!(shell.run("db backup copy.db"), @"
     file      copy.db
     database  test.db
     version   10
     bytes     245760
    --- stderr
    Backed up the database test.db to copy.db.
    ");
    assert_eq!(fs::metadata(shell.path("copy.db")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&shell), ["copy.db", "test.db", "test.db-lock"]);
    let before = fs::read(shell.path("copy.db")).unwrap();
    assert_snapshot!(shell.run("db backup copy.db"), @"
    --- stderr
    tidings: copy.db exists already; nothing was written.
    hint: Name a file that does not exist.
    --- exit code 5
    ");
    assert_eq!(shell.done("db check --db copy.db").stdout, "");
    assert_eq!(fs::read(shell.path("copy.db")).unwrap(), before, "a check leaves a backup as it is");
    assert_eq!(shell.done("message list -o json --db copy.db").stdout, shell.done("message list -o json").stdout);
}

#[test]
fn a_backup_waits_for_nobody_and_holds_what_was_committed() {
    let shell = shell();
    let writer = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE account SET first_name = 'Half done'").unwrap();
    shell.done("db backup copy.db");
    drop(writer);
    assert!(!shell.done("user list --db copy.db").stdout.contains("Half done"));
}

#[test]
fn a_backup_beside_another_of_the_same_name_is_refused() {
    let shell = shell();
    let other = fs::File::create(shell.path("copy.db.partial")).unwrap();
    other.lock().unwrap();
    let run = shell.run("db backup copy.db");
    assert_eq!(run.code, 7, "{run}");
    assert!(run.stderr.contains("Another program is writing copy.db"), "{run}");
    assert!(shell.path("copy.db.partial").exists());
}

#[test]
fn a_restore_brings_back_what_was_backed_up() {
    let shell = shell();
    shell.done("db backup copy.db");
    let backup = fs::read(shell.path("copy.db")).unwrap();
    let before = shell.dump();
    shell.done("user delete ann --yes");
    assert_snapshot!(shell.run("db restore copy.db --dry-run"), @"
     file      copy.db
     database  test.db
     version   10
     bytes     245760
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Restored the database test.db from copy.db.
    ");
    assert_snapshot!(shell.run("db restore copy.db"), @"
    --- stderr
    tidings: There is no terminal to ask for confirmation; use --yes to confirm, or --dry-run for a preview.
    --- exit code 2
    ");
    assert_ne!(shell.dump(), before);
    assert_snapshot!(shell.run("db restore copy.db --yes"), @"
     file      copy.db
     database  test.db
     version   10
     bytes     245760
    --- stderr
    Restored the database test.db from copy.db.
    ");
    assert_eq!(names(&shell), ["copy.db", "test.db", "test.db-lock"]);
    assert_eq!(shell.dump(), before);
    shell.done("db check");
    shell.done("db restore copy.db --db deep/er/new.db");
    assert_eq!(shell.done("user list -o ids --db deep/er/new.db").stdout, shell.done("user list -o ids").stdout);
    assert_eq!(fs::metadata(shell.path("deep/er/new.db")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(shell.path("copy.db")).unwrap(), backup, "the backup stays as it is");
}

#[test]
fn a_restore_mends_a_database_that_is_cut_short_or_damaged() {
    for damage in [|bytes: &mut Vec<u8>| bytes.truncate(5000), |bytes: &mut Vec<u8>| bytes[100..].fill(0x5a)] {
        let shell = shell();
        let before = shell.dump();
        shell.done("db backup copy.db");
        let mut bytes = fs::read(shell.path("test.db")).unwrap();
        damage(&mut bytes);
        fs::write(shell.path("test.db"), bytes).unwrap();
        assert_eq!(shell.run("user list").code, 7);
        shell.done("db restore copy.db --yes");
        assert_eq!(shell.dump(), before);
        shell.done("db check");
    }
}

#[test]
fn a_restore_over_a_database_that_is_open_is_refused() {
    let shell = shell();
    shell.done("db backup copy.db");
    shell.done("user create eve --no-password");
    let before = shell.dump();
    let reader = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    reader.query_row("SELECT count(*) FROM account", [], |_| Ok(())).unwrap();
    assert_snapshot!(shell.run("db restore copy.db --yes"), @"
    --- stderr
    tidings: The database test.db is in use by another program.
    hint: Stop it first; nothing was changed.
    --- exit code 7
    ");
    drop(reader);
    assert_eq!(shell.dump(), before);
}

#[test]
fn what_is_no_backup_is_refused_and_nothing_is_changed() {
    let shell = shell();
    shell.done("db backup copy.db");
    fs::create_dir(shell.path("folder")).unwrap();
    fs::write(shell.path("text"), "no database at all, and much too short for one\n").unwrap();
    fs::write(shell.path("empty"), "").unwrap();
    let foreign = rusqlite::Connection::open(shell.path("foreign")).unwrap();
    foreign.execute_batch("CREATE TABLE account (key INTEGER)").unwrap();
    drop(foreign);
    fs::copy(shell.path("copy.db"), shell.path("newer")).unwrap();
    let newer = rusqlite::Connection::open(shell.path("newer")).unwrap();
    newer.pragma_update(None, "user_version", 999).unwrap();
    drop(newer);
    let mut bytes = fs::read(shell.path("copy.db")).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    fs::write(shell.path("damaged"), bytes).unwrap();
    let before = (shell.dump(), names(&shell));
    for (file, code, words) in [
        ("folder", 7, "is a folder"),
        ("text", 7, "not a database"),
        ("empty", 7, "is empty"),
        ("foreign", 7, "not a database of tidings"),
        ("newer", 7, "newer tidings"),
        ("damaged", 7, "damaged"),
        ("absent", 3, "There is no file absent"),
        ("test.db", 5, "is the database itself"),
    ] {
        let run = shell.run(&format!("db restore {file} --yes"));
        assert_eq!(run.code, code, "{file}: {run}");
        assert!(run.stderr.contains(words), "{file}: {run}");
    }
    for target in ["folder", "text", "foreign"] {
        let content = fs::read(shell.path(target)).unwrap_or_default();
        let run = shell.run(&format!("db restore copy.db --yes --db {target}"));
        assert_eq!(run.code, 7, "{target}: {run}");
        assert_eq!(fs::read(shell.path(target)).unwrap_or_default(), content);
    }
    assert_eq!((shell.dump(), names(&shell)), before);
}

#[test]
fn a_restore_on_a_terminal_asks_for_the_name() {
    let shell = shell();
    shell.done("db backup copy.db");
    shell.done("user create eve --no-password");
    let refused = shell.run_on_terminal("db restore copy.db", "y");
    assert!(refused.contains("Type “test.db” to confirm:"), "{refused}");
    assert!(
        refused.contains("Not confirmed; nothing was changed.") && refused.ends_with("exit code Some(2)"),
        "{refused}"
    );
    assert_eq!(shell.done("user list -o ids").stdout.lines().count(), 3);
    let done = shell.run_on_terminal("db restore copy.db", "test.db");
    assert!(done.ends_with("exit code Some(0)"), "{done}");
    assert_eq!(shell.done("user list -o ids").stdout.lines().count(), 2);
}

#[test]
fn the_status_says_which_version_the_database_has() {
    let status = json(&shell().done("db status -o json").stdout);
    assert_eq!(status["version"], status["newest_version"]);
}

#[test]
fn compacting_gives_space_back() {
    let shell = shell();
    let long = format!("message send team '{}' --as ann", "a text of some length ".repeat(900));
    for _ in 0..20 {
        shell.done(&long);
    }
    shell.done("conversation delete team --yes");
    let size = || fs::metadata(shell.path("test.db")).unwrap().len();
    let before = size();
    let looked = json(&shell.done("db compact --dry-run -o json").stdout);
    assert_eq!(size(), before);
    let used = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    let file = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    let used: i64 = file.query_row(used, [], |row| row.get(0)).unwrap();
    drop(file);
    let done = json(&shell.done("db compact -o json").stdout);
    assert!(size() < before);
    assert_eq!((done["bytes_before"].as_u64(), done["bytes_after"].as_u64()), (Some(before), Some(size())));
    assert_eq!(looked["bytes_after"].as_i64(), Some(used));
    assert!(used < i64::try_from(before).unwrap());
    shell.done("db check");
}

#[test]
fn copies_of_postgresql_are_left_to_its_own_programs() {
    let Some(server) = postgres_server() else { return };
    let schema = crate::support::Schema::create(server);
    let shell = shell();
    for (line, words) in [("db backup new.db", "pg_dump"), ("db restore new.db --yes", "pg_restore")] {
        let run = shell.run(&format!("{line} --db {}", schema.url()));
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.contains(words), "{run}");
    }
    shell.done(&format!("db migrate --db {}", schema.url()));
    for line in ["db check", "db compact --dry-run", "db compact", "db status"] {
        shell.done(&format!("{line} --db {}", schema.url()));
    }
    let findings = json(&shell.done(&format!("doctor -o json --db {}", schema.url())).stdout);
    let checks: Vec<_> =
        findings.as_array().unwrap().iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    assert_eq!(
        checks,
        ["settings", "frozen_clock", "location", "secret_key", "clock", "engine", "encoding", "database"]
    );
}

#[test]
fn a_restore_beside_the_log_of_another_database_is_refused() {
    let shell = shell();
    shell.done("db backup copy.db");
    fs::rename(shell.path("test.db"), shell.path("broken.db")).unwrap();
    fs::write(shell.path("test.db-wal"), "what would be played over the backup").unwrap();
    let run = shell.run("db restore copy.db --yes");
    assert_eq!(run.code, 5, "{run}");
    assert!(run.stderr.contains("test.db-wal belongs to another database"), "{run}");
    fs::remove_file(shell.path("test.db-wal")).unwrap();
    shell.done("db restore copy.db --yes");
    shell.done("db check");
}

#[test]
fn who_only_reads_makes_no_database() {
    let shell = shell();
    for line in
        ["user list", "message list team", "notifications count --user ann", "conversation show team", "db status"]
    {
        let run = shell.run(&format!("{line} --db misspelt/x.db"));
        assert_eq!(run.code, 7, "{line}: {run}");
        assert!(run.stderr.contains("The database misspelt/x.db does not exist."), "{line}: {run}");
    }
    assert!(!shell.path("misspelt").exists());
}

#[test]
fn the_database_as_a_whole_is_the_operators_affair() {
    let shell = shell();
    for line in ["db status", "db check", "db backup copy.db", "db restore copy.db --yes", "db compact", "db migrate"] {
        let run = shell.run(&format!("{line} --as ann"));
        assert_eq!(run.code, 4, "{line}: {run}");
        assert_eq!(run.stdout, "", "{line}");
    }
    assert_eq!(shell.run_env("db status", &[("TIDINGS_AS", "ann")]).code, 4);
    assert_eq!(shell.run_env("db status --operator", &[("TIDINGS_AS", "ann")]).code, 0);
}

#[test]
fn usernames_that_look_alike_are_listed_and_are_no_damage() {
    let shell = Shell::new();
    for name in ["tom", "torn", "ann", "\u{430}nn", "eve"] {
        shell.done_with(&["user", "create", name, "--no-password"]);
    }
    let check = shell.done("db check");
    assert!(check.stderr.contains("Warning: the usernames “tom” and “torn” look alike."), "{check}");
    assert!(check.stderr.contains("Warning: the usernames “ann” and “\u{430}nn” look alike."), "{check}");
    assert_eq!(check.stderr.matches("Warning").count(), 2, "{check}");
    assert_eq!(shell.done("db check -o json").stdout.trim(), "[]");
}

#[test]
fn usernames_with_characters_that_are_not_seen_are_listed_and_are_no_damage() {
    let shell = Shell::new();
    // A joiner where its script needs it is seen by what it does.
    for name in ["ann", "می\u{200c}خواهم"] {
        shell.done_with(&["user", "create", name, "--no-password"]);
    }
    let kept = (1..=21).map(|number| {
        let id = format!("0199f3c2-0000-7000-8000-0000000000{number:02}");
        format!("{{\"type\":\"user\",\"user_id\":\"{id}\",\"username\":\"bob{number}\u{200b}\"}}\n")
    });
    assert_eq!(shell.run_with("data load -", kept.collect::<String>()).code, 0);
    let check = shell.done("db check");
    assert!(check.stderr.contains("Warning: the username “bob1\\u{200b}” contains invisible characters."), "{check}");
    assert!(check.stderr.contains("Warning: 1 more username with invisible characters."), "{check}");
    assert_eq!(check.stderr.matches("Warning").count(), 21, "{check}");
    assert_eq!(shell.done("db check -o json").stdout.trim(), "[]");
}

#[test]
fn what_somebody_put_into_a_file_is_refused_and_never_run() {
    const TRIGGER: &str = "CREATE TRIGGER mine AFTER INSERT ON message BEGIN UPDATE account SET role = 1; END";
    let shell = shell();
    for (change, named) in [
        (TRIGGER, "the trigger mine is not of tidings"),
        ("CREATE VIEW mine AS SELECT * FROM account", "the view mine is not of tidings"),
        ("CREATE TABLE mine (a)", "the table mine is not of tidings"),
        ("ALTER TABLE account ADD COLUMN mine INTEGER AS (1)", "the table account is not as tidings makes it"),
        ("CREATE UNIQUE INDEX mine ON message (content)", "the index mine is not of tidings"),
        ("DROP INDEX message_by_time", "the index message_by_time is missing"),
    ] {
        shell.done("db backup hostile.db");
        let hostile = rusqlite::Connection::open(shell.path("hostile.db")).unwrap();
        hostile.execute_batch(change).unwrap();
        drop(hostile);
        let (before, bytes) = (shell.dump(), fs::read(shell.path("hostile.db")).unwrap());
        let checked = shell.run("db check -o json --db hostile.db");
        assert_eq!(checked.code, 7, "{change}: {checked}");
        let problems = json(&checked.stdout);
        assert_eq!((&problems[0]["check"], &problems[0]["detail"]), (&"schema".into(), &named.into()));
        for line in
            ["db restore hostile.db --yes", "db restore hostile.db --dry-run", "db restore hostile.db --db new.db"]
        {
            let refused = shell.run(line);
            assert_eq!(refused.code, 7, "{change}: {refused}");
            assert!(refused.stderr.contains(named), "{change}: {refused}");
        }
        assert_eq!((shell.dump(), fs::read(shell.path("hostile.db")).unwrap()), (before, bytes));
        assert!(!shell.path("new.db").exists());
        let seeded = shell.run("data seed --db hostile.db");
        assert_eq!(seeded.code, 7, "{change}: {seeded}");
        assert!(seeded.stderr.contains(named), "{change}: {seeded}");
        fs::write(shell.path("nobody.yaml"), "[{type: user, username: nobody}]").unwrap();
        assert_eq!(shell.run("data apply nobody.yaml --db hostile.db").code, 7, "{change}");
        // It can be copied, and whoever copies it hears of it.
        let copied = shell.done("db backup again.db --db hostile.db");
        assert!(copied.stderr.contains(named), "{change}: {copied}");
        for file in ["hostile.db", "again.db"] {
            fs::remove_file(shell.path(file)).unwrap();
        }
    }
    execute(&shell, TRIGGER);
    shell.done("message send team 'a message' --as bob");
    let roles = shell.done("user list --fields role --no-header -o csv").stdout;
    assert!(roles.lines().any(|role| role == "user"), "{roles}");
}

#[test]
fn an_index_of_the_operators_is_a_warning() {
    let shell = shell();
    execute(&shell, "CREATE INDEX mine ON account (created_at)");
    shell.done("db backup copy.db");
    fs::write(shell.path("eve.yaml"), "[{type: user, username: eve}]").unwrap();
    for line in ["db check", "db restore copy.db --dry-run", "db restore copy.db --yes", "db backup again.db"] {
        let done = shell.done(line);
        assert!(done.stderr.contains("Warning: the index mine is not of tidings; it slows writing down."), "{done}");
    }
    shell.done("data apply eve.yaml");
}
