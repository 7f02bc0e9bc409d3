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
    is_throttled(&log_in(&server, "bob", "correct horse 8"), 20);
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
        let body = json!({ "username": "ann", "password": "correct horse 7" });
        server.ask("POST", "/api/token/", "", &[("X-Forwarded-For", address)], Some(&body))
    };
    let behind = server(&shell, &["--logins", "2", "--behind-proxy"]);
    for address in ["192.0.2.1", "198.51.100.7, 192.0.2.1"] {
        from(&behind, address).expect(200);
    }
    is_throttled(&from(&behind, "203.0.113.5, 192.0.2.1"), 31);
    from(&behind, "192.0.2.1, 192.0.2.2").expect(200);
    for address in ["2001:db8::1", "2001:db8::2"] {
        from(&behind, address).expect(200);
    }
    is_throttled(&from(&behind, "2001:db8::3"), 31);
    drop(behind);
    let alone = server(&shell, &["--logins", "2"]);
    for address in ["192.0.2.1", "192.0.2.2"] {
        from(&alone, address).expect(200);
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
    let server = server(&shell, &["--failed-logins", "0", "--logins", "0"]);
    let cases =
        [("ann", "wrong"), ("nobody", "wrong"), ("inactive", "correct horse 9"), ("inactive", "wrong"), ("silent", "")];
    let mut took = vec![Vec::new(); cases.len()];
    let mut said = Vec::new();
    for _ in 0..9 {
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
