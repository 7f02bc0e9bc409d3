//! Opening databases: what is made, what is refused, and that either leaves no harm.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tidings::model::UserSelector;
use tidings::service;

use crate::assert_refused;
use crate::support::{NOON, OLD_ROWS, Schema, Shell, brought_along_from, draft, is_long, postgres_server};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Runs commands at once, with a bare environment, to their ends.
fn all_succeed(commands: impl Iterator<Item = Command>) {
    let start =
        |mut command: Command| command.env_clear().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started: Vec<_> = commands.map(start).collect();
    for process in started {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_new_database_is_readable_by_its_owner_only() {
    let shell = Shell::new();
    let run = shell.run("--db deep/er/new.db user create ann --no-password");
    assert_eq!(run.code, 0, "{run}");
    assert!(run.stderr.contains("Created the database deep/er/new.db."), "{run}");
    assert_eq!(mode(&shell.path("deep/er/new.db")), 0o600);
    assert_eq!(mode(&shell.path("deep/er")), 0o700);
}

#[test]
fn what_stands_beside_an_open_database_is_readable_by_its_owner_only() {
    let shell = Shell::new();
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    connection.query_row("SELECT count(*) FROM account", [], |_| Ok(())).unwrap();
    shell.done("user create ann --no-password");
    assert_eq!(mode(&shell.path("test.db-wal")), 0o600);
    assert_eq!(mode(&shell.path("test.db-shm")), 0o600);
}

#[test]
fn a_database_of_an_older_version_is_brought_along_with_what_is_in_it() {
    // What a shell can leave: a notification of no message.
    let stray = "PRAGMA foreign_keys = OFF;
        INSERT INTO notification (message_key, user_key, conversation_key, kind) VALUES (999, 1, 1, 0);";
    for version in [1, 2, 3] {
        brought_along_from(version, OLD_ROWS, if version < 3 { stray } else { "" }, |world| {
            // Rows that a shell wrote are nothing that search knows of.
            world.app.compact().unwrap();
            let problems = world.app.check(|_| {}).unwrap();
            assert!(problems.is_empty(), "{problems:?}");
            let [ann, bob] = ["ann", "bob"].map(|name| {
                let selector = UserSelector(name.to_owned());
                world.app.read(|tx| service::acting(tx, &selector)).unwrap()
            });
            let unread = |number| ("message".to_owned(), number, false);
            assert_eq!(world.notifications(&bob), [unread(2), unread(1)]);
            // The last to be sent was sent at noon, as far as anybody knows, and activity is what it was.
            let shown = world.app.read(|tx| service::conversations::list(tx, &bob, None, None, None, 9)).unwrap();
            let names: Vec<_> = shown.iter().map(|view| view.name.as_deref().unwrap_or_default()).collect();
            assert_eq!(names, ["team", "hall"]);
            let earlier = world.later(-30);
            let send =
                |place: &str| earlier.write(|tx| service::messages::send(tx, &ann, &draft(place, "later"))).unwrap();
            assert_eq!([send("team"), send("hall")].map(|sent| sent.timestamp), [NOON, NOON.plus_seconds(-30)]);
            assert_eq!(world.app.check(|_| {}).unwrap().len(), 0);
        });
    }
}

#[test]
fn what_is_not_a_database_of_tidings_is_refused_and_left_as_it_was() {
    let shell = Shell::new();
    fs::create_dir(shell.path("folder")).unwrap();
    fs::write(
        shell.path("text"),
        "just a text, long enough to be looked at as a database header, or so it seems\n".repeat(20),
    )
    .unwrap();
    let foreign = rusqlite::Connection::open(shell.path("foreign")).unwrap();
    foreign.execute_batch("CREATE TABLE account (key INTEGER)").unwrap();
    drop(foreign);
    for (file, words) in
        [("folder", "is a folder"), ("text", "not a database of tidings"), ("foreign", "not a database of tidings")]
    {
        let before = fs::read(shell.path(file)).unwrap_or_default();
        for command in ["user list", "db migrate", "user create ann --no-password"] {
            let run = shell.run(&format!("--db {file} {command}"));
            assert_eq!(run.code, 7, "{file}: {run}");
            assert!(run.stderr.contains(words), "{file}: {run}");
        }
        assert_eq!(fs::read(shell.path(file)).unwrap_or_default(), before);
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let shell = Shell::new();
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    let run = shell.run("user list");
    assert_eq!(run.code, 7, "{run}");
    assert!(run.stderr.contains("newer") && run.stderr.contains("hint:"), "{run}");
}

#[test]
fn a_damaged_database_is_refused_with_a_clear_sentence() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    let mut bytes = fs::read(shell.path("test.db")).unwrap();
    let length = bytes.len();
    bytes[4096..length].fill(0x5a);
    fs::write(shell.path("test.db"), bytes).unwrap();
    let run = shell.run("user list");
    assert_eq!(run.code, 7, "{run}");
    assert!(run.stderr.contains("damaged"), "{run}");
}

#[test]
fn an_empty_file_becomes_a_database() {
    let shell = Shell::new();
    fs::write(shell.path("empty"), "").unwrap();
    let run = shell.run("--db empty user list");
    assert_eq!(run.code, 0, "{run}");
}

#[test]
fn an_empty_file_that_others_could_read_becomes_a_database_of_its_owner() {
    let shell = Shell::new();
    for (file, before) in [("wide", 0o666), ("usual", 0o644), ("group", 0o660), ("narrow", 0o600)] {
        let path = shell.path(file);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(before)).unwrap();
        shell.done(&format!("db migrate --db {file}"));
        assert_eq!(mode(&path), 0o600, "{file}");
        // What stands beside it while it is used has the mode of the file.
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.query_row("SELECT count(*) FROM account", [], |_| Ok(())).unwrap();
        shell.done(&format!("user create ann --no-password --db {file}"));
        for beside in ["-wal", "-shm", "-lock"] {
            assert_eq!(mode(&shell.path(&format!("{file}{beside}"))), 0o600, "{file}{beside}");
        }
    }
    // What is a database already keeps the mode that its owner gave it.
    let path = shell.path("shared");
    fs::copy(shell.path("test.db"), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    shell.done("user create ann --no-password --db shared");
    assert_eq!(mode(&path), 0o660);
}

#[test]
fn what_is_left_of_another_database_or_of_a_start_that_was_killed_gets_into_no_new_one() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    let open = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    open.query_row("SELECT count(*) FROM account", [], |_| Ok(())).unwrap();
    shell.done("user create bob --no-password");
    fs::copy(shell.path("test.db-wal"), shell.path("other.db-wal")).unwrap();
    fs::copy(shell.path("test.db"), shell.path("new.db.partial")).unwrap();
    fs::copy(shell.path("test.db-wal"), shell.path("new.db.partial-wal")).unwrap();
    for file in ["other.db", "new.db"] {
        shell.done(&format!("db migrate --db {file}"));
        assert_eq!(shell.done(&format!("user list -o ids --db {file}")).stdout, "", "{file}");
        shell.done(&format!("db check --db {file}"));
        assert_eq!(mode(&shell.path(file)), 0o600);
    }
    assert!(!shell.path("new.db.partial").exists() && !shell.path("new.db.partial-wal").exists());
}

#[test]
fn an_address_that_is_neither_a_path_nor_postgresql_makes_no_file() {
    let shell = Shell::new();
    let before = fs::read_dir(shell.path("")).unwrap().count();
    for address in ["mysql://u@h/db", "postgre://u@h/db", "sqlite:///x.db", "''", "/dev/null"] {
        let run = shell.run(&format!("user list --db {address}"));
        assert_eq!(run.code, 7, "{address}: {run}");
    }
    assert_eq!(fs::read_dir(shell.path("")).unwrap().count(), before);
    assert_eq!(shell.run("db migrate --db :memory:").code, 0);
    assert!(shell.path(":memory:").exists(), "a name that means something to SQLite is a name like others");
}

#[test]
fn a_copy_that_is_not_in_wal_mode_is_switched() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    connection.execute("VACUUM INTO ?", [shell.path("copy.db").to_str()]).unwrap();
    assert_eq!(shell.run("user list -o ids --db copy.db").stdout.lines().count(), 1);
    let copy = rusqlite::Connection::open(shell.path("copy.db")).unwrap();
    let mode: String = copy.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn another_programs_postgresql_tables_are_refused_and_left_alone() {
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server.clone());
    let mut client = postgres::Client::connect(&schema.url(), postgres::NoTls).unwrap();
    client.batch_execute("CREATE TABLE message (id BIGINT)").unwrap();
    let run = Shell::new().run(&format!("user list --db {}", schema.url()));
    assert_eq!(run.code, 7, "{run}");
    assert!(run.stderr.contains("another program"), "{run}");
    let tables = client.query_one("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()", &[]).unwrap();
    assert_eq!(tables.get::<_, i64>(0), 1);
}

