//! What was acknowledged is there, whole, whatever becomes of the process, the disk or the database server: other writers, kill -9,
//! Ctrl-C, power cuts, I/O errors.

mod crowd;
mod deeds;
mod disk;
mod events;
mod interrupted;
mod io_errors;
mod killed;
mod loads;
mod postgres;
mod power_cuts;
mod served;
mod shim;
mod watch;
mod writers;

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::time::Duration;

use tidings::model::Actor;
use tidings::service::messages;
use tidings::store::Location;

use crate::support::{Schema, Shell, World, draft, on_engine, postgres_server, texts};

/// What bash runs is given the program as `$0` and the database as `$1`.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tidings");

/// Runs a test on each engine, on a database that nobody holds open and that processes are told of by its address.
fn on_every_address(test: impl Fn(&Shell, &Location, &str)) {
    let shell = Shell::new();
    on_engine("SQLite", || test(&shell, &Location::Sqlite(shell.path("test.db")), "test.db"));
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let url = schema.url();
    on_engine("PostgreSQL", || test(&Shell::new(), &Location::parse(&url).unwrap(), &url));
}

/// A script for bash, in the folder of the shell
fn bash(shell: &Shell, script: &str, address: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("bash");
    command.args(["-c", script, PROGRAM, address]).args(arguments);
    command.current_dir(shell.path("")).env_clear().env("PATH", std::env::var("PATH").unwrap());
    command
}

/// Lets somebody say much, a thousand messages in a transaction.
fn fill(world: &World, sender: &Actor, conversation: &str, count: usize) {
    let numbers: Vec<usize> = (0..count).collect();
    for batch in numbers.chunks(1000) {
        let send = |tx: &mut tidings::store::Tx<'_>| {
            for number in batch {
                messages::send(tx, sender, &draft(conversation, &format!("qqplanted words, number{number}")))?;
            }
            Ok(())
        };
        world.app.write(send).unwrap();
    }
}

/// Adds to what `tests/run --long` sums up in its last line.
fn tally(count: usize, what: &str) {
    println!("{count} {what}");
    let Ok(file) = std::env::var("TIDINGS_TEST_TALLY") else { return };
    let mut file = std::fs::File::options().append(true).create(true).open(file).unwrap();
    file.write_all(format!("{count} {what}\n").as_bytes()).unwrap();
}

/// The one number a statement asks for
fn number(location: &Location, sql: &str) -> i64 {
    match location {
        Location::Sqlite(path) => {
            rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
        }
        Location::Postgres(url) => postgres_client(url).query_one(sql, &[]).unwrap().get(0),
    }
}

/// Fails unless every message has the notification of each other participant, and its one event unless it was loaded, under a key,
/// and `db check` finds nothing.
fn is_whole(shell: &Shell, location: &Location, address: &str) {
    let unlike = "SELECT count(*) FROM message LEFT JOIN
             (SELECT message_key, count(*) AS recipients FROM notification GROUP BY message_key) AS told
             ON told.message_key = message.key
         WHERE coalesce(told.recipients, 0) <>
             (SELECT count(*) - 1 FROM participant WHERE participant.conversation_key = message.conversation_key)";
    assert_eq!(number(location, unlike), 0, "messages without the notification of each recipient");
    let unheard = "SELECT count(*) FROM message LEFT JOIN
             (SELECT subject_id, count(*) AS events FROM event WHERE kind = 0 GROUP BY subject_id) AS created
             ON created.subject_id = message.id
         WHERE coalesce(created.events, 0) <> CASE WHEN message.key_name IS NULL THEN 1 ELSE 0 END";
    assert_eq!(number(location, unheard), 0, "messages without their one event, or loaded with one");
    let run = shell.run(&format!("db check --db {address}"));
    assert_eq!(run.code, 0, "{run}");
}

fn postgres_client(url: &str) -> ::postgres::Client {
    ::postgres::Client::connect(url, ::postgres::NoTls).unwrap()
}

/// Numbers drawn at random
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }

    /// A number below another
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    /// So many numbers below another, in order, or all there are
    fn sample(&mut self, count: usize, limit: usize) -> BTreeSet<usize> {
        let mut sample = BTreeSet::new();
        while sample.len() < count.min(limit) {
            sample.insert(self.below(limit));
        }
        sample
    }
}

/// Some time up to this, another one each time
fn random_up_to(longest: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) % 1_000_000;
    longest * u32::try_from(chance).unwrap() / 1_000_000
}
