//! Deleting one's own account: a receipt, the name typed, the password where it was given long ago.

use super::{Browser, age, hidden, text};
use crate::http::in_every_house;

#[test]
fn an_account_is_deleted_by_its_receipt_and_its_name() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        house.run("message send team 'hello all' --as bob", "");
        house.run("message send team 'good morning' --as ann --reply-to team#2", "");
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let page = text(&browser.get("/account/delete/").expect(200));
        assert!(page.contains(", 1 stays as an empty place, because others replied to it."), "{page}");
        for row in ["Messages sent</th><td class=\"number\">1<", "Sessions</th><td class=\"number\">1<"] {
            assert!(page.contains(row), "{row}: {page}");
        }
        // Looking changes nothing.
        browser.get("/account/").expect(200);
        let key = hidden(&page, "key", 0);
        let page = text(&browser.post("/account/delete/", &[("key", &key), ("username", "ann")]).expect(400));
        assert!(page.contains("That is not your username.") && page.contains("value=\"ann\""), "{page}");
        let mut second = Browser { server: &server, cookie: browser.cookie.clone() };
        let page = text(&browser.send("/account/delete/", &[("key", &key), ("username", "bob")]));
        assert!(page.contains("Your account is deleted.") && browser.cookie.is_none(), "{page}");
        // The second click, and one of somebody else
        let page = text(&second.send("/account/delete/", &[("key", &key), ("username", "bob")]));
        assert!(page.contains("Your account is deleted."), "{page}");
        Browser::new(&server).post("/account/delete/", &[("key", "forged"), ("username", "bob")]).expect(403);
        let list = house.run("user list -o ids", "").stdout;
        assert_eq!(list.lines().count(), 1);
    });
}

#[test]
fn the_password_is_asked_for_where_it_was_given_more_than_ten_minutes_ago() {
    in_every_house(|house| {
        let server = house.serve(&["--failed-logins", "0"]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        assert!(!text(&browser.get("/account/delete/").expect(200)).contains("current_password"));
        age(house, 10 * 60 + 1);
        let asked = text(&browser.get("/account/delete/").expect(200));
        assert!(asked.contains("name=\"current_password\""), "{asked}");
        let with = |password| [("username", "bob"), ("current_password", password)];
        for (password, detail) in [("", "Enter your password"), ("wrong", "That is not your password.")] {
            let page = text(&browser.post("/account/delete/", &with(password)).expect(400));
            assert!(page.contains(detail) && page.contains("id=\"delete-current_password-problem\""), "{page}");
        }
        // A wrong name keeps the account, whatever the password is.
        let wrong = [("username", "bo"), ("current_password", "correct horse 8")];
        browser.post("/account/delete/", &wrong).expect(400);
        assert!(text(&browser.send("/account/delete/", &with("correct horse 8"))).contains("Your account is deleted."));
    });
}

#[test]
fn the_last_admin_stays() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "ann", "correct horse 7");
        let page = text(&browser.get("/account/delete/").expect(403));
        assert!(page.contains("ann is the last admin and is not deleted."), "{page}");
        browser.get("/account/").expect(200);
    });
}

#[test]
fn a_deletion_whose_session_ended_is_not_carried_out_before_its_receipt_was_seen_again() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let page = text(&browser.get("/account/delete/").expect(200));
        let key = hidden(&page, "key", 0);
        house.run("token revoke bob", "");
        let page = text(&browser.post("/account/delete/", &[("key", &key), ("username", "bob")]).expect(403));
        assert!(hidden(&page, "next", 0) == "/account/delete/" && !page.contains("kept."), "{page}");
        let log_in = [
            ("username", "bob"),
            ("password", "correct horse 8"),
            ("next", "/account/delete/"),
            ("kept.key", &key),
            ("kept.username", "bob"),
        ];
        let page = text(&browser.send("/login/", &log_in));
        assert!(page.contains("Delete account</button>") && page.contains("Sessions</th>"), "{page}");
    });
}

#[test]
fn receipts_are_few_in_a_minute_and_who_asks_for_the_headers_alone_gets_none() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        for _ in 0..30 {
            let reply = browser.ask("HEAD", "/account/delete/", &[], &[]).expect(200);
            assert!(reply.header("content-type").unwrap().starts_with("text/html"));
        }
        let mut shown = 0;
        let refused = loop {
            let reply = browser.get("/account/delete/");
            if reply.status != 200 {
                break reply.expect(429);
            }
            shown += 1;
        };
        assert!((6..30).contains(&shown), "{shown}");
        assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 10);
    });
}

#[test]
fn who_has_the_cookie_alone_does_not_guess_the_password_for_as_long_as_they_like() {
    in_every_house(|house| {
        let server = house.serve(&["--behind-proxy", "--failed-logins", "2"]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        age(house, 10 * 60 + 1);
        let replies: Vec<_> = ["198.51.100.1", "198.51.100.2", "198.51.100.3"]
            .iter()
            .map(|address| {
                let headers = [("Sec-Fetch-Site", "same-origin"), ("X-Forwarded-For", address)];
                let fields = [("username", "bob"), ("current_password", "wrong")];
                browser.ask("POST", "/account/delete/", &headers, &fields)
            })
            .collect();
        assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [400, 400, 429]);
        let page = text(&replies[2]);
        assert!(page.contains("Request was throttled") && page.contains("action=\"/account/delete/\""), "{page}");
        assert!(replies[2].header("retry-after").is_some());
    });
}
