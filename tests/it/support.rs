//! The harness: a fresh database on every engine, and short words for what most tests begin with.

use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidings::app::{App, Options};
use tidings::model::{
    Actor, ConversationSelector, ConversationView, Level, Message, MessageSelector, Role, Timestamp, User, UserDetails,
    UserSelector,
};
use tidings::service;
use tidings::service::conversations::NewConversation;
use tidings::service::messages::{Destination, Draft, List};
use tidings::service::passwords;
use tidings::service::registration::{self, Registration};
use tidings::service::tokens::Keys;
use tidings::service::users::{self, NewUser};
use tidings::store::{Db, Location, Tx};

use crate::terminal::Terminal;

/// 2026-01-01T09:00:00Z
pub(crate) const NOON: Timestamp = Timestamp(1_767_258_000_000_000);

/// A fresh database on one engine
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) location: Location,
}

impl World {
    pub(crate) fn open(location: Location) -> Self {
        Self { app: app(&location, NOON), location }
    }

    /// The same database some seconds later
    pub(crate) fn later(&self, seconds: i64) -> App {
        app(&self.location, NOON.plus_seconds(seconds))
    }

    /// Changes the database behind the program's back.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.location {
            Location::Sqlite(path) => rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            Location::Postgres(url) => {
                postgres::Client::connect(url, postgres::NoTls).unwrap().batch_execute(sql).unwrap();
            }
        }
    }

    /// As [`World::execute`], of rows whose ids are drawn by `gen_random_uuid()`.
    pub(crate) fn insert(&self, rows: &str) {
        match &self.location {
            Location::Sqlite(_) => self.execute(&rows.replace("gen_random_uuid()", "randomblob(16)")),
            Location::Postgres(_) => self.execute(&format!("{rows}; {ANALYZE}")),
        }
    }

    /// How many pages some work reads that has read nothing before; on PostgreSQL, of one table and its indexes.
    pub(crate) fn pages_read(&self, table: &str, work: impl Fn(&mut Tx<'_>) -> tidings::error::Result<()>) -> u64 {
        match &self.location {
            Location::Sqlite(_) => {
                let bytes = || -> u64 {
                    let counts = std::fs::read_to_string("/proc/thread-self/io").unwrap();
                    counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
                };
                let world = Self::open(self.location.clone());
                let before = bytes();
                world.app.read(&work).unwrap();
                (bytes() - before) / 4096
            }
            Location::Postgres(url) => {
                let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
                let mut blocks = || -> i64 {
                    let counts =
                        "SELECT heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read FROM pg_statio_user_tables
                         WHERE relname = $1 AND schemaname = current_schema()";
                    client.query_one(counts, &[&table]).unwrap().get(0)
                };
                let before = blocks();
                let world = Self::open(self.location.clone());
                world.app.read(&work).unwrap();
                // A session tells what it counted when it ends.
                drop(world);
                let mut after = before;
                while after == before {
                    #[expect(clippy::disallowed_methods, reason = "nothing tells when a session has ended")]
                    std::thread::sleep(std::time::Duration::from_millis(20));
                    after = blocks();
                }
                u64::try_from(after - before).unwrap()
            }
        }
    }

    /// A user who acts
    pub(crate) fn user(&self, name: &str) -> Actor {
        self.person(name, Role::User)
    }

    /// An admin who acts
    pub(crate) fn admin(&self, name: &str) -> Actor {
        self.person(name, Role::Admin)
    }

    fn person(&self, name: &str, role: Role) -> Actor {
        let new = new_user(name, role);
        Actor::User(self.app.write(|tx| users::create(tx, &operator(), &new)).unwrap().0)
    }

    /// Somebody registers by themselves.
    pub(crate) fn register(&self, name: &str) -> tidings::error::Result<User> {
        let keys = Keys::new(b"a secret of the tests", None)?;
        let details = new_user(name, Role::User).details;
        let registration = Registration::new(&details, true, None, &keys, None)?;
        self.app.read(|tx| registration::look(tx, None, &registration))?;
        let made = self.app.write(|tx| registration::register(tx, None, &registration, passwords::NOBODYS))?;
        Ok(made.expect("nothing is repeated"))
    }

    /// A group with that name
    pub(crate) fn group(&self, name: &str, creator: &Actor, others: &[&Actor]) {
        let new = NewConversation {
            participants: others.iter().map(|other| selector(other)).collect(),
            name: Some(name.to_owned()),
            ..NewConversation::default()
        };
        self.app.write(|tx| service::conversations::create(tx, creator, &new)).unwrap();
    }

    /// A message to a conversation, sent
    pub(crate) fn send(&self, sender: &Actor, conversation: &str, content: &str) -> Message {
        let draft = draft(conversation, content);
        self.app.write(|tx| service::messages::send(tx, sender, &draft)).unwrap()
    }

    /// A reply, sent
    pub(crate) fn reply(&self, sender: &Actor, conversation: &str, parent: &Message, content: &str) -> Message {
        let draft = Draft { parent: Some(MessageSelector::Id(parent.message_id)), ..draft(conversation, content) };
        self.app.write(|tx| service::messages::send(tx, sender, &draft)).unwrap()
    }

    pub(crate) fn level(&self, user: &Actor, conversation: &str, level: Level) {
        let conversation = place(conversation);
        self.app.write(|tx| service::conversations::set_level(tx, user, &conversation, level)).unwrap();
    }

    /// The notifications of a user, newest first: kind, number of the message, whether it is read
    pub(crate) fn notifications(&self, user: &Actor) -> Vec<(String, i64, bool)> {
        let found = self.app.read(|tx| {
            let owner = service::notifications::owner(tx, user, None)?;
            service::notifications::list(tx, user, &owner, None, false, 1000)
        });
        let notifications = found.unwrap().into_iter();
        notifications.map(|found| (found.kind.to_string(), found.message.number.0, found.is_read)).collect()
    }
}

