//! What is deleted leaves the file: no byte of it is found in the database and what stands beside it.

use std::fs;

use crate::support::Shell;

/// Which of the words stand in the file, its write-ahead log or its shared memory
pub(crate) fn left<'w>(shell: &Shell, words: &[&'w str]) -> Vec<(&'static str, &'w str)> {
    let mut left = Vec::new();
    for file in ["test.db", "test.db-wal", "test.db-shm"] {
        let bytes = fs::read(shell.path(file)).unwrap_or_default().to_ascii_lowercase();
        for word in words {
            if bytes.windows(word.len()).any(|part| part == word.as_bytes()) {
                left.push((file, *word));
            }
        }
    }
    left
}

/// A group with enough said in it that the index has several segments
fn world() -> Shell {
    let shell = Shell::new();
    for name in ["ann", "bob", "eve"] {
        shell.done(&format!("user create {name} --no-password"));
    }
    shell.done("conversation create ann bob eve --name team");
    shell.done("conversation create ann bob --name club");
    for number in 0..40 {
        shell.done(&format!("message send team 'harmless words number{number}' --as eve"));
    }
    shell
}

#[test]
fn what_is_deleted_by_any_route_leaves_no_byte() {
    let shell = world();
    shell.done("message send team 'qqalone one' --as ann");
    shell.done("message send team 'qqfirst text' --as ann");
    shell.done("message edit team#42 'qqsecond text' --reason qqreason --as ann");
    shell.done("message send club 'qqclub words' --as bob");
    shell.done("message send team 'qqanswer' --reply-to team#42 --as eve");
    shell.done("message send --to ann 'qqdirect words' --as bob");
    shell.done("message send team 'qqaccount words' --as bob");
    let planted = ["qqalone", "qqfirst", "qqsecond", "qqreason", "qqclub", "qqdirect", "qqaccount"];
    assert_eq!(left(&shell, &planted).iter().filter(|(file, _)| *file == "test.db").count(), planted.len());

    shell.done("message delete team#41 --yes");
    assert_eq!(left(&shell, &["qqalone"]), []);
    shell.done("message delete team#42 --yes");
    assert_eq!(left(&shell, &["qqfirst", "qqsecond", "qqreason"]), [], "a tombstone and its revisions");
    shell.done("conversation delete club --yes");
    assert_eq!(left(&shell, &["qqclub"]), []);
    shell.done("user delete bob --yes");
    assert_eq!(left(&shell, &planted), []);
    assert_eq!(left(&shell, &["qqanswer"]).len(), 1, "what stays is still there");
}

#[test]
fn a_reader_makes_the_erasure_wait_and_the_status_says_so() {
    let shell = world();
    shell.done("message send team 'qqsecret words' --as ann");
    let reader = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM message", [], |_| Ok(())).unwrap();
    let run = shell.done("message delete team#41 --yes");
    assert!(run.stderr.contains("another program is using the database"), "{run}");
    let status = shell.done("db status -o json");
    assert!(status.stdout.contains("\"erase\""), "{status}");
    let doctor = shell.done("doctor");
    assert!(doctor.stdout.contains("warning · erasure"), "{doctor}");
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    shell.done("db compact");
    assert_eq!(left(&shell, &["qqsecret"]), []);
    let status = shell.done("db status -o json");
    assert!(!status.stdout.contains("\"erase\""), "{status}");
}
