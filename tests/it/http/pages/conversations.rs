//! The conversations of everybody, as an admin reads them: the list, a conversation, a thread, a history, a search.

use std::process::Command;

use super::{Browser, execute, hidden, plain, text};
use crate::http::{House, in_every_house};
use crate::server::Server;

/// A text that would be markup if it were not escaped
const MARKUP: &str = "<script>alert(1)</script> it's \"quoted\" & more";

/// The same in a page
const ESCAPED: &str = "&#60;script&#62;alert(1)&#60;/script&#62; it&#39;s &#34;quoted&#34; &#38; more";

fn admin(server: &Server) -> Browser<'_> {
    Browser::of(server, "ann", "correct horse 7")
}

fn page(browser: &mut Browser<'_>, path: &str) -> String {
    text(&browser.get(path).expect(200))
}

/// Sends a message from standard input; returns its id.
fn send(house: &House, options: &str, content: &str) -> String {
    house.run(&format!("message send team {options} -o ids -"), content).stdout.trim().to_owned()
}

/// The path of the page of the group
fn team(house: &House) -> String {
    let id = house.run("conversation list --search team -o ids", "").stdout;
    format!("/admin/conversations/{}/", id.trim())
}

/// Runs the command that a page says does the same; returns what it prints.
fn same_by_command(house: &House, page: &str) -> String {
    let (_, rest) = page.split_once("<p class=\"command\">").expect("a command");
    let (_, rest) = rest.split_once("<code>").unwrap();
    let line = plain(rest.split_once("</code>").unwrap().0);
    // As a shell reads it
    let split = format!("printf '%s\\0' {line}");
    let split = Command::new("sh").args(["-c", &split]).output().unwrap().stdout;
    let split = String::from_utf8(split).unwrap();
    let mut words: Vec<&str> = split.trim_end_matches('\0').split('\0').collect();
    assert_eq!(words.remove(0), "tidings");
    words.splice(0..0, ["--db", &house.address]);
    let run = house.shell.run_words(&words, "");
    assert_eq!(run.code, 0, "{line}: {run}");
    run.stdout
}

/// Fails unless a page says at a field of its filter what is wrong with it, and nowhere else.
fn is_wrong_at(page: &str, field: &str) {
    let described = format!("aria-invalid=\"true\" aria-describedby=\"filter-{field}-problem\" autofocus");
    assert!(page.contains(&described) && page.contains("<title>Error: "), "{field}: {page}");
    assert!(!page.contains("role=\"alert\""), "{field}: {page}");
}

#[test]
fn conversations_are_listed_and_found_by_name_and_by_who_takes_part() {
    in_every_house(|house| {
        house.run("user create eve --no-password", "");
        house.run("message send --to eve --as bob -", "hello");
        let create = ["--db", &house.address, "conversation", "create", "bob", "eve", "--title", "It's <b>bold</b>"];
        assert_eq!(house.shell.run_words(&create, "").code, 0);
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let names = ["It&#39;s &#60;b&#62;bold&#60;/b&#62;", ">bob and eve<", ">team<"];
        let shown = |page: &str| names.map(|name| page.contains(name));
        for (query, expected) in [
            ("", [true; 3]),
            ("?search=it%27s", [true, false, false]),
            ("?search=team", [false, false, true]),
            ("?user=eve", [true, true, false]),
            ("?user=EVE&search=bold", [true, false, false]),
            ("?search=nothing", [false; 3]),
        ] {
            let found = page(&mut browser, &format!("/admin/conversations/{query}"));
            assert_eq!(shown(&found), expected, "{query}: {found}");
            let told = same_by_command(house, &found);
            assert_eq!(told.contains("It's <b>bold"), expected[0], "{query}: {told}");
            assert_eq!(told.contains("team"), expected[2], "{query}: {told}");
        }
        let unknown = text(&browser.get("/admin/conversations/?user=nobody").expect(404));
        assert!(unknown.contains("There is no user “nobody”.") && unknown.contains("value=\"nobody\""), "{unknown}");
        assert!(!unknown.contains("<bdi>nobody</bdi>"), "{unknown}");
        is_wrong_at(&unknown, "user");
        let long = browser.get(&format!("/admin/conversations/?search={}", "x".repeat(201))).expect(400);
        is_wrong_at(&text(&long), "search");
    });
}