fn app(location: &Location, now: Timestamp) -> App {
    let (db, _) = Db::open(location, true).unwrap();
    App::new(db, Options { now: Some(now), seed: Some(1), dry_run: false })
}

/// The operator
pub(crate) fn operator() -> Actor {
    Actor::Operator("root".to_owned())
}

pub(crate) fn new_user(name: &str, role: Role) -> NewUser {
    NewUser {
        details: UserDetails {
            username: name.to_owned(),
            email: None,
            first_name: String::new(),
            last_name: String::new(),
            role,
        },
        password_hash: None,
        if_not_exists: false,
    }
}

/// The account of a user
pub(crate) fn account(actor: &Actor) -> &User {
    match actor {
        Actor::User(user) => user,
        Actor::Operator(_) => panic!("the operator is nobody"),
    }
}

/// A user as the command line would name them
pub(crate) fn selector(actor: &Actor) -> UserSelector {
    UserSelector::from(account(actor).person.username.clone())
}

/// A conversation as the command line would name it
pub(crate) fn place(name: &str) -> ConversationSelector {
    let Ok(selector) = name.parse();
    selector
}

pub(crate) fn draft(conversation: &str, content: &str) -> Draft {
    Draft {
        destination: Destination::Conversation(place(conversation)),
        content: content.to_owned(),
        parent: None,
        receiver: None,
        idempotency_key: None,
    }
}

/// All messages of a list at once
pub(crate) fn list_messages(tx: &mut Tx<'_>, actor: &Actor, request: &List) -> tidings::error::Result<Vec<Message>> {
    Ok(service::messages::begin(tx, actor, request, usize::MAX)?.0)
}

/// The first conversations of somebody's list
pub(crate) fn list_conversations(
    tx: &mut Tx<'_>,
    actor: &Actor,
    of: Option<&UserSelector>,
    after: Option<&ConversationSelector>,
    search: Option<&str>,
    limit: i64,
) -> tidings::error::Result<Vec<ConversationView>> {
    let listing = service::conversations::listing(tx, actor, of, after)?;
    service::conversations::page(tx, &listing, search, limit)
}

