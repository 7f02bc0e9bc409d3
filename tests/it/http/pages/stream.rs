//! The event stream of a session.

use super::{Browser, age, execute, hidden, text};
use crate::http::events::stream::Stream;
use crate::http::in_every_house;
use crate::server::{Reply, Server};

fn ask(server: &Server, browser: &Browser<'_>, query: &str, headers: &[(&str, &str)]) -> Result<Stream, Reply> {
    let cookie = browser.cookie.clone().unwrap_or_default();
    let headers = [&[("Cookie", cookie.as_str())], headers].concat();
    Stream::ask_path(server.address(), &format!("/events/{query}"), &headers)
}

fn open(server: &Server, browser: &Browser<'_>, query: &str) -> Stream {
    let stream = ask(server, browser, query, &[("Sec-Fetch-Site", "same-origin")]);
    stream.unwrap_or_else(|reply| panic!("{}", text(&reply)))
}

#[test]
fn a_page_hears_what_concerns_its_user_and_goes_on_from_its_cursor() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let browser = Browser::of(&server, "bob", "correct horse 8");
        let mut stream = open(&server, &browser, "");
        house.run("message send team hello --as ann", "");
        assert_eq!(stream.content(), "hello");
        let cursor = stream.cursor.clone();
        drop(stream);
        house.run("message send team again --as ann", "");
        let again = [("Sec-Fetch-Site", "same-origin"), ("Last-Event-ID", cursor.as_str())];
        assert_eq!(ask(&server, &browser, "", &again).unwrap_or_else(|_| panic!("refused")).content(), "again");
    });
}

#[test]
fn an_admin_hears_a_conversation_that_is_named_and_others_hear_nothing_of_what_is_not_theirs() {
    in_every_house(|house| {
        house.run("user create eve --no-password", "");
        let made = house.run("conversation create bob eve --name apart -o ids", "").stdout;
        let server = house.serve(&[]);
        let apart = format!("?conversation={}", made.trim());
        let admin = Browser::of(&server, "ann", "correct horse 7");
        let mut stream = open(&server, &admin, &apart);
        house.run("message send apart secret --as eve", "");
        assert_eq!(stream.content(), "secret");
        house.run("conversation remove apart bob", "");
        let bob = Browser::of(&server, "bob", "correct horse 8");
        let refused = ask(&server, &bob, &apart, &[("Sec-Fetch-Site", "same-origin")]);
        refused.err().unwrap().problem(404, "not_found");
    });
}

#[test]
fn what_ends_a_session_ends_its_stream_and_no_other() {
    in_every_house(|house| {
        let server = house.serve(&["--failed-logins", "0", "--logins", "0"]);
        let mut here = Browser::of(&server, "bob", "correct horse 8");
        let ends = |what: &str, end: &mut dyn FnMut(&mut Browser<'_>)| {
            println!("{what}");
            let mut browser = Browser::of(&server, "bob", "correct horse 8");
            let mut stream = open(&server, &browser, "");
            end(&mut browser);
            assert_eq!(stream.end().0, "revoked");
            browser.get("/account/").expect(303);
        };
        let mut others = open(&server, &here, "?event=message.created");
        ends("a log-out", &mut |browser| drop(browser.post("/logout/", &[]).expect(303)));
        ends("ended from elsewhere", &mut |_| {
            let one = hidden(&text(&here.get("/account/").expect(200)), "session", 0);
            here.send("/account/sessions/", &[("session", &one)]);
        });
        ends("all others", &mut |_| drop(here.send("/account/sessions/", &[])));
        house.run("message send team hello --as ann", "");
        assert_eq!(others.content(), "hello", "this session goes on");
        ends("a revocation", &mut |_| drop(house.run("token revoke bob", "")));
        ends("a deactivation", &mut |_| {
            house.run("user deactivate bob", "");
            house.run("user activate bob", "");
        });
        ends("a deletion", &mut |_| drop(house.run("user delete bob --yes", "")));
    });
}

#[test]
fn a_stream_is_for_pages_of_this_server_with_a_session() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        for headers in [&[("Sec-Fetch-Site", "cross-site")][..], &[("Origin", "https://evil.example")]] {
            ask(&server, &browser, "", headers).err().unwrap().problem(403, "forbidden");
        }
        let nobody = Browser::new(&server);
        ask(&server, &nobody, "", &[]).err().unwrap().problem(401, "unauthenticated");
        // That a page listens is no use of it.
        age(house, 12 * 60 * 60 - 10);
        let mut idle = open(&server, &browser, "");
        assert_eq!(idle.end().0, "expired");
        ask(&server, &browser, "", &[]).err().unwrap().problem(401, "unauthenticated");
        // What is used lasts, until its thirty days are over.
        browser = Browser::of(&server, "bob", "correct horse 8");
        age(house, 12 * 60 * 60 - 10);
        browser.get("/account/").expect(200);
        let mut used = open(&server, &browser, "");
        age(house, 30 * 24 * 60 * 60 - 12 * 60 * 60);
        execute(house, "UPDATE session SET seen_at = created_at + 2591990000000");
        let mut late = open(&server, &browser, "");
        assert_eq!(late.end().0, "expired");
        browser.get("/account/").expect(303);
        house.run("message send team hello --as ann", "");
        assert_eq!(used.content(), "hello");
    });
}
