//! Logging in and out, and what a session is worth.

use serde_json::json;

use super::{Browser, age, hidden, text};
use crate::http::in_every_house;
use crate::server::Server;

#[test]
fn somebody_logs_in_is_led_back_and_logs_out() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::new(&server);
        let led = browser.get("/account/?done=levels").expect(303);
        assert_eq!(led.header("location"), Some("/login/?next=%2Faccount%2F%3Fdone%3Dlevels"));
        let form = text(&browser.get(led.header("location").unwrap()).expect(200));
        assert_eq!(hidden(&form, "next", 0), "/account/?done=levels");
        let fields = [("username", "Bob"), ("password", "correct horse 8"), ("next", "/account/?done=levels")];
        let page = text(&browser.send("/login/", &fields));
        assert!(page.contains("Your notifications are saved.") && page.contains("Firefox on Linux"), "{page}");
        let cookie = browser.cookie.clone().unwrap();
        assert!(cookie.starts_with("tidings="), "{cookie}");
        // Who is logged in goes on.
        assert_eq!(browser.get("/login/?next=/account/").expect(303).header("location"), Some("/account/"));
        let page = text(&browser.send("/logout/", &[]));
        assert!(page.contains("You are logged out.") && browser.cookie.is_none());
        browser.cookie = Some(cookie);
        browser.get("/account/").expect(303);
        for path in ["/", "/account", "/logout/"] {
            let status = browser.get(path).status;
            assert!([303, 308].contains(&status), "{path}: {status}");
        }
    });
}

#[test]
fn a_log_in_that_fails_says_so_keeps_what_was_typed_and_is_counted() {
    let server =
        Server::ephemeral("- {type: user, username: bob, password: correct horse 8}", &[], &["--failed-logins", "2"]);
    let mut browser = Browser::new(&server);
    for _ in 0..2 {
        let reply = browser.post("/login/", &[("username", "b\"ob<"), ("password", "wrong"), ("next", "/account/")]);
        let page = text(&reply.expect(403));
        assert!(page.contains("No active account found with the given credentials"), "{page}");
        assert!(page.contains("value=\"b&#34;ob&#60;\"") && !page.contains("wrong"), "{page}");
        assert_eq!(hidden(&page, "next", 0), "/account/");
    }
    for name in ["bob", "bob", "bob"] {
        browser.post("/login/", &[("username", name), ("password", "wrong")]);
    }
    let reply = browser.post("/login/", &[("username", "bob"), ("password", "correct horse 8")]).expect(429);
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    let page = text(&reply);
    assert!(page.contains("Request was throttled"), "{page}");
    // The guesses are the same as those over REST.
    server.post("/api/token/", "", &json!({ "username": "bob", "password": "correct horse 8" })).expect(429);
    assert!(browser.cookie.is_none());
}

#[test]
fn a_log_in_leads_to_no_other_place_than_this_server() {
    let server = Server::ephemeral("- {type: user, username: bob, password: correct horse 8}", &[], &[]);
    for next in ["//evil.example", "https://evil.example/", "/\\evil.example", "/logout/", "account/"] {
        let mut browser = Browser::new(&server);
        let fields = [("username", "bob"), ("password", "correct horse 8"), ("next", next)];
        assert_eq!(browser.post("/login/", &fields).expect(303).header("location"), Some("/"), "{next}");
        let mut stranger = Browser::new(&server);
        let query = form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>();
        assert_eq!(hidden(&text(&stranger.get(&format!("/login/?next={query}"))), "next", 0), "/");
    }
}

#[test]
fn a_session_ends_after_twelve_hours_without_use_and_with_what_ends_tokens() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        age(house, 11 * 60 * 60);
        browser.get("/account/").expect(200);
        // Its use was written.
        age(house, 11 * 60 * 60);
        browser.get("/account/").expect(200);
        // Who asks for the headers alone does not use it.
        age(house, 11 * 60 * 60);
        browser.ask("HEAD", "/account/", &[], &[]).expect(200);
        age(house, 60 * 60);
        browser.get("/account/").expect(303);
        for command in ["token revoke bob", "user deactivate bob", "user delete bob --yes"] {
            let mut browser = Browser::of(&server, "bob", "correct horse 8");
            house.run(command, "");
            browser.get("/account/").expect(303);
            if command.starts_with("user deactivate") {
                house.run("user activate bob", "");
                browser.get("/account/").expect(303);
            }
        }
    });
}

#[test]
fn a_new_log_in_takes_the_place_of_the_session_before_it() {
    let server = Server::ephemeral("- {type: user, username: bob, password: correct horse 8}", &[], &[]);
    let mut browser = Browser::of(&server, "bob", "correct horse 8");
    let mut before = Browser { server: &server, cookie: browser.cookie.clone() };
    browser.post("/login/", &[("username", "bob"), ("password", "correct horse 8")]).expect(303);
    assert_ne!(browser.cookie, before.cookie);
    browser.get("/account/").expect(200);
    before.get("/account/").expect(303);
}

#[test]
fn under_tls_the_cookie_is_for_this_host_alone() {
    let server =
        Server::ephemeral("- {type: user, username: bob, password: correct horse 8}", &[], &["--behind-proxy"]);
    let proxied =
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "203.0.113.7"), ("Sec-Fetch-Site", "same-origin")];
    let mut browser = Browser::new(&server);
    let fields = [("username", "bob"), ("password", "correct horse 8")];
    let reply = browser.ask("POST", "/login/", &proxied, &fields).expect(303);
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-tidings="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    browser.ask("GET", "/account/", &proxied, &[]).expect(200);
    // The same secret under the other name counts for nothing.
    let plain = browser.cookie.clone().unwrap().replace("__Host-", "");
    Browser { server: &server, cookie: Some(plain) }.ask("GET", "/account/", &proxied, &[]).expect(303);
}

#[test]
fn the_api_knows_no_cookies_and_pages_no_tokens() {
    let server = Server::ephemeral("- {type: user, username: bob, password: correct horse 8}", &["bob"], &[]);
    let mut browser = Browser::of(&server, "bob", "correct horse 8");
    browser.get("/api/users/me/").expect(401);
    browser.ask("POST", "/api/events/ticket/", &[], &[]).expect(401);
    server.get("/account/", server.token("bob")).expect(303);
    server.get("/events/", server.token("bob")).expect(401);
}

#[test]
fn a_link_on_another_site_does_not_make_a_page_say_that_something_was_done() {
    let server = Server::ephemeral("- {type: user, username: bob, password: correct horse 8}", &[], &[]);
    let mut browser = Browser::new(&server);
    for (site, is_said) in [("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false)] {
        let page = text(&browser.ask("GET", "/login/?done=deleted", &[("Sec-Fetch-Site", site)], &[]).expect(200));
        assert_eq!(page.contains("Your account is deleted."), is_said, "{site}");
        assert_eq!(page.contains("data-viewer"), is_said, "{site}");
    }
    assert!(text(&browser.ask("GET", "/login/?done=deleted", &[], &[])).contains("Your account is deleted."));
}
