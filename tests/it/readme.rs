//! The promises of the README and the guides: every example prints what stands below it, every link leads somewhere, and the
//! demonstration plays to its end.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use crate::support::{Shell, dump, say_skipped};

mod links;
mod picture;
mod tables;

/// The documents whose examples are run, each with the databases that its examples leave
const DOCUMENTS: [(&str, &[&str]); 8] = [
    ("README.md", &["tour.db"]),
    ("docs/commands.md", &["guide.db", "irc.db"]),
    ("docs/data.md", &["copy.db", "data.db", "moved.db", "seeded.db", "world.db"]),
    ("docs/operations.md", &["care.db"]),
    ("docs/pages.md", &[]),
    ("docs/performance.md", &[]),
    ("docs/rest.md", &[]),
    ("docs/watch.md", &["watch.db"]),
];

/// A command of a document and the output that stands below it
struct Example {
    command: String,
    output: String,
}

/// The examples in the blocks marked `console`, in order
fn examples(document: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let blocks = document.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for line in blocks.flat_map(str::lines) {
        if let Some(command) = line.strip_prefix("$ ") {
            examples.push(Example { command: command.to_owned(), output: String::new() });
            continue;
        }
        let example = examples.last_mut().unwrap();
        match line.strip_prefix("> ") {
            Some(more) => example.command.extend(["\n", more]),
            None => example.output.extend([line, "\n"]),
        }
    }
    examples
}

/// What the examples of a document left
#[derive(Debug, PartialEq)]
struct Tour {
    /// What each printed, stdout and stderr together
    printed: Vec<String>,
    /// Every row of every table of each database, by its file's name
    rows: BTreeMap<String, String>,
}

/// Runs the examples in one shell, in a folder of its own.
fn run(examples: &[Example]) -> Tour {
    let folder = tempfile::tempdir().unwrap();
    symlink(path("tests"), folder.path().join("tests")).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_tidings")).parent().unwrap();
    let mut script = String::from("exec 2>&1\n");
    for example in examples {
        script.extend([example.command.as_str(), "\necho '-- next --'\n"]);
    }
    fs::write(folder.path().join("script"), script).unwrap();
    let output = Command::new("bash")
        .arg("script")
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed = printed.split("-- next --\n").map(ToOwned::to_owned).collect();
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let databases = files.filter(|file| file.extension().is_some_and(|extension| extension == "db"));
    let name = |file: &Path| file.file_name().unwrap().to_string_lossy().into_owned();
    Tour { printed, rows: databases.map(|file| (name(&file), dump(&file))).collect() }
}

/// Where a file of the project is
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The documents as they were before any test wrote them
static TEXTS: LazyLock<BTreeMap<&str, String>> =
    LazyLock::new(|| DOCUMENTS.iter().map(|(name, _)| (*name, fs::read_to_string(path(name)).unwrap())).collect());

/// Whether tests write what they would otherwise compare
fn is_updating() -> bool {
    std::env::var("TIDINGS_UPDATE").is_ok()
}

/// Writes a document anew; one test after the other.
fn rewrite(name: &str, change: impl FnOnce(&str) -> String) {
    static WRITING: Mutex<()> = Mutex::new(());
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    LazyLock::force(&TEXTS);
    let text = change(&fs::read_to_string(path(name)).unwrap());
    fs::write(path(name), text).unwrap();
}

/// Runs the examples of all documents, those of each document in a thread.
fn run_all() -> BTreeMap<&'static str, Tour> {
    thread::scope(|scope| {
        let tours = TEXTS.iter().map(|(name, text)| (*name, scope.spawn(|| run(&examples(text)))));
        // All are started before one is waited for.
        let tours: Vec<_> = tours.collect();
        tours.into_iter().map(|(name, tour)| (name, tour.join().unwrap())).collect()
    })
}

/// The examples of all documents, run once for all tests; none where what they need is not installed
static TOURS: LazyLock<Option<BTreeMap<&str, Tour>>> = LazyLock::new(|| {
    for program in ["jq", "curl"] {
        if Command::new(program).arg("--version").output().is_err() {
            say_skipped(&format!("the examples of the README and the guides ({program} is not installed)"));
            return None;
        }
    }
    Some(run_all())
});

#[test]
fn every_example_prints_what_stands_below_it() {
    let Some(tours) = &*TOURS else { return };
    let mut count = 0;
    for (name, Tour { printed, .. }) in tours {
        if is_updating() {
            rewrite(name, |document| updated(document, printed));
            continue;
        }
        let examples = examples(&TEXTS[name]);
        count += examples.len();
        for (example, printed) in examples.iter().zip(printed) {
            let Example { command, output } = example;
            assert_eq!(printed, output, "{name}: $ {command}\n(TIDINGS_UPDATE=1 writes what is printed)");
        }
    }
    assert!(is_updating() || count > 80, "only {count} examples were found");
}

#[test]
fn the_examples_leave_the_same_bytes_and_rows_each_time() {
    let Some(first) = &*TOURS else { return };
    let second = run_all();
    for (document, databases) in DOCUMENTS {
        let Tour { printed, rows } = &first[document];
        assert_eq!(rows.keys().collect::<Vec<_>>(), databases, "{document}");
        for (name, rows) in rows {
            for (one, other) in rows.lines().zip(second[document].rows[name].lines()) {
                assert_eq!(one, other, "{name}");
            }
        }
        assert_eq!(*printed, second[document].printed, "{document}");
        assert!(first[document] == second[document], "{document}: the number of rows differs");
    }
    assert!(first["docs/commands.md"].rows["irc.db"].lines().count() > 1000);
}

/// A document with what its examples print
fn updated(document: &str, printed: &[String]) -> String {
    let mut printed = printed.iter();
    let mut updated = String::new();
    let mut pending = "";
    let mut in_example = false;
    for line in document.lines() {
        let is_command = in_example && (line.starts_with("$ ") || line.starts_with("> "));
        if in_example && !line.starts_with("> ") && (is_command || line == "```") {
            updated.push_str(pending);
            pending = "";
        }
        if in_example && line.starts_with("$ ") {
            pending = printed.next().unwrap();
        }
        if !in_example || is_command || line == "```" {
            updated.extend([line, "\n"]);
        }
        in_example = line == "```console" || in_example && line != "```";
    }
    updated
}

#[test]
fn the_demonstration_plays_to_its_end_and_leaves_a_database_to_go_on_with() {
    let shell = Shell::new();
    let run = shell.run("demo --db demo.db");
    assert_eq!(run.code, 0, "{run}");
    assert_eq!(run.stderr, "");
    for command in ["message send", "message edit", "message history", "notifications list", "user delete alice --yes"]
    {
        assert!(run.stdout.contains(&format!("$ tidings {command}")), "{command}: {run}");
    }
    let left = shell.run("user list -o ids --db demo.db");
    assert_eq!(left.stdout.lines().count(), 2, "{left}");
    let again = shell.run("demo --db demo.db");
    assert_ne!(again.code, 0, "the demonstration mixed itself into a database that is in use");
}

#[test]
fn the_demonstration_makes_a_fresh_folder_each_time() {
    let shell = Shell::new();
    let folder = shell.path("");
    let folder = folder.to_str().unwrap();
    for name in ["tidings-demo", "tidings-demo-2"] {
        let run = shell.run_without_db("demo", &[("TMPDIR", folder)]);
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stdout.contains(&format!("{folder}{name}/tidings.db")), "{run}");
    }
}
