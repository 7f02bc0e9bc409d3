//! Pages of messages that are kept in memory are what would be read at that moment, whoever has changed what.

use std::thread;

use serde_json::{Value, json};
use tidings::store::Location;
use tidings::store::events::Retention;

use super::world;
use crate::server::{Connection, Reply, Server};
use crate::support::{Shell, World, texts};

/// Two servers on one database, of which the second keeps no pages, and the token of somebody who sees everything
struct Houses {
    shell: Shell,
    keeping: Server,
    other: Server,
    token: String,
    /// The paths of the messages of both groups
    team: String,
    hall: String,
}

/// How many pages were found in memory, and how many were read
fn counted(server: &Server) -> (u64, u64) {
    let metrics = String::from_utf8(server.get("/metrics", "").expect(200).bytes).unwrap();
    let number = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    (number("tidings_page_hits_total"), number("tidings_page_misses_total"))
}

fn page(server: &Server, path: &str, token: &str) -> Reply {
    let reply = server.ask("GET", path, token, &[("Host", "localhost")], None);
    assert_eq!(reply.status, 200, "{}", server.log());
    reply
}

impl Houses {
    fn new() -> Self {
        let shell = world();
        for name in ["eve", "carl"] {
            shell.done(&format!("user create {name} --no-password"));
        }
        shell.done("conversation create ann eve --name hall --operator");
        for line in ["hall one --as ann", "hall two --as eve", "team one --as ann", "team two --as bob"] {
            shell.done(&format!("message send {line}"));
        }
        let keeping = Server::on(&shell.path(""), &[]);
        let other = Server::on(&shell.path(""), &["--page-memory", "0"]);
        let (token, _) = keeping.log_in("ann", "correct horse 7");
        let path = |name: &str| {
            let id = shell.done(&format!("conversation show {name} --operator -o ids")).stdout.trim().to_owned();
            format!("/api/conversations/{id}/messages/")
        };
        let (team, hall) = (path("team"), path("hall"));
        Self { shell, keeping, other, token, team, hall }
    }

    /// Asks for the page of a group, which must be the one that the other server reads; says whether it was in memory.
    fn is_kept(&self, path: &str) -> bool {
        let before = counted(&self.keeping);
        let found = page(&self.keeping, path, &self.token);
        let read = page(&self.other, path, &self.token);
        assert_eq!(found.json(), read.json());
        assert_eq!((&found.bytes, found.header("etag")), (&read.bytes, read.header("etag")));
        let after = counted(&self.keeping);
        let [hits, misses] = [after.0 - before.0, after.1 - before.1];
        assert_eq!(hits + misses, 1);
        hits == 1
    }

    /// Brings both pages into memory, changes something on the command line, and says which are in memory still.
    fn kept_after(&self, change: impl FnOnce(&Shell)) -> (bool, bool) {
        for path in [&self.team, &self.hall] {
            self.is_kept(path);
            assert!(self.is_kept(path), "what nobody changes is in memory");
        }
        change(&self.shell);
        let kept = (self.is_kept(&self.team), self.is_kept(&self.hall));
        assert_eq!(counted(&self.other), (0, 0));
        kept
    }
}