#[test]
fn a_deleted_message_leaves_no_byte_in_the_file() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    shell.done("user create bob --no-password");
    shell.done("message send --to bob 'xyzzy is a word to look for' --as ann");
    let holds = || fs::read(shell.path("test.db")).unwrap().windows(5).any(|window| window == b"xyzzy");
    assert!(holds());
    shell.done("message delete @bob#1 --yes --as ann");
    assert!(!holds());
}

#[test]
fn writers_at_once_wait_for_each_other_and_numbers_have_no_gap() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    shell.done("user create bob --no-password");
    shell.done("conversation create ann bob --name team");
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do \"$0\" --db test.db message send team hi --as ann -q || exit; done";
    all_succeed((0..6).map(|_| {
        let mut writer = Command::new("sh");
        writer.args(["-c", script, env!("CARGO_BIN_EXE_tidings")]).current_dir(shell.path(""));
        writer
    }));
    let last = shell.done("message list team --limit 1 -o jsonl").stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&last).unwrap()["number"], 60);
    assert_eq!(shell.done("message list team --limit 100 -o ids").stdout.lines().count(), 60);
}

#[test]
fn the_same_commands_work_on_postgresql() {
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let url = schema.url();
    let shell = Shell::new();
    for line in [
        "user create ann --no-password",
        "user create bob --no-password",
        "message send --to bob 'hello, @bob' --as ann",
        "message edit @ann#1 'hi, @bob' --operator",
    ] {
        let run = shell.run(&format!("{line} --db {url}"));
        assert_eq!(run.code == 0, !line.contains("--operator"), "{line}: {run}");
    }
    let listed = shell.run(&format!("notifications list --as bob -o jsonl --db {url}"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&listed.stdout).unwrap()["kind"], "mention", "{listed}");
    let status = shell.run(&format!("db status -o jsonl --db {url}"));
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((&status["engine"], &status["messages"]), (&"PostgreSQL".into(), &1.into()));
}

