//! Many who ask for what takes long, and those who ask for little meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{House, in_every_house};
use crate::server::{Reply, Server};

/// What looks at every message and finds none: nobody of those who sent so much is bob.
const SLOW: &str = "/api/messages/?search=the&sender=bob";

/// A server on many messages with so many connections to them, and a token
fn serve(house: &House, arguments: &[&str]) -> (Server, String) {
    house.run("data seed --users 20 --conversations 10 --messages 5000", "");
    let server = house.serve(arguments);
    let token = server.log_in("ann", "correct horse 7").0;
    (server, token)
}

/// What is answered to so many searches at once
fn search(server: &Server, token: &str, searches: usize, meanwhile: impl FnOnce(&AtomicUsize)) -> Vec<Reply> {
    let left = AtomicUsize::new(searches);
    let find = || {
        let reply = server.get(SLOW, token);
        left.fetch_sub(1, Ordering::Relaxed);
        reply
    };
    std::thread::scope(|scope| {
        let searches: Vec<_> = (0..searches).map(|_| scope.spawn(find)).collect();
        meanwhile(&left);
        searches.into_iter().map(|search| search.join().unwrap()).collect()
    })
}

#[test]
fn a_burst_of_searches_holds_up_nobody_who_asks_for_little() {
    in_every_house(|house| {
        let (server, token) = serve(house, &["--db-connections", "2", "--db-wait", "60"]);
        let (mut live, mut own) = (Vec::new(), Vec::new());
        let took = |path: &str| {
            let start = Instant::now();
            server.get(path, &token).expect(200);
            start.elapsed()
        };
        let replies = search(&server, &token, 64, |left| {
            // Until the last are on their way, and no search waits that could hold anybody up.
            while left.load(Ordering::Relaxed) > 2 {
                live.push(took("/health/live"));
                own.push(took("/api/users/me/"));
            }
        });
        for reply in replies {
            assert_eq!(reply.expect(200).json()["results"].as_array().unwrap().len(), 0);
        }
        for times in [&mut live, &mut own] {
            times.sort_unstable();
        }
        println!("{} asked, {:?} and {:?} at the most", live.len(), live.last(), own.last());
        // The middle one, and in a debug build ten times as long: a machine that is loaded holds up single ones.
        let slowly = if cfg!(debug_assertions) { 10 } else { 1 };
        let middle = |times: &[Duration]| times.get(times.len() / 2).copied().unwrap_or_default();
        assert!(middle(&live) < Duration::from_millis(50) * slowly, "{live:?}");
        assert!(middle(&own) < Duration::from_millis(100) * slowly, "{own:?}");
    });
}

#[test]
fn who_would_wait_too_long_for_the_database_hears_when_to_come_again() {
    in_every_house(|house| {
        let (server, token) = serve(house, &["--db-connections", "2", "--db-wait", "0"]);
        // Until two of them meet
        for _ in 0..200 {
            let replies = search(&server, &token, 16, |_| {});
            let (found, late): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
            assert!(!found.is_empty());
            for reply in &late {
                reply.problem(503, "unavailable");
                assert_eq!(reply.header("retry-after"), Some("1"));
            }
            if !late.is_empty() {
                return;
            }
        }
        panic!("no two searches met");
    });
}
