//! How many streams there may be, and what listeners who do not read, or are not there, cost the others.

use std::fmt::Debug;
use std::fs;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Place;
use super::stream::{PATIENCE, Stream};
use crate::http::{House, world};
use crate::server::Server;
use crate::support::{is_long, say_left_out};

/// On SQLite; the engine makes no difference here.
fn house() -> House {
    House { shell: world(), address: "test.db".to_owned(), schema: None }
}

/// Fails unless there is no place for another stream.
fn is_full(place: &Place, token: &str) {
    let reply = Stream::ask(&place.server, "", token, &[]).err().expect("no place for another");
    reply.problem(429, "rate_limited");
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

/// Waits until something is so, which takes a moment.
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(5));
    }
}

/// A number that the server tells of itself
fn metric<T: FromStr<Err: Debug>>(server: &Server, name: &str) -> T {
    let text = String::from_utf8(server.get("/metrics", "").expect(200).bytes).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
}

/// How many listen
pub(super) fn listeners(server: &Server) -> usize {
    metric(server, "tidings_event_listeners")
}

#[test]
fn a_user_has_at_most_twenty_streams_and_a_server_at_most_its_own_number() {
    let house = house();
    let place = Place::new(&house, &["--max-streams", "23"]);
    let mut streams: Vec<Stream> = (0..20).map(|_| Stream::open(&place.server, "", &place.bob)).collect();
    is_full(&place, &place.bob);
    let mut others: Vec<Stream> = (0..3).map(|_| Stream::open(&place.server, "", &place.ann)).collect();
    is_full(&place, &place.eve);
    // Whoever goes makes room, and those who stay hear on.
    streams.pop();
    until("there is room again", || Stream::ask(&place.server, "", &place.bob, &[]).is_ok());
    others.pop();
    until("there is room for others", || Stream::ask(&place.server, "", &place.eve, &[]).is_ok());
    place.send(&place.ann, "to all");
    for stream in streams.iter_mut().chain(&mut others) {
        assert_eq!(stream.content(), "to all");
    }
}

#[test]
fn streams_take_no_place_of_a_connection() {
    let house = house();
    let place = Place::new(&house, &["--max-connections", "2"]);
    let mut streams: Vec<Stream> = [&place.ann, &place.bob]
        .iter()
        .flat_map(|token| [(); 10].map(|()| Stream::open(&place.server, "", token)))
        .collect();
    place.send(&place.ann, "there is room");
    for stream in &mut streams {
        assert_eq!(stream.content(), "there is room");
        assert_eq!(stream.head.header("connection"), Some("close"), "no other request comes on it");
    }
}

#[test]
fn how_many_listen_and_how_late_they_hear_are_metrics() {
    let house = house();
    let place = Place::new(&house, &[]);
    assert_eq!(listeners(&place.server), 0);
    let mut streams = [(); 3].map(|()| Stream::open(&place.server, "", &place.bob));
    assert_eq!(listeners(&place.server), 3);
    place.send(&place.ann, "hello");
    for stream in &mut streams {
        assert_eq!(stream.content(), "hello");
    }
    // It is noted right after it was delivered.
    let delay = || metric::<f64>(&place.server, "tidings_event_delay_seconds");
    until("how late it was is known", || delay() > 0.0);
    assert!(delay() < PATIENCE.as_secs_f64());
    drop(streams);
    until("nobody listens any more", || listeners(&place.server) == 0);
}

/// How often the thread of the feed has gone to sleep
fn sleeps_of_feed(server: &Server) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.process.id())).unwrap();
    let mut folders = tasks.map(|task| task.unwrap().path());
    let feed = folders.find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "feed"));
    let status = fs::read_to_string(feed.expect("a thread for the feed").join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}

