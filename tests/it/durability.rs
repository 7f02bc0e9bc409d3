//! What was acknowledged is there, whole, whatever becomes of the process: other writers, kill -9, Ctrl-C, a server under load.

mod interrupted;
mod killed;
mod loads;
mod served;
mod writers;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use tidings::model::Actor;
use tidings::service::messages;
use tidings::store::Location;

use crate::support::{Schema, Shell, World, draft, postgres_server};

/// What bash runs is given the program as `$0` and the database as `$1`.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tidings");

/// Runs a test on each engine, on a database that nobody holds open and that processes are told of by its address.
fn on_every_address(test: impl Fn(&Shell, &Location, &str)) {
    println!("on SQLite");
    let shell = Shell::new();
    test(&shell, &Location::Sqlite(shell.path("test.db")), "test.db");
    let Some(server) = postgres_server() else { return };
    println!("on PostgreSQL");
    let schema = Schema::create(server);
    let url = schema.url();
    test(&Shell::new(), &Location::parse(&url).unwrap(), &url);
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

/// The one number a statement asks for
fn number(location: &Location, sql: &str) -> i64 {
    match location {
        Location::Sqlite(path) => {
            rusqlite::Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
        }
        Location::Postgres(url) => {
            postgres::Client::connect(url, postgres::NoTls).unwrap().query_one(sql, &[]).unwrap().get(0)
        }
    }
}

/// Fails unless every message has its notifications, so many each, and its one event, and `db check` finds nothing.
fn is_whole(shell: &Shell, location: &Location, address: &str, notifications: i64) {
    let unlike = format!(
        "SELECT count(*) FROM message LEFT JOIN
             (SELECT message_key, count(*) AS recipients FROM notification GROUP BY message_key) AS told
             ON told.message_key = message.key
         WHERE coalesce(told.recipients, 0) <> {notifications}"
    );
    assert_eq!(number(location, &unlike), 0, "messages without the notification of each recipient");
    let unheard = "SELECT count(*) FROM message LEFT JOIN
             (SELECT subject_id, count(*) AS events FROM event WHERE kind = 0 GROUP BY subject_id) AS created
             ON created.subject_id = message.id
         WHERE coalesce(created.events, 0) <> 1";
    assert_eq!(number(location, unheard), 0, "messages without their one event");
    let run = shell.run(&format!("db check --db {address}"));
    assert_eq!(run.code, 0, "{run}");
}

/// Some time up to this, another one each time
fn random_up_to(longest: Duration) -> Duration {
    let chance = RandomState::new().hash_one(0) % 1_000_000;
    longest * u32::try_from(chance).unwrap() / 1_000_000
}