/// Runs a test on a fresh SQLite file and, where `TIDINGS_TEST_POSTGRES` names a server, on a fresh PostgreSQL schema.
pub(crate) fn on_every_engine(test: impl Fn(&World)) {
    let folder = tempfile::tempdir().unwrap();
    on_engine("SQLite", || test(&World::open(Location::Sqlite(folder.path().join("test.db")))));
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    on_engine("PostgreSQL", || test(&World::open(Location::parse(&schema.url()).unwrap())));
}

/// The users whose names contain a text
pub(crate) fn searched(text: &str) -> users::Matching {
    users::Matching { search: Some(text.to_owned()), ..users::Matching::default() }
}

/// Runs a test on one engine; a failure says on which.
pub(crate) fn on_engine(engine: &str, test: impl FnOnce()) {
    println!("on {engine}");
    if let Err(cause) = catch_unwind(AssertUnwindSafe(test)) {
        let said = cause.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("it failed");
        panic!("on {engine}: {said}");
    }
}

#[test]
fn a_failure_says_on_which_engine_it_happened() {
    let failure = catch_unwind(|| on_every_engine(|_| panic!("as it must"))).unwrap_err();
    assert_eq!(failure.downcast_ref::<String>().unwrap(), "on SQLite: as it must");
    let failure = catch_unwind(|| on_engine("PostgreSQL", || panic!("at {NOON:?}"))).unwrap_err();
    assert_eq!(*failure.downcast_ref::<String>().unwrap(), format!("on PostgreSQL: at {NOON:?}"));
}

mod old {
    pub(super) mod sqlite {
        refinery::embed_migrations!("migrations/sqlite");
    }
    pub(super) mod postgres {
        refinery::embed_migrations!("migrations/postgres");
    }
}

/// The texts a statement asks for, one a row
pub(crate) fn texts(location: &Location, sql: &str) -> Vec<String> {
    match location {
        Location::Sqlite(path) => {
            let connection = rusqlite::Connection::open(path).unwrap();
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }
        Location::Postgres(url) => {
            let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
            client.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
        }
    }
}

/// For [`brought_along_from`]: two people and two groups, in one a message of 1970 after one of 2026, unread by the other
pub(crate) const OLD_ROWS: &str = "
    INSERT INTO account (id, username, username_folded, first_name, last_name, names_folded, role, created_at)
        VALUES (gen_random_uuid(), 'ann', 'ann', '', '', 'ann\n ', 0, 1), (gen_random_uuid(), 'bob', 'bob', '', '', 'bob\n ', 0, 1);
    INSERT INTO conversation
        (id, kind, name, name_folded, names_folded, creator_key, created_at, active_at, last_number, message_count)
        VALUES (gen_random_uuid(), 1, 'team', 'team', 'team\n', 1, 1, 1767258000000000, 2, 2),
            (gen_random_uuid(), 1, 'hall', 'hall', 'hall\n', 1, 1, 1, 0, 0);
    INSERT INTO participant (conversation_key, user_key) VALUES (1, 1), (1, 2), (2, 1), (2, 2);
    INSERT INTO message (id, conversation_key, number, sender_key, content, sent_at)
        VALUES (gen_random_uuid(), 1, 1, 1, 'hello', 1767258000000000), (gen_random_uuid(), 1, 2, 1, 'hi', 5);
    INSERT INTO notification (message_key, user_key, conversation_key, kind) VALUES (1, 2, 1, 0), (2, 2, 1, 0);";

/// An SQLite file that a program of an older version made, with these rows
pub(crate) fn old_file(path: &Path, version: i32, rows: &str) {
    let target = refinery::Target::Version(version);
    let mut connection = rusqlite::Connection::open(path).unwrap();
    connection.pragma_update(None, "application_id", 0x7469_6469).unwrap();
    old::sqlite::migrations::runner().set_target(target).run(&mut connection).unwrap();
    connection.execute_batch(&rows.replace("gen_random_uuid()", "randomblob(16)")).unwrap();
}

