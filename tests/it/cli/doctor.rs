//! What the doctor finds, and where each setting comes from.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use super::db::{execute, json};
use super::shell;
use crate::server::Server;
use crate::support::Shell;

/// The levels the doctor gives, by check
fn levels(shell: &Shell, line: &str, code: i32) -> Vec<(String, String)> {
    let run = shell.run(&format!("{line} -o json"));
    assert_eq!(run.code, code, "{line}: {run}");
    let findings = json(&run.stdout);
    let findings = findings.as_array().unwrap().iter();
    let word = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    for finding in findings.clone() {
        assert_eq!(finding["level"] == "ok", finding["remedy"].is_null(), "{finding}");
    }
    findings.map(|finding| (word(finding, "check"), word(finding, "level"))).collect()
}

#[test]
fn the_doctor_finds_what_is_wrong_and_changes_nothing() {
    let shell = shell();
    let has = |line: &str, code: i32, check: &str, level: &str| {
        let found = levels(&shell, line, code);
        assert!(found.contains(&(check.to_owned(), level.to_owned())), "{line}: {found:?}");
    };
    let healthy = levels(&shell, "doctor", 0);
    assert!(
        healthy.iter().all(|(check, level)| check == "frozen_clock" || check == "disk" || level == "ok"),
        "{healthy:?}"
    );
    has("doctor --db absent.db", 0, "database", "ok");
    assert!(!shell.path("absent.db").exists());
    has("doctor --now 2025-12-31T00:00:00Z", 0, "clock", "warning");
    has("doctor --now 1999-01-01T00:00:00Z", 7, "clock", "problem");
    has("doctor --db mysql://x", 7, "location", "problem");
    has("doctor --db postgres://nobody@localhost:1/x", 7, "database", "problem");

    has("doctor --db postgres://nobody@localhost:1/x", 7, "secret_key", "warning");
    has("doctor", 0, "secret_key", "ok");
    let finds = |variable: &str, value: &str, check: &str| {
        let run = shell.run_env("doctor -o csv --no-header", &[(variable, value)]);
        assert_eq!(run.code, 7, "{variable}={value}: {run}");
        assert!(run.stdout.contains(&format!("{check},problem,")), "{variable}={value}: {run}");
        assert!(!run.stdout.contains("secret_key,ok") || check != "secret_key", "{run}");
    };
    finds("SECRET_KEY", "short", "secret_key");
    finds("SECRET_KEY_PREVIOUS", "short", "secret_key");
    finds("SECRET_KEY_FILE", "absent", "secret_key");
    finds("TIDINGS_REGISTRATION", "maybe", "settings");
    finds("TIDINGS_DB_WAIT", "x", "settings");
    finds("TIDINGS_ALLOWED_HOSTS", "https://x", "settings");
    assert!(!shell.path("test.db-key").exists(), "the doctor makes nothing");
    fs::write(shell.path("test.db-key"), "a secret that is long enough\n").unwrap();
    has("doctor", 7, "secret_key", "problem");
    fs::set_permissions(shell.path("test.db-key"), fs::Permissions::from_mode(0o600)).unwrap();
    has("doctor", 0, "secret_key", "ok");
    fs::remove_file(shell.path("test.db-key")).unwrap();

    let set = |name: &str, mode: u32| fs::set_permissions(shell.path(name), fs::Permissions::from_mode(mode)).unwrap();
    set("test.db", 0o644);
    has("doctor", 0, "permissions", "warning");
    set("test.db", 0o400);
    has("doctor", 7, "permissions", "problem");
    set("test.db", 0o600);
    // What a file that could not be written once leaves beside it
    for beside in ["test.db-wal", "test.db-shm"] {
        fs::write(shell.path(beside), "").unwrap();
        set(beside, 0o400);
        let said = shell.run("doctor");
        assert!(said.code == 7 && said.stdout.contains(&format!("chmod 600 {beside}")), "{said}");
        // Whoever looks at a database last may have removed it.
        let _ = fs::remove_file(shell.path(beside));
    }
    set("", 0o777);
    has("doctor", 0, "folder", "warning");
    set("", 0o500);
    has("doctor", 7, "folder", "problem");
    set("", 0o700);

    fs::write(shell.path("text"), "no database\n".repeat(99)).unwrap();
    has("doctor --db text", 7, "database", "problem");
    fs::create_dir(shell.path("folder")).unwrap();
    has("doctor --db folder", 7, "database", "problem");
    execute(&shell, "PRAGMA user_version = 999");
    has("doctor", 7, "database", "problem");
    execute(&shell, "PRAGMA user_version = 1");

    fs::write(shell.path(".env"), "TIDINGS_OUTPUT=a b c\n").unwrap();
    has("doctor", 7, "settings", "problem");
    fs::write(shell.path(".env"), "TIDINGS_SEED=x\n").unwrap();
    has("doctor", 7, "settings", "problem");
    let run = shell.run_env("doctor --db absent.db", &[("TIDINGS_OUTPUT", "xml")]);
    assert_snapshot!(run.stdout.lines().take(5).collect::<Vec<_>>().join("\n"), @"
    problem · settings · TIDINGS_OUTPUT=xml cannot be used: it is one of table, json, jsonl, csv, tsv, ids.
        Correct the setting: tidings config show
    problem · settings · TIDINGS_SEED=x cannot be used: not a whole number.
        Correct the setting: tidings config show
    warning · frozen_clock · the clock is frozen at 2026-01-01T09:00:00.000000Z
    ");
}

#[test]
fn each_setting_is_shown_with_where_it_comes_from() {
    let shell = shell();
    fs::write(shell.path(".env"), "TIDINGS_AS=bob\nDB_HOST=db.example.org\nDB_PASSWORD=s3cr3t\nSECRET_KEY=s3cr3t\n")
        .unwrap();
    assert_snapshot!(shell.run_without_db("config show", &[("TIDINGS_OUTPUT", "table")]), @"
    setting                   value                                     source
    db                        postgres on PostgreSQL at db.example.org  DB_HOST in .env
    as                        bob                                       TIDINGS_AS in .env
    output                    table                                     environment TIDINGS_OUTPUT
    color                     auto                                      default
    now                       2026-01-01T09:00:00.000000Z               option --now
    seed                      1                                         option --seed
    env_file                  .env                                      default
    DB_HOST                   db.example.org                            DB_HOST in .env
    DB_PORT                                                             default
    DB_NAME                                                             default
    DB_USER                                                             default
    DB_PASSWORD               (hidden)                                  DB_PASSWORD in .env
    DB_PASSWORD_FILE                                                    default
    SECRET_KEY                (hidden)                                  SECRET_KEY in .env
    SECRET_KEY_FILE                                                     default
    SECRET_KEY_PREVIOUS                                                 default
    SECRET_KEY_PREVIOUS_FILE                                            default
    TIDINGS_BIND              127.0.0.1:8000                            default
    TIDINGS_SOCKET_MODE       0600                                      default
    TIDINGS_ALLOW_REMOTE      false                                     default
    TIDINGS_REGISTRATION      open                                      default
    TIDINGS_READY_JSON        false                                     default
    TIDINGS_EPHEMERAL         false                                     default
    TIDINGS_FIXTURE                                                     default
    TIDINGS_TOKEN_FOR                                                   default
    TIDINGS_ALLOWED_HOSTS                                               default
    ALLOWED_HOSTS                                                       default
    DJANGO_ALLOWED_HOSTS                                                default
    TIDINGS_CORS_ORIGINS                                                default
    TIDINGS_METRICS           local                                     default
    TIDINGS_BEHIND_PROXY      false                                     default
    TIDINGS_MAX_CONNECTIONS   8000                                      default
    TIDINGS_MAX_STREAMS       12000                                     default
    TIDINGS_USER_STREAMS      20                                        default
    TIDINGS_DB_CONNECTIONS                                              default
    TIDINGS_DB_WAIT           10                                        default
    TIDINGS_FAILED_LOGINS     10                                        default
    TIDINGS_LOGINS            60                                        default
    TIDINGS_REGISTRATIONS     30                                        default
    TIDINGS_EVENT_DAYS        30                                        default
    TIDINGS_EVENT_COUNT       100000                                    default
    TIDINGS_PAGE_MEMORY       16                                        default
    DEBUG                                                               default
    ");
    let url = "postgres://ann:s3cr3t@db.example.org/messaging";
    for line in
        ["config show".to_owned(), format!("config show --db {url}"), "config show --verbose -o json".to_owned()]
    {
        let run = shell.run_without_db(&line, &[("TIDINGS_DB", url)]);
        assert_eq!(run.code, 0, "{run}");
        assert!(!run.to_string().contains("s3cr3t"), "{run}");
    }
    let found = json(&shell.run("config show -o json --operator").stdout);
    assert_eq!((&found[0]["value"], &found[0]["source"]), (&"test.db".into(), &"option --db".into()));
    assert_eq!((&found[1]["value"], &found[1]["source"]), (&"".into(), &"option --operator".into()));
}

/// The variables that `.env.example` has, with its values
fn examples() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example")).unwrap();
    let assigned = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once('='));
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let assigned = assigned.filter(|(name, _)| is_name(name));
    assigned.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn every_setting_stands_in_the_example_of_an_env_file() {
    let found = json(&shell().run("config show -o json").stdout);
    let help = shell().run("serve --help").stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let of_serve =
        found.as_array().unwrap().iter().filter(|one| one["setting"].as_str().unwrap().starts_with("TIDINGS_"));
    for standard in of_serve.filter_map(|one| one["value"].as_str()).filter(|value| *value != "false") {
        assert!(help.contains(&format!("[default: {standard}]")), "{standard}: {help}");
    }
    let settings: BTreeSet<String> = found
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|setting| match setting["setting"].as_str().unwrap() {
            "env_file" => None,
            "color" => Some("NO_COLOR".to_owned()),
            name if name.starts_with(|first: char| first.is_lowercase()) => {
                Some(format!("TIDINGS_{}", name.to_uppercase()))
            }
            name => Some(name.to_owned()),
        })
        .collect();
    assert_eq!(examples().into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>(), settings);
    let known = settings.iter().map(|name| (name.as_str(), "x")).collect::<Vec<_>>();
    assert!(!shell().run_env("doctor", &known).stdout.contains("unknown variable"), "{known:?}");
}

