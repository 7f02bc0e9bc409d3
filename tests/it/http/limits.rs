//! How often somebody may try, and what a log-in that fails tells.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world;
use crate::server::{Reply, Server};
use crate::support::Shell;

fn log_in(server: &Server, username: &str, password: &str) -> Reply {
    server.post("/api/token/", "", &json!({ "username": username, "password": password }))
}

fn is_throttled(reply: &Reply, most: u64) {
    reply.problem(429, "rate_limited");
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=most).contains(&seconds), "{seconds}");
}

fn server(shell: &Shell, arguments: &[&str]) -> Server {
    Server::on(&shell.path(""), arguments)
}

#[test]
fn ten_log_ins_of_an_account_may_fail_in_a_minute() {
    let shell = world();
    let server = server(&shell, &["--logins", "0"]);
    for _ in 0..15 {
        log_in(&server, "bob", "correct horse 8").expect(200);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..10 {
        let start = Instant::now();
        log_in(&server, "bob", "wrong").problem(401, "unauthenticated");
        slowest = slowest.max(start.elapsed());
    }
    let start = Instant::now();
    for _ in 0..10 {
        is_throttled(&log_in(&server, "BOB", "correct horse 8"), 7);
    }
    assert!(start.elapsed() < 3 * slowest, "at once: no password is looked at");
    log_in(&server, "ann", "correct horse 7").expect(200);
    for _ in 0..10 {
        log_in(&server, "nobody", "wrong").problem(401, "unauthenticated");
    }
    is_throttled(&log_in(&server, "nobody", "wrong"), 7);
}

#[test]
fn right_passwords_at_once_are_no_failures_and_wrong_ones_are_not_all_looked_at() {
    let shell = world();
    let server = server(&shell, &["--logins", "0", "--failed-logins", "3"]);
    let at_once = |password: &'static str| -> Vec<u16> {
        std::thread::scope(|scope| {
            let tries: Vec<_> = (0..40).map(|_| scope.spawn(|| log_in(&server, "bob", password).status)).collect();
            tries.into_iter().map(|tried| tried.join().unwrap()).collect()
        })
    };
    assert!(at_once("correct horse 8").iter().all(|status| *status == 200));
    let start = Instant::now();
    let looked_at = at_once("wrong").iter().filter(|status| **status == 401).count();
    let cores = std::thread::available_parallelism().unwrap().get();
    // One more for every 20 seconds that pass
    let most = 3 + cores + usize::try_from(start.elapsed().as_secs() / 20).unwrap();
    assert!((3..=most).contains(&looked_at), "{looked_at}");
}

#[test]
fn who_guesses_the_password_of_an_account_they_are_in_is_counted_too() {
    let shell = world();
    let server = server(&shell, &["--failed-logins", "3"]);
    let (token, _) = server.log_in("bob", "correct horse 8");
    let change = |current: &str| {
        let change = json!({ "password": "correct horse 9", "current_password": current });
        server.ask("PATCH", "/api/users/me/", &token, &[], Some(&change))
    };
    for _ in 0..3 {
        change("wrong").problem(400, "invalid");
    }
    is_throttled(&change("correct horse 8"), 20);
    // One counts for itself, and keeps nobody from logging in.
    log_in(&server, "bob", "correct horse 8").expect(200);
}

/// Logs in from an address, as a proxy says.
fn log_in_from(server: &Server, address: &str, username: &str, password: &str) -> Reply {
    let body = json!({ "username": username, "password": password });
    server.ask("POST", "/api/token/", "", &[("X-Forwarded-For", address)], Some(&body))
}