/// Runs a test on databases that a program of an older version made and filled with these rows, on SQLite with some more,
/// brought up to date: on every engine, with the migrations up to that version.
pub(crate) fn brought_along_from(version: i32, rows: &str, on_sqlite: &str, test: impl Fn(&World)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    old_file(&path, version, &[&rows.replace(r"'\x", "x'"), on_sqlite].concat());
    on_engine(&format!("SQLite, from version {version}"), || test(&World::open(Location::Sqlite(path))));
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let mut client = postgres::Client::connect(&schema.url(), postgres::NoTls).unwrap();
    old::postgres::migrations::runner().set_target(refinery::Target::Version(version)).run(&mut client).unwrap();
    client.batch_execute(rows).unwrap();
    drop(client);
    let engine = format!("PostgreSQL, from version {version}");
    on_engine(&engine, || test(&World::open(Location::parse(&schema.url()).unwrap())));
}

/// Whether the tests that take minutes run too
pub(crate) fn is_long() -> bool {
    std::env::var("TIDINGS_TEST_LONG").is_ok_and(|value| !value.is_empty())
}

/// Says what was not tested because a program is missing that an installation would give. In CI that is a failure of
/// `tests/run`.
pub(crate) fn say_skipped(what: &str) {
    say(&format!("skipped: {what}"));
}

/// Says what was not tested because this machine, its user or the time do not allow it.
pub(crate) fn say_left_out(what: &str) {
    say(&format!("left out: {what}"));
}

/// Tells whoever runs the tests, and `tests/run`, which counts; not by a macro, whose output a test that passes would keep to
/// itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
    if let Some(file) = std::env::var_os("TIDINGS_TEST_SKIPPED") {
        let mut file = File::options().append(true).create(true).open(file).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// The PostgreSQL server for tests; says once where there is none.
pub(crate) fn postgres_server() -> Option<String> {
    static SKIPPED: Once = Once::new();
    let server = std::env::var("TIDINGS_TEST_POSTGRES").ok().filter(|server| !server.is_empty());
    if server.is_none() {
        SKIPPED.call_once(|| say_skipped("every test on PostgreSQL (tests/run starts one)"));
    }
    server
}

/// Lets PostgreSQL count what the tables of a test hold. Plain `ANALYZE` locks those of other tests besides, in another order than
/// they are dropped in.
pub(crate) const ANALYZE: &str = "DO $$ BEGIN
    EXECUTE (SELECT 'ANALYZE ' || string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = current_schema());
END $$";

/// A schema of its own on the server, gone at the end
pub(crate) struct Schema {
    server: String,
    name: String,
}

impl Schema {
    pub(crate) fn create(server: String) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let schema = Self { server, name };
        schema.execute(&format!("CREATE SCHEMA {}", schema.name));
        schema
    }

    pub(crate) fn url(&self) -> String {
        format!("{}?options=-c%20search_path%3D{}", self.server, self.name)
    }

    fn execute(&self, statement: &str) {
        let mut client = postgres::Client::connect(&self.server, postgres::NoTls).unwrap();
        client.batch_execute(statement).unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        self.execute(&format!("SET client_min_messages = warning; DROP SCHEMA {} CASCADE", self.name));
    }
}

/// Fails unless the outcome is an error of that kind.
#[macro_export]
macro_rules! assert_refused {
    ($outcome:expr, $kind:ident) => {
        match $outcome {
            Err(error) => assert_eq!(error.kind(), tidings::error::Kind::$kind, "{error}"),
            Ok(_) => panic!("not refused"),
        }
    };
}

/// A folder with a database, and the program to use it as a shell would
pub(crate) struct Shell {
    folder: tempfile::TempDir,
}

/// What a command left
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.stdout)?;
        if !self.stderr.is_empty() {
            write!(formatter, "--- stderr\n{}", self.stderr)?;
        }
        if self.code != 0 { write!(formatter, "--- exit code {}", self.code) } else { Ok(()) }
    }
}

impl Shell {
    pub(crate) fn new() -> Self {
        Self::new_in(&std::env::temp_dir())
    }

    /// A folder with a database, within another
    pub(crate) fn new_in(folder: &Path) -> Self {
        let shell = Self { folder: tempfile::tempdir_in(folder).unwrap() };
        shell.done("db migrate");
        shell
    }

