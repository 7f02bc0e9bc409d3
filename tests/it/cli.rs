//! The command line: its wiring, its words and its codes. The rules themselves are tested at the service.

mod conversations;
mod data;
mod db;
pub(crate) mod disk;
mod doctor;
mod follow;
mod foreign;
mod guidance;
mod import;
mod messages;
mod notifications;
mod output;
mod prompt;
mod refusals;
mod search;
mod settings;
mod streams;
mod tokens;
mod users;
pub(crate) mod watch;

use crate::support::Shell;

/// Two users, a group, a message with a reply
fn shell() -> Shell {
    let shell = Shell::new();
    shell.done("user create ann --email ann@example.org --first-name Ann --no-password");
    shell.done("user create bob --no-password");
    shell.done("conversation create bob --name team --title Everybody --as ann");
    shell.done("message send team 'Lunch at noon, @bob?' --as ann");
    shell.done("message send team 'Yes' --reply-to team#1 --as bob");
    shell
}

#[test]
fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let shell = shell();
    let before = shell.dump();
    for line in [
        "user delete ann",
        "message delete team#1",
        "conversation delete team",
        "conversation remove team ann bob",
        "notifications read --all --as bob",
        "token revoke ann",
        "user create eve --no-password",
    ] {
        let run = shell.run(&format!("{line} --dry-run"));
        assert_eq!(run.code, 0, "{run}");
        assert!(run.stderr.contains("Dry run"), "{run}");
    }
    assert_eq!(shell.run("message send team hi --as ann --dry-run").code, 0);
    assert_eq!(shell.dump(), before);
    for line in ["db migrate", "user list", "demo"] {
        let run = shell.run(&format!("{line} --dry-run --db absent.db"));
        assert_ne!(run.code, 0, "{line}: {run}");
        assert!(!shell.path("absent.db").exists(), "{line} made a database in a dry run");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_said_to_be_done() {
    let shell = shell();
    let onto = |path: &str, words: &[&str]| {
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidings"));
        let output = command.args(words).current_dir(shell.path("")).env_clear().stdout(file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let send = ["--db", "test.db", "message", "send", "team", "hi", "--as", "ann"];
    for words in [&send[..], &["--help"], &["message", "--help"], &["--version"], &["completions", "bash"], &["man"]] {
        let (code, said) = onto("/dev/full", words);
        assert_eq!(code, Some(1), "{words:?}: {said}");
        assert!(said.starts_with("tidings: The result could not be written"), "{words:?}: {said}");
        assert_eq!(onto("/dev/null", words).0, Some(0), "{words:?}");
    }
    assert_eq!(shell.done("message show team#3 -o ids").stdout.lines().count(), 1);
}

#[test]
fn a_destructive_command_without_yes_is_refused_off_a_terminal() {
    let shell = shell();
    let before = shell.dump();
    for line in
        ["user delete ann", "message delete team#1", "conversation delete team", "conversation remove team ann bob"]
    {
        let run = shell.run(line);
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.contains("--yes"), "{run}");
    }
    assert_eq!(shell.dump(), before);
}

#[test]
fn foreign_text_cannot_move_the_cursor() {
    let shell = shell();
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\r\u{7}\u{200b}\ttext";
    shell.done_with(&["user", "update", "ann", "--first-name", hostile]);
    shell.done_with(&["conversation", "update", "team", "--title", hostile]);
    shell.done_with(&["message", "send", "team", hostile, "--as", "ann"]);
    shell.done_with(&["message", "edit", "team#3", "clean", "--reason", hostile, "--as", "ann"]);
    for line in [
        "user list",
        "user show ann",
        "conversation list",
        "conversation show team",
        "message list team",
        "message history team#3",
        "notifications list --as bob",
    ] {
        let run = shell.run(line);
        let output = format!("{}{}", run.stdout, run.stderr);
        let harmless = |character: char| {
            character == '\n' || !character.is_control() && character != '\u{202e}' && character != '\u{200b}'
        };
        assert!(output.chars().all(harmless), "{line}: {output:?}");
    }
    for command in ["list", "show", hostile] {
        let refused = shell.run_words(&["message", command, hostile], "");
        assert!(!refused.stderr.contains('\u{1b}') && !refused.stderr.contains('\u{202e}'), "{refused}");
    }
    let json = shell.run("conversation show team -o json").stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["title"], hostile);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let shell = shell();
    let long = format!("message send team '{}' --as ann", "a text that fills the pipe ".repeat(400));
    for _ in 0..30 {
        shell.done(&long);
    }
    let tidings = env!("CARGO_BIN_EXE_tidings");
    let script =
        format!("'{tidings}' --db test.db message list team --limit 500 | head -n 1; echo \"${{PIPESTATUS[0]}}\"");
    let output = std::process::Command::new("bash").args(["-c", &script]).current_dir(shell.path("")).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().ends_with("\n0\n"));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let shell = shell();
    for line in [
        "",
        "nonsense",
        "user",
        "user create",
        "message list team --limit x",
        "message list team --limit 0",
        "user list --limit -1",
        "--now yesterday user list",
        "message send --as ann",
        "user create x --password secret",
    ] {
        let run = shell.run(line);
        assert_eq!(run.code, 2, "{line}: {run}");
        assert_eq!(run.stdout, "", "{line}");
    }
}

