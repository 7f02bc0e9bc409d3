//! The benchmarks run; what they measure is for docs/performance.md.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Schema, postgres_server, say_skipped};

/// Runs `benches/run`, whose temporary files go into that folder.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/run");
    Command::new(script).args(arguments).env("TMPDIR", folder).env("HOME", folder).output().unwrap()
}

#[test]
fn the_benchmarks_say_how_they_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let help = run(folder.path(), &["--help"]);
    assert!(help.status.success());
    let text = String::from_utf8(help.stdout).unwrap();
    let options = [
        "only PART",
        "program FILE",
        "limits PROGRAM",
        "peer DIR",
        "data FILE",
        "postgres URL",
        "rounds N",
        "seconds S",
        "messages N",
    ];
    for option in options {
        assert!(text.contains(&format!("\n  --{option} ")), "--{option} is missing:\n{text}");
    }
    let wrong =
        ["--only nothing", "--rounds 0", "--seconds 0", "--messages many", "--program nowhere", "--data nowhere"];
    for wrong in wrong.map(|line| line.split(' ').collect::<Vec<_>>()) {
        let refused = run(folder.path(), &wrong);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{wrong:?}");
    }
}

/// The table that one part of the benchmarks prints of a small database, which leaves nothing behind; none where a program is
/// missing that it needs
fn table(part: &str, needs: &[&str], arguments: &[&str]) -> Option<String> {
    for program in needs {
        if Command::new(program).arg("--version").output().is_err() {
            say_skipped(&format!("the benchmarks of {part} ({program} is not installed)"));
            return None;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_tidings");
    let small = ["--only", part, "--rounds", "1", "--seconds", "0.2", "--program", program];
    let done = run(folder.path(), &[&small, arguments].concat());
    let progress = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{progress}");
    let printed = String::from_utf8(done.stdout).unwrap();
    let (machine, table) = printed.split_once("\n\n").unwrap();
    assert!(machine.starts_with("Measured on ") && machine.contains("tidings"), "{machine}");
    assert!(table.starts_with("| what | asked | measured |\n|---|---|---|\n"), "{table}");
    for row in table.lines() {
        assert_eq!(row.matches('|').count(), 4, "{row}");
    }
    assert_eq!(progress.contains("Without --limits"), !["data", "pages"].contains(&part), "{progress}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "temporary files are left");
    Some(table.to_owned())
}

#[test]
fn the_benchmarks_of_commands_print_a_table() {
    let Some(table) = table("commands", &["sqlite3"], &["--messages", "1000"]) else { return };
    assert!(table.lines().count() > 30, "{table}");
}

#[test]
fn the_benchmarks_of_data_print_a_table_with_a_row_for_the_file_that_is_given() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ubuntu-irc.jsonl");
    let Some(table) = table("data", &["sqlite3"], &["--messages", "1000", "--data", data]) else { return };
    assert!(table.contains("\n| `data load` of a real file, "), "{table}");
}

#[test]
fn the_benchmarks_of_the_rest_api_print_a_table() {
    let Some(table) = table("http", &["sqlite3", "wrk"], &["--messages", "100"]) else { return };
    for method in ["GET", "POST"] {
        for connections in ["1 connection", "16 connections", "64 connections", "256 connections"] {
            assert!(table.contains(&format!("\n| `{method} …/messages/`, {connections} |")), "{table}");
        }
    }
    for row in ["`serve`, from its start", "`message send` while", "`POST /api/token/`", "`POST /test/rollback`"] {
        assert!(table.contains(&format!("\n| {row}")), "{row} is missing:\n{table}");
    }
}

#[test]
fn the_benchmarks_of_pages_print_a_table_for_each_engine() {
    let schema = postgres_server().map(Schema::create);
    let url = schema.as_ref().map(Schema::url);
    let mut arguments = vec!["--messages", "1000"];
    arguments.extend(url.iter().flat_map(|url| ["--postgres", url.as_str()]));
    let Some(table) = table("pages", &["sqlite3", "node"], &arguments) else { return };
    for engine in ["SQLite", "PostgreSQL"].iter().take(if schema.is_some() { 2 } else { 1 }) {
        for page in ["/admin/", "/admin/users/", "/admin/conversations/", "/admin/events/", "/account/"] {
            assert!(table.contains(&format!("\n| `GET {page}`, {engine}, 1,000 messages |")), "{page}:\n{table}");
        }
    }
}
