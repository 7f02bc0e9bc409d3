//! Long lists: page by page, in order, and nobody waits for who reads them.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use super::shell;
use crate::support::Shell;

/// How many messages, users and notifications there are: two pages and a half
const MANY: usize = 2500;

/// A database with long lists
pub(super) fn long_lists() -> Shell {
    let shell = shell();
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    let series = format!("WITH RECURSIVE n (i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})");
    connection
        .execute_batch(&format!(
            "{series} INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
                 SELECT randomblob(16), 1, i, 1, 'text ' || i, 1767258000000000 + i FROM n;
             {series} INSERT INTO account
                 (id, username, username_folded, first_name, last_name, names_folded, role, created_at)
                 SELECT randomblob(16), printf('u%05d', i), printf('u%05d', i), '', '', printf('u%05d', i), 0, i FROM n;
             {series} INSERT INTO conversation (id, kind, names_folded, creator_key, created_at, active_at)
                 SELECT randomblob(16), 1, '', 1, i, i FROM n;
             UPDATE conversation SET last_number = {MANY}, message_count = {MANY} WHERE key = 1;
             INSERT INTO participant (conversation_key, user_key) SELECT key, 2 FROM conversation WHERE key > 1;
             INSERT INTO notification (message_key, user_key, conversation_key, kind)
                 SELECT key, 2, 1, 0 FROM message WHERE number > 2;"
        ))
        .unwrap();
    shell
}

pub(super) fn begin(shell: &Shell, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["--db", "test.db"])
        .args(line.split(' '))
        .current_dir(shell.path(""))
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn every_page_of_a_long_list_comes_once_and_in_order() {
    let shell = long_lists();
    let numbers = |line: &str| -> Vec<usize> {
        let printed = shell.done(&format!("{line} --no-header --fields number -o tsv")).stdout;
        printed.lines().map(|number| number.parse().unwrap()).collect()
    };
    assert_eq!(numbers("message list team --limit 100000"), (1..=MANY).collect::<Vec<_>>());
    assert_eq!(numbers("message list --limit 100000 --as bob"), (1..=MANY).collect::<Vec<_>>());
    assert_eq!(numbers("message list team --limit 2100"), (MANY - 2099..=MANY).collect::<Vec<_>>());
    for (line, count) in [
        ("message list --limit 2001", 2001),
        ("user list --limit 100000", MANY),
        ("user list --limit 2000", 2000),
        ("conversation list --limit 100000 --as bob", MANY - 1),
        ("conversation list --limit 100000", MANY - 1),
        ("notifications list --limit 100000 --as bob", MANY - 1),
    ] {
        let ids = shell.done(&format!("{line} -o ids")).stdout;
        let mut once: Vec<&str> = ids.lines().collect();
        once.sort_unstable();
        once.dedup();
        assert_eq!((once.len(), ids.lines().count()), (count, count), "{line}");
        let json = shell.done(&format!("{line} -o json")).stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json.as_array().unwrap().len(), count, "{line}");
        assert!(json.to_string().len() > 100);
        let csv = shell.done(&format!("{line} -o csv")).stdout;
        assert_eq!(csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).count(), count, "{line}");
    }
    let table = shell.done("user list --limit 100000").stdout;
    assert_eq!((table.lines().count(), table.matches("username").count()), (MANY + 1, 1));
}

#[test]
fn who_reads_one_line_only_is_served_at_once_and_in_silence() {
    let shell = long_lists();
    for format in ["table", "json", "jsonl", "csv", "tsv", "ids"] {
        let mut list = begin(&shell, &format!("message list --limit 100000 -o {format}"));
        let mut line = String::new();
        BufReader::new(list.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = list.wait_with_output().unwrap();
        assert!(!line.is_empty(), "{format}");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{format}");
    }
}

#[test]
fn a_reader_that_stalls_holds_up_neither_a_writer_nor_a_checkpoint() {
    let shell = long_lists();
    let mut list = begin(&shell, "message list team --limit 100000 -o jsonl");
    let mut stdout = BufReader::new(list.stdout.take().unwrap());
    let mut printed = String::new();
    stdout.read_line(&mut printed).unwrap();
    shell.done("message send team 'while it stalls' --as ann");
    shell.done("message delete team#2400 --yes");
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(busy, 0, "the list holds a transaction open");
    stdout.read_to_string(&mut printed).unwrap();
    assert!(list.wait().unwrap().success());
    assert_eq!(printed.lines().count(), MANY - 1, "what was deleted before its page was read is left out");
    assert!(!printed.contains("while it stalls") && printed.contains("text 2500"));
}
