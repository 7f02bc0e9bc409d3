//! REST as its clients have it: wiring, words and statuses.

mod ephemeral;
mod fuzz;
mod rights;
mod robust;
mod schema;
mod start;
mod stop;
mod talk;
mod twins;

use crate::server::Server;
use crate::support::Shell;

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
    std::fs::write(shell.path("world.yaml"), WORLD).unwrap();
    shell.done("data apply world.yaml");
    shell
}

/// The path of the messages of somebody's newest conversation
fn messages_of(server: &Server, token: &str) -> String {
    let conversations = server.get("/api/conversations/", token).expect(200).json();
    format!("/api/conversations/{}/messages/", conversations["results"][0]["conversation_id"].as_str().unwrap())
}
