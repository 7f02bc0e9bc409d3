//! The lists that pages show in parts: whoever follows the links sees all of a list, each once, there and back.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Browser, execute, text};
use crate::http::{House, in_every_house};

/// Loads records beside the server.
fn load(house: &House, records: impl IntoIterator<Item = Value>) {
    let records: Vec<String> = records.into_iter().map(|record| record.to_string()).collect();
    house.run("data load -", &records.join("\n"));
}

/// What begins with a mark on a page, as far as it is a number, an id or a name
fn items(page: &str, mark: &str) -> Vec<String> {
    let item = |rest: &str| rest.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '-').collect();
    page.split(mark).skip(1).map(item).collect()
}

/// Where the link leads that says so of itself
fn link(page: &str, of_itself: &str) -> Option<String> {
    let (before, _) = page.split_once(of_itself)?;
    Some(before.rsplit("href=\"").next().unwrap().split('"').next().unwrap().replace("&#38;", "&"))
}

/// Follows the links of a list to its end and back; there are so many items.
fn walk(browser: &mut Browser<'_>, path: &str, mark: &str, (on, back): (&str, &str), count: usize) {
    let [on, back] = [on, back].map(|rel| format!("\" rel=\"{rel}\""));
    let mut get = |path: &str| text(&browser.get(path).expect(200));
    let mut page = get(path);
    assert_eq!(link(&page, &back), None, "{path}");
    let mut pages = vec![items(&page, mark)];
    while let Some(next) = link(&page, &on) {
        page = get(&next);
        pages.push(items(&page, mark));
    }
    let all = pages.concat();
    assert_eq!((all.len(), all.iter().collect::<BTreeSet<_>>().len()), (count, count), "{path}: {pages:?}");
    assert!(pages.len() > 2, "{path}: {pages:?}");
    for expected in pages.iter().rev().skip(1) {
        page = get(&link(&page, &back).unwrap_or_else(|| panic!("{path} leads back from {page}")));
        assert_eq!(&items(&page, mark), expected, "{path}");
    }
    assert_eq!(link(&page, &back), None, "{path}");
}

#[test]
fn every_list_is_followed_to_its_end_and_back() {
    in_every_house(|house| {
        let person = |number: usize| format!("p{number:03}");
        let users = (0..210).map(|number| json!({ "type": "user", "username": person(number) }));
        let group = |number: usize| json!({ "type": "conversation", "name": format!("group-{number}"), "participants": ["ann", "p000"] });
        let everybody: Vec<String> = (0..210).map(person).chain(["ann".to_owned()]).collect();
        let crowd = json!({ "type": "conversation", "name": "crowd", "participants": everybody });
        let revisions: Vec<Value> = (0..120).map(|number| json!({ "content": format!("{number}") })).collect();
        let said = |number: usize| {
            json!({
                "type": "message", "key": format!("said-{number}"), "conversation": "crowd", "sender": "ann",
                "content": format!("word {number}"), "timestamp": format!("2026-01-01T09:{:02}:{:02}Z", number / 60, number % 60),
                "reply_to": if number > 0 { Some("said-0") } else { None },
                "revisions": if number == 129 { revisions.clone() } else { Vec::new() },
            })
        };
        load(house, users.chain((0..110).map(group)).chain([crowd]).chain((0..130).map(said)));
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "ann", "correct horse 7");
        let ids = |line: &str| house.run(&format!("{line} -o ids"), "").stdout.trim().to_owned();
        let (crowd, first, last) =
            (ids("conversation list --search crowd"), ids("user show p000"), ids("message list crowd --limit 1"));
        let forwards = ("next", "prev");
        let conversation = "<div class=\"what\"><a href=\"/admin/conversations/";
        for (path, mark, links, count) in [
            ("/admin/users/".to_owned(), "class=\"wide\"><a href=\"/admin/users/", forwards, 212),
            ("/admin/conversations/".to_owned(), conversation, forwards, 112),
            ("/admin/conversations/?search=group".to_owned(), conversation, forwards, 110),
            ("/admin/conversations/?user=p000".to_owned(), conversation, forwards, 111),
            (format!("/admin/conversations/{crowd}/"), "\" id=\"m", ("prev", "next"), 130),
            (format!("/admin/conversations/{crowd}/?thread=1"), "\" id=\"m", forwards, 130),
            (
                format!("/admin/conversations/{crowd}/participants/"),
                "<div class=\"what\"><a href=\"/admin/users/",
                forwards,
                211,
            ),
            (format!("/admin/messages/{last}/history/"), "<strong>Revision ", forwards, 121),
            ("/admin/search/?q=word".to_owned(), "\">#", forwards, 130),
            (format!("/admin/search/?q=word&conversation={crowd}"), "\">#", forwards, 130),
            (format!("/admin/users/{first}/"), conversation, forwards, 111),
            ("/account/".to_owned(), "<label for=\"level-", forwards, 112),
        ] {
            walk(&mut browser, &path, mark, links, count);
        }
        // In all conversations it is another list, which begins anew.
        let within = text(&browser.get(&format!("/admin/search/?q=word&conversation={crowd}")).expect(200));
        let second = text(&browser.get(&link(&within, "\" rel=\"next\"").unwrap()).expect(200));
        let everywhere = link(&second, "\">Search all conversations").unwrap();
        assert_eq!(everywhere, "/admin/search/?q=word");
        let place = link(&second, "\" rel=\"next\"").unwrap().split("cursor=").nth(1).unwrap().to_owned();
        for path in [everywhere.clone(), format!("{everywhere}&cursor={place}")] {
            let found = text(&browser.get(&path).expect(200));
            assert_eq!(items(&found, "\">#").first().map(String::as_str), Some("130"), "{path}");
        }
    });
}

#[test]
fn from_every_page_of_a_search_through_conversations_a_link_leads_back() {
    in_every_house(|house| {
        house.run("conversation create bob ann --name alpha-old", "");
        execute(
            house,
            &"INSERT INTO conversation (id, kind, name, name_folded, names_folded, created_at, active_at)
              WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 10000)
              SELECT gen_random_uuid(), 1, 'more-' || number, 'more-' || number, 'more-' || number, 1, 1 FROM numbers"
                .replace("gen_random_uuid()", if house.schema.is_some() { "gen_random_uuid()" } else { "randomblob(16)" }),
        );
        house.run("conversation create bob ann --name alpha-new", "");
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "ann", "correct horse 7");
        let mut get = |path: &str| text(&browser.get(path).expect(200));
        let first = get("/admin/conversations/?search=alpha");
        assert!(first.contains(">alpha-new<") && first.contains("10,000 conversations were looked through"), "{first}");
        assert!(!first.contains(">Newest<"), "{first}");
        let second = get(&link(&first, "\" rel=\"next\"").unwrap());
        assert!(second.contains(">alpha-old<") && !second.contains("rel=\"prev\""), "{second}");
        assert_eq!(link(&second, "\">Newest<").as_deref(), Some("/admin/conversations/?search=alpha"));
        // What stood on a page may be gone by now.
        house.run("conversation delete alpha-old --yes", "");
        let gone = get(&link(&first, "\" rel=\"next\"").unwrap());
        assert!(gone.contains("No more conversations.") && gone.contains(">Newest<"), "{gone}");
    });
}
