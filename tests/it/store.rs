//! Opening databases: what is made, what is refused, and that either leaves no harm.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tidings::model::UserSelector;
use tidings::service;
use tidings::store::{Db, Location};

use crate::assert_refused;
use crate::support::{
    NOON, OLD_ROWS, Schema, Shell, World, brought_along_from, draft, is_long, on_every_engine, postgres_server,
    say_left_out,
};

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
                let selector = UserSelector::from(name.to_owned());
                world.app.read(|tx| service::acting(tx, &selector)).unwrap()
            });
            let unread = |number| ("message".to_owned(), number, false);
            assert_eq!(world.notifications(&bob), [unread(2), unread(1)]);
            // The last to be sent was sent at noon, as far as anybody knows, and activity is what it was.
            let shown = world.app.read(|tx| crate::support::list_conversations(tx, &bob, None, None, None, 9)).unwrap();
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
    for line in ["user list", "db status", "conversation list", "data dump", "db check", "doctor"] {
        let run = shell.run(&format!("{line} --db empty"));
        assert_eq!(run.code, if line == "doctor" { 0 } else { 7 }, "{line}: {run}");
        assert_eq!(fs::metadata(shell.path("empty")).unwrap().len(), 0, "{line}: who only reads makes no database");
        assert!(!shell.path("empty-lock").exists(), "{line}");
    }
    shell.done("user create ann --no-password --db empty");
    shell.done("user list --db empty");
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
    fs::copy(shell.path("test.db"), shell.path("new.db.partial")).unwrap();
    fs::copy(shell.path("test.db-wal"), shell.path("new.db.partial-wal")).unwrap();
    // After a power cut not even its header need be there.
    fs::write(shell.path("zeros.db.partial"), vec![0; 126_976]).unwrap();
    for file in ["zeros.db", "new.db"] {
        shell.done(&format!("db migrate --db {file}"));
        assert_eq!(shell.done(&format!("user list -o ids --db {file}")).stdout, "", "{file}");
        shell.done(&format!("db check --db {file}"));
        assert_eq!(mode(&shell.path(file)), 0o600);
        assert!(!shell.path(&format!("{file}.partial")).exists(), "{file}");
    }
    assert!(!shell.path("new.db.partial-wal").exists());
}

#[test]
fn a_log_without_its_database_is_never_thrown_away() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    let open = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    open.query_row("SELECT count(*) FROM account", [], |_| Ok(())).unwrap();
    shell.done("user create bob --no-password");
    // As a server that was killed leaves it, and somebody who moves the file away
    for name in ["test.db", "test.db-wal"] {
        fs::copy(shell.path(name), shell.path(&name.replace("test", "other"))).unwrap();
    }
    drop(open);
    let log = fs::read(shell.path("other.db-wal")).unwrap();
    assert!(!log.is_empty());
    fs::rename(shell.path("other.db"), shell.path("aside")).unwrap();
    let lines = ["user create eve --no-password", "db migrate", "user list", "db check", "data seed", "doctor"];
    for is_there in [false, true] {
        if is_there {
            fs::write(shell.path("other.db"), "").unwrap();
        }
        for line in lines {
            let run = shell.run(&format!("{line} --db other.db"));
            assert!(run.code != 0 || line == "doctor", "{line}: {run}");
            assert!(fs::read(shell.path("other.db-wal")).is_ok_and(|left| left == log), "{line}: {run}");
        }
        let refused = shell.run("user create eve --no-password --db other.db");
        assert_eq!(refused.code, 5, "{refused}");
        assert!(refused.stderr.contains("other.db-wal belongs to another database"), "{refused}");
    }
    fs::rename(shell.path("aside"), shell.path("other.db")).unwrap();
    assert_eq!(shell.done("user list -o ids --db other.db").stdout.lines().count(), 2);
}

