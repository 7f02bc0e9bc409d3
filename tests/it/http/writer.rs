//! How long one request keeps the writer, which everybody else who writes waits for: the worst that is known for every endpoint
//! that writes, by the time its thread is on a core. So neither the disk nor other programs count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tidings::http::endpoints;

use crate::server::Server;
use crate::support::say_left_out;

/// The longest that one request may keep the writer
const LONGEST: Duration = Duration::from_millis(20);

/// How many times as long a debug build takes, whose engine is not optimized either
const SLOWER: u32 = if cfg!(debug_assertions) { 20 } else { 1 };

/// What has as many rows of its own as there are: told, but not bounded
const OWN_ROWS: &[&str] = &[
    "DELETE /api/users/{user_id}/",
    "DELETE /api/user/delete/",
    "DELETE /api/conversations/{conversation_id}/",
    "DELETE /api/conversations/{conversation_id}/participants/{user_id}/",
    "POST /api/conversations/{conversation_id}/read/",
];

/// A request that is meant to keep the writer for long
struct Attack {
    endpoint: &'static str,
    what: &'static str,
    who: &'static str,
    path: String,
    body: Value,
}

/// A server with a crowd, names that begin with each other, and a group where much was said
struct Scene {
    server: Server,
    /// The `/proc` file of the thread that writes
    writer: String,
    ids: BTreeMap<String, String>,
    /// Those of the messages that `mallory` has not read
    unread: Vec<String>,
}

