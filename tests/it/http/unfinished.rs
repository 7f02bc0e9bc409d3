//! What is no request, or none that comes to its end, or too large a one.

use std::io::Write;
use std::time::{Duration, Instant};

use super::robust::at_a_place;
use crate::server::Connection;
use crate::support::{is_long, say_left_out};

#[test]
fn what_is_no_request_is_refused_by_a_problem_document_too() {
    at_a_place(|place| {
        let request = |head: &str, rest: &str| format!("{head} HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n").into_bytes();
        for garbage in [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 the hello of TLS\r\n\r\n".as_slice(),
            b"hello there\r\n\r\n",
            b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\nHost\n\n",
            b"\0\0\0\0\0\0\0\0\r\n\r\n",
            &request("POST /api/token/", "Content-Length: many\r\n"),
            &request("POST /api/token/", "Content-Length: 1\r\nContent-Length: 2\r\n"),
            &request("POST /api/token/", "Transfer-Encoding: gzip\r\n"),
            &request("POST /api/token/", "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        ] {
            place.unheard(garbage, 400, "invalid");
        }
        for coding in ["gzip, chunked", "GZIP,chunked", "chunked, chunked", "deflate\r\nTransfer-Encoding: chunked"] {
            let request = request("POST /api/token/", &format!("Connection: close\r\nTransfer-Encoding: {coding}\r\n"));
            place.unheard(&[&request[..], b"0\r\n\r\n"].concat(), 501, "not_implemented");
        }
        for head in [
            request("GET /health/live", &format!("X: {}\r\n", "y".repeat(60_000))),
            request("GET /health/live", &format!("X: {}\r\n", "y".repeat(3_000_000))),
            request("GET /health/live", &"X: y\r\n".repeat(150)),
            request(&format!("GET /{}", "y".repeat(70_000)), ""),
        ] {
            place.unheard(&head, 431, "headers_too_large");
        }
        place.server.get("/health/live", "").expect(200);
    });
}

/// A log-in of so many bytes, with its length or in chunks
fn large(length: usize, is_chunked: bool) -> Vec<u8> {
    let head =
        "POST /api/token/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
    if !is_chunked {
        return [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), &vec![b' '; length]].concat();
    }
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65_536));
    format!("{head}Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(length / 65_536)).into_bytes()
}

#[test]
fn bodies_that_are_too_large_hear_so_and_take_no_memory() {
    at_a_place(|place| {
        for is_chunked in [false, true] {
            for length in [3_000_000, 20_000_000] {
                place.unheard(&large(length, is_chunked), 413, "too_large");
            }
            let longest = 1024 * 1024;
            place.unheard(&large(longest, is_chunked), 400, "invalid");
        }
        let request = large(20_000_000, false);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| place.server.exchange(&request));
            }
        });
        let most = place.server.memory("VmHWM");
        assert!(most < 150 * 1024, "{most} KiB");
    });
}

#[test]
fn who_is_refused_while_sending_may_send_on_for_a_moment_so_that_the_answer_arrives() {
    at_a_place(|place| {
        let mut connection = Connection::to(place.server.address()).unwrap();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{",
            place.messages
        );
        connection.stream().write_all(head.as_bytes()).unwrap();
        connection.answer().unwrap().problem(401, "unauthenticated");
        for _ in 0..10 {
            connection.stream().write_all(b" ").unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

#[test]
fn who_asks_before_sending_a_body_is_told_whether_to() {
    at_a_place(|place| {
        let head = |length: usize| {
            format!(
                "POST /api/token/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
                 Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        let mut connection = Connection::to(place.server.address()).unwrap();
        connection.stream().write_all(head(2).as_bytes()).unwrap();
        assert_eq!(connection.answer().unwrap().status, 100);
        connection.stream().write_all(b"{}").unwrap();
        connection.answer().unwrap().problem(400, "invalid");
        let mut connection = Connection::to(place.server.address()).unwrap();
        connection.stream().write_all(head(2_000_000).as_bytes()).unwrap();
        connection.answer().unwrap().problem(413, "too_large");
    });
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    at_a_place(|place| {
        let mut connection = Connection::to(place.server.address()).unwrap();
        let paths = ["/health/live", "/api/users/me/", "/nowhere", "/health/live"];
        let requests = paths.map(|path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).concat();
        connection.stream().write_all(requests.as_bytes()).unwrap();
        let statuses: Vec<u16> = paths.iter().map(|_| connection.answer().unwrap().status).collect();
        assert_eq!(statuses, [200, 401, 404, 200]);
    });
}

#[test]
fn a_body_that_breaks_off_changes_nothing() {
    at_a_place(|place| {
        let before = place.state();
        for promised in [r"Content-Length: 40", "Transfer-Encoding: chunked"] {
            let mut connection = Connection::to(place.server.address()).unwrap();
            let request = format!(
                "POST {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
                 {promised}\r\n\r\n10\r\n{{\"content\": \"a\"}}\r\n",
                place.messages, place.token
            );
            connection.stream().write_all(request.as_bytes()).unwrap();
            connection.stream().shutdown(std::net::Shutdown::Write).unwrap();
            connection.answer().unwrap().problem(400, "invalid");
        }
        assert_eq!(place.state(), before);
    });
}

#[test]
fn requests_that_do_not_come_to_their_end_are_ended() {
    if !is_long() {
        say_left_out("requests that are half sent (TIDINGS_TEST_LONG)");
        return;
    }
    at_a_place(|place| {
        let timed_out = |bytes: &str, seconds: u64| {
            let start = Instant::now();
            place.unheard(bytes.as_bytes(), 408, "timeout");
            let took = start.elapsed();
            let expected = Duration::from_secs(seconds)..Duration::from_secs(seconds + 3);
            assert!(expected.contains(&took), "{bytes}: {took:?}");
        };
        std::thread::scope(|scope| {
            scope.spawn(|| timed_out("GET /health/live HTTP/1.1\r\nHost: local", 10));
            scope.spawn(|| {
                timed_out("POST /api/token/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{", 30);
            });
            scope.spawn(|| {
                let mut connection = Connection::to(place.server.address()).unwrap();
                assert!(connection.answer().is_err(), "who says nothing hears nothing");
            });
        });
    });
}