#[test]
fn the_feed_sleeps_while_nobody_listens_whatever_is_written() {
    let house = house();
    let place = Place::new(&house, &[]);
    let sleeps = || sleeps_of_feed(&place.server);
    let busy = || {
        let before = sleeps();
        for _ in 0..10 {
            place.send(&place.ann, "hello");
        }
        sleep(Duration::from_millis(500));
        sleeps() - before
    };
    assert_eq!(busy(), 0, "before anybody came");
    let stream = Stream::open(&place.server, "", &place.bob);
    assert!(busy() > 5, "it looks for what other processes write");
    drop(stream);
    until("nobody listens any more", || listeners(&place.server) == 0);
    until("the feed knows it", || {
        let before = sleeps();
        sleep(Duration::from_millis(200));
        sleeps() == before
    });
    assert_eq!(busy(), 0, "after all have gone");
}

/// Sends messages of 64 KB, of which nobody wants all kept for who does not read: more than is kept for one listener.
fn send_much(place: &Place, reading: &mut Stream) {
    for number in 0..160 {
        let content = format!("{number:03}{}", "x".repeat(65_000));
        place.send(&place.ann, &content);
        assert_eq!(reading.content(), content);
    }
}

#[test]
fn who_does_not_keep_up_is_told_so_and_holds_nobody_up() {
    let house = house();
    let place = Place::new(&house, &[]);
    let mut reading = Stream::open(&place.server, "", &place.bob);
    let mut stalled: Vec<Stream> = (0..15).map(|_| Stream::open(&place.server, "", &place.ann)).collect();
    let before = place.server.memory("VmRSS");
    send_much(&place, &mut reading);
    let grown = place.server.memory("VmRSS").saturating_sub(before);
    // What waits for them is kept once for all.
    assert!(grown < 96 * 1024, "{grown} KiB for fifteen that do not read");
    // Whoever reads on gets what was on its way, and hears that the rest is not to come; on a slow machine they are gone by then.
    let mut late = stalled.pop().unwrap();
    let (reason, before) = late.rest();
    assert_eq!(reason.unwrap_or("too_slow".to_owned()), "too_slow");
    for (number, event) in before.iter().enumerate() {
        let content = event.data["message"]["content"].as_str().unwrap();
        assert!(content.starts_with(&format!("{number:03}x")), "in order and without a gap");
    }
    assert!(before.len() < 150, "{}", before.len());
    // With the cursor it has all the rest.
    let mut again = Stream::resume(&place.server, "", &place.ann, &late.cursor);
    for number in before.len()..160 {
        assert!(again.content().starts_with(&format!("{number:03}x")), "{number}");
    }
    if !is_long() {
        return say_left_out("the end of streams that nobody reads (TIDINGS_TEST_LONG)");
    }
    let start = Instant::now();
    until("those who do not read are gone", || listeners(&place.server) == 2);
    assert!(start.elapsed() < Duration::from_secs(35), "{:?}", start.elapsed());
    place.send(&place.ann, "goes on");
    assert_eq!(reading.content(), "goes on");
    assert_eq!(again.content(), "goes on");
    drop(stalled);
}

#[test]
fn what_is_wrong_with_a_request_takes_no_place() {
    let house = house();
    let place = Place::new(&house, &["--max-streams", "1"]);
    for _ in 0..3 {
        Stream::ask(&place.server, "?event=nothing", &place.bob, &[]).err().unwrap().problem(400, "invalid");
        Stream::ask(&place.server, "?since=nothing", &place.bob, &[]).err().unwrap().problem(400, "invalid");
        let absent = "?conversation=019b78c9-0a80-7000-8000-000000000000";
        Stream::ask(&place.server, absent, &place.bob, &[]).err().unwrap().problem(404, "not_found");
    }
    // A ticket for which there is no place has been for nothing only once.
    let stream = Stream::open(&place.server, "", &place.bob);
    is_full(&place, &place.ann);
    let made = place.server.post("/api/events/ticket/", &place.ann, &json!({})).expect(201).json();
    let by_ticket = format!("?ticket={}", made["ticket"].as_str().unwrap());
    Stream::ask(&place.server, &by_ticket, "", &[]).err().unwrap().problem(429, "rate_limited");
    drop(stream);
    until("there is room again", || Stream::ask(&place.server, "", &place.ann, &[]).is_ok());
}
