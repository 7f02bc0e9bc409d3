//! `tidings data dump`: its options, its codes, and whoever reads slowly or not at all.

use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::cli::disk::SmallDisk;
use crate::cli::shell;
use crate::cli::streams::{begin, long_lists};

#[test]
fn a_dump_is_records_on_stdout_and_a_count_on_stderr() {
    let shell = shell();
    let run = shell.done("data dump");
    assert_eq!(run.stderr, "Dumped 2 users, 1 conversation, 2 messages and 2 notifications.\n");
    let kinds: Vec<String> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    let expected = ["user", "user", "conversation", "message", "message", "notification", "notification"];
    assert_eq!(kinds, expected);
    assert!(run.stdout.starts_with("{\"type\":\"user\",\"user_id\":\""));
    for line in ["data dump -o jsonl", "data dump -q", "data dump --operator", "data dump --user ann --user bob"] {
        assert_eq!(shell.done(line).stdout, run.stdout, "{line}");
    }
    assert_eq!(shell.done("data dump -q").stderr, "");
    assert_eq!(shell.run_env("data dump", &[("TIDINGS_OUTPUT", "csv")]).stdout, run.stdout);
}

#[test]
fn the_options_choose_a_part() {
    let shell = shell();
    let run = shell.done("data dump --conversation team --since 2026-01-01T09:00:00Z --until 2026-01-02");
    assert!(run.stderr.contains("2 messages"), "{run}");
    assert_snapshot!(shell.done("data dump --since 2026-02-01"), @"
    --- stderr
    The dump is empty: nothing matches.
    ");
    let made = shell.done("data dump --pseudonymise").stdout;
    assert!(made.contains("\"user2@example.org\"") || made.contains("\"user1@example.org\""), "{made}");
    assert!(!made.contains("Lunch") && !made.contains("\"ann\"") && made.contains("@user2?"), "{made}");
    assert_ne!(shell.done("data dump --pseudonymise").stdout, made, "the secret is not drawn from the seed");
}

#[test]
fn what_cannot_be_dumped_is_refused_before_anything_is_written() {
    let shell = shell();
    for (line, code) in [
        ("data dump -o json", 2),
        ("data dump -o table", 2),
        ("data dump --fields username", 2),
        ("data dump --since yesterday", 2),
        ("data", 2),
        ("data dump --user eve", 3),
        ("data dump --conversation teem", 3),
        ("data dump --as ann", 4),
        ("data dump --db absent.db", 7),
    ] {
        let run = shell.run(line);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{line}: {run}");
    }
    assert!(shell.run("data dump --conversation teem").stderr.contains("Did you mean “team”?"));
    assert!(!shell.path("absent.db").exists());
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
    let shell = long_lists();
    let mut dump = begin(&shell, "data dump");
    let mut line = String::new();
    BufReader::new(dump.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let output = dump.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    assert!(line.ends_with("}\n"));
}

#[test]
fn a_dump_that_is_not_read_blocks_nobody() {
    let shell = long_lists();
    let whole = shell.done("data dump").stdout;
    assert!(whole.len() > 1 << 20, "it fits into a pipe");
    let mut dump = begin(&shell, "data dump");
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    let checkpoint =
        || -> i64 { connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap() };
    let mut stdout = dump.stdout.take().unwrap();
    let mut first = [0; 1];
    stdout.read_exact(&mut first).unwrap();
    shell.done("message send team 'while it waits' --as ann");
    let start = Instant::now();
    while checkpoint() != 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "the dump holds a transaction open");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(dump.try_wait().unwrap().is_none(), "it has ended, although nobody read it");
    drop(connection);
    shell.done("db compact");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(dump.wait().unwrap().success());
    assert_eq!(format!("{}{rest}", char::from(first[0])), whole);
}

#[test]
fn a_full_disk_for_temporary_files_is_said() {
    let shell = long_lists();
    let Some(disk) = SmallDisk::mount(&shell) else { return };
    disk.fill();
    let run = shell.run_env("data dump", &[("TMPDIR", shell.path("disk").to_str().unwrap())]);
    assert_snapshot!(run, @"
    --- stderr
    tidings: The disk is full; nothing was changed.
    hint: What is read more slowly than it comes waits in a temporary file; TMPDIR names a folder for it.
    --- exit code 7
    ");
}

#[test]
fn a_dump_into_a_file_needs_no_other() {
    let shell = long_lists();
    let whole = shell.done("data dump").stdout;
    let script = format!("'{}' --db test.db -q data dump > dump.jsonl", env!("CARGO_BIN_EXE_tidings"));
    let status = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(shell.path(""))
        .env("TMPDIR", "/nowhere")
        .status();
    assert!(status.unwrap().success());
    assert_eq!(std::fs::read_to_string(shell.path("dump.jsonl")).unwrap(), whole);
}
