//! Where settings come from, and what is made of an env file.

use std::fs;
use std::os::unix::fs::{chown, symlink};

use insta::assert_snapshot;

use super::db::json;
use super::shell;
use crate::server::Server;
use crate::support::{Shell, say_left_out};

#[test]
fn a_secret_in_a_setting_that_cannot_be_used_is_not_shown() {
    let shell = shell();
    fs::write(shell.path(".env"), "TIDINGS_OUTPUT=json\nDB_PASSWORD=s3cr3t pass word\n").unwrap();
    let run = shell.run("user list --verbose");
    assert_eq!(run.code, 2, "{run}");
    assert!(
        run.stderr.contains(".env cannot be used: line 2: a value with spaces needs quotes.")
            && !run.stderr.contains("s3cr3t"),
        "{run}"
    );
    for url in ["postgres://ann:p@s3cr3t@localhost:1/db", "postgres://ann:s3cr3t@localhost:1/db"] {
        let run = shell.run(&format!("user list --verbose --env-file /dev/null --db {url}"));
        assert_eq!(run.code, 7, "{run}");
        assert!(!run.stderr.contains("p@s3cr3t") && !run.stderr.contains(":s3cr3t"), "{run}");
    }
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_env_file() {
    let shell = shell();
    fs::write(shell.path(".env"), "TIDINGS_AS=bob\nTIDINGS_OUTPUT=ids\nDB_NAME=other.db\n").unwrap();
    let bob = shell.run("user show bob").stdout;
    assert_eq!(bob.lines().count(), 1, "the env file asks for ids");
    assert_eq!(shell.run("message send team hi").code, 0, "the env file says who acts");
    assert_eq!(shell.run_env("user show bob", &[("TIDINGS_OUTPUT", "jsonl")]).stdout.chars().next(), Some('{'));
    assert_eq!(shell.run_env("user show bob -o ids", &[("TIDINGS_OUTPUT", "jsonl")]).stdout, bob);
    assert_eq!(shell.run_env("user show bob", &[("TIDINGS_OUTPUT", "")]).stdout, bob, "empty counts as unset");
    assert_eq!(shell.run("message send team hi --operator").code, 2);
    assert_snapshot!(shell.run_env("user list", &[("TIDINGS_OUTPUT", "xml")]), @"
    --- stderr
    tidings: TIDINGS_OUTPUT=xml cannot be used: it is one of table, json, jsonl, csv, tsv, ids.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user list --env-file absent"), @"
    --- stderr
    tidings: The env file absent cannot be used: No such file or directory (os error 2).
    --- exit code 2
    ");
}

#[test]
fn the_database_is_the_one_the_settings_name() {
    let shell = Shell::new();
    let location = |environment: &[(&str, &str)]| {
        let run = shell.run_without_db("db migrate -q -o json", environment);
        serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap()["location"].as_str().unwrap().to_owned()
    };
    assert!(location(&[]).ends_with("/tidings/tidings.db"));
    assert_eq!(location(&[("DB_NAME", "django.db")]), "django.db");
    assert_eq!(location(&[("DB_NAME", "django.db"), ("TIDINGS_DB", "mine.db")]), "mine.db");
    let refused = shell.run_without_db("db status", &[("DB_HOST", "/nowhere"), ("DB_PASSWORD", "it's secret")]);
    assert_eq!(refused.code, 7);
    assert!(!refused.stderr.contains("secret"), "{refused}");
}

#[test]
fn an_env_file_names_the_database_that_it_says() {
    let shell = Shell::new();
    let database = |line: &str| {
        fs::write(shell.path(".env"), format!("DATA_DIR=other\nDATA=wrong\n{line}\n")).unwrap();
        shell.run_without_db("config show -o json --fields value", &[("DATA_DIR", "data")])
    };
    let named = |line: &str| json(&database(line).stdout)[0]["value"].as_str().unwrap().to_owned();
    assert_eq!(named("TIDINGS_DB=$DATA_DIR/t.db"), "data/t.db", "the environment wins");
    assert_eq!(named("TIDINGS_DB=${DATA}_DIR/t.db"), "wrong_DIR/t.db");
    for line in ["TIDINGS_DB=$DATA_FOLDER/t.db", "TIDINGS_DB=${DATA_FOLDER:-data}/t.db", "DB_PASSWORD=s3cr3t$"] {
        let run = shell_after(&shell, line).run_without_db("user list", &[]);
        assert_eq!(run.code, 2, "{line}: {run}");
        assert!(run.stderr.contains("line 1: ") && !run.stderr.contains("s3cr3t"), "{line}: {run}");
    }
}

/// The shell with this env file
fn shell_after<'s>(shell: &'s Shell, env_file: &str) -> &'s Shell {
    fs::write(shell.path(".env"), env_file).unwrap();
    shell
}

