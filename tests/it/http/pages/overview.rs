//! What admins see of the whole: the overview and the health of the server.

use serde_json::json;

use super::{Browser, execute, plain, text};
use crate::http::{WORLD, in_every_house, messages_of};
use crate::server::Server;
use crate::support::Shell;

/// The number with that name
fn number(page: &str, name: &str) -> String {
    let rest = page.split(&format!("<dt>{name}</dt><dd>")).nth(1).unwrap_or_else(|| panic!("no {name}: {page}"));
    rest.split('<').next().unwrap().to_owned()
}

/// The command that a page says does the same
pub(super) fn command(page: &str) -> String {
    let rest = page.split("<p class=\"command\">").nth(1).and_then(|part| part.split("<code>").nth(1));
    let rest = rest.unwrap_or_else(|| panic!("none: {page}"));
    let line = plain(rest.split("</code>").next().unwrap());
    line.strip_prefix("tidings ").unwrap().to_owned()
}

/// The overview, once it is counted for the first time
fn overview(browser: &mut Browser<'_>) -> String {
    loop {
        let page = text(&browser.get("/admin/").expect(200));
        if !page.contains("Everything is being counted") {
            return page;
        }
    }
}

#[test]
fn the_overview_is_counted_once_a_minute_and_says_the_command_that_does_the_same() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let mut browser = Browser::of(&server, "ann", "correct horse 7");
        let send = || server.post(&messages_of(&server, &token), &token, &json!({ "content": "again" })).expect(201);
        send();
        let page = overview(&mut browser);
        let numbers = ["Users", "Conversations", "Messages", "Unread notifications"].map(|name| number(&page, name));
        assert_eq!(numbers, ["2", "1", "2", "1"]);
        assert!(number(&page, "Database").ends_with('B'), "{page}");
        assert_eq!((page.matches("<svg viewBox=").count(), page.matches("<td class=\"number\">").count()), (2, 60));
        send();
        assert_eq!(overview(&mut browser), page, "it was counted again");
        let status = house.run(&command(&page), "");
        assert!(status.stdout.contains("users"), "{status}");
    });
}

#[test]
fn what_was_counted_is_forgotten_where_the_database_returns_to_an_earlier_state() {
    let shell = Shell::new();
    std::fs::write(shell.path("world.yaml"), WORLD).unwrap();
    let server = Server::start(&shell.path(""), &["--ephemeral", "--fixture", "world.yaml"], &[]);
    let messages = || number(&overview(&mut Browser::of(&server, "ann", "correct horse 7")), "Messages");
    assert_eq!(messages(), "1");
    server.test("rollback").expect(204);
    let (token, _) = server.log_in("ann", "correct horse 7");
    server.post(&messages_of(&server, &token), &token, &json!({ "content": "again" })).expect(201);
    assert_eq!(messages(), "2");
}

#[test]
fn the_health_says_whether_the_database_works_what_is_pending_and_how_requests_went() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "ann", "correct horse 7");
        let page = text(&browser.get("/admin/health/").expect(200));
        assert!(
            page.contains("The database can be read and written: a trial write succeeded.")
                && page.contains("Nothing is pending."),
            "{page}"
        );
        let row = "<th scope=\"row\">POST /login/</th><td class=\"number\">1</td><td class=\"number\">0</td>";
        assert!(page.contains(row), "{page}");
        assert_eq!(number(&page, "Open event streams"), "0");
        house.run(&command(&page), "");
        execute(house, "INSERT INTO maintenance (task, since, position) VALUES (2, 1767258000000000, 0)");
        let page = text(&browser.get("/admin/health/").expect(200));
        assert!(page.contains("Finding out which usernames look alike") && page.contains("1 Jan 2026"), "{page}");
        if house.schema.is_some() {
            return;
        }
        let other = rusqlite::Connection::open(house.shell.path("test.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let page = text(&browser.get("/admin/health/").expect(200));
        assert!(page.contains("The database cannot be written, or does not answer in time."), "{page}");
    });
}
