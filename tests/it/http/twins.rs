//! Every operation twice: by its command, and over HTTP, each on a copy of the same database, with the clock frozen and ids
//! drawn from the same seed. What they show and every row they leave is the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tidings::http::endpoints;

use crate::server::Server;
use crate::support::{Shell, dump};

/// How what the command shows, left, becomes what the endpoint answers, right
type Same = fn(&Value, &Value) -> (Value, Value);

/// An endpoint, who asks, the body, the command, how their results compare. In all of them `{team}`, `{message}` and so on are ids.
type Twin = (&'static str, &'static str, &'static str, &'static str, Same);

const ACCOUNTS: &[Twin] = &[
    (
        "POST /api/token/",
        "",
        r#"{"username": "alice", "password": "correct horse 8"}"#,
        "token issue alice",
        |command, answer| (command["user"].clone(), answer["user"].clone()),
    ),
    ("POST /api/token/revoke/", "", r#"{"refresh": "{refresh}"}"#, "token revoke alice", nothing),
    (
        "POST /api/users/",
        "root",
        r#"{"username": "dave", "password": "correct horse 9", "email": "dave@example.org", "first_name": "Dave"}"#,
        "user create dave --password-file password --email dave@example.org --first-name Dave",
        same,
    ),
    ("GET /api/users/", "alice", "", "user list", results),
    ("GET /api/users/me/", "alice", "", "user show alice", same),
    (
        "PATCH /api/users/me/",
        "alice",
        r#"{"first_name": "Alice", "email": "a@example.org"}"#,
        "user update alice --first-name Alice --email a@example.org",
        same,
    ),
    ("GET /api/users/me/export/", "alice", "", "user export alice", same),
    ("GET /api/users/{bob}/", "alice", "", "user show bob", same),
    (
        "PATCH /api/users/{bob}/",
        "root",
        r#"{"role": "admin", "last_name": "B"}"#,
        "user update bob --role admin --last-name B",
        same,
    ),
    ("DELETE /api/users/{alice}/", "root", "", "user delete alice --yes", same),
    ("DELETE /api/user/delete/", "alice", "", "user delete alice --yes", same),
];

const CONVERSATIONS: &[Twin] = &[
    ("GET /api/conversations/", "alice", "", "conversation list", results),
    (
        "POST /api/conversations/",
        "alice",
        r#"{"participants": ["bob", "carol"], "name": "new", "title": "New"}"#,
        "conversation create bob carol --name new --title New",
        same,
    ),
    ("GET /api/conversations/{team}/", "bob", "", "conversation show {team}", |command, answer| {
        let mut answer = answer.clone();
        let messages = answer.as_object_mut().unwrap().remove("messages").unwrap();
        assert_eq!(messages.as_array().unwrap().len(), 4);
        (command.clone(), answer)
    }),
    (
        "PATCH /api/conversations/{team}/",
        "alice",
        r#"{"title": "New", "name": null}"#,
        "conversation update {team} --title New --name ''",
        same,
    ),
    ("DELETE /api/conversations/{team}/", "alice", "", "conversation delete {team} --yes", nothing),
    ("GET /api/conversations/{team}/participants/", "bob", "", "conversation show {team}", |command, answer| {
        (command["participants"].clone(), answer["results"].clone())
    }),
    (
        "POST /api/conversations/{team}/participants/",
        "bob",
        r#"{"participants": ["root"]}"#,
        "conversation add {team} root",
        same,
    ),
    (
        "PATCH /api/conversations/{team}/participants/me/",
        "bob",
        r#"{"level": "mentions"}"#,
        "conversation level {team} mentions",
        same,
    ),
    ("DELETE /api/conversations/{team}/participants/{bob}/", "alice", "", "conversation remove {team} bob", nothing),
    ("POST /api/conversations/{team}/read/", "bob", "", "message read {team}", count),
];

const MESSAGES: &[Twin] = &[
    ("GET /api/conversations/{team}/messages/", "bob", "", "message list {team}", reversed),
    (
        "POST /api/conversations/{team}/messages/",
        "bob",
        r#"{"content": "one more, @carol", "parent_message": "{message}", "receiver": "carol"}"#,
        "message send {team} 'one more, @carol' --reply-to {message} --receiver carol",
        same,
    ),
    ("GET /api/conversations/{team}/messages/{message}/", "bob", "", "message show {message}", same),
    (
        "PATCH /api/conversations/{team}/messages/{message}/",
        "alice",
        r#"{"content": "new, @carol", "reason": "better"}"#,
        "message edit {message} 'new, @carol' --reason better",
        same,
    ),
    ("DELETE /api/conversations/{team}/messages/{message}/", "alice", "", "message delete {message} --yes", nothing),
    ("GET /api/messages/", "bob", "", "message list", reversed),
    ("GET /api/messages/unread/", "bob", "", "message list --unread", reversed),
    ("PATCH /api/messages/unread/", "bob", r#"{"message_ids": ["{message}"]}"#, "message read {message}", count),
    ("GET /api/messages/{message}/", "bob", "", "message show {message}", same),
    ("PATCH /api/messages/{message}/", "alice", r#"{"content": "new"}"#, "message edit {message} new", same),
    ("DELETE /api/messages/{last}/", "carol", "", "message delete {last} --yes", nothing),
    ("GET /api/messages/{message}/history/", "bob", "", "message history {message}", results),
    ("GET /api/messages/{message}/thread/", "bob", "", "message thread {message}", results),
    ("GET /api/notifications/", "bob", "", "notifications list", results),
    (
        "PATCH /api/notifications/{message}/",
        "bob",
        r#"{"is_read": true}"#,
        "notifications read {message}",
        |command, answer| (command["count"].clone(), i64::from(answer["is_read"] == true).into()),
    ),
    ("POST /api/notifications/read/", "bob", "", "notifications read --all", count),
];

/// What lists are narrowed to
const NARROWED: &[Twin] = &[
    ("GET /api/messages/?sender=alice", "bob", "", "message list --from alice", reversed),
    ("GET /api/messages/?receiver=carol", "bob", "", "message list --to carol", reversed),
    // What alice said to bob alone is not for carol's eyes, and is for those of an admin.
    ("GET /api/messages/?receiver=bob", "carol", "", "message list --to bob", none),
    ("GET /api/messages/?receiver=bob", "root", "", "message list --to bob", reversed),
    ("GET /api/messages/?sender=alice&receiver=bob", "carol", "", "message list --from alice --to bob", none),
    ("GET /api/messages/?sender=alice&receiver=bob", "bob", "", "message list --from alice --to bob", reversed),
    ("GET /api/conversations/{team}/messages/?sender=alice", "bob", "", "message list {team} --from alice", reversed),
    ("GET /api/notifications/?is_read=false", "bob", "", "notifications list --unread", results),
    ("GET /api/users/?search=car", "bob", "", "user list --search car", results),
    ("GET /api/messages/?search=hello", "bob", "", "message search hello", results),
    ("GET /api/messages/?search=us", "carol", "", "message search us", none),
];

/// They are the same.
fn same(command: &Value, answer: &Value) -> (Value, Value) {
    (command.clone(), answer.clone())
}

/// The endpoint wraps the list.
fn results(command: &Value, answer: &Value) -> (Value, Value) {
    assert_eq!(answer["count"], command.as_array().unwrap().len());
    (command.clone(), answer["results"].clone())
}

/// The command shows what a reader has last at the end, the endpoint first.
fn reversed(command: &Value, answer: &Value) -> (Value, Value) {
    results(&command.as_array().unwrap().iter().rev().cloned().collect(), answer)
}

/// Neither shows anything.
fn none(command: &Value, answer: &Value) -> (Value, Value) {
    assert_eq!(answer["count"], 0);
    assert_eq!(*command, Value::Array(Vec::new()));
    results(command, answer)
}

/// The endpoint says how many in words too.
fn count(command: &Value, answer: &Value) -> (Value, Value) {
    assert_ne!(command["count"], 0);
    (command["count"].clone(), answer["count"].clone())
}

/// The endpoint answers nothing where the command shows what is gone.
fn nothing(_: &Value, answer: &Value) -> (Value, Value) {
    (Value::Null, answer.clone())
}

/// What has to differ: everything else in the rows is the same.
///
/// Hashes of passwords have a salt, and tokens are chance. Logging out ends one log-in where `token revoke` ends them all, which
/// is an event and the next generation of the account. How the search index lies in its table is not what it holds, which
/// `message_word` shows; and what is left to scrub, the server scrubs when nobody waits.
fn comparable(rows: &str, endpoint: &str) -> Vec<String> {
    let is_logout = endpoint == "POST /api/token/revoke/";
    let left_out = |row: &&str| {
        let table = row.split(' ').next().unwrap();
        ["refresh_token", "maintenance"].contains(&table)
            || table.starts_with("message_search_")
            || is_logout && ["account", "event", "sqlite_sequence"].contains(&table)
    };
    let without_hashes = |row: &str| {
        let mut parts = row.split("Text(\"$argon2id$");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |row, part| format!("{row}(hash){}", part.split_once("\")").unwrap().1))
    };
    rows.lines().filter(|row| !left_out(row)).map(without_hashes).collect()
}

const ENVIRONMENT: [(&str, &str); 1] = [("SECRET_KEY", "sixteen bytes or more")];

/// A folder with a database in which everybody talks, and what the twins name in it
struct World {
    shell: Shell,
    names: BTreeMap<&'static str, String>,
}

impl World {
    fn new() -> Self {
        let shell = Shell::new();
        std::fs::write(shell.path("password"), "correct horse 9").unwrap();
        std::fs::write(shell.path("first"), "correct horse 8").unwrap();
        let id = |line: &str| {
            let run = shell.done(&format!("{line} --quiet -o ids"));
            run.stdout.trim_end().to_owned()
        };
        let mut names = BTreeMap::new();
        for name in ["alice", "bob", "carol", "root"] {
            let role = if name == "root" { "admin" } else { "user" };
            names.insert(name, id(&format!("user create {name} --role {role} --password-file first")));
        }
        names.insert("team", id("conversation create bob carol --name team --title Team --as alice"));
        names.insert("message", id("message send team 'hello, @bob' --as alice"));
        names.insert("reply", id("message send team 'hello yourself' --reply-to team#1 --as bob"));
        id("message send team 'for carol' --receiver carol --as alice");
        id("message edit team#1 'good morning, @bob' --reason 'it is early' --as alice");
        names.insert("last", id("message send team 'good night' --as carol"));
        id("message send --to bob 'between us' --as alice");
        id("notifications read team#3 --as bob");
        for (user, name) in
            [("alice", "token alice"), ("bob", "token bob"), ("carol", "token carol"), ("root", "token root")]
        {
            let issued = shell.run_env(&format!("token issue {user} -o json"), &ENVIRONMENT).stdout;
            let issued: Value = serde_json::from_str(&issued).unwrap();
            names.insert(name, issued["access"].as_str().unwrap().to_owned());
            if user == "alice" {
                names.insert("refresh", issued["refresh"].as_str().unwrap().to_owned());
            }
        }
        Self { shell, names }
    }

    fn named(&self, text: &str) -> String {
        let filled =
            self.names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id));
        assert!(!filled.contains("{team") && !filled.contains("{message"), "{filled}");
        filled
    }

    fn copy(&self, name: &str) {
        std::fs::copy(self.shell.path("test.db"), self.shell.path(name)).unwrap();
    }

    /// Does it by the command: what that shows
    fn command(&self, line: &str, caller: &str) -> Value {
        self.copy("command.db");
        let acting = if caller.is_empty() { String::new() } else { format!("--as {caller}") };
        let line = format!("{} --db command.db -o json {acting}", self.named(line));
        let run = self.shell.run_without_db(&line, &ENVIRONMENT);
        assert_eq!(run.code, 0, "{line}: {run}");
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// Does it over HTTP: what that answers
    fn ask(&self, endpoint: &str, caller: &str, body: &str) -> Value {
        self.copy("server.db");
        let folder = self.shell.path("");
        let arguments = ["--db", "server.db", "--now", "2026-01-01T09:00:00Z", "--seed", "1", "--quiet"];
        let server = Server::start(&folder, &arguments, &ENVIRONMENT);
        let (method, path) = endpoint.split_once(' ').unwrap();
        let token = self.names.get(format!("token {caller}").as_str()).map_or("", String::as_str);
        let body: Option<Value> = (!body.is_empty()).then(|| serde_json::from_str(&self.named(body)).unwrap());
        let with_a_receipt = [("Prefer", "return=representation")];
        let reply = server.ask(method, &self.named(path), token, &with_a_receipt, body.as_ref());
        assert!((200..300).contains(&reply.status), "{endpoint}: {reply:?}");
        assert_eq!(server.stop(), Some(0));
        reply.json()
    }

    fn compare(&self, (endpoint, caller, body, line, same): &Twin) {
        println!("{endpoint} and {line}");
        let (shown, answered) = same(&self.command(line, caller), &self.ask(endpoint, caller, body));
        assert_eq!(shown, answered, "{endpoint} and {line}");
        let rows = |name: &str| comparable(&dump(&self.shell.path(name)), endpoint);
        let (one, other) = (rows("command.db"), rows("server.db"));
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one, other, "{endpoint} and {line}");
        }
        assert_eq!(one.len(), other.len(), "{endpoint} and {line}");
        let before = comparable(&dump(&self.shell.path("test.db")), endpoint);
        let changes = !endpoint.starts_with("GET") && !endpoint.starts_with("POST /api/token/");
        assert_eq!(one != before, changes, "{endpoint} and {line}");
    }
}

