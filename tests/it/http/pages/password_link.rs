//! Links by which somebody sets their password.

use std::time::SystemTime;

use tidings::model::Timestamp;

use super::{Browser, text};
use crate::http::{House, in_every_house};

/// The path of a link made on the command line
fn link(house: &House, user: &str) -> String {
    // The command line of a house has a clock of its own.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    let now = Timestamp(now.try_into().unwrap());
    let line = format!("user password-link {user} -q --base-url http://chat.example.org --now {now}");
    let made = house.run(&line, "").stdout;
    made.trim_end().strip_prefix("http://chat.example.org").unwrap().to_owned()
}

#[test]
fn a_link_sets_a_password_once_and_its_secret_is_in_no_log() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut session = Browser::of(&server, "bob", "correct horse 8");
        let path = link(house, "bob");
        let mut browser = Browser::new(&server);
        for _ in 0..2 {
            let page = text(&browser.get(&path).expect(200));
            assert!(page.contains("<bdi>bob</bdi>"), "looking at it does not use it up: {page}");
        }
        let page = text(&browser.post(&path, &[("password", "bob")]).expect(400));
        assert!(page.contains("id=\"password-password-problem\""), "{page}");
        let page = text(&browser.send(&path, &[("password", "correct horse 9")]));
        assert!(page.contains("Your password is set. Log in with it."), "{page}");
        session.get("/account/").expect(303);
        // The second click is answered as the first, and nobody else learns or changes anything.
        browser.send(&path, &[("password", "correct horse 9")]);
        let page = text(&browser.post(&path, &[("password", "correct horse 7")]).expect(404));
        assert!(
            page.contains("<h1>This link no longer works</h1>") && page.contains("This link is not valid"),
            "{page}"
        );
        browser.get(&path).expect(404);
        Browser::of(&server, "bob", "correct horse 9");
        for path in ["/password/nonsense/".to_owned(), format!("/password/{}/", "A".repeat(43))] {
            browser.get(&path).expect(404);
            browser.post(&path, &[("password", "correct horse 9")]).expect(404);
        }
        let secret = path.trim_matches('/').split('/').nth(1).unwrap().to_owned();
        // The log is written a little later, in order.
        browser.get("/account/levels/").expect(303);
        while !server.log().contains("/account/levels/") {
            std::thread::yield_now();
        }
        assert!(server.log().contains("/password/{token}/") && !server.log().contains(&secret));
    });
}

#[test]
fn a_newer_link_or_the_end_of_the_account_ends_a_link() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::new(&server);
        let first = link(house, "bob");
        let second = link(house, "bob");
        assert_ne!(first, second);
        browser.get(&first).expect(404);
        browser.get(&second).expect(200);
        house.run("user delete bob --yes", "");
        browser.get(&second).expect(404);
        browser.post(&second, &[("password", "correct horse 9")]).expect(404);
    });
}

#[test]
fn in_the_browser_of_somebody_else_a_link_says_that_the_password_is_set_and_that_they_are_still_logged_in() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut ann = Browser::of(&server, "ann", "correct horse 7");
        let path = link(house, "bob");
        for _ in 0..2 {
            let page = text(&ann.send(&path, &[("password", "correct horse 9")]));
            assert!(page.contains("The password that the link was for is set."), "{page}");
            assert!(page.contains("<bdi>ann</bdi>"), "{page}");
        }
        Browser::of(&server, "bob", "correct horse 9");
    });
}