#[test]
fn what_belongs_to_a_database_behind_a_link_lies_beside_the_file() {
    let shell = Shell::new();
    fs::create_dir(shell.path("deep")).unwrap();
    std::os::unix::fs::symlink("deep/more.db", shell.path("link.db")).unwrap();
    std::os::unix::fs::symlink("link.db", shell.path("other.db")).unwrap();
    shell.done("user create ann --no-password --db other.db");
    let issue = |database: &str| json_of(&shell.done(&format!("token issue ann -o json --db {database}")).stdout);
    issue("link.db");
    let key = fs::read(shell.path("deep/more.db-key")).unwrap();
    for database in ["other.db", "deep/more.db"] {
        issue(database);
        shell.done(&format!("user list --db {database}"));
        shell.done(&format!("doctor --db {database}"));
    }
    shell.done("db backup copy.db --db link.db");
    shell.done("db restore copy.db --yes --db link.db");
    assert_eq!(fs::read(shell.path("deep/more.db-key")).unwrap(), key);
    let names = |folder: &str| {
        let mut names: Vec<_> =
            fs::read_dir(shell.path(folder)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("deep"), ["more.db", "more.db-key", "more.db-lock"]);
    assert_eq!(names(""), ["copy.db", "deep", "link.db", "other.db", "test.db", "test.db-lock"]);
    // A link that leads nowhere, or to itself, is no database.
    std::os::unix::fs::symlink("round.db", shell.path("round.db")).unwrap();
    assert_eq!(shell.run("user create ann --no-password --db round.db").code, 7);
}

fn json_of(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_lock_that_leads_elsewhere_is_not_followed() {
    let shell = Shell::new();
    fs::write(shell.path("precious"), "").unwrap();
    std::os::unix::fs::symlink("precious", shell.path("new.db-lock")).unwrap();
    std::os::unix::fs::symlink("absent", shell.path("newer.db-lock")).unwrap();
    for database in ["new.db", "newer.db"] {
        let run = shell.run(&format!("db migrate --db {database}"));
        assert_eq!(run.code, 7, "{run}");
        assert!(!shell.path(database).exists() && !shell.path("absent").exists(), "{run}");
    }
}

#[test]
fn a_key_file_of_another_owner_is_not_used() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    fs::write(shell.path("test.db-key"), "a secret that somebody else knows\n").unwrap();
    fs::set_permissions(shell.path("test.db-key"), fs::Permissions::from_mode(0o600)).unwrap();
    if std::os::unix::fs::chown(shell.path("test.db-key"), Some(65534), None).is_err() {
        return say_left_out("a key file of another owner (only root gives files away)");
    }
    let run = shell.run("token issue ann");
    assert_eq!(run.code, 6, "{run}");
    assert!(run.stderr.contains("belongs to another user"), "{run}");
    // To whom the database belongs, that one's key it is.
    std::os::unix::fs::chown(shell.path("test.db"), Some(65534), None).unwrap();
    shell.done("token issue ann");
}

#[test]
fn an_address_that_is_neither_a_path_nor_postgresql_makes_no_file() {
    let shell = Shell::new();
    let before = fs::read_dir(shell.path("")).unwrap().count();
    for address in [
        "mysql://u@h/db",
        "postgre://u@h/db",
        "sqlite:///x.db",
        "",
        "/dev/null",
        ":memory:",
        "sqlite:x.db",
        "file:x.db",
        "postgresql:/ann:s3cr3t@h/db",
        "Postgres:ann:s3cr3t@h",
        "ann:s3cr3t@h/db",
        "host=h password=s3cr3t dbname=db",
        "password='s3cr3t' host=h",
        "~/x.db",
        "~ann/x.db",
        "~",
    ] {
        let run = shell.run_words(&["db", "migrate", "--db", address], "");
        assert_eq!(run.code, 7, "{address}: {run}");
        assert!(!run.to_string().contains("s3cr3t"), "{address}: {run}");
        for (name, value) in [("TIDINGS_DB", address), ("DB_NAME", address)] {
            if address.is_empty() || name == "DB_NAME" && address.contains("://") {
                continue;
            }
            let run = shell.run_without_db("config show", &[(name, value)]);
            assert!(!run.to_string().contains("s3cr3t") || name == "DB_NAME", "{address}: {run}");
            assert_eq!(shell.run_without_db("db migrate", &[(name, value)]).code, 7, "{name}: {address}");
        }
    }
    assert_eq!(fs::read_dir(shell.path("")).unwrap().count(), before);
    for name in [
        "./:memory:",
        "./sqlite:x.db",
        "c:x.db",
        "12:30.db",
        "at 12:30.db",
        "x~.db",
        "~x.db",
        "a=b.db",
        "a b.db",
        "./host=h",
        "deep/file:x.db",
    ] {
        assert_eq!(shell.run_words(&["db", "migrate", "--db", name], "").code, 0, "{name}");
        assert!(shell.path(name).exists(), "{name}: a name that means something elsewhere is a name like others");
    }
}

#[test]
fn a_database_that_is_up_to_date_is_opened_without_its_lock() {
    let shell = Shell::new();
    fs::remove_file(shell.path("test.db-lock")).unwrap();
    fs::create_dir(shell.path("test.db-lock")).unwrap();
    shell.done("user create ann --no-password");
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
fn who_may_not_prepare_an_older_database_hears_that_it_is_there() {
    on_every_engine(|world| {
        world.execute(match world.location {
            Location::Sqlite(_) => "PRAGMA user_version = 1",
            Location::Postgres(_) => "DELETE FROM refinery_schema_history WHERE version > 1",
        });
        let refused = Db::open(&world.location, false).map(drop).unwrap_err();
        assert!(refused.to_string().contains("has to be upgraded first"), "{refused}");
    });
}

#[test]
fn what_a_unique_index_of_the_operators_refuses_is_a_conflict_on_postgresql() {
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let world = World::open(Location::parse(&schema.url()).unwrap());
    let [ann, bob] = [world.user("ann"), world.user("bob")];
    world.group("team", &ann, &[&bob]);
    world.execute("CREATE UNIQUE INDEX own ON message (conversation_key, content)");
    world.send(&ann, "team", "hello");
    let again = draft("team", "hello");
    assert_refused!(world.app.write(|tx| service::messages::send(tx, &ann, &again)), Conflict);
}

#[test]
fn compacting_a_postgresql_database_vacuums_its_tables() {
    let Some(server) = postgres_server() else { return };
    let (shell, schema) = (Shell::new(), Schema::create(server));
    for command in ["db migrate", "db compact"] {
        let run = shell.run(&format!("{command} --db {}", schema.url()));
        assert_eq!(run.code, 0, "{command}: {run}");
    }
    let mut client = postgres::Client::connect(&schema.url(), postgres::NoTls).unwrap();
    let vacuumed = "SELECT last_vacuum IS NOT NULL FROM pg_stat_user_tables
                    WHERE schemaname = current_schema() AND relname = 'message'";
    assert!(client.query_one(vacuumed, &[]).unwrap().get::<_, bool>(0));
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

/// Lets no commit on PostgreSQL come to its answer.
const CUT: &str = "
    CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON message DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION cut();";

#[test]
fn of_a_commit_that_was_broken_off_the_outcome_is_unknown() {
    on_every_engine(|world| {
        let [ann, bob] = [world.user("ann"), world.user("bob")];
        world.group("team", &ann, &[&bob]);
        match &world.location {
            Location::Sqlite(path) => fs::rename(path, path.with_extension("aside")).unwrap(),
            Location::Postgres(_) => world.execute(CUT),
        }
        let draft = draft("team", "a message");
        let failed = world.app.write(|tx| service::messages::send(tx, &ann, &draft)).unwrap_err();
        assert_eq!(failed.kind(), tidings::error::Kind::Unavailable, "{failed}");
        assert_eq!(serde_json::to_value(failed.problem()).unwrap()["outcome"], "unknown", "{failed}");
        if let Location::Postgres(_) = world.location {
            let lost = world.app.write(|tx| service::messages::send(tx, &ann, &draft)).unwrap_err();
            assert_eq!(lost.kind(), tidings::error::Kind::Unavailable, "the connection is gone: {lost}");
        }
    });
    let Some(server) = postgres_server() else { return };
    let (shell, schema) = (Shell::new(), Schema::create(server));
    let run = |line: &str| shell.run(&format!("{line} --db {}", schema.url()));
    for line in
        ["user create ann --no-password", "user create bob --no-password", "conversation create ann bob --name team"]
    {
        assert_eq!(run(line).code, 0, "{line}");
    }
    World::open(Location::parse(&schema.url()).unwrap()).execute(CUT);
    let send = "message send team 'a message' --as ann";
    let said = run(&format!("{send} -o json"));
    assert_eq!((said.code, &json_of(said.stderr.trim())["outcome"]), (7, &"unknown".into()), "{said}");
    let said = run(send);
    assert!(said.stderr.contains("\nhint: Check whether it was made before you try again."), "{said}");
}
