//! REST as its clients have it: wiring, words and statuses.

mod answers;
mod browser;
mod busy;
mod conditions;
mod connections;
mod counted;
mod entrance;
mod ephemeral;
mod events;
mod fuzz;
mod idempotency;
mod kept;
mod keys;
mod limits;
mod operator;
mod order;
mod pages;
mod proxy;
mod queries;
mod rights;
mod robust;
mod rotation;
mod schema;
mod start;
mod stop;
mod strangers;
mod taken_away;
mod talk;
mod twins;
mod unfinished;
mod writer;

use crate::server::Server;
use crate::support::{Run, Schema, Shell, on_engine, postgres_server};

/// Two people who can log in, a group of theirs, and what one said
const WORLD: &str = "
- {type: user, username: ann, password: correct horse 7, role: admin}
- {type: user, username: bob, password: correct horse 8}
- {type: conversation, name: team, participants: [ann, bob], creator: ann}
- {type: message, conversation: team, sender: ann, content: hello world, key: hello}
";

/// A database with that world
fn world() -> Shell {
    let shell = Shell::new();
    fill(&shell, "test.db");
    shell
}

fn fill(shell: &Shell, address: &str) {
    std::fs::write(shell.path("world.yaml"), WORLD).unwrap();
    shell.done(&format!("data apply world.yaml --db {address}"));
}

/// A database with that world, and how to reach it
struct House {
    shell: Shell,
    address: String,
    /// Of PostgreSQL
    schema: Option<Schema>,
}

impl House {
    /// The command line, beside a server
    fn run(&self, line: &str, input: &str) -> Run {
        let run = self.shell.run_with(&format!("{line} --db {}", self.address), input);
        assert_eq!(run.code, 0, "{line}: {run}");
        run
    }

    /// A server on it; on PostgreSQL a secret has to be given
    fn serve(&self, arguments: &[&str]) -> Server {
        let secret = [("SECRET_KEY", "a secret of the tests")];
        let arguments = [&["--db", &self.address], arguments].concat();
        Server::start(&self.shell.path(""), &arguments, if self.schema.is_some() { &secret } else { &[] })
    }
}

/// Runs a test on a database with that world on each engine.
fn in_every_house(test: impl Fn(&House)) {
    on_engine("SQLite", || test(&House { shell: world(), address: "test.db".to_owned(), schema: None }));
    let Some(server) = postgres_server() else { return };
    let schema = Schema::create(server);
    let house = House { shell: Shell::new(), address: schema.url(), schema: Some(schema) };
    fill(&house.shell, &house.address);
    on_engine("PostgreSQL", || test(&house));
}

/// The path of the messages of somebody's newest conversation
fn messages_of(server: &Server, token: &str) -> String {
    let conversations = server.get("/api/conversations/", token).expect(200).json();
    format!("/api/conversations/{}/messages/", conversations["results"][0]["conversation_id"].as_str().unwrap())
}