#[test]
fn a_conversation_is_read_from_any_number_on_and_nothing_of_it_becomes_read() {
    in_every_house(|house| {
        for number in 2..=120 {
            send(house, "--as bob", &format!("text {number}."));
        }
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let team = team(house);
        let shown = |page: &str, numbers: std::ops::RangeInclusive<i64>| {
            let holds = |number: i64| page.contains(&format!("id=\"m{number}\""));
            let (first, last) = (*numbers.start(), *numbers.end());
            assert!(numbers.clone().all(holds) && !holds(first - 1) && !holds(last + 1), "{first} to {last}: {page}");
        };
        let newest = page(&mut browser, &team);
        shown(&newest, 71..=120);
        assert!(newest.contains(" data-end") && same_by_command(house, &newest).contains("text 71."));
        assert!(newest.contains("?before=71#end") && !newest.contains("?after="));
        let older = page(&mut browser, &format!("{team}?before=71"));
        shown(&older, 21..=70);
        assert!(!older.contains(" data-end") && same_by_command(house, &older).contains("text 21."));
        shown(&page(&mut browser, &format!("{team}?after=70")), 71..=120);
        shown(&page(&mut browser, &format!("{team}?before=21")), 1..=20);
        let around = page(&mut browser, &format!("{team}?at=60"));
        shown(&around, 35..=84);
        assert_eq!(around.matches(" target\"").count(), 1);
        // Whatever is no number is the newest part.
        shown(&page(&mut browser, &format!("{team}?at=first")), 71..=120);
        // Where nothing is there any more, the newest part takes its place.
        for query in ["before=1", "after=120"] {
            let newest = page(&mut browser, &format!("{team}?{query}"));
            shown(&newest, 71..=120);
            assert!(newest.contains(" data-end") && newest.contains("?before=71#end"), "{newest}");
            assert!(same_by_command(house, &newest).contains("text 120."));
        }
        let beyond = page(&mut browser, &format!("{team}?at=500"));
        assert!(beyond.contains("There is no message #500.") && beyond.contains("id=\"m120\""));
        let unread = house.run("notifications count --as ann -o json", "").stdout;
        assert!(unread.contains("119"), "{unread}");
    });
}

#[test]
fn texts_are_escaped_and_long_ones_are_cut_with_a_way_to_the_whole() {
    in_every_house(|house| {
        let id = send(house, "--as bob", MARKUP);
        send(house, "--as bob", &"ä".repeat(30_000));
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let team = team(house);
        let shown = page(&mut browser, &team);
        assert!(shown.contains(ESCAPED) && !shown.contains("<script>"), "{shown}");
        assert!(shown.contains("28,000 more characters") && shown.len() < 40_000);
        let whole = page(&mut browser, &format!("{team}?at=3"));
        assert!(whole.contains(&"ä".repeat(30_000)) && !whole.contains("28,000"));
        // A message can be named by its id, too.
        assert!(page(&mut browser, &format!("{team}?at={id}")).contains("said target\" id=\"m2\""));
        // One of another conversation is none of this one, whatever its number.
        let other = house.run("message send --to bob --as ann -o ids -", "elsewhere").stdout;
        let other = page(&mut browser, &format!("{team}?at={}", other.trim()));
        assert!(other.contains("That message is not in this conversation.") && !other.contains(" target\""), "{other}");
        assert!(other.contains("id=\"m3\"") && other.contains(" data-end"), "{other}");
        house.run(&format!("message edit {id} --file -"), "new");
        house.run(&format!("message delete {id} --yes"), "");
        assert!(!page(&mut browser, &team).contains("id=\"m2\""));
        assert!(page(&mut browser, &format!("{team}?at={id}")).contains("That message is not in this conversation."));
    });
}

#[test]
fn replies_lead_to_their_parents_and_to_their_thread_and_tombstones_stay() {
    in_every_house(|house| {
        send(house, "--as bob --reply-to team#1", "an answer");
        send(house, "--as ann --reply-to team#2", "another");
        send(house, "--as ann", "beside it");
        house.run("message delete team#1 --yes", "");
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let team = team(house);
        let shown = page(&mut browser, &team);
        assert!(
            shown.contains("This message was deleted.") && shown.contains("href=\"#m1\">reply to #1</a>"),
            "{shown}"
        );
        assert!(shown.contains("href=\"?thread=2\""), "{shown}");
        let thread = page(&mut browser, &format!("{team}?thread=1"));
        assert!(thread.contains("said deep-2\" id=\"m3\"") && !thread.contains("id=\"m4\""), "{thread}");
        assert!(same_by_command(house, &thread).contains("another"));
        browser.get(&format!("{team}?thread=9")).expect(404);
        browser.get("/admin/conversations/019b78c9-0a80-7000-8000-000000000000/").expect(404);
        for path in
            ["conversations/team/", "conversations/%FF/", "conversations/%FF/participants/", "messages/%FF/history/"]
        {
            let absent = text(&browser.get(&format!("/admin/{path}")).expect(404));
            assert!(absent.contains("with this id.") && absent.contains("<bdi>ann</bdi>"), "{path}: {absent}");
        }
    });
}

