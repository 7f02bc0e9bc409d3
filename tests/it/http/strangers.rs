//! What a server keeps to itself: who may register, whose pages may use it, what went wrong inside.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{House, in_every_house, messages_of, world};
use crate::server::{Reply, Server};

fn register(server: &Server, token: &str, name: &str) -> Reply {
    server.post("/api/users/", token, &json!({ "username": name, "password": "correct horse 9" }))
}

#[test]
fn where_registration_is_closed_only_admins_add_accounts() {
    in_every_house(|house| {
        let secret = ("SECRET_KEY", "a secret of the tests");
        let by_variable = [secret, ("TIDINGS_REGISTRATION", "closed")];
        let folder = house.shell.path("");
        let servers = [
            ("option", house.serve(&["--registration", "closed"])),
            ("variable", Server::start(&folder, &["--db", &house.address], &by_variable)),
            ("both", {
                let open = [secret, ("TIDINGS_REGISTRATION", "open")];
                Server::start(&folder, &["--db", &house.address, "--registration", "closed"], &open)
            }),
        ];
        for (said_by, server) in servers {
            println!("{said_by}");
            let (ann, _) = server.log_in("ann", "correct horse 7");
            let (bob, _) = server.log_in("bob", "correct horse 8");
            let before = house.run("user list -o ids", "").stdout;
            for token in ["", &bob] {
                register(&server, token, "eve").problem(403, "forbidden");
                let taken = register(&server, token, "ann");
                taken.problem(403, "forbidden");
                assert_eq!(taken.bytes, register(&server, token, "eve").bytes, "who is there already is not told");
            }
            assert_eq!(house.run("user list -o ids", "").stdout, before);
            let added = register(&server, &ann, &format!("added-by-{said_by}")).expect(201).json();
            assert_eq!(added["role"], "user");
            // Whoever is there goes on.
            server.log_in(&format!("added-by-{said_by}"), "correct horse 9");
        }
        register(&house.serve(&["--registration", "open"]), "", "eve").expect(201);
        register(&house.serve(&[]), "", "gus").expect(201);
    });
}

/// What a server tells a browser that asks for a page of that origin: by a request, and by what it asks before one
fn allowed_for(server: &Server, origin: &str) -> [Option<String>; 2] {
    let told = |reply: &Reply| reply.header("access-control-allow-origin").map(ToOwned::to_owned);
    let asked = server.ask("GET", "/api/schema/", "", &[("Origin", origin)], None).expect(200);
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "authorization, content-type"),
    ];
    [told(&asked), told(&server.ask("OPTIONS", "/api/users/me/", "", &headers, None))]
}

#[test]
fn only_pages_of_the_sites_that_are_listed_may_use_the_api() {
    let shell = world();
    let [chat, desk, foreign] = ["https://chat.example.org", "http://localhost:3000", "https://evil.example"];
    let near = [
        "https://chat.example.org.evil.example",
        "https://evil.chat.example.org",
        "http://chat.example.org",
        "https://chat.example.org:444",
        "http://localhost:3001",
        "http://localhost",
        "null",
        "*",
    ];
    let only = |server: &Server, listed: &[&str]| {
        for origin in [chat, desk, foreign].iter().chain(&near) {
            let is_listed = listed.contains(origin);
            let expected = is_listed.then(|| (*origin).to_owned());
            assert_eq!(allowed_for(server, origin), [expected.clone(), expected], "{origin}, of {listed:?}");
        }
    };
    only(&Server::on(&shell.path(""), &[]), &[]);
    only(&Server::on(&shell.path(""), &["--cors-origins", chat]), &[chat]);
    only(&Server::on(&shell.path(""), &["--cors-origins", &format!("{chat},{desk}")]), &[chat, desk]);
    let variable = format!("{chat}, {desk}");
    let environment = [("TIDINGS_CORS_ORIGINS", variable.as_str())];
    only(&Server::start(&shell.path(""), &["--db", "test.db"], &environment), &[chat, desk]);
    let everybody = Server::on(&shell.path(""), &["--cors-origins", "*"]);
    for origin in [chat, desk, foreign] {
        assert_eq!(allowed_for(&everybody, origin), [const { Some("*") }; 2].map(|all| all.map(ToOwned::to_owned)));
    }
    // Nobody's cookies are ever asked for: they count for nothing here.
    let reply = everybody.ask("GET", "/api/schema/", "", &[("Origin", foreign)], None);
    assert_eq!(reply.header("access-control-allow-credentials"), None);
}