/// A change, and whether the pages of the team and of the hall are as they were
type Change = (&'static str, (bool, bool));

const CHANGES: &[Change] = &[
    ("message send team hello --as bob", (false, true)),
    ("message send hall hello --as eve --reply-to hall#1", (true, false)),
    ("message edit team#2 changed --as ann", (false, true)),
    ("message restore team#2 1 --as ann", (false, true)),
    ("notifications read team#2 --as bob", (false, true)),
    ("notifications unread team#2 --as bob", (false, true)),
    ("message read team --as bob", (false, true)),
    ("message read hall#1 hall#3 --as ann --dry-run", (true, true)),
    ("message read hall --as ann", (true, false)),
    ("notifications unread hall#2 --as ann", (true, false)),
    ("notifications read --all --as ann", (false, false)), // several conversations, perhaps all of them
    ("user update bob --first-name Robert", (false, true)),
    ("user update eve --username eva", (true, false)),
    ("user update carl --last-name Carlson", (true, true)),
    ("user create dora --no-password", (true, true)),
    ("conversation level hall none --as ann", (true, true)),
    ("conversation create carl dora --name side --operator", (true, true)),
    ("conversation add team carl --as ann", (false, true)),
    ("message send team --as carl to-bob --receiver bob", (false, true)),
    ("conversation remove team carl --as carl --yes", (false, true)),
    ("message delete hall#1 --as ann --yes", (true, false)), // a tombstone
    ("message delete hall#3 --as eva --yes", (true, false)), // which goes with its last reply
    ("user delete carl --yes", (false, false)),
    ("conversation update team --title Team --as ann", (false, true)),
    ("user deactivate bob", (false, true)),
    ("conversation delete side --operator --yes", (true, true)),
];

#[test]
fn every_change_by_another_process_is_on_the_next_page_and_others_stay_in_memory() {
    let houses = Houses::new();
    for (line, expected) in CHANGES {
        let kept = houses.kept_after(|shell| drop(shell.done(line)));
        assert_eq!(kept, *expected, "{line}");
    }
    assert_eq!(houses.shell.run("message show hall#1 --operator").code, 3, "everything was done");
}

#[test]
fn what_is_loaded_or_applied_is_on_the_next_page() {
    let houses = Houses::new();
    let file = |text: &str| std::fs::write(houses.shell.path("more.jsonl"), text).unwrap();
    file(r#"{"type":"message","conversation":"hall","sender":"eve","content":"loaded","key":"more"}"#);
    assert_eq!(houses.kept_after(|shell| drop(shell.done("data load more.jsonl --notify"))), (true, false));
    file(r#"{"type":"notification","user":"bob","message":"hello"}"#);
    assert_eq!(houses.kept_after(|shell| drop(shell.done("data load more.jsonl"))), (false, true));
    file(r#"{"type":"notification","user":"bob","message":"hello","is_read":true}"#);
    assert_eq!(houses.kept_after(|shell| drop(shell.done("data apply more.jsonl"))), (false, true));
    file(r#"{"type":"user","username":"eve","first_name":"Eve"}"#);
    assert_eq!(houses.kept_after(|shell| drop(shell.done("data apply more.jsonl"))), (true, false));
}

#[test]
fn pages_are_right_also_where_the_log_has_lost_what_happened_or_says_too_much() {
    let houses = Houses::new();
    let kept = houses.kept_after(|shell| {
        shell.done("message send team lost --as bob");
        shell.done("user update eve --first-name Eve");
        let file = World::open(Location::Sqlite(shell.path("test.db")));
        file.later(1).prune_events(Retention { days: 0, count: 1 }).unwrap();
        assert_eq!(texts(&file.location, "SELECT CAST(count(*) AS TEXT) FROM event"), ["1"]);
    });
    assert_eq!(kept, (false, false));
    let kept = houses.kept_after(|shell| {
        let user = |number| format!("{{\"type\":\"user\",\"username\":\"user{number}\"}}\n");
        std::fs::write(shell.path("users.jsonl"), (0..2000).map(user).collect::<String>()).unwrap();
        shell.done("data load users.jsonl");
    });
    assert_eq!(kept, (false, false));
}

#[test]
fn a_log_that_took_the_place_of_another_is_noticed() {
    let houses = Houses::new();
    let file = World::open(Location::Sqlite(houses.shell.path("test.db")));
    let newest = "(SELECT max(key) FROM event)";
    for change in [
        "UPDATE event_log SET generation = randomblob(16)".to_owned(),
        format!("UPDATE event SET subject_id = randomblob(16) WHERE key = {newest}"),
        format!("DELETE FROM event WHERE key = {newest}"),
    ] {
        let kept = houses.kept_after(|_| {
            file.execute("UPDATE message SET content = content || '.'");
            file.execute(&change);
        });
        assert_eq!(kept, (false, false), "{change}");
        // Until the log has gone as far as it was known, or is known to be another, nothing is kept.
        for path in [&houses.team, &houses.hall] {
            houses.keeping.post(path, &houses.token, &json!({ "content": "again" })).expect(201);
        }
    }
}

#[test]
#[cfg(debug_assertions)]
fn a_debug_build_finds_a_change_that_left_no_event() {
    let houses = Houses::new();
    let file = World::open(Location::Sqlite(houses.shell.path("test.db")));
    for change in ["UPDATE message SET content = 'forged'", "UPDATE account SET first_name = first_name || 'x'"] {
        assert_eq!(houses.kept_after(|_| {}), (true, true));
        file.execute(change);
        for path in [&houses.team, &houses.hall] {
            houses.keeping.get(path, &houses.token).expect(200);
            let found = houses.keeping.ask("GET", path, &houses.token, &[("Host", "localhost")], None);
            found.problem(500, "internal");
        }
        assert!(houses.keeping.log().contains("left no event"), "{}", houses.keeping.log());
        houses.shell.done("message send team again --as bob");
        houses.shell.done("message send hall again --as eve");
    }
    assert_eq!(houses.kept_after(|_| {}), (true, true));
    file.execute("UPDATE account SET token_generation = token_generation + 1");
    let found = houses.keeping.ask("GET", &houses.team, &houses.token, &[("Host", "localhost")], None);
    found.problem(500, "internal");
    assert!(houses.keeping.log().contains("a right that ended left no event"), "{}", houses.keeping.log());
}

#[test]
fn a_page_is_kept_for_each_address_and_for_everybody_who_may_see_it_and_nobody_else() {
    let houses = Houses::new();
    let Houses { keeping, other, team, token, .. } = &houses;
    let (bob, _) = keeping.log_in("bob", "correct horse 8");
    page(keeping, team, token);
    let before = counted(keeping);
    page(keeping, team, &bob);
    assert_eq!(counted(keeping), (before.0 + 1, before.1), "the page is the same for all");
    keeping.ask("GET", &houses.hall, &bob, &[], None).problem(404, "not_found");
    let small = format!("{team}?page_size=1");
    for (path, host) in [(team, "localhost:1"), (&small, "localhost"), (&small, "127.0.0.1"), (team, "localhost")] {
        for _ in 0..2 {
            let ask = |server: &Server| server.ask("GET", path, token, &[("Host", host)], None).expect(200);
            assert_eq!(ask(keeping).bytes, ask(other).bytes);
            if path == &small {
                let next = ask(keeping).json()["next"].as_str().unwrap().to_owned();
                assert!(next.starts_with(&format!("http://{host}{team}?page_size=1&")), "{next}");
            }
        }
    }
    // Other parts of the list are read.
    let before = counted(keeping);
    for query in ["?before=2", "?after=1", "?ordering=timestamp", "?sender=bob", "?search=one"] {
        page(keeping, &format!("{team}{query}"), token);
    }
    assert_eq!(counted(keeping), before);
    // Who is out sees it no more.
    houses.shell.done("conversation remove team bob --as ann --yes");
    keeping.get(team, &bob).problem(404, "not_found");
}

#[test]
fn a_right_that_ends_has_ended_on_the_next_request_also_where_it_was_known() {
    let houses = Houses::new();
    let Houses { shell, keeping, team, hall, .. } = &houses;
    let log_in = |name: &str, password: &str| keeping.log_in(name, password).0;
    let (bob, ann) = (log_in("bob", "correct horse 8"), log_in("ann", "correct horse 7"));
    let path = |of: &str| if of == "team" { team } else { hall };
    let ask = |token: &str, of: &str| keeping.ask("GET", path(of), token, &[("Host", "localhost")], None);
    let ends = |token: &str, of: &str, line: &str, status: u16| {
        for _ in 0..3 {
            ask(token, of).expect(200);
        }
        shell.done(line);
        assert_eq!(ask(token, of).status, status, "{line}");
    };
    ends(&bob, "team", "conversation remove team bob --as ann --yes", 404);
    shell.done("conversation add team bob --as ann");
    ends(&bob, "team", "user deactivate bob", 401);
    shell.done("user activate bob");
    assert_eq!(ask(&bob, "team").status, 401, "its token is of an earlier generation");
    let bob = log_in("bob", "correct horse 8");
    shell.done("user update bob --role admin");
    ends(&bob, "hall", "user update bob --role user", 404);
    ends(&bob, "team", "user passwd bob --no-password", 401);
    ends(&ann, "hall", "token revoke ann", 401);
    let ann = log_in("ann", "correct horse 7");
    ends(&ann, "hall", "conversation delete hall --operator --yes", 404);
    ends(&ann, "team", "user delete ann --yes", 401);
}

#[test]
fn a_list_that_the_client_has_is_not_sent_again_until_it_changes() {
    let houses = Houses::new();
    let ask = |tag: &str| houses.keeping.ask("GET", &houses.team, &houses.token, &[("If-None-Match", tag)], None);
    let tag = ask("\"other\"").expect(200).header("etag").unwrap().to_owned();
    let before = counted(&houses.keeping);
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let unchanged = ask(&known).expect(304);
        assert_eq!((unchanged.bytes.len(), unchanged.header("etag")), (0, Some(&*tag)));
    }
    assert_eq!(counted(&houses.keeping), (before.0 + 4, before.1));
    houses.shell.done("notifications read team#2 --as bob");
    assert_ne!(ask(&tag).expect(200).header("etag"), Some(&*tag), "read is shown");
}

#[test]
fn a_rollback_of_a_temporary_server_takes_its_pages_back() {
    let server = Server::ephemeral(super::WORLD, &["ann", "bob"], &[]);
    let (ann, bob) = (server.token("ann").to_owned(), server.token("bob").to_owned());
    let path = super::messages_of(&server, &ann);
    let shown = || -> Value { page(&server, &path, &ann).json() };
    let at_first = shown();
    for content in ["one", "two"] {
        server.post(&path, &bob, &json!({ "content": content })).expect(201);
        assert_eq!(shown()["results"][0]["content"], content);
        server.test("rollback").expect(204);
        assert_eq!(shown(), at_first);
    }
}

#[test]
fn those_who_poll_while_others_write_see_every_message_in_its_order() {
    const MESSAGES: usize = 120;
    let server = Server::ephemeral(super::WORLD, &["ann", "bob"], &[]);
    let (ann, bob) = (server.token("ann").to_owned(), server.token("bob").to_owned());
    let path = super::messages_of(&server, &ann);
    let newest = |reply: &Reply| reply.json()["results"][0]["number"].as_i64().unwrap();
    thread::scope(|scope| {
        let writes = |token| {
            let mut connection = Connection::to(server.address()).unwrap();
            for number in 0..MESSAGES {
                let body = json!({ "content": number.to_string() }).to_string();
                let sent = connection.ask("POST", &path, token, &body).unwrap().expect(201).json();
                // Its own words are on the next page at once.
                let shown = connection.ask("GET", &path, token, "").unwrap().expect(200);
                assert!(newest(&shown) >= sent["number"].as_i64().unwrap());
                if number % 4 == 0 {
                    connection.ask("POST", "/api/notifications/read/", token, "").unwrap().expect(200);
                }
            }
        };
        let threads = [&ann, &bob].map(|token| scope.spawn(move || writes(token)));
        let polls = || {
            let mut connection = Connection::to(server.address()).unwrap();
            let mut last = 0;
            while last < 1 + 2 * i64::try_from(MESSAGES).unwrap() {
                let number = newest(&connection.ask("GET", &path, &ann, "").unwrap().expect(200));
                assert!(number >= last, "{number} after {last}");
                last = number;
            }
        };
        let pollers = [(); 3].map(|()| scope.spawn(polls));
        for thread in threads {
            thread.join().unwrap();
        }
        for poller in pollers {
            poller.join().unwrap();
        }
    });
    let (hits, misses) = counted(&server);
    assert!(hits > 0 && misses > 0, "{hits} {misses}");
}