#[test]
fn who_takes_part_is_shown_with_which_messages_notify_them() {
    in_every_house(|house| {
        house.run("conversation level team mentions --as bob", "");
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let team = team(house);
        for path in [team.clone(), format!("{team}participants/")] {
            let shown = page(&mut browser, &path);
            let (_, bob) = shown.split_once("<bdi>bob</bdi>").unwrap();
            assert!(bob.contains("Mentions and replies"), "{shown}");
            assert!(!same_by_command(house, &shown).is_empty());
        }
    });
}

#[test]
fn a_history_shows_what_changed_between_any_two_revisions() {
    in_every_house(|house| {
        let id = send(house, "--as ann", "see you at noon <b>");
        house.run(&format!("message edit {id} --file - --as ann --reason 'too <i>early</i>'"), "see them by noon <b>");
        house.run(&format!("message edit {id} --file -"), "gone");
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let path = format!("/admin/messages/{id}/history/");
        let first = page(&mut browser, &format!("{path}?from=1&to=2"));
        assert!(first.contains("see <del>you at</del><ins>them by</ins> noon &#60;b&#62;"), "{first}");
        assert!(
            first.contains("<q><bdi>too &#60;i&#62;early&#60;/i&#62;</bdi></q>") && first.contains("by the operator"),
            "{first}"
        );
        // The other way round, and without saying which: what changed last.
        let back = page(&mut browser, &format!("{path}?from=2&to=1"));
        assert!(back.contains("<del>them by</del><ins>you at</ins>"));
        let last = page(&mut browser, &path);
        assert!(last.contains("</span>#2 in <bdi>team</bdi></a>"), "{last}");
        assert!(last.contains("from revision 2 to 3") && last.contains("<ins>gone</ins>"), "{last}");
        assert!(page(&mut browser, &format!("{path}?from=3&to=3")).contains("the same text"));
        assert!(same_by_command(house, &last).contains("gone"));
        browser.get("/admin/messages/none/history/").expect(404);
        let links =
            |page: &str| [1, 2].map(|from| page.contains(&format!("?from={from}&amp;to={}\">What changed", from + 1)));
        assert_eq!(links(&last), [true, true]);
        execute(house, "DELETE FROM revision WHERE revision = 2");
        let gone = page(&mut browser, &path);
        assert!(gone.contains("somebody who is gone") && gone.contains("One of these revisions is gone"), "{gone}");
        assert_eq!(links(&gone), [false, false]);
        // What is asked for and not there is wrong at its field.
        for (query, at) in [("to=2", "to"), ("from=1&to=9", "to"), ("from=2&to=3", "from"), ("from=0", "from")] {
            let absent = text(&browser.get(&format!("{path}?{query}")).expect(404));
            is_wrong_at(&absent, at);
            assert!(absent.contains("The message has no revision") && absent.contains("Revision 3<"), "{absent}");
        }
        house.run(&format!("message delete {id} --yes"), "");
        browser.get(&path).expect(404);
    });
}

#[test]
fn a_long_history_has_pages_and_of_long_texts_only_what_changed_is_shown() {
    in_every_house(|house| {
        let id = send(house, "--as ann", "0");
        let long = |number: usize| format!("{} {number} {}", "same ".repeat(6000), "rest ".repeat(6000));
        for number in 1..=60 {
            let content = if number > 57 { long(number) } else { number.to_string() };
            house.run(&format!("message edit {id} --file -"), &content);
        }
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let path = format!("/admin/messages/{id}/history/");
        let first = page(&mut browser, &path);
        assert!(first.contains("Revision 61<") && first.contains("Revision 12<") && !first.contains("Revision 11<"));
        assert!(first.contains("<del>59</del><ins>60</ins>") && first.len() < 60_000, "{}", first.len());
        assert!(first.contains("characters that did not change"), "{first}");
        // The beginning of a text says whether it is all.
        assert!(first.contains("same …</p>") && first.contains("dir=\"auto\">57</p>"), "{first}");
        let whole = page(&mut browser, &format!("{path}?from=60&to=61&whole=yes"));
        assert!(whole.contains(&"same ".repeat(6000)) && !whole.contains("did not change"));
        let second = page(&mut browser, &format!("{path}?before=12"));
        assert!(second.contains("Revision 11<") && second.contains("Revision 1<") && !second.contains("Revision 12<"));
        assert!(second.contains("rel=\"prev\"") && !second.contains("rel=\"next\""), "{second}");
    });
}