#[test]
fn a_stranger_keeps_nobody_out_of_their_account() {
    let shell = world();
    let server = server(&shell, &["--behind-proxy", "--logins", "0", "--failed-logins", "3"]);
    let log_in = |address: &str, password: &str| log_in_from(&server, address, "bob", password);
    let home = "2001:db8:1:2::1";
    let pair = log_in(home, "correct horse 8").expect(200).json();
    let token = pair["access"].as_str().unwrap();
    let fail = |address: &str| {
        for _ in 0..3 {
            log_in(address, "wrong").problem(401, "unauthenticated");
        }
        is_throttled(&log_in(address, "correct horse 8"), 20);
    };
    fail("192.0.2.1");
    log_in(home, "correct horse 8").expect(200);
    log_in("198.51.100.1", "correct horse 8").expect(200);
    // Ten times as many from everywhere are all, except where somebody is logged in.
    for host in 2..=9 {
        fail(&format!("192.0.2.{host}"));
    }
    // One every two seconds is heard again meanwhile.
    let fail_until_throttled = |network: &str| {
        let hosts = (0..60).map(|host| log_in(&format!("{network}.{host}"), "wrong"));
        let heard = hosts.take_while(|reply| reply.status == 401).count();
        assert!(heard < 60, "{heard}");
    };
    fail_until_throttled("203.0.113");
    is_throttled(&log_in("203.0.113.99", "correct horse 8"), 3);
    for address in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "198.51.100.1"] {
        log_in(address, "correct horse 8").expect(200);
    }
    let change = json!({ "password": "correct horse 9", "current_password": "correct horse 8" });
    let headers = [("X-Forwarded-For", "203.0.113.98")];
    server.ask("PATCH", "/api/users/me/", token, &headers, Some(&change)).expect(200);
    // Whose tokens are revoked is a stranger, too.
    fail_until_throttled("100.64.0");
    is_throttled(&log_in("198.51.100.1", "correct horse 9"), 3);
    // The limit of an address is that of those who are known there, too.
    log_in_from(&server, home, "ann", "correct horse 7").expect(200);
    for _ in 0..3 {
        log_in_from(&server, home, "ann", "wrong").problem(401, "unauthenticated");
    }
    is_throttled(&log_in_from(&server, home, "ann", "correct horse 7"), 20);
}

#[test]
fn failures_count_for_the_account_whichever_of_its_names_is_named() {
    let shell = world();
    shell.done("user update bob --email bob@example.org");
    let server = server(&shell, &["--failed-logins", "3"]);
    for name in ["bob", "BOB@Example.org", "BoB"] {
        log_in(&server, name, "wrong").problem(401, "unauthenticated");
    }
    for name in ["bob", "Bob", "bob@example.org"] {
        is_throttled(&log_in(&server, name, "correct horse 8"), 20);
    }
    for name in ["n\u{f6}b", "N\u{d6}B", "no\u{308}b"] {
        log_in(&server, name, "wrong").problem(401, "unauthenticated");
    }
    is_throttled(&log_in(&server, "No\u{308}b", "wrong"), 20);
}

#[test]
fn right_log_ins_of_an_account_are_counted_wherever_they_come_from() {
    let shell = world();
    let server = server(&shell, &["--behind-proxy", "--logins", "3"]);
    for host in 1..=3 {
        log_in_from(&server, &format!("192.0.2.{host}"), "bob", "correct horse 8").expect(200);
    }
    is_throttled(&log_in_from(&server, "192.0.2.4", "bob", "correct horse 8"), 20);
    log_in_from(&server, "192.0.2.4", "ann", "correct horse 7").expect(200);
}

#[test]
fn what_can_be_refused_without_computing_with_a_password_is_refused_first() {
    let shell = world();
    shell.done("user update ann --email ann@example.org");
    let server = server(&shell, &["--failed-logins", "3", "--registrations", "0"]);
    let (token, _) = server.log_in("bob", "correct horse 8");
    let start = Instant::now();
    log_in(&server, "ann", "correct horse 7").expect(200);
    let once = start.elapsed();
    let change = |body: &Value| server.ask("PATCH", "/api/users/me/", &token, &[], Some(body));
    let register = |body: &Value| server.post("/api/users/", "", body);
    let start = Instant::now();
    for _ in 0..5 {
        let right = "correct horse 8";
        change(&json!({ "password": "short", "current_password": right })).problem(400, "invalid");
        change(&json!({ "password": "Bob12345", "username": "bob12345", "current_password": right }))
            .problem(400, "invalid");
        change(&json!({ "password": "correct horse 9", "username": "a b", "current_password": right }))
            .problem(400, "invalid");
        change(&json!({ "password": "correct horse 9", "username": "Ann", "current_password": right }))
            .problem(409, "conflict");
        change(&json!({ "password": "correct horse 9", "email": "ANN@example.org", "current_password": right }))
            .problem(409, "conflict");
        register(&json!({ "username": "Ann", "password": "correct horse 9" })).problem(409, "conflict");
        register(&json!({ "username": "eve", "email": "ann@example.org", "password": "correct horse 9" }))
            .problem(409, "conflict");
        register(&json!({ "username": "eve", "password": "password" })).problem(400, "invalid");
    }
    assert!(start.elapsed() < 10 * once, "{:?} for 40 that are refused, {once:?} for a log-in", start.elapsed());
    // None of it was counted.
    change(&json!({ "password": "correct horse 9", "current_password": "correct horse 8" })).expect(200);
}

