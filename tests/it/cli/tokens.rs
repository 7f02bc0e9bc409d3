//! `tidings token`, and the file of the secret that signs

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::process::{Command, Stdio};

use insta::assert_snapshot;
use serde_json::Value;
use tidings::service::tokens::{Claims, Keys};

use super::db::json;
use super::shell;
use crate::support::{NOON, Run, Schema, Shell, postgres_server};

const SECRET: &str = "a secret of more than sixteen bytes";

fn issued(shell: &Shell) -> Value {
    json(&shell.done("token issue ann -q -o json").stdout)
}

/// What an access token says, where that secret signed it
fn verified(token: &str, secret: &str) -> Option<Claims> {
    Keys::new(secret.as_bytes(), None).unwrap().verify(token.trim_end(), NOON)
}

/// The secret beside the database
fn kept(shell: &Shell) -> String {
    fs::read_to_string(shell.path("test.db-key")).unwrap().trim_end().to_owned()
}

/// A result whose tokens are named rather than shown, as each differs
fn named(run: &Run) -> String {
    let parts = |text: &str| text.split_inclusive([' ', '\n', '"', ',']).map(ToOwned::to_owned).collect::<Vec<_>>();
    let name = |part: String| {
        let word = part.trim_end_matches([' ', '\n', '"', ',']);
        match (word.matches('.').count(), word.len()) {
            (2, 200..) => part.replace(word, "ACCESS"),
            (0, 43) => part.replace(word, "REFRESH"),
            // Of one that begins with a dash a spreadsheet would make a formula.
            (0, 44) if word.starts_with('\'') => part.replace(word, "REFRESH"),
            _ => part,
        }
    };
    parts(&run.to_string()).into_iter().map(name).collect()
}