#[test]
fn first_starts_at_once_all_succeed_and_lose_nothing() {
    let shell = Shell::new();
    for round in 0..if is_long() { 50 } else { 4 } {
        let schema = postgres_server().map(Schema::create);
        let databases = [Some(format!("fresh{round}/tidings.db")), schema.as_ref().map(Schema::url)];
        for database in databases.into_iter().flatten() {
            all_succeed((0..10).map(|number| {
                let mut start = Command::new(env!("CARGO_BIN_EXE_tidings"));
                let name = format!("user{number}");
                start.args(["--db", &database, "user", "create", &name, "--no-password"]).current_dir(shell.path(""));
                start
            }));
            let users = shell.run(&format!("user list -o ids --db {database}"));
            assert_eq!(users.stdout.lines().count(), 10, "{users}");
        }
    }
}

#[test]
fn usernames_from_before_it_was_known_what_they_look_like_are_worked_out() {
    for version in 1..=3 {
        brought_along_from(version, &older_accounts(2500), "", |world| {
            assert_eq!(world.app.read(tidings::store::maintenance::pending).unwrap().len(), 1);
            world.app.index().unwrap();
            assert_eq!(world.app.read(tidings::store::maintenance::pending).unwrap().len(), 0);
            for name in ["us\u{435}r1", "user\u{ff12}500"] {
                assert_refused!(world.register(name), Conflict);
            }
            world.register("user2501").unwrap();
            assert!(world.app.check(|_| {}).unwrap().is_empty());
        });
    }
}

/// Rows of accounts, as versions before wrote them
fn older_accounts(count: usize) -> String {
    let row =
        |number: usize| format!("(gen_random_uuid(), 'user{number}', 'user{number}', '', '', 'user{number}\n ', 0, 1)");
    let rows: Vec<String> = (1..=count).map(row).collect();
    format!(
        "INSERT INTO account (id, username, username_folded, first_name, last_name, names_folded, role, created_at) VALUES {}",
        rows.join(", ")
    )
}