#[test]
fn changes_of_a_password_are_counted_for_the_account_and_the_address() {
    let shell = world();
    let server = server(&shell, &["--behind-proxy", "--logins", "5", "--failed-logins", "3"]);
    let change_from = |address: &str, token: &str| {
        let body = json!({ "password": "correct horse 9", "current_password": "wrong" });
        server.ask("PATCH", "/api/users/me/", token, &[("X-Forwarded-For", address)], Some(&body))
    };
    let [ann, bob] = [("ann", "correct horse 7"), ("bob", "correct horse 8")].map(|(name, password)| {
        let pair = log_in_from(&server, "192.0.2.1", name, password).expect(200).json();
        pair["access"].as_str().unwrap().to_owned()
    });
    for _ in 0..3 {
        change_from("192.0.2.1", &bob).problem(400, "invalid");
    }
    is_throttled(&change_from("192.0.2.2", &bob), 20);
    is_throttled(&change_from("192.0.2.1", &ann), 12);
    change_from("192.0.2.2", &ann).problem(400, "invalid");
}

#[test]
fn who_registers_keeps_nobody_from_logging_in() {
    let shell = world();
    let server = server(&shell, &["--registrations", "0"]);
    let registered = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..40 {
            let (server, registered) = (&server, &registered);
            scope.spawn(move || {
                let new = json!({ "username": format!("n{number}"), "password": "correct horse 9" });
                server.post("/api/users/", "", &new).expect(201);
                registered.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
        while registered.load(std::sync::atomic::Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        log_in(&server, "ann", "correct horse 7").expect(200);
        let before = registered.load(std::sync::atomic::Ordering::SeqCst);
        assert!(before < 20, "{before} of 40 came first");
    });
}

#[test]
fn an_address_has_sixty_log_ins_and_thirty_registrations_a_minute() {
    let shell = world();
    let server = server(&shell, &[]);
    // How many are heard until one is throttled: what may be tried, and what came to it meanwhile
    let heard = |path: &str, status: u16, request: fn(u32) -> Value| {
        let start = Instant::now();
        for index in 0_u32.. {
            let reply = server.post(path, "", &request(index));
            if reply.status != status {
                is_throttled(&reply, 3);
                return (index, start.elapsed().as_secs_f64());
            }
        }
        unreachable!("numbers end")
    };
    let (count, seconds) =
        heard("/api/token/", 401, |index| json!({ "username": format!("n{index}"), "password": "wrong" }));
    assert!((60.0..=61.0 + seconds).contains(&f64::from(count)), "{count} in {seconds} s");
    is_throttled(&log_in(&server, "ann", "correct horse 7"), 2);
    let (count, seconds) =
        heard("/api/users/", 400, |index| json!({ "username": format!("n{index}"), "password": "short" }));
    assert!((30.0..=31.0 + seconds / 2.0).contains(&f64::from(count)), "{count} in {seconds} s");
    is_throttled(&server.post("/api/users/", "", &json!({ "username": "eve", "password": "correct horse 9" })), 3);
    server.get("/api/schema/", "").expect(200);
}

#[test]
fn without_limits_one_may_try_as_often_as_one_likes() {
    let shell = world();
    let server = server(&shell, &["--failed-logins", "0", "--logins", "0", "--registrations", "0"]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..33 {
                    log_in(&server, "ann", "wrong").problem(401, "unauthenticated");
                }
            });
        }
    });
    for _ in 0..40 {
        let new = json!({ "username": "eve", "password": "short" });
        server.post("/api/users/", "", &new).problem(400, "invalid");
    }
    log_in(&server, "ann", "correct horse 7").expect(200);
}