#[test]
fn only_hosts_of_ours_and_those_that_are_listed_are_answered_for() {
    let shell = world();
    let is_answered = |server: &Server, host: &str| {
        let reply = server.ask("GET", "/health/live", "", &[("Host", host)], None);
        if reply.status != 200 {
            reply.problem(421, "misdirected");
        }
        reply.status == 200
    };
    let only = |server: &Server, listed: &[&str]| {
        for host in ["chat.example.org", "example.net", "a.example.net", "evil.example", "badexample.net", "*"] {
            assert_eq!(is_answered(server, host), listed.contains(&host), "{host}, of {listed:?}");
        }
        assert!(is_answered(server, "localhost"));
    };
    let all = ["chat.example.org", "example.net", "a.example.net"];
    only(&Server::on(&shell.path(""), &[]), &[]);
    only(&Server::on(&shell.path(""), &["--allowed-hosts", "chat.example.org"]), &all[..1]);
    only(&Server::on(&shell.path(""), &["--allowed-hosts", "Chat.Example.Org,.example.net"]), &all);
    for name in ["TIDINGS_ALLOWED_HOSTS", "ALLOWED_HOSTS", "DJANGO_ALLOWED_HOSTS"] {
        let environment = [(name, "chat.example.org, .example.net")];
        only(&Server::start(&shell.path(""), &["--db", "test.db"], &environment), &all);
        let arguments = ["--db", "test.db", "--allowed-hosts", "chat.example.org"];
        only(&Server::start(&shell.path(""), &arguments, &environment), &all[..1]);
    }
    let everybody = Server::on(&shell.path(""), &["--allowed-hosts", "*"]);
    assert!(["chat.example.org", "evil.example"].iter().all(|host| is_answered(&everybody, host)));
}

#[test]
fn pages_of_other_sites_may_read_every_answer_and_what_they_need_of_it() {
    let shell = world();
    let chat = "https://chat.example.org";
    let server = Server::on(&shell.path(""), &["--cors-origins", "HTTPS://Chat.example.org:443/ , http://b.example"]);
    let (token, _) = server.log_in("ann", "correct horse 7");
    let authorization = format!("Bearer {token}");
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8], status: u16| {
        let mut all = vec![("Origin", chat), ("Content-Type", "application/json"), ("Authorization", &authorization)];
        all.extend(headers);
        server.send(method, path, &all, body).expect(status)
    };
    let large = vec![b'x'; 2 * 1024 * 1024];
    let long = "y".repeat(40_000);
    let longest = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\nOrigin: {chat}\r\n\r\n", "y".repeat(70_000));
    let answers = [
        ask("GET", "/api/users/me/", &[], b"", 200),
        ask("GET", "/api/nowhere/", &[], b"", 404),
        ask("PUT", "/api/users/me/", &[], b"", 405),
        ask("POST", "/api/conversations/", &[], &large, 413),
        ask("GET", "/api/users/me/", &[("Host", "evil.example")], b"", 421),
        ask("GET", "/api/users/me/", &[("X-Long", &long)], b"", 431),
        Reply::parse(&server.exchange(longest.as_bytes())).unwrap().expect(431),
    ];
    for reply in &answers {
        assert_eq!(reply.header("access-control-allow-origin"), Some(chat), "{reply:?}");
        let read = reply.header("access-control-expose-headers").unwrap().to_ascii_lowercase();
        for name in ["etag", "retry-after", "x-request-id"] {
            assert!(read.split(", ").any(|found| found == name), "{name}: {read}");
        }
        assert!(reply.headers.iter().any(|(name, value)| name == "vary" && value.contains("origin")), "{reply:?}");
    }
    let asked = ask(
        "OPTIONS",
        "/api/users/me/",
        &[("Access-Control-Request-Method", "PATCH"), ("Access-Control-Request-Headers", "prefer")],
        b"",
        200,
    );
    let sent = asked.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    for name in
        ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match", "last-event-id", "prefer"]
    {
        assert!(sent.split(", ").any(|found| found == name), "{name}: {sent}");
    }
    assert_eq!(asked.header("access-control-allow-origin"), Some(chat));
}