#[test]
fn a_server_starts_with_every_value_of_the_example_of_an_env_file() {
    let shell = shell();
    let is_for_all = |name: &str| {
        name.starts_with("DB_") || name.starts_with("SECRET_KEY") || ["TIDINGS_DB", "TIDINGS_AS"].contains(&name)
    };
    let lines = examples().into_iter().filter(|(name, _)| !is_for_all(name));
    let lines: Vec<String> = lines.map(|(name, value)| format!("{name}={value}")).collect();
    fs::write(shell.path(".env"), lines.join("\n")).unwrap();
    fs::write(shell.path("world.yaml"), "[{type: user, username: alice}, {type: user, username: bob}]").unwrap();
    let server = Server::start(&shell.path(""), &[], &[("TMPDIR", shell.path("").to_str().unwrap())]);
    assert_eq!(server.tokens.len(), 2);
    let host = [("Host", "a.example.net"), ("Authorization", &format!("Bearer {}", server.token("bob")))];
    assert_eq!(server.send("GET", "/api/users/me/", &host, b"").expect(200).json()["username"], "bob");
}

#[test]
fn a_password_may_stand_in_a_file_of_its_own() {
    let shell = shell();
    fs::write(shell.path("secret"), "s3cr3t\n").unwrap();
    let with = |more: &[(&str, &str)]| {
        let environment = [&[("DB_HOST", "/nowhere"), ("DB_PASSWORD_FILE", "secret")], more].concat();
        shell.run_without_db("user list", &environment)
    };
    let refused = with(&[]);
    assert_eq!(refused.code, 7, "{refused}");
    assert!(!refused.to_string().contains("s3cr3t"), "{refused}");
    let both = with(&[("DB_PASSWORD", "other")]);
    assert_eq!(both.code, 2, "{both}");
    assert!(both.stderr.contains("Both DB_PASSWORD and DB_PASSWORD_FILE are set"), "{both}");
    let absent = shell.run_without_db("user list", &[("DB_HOST", "/nowhere"), ("DB_PASSWORD_FILE", "absent")]);
    assert_eq!(absent.code, 2, "{absent}");
}