/// The form that restores the first revision, from a page that showed the `current` one
fn restoring<'f>(key: &'f str, current: &'f str) -> [(&'f str, &'f str); 3] {
    [("key", key), ("revision", "1"), ("current", current)]
}

#[test]
fn an_admin_restores_a_revision_of_their_own_message_once() {
    in_every_house(|house| {
        let own = send(house, "--as ann", "first");
        let others = send(house, "--as bob", "theirs");
        for id in [&own, &others] {
            house.run(&format!("message edit {id} --file -"), "second");
        }
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let path = format!("/admin/messages/{own}/history/");
        let key = hidden(&page(&mut browser, &path), "key", 0);
        let form = [("key", key.as_str()), ("revision", "1")];
        let done = text(&browser.send(&path, &form));
        assert!(done.contains("The revision is restored.") && done.contains("3 revisions"), "{done}");
        house.run(&format!("message edit {own} --file -"), "later");
        // The same form again changes nothing.
        browser.post(&path, &form).expect(303);
        assert!(house.run(&format!("message show {own}"), "").stdout.contains("later"));
        // Nor does one from a page that shows an earlier text than there is by now.
        let seen = page(&mut browser, &path);
        assert!(seen.contains("The current text stays in the history."), "{seen}");
        let (key, current) = (hidden(&seen, "key", 0), hidden(&seen, "current", 0));
        house.run(&format!("message edit {own} --file -"), "latest");
        let refused = text(&browser.post(&path, &restoring(&key, &current)).expect(412));
        assert!(
            refused.contains("The message is at revision 5, not 4.") && refused.contains("5 revisions"),
            "{refused}"
        );
        assert!(refused.contains("role=\"alert\"") && refused.contains("<title>Error: "), "{refused}");
        // A text that it has already
        let (key, current) = (hidden(&refused, "key", 0), hidden(&refused, "current", 0));
        let done = text(&browser.send(&path, &restoring(&key, &current)));
        assert!(done.contains("The revision is restored.") && done.contains("6 revisions"), "{done}");
        let (key, current) = (hidden(&done, "key", 0), hidden(&done, "current", 0));
        for _ in 0..2 {
            let same = text(&browser.send(&path, &restoring(&key, &current)));
            assert!(same.contains("The message has this text already.") && same.contains("6 revisions"), "{same}");
        }
        browser.post(&path, &[("revision", "9")]).expect(404);
        let path = format!("/admin/messages/{others}/history/");
        let shown = page(&mut browser, &path);
        assert!(!shown.contains("name=\"revision\"") && shown.contains("Only its sender restores"), "{shown}");
        let refused = browser.post(&path, &[("revision", "1")]).expect(403);
        assert!(text(&refused).contains("Only its sender edits a message."), "{}", text(&refused));
    });
}