fn compare(twins: &[Twin]) {
    let world = World::new();
    for twin in twins {
        world.compare(twin);
    }
}

#[test]
fn what_is_done_with_accounts_is_the_same_by_command_and_over_http() {
    compare(ACCOUNTS);
}

#[test]
fn what_is_done_with_conversations_is_the_same_by_command_and_over_http() {
    compare(CONVERSATIONS);
}

#[test]
fn what_is_done_with_messages_is_the_same_by_command_and_over_http() {
    compare(MESSAGES);
}

#[test]
fn what_lists_are_narrowed_to_is_the_same_by_command_and_over_http() {
    compare(NARROWED);
}

#[test]
fn every_endpoint_that_has_a_twin_is_compared_with_that_command() {
    let shape = |endpoint: &str| {
        let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
        endpoint.split('/').map(part).collect::<Vec<_>>().join("/")
    };
    let command = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let compared: BTreeSet<_> = [ACCOUNTS, CONVERSATIONS, MESSAGES]
        .into_iter()
        .flatten()
        .map(|(endpoint, _, _, line, _)| (shape(endpoint), command(line)))
        .collect();
    let twins: BTreeSet<_> = endpoints()
        .iter()
        .filter_map(|one| Some((shape(&format!("{} {}", one.method, one.path)), command(one.twin?))))
        .collect();
    assert_eq!(compared, twins);
}
