//! The benchmarks run; what they measure is for the README.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::say_skipped;

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
    let options = ["--only PART", "--program FILE", "--limits PROGRAM", "--data FILE", "--rounds N", "--messages N"];
    for option in options {
        assert!(text.contains(option), "{option} is missing:\n{text}");
    }
    let wrong = ["--only nothing", "--rounds 0", "--messages many", "--program nowhere", "--data nowhere"];
    for wrong in wrong.map(|line| line.split(' ').collect::<Vec<_>>()) {
        let refused = run(folder.path(), &wrong);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{wrong:?}");
    }
}

#[test]
fn the_benchmarks_print_a_table_and_leave_nothing_behind() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        say_skipped("the benchmarks (sqlite3 is not installed)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_tidings");
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ubuntu-irc.jsonl");
    let small = ["--messages", "1000", "--rounds", "1", "--program", program, "--data", data];
    let done = run(folder.path(), &small);
    let progress = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{progress}");
    let printed = String::from_utf8(done.stdout).unwrap();
    let (machine, table) = printed.split_once("\n\n").unwrap();
    assert!(machine.starts_with("Measured on ") && machine.contains("tidings"), "{machine}");
    assert!(table.starts_with("| what | asked | measured |\n|---|---|---|\n"), "{table}");
    assert!(table.lines().count() > 30, "{table}");
    for row in table.lines() {
        assert_eq!(row.matches('|').count(), 4, "{row}");
    }
    assert!(progress.contains("Without --limits"), "{progress}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "temporary files are left");
}