#[test]
fn wrong_usage_is_a_problem_document_where_errors_are() {
    let shell = shell();
    let before = shell.dump();
    for (line, detail) in [
        ("-o json nonsense", "unrecognized subcommand 'nonsense'"),
        ("user create --output=jsonl", "the following required arguments were not provided: <NAME>"),
        ("-ojson user", "The command is not complete; see --help."),
        (
            "message list team --limit 0 -o json",
            "invalid value '0' for '--limit <N>': it has to be a whole number, at least 1",
        ),
        ("message send --as ann -o json", "The destination is missing: a conversation, or a user with --to."),
        (
            "user list --fields nonsense -o json",
            "This command shows no field “nonsense”. The fields: user_id, username, ",
        ),
        (
            "user delete ann -o json",
            "There is no terminal to ask for confirmation; use --yes to confirm, or --dry-run for a preview.",
        ),
        ("user list --env-file absent -o json", "The env file absent cannot be used: "),
    ] {
        let run = shell.run(line);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.lines().count()), (2, "", 1), "{line}: {run}");
        let problem: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
        assert!(problem["detail"].as_str().unwrap().starts_with(detail), "{line}: {run}");
        assert_eq!((&problem["code"], &problem["status"]), (&"invalid".into(), &400.into()), "{line}: {run}");
        assert!(!shell.run(line.replace("json", "csv").trim()).stderr.starts_with('{'), "{line}");
    }
    let by_variable = shell.run_env("nonsense", &[("TIDINGS_OUTPUT", "jsonl")]);
    assert!(by_variable.code == 2 && by_variable.stderr.starts_with('{'), "{by_variable}");
    assert_eq!(shell.dump(), before);
}

#[test]
fn a_command_that_fails_creates_no_database() {
    let shell = Shell::new();
    std::fs::write(shell.path("short"), "short").unwrap();
    for line in [
        "user create 'a b' --no-password",
        "user create ann --email nowhere --no-password",
        "user create ann --no-password --as bob",
        "user create ann --password-file short",
        "user create ann --password-file absent",
        "user create ann --password-hash nonsense",
        "user update ann --first-name Ann",
        "user delete ann --yes",
        "conversation create ann bob",
        "conversation delete team --yes",
        "message send team hi --as ann",
        "message edit team#1 hi",
        "notifications read --all --as ann",
        "token issue ann",
        "token revoke ann",
        "data load absent",
        "data seed --users 2",
        "user list --limit 0",
    ] {
        for dry_run in ["", " --dry-run"] {
            let run = shell.run(&format!("{line}{dry_run} --db new/new.db"));
            assert_ne!(run.code, 0, "{line}: {run}");
            assert!(!run.stderr.contains("Created the database"), "{line}: {run}");
            assert!(!shell.path("new").exists(), "{line}{dry_run} made something");
        }
    }
    let short = shell.run_env("serve --bind 127.0.0.1:0 --db new/new.db", &[("SECRET_KEY", "short")]);
    assert_eq!(short.code, 6, "{short}");
    assert!(!shell.path("new").exists(), "a server that cannot start made something");
    let dry = shell.done("user create ann --no-password --dry-run --db new/new.db");
    assert!(dry.stderr.contains("Dry run") && !shell.path("new").exists(), "{dry}");
}

#[test]
fn a_database_that_is_created_is_named_once() {
    let shell = Shell::new();
    for (index, line) in
        ["user create ann --no-password", "db migrate", "data seed --users 9 --conversations 4 --messages 10"]
            .iter()
            .enumerate()
    {
        let line = format!("{line} --db new{index}.db");
        let said = shell.done(&line).stderr;
        assert_eq!(said.matches(&format!("Created the database new{index}.db.")).count(), 1, "{line}: {said}");
    }
    assert_eq!(shell.done("user create ann --no-password --db quiet.db --quiet").stderr, "");
    let server = crate::server::Server::start(&shell.path(""), &["--db", "served.db"], &[]);
    let start = std::time::Instant::now();
    while !server.log().contains("Created the database served.db.") {
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn an_empty_name_of_a_database_is_refused_in_a_whole_sentence() {
    let shell = Shell::new();
    for line in ["user list", "user create ann --no-password", "db migrate", "db check", "serve --bind 127.0.0.1:0"] {
        let run = shell.run_without_db(&format!("{line} --db ''"), &[]);
        assert_eq!(run.code, 7, "{line}: {run}");
        assert!(run.stderr.starts_with("tidings: The name of the database is empty.\n"), "{line}: {run}");
    }
}

#[test]
fn the_short_help_names_the_options_for_every_command_in_one_line() {
    let shell = Shell::new();
    for line in ["", "user", "user create", "message list", "serve", "db backup", "data import django", "man"] {
        let short = shell.done(&format!("{line} -h")).stdout;
        assert!(short.ends_with("\n\nOptions for every command: see --help\n"), "{line}: {short}");
        assert!(!short.contains("--env-file") && short.contains("-h, --help"), "{line}: {short}");
        let long = shell.done(&format!("{line} --help")).stdout;
        assert!(long.contains("--env-file") && !long.contains("see --help"), "{line}: {long}");
        assert_eq!(short.contains("Example"), long.contains("Example"), "{line}");
    }
    let fields = shell.done("user list --help").stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(fields.contains("an unknown name lists the fields of the command"), "{fields}");
}

#[test]
fn with_clock_and_seed_frozen_the_same_commands_give_the_same_bytes() {
    let tour = || {
        let shell = shell();
        shell.done("message edit team#1 'Lunch at one' --as ann");
        shell.done("message read team --as bob");
        (shell.run("message list -o json").stdout, shell.dump())
    };
    assert_eq!(tour(), tour());
}