impl Scene {
    /// None where the system does not tell how long a thread was on a core
    fn new() -> Option<Self> {
        let user = |name: &str, role: &str| json!({ "type": "user", "username": name, "role": role });
        let crowd: Vec<String> = (0..999).map(|number| format!("u{number}")).collect();
        let mut world: Vec<Value> = crowd.iter().map(|name| user(name, "user")).collect();
        world.extend((1..=150).map(|length| user(&"a".repeat(length), "user")));
        world.extend(["mallory", "bob"].map(|name| user(name, "user")));
        world.extend(["root", "second"].map(|name| user(name, "admin")));
        let group = |name: &str, others: &[String]| {
            let people: Vec<&str> = ["mallory"].into_iter().chain(others.iter().map(String::as_str)).collect();
            json!({ "type": "conversation", "name": name, "creator": "mallory", "participants": people })
        };
        world.extend([group("hall", &crowd), group("room", &crowd[..199]), group("talk", &["bob".to_owned()])]);
        world.push(
            json!({ "type": "message", "conversation": "room", "sender": "mallory", "content": "hi", "key": "hi" }),
        );
        for number in 0..1000 {
            let content = if number % 10 == 0 { ".".repeat(60_000) } else { format!("said {number}") };
            let key = format!("m{number}");
            world.push(
                json!({ "type": "message", "conversation": "talk", "sender": "bob", "content": content, "key": key }),
            );
            world.push(json!({ "type": "notification", "user": "mallory", "message": key, "is_read": false }));
        }
        let limits = ["--logins", "0", "--registrations", "0", "--failed-logins", "0"];
        let server = Server::ephemeral(&Value::from(world).to_string(), &["mallory", "bob", "root"], &limits);
        let threads = std::fs::read_dir(format!("/proc/{}/task", server.process.id())).ok()?;
        let writer = threads
            .map(|thread| thread.unwrap().path())
            .find(|thread| std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "writer"))?;
        let writer = writer.join("schedstat").to_str()?.to_owned();
        std::fs::read_to_string(&writer).ok()?;
        let mut scene = Self { server, writer, ids: BTreeMap::new(), unread: Vec::new() };
        scene.look_around();
        Some(scene)
    }

    fn look_around(&mut self) {
        let get = |path: &str, who: &str| self.server.get(path, self.server.token(who)).expect(200).json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut ids = BTreeMap::new();
        for group in get("/api/conversations/", "mallory")["results"].as_array().unwrap() {
            ids.insert(text(&group["name"]), text(&group["conversation_id"]));
        }
        for person in ["mallory", "bob"] {
            ids.insert(person.to_owned(), text(&get("/api/users/me/", person)["user_id"]));
        }
        for person in get("/api/users/?search=u7&page_size=100", "mallory")["results"].as_array().unwrap() {
            ids.insert(text(&person["username"]), text(&person["user_id"]));
        }
        let room = format!("/api/conversations/{}/messages/", ids["room"]);
        ids.insert("message".to_owned(), text(&get(&room, "mallory")["results"][0]["message_id"]));
        let mut unread = Vec::new();
        let mut next = Some("/api/notifications/?page_size=100".to_owned());
        while let Some(path) = next {
            let page = get(&path, "mallory");
            unread.extend(page["results"].as_array().unwrap().iter().map(|one| text(&one["id"])));
            next = page["next"].as_str().map(|link| link.trim_start_matches(&self.server.url).to_owned());
        }
        assert_eq!(unread.len(), 1000);
        (self.ids, self.unread) = (ids, unread);
        self.server.test("checkpoint").expect(204);
    }

    /// How long the writer was on a core until now, once it has nothing to do
    fn busy(&self) -> Duration {
        let read = || {
            let times = std::fs::read_to_string(&self.writer).unwrap();
            Duration::from_nanos(times.split(' ').next().unwrap().parse().unwrap())
        };
        let mut before = read();
        loop {
            std::thread::sleep(Duration::from_millis(2));
            let now = read();
            if now == before {
                return now;
            }
            before = now;
        }
    }

    /// How long a request keeps the writer: once, or the median of five where that was too long
    fn stay(&self, attack: &Attack) -> (Duration, u16) {
        let (method, _) = attack.endpoint.split_once(' ').unwrap();
        let mut status = 200;
        let mut once = || {
            // Where it is refused there is nothing to return to.
            if status < 300 {
                self.server.test("rollback").expect(204);
            }
            let token = if attack.who.is_empty() { "" } else { self.server.token(attack.who) };
            let before = self.busy();
            status = self.server.ask(method, &attack.path, token, &[], Some(&attack.body)).status;
            self.busy().checked_sub(before).unwrap()
        };
        let first = once();
        if first <= LONGEST * SLOWER {
            return (first, status);
        }
        let mut stays = [first, once(), once(), once(), once()];
        stays.sort_unstable();
        (stays[2], status)
    }

    /// The worst that is known, at least one for every endpoint that writes
    fn attacks(&self) -> Vec<Attack> {
        let mut attacks = Vec::new();
        let mut add = |endpoint: &'static str, what, who, body: Value| {
            let message = if what == "messages of others" { &self.unread[0] } else { &self.ids["message"] };
            let conversation = if endpoint.contains("/messages/") { "room" } else { "hall" };
            let (_, path) = endpoint.split_once(' ').unwrap();
            let path = path.replace("{conversation_id}", &self.ids[conversation]).replace("{message_id}", message);
            let path =
                path.replace("{user_id}", &self.ids[if endpoint.contains("conversations") { "u7" } else { "bob" }]);
            attacks.push(Attack { endpoint, what, who, path, body });
        };
        let long = "ü".repeat(250_000);
        let crowd: Vec<String> = (0..999).map(|number| format!("u{number}")).collect();
        for endpoint in ["POST /api/conversations/", "POST /api/conversations/{conversation_id}/participants/"] {
            let strangers = |name: String| json!({ "participants": vec![name; 1000] });
            add(endpoint, "one name 262,000 times", "mallory", json!({ "participants": vec!["u"; 262_000] }));
            add(endpoint, "a thousand people", "mallory", json!({ "participants": crowd }));
            add(endpoint, "an unknown name", "mallory", json!({ "participants": ["ü".repeat(40)] }));
            add(endpoint, "a long name", "mallory", json!({ "participants": [long] }));
            let names: Vec<String> = (0..1000).map(|number| format!("{number}{}", "ü".repeat(450))).collect();
            add(endpoint, "a thousand long names", "mallory", json!({ "participants": names }));
            let mails: Vec<String> = (0..1000).map(|number| format!("{number}@example.org")).collect();
            add(endpoint, "a thousand emails", "root", json!({ "participants": mails }));
            add(endpoint, "ids instead", "mallory", json!({ "participant_ids": self.unread }));
            add(endpoint, "the same again", "mallory", strangers("bob".to_owned()));
        }
        add("POST /api/events/ticket/", "a body", "mallory", json!({ "x": long }));
        let of_one = |text: &str| text.repeat(65_536 / text.len());
        let chain = (0..77).map(|number| format!("@{}{number} ", "a".repeat(450))).collect::<Vec<_>>().concat();
        let words = (0..13_000).map(|number| format!("{number:04x} ")).collect::<Vec<_>>().concat();
        let mentions = (0..1500).map(|number| format!("@{number}{} ", "ü".repeat(15))).collect::<Vec<_>>().concat();
        for endpoint in [
            "POST /api/conversations/{conversation_id}/messages/",
            "PATCH /api/messages/{message_id}/",
            "PATCH /api/conversations/{conversation_id}/messages/{message_id}/",
        ] {
            for (what, content) in [
                ("names that begin with each other", chain.clone()),
                ("at signs", of_one("@")),
                ("at signs and letters", of_one("-@ü")),
                ("one mention many times", of_one("@u1 ")),
                ("many mentions", mentions.clone()),
                ("many words", words.clone()),
                ("one word", of_one("ü")),
                ("blanks", " ".repeat(1_000_000)),
            ] {
                add(endpoint, what, "mallory", json!({ "content": content }));
            }
            add(endpoint, "a long receiver", "mallory", json!({ "content": "hi", "receiver": long }));
        }
        for number in [26_000, 1000] {
            let ids: Vec<&String> = self.unread.iter().cycle().take(number).collect();
            let what = if number > 1000 { "too many ids" } else { "messages of others" };
            add("PATCH /api/messages/unread/", what, "mallory", json!({ "message_ids": ids }));
            add("POST /api/notifications/read/", what, "mallory", json!({ "ids": ids }));
        }
        add("PATCH /api/notifications/{message_id}/", "messages of others", "mallory", json!({ "is_read": true }));
        for (endpoint, who) in
            [("POST /api/users/", ""), ("PATCH /api/users/me/", "mallory"), ("PATCH /api/users/{user_id}/", "root")]
        {
            for field in ["username", "email", "first_name", "last_name"] {
                let mut account = json!({ field: long });
                if who.is_empty() {
                    account["password"] = "correct horse 8".into();
                    account["username"] = account.get("username").cloned().unwrap_or("newest".into());
                }
                add(endpoint, field, who, account);
            }
        }
        for field in ["name", "title"] {
            add(
                "PATCH /api/conversations/{conversation_id}/",
                field,
                "mallory",
                json!({ field: " ".repeat(1_000_000) }),
            );
        }
        add("PATCH /api/conversations/{conversation_id}/", "a crowd", "mallory", json!({ "title": "New" }));
        add(
            "PATCH /api/conversations/{conversation_id}/participants/me/",
            "a crowd",
            "mallory",
            json!({"level": "none"}),
        );
        add("POST /api/token/", "a long name", "", json!({ "username": long, "password": "x" }));
        for endpoint in ["POST /api/token/refresh/", "POST /api/token/revoke/", "POST /api/token/verify/"] {
            let token = "A".repeat(1_000_000);
            add(endpoint, "a long token", "", json!({ "refresh": token.clone(), "token": token }));
        }
        for endpoint in OWN_ROWS {
            let who = if endpoint.contains("/users/{user_id}/") && !endpoint.contains("participants") {
                "root"
            } else {
                "mallory"
            };
            add(endpoint, "own rows", who, Value::Null);
        }
        for endpoint in
            ["DELETE /api/messages/{message_id}/", "DELETE /api/conversations/{conversation_id}/messages/{message_id}/"]
        {
            add(endpoint, "a message to many", "mallory", Value::Null);
        }
        attacks
    }
}

#[test]
fn no_request_keeps_the_writer_for_long() {
    let Some(scene) = Scene::new() else {
        say_left_out("how long requests keep the writer (Linux tells it, with CONFIG_SCHED_INFO)");
        return;
    };
    let attacks = scene.attacks();
    let attacked: BTreeSet<&str> = attacks.iter().map(|attack| attack.endpoint).collect();
    let all = endpoints();
    let writing = all.iter().filter(|endpoint| endpoint.method != "GET");
    let writing: BTreeSet<String> = writing.map(|endpoint| format!("{} {}", endpoint.method, endpoint.path)).collect();
    assert_eq!(attacked, writing.iter().map(String::as_str).collect(), "an endpoint without a hostile request");
    let mut too_long = Vec::new();
    for attack in &attacks {
        let (stay, status) = scene.stay(attack);
        let line = format!("{}, {}: {status}, {stay:.1?}", attack.endpoint, attack.what);
        println!("{line}");
        if stay > LONGEST * SLOWER && !OWN_ROWS.contains(&attack.endpoint) {
            too_long.push(line);
        }
    }
    assert!(too_long.is_empty(), "{too_long:#?}");
}
