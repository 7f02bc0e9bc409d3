//! The log of events as admins look through it.

use super::overview::command;
use super::{Browser, execute, text};
use crate::http::{House, in_every_house};

const HOSTILE: &str = "\"><b>&amp;'x";

fn create_hostile(house: &House) {
    let record = serde_json::json!({ "type": "user", "username": HOSTILE }).to_string();
    std::fs::write(house.shell.path("hostile.json"), record).unwrap();
    house.run("data load hostile.json", "");
}

#[test]
fn the_log_is_filtered_by_the_address_and_what_is_wrong_stands_at_its_field_with_everything_kept() {
    in_every_house(|house| {
        create_hostile(house);
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "ann", "correct horse 7");
        let mut get = |query: &str, status| text(&browser.get(&format!("/admin/events/{query}")).expect(status));
        let page = get("", 200);
        assert!(page.contains("<bdi>&#34;&#62;&#60;b&#62;&#38;amp;&#39;x</bdi>") && !page.contains("<b>"), "{page}");
        assert!(page.contains("user.created") && page.contains("conversation.created"), "{page}");
        let rows = |page: &str| page.matches("<span class=\"badge\">").count();
        assert_eq!(rows(&get("?kind=user.created", 200)), 3);
        assert_eq!(rows(&get("?kind=user.created&object=bob", 200)), 1);
        assert_eq!(rows(&get("?by=operator&kind=user.created&since=2020-01-01T00%3A00", 200)), 3);
        // Who is called nothing else is not named twice.
        execute(house, "UPDATE event SET operator = 'operator'");
        let page = get("", 200);
        assert!(page.contains("the operator</div>") && !page.contains("<bdi>operator</bdi>"), "{page}");
        assert_eq!(rows(&get("?until=2020-01-01T00%3A00", 200)), 0);
        let command = command(&get("?kind=user.created", 200));
        assert_eq!(command, "watch --event user.created");
        house.run(&format!("{command} --count 0"), "");
        for (query, at) in [
            ("actor=nobody&object=bob", "actor"),
            ("actor=bob&by=operator", "actor"),
            ("object=nobody&actor=bob", "object"),
            ("since=today&actor=bob", "since"),
            ("until=2026-02-30T00%3A00&actor=bob", "until"),
            ("since=2026-01-02&until=2026-01-01T10%3A00Z&actor=bob", "until"),
            ("kind=nonsense&actor=bob", "kind"),
            ("by=nobody&actor=bob", "by"),
        ] {
            let page = get(&format!("?{query}"), 400);
            assert!(page.contains(&format!("id=\"filter-{at}-problem\"")), "{query}: {page}");
            assert!(page.contains("aria-invalid=\"true\"") && page.contains("autofocus"), "{query}: {page}");
            assert!(!page.contains("<p class=\"command\">"), "{query}: {page}");
            assert!(page.contains("value=\"bob\"") && page.contains("<title>Error: Events"), "{query}: {page}");
            assert_eq!(rows(&page), 0);
        }
        // A browser empties fields of times that hold anything else.
        let page = get("?since=2026-01-01&until=2026-01-01T10%3A00%3A30%2B01%3A00", 200);
        for value in ["2026-01-01T00:00", "2026-01-01T09:00:30"] {
            assert!(page.contains(&format!("type=\"datetime-local\" value=\"{value}\"")), "{page}");
        }
        assert!(get("?since=today", 400).contains("type=\"text\" value=\"today\""));
    });
}

#[test]
fn older_events_are_led_to_with_the_same_filter_and_a_long_look_says_how_far_it_came() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "ann", "correct horse 7");
        let mut get = |path: &str| text(&browser.get(path).expect(200));
        execute(
            house,
            "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 10100)
             INSERT INTO event (kind, at) SELECT 12 - CASE WHEN n > 120 THEN 1 ELSE 0 END, 1767258000000000 + n FROM i",
        );
        let older = |page: &str| {
            let link = page.split("rel=\"next\"").next().filter(|before| before.len() < page.len())?;
            Some(link.rsplit("href=\"").next().unwrap().split('"').next().unwrap().replace("&#38;", "&"))
        };
        let first = get("/admin/events/?kind=user.deleted");
        let rare = get("/admin/events/?kind=participant.added");
        assert!(rare.contains("None of these events matches.") && rare.contains("rel=\"next\""), "{rare}");
        assert!(first.contains("10,000 events were looked through, back to") && !first.contains(">Newest<"), "{first}");
        let count = |page: &str| page.matches("<span class=\"badge\">user.deleted</span>").count();
        let mut path = older(&first).unwrap();
        let mut seen = vec![count(&first)];
        loop {
            assert!(path.starts_with("/admin/events/?kind=user.deleted&cursor="), "{path}");
            let page = get(&path);
            assert!(
                page.contains("<a class=\"button\" href=\"/admin/events/?kind=user.deleted\">Newest</a>"),
                "{page}"
            );
            seen.push(count(&page));
            let Some(next) = older(&page) else { break };
            path = next;
        }
        assert_eq!(seen, [20, 50, 50]);
    });
}