    /// A file in the folder
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with a bare environment, a frozen clock and a seed
    fn command(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().env("HOME", self.folder.path()).env("USER", "root").current_dir(self.folder.path());
        command.args(["--now", "2026-01-01T09:00:00Z", "--seed", "1"]);
        command
    }

    fn output(mut command: assert_cmd::Command, input: impl Into<Vec<u8>>) -> Run {
        let output = command.write_stdin(input).output().unwrap();
        Run {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap(),
        }
    }

    /// Runs a line as a shell would read it; words may stand in single quotes.
    pub(crate) fn run(&self, line: &str) -> Run {
        self.run_with(line, "")
    }

    pub(crate) fn run_with(&self, line: &str, input: impl Into<Vec<u8>>) -> Run {
        let words = words(line);
        self.run_words(&words.iter().map(String::as_str).collect::<Vec<_>>(), input)
    }

    pub(crate) fn run_words(&self, words: &[&str], input: impl Into<Vec<u8>>) -> Run {
        let mut command = self.command();
        command.args(["--db", "test.db"]).args(words);
        Self::output(command, input)
    }

    pub(crate) fn run_env(&self, line: &str, environment: &[(&str, &str)]) -> Run {
        let mut command = self.command();
        command.args(["--db", "test.db"]).args(words(line)).envs(environment.iter().copied());
        Self::output(command, "")
    }

    pub(crate) fn run_without_db(&self, line: &str, environment: &[(&str, &str)]) -> Run {
        let mut command = self.command();
        command.args(words(line)).envs(environment.iter().copied());
        Self::output(command, "")
    }

    /// What a shell's script is answered for these words
    pub(crate) fn asked(&self, shell: &str, asked: &[&str], environment: &[(&str, &str)]) -> Run {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_tidings"));
        command.env_clear().env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.env("COMPLETE", shell).envs(environment.iter().copied()).arg("--").args(asked);
        Self::output(command, "")
    }

    /// Runs a line on a terminal where somebody types an answer; returns what they see.
    pub(crate) fn run_on_terminal(&self, line: &str, answer: &str) -> String {
        let line = format!("'{}' --db test.db {line}", env!("CARGO_BIN_EXE_tidings"));
        let mut terminal = Terminal::open(self.folder.path(), &line);
        terminal.type_in(format!("{answer}\n").as_bytes());
        let (seen, status) = terminal.end();
        format!("{seen}exit code {:?}", status.code())
    }

    /// Runs a line that must succeed.
    pub(crate) fn done(&self, line: &str) -> Run {
        let run = self.run(line);
        assert_eq!(run.code, 0, "{line}: {run}");
        run
    }

    /// Runs words that must succeed.
    pub(crate) fn done_with(&self, words: &[&str]) -> Run {
        let run = self.run_words(words, "");
        assert_eq!(run.code, 0, "{words:?}: {run}");
        run
    }

    /// Every row of every table
    pub(crate) fn dump(&self) -> String {
        dump(&self.path("test.db"))
    }
}

/// Every row of every table of an SQLite file but what is drawn at random whatever the seed, and as `message_word` the terms that search knows of each message
pub(crate) fn dump(file: &Path) -> String {
    let connection = rusqlite::Connection::open(file).unwrap();
    // A file that is empty yet has no index.
    if connection.table_exists(None, "message_search").unwrap() {
        let terms = "CREATE VIRTUAL TABLE temp.message_word USING fts5vocab (main, message_search, instance)";
        connection.execute_batch(terms).unwrap();
    }
    let mut tables = connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table'
             UNION SELECT name FROM sqlite_temp_schema WHERE type = 'table' ORDER BY name",
        )
        .unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut dump = String::new();
    // When a migration ran is the one thing the frozen clock does not reach, and the generation of the log no seed.
    for name in names.iter().filter(|name| !["refinery_schema_history", "event_log"].contains(&name.as_str())) {
        let mut rows = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<rusqlite::types::Value> = (0..columns).map(|index| row.get(index).unwrap()).collect();
            dump.extend([format!("{name} {values:?}\n")]);
        }
    }
    dump
}

/// Splits a line at spaces, except within single quotes.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(ToOwned::to_owned));
        }
    }
    words
}