#[test]
fn lists_in_settings_take_spaces_and_what_can_never_match_is_refused_at_the_start() {
    let shell = world();
    let server = Server::on(&shell.path(""), &["--allowed-hosts", "a.example, Chat.Example.org ,.b.example"]);
    for host in ["a.example", "chat.example.org", "x.b.example"] {
        server.send("GET", "/health/live", &[("Host", host)], b"").expect(200);
    }
    for (option, value) in [
        ("--allowed-hosts", "a.example, https://chat.example.org"),
        ("--allowed-hosts", "a.example:8000"),
        ("--allowed-hosts", "*.example.org"),
        ("--cors-origins", "chat.example.org"),
        ("--cors-origins", "https://a.example, https://chat.example.org/path"),
        ("--cors-origins", "https://*.example.org"),
    ] {
        let run = shell.run_words(&["serve", "--bind", "127.0.0.1:0", option, value], "");
        assert_eq!(run.code, 2, "{run}");
        assert!(run.stderr.contains("would never match") && run.stderr.contains(option), "{run}");
    }
}

/// Takes the tables away that some requests need, behind the program's back.
fn break_database(house: &House) {
    let broken = "ALTER TABLE notification RENAME TO qqgone";
    if house.schema.is_some() {
        postgres::Client::connect(&house.address, postgres::NoTls).unwrap().batch_execute(broken).unwrap();
    } else {
        rusqlite::Connection::open(house.shell.path(&house.address)).unwrap().execute_batch(broken).unwrap();
    }
}

#[test]
fn what_went_wrong_inside_is_in_the_log_and_told_to_nobody() {
    in_every_house(|house| {
        let environment = [("SECRET_KEY", "a secret of the tests"), ("DEBUG", "true")];
        let server = Server::start(&house.shell.path(""), &["--db", &house.address], &environment);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let messages = messages_of(&server, &token);
        break_database(house);
        let secrets =
            ["notification", "no such", "does not exist", "SELECT", "INSERT", "qqgone", "42P01", ".rs", "sqlite"];
        let mut said = Vec::new();
        for _ in 0..2 {
            said.push(server.get("/api/notifications/", &token));
            said.push(server.post(&messages, &token, &json!({ "content": "qqcontent" })));
            said.push(server.ask("DELETE", "/api/user/delete/", &token, &[], None));
        }
        for reply in &said {
            let problem = reply.problem(500, "internal");
            let fields: Vec<&String> = problem.as_object().unwrap().keys().collect();
            assert_eq!(fields, ["type", "title", "status", "code", "detail"], "{problem}");
            let everything = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.bytes));
            for secret in secrets {
                assert!(!everything.contains(secret), "{secret}: {everything}");
            }
        }
        let start = Instant::now();
        let causes = || server.log().lines().filter(|line| line.contains("notification")).count();
        while causes() < said.len() {
            assert!(start.elapsed() < Duration::from_secs(10), "{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(!server.log().contains("qqcontent"), "{}", server.log());
        drop(server);
        // On the command line the cause is for whoever asks for it.
        for format in ["table", "json"] {
            let line = format!("notifications list --as ann --db {} -o {format}", house.address);
            let run = house.shell.run(&line);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run}");
            assert!(secrets.iter().all(|secret| !run.stderr.contains(secret)), "{run}");
            let run = house.shell.run(&format!("{line} --verbose"));
            assert!(run.stderr.contains("cause: ") && run.stderr.contains("notification"), "{run}");
        }
    });
}

#[test]
fn where_there_is_nothing_the_answer_names_the_description_of_the_api() {
    let server = Server::ephemeral("[]", &[], &[]);
    for path in ["/nowhere", "/api", "/api/", "/api/nowhere/"] {
        let problem = server.get(path, "").problem(404, "not_found");
        assert!(problem["detail"].as_str().unwrap().contains("/api/docs/"), "{path}: {problem}");
    }
    server.get("/api/docs/", "").expect(200);
}