#[test]
fn a_byte_order_mark_is_no_part_of_an_env_file_or_a_secret() {
    let shell = Shell::new();
    let marked = |name: &str, text: &str| fs::write(shell.path(name), format!("\u{FEFF}{text}\n")).unwrap();
    marked(".env", "TIDINGS_OUTPUT=ids");
    assert_eq!(shell.done("user create bob --no-password").stdout.lines().count(), 1, "the env file asks for ids");
    fs::remove_file(shell.path(".env")).unwrap();
    marked("password", "correct horse");
    shell.done("user create ann --password-file password");
    let piped = shell.run_with("user create cid --password-stdin", "\u{FEFF}correct horse\n");
    assert_eq!(piped.code, 0, "{piped}");
    let server = Server::start(&shell.path(""), &["--db", "test.db"], &[]);
    for name in ["ann", "cid"] {
        server.log_in(name, "correct horse");
    }
}

#[test]
fn an_env_file_of_another_user_is_read_only_where_it_is_named() {
    let shell = shell();
    let file = shell.path(".env");
    fs::write(&file, "TIDINGS_AS=bob\n").unwrap();
    let acting = |line: &str, warned: bool| {
        let run = shell.run(&format!("config show -o json {line}"));
        assert_eq!(run.code, 0, "{run}");
        assert_eq!(run.stderr.contains("The env file .env is not read: it belongs to another user"), warned, "{run}");
        json(&run.stdout)[1]["value"].as_str().map(ToOwned::to_owned)
    };
    assert_eq!(acting("", false).as_deref(), Some("bob"));
    if chown(&file, Some(65_534), None).is_err() {
        return say_left_out("an env file of another user (only root gives files away)");
    }
    assert_eq!(acting("", true), None);
    assert_eq!(acting("--quiet", true), None);
    assert_eq!(acting("--env-file .env", false).as_deref(), Some("bob"));
    let run = shell.run("doctor");
    assert!(run.stdout.contains("warning · settings · The env file .env is not read"), "{run}");

    fs::rename(&file, shell.path("theirs")).unwrap();
    symlink("theirs", &file).unwrap();
    assert_eq!(acting("", true), None, "a link of one's own to it");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(acting("", false), None, "a folder");
}

#[test]
fn a_variable_that_nothing_knows_is_a_warning_of_the_doctor() {
    let shell = shell();
    fs::write(shell.path(".env"), "TIDINGS_ALOWED_HOSTS=example.org\nTIDINGS_AS=\nOTHER=1\nTIDINGS_EMPTY=\n").unwrap();
    let run = shell.run_env("doctor", &[("TIDINGS_SOMETHING", "1"), ("TIDINGS_DB", "test.db")]);
    assert_eq!(run.code, 0, "{run}");
    let lines: Vec<&str> = run.stdout.lines().skip_while(|line| !line.contains("variable")).take(4).collect();
    assert_snapshot!(lines.join("\n"), @"
    warning · settings · unknown variable TIDINGS_ALOWED_HOSTS
        If you mean TIDINGS_ALLOWED_HOSTS, rename it; else unset it.
    warning · settings · unknown variable TIDINGS_SOMETHING
        Unset it; tidings config show lists the known ones.
    ");
    assert_eq!(run.stdout.matches("unknown variable").count(), 2, "{run}");
}