#[test]
fn messages_are_found_everywhere_and_in_one_conversation() {
    in_every_house(|house| {
        send(house, "--as bob", "the Harbour & the lunch");
        house.run("user create eve --no-password", "");
        house.run("message send --to eve --as bob -", "another harbour");
        house.run("conversation update team --title 'The <b>Team'", "");
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        assert!(!page(&mut browser, "/admin/search/").contains("found"));
        let all = page(&mut browser, "/admin/search/?q=harb*");
        for name in ["<bdi>The &#60;b&#62;Team</bdi> <code>team</code></a>", "#1 in <bdi>bob and eve</bdi></a>"] {
            assert!(all.contains(name), "{name}: {all}");
        }
        assert!(all.contains("2 messages found.") && all.contains("the <mark>Harbour</mark> &#38; the lunch"), "{all}");
        assert!(all.contains("?at=2#m2\"") && same_by_command(house, &all).contains("another"), "{all}");
        let id = team(house);
        let within = format!("/admin/search/?q=harb*&conversation={}", id.split('/').nth(3).unwrap());
        let within = page(&mut browser, &within);
        assert!(within.contains("1 message found.") && within.contains("name=\"conversation\""), "{within}");
        assert!(!same_by_command(house, &within).contains("another"));
        let sent = page(&mut browser, "/admin/search/?q=harbour&sender=bob&since=2020-01-01");
        assert!(sent.contains("2 messages found.") && same_by_command(house, &sent).contains("another"), "{sent}");
        assert!(page(&mut browser, "/admin/search/?q=it%27s+%3Cb%3E").contains("No message matches."));
        let elsewhere = text(&browser.get("/admin/search/?q=a&conversation=none").expect(404));
        assert!(elsewhere.contains("role=\"alert\""), "{elsewhere}");
        let long = format!("q={}", "x".repeat(201));
        for (query, status, at) in
            [("q=a&sender=nobody", 404, "sender"), ("q=a&since=soon", 400, "since"), (long.as_str(), 400, "q")]
        {
            is_wrong_at(&text(&browser.get(&format!("/admin/search/?{query}")).expect(status)), at);
        }
        // Without words nothing is looked for; everything else that was typed stays.
        let place = id.split('/').nth(3).unwrap();
        for query in ["sender=bob&q=", "q=+++", &format!("conversation={place}&q=+")] {
            let none = text(&browser.get(&format!("/admin/search/?{query}")).expect(400));
            is_wrong_at(&none, "q");
            assert!(none.contains("Type a word to search for.") && !none.contains("Nothing was found."), "{none}");
            assert_eq!(none.contains("value=\"bob\""), query.contains("bob"), "{none}");
            assert_eq!(none.contains(&format!("value=\"{place}\"")), query.contains(place), "{none}");
        }
        // A browser empties a field of dates that holds anything else.
        for (since, kind) in [("", "date"), ("2020-01-01", "date"), ("2020-01-01T09:00:00Z", "text"), ("soon", "text")]
        {
            let reply = text(&browser.get(&format!("/admin/search/?q=a&since={since}")));
            assert!(reply.contains(&format!("name=\"since\" type=\"{kind}\" value=\"{since}\"")), "{reply}");
            assert!(reply.contains(">Since (UTC)<"), "{reply}");
        }
    });
}

#[test]
fn a_command_takes_what_begins_with_a_dash_for_what_it_is() {
    in_every_house(|house| {
        let records = [
            serde_json::json!({ "type": "user", "username": "--help" }),
            serde_json::json!({ "type": "conversation", "title": "-x of --help", "participants": ["ann", "bob", "--help"] }),
        ];
        house.run("data load -", &records.map(|record| record.to_string()).join("\n"));
        let id = house.run("conversation list --search=-x -o ids", "").stdout.trim().to_owned();
        let send = ["--db", &house.address, "message", "send", &id, "--as=--help", "--", "-x is said"];
        assert_eq!(house.shell.run_words(&send, "").code, 0);
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        for (path, told) in [
            ("/admin/conversations/?search=-x", "-x of --help"),
            ("/admin/conversations/?user=--help", "-x of --help"),
            ("/admin/search/?q=-x&sender=--help&since=2020-01-01", "-**x** is said"),
        ] {
            let told_by_command = same_by_command(house, &page(&mut browser, path));
            assert!(told_by_command.contains(told), "{path}: {told_by_command}");
        }
    });
}

#[test]
fn a_conversation_is_called_the_same_on_every_page() {
    in_every_house(|house| {
        let right_to_left = "שלום";
        let names: Vec<String> = ["ann", right_to_left]
            .map(ToOwned::to_owned)
            .into_iter()
            .chain((0..10).map(|number| format!("q{number}")))
            .collect();
        let users = names[1..].iter().map(|name| serde_json::json!({ "type": "user", "username": name }).to_string());
        house.run("data load -", &users.collect::<Vec<_>>().join("\n"));
        let mut create = vec!["--db", &house.address, "conversation", "create"];
        create.extend(names.iter().map(String::as_str));
        assert_eq!(house.shell.run_words(&create, "").code, 0);
        house.run(&format!("message send --to {right_to_left} --as bob -"), "hello");
        house.run("conversation update team --title 'The team'", "");
        let id = house.run(&format!("user show {right_to_left} -o ids"), "").stdout;
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        // The direction of a name does not change the order of the others.
        let group = format!("<bdi>ann, \u{2068}{right_to_left}\u{2069}, q0, q1, q2, q3, q4, q5, q6, q7 …</bdi>");
        let list = page(&mut browser, "/admin/conversations/");
        assert!(
            list.contains(&group) && list.contains(&format!(">bob and \u{2068}{right_to_left}\u{2069}<")),
            "{list}"
        );
        for path in [format!("/admin/users/{}/", id.trim()), "/account/".to_owned()] {
            let found = page(&mut browser, &path);
            assert!(found.contains(&group), "{path}: {found}");
        }
        let log = page(&mut browser, "/admin/events/");
        assert!(
            log.contains("<bdi>The team</bdi>") && log.contains(&format!("bob and \u{2068}{right_to_left}\u{2069}<")),
            "{log}"
        );
    });
}