#[test]
fn only_a_proxy_that_is_believed_says_where_requests_come_from() {
    let shell = world();
    let from = |server: &Server, address: &str| {
        let body = json!({ "username": "nobody", "password": "wrong" });
        server.ask("POST", "/api/token/", "", &[("X-Forwarded-For", address)], Some(&body))
    };
    let behind = server(&shell, &["--logins", "2", "--behind-proxy"]);
    for address in ["192.0.2.1", "198.51.100.7, 192.0.2.1"] {
        from(&behind, address).problem(401, "unauthenticated");
    }
    is_throttled(&from(&behind, "203.0.113.5, 192.0.2.1"), 31);
    from(&behind, "192.0.2.1, 192.0.2.2").problem(401, "unauthenticated");
    for address in ["2001:db8::1", "[2001:db8::2]:99"] {
        from(&behind, address).problem(401, "unauthenticated");
    }
    is_throttled(&from(&behind, "\"[2001:db8::3]\""), 31);
    for address in ["198.51.100.1:1", "\"198.51.100.1\""] {
        from(&behind, address).problem(401, "unauthenticated");
    }
    is_throttled(&from(&behind, "198.51.100.1:2"), 31);
    // Those that cannot be read are nobody's, and together no more than anybody.
    for address in ["unknown", ""] {
        from(&behind, address).problem(401, "unauthenticated");
    }
    is_throttled(&from(&behind, "192.0.2.1,"), 31);
    drop(behind);
    let alone = server(&shell, &["--logins", "2"]);
    for address in ["192.0.2.1", "192.0.2.2"] {
        from(&alone, address).problem(401, "unauthenticated");
    }
    is_throttled(&from(&alone, "192.0.2.3"), 31);
}

#[test]
fn a_log_in_that_fails_says_the_same_and_takes_as_long_whoever_it_names() {
    let shell = world();
    shell.done("user create inactive --no-password");
    shell.run_with("user passwd inactive --password-stdin", "correct horse 9");
    shell.done("user deactivate inactive");
    shell.done("user create silent --no-password");
    // Accounts from Django, until they log in for the first time
    for (name, iterations) in [("moved", 50_000), ("earlier", 30_000)] {
        let hash =
            format!("pbkdf2_sha256${iterations}$Ez2pVn0fGkQyXwbLr5sTua$IGWrATlfUjjxvEbDdL0AGm8lNDjqw7acmY5Gp4Ned+A=");
        shell.done_with(&["user", "create", name, "--password-hash", &hash]);
    }
    let server = server(&shell, &["--failed-logins", "0", "--logins", "0"]);
    let cases = [
        ("ann", "wrong"),
        ("nobody", "wrong"),
        ("inactive", "correct horse 9"),
        ("inactive", "wrong"),
        ("silent", ""),
        ("moved", "wrong"),
        ("earlier", "wrong"),
    ];
    let mut took = vec![Vec::new(); cases.len()];
    let mut said = Vec::new();
    for _ in 0..5 {
        for (index, (username, password)) in cases.iter().enumerate() {
            let start = Instant::now();
            let reply = log_in(&server, username, password);
            took[index].push(start.elapsed());
            assert_eq!(
                reply.problem(401, "unauthenticated")["detail"],
                "No active account found with the given credentials"
            );
            said.push(reply.bytes);
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1);
    // What else the machine does makes some take longer, none shorter.
    let shortest: Vec<Duration> = took.into_iter().filter_map(|took| took.into_iter().min()).collect();
    let (least, most) = (shortest.iter().min().unwrap(), shortest.iter().max().unwrap());
    assert!(*most < 3 * *least, "{shortest:?}");
}

#[test]
fn whether_an_email_is_taken_is_told_as_seldom_as_registrations_are_heard() {
    let shell = world();
    let server = server(&shell, &["--registrations", "3"]);
    let (token, _) = server.log_in("bob", "correct horse 8");
    let change = |email: &str| {
        let change = json!({ "email": email, "first_name": "Bob" });
        server.ask("PATCH", "/api/users/me/", &token, &[], Some(&change))
    };
    for number in 0..3 {
        change(&format!("bob{number}@example.org")).expect(200);
    }
    is_throttled(&change("bob3@example.org"), 20);
    let registration = json!({ "username": "eve", "password": "correct horse 9", "email": "eve@example.org" });
    is_throttled(&server.post("/api/users/", "", &registration), 20);
    change("bob2@example.org").expect(200);
    change("").expect(200);
}
