//! `tidings data load`: what is wrong with a file is said with its place, and nothing is changed.

use insta::assert_snapshot;
use serde_json::Value;

use super::{GOOD, files, write};
use crate::cli::disk::SmallDisk;
use crate::cli::shell;
use crate::cli::streams::begin;
use crate::support::Shell;

/// Runs a line that has to be refused with that code, and change nothing.
fn refused(shell: &Shell, line: &str, input: impl Into<Vec<u8>>, code: i32) -> String {
    let (before, there) = (shell.dump(), files(shell));
    let run = shell.run_with(line, input);
    assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{line}: {run}");
    assert_eq!((shell.dump(), files(shell)), (before, there), "{line} changed something");
    run.stderr
}

#[test]
fn a_good_file_is_loaded_once_from_wherever_it_comes() {
    let shell = shell();
    write(&shell, "world.jsonl", GOOD);
    assert_snapshot!(shell.run("data load world.jsonl"), @"
     users          2
     conversations  1
     messages       2
     notifications  0
     there already  0
    --- stderr
    Loaded world.jsonl.
    ");
    assert_snapshot!(shell.run_with("data load - -o json", GOOD), @r#"
    {
      "created": {
        "users": 0,
        "conversations": 0,
        "messages": 0,
        "notifications": 0
      },
      "skipped": 5
    }
    --- stderr
    Loaded standard input.
    "#);
    let script = format!(
        "mkfifo pipe && (cat world.jsonl > pipe &) && '{}' --db test.db data load pipe -o jsonl -q",
        env!("CARGO_BIN_EXE_tidings")
    );
    let output = std::process::Command::new("sh").args(["-c", &script]).current_dir(shell.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["skipped"], 5);
    assert_eq!(shell.done("message list room -o ids").stdout.lines().count(), 2);
    shell.done("db check");
}

#[test]
fn a_load_says_that_it_brings_messages_older_than_those_before_them() {
    let shell = shell();
    write(&shell, "world.jsonl", GOOD);
    shell.done("data load world.jsonl");
    let older = r#"{"type":"message","conversation":"team","sender":"ann","content":"of old","timestamp":"2020-01-01T09:00:00Z"}"#;
    write(&shell, "older.jsonl", older);
    let run = shell.done("data load older.jsonl");
    assert_eq!(
        run.stderr,
        "Loaded older.jsonl.\n1 message is older than earlier ones in the same conversation, which is ordered by number, not \
         by time.\n"
    );
    assert_eq!(shell.done("message list team -o csv --no-header --fields content --limit 1").stdout, "of old\n");
    assert_eq!(shell.done("data load older.jsonl").stderr, "Loaded older.jsonl.\n", "it is there already");
    write(&shell, "more.jsonl", older.replace(r#""content""#, r#""key":"old","content""#));
    let applied = shell.done("data apply more.jsonl").stderr;
    assert!(applied.contains("1 message is older than earlier ones"), "{applied}");
    assert!(!shell.done("data apply more.jsonl").stderr.contains("older"));
    let note = shell.done("message send team later --as ann --now 2020-01-01T09:00:00Z").stderr;
    assert_eq!(
        note,
        "The clock says 2020-01-01T09:00:00.000000Z, but the last message of a conversation was sent at \
         2026-01-01T09:00:00.000000Z: that is too far ahead, so the clock counts, and the times of its messages go back.\n"
    );
}

#[test]
fn every_problem_stands_in_one_document_by_file_and_line() {
    let shell = shell();
    write(
        &shell,
        "bad.jsonl",
        r#"{"type":"user","username":"Ann"}
{"type":"usr","username":"x"}
{"type":"user","username":"eve"}
{"type":"user","username":"EVE","first_name":"E"}
{"type":"conversation","name":"room","participants":["eve","ann"]}
{"type":"message","conversation":"room","sender":"eve","content":"a","key":"a","reply_to":"missing"}
{"type":"message","conversation":"room","sender":"eve","content":"b","key":"b","reply_to":"c"}
{"type":"message","conversation":"room","sender":"eve","content":"c","key":"c","reply_to":"b"}
{"type":"message","conversation":"room","sender":"eve","content":"t","timestamp":"10000-01-01T00:00:00Z"}
{"type":"message","conversation":"room","sender":"eve","content":"t","timestamp":"0000-12-31T23:59:59Z"}
{"type":"message","conversation":"room","sender":"eve","content":"t","timestamp":1767258000}
"#,
    );
    assert_snapshot!(refused(&shell, "data load bad.jsonl -o json", "", 6), @r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid","detail":"bad.jsonl has 8 problems; nothing was changed.","errors":{"bad.jsonl:1":["The user “ann” is there already; it differs in username."],"bad.jsonl:2":["This is not a record: unknown word `usr`, expected one of `user`, `conversation`, `message`, `notification`."],"bad.jsonl:4":["The username “EVE”, whatever its case, is on line 3 already."],"bad.jsonl:6":["There is no message “missing” in the database or in earlier records."],"bad.jsonl:7":["It refers to “c”, which comes later (line 8): a message stands before what refers to it, so none replies to itself, directly or by others."],"bad.jsonl:9":["This is not a record: “10000-01-01T00:00:00Z” is not a time like 2026-01-01T09:00:00Z, years 1 to 9999."],"bad.jsonl:10":["This is not a record: “0000-12-31T23:59:59Z” is not a time like 2026-01-01T09:00:00Z, years 1 to 9999."],"bad.jsonl:11":["This is not a record: invalid type: integer `1767258000`, expected a string."]}}"#);
    assert_snapshot!(refused(&shell, "data load bad.jsonl", "", 6), @"
    bad.jsonl:1: The user “ann” is there already; it differs in username.
    bad.jsonl:2: This is not a record: unknown word `usr`, expected one of `user`, `conversation`, `message`, `notification`.
    bad.jsonl:4: The username “EVE”, whatever its case, is on line 3 already.
    bad.jsonl:6: There is no message “missing” in the database or in earlier records.
    bad.jsonl:7: It refers to “c”, which comes later (line 8): a message stands before what refers to it, so none replies to itself, directly or by others.
    bad.jsonl:9: This is not a record: “10000-01-01T00:00:00Z” is not a time like 2026-01-01T09:00:00Z, years 1 to 9999.
    bad.jsonl:10: This is not a record: “0000-12-31T23:59:59Z” is not a time like 2026-01-01T09:00:00Z, years 1 to 9999.
    bad.jsonl:11: This is not a record: invalid type: integer `1767258000`, expected a string.
    tidings: bad.jsonl has 8 problems; nothing was changed.
    ");
    refused(&shell, "data load bad.jsonl --dry-run", "", 6);
}

#[test]
fn broken_json_far_down_a_file_is_found() {
    let shell = shell();
    let mut far = GOOD.to_owned();
    for number in 6..70_000 {
        far.extend([format!("{{\"type\":\"user\",\"username\":\"u{number}\"}}\n")]);
    }
    far.push_str("{\"type\":\"user\",\"username\":\n{\"type\":\"user\",\"username\":\"last\"}\n");
    write(&shell, "far.jsonl", far);
    assert_snapshot!(refused(&shell, "data load far.jsonl -o json", "", 6), @r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid","detail":"far.jsonl has a problem; nothing was changed.","errors":{"far.jsonl:70000":["This is not JSON: the line ends in the middle of it (column 26)."]}}"#);
}

#[test]
fn of_more_than_a_thousand_problems_the_first_thousand_are_told() {
    let shell = shell();
    let problem: Value =
        serde_json::from_str(&refused(&shell, "data load - -o json", "nonsense\n".repeat(70_000), 6)).unwrap();
    assert_eq!(problem["errors"].as_object().unwrap().len(), 1000);
    assert_eq!(problem["detail"], "standard input has 1000 problems and more; nothing was changed.");
}

#[test]
fn however_many_passwords_are_hashed_memory_is_given_back() {
    let shell = shell();
    let user = |number: usize| {
        format!("{{\"type\":\"user\",\"username\":\"u{number}\",\"password\":\"a good one {number}\"}}\n")
    };
    write(&shell, "many.jsonl", (0..150).map(user).collect::<String>());
    let mut load = begin(&shell, "data load many.jsonl -q");
    let status = format!("/proc/{}/status", load.id());
    let mut peak = 0;
    while load.try_wait().unwrap().is_none() {
        let now = std::fs::read_to_string(&status).unwrap_or_default();
        let line = now.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = peak.max(line.trim_end_matches("kB").trim().parse().unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // A block of 19 MiB for each core, and what it takes besides.
    let cores = std::thread::available_parallelism().unwrap().get();
    assert!(peak > 0 && peak < 1024 * (60 + 20 * cores), "{peak} kB");
}

#[test]
fn what_is_no_file_of_records_is_refused() {
    let shell = shell();
    std::fs::create_dir(shell.path("folder")).unwrap();
    write(&shell, "empty.jsonl", "");
    write(&shell, "png.jsonl", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    assert_snapshot!(refused(&shell, "data load absent.jsonl", "", 3), @"tidings: There is no file absent.jsonl.");
    assert_snapshot!(refused(&shell, "data load folder", "", 7), @"tidings: folder is a folder, not a file.");
    assert_eq!(shell.done("data load empty.jsonl").stderr, "Loaded empty.jsonl: it holds no records.\n");
    assert_eq!(shell.done("data load - --dry-run -q -o json").stderr, "");
    assert_snapshot!(refused(&shell, "data load png.jsonl", "", 6), @"
    png.jsonl:1: The line is not UTF-8 from byte 1 on.
    png.jsonl:2: This is not JSON: expected value (column 1).
    png.jsonl:3: This is not JSON: expected value (column 1).
    tidings: png.jsonl has 3 problems; nothing was changed.
    ");
    refused(&shell, "data load", "", 2);
    refused(&shell, "data load empty.jsonl other.jsonl", "", 2);
    assert_snapshot!(refused(&shell, "data load empty.jsonl --as ann", "", 4), @"
    tidings: Only the operator can use this command.
    hint: Leave out --as; if TIDINGS_AS is set, use --operator.
    ");
    for line in ["data dump", "data seed", "data apply empty.jsonl", "data load -"] {
        refused(&shell, &format!("{line} --as ann"), GOOD, 4);
    }
}

#[test]
fn where_there_is_nothing_to_read_no_database_is_made() {
    let shell = shell();
    write(&shell, "bad.yaml", "- {type: user");
    write(&shell, "latin.yaml", b"- type: user\n  username: J\xFCrgen\n");
    write(&shell, "bad.json", "{");
    let there = files(&shell);
    for (line, code, said) in [
        ("load absent.jsonl", 3, "There is no file absent.jsonl."),
        ("apply absent.yaml", 3, "There is no file absent.yaml."),
        ("apply bad.yaml", 6, "bad.yaml:1: This is not a YAML list of records"),
        ("apply latin.yaml", 6, "latin.yaml:2: The line is not UTF-8 from byte 14 on."),
        ("apply - bad.yaml -", 2, "Standard input can be read only once."),
        ("import django absent.json", 3, "There is no file absent.json."),
        ("import django bad.json", 6, "bad.json:1: The file ends in the middle of it."),
    ] {
        let run = shell.run(&format!("data {line} --db new.db"));
        assert!(run.code == code && run.stderr.contains(said), "{line}: {run}");
        assert_eq!(files(&shell), there, "{line}");
    }
}

#[test]
fn the_dump_of_nothing_is_loaded_into_nothing() {
    let shell = shell();
    shell.done("db migrate --db empty.db");
    let dump = shell.done("data dump --db empty.db").stdout;
    assert_eq!(shell.run_with("data load - --db copy.db -q", dump.clone()).code, 0);
    assert_eq!(shell.done("data dump --db copy.db").stdout, dump);
}

#[test]
fn what_differs_from_what_is_there_is_a_conflict() {
    let shell = shell();
    let records = "{\"type\":\"user\",\"username\":\"ANN\"}\n{\"type\":\"user\",\"username\":\"x\",\"email\":\"ann@example.org\"}";
    assert_snapshot!(refused(&shell, "data load -", records, 5), @"
    standard input:1: The user “ann” is there already; it differs in username.
    standard input:2: The email ann@example.org is that of ann.
    tidings: standard input has 2 problems; nothing was changed.
    ");
}

#[test]
fn a_dry_run_says_what_a_load_would_and_changes_nothing() {
    let shell = shell();
    write(&shell, "world.jsonl", GOOD);
    let (before, there) = (shell.dump(), files(&shell));
    let dry = shell.done("data load world.jsonl --dry-run -o json");
    assert_eq!(dry.stderr, "Dry run, nothing was changed. Without --dry-run: Loaded world.jsonl.\n");
    assert_eq!((shell.dump(), files(&shell)), (before, there));
    assert_eq!(shell.done("data load world.jsonl -o json").stdout, dry.stdout);
}

#[test]
fn a_dry_run_where_there_is_no_database_checks_and_leaves_none() {
    let shell = shell();
    write(&shell, "world.jsonl", GOOD);
    write(&shell, "bad.jsonl", "{\"type\":\"user\",\"username\":\"a b\"}");
    let django = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/django.json");
    std::fs::create_dir(shell.path("tmp")).unwrap();
    let tmp = shell.path("tmp");
    let there = files(&shell);
    let dry = |line: &str| {
        let line = format!("{line} --dry-run --db absent.db");
        let run = shell.run_env(&line, &[("TMPDIR", tmp.to_str().unwrap())]);
        assert_eq!(files(&shell), there, "{line}");
        run
    };
    assert_snapshot!(dry("data load world.jsonl"), @"
     users          2
     conversations  1
     messages       2
     notifications  0
     there already  0
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Loaded world.jsonl.
    ");
    assert_snapshot!(dry("data load bad.jsonl"), @"
    --- stderr
    bad.jsonl:1: The username holds white space or a control character.
    tidings: bad.jsonl has a problem; nothing was changed.
    --- exit code 6
    ");
    assert_snapshot!(dry("data apply world.jsonl --detailed-exitcode -o jsonl"), @r#"
    --- stderr
    {"type":"about:blank","title":"Bad Request","status":400,"code":"invalid","detail":"world.jsonl has a problem; nothing was changed.","errors":{"world.jsonl:5":["The message has no key; applying the fixture again would not find it."]}}
    --- exit code 6
    "#);
    assert_snapshot!(dry("data seed --users 4 --conversations 2 --messages 9"), @"
     users          4
     conversations  2
     messages       9
     notifications  27
     there already  0
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Made up the data of the seed 1.
    ");
    assert_eq!(dry(&format!("data import django {django} -q")).code, 0);
    assert_eq!(dry("data load world.jsonl --as ann").code, 4);
    assert_eq!(dry("data dump").code, 7, "there is nothing to dump");
}

#[test]
fn on_a_full_disk_nothing_is_loaded() {
    let shell = shell();
    let Some(disk) = SmallDisk::mount(&shell) else { return };
    shell.done("db backup disk/there.db");
    shell.done("user list --db disk/there.db -q");
    let mut many = GOOD.to_owned();
    for number in 0..5000 {
        let content = format!("number {number} ").repeat(20);
        many.extend([format!(
            "{{\"type\":\"message\",\"conversation\":\"room\",\"sender\":\"eve\",\"content\":\"{content}\"}}\n"
        )]);
    }
    write(&shell, "many.jsonl", many);
    // Into an empty one all is written or nothing.
    for (line, code) in [
        ("data load many.jsonl --db disk/new.db", "no_space"),
        ("data seed --messages 9999 --db disk/other.db", "no_space"),
    ] {
        let run = shell.run(&format!("{line} -o json"));
        assert_eq!(run.code, 7, "{run}");
        let problem: Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();
        assert_eq!(problem["code"], code, "{line}: {run}");
    }
    for name in ["new.db", "other.db"] {
        if shell.path("disk").join(name).exists() {
            assert_eq!(shell.done(&format!("user list -o ids --db disk/{name}")).stdout, "", "{name}");
        }
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(shell.path("disk").join(format!("{name}{end}")));
        }
    }
    let before = shell.done("data dump --db disk/there.db -q").stdout;
    disk.fill();
    let run = shell.run("data load many.jsonl --db disk/there.db");
    assert_snapshot!(run, @"
    --- stderr
    tidings: The disk is full; nothing was changed.
    --- exit code 7
    ");
    std::fs::remove_file(shell.path("disk/ballast")).unwrap();
    assert_eq!(shell.done("data dump --db disk/there.db -q").stdout, before);
    shell.done("db check --db disk/there.db");
}

#[test]
fn a_file_of_another_format_is_told_what_it_is() {
    let shell = shell();
    for (name, text, said) in [
        ("line.json", "[{\"type\":\"user\",\"username\":\"zoe\"}]", "1: This is a JSON array, "),
        ("lines.json", "\n [\n  {\n    \"type\": \"user\"\n  }\n]\n", "2: This is a JSON array, "),
        ("world.yaml", "- type: user\n  username: zoe\n", "1: This is YAML. "),
        ("begun.yaml", "---\n- {type: user, username: zoe}\n", "1: This is YAML. "),
    ] {
        write(&shell, name, text);
        let run = shell.run(&format!("data load {name}"));
        assert_eq!(run.code, 6, "{run}");
        assert!(run.stderr.starts_with(&format!("{name}:{said}")), "{run}");
        assert!(run.stderr.contains("tidings data apply"), "{run}");
        assert_eq!(run.stderr.lines().count(), 2, "{run}");
    }
}