#[test]
fn tokens_are_shown_in_every_format_and_alone_to_a_script() {
    let shell = shell();
    assert_snapshot!(named(&shell.run("token issue Ann@Example.org")), @"
     username  ann
     access    ACCESS
     refresh   REFRESH
     id        019b78c9-0a80-7398-89bc-6d63798b4571
    --- stderr
    The access token of ann is valid for 10 minutes, the refresh token for 30 days.
    ");
    assert_snapshot!(named(&shell.run("token issue ann --quiet")), @"ACCESS");
    assert_snapshot!(named(&shell.run("token issue ann -o ids")), @"
    ACCESS
    --- stderr
    The access token of ann is valid for 10 minutes, the refresh token for 30 days.
    ");
    assert_snapshot!(named(&shell.run("token issue ann -q -o json")), @r#"
    {
      "access": "ACCESS",
      "refresh": "REFRESH",
      "user": {
        "user_id": "019b78c9-0a80-7398-89bc-6d63798b4571",
        "username": "ann",
        "first_name": "Ann",
        "last_name": "",
        "email": "ann@example.org",
        "role": "user",
        "is_active": true,
        "created_at": "2026-01-01T09:00:00.000000Z"
      }
    }
    "#);
    assert_snapshot!(named(&shell.run("token issue ann -q -o csv")), @"
    access,refresh,user.user_id,user.username,user.first_name,user.last_name,user.email,user.role,user.is_active,user.created_at
    ACCESS,REFRESH,019b78c9-0a80-7398-89bc-6d63798b4571,ann,Ann,,ann@example.org,user,true,2026-01-01T09:00:00.000000Z
    ");
    assert_snapshot!(named(&shell.run("token issue ann --fields refresh,user.username --no-header")), @"
    REFRESH
    ann
    --- stderr
    The access token of ann is valid for 10 minutes, the refresh token for 30 days.
    ");
}

#[test]
fn an_access_token_is_of_the_frozen_time_and_no_token_is_drawn_from_the_seed() {
    let shell = shell();
    let [one, other] = [issued(&shell), issued(&shell)];
    let [one_access, other_access] = [&one, &other].map(|issued| issued["access"].as_str().unwrap());
    let claims = verified(one_access, &kept(&shell)).unwrap();
    assert_eq!(claims.user.to_string(), one["user"]["user_id"]);
    assert_eq!(claims.expires_at, NOON.plus_seconds(600));
    assert_ne!(one_access, other_access);
    assert_ne!(one["refresh"], other["refresh"]);
}

#[test]
fn only_the_operator_and_admins_issue_tokens_and_not_for_a_try() {
    let shell = shell();
    assert_snapshot!(shell.run("token issue ann --as bob"), @"
    --- stderr
    tidings: Only the operator and admins issue tokens.
    --- exit code 4
    ");
    assert_snapshot!(shell.run("token issue nobody"), @"
    --- stderr
    tidings: There is no user “nobody”.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("token issue ann --dry-run"), @"
    --- stderr
    tidings: `token issue` has no dry run.
    --- exit code 6
    ");
    shell.done("user update bob --role admin");
    assert_eq!(shell.done("token issue ann --as bob -q").stdout.lines().count(), 1);
    shell.done("user deactivate ann");
    assert_snapshot!(shell.run("token issue ann"), @"
    --- stderr
    tidings: The account of ann is deactivated; it cannot log in.
    --- exit code 4
    ");
}

#[test]
fn revoking_ends_all_tokens_of_a_user_and_does_not_ask() {
    let shell = shell();
    for _ in 0..2 {
        shell.done("token issue ann");
    }
    assert_snapshot!(shell.run("token revoke ann --dry-run -o ids"), @"
    019b78c9-0a80-7398-89bc-6d63798b4571
    --- stderr
    Dry run, nothing was changed. Without --dry-run: Revoked all tokens of ann, among them 2 refresh tokens.
    ");
    assert_snapshot!(shell.run("token revoke ann --as bob"), @"
    --- stderr
    tidings: Only ann and admins may do that.
    --- exit code 4
    ");
    assert_snapshot!(shell.run("token revoke ann"), @"
     username        ann
     refresh tokens  2
     id              019b78c9-0a80-7398-89bc-6d63798b4571
    --- stderr
    Revoked all tokens of ann, among them 2 refresh tokens.
    ");
    assert_snapshot!(shell.run("token revoke ann -q -o jsonl --as ann"), @r#"{"user":{"user_id":"019b78c9-0a80-7398-89bc-6d63798b4571","username":"ann","first_name":"Ann","last_name":"","email":"ann@example.org","role":"user","is_active":true,"created_at":"2026-01-01T09:00:00.000000Z"},"refresh_tokens":0}"#);
    assert_snapshot!(shell.run("token revoke nobody"), @"
    --- stderr
    tidings: There is no user “nobody”.
    --- exit code 3
    ");
}

#[test]
fn a_random_secret_is_kept_beside_the_database_for_its_owner_alone() {
    let shell = shell();
    assert!(!shell.path("test.db-key").exists());
    let first = shell.done("token issue ann -q").stdout;
    let secret = kept(&shell);
    assert_eq!(shell.path("test.db-key").metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert!(secret.len() == 43 && !secret.contains('\n'), "{secret}");
    let second = shell.done("token issue ann -q").stdout;
    assert_eq!(kept(&shell), secret);
    for token in [first, second] {
        assert!(verified(&token, &secret).is_some());
    }
    let left: Vec<_> = fs::read_dir(shell.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("test.db")), "{left:?}");
}

#[test]
fn several_first_starts_at_once_agree_on_one_secret() {
    let shell = shell();
    let start = |_| {
        Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(["--db", "test.db", "--now", "2026-01-01T09:00:00Z", "token", "issue", "ann", "-q"])
            .current_dir(shell.path(""))
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let started: Vec<_> = (0..8).map(start).collect();
    for process in started {
        let output = process.wait_with_output().unwrap();
        assert!(verified(&String::from_utf8(output.stdout).unwrap(), &kept(&shell)).is_some());
    }
}

#[test]
fn the_first_line_of_the_file_signs() {
    let shell = shell();
    shell.done("token issue ann");
    let before = kept(&shell);
    fs::write(shell.path("test.db-key"), format!("{SECRET}\n{before}\n")).unwrap();
    assert!(verified(&shell.done("token issue ann -q").stdout, SECRET).is_some());
}

#[test]
fn a_file_that_others_can_use_or_that_holds_no_good_secret_is_refused() {
    let shell = shell();
    shell.done("token issue ann");
    let path = shell.path("test.db-key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert_snapshot!(shell.run("token issue ann"), @"
    --- stderr
    tidings: The key file test.db-key is accessible to others (mode 0640).
    hint: Close it: chmod 600 test.db-key
    --- exit code 6
    ");
    let found = shell.run("doctor");
    assert!(found.code == 7 && found.stdout.contains("test.db-key is accessible to others"), "{found}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, "\n").unwrap();
    assert_snapshot!(shell.run("token issue ann"), @"
    --- stderr
    tidings: The key file test.db-key is empty.
    hint: Remove it; a new one is created, and earlier access tokens are no longer valid.
    --- exit code 6
    ");
    fs::write(&path, format!("{SECRET}\nshort\n")).unwrap();
    assert_snapshot!(shell.run("token issue ann"), @"
    --- stderr
    tidings: A secret in test.db-key is too short to sign with: 5 bytes; it needs at least 16.
    hint: Make one: head -c 32 /dev/urandom | base64
    --- exit code 6
    ");
    fs::write(&path, format!("{SECRET}\n").repeat(3)).unwrap();
    assert_snapshot!(shell.run("token issue ann"), @"
    --- stderr
    tidings: The key file test.db-key holds more than two secrets.
    hint: Keep the current one on the first line and the previous one on the second.
    --- exit code 6
    ");
    fs::remove_file(&path).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
    assert_snapshot!(shell.run("token issue ann"), @"
    --- stderr
    tidings: The key file test.db-key cannot be read: Is a directory (os error 21).
    --- exit code 7
    ");
}

#[test]
fn a_secret_that_is_given_is_long_enough_and_no_file_is_made() {
    let shell = shell();
    let run = |environment: &[(&str, &str)]| shell.run_env("token issue ann -q", environment);
    assert_snapshot!(run(&[("SECRET_KEY", "fifteen bytes !")]), @"
    --- stderr
    tidings: SECRET_KEY is too short to sign with: 15 bytes; it needs at least 16.
    hint: Make one: head -c 32 /dev/urandom | base64
    --- exit code 6
    ");
    assert_snapshot!(run(&[("SECRET_KEY", SECRET), ("SECRET_KEY_PREVIOUS", "short")]), @"
    --- stderr
    tidings: SECRET_KEY_PREVIOUS is too short to sign with: 5 bytes; it needs at least 16.
    hint: Make one: head -c 32 /dev/urandom | base64
    --- exit code 6
    ");
    assert_snapshot!(run(&[("SECRET_KEY", SECRET), ("SECRET_KEY_FILE", "secret")]), @"
    --- stderr
    tidings: Both SECRET_KEY and SECRET_KEY_FILE are set; unset one of them.
    --- exit code 2
    ");
    fs::write(shell.path("secret"), "").unwrap();
    assert_snapshot!(run(&[("SECRET_KEY_FILE", "secret")]), @"
    --- stderr
    tidings: SECRET_KEY is too short to sign with: 0 bytes; it needs at least 16.
    hint: Make one: head -c 32 /dev/urandom | base64
    --- exit code 6
    ");
    fs::write(shell.path("secret"), format!("{SECRET}\n")).unwrap();
    for given in [("SECRET_KEY", SECRET), ("SECRET_KEY_FILE", "secret")] {
        assert!(verified(&run(&[given]).stdout, SECRET).is_some(), "{given:?}");
    }
    assert!(!shell.path("test.db-key").exists());
}

#[test]
fn with_postgresql_tokens_are_issued_where_the_secret_is_given() {
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let shell = Shell::new();
    let run = |line: &str, environment: &[(&str, &str)]| {
        shell.run_without_db(line, &[&[("TIDINGS_DB", schema.url().as_str())], environment].concat())
    };
    assert_eq!(run("user create ann --no-password", &[]).code, 0);
    assert_snapshot!(run("token issue ann -q", &[]), @"
    --- stderr
    tidings: SECRET_KEY is not set; with PostgreSQL it has to be, because it signs the access tokens.
    hint: Make one: head -c 32 /dev/urandom | base64
    --- exit code 6
    ");
    assert!(verified(&run("token issue ann -q", &[("SECRET_KEY", SECRET)]).stdout, SECRET).is_some());
    assert_eq!(run("token revoke ann -q -o jsonl --fields refresh_tokens", &[]).stdout, "{\"refresh_tokens\":1}\n");
}
