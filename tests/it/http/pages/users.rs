//! Users in the administration: the list, one of them, and their deletion.

use std::process::Command;

use serde_json::{Value, json};

use super::{Browser, age, hidden, link_of, plain, text};
use crate::http::{House, in_every_house};
use crate::server::Server;

/// What would be markup, or several words of a shell, if it were not escaped
const HOSTILE: &str = "\"><b>&'$(id)";

pub(super) fn admin(server: &Server) -> Browser<'_> {
    Browser::of(server, "ann", "correct horse 7")
}

pub(super) fn id_of(house: &House, name: &str) -> String {
    house.run(&format!("user show {name} -o ids"), "").stdout.trim().to_owned()
}

pub(super) fn user(house: &House, name: &str) -> Value {
    serde_json::from_str(&house.run(&format!("user show {name} -o json"), "").stdout).unwrap()
}

/// The ids of the users that a page lists
pub(super) fn listed(page: &str) -> Vec<String> {
    let rows = page.split("<th scope=\"row\" class=\"wide\"><a href=\"/admin/users/").skip(1);
    rows.map(|row| row.split('/').next().unwrap().to_owned()).collect()
}

/// The commands that a page says, as people copy them
fn commands(page: &str) -> Vec<String> {
    let lines = page.split("<p class=\"command\">").skip(1).filter_map(|rest| rest.split("<code>").nth(1));
    let mut lines: Vec<String> = lines.map(|rest| plain(rest.split("</code>").next().unwrap())).collect();
    lines.dedup();
    lines
}

/// Runs what a page says, with a shell; returns what it printed.
fn run_in_shell(house: &House, line: &str) -> String {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tidings"));
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(house.shell.path(""))
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", program.parent().unwrap().display()))
        .envs([("HOME", "."), ("USER", "root"), ("TIDINGS_DB", &house.address)])
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Creates users beside the server; those with an odd number are deactivated.
pub(super) fn create_many(house: &House, count: usize) {
    let record = |number: usize| {
        let is_active = number.is_multiple_of(2);
        json!({ "type": "user", "username": format!("u{number:03}"), "is_active": is_active }).to_string()
    };
    let records: Vec<String> = (0..count).map(record).collect();
    house.run("data load -", &records.join("\n"));
}

#[test]
fn users_are_searched_and_filtered_and_the_address_keeps_how() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        create_many(house, 120);
        let mut browser = admin(&server);
        let mut ask = |query: &str| text(&browser.get(&format!("/admin/users/{query}")).expect(200));
        let first = ask("");
        assert_eq!(listed(&first).len(), 50);
        assert_eq!(listed(&ask("?search=U00")).len(), 10);
        let own = ask("?role=admin");
        assert_eq!(listed(&own), [id_of(house, "ann")]);
        // There is nothing to tick.
        let button = "form=\"several\" name=\"action\"";
        assert!(first.contains(button) && !own.contains(button), "{own}");
        assert_eq!(listed(&ask("?search=u00&state=deactivated")).len(), 5);
        assert_eq!(listed(&ask("?search=+u007%20")), [id_of(house, "u007")], "as it is pasted");
        assert!(ask("?search=nobody+has+it").contains("No user matches."));
        // From page to page, with the filter
        let mut page = ask("?state=active&search=u&role=user");
        let mut seen = listed(&page);
        while let Some(rest) = page.split("rel=\"next\"").next().filter(|before| *before != page) {
            let next = rest.rsplit("href=\"").next().unwrap().split('"').next().unwrap().replace("&#38;", "&");
            assert!(next.contains("search=u&role=user&state=active&cursor="), "{next}");
            page = text(&browser.get(&next).expect(200));
            assert!(
                page.contains("value=\"active\" selected")
                    && page.contains("name=\"search\" type=\"search\" value=\"u\"")
            );
            seen.extend(listed(&page));
        }
        assert_eq!(seen.len(), 60);
        // What is wrong with the filter stands at its field, in place of the list.
        let long = "x".repeat(201);
        for (query, at, detail) in [
            (format!("search={long}"), "search", "at most 200 are allowed"),
            ("search=u0&role=owner".to_owned(), "role", "Choose one of these."),
            ("search=u0&state=asleep".to_owned(), "state", "Choose one of these."),
        ] {
            let page = text(&browser.get(&format!("/admin/users/?{query}")).expect(400));
            let described = format!("aria-invalid=\"true\" aria-describedby=\"filter-{at}-problem\" autofocus");
            assert!(page.contains(detail) && page.contains(&described) && listed(&page).is_empty(), "{page}");
            assert!(page.contains("<title>Error: Users") && !page.contains("role=\"alert\""), "{page}");
            assert!(page.contains(&long) || page.contains("value=\"u0\""), "{page}");
        }
    });
}

#[test]
fn exactly_the_users_that_were_ticked_are_changed_and_the_place_is_kept() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        create_many(house, 6);
        let mut browser = admin(&server);
        let page = text(&browser.get("/admin/users/?search=u0").expect(200));
        let (key, place) = (hidden(&page, "key", 1), hidden(&page, "place", 1));
        assert_eq!(place, "?search=u0");
        let [first, second, gone] = ["u000", "u002", "u004"].map(|name| id_of(house, name));
        house.run("user delete u004 --yes", "");
        let form = |action: &'static str| {
            [
                ("key", key.as_str()),
                ("place", place.as_str()),
                ("user", first.as_str()),
                ("user", second.as_str()),
                ("user", gone.as_str()),
                ("action", action),
            ]
        };
        for _ in 0..2 {
            // The second time it is the same click.
            let reply = browser.post("/admin/users/bulk/", &form("deactivate")).expect(303);
            assert_eq!(reply.header("location"), Some("/admin/users/?search=u0&done=deactivated.2"));
        }
        let page = text(&browser.get("/admin/users/?search=u0&done=deactivated.2").expect(200));
        assert!(page.contains("2 accounts are deactivated, and logged out everywhere."), "{page}");
        let states =
            || ["u000", "u001", "u002", "u003", "u005", "bob"].map(|name| user(house, name)["is_active"] == true);
        assert_eq!(states(), [false, false, false, false, false, true]);
        browser.post("/admin/users/bulk/", &[("user", &first), ("action", "activate")]).expect(303);
        assert_eq!(states(), [true, false, false, false, false, true]);
        // Nobody is ticked, and nobody means all.
        let page =
            text(&browser.post("/admin/users/bulk/", &[("place", &place), ("action", "deactivate")]).expect(400));
        assert!(page.contains("Nobody is selected") && listed(&page).len() == 5, "{page}");
        // One's own account is not among them, even where the form says so; then nothing is done, and what was ticked stays.
        let own = id_of(house, "ann");
        let both = [("user", first.as_str()), ("user", own.as_str()), ("action", "deactivate")];
        let page = text(&browser.post("/admin/users/bulk/", &both).expect(403));
        assert!(
            page.contains("Only another admin") && !page.contains(&format!("value=\"{own}\" aria-label")),
            "{page}"
        );
        assert!(page.contains(&format!("value=\"{first}\" aria-label=\"Select u000\" checked")), "{page}");
        assert_eq!(states(), [true, false, false, false, false, true]);
    });
}

#[test]
fn a_user_is_created_once_and_what_is_wrong_stands_at_its_field() {
    in_every_house(|house| {
        let server = house.serve(&["--failed-logins", "0"]);
        let mut browser = admin(&server);
        let key = hidden(&text(&browser.get("/admin/users/").expect(200)), "key", 0);
        let form = |username, role| {
            [
                ("key", key.as_str()),
                ("username", username),
                ("email", "carol@example.org"),
                ("first_name", "<b>Carol"),
                ("role", role),
            ]
        };
        for (username, status) in [("c arol", 400), ("BOB", 409)] {
            let page = text(&browser.post("/admin/users/", &form(username, "user")).expect(status));
            assert!(
                page.contains("id=\"new-username-problem\"") && page.contains("<details class=\"adds\" open>"),
                "{page}"
            );
            assert!(page.contains("value=\"&#60;b&#62;Carol\"") && page.contains(&format!("value=\"{username}\"")));
        }
        let made = |reply: &crate::server::Reply| reply.header("location").unwrap().to_owned();
        let first = made(&browser.post("/admin/users/", &form("carol", "user")).expect(303));
        assert_eq!(made(&browser.post("/admin/users/", &form("carol", "user")).expect(303)), first);
        assert_eq!(first, format!("/admin/users/{}/?done=created", id_of(house, "carol")));
        let page = text(&browser.get(&first).expect(200));
        assert!(
            page.contains("There is no password yet: a link lets the user set one. The link works once, within")
                && page.contains("The user is created."),
            "{page}"
        );
        // An admin is not made by whoever finds a browser open.
        age(house, 10 * 60 + 1);
        let admin = |password| [("username", "dave"), ("role", "admin"), ("current_password", password)];
        for (password, detail) in [("", "Enter your password"), ("wrong", "That is not your password.")] {
            let page = text(&browser.post("/admin/users/", &admin(password)).expect(400));
            assert!(page.contains(detail) && page.contains("id=\"new-current_password-problem\""), "{page}");
        }
        browser.post("/admin/users/", &admin("correct horse 7")).expect(303);
        assert_eq!(user(house, "dave")["role"], "admin");
    });
}

#[test]
fn a_user_is_changed_and_their_role_only_with_the_password() {
    in_every_house(|house| {
        let server = house.serve(&["--failed-logins", "0"]);
        house.run("message send team 'hello all' --as ann", "");
        let path = format!("/admin/users/{}/", id_of(house, "bob"));
        let mut browser = admin(&server);
        let page = text(&browser.get(&path).expect(200));
        assert!(page.contains(">team</bdi>") && page.contains("1 unread of 1"), "{page}");
        assert!(page.contains("/?at=2#m2\">#2 in <bdi>team</bdi></a>") && page.contains("message from <a"), "{page}");
        assert!(page.contains("The last active first"), "{page}");
        let form = |username, role, password| {
            [("username", username), ("first_name", HOSTILE), ("role", role), ("current_password", password)]
        };
        let page = text(&browser.send(&path, &form("bob", "user", "")));
        assert!(page.contains("The changes are saved.") && page.contains("&#34;&#62;&#60;b&#62;"), "{page}");
        assert_eq!(user(house, "bob")["first_name"], HOSTILE);
        let page = text(&browser.post(&path, &form("ann", "user", "")).expect(409));
        assert!(page.contains("id=\"profile-username-problem\"") && page.contains("value=\"ann\""), "{page}");
        age(house, 10 * 60 + 1);
        browser.post(&path, &form("bob", "user", "")).expect(303);
        let page = text(&browser.post(&path, &form("bob", "admin", "")).expect(400));
        assert!(
            page.contains("id=\"profile-current_password-problem\"") && page.contains("\"admin\" selected"),
            "{page}"
        );
        browser.post(&path, &form("bob", "admin", "correct horse 7")).expect(303);
        assert_eq!(user(house, "bob")["role"], "admin");
        // Nobody changes their own role, whatever the form says; the page does not offer it.
        let own = format!("/admin/users/{}/", id_of(house, "ann"));
        let page = text(&browser.get(&own).expect(200));
        assert!(!page.contains("name=\"role\"") && page.contains("· last used now<"), "{page}");
        let page = text(&browser.post(&own, &form("ann", "user", "correct horse 7")).expect(403));
        assert!(page.contains("Nobody sets their own role"), "{page}");
    });
}

#[test]
fn a_user_is_deactivated_and_signed_out_everywhere() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let path = format!("/admin/users/{}/", id_of(house, "bob"));
        let mut browser = admin(&server);
        let mut theirs = Browser::of(&server, "bob", "correct horse 8");
        let (token, _) = server.log_in("bob", "correct horse 8");
        let page = text(&browser.get(&path).expect(200));
        assert!(page.contains("Firefox on Linux") && page.contains("beside 1 log-in of a program"), "{page}");
        let session = hidden(&page, "session", 0);
        let page = text(&browser.send(&format!("{path}sessions/"), &[("session", &session)]));
        assert!(page.contains("The session has ended.") && page.contains("Logged in in no browser."), "{page}");
        theirs.get("/account/").expect(303);
        server.get("/api/users/me/", &token).expect(200);
        let page = text(&browser.send(&format!("{path}sessions/"), &[]));
        assert!(page.contains("All sessions and access tokens of the user have ended."), "{page}");
        server.get("/api/users/me/", &token).expect(401);
        browser.get(&path).expect(200);
        let page = text(&browser.send(&format!("{path}active/"), &[("action", "deactivate")]));
        assert!(page.contains("1 account is deactivated") && page.contains(">Activate</button>"), "{page}");
        let refused = Browser::new(&server).post("/login/", &[("username", "bob"), ("password", "correct horse 8")]);
        refused.expect(403);
        let page = text(&browser.send(&format!("{path}active/"), &[("action", "activate")]));
        assert!(page.contains("1 account is active again."), "{page}");
        let own = format!("/admin/users/{}/active/", id_of(house, "ann"));
        let page = text(&browser.post(&own, &[("action", "deactivate")]).expect(403));
        assert!(page.contains("Only another admin"), "{page}");
    });
}

#[test]
fn the_link_that_sets_a_password_is_shown_once_to_whoever_gave_theirs() {
    in_every_house(|house| {
        let server = house.serve(&["--failed-logins", "0"]);
        let path = format!("/admin/users/{}/", id_of(house, "bob"));
        let mut browser = admin(&server);
        age(house, 10 * 60 + 1);
        let make = format!("{path}password-link/");
        let page = text(&browser.post(&make, &[]).expect(400));
        assert!(page.contains("id=\"link-current_password-problem\"") && !page.contains("/password/"), "{page}");
        let page = text(&browser.post(&make, &[("current_password", "correct horse 7")]).expect(200));
        let link = link_of(&page).strip_prefix(&format!("http://{}", server.address())).unwrap().to_owned();
        assert!(!text(&browser.get(&path).expect(200)).contains(&link));
        let mut theirs = Browser::new(&server);
        theirs.post(&link, &[("password", "correct horse 9")]).expect(303);
        Browser::of(&server, "bob", "correct horse 9");
        browser.send(&format!("{path}active/"), &[("action", "deactivate")]);
        let page = text(&browser.post(&make, &[]).expect(403));
        assert!(page.contains("is deactivated; it cannot log in."), "{page}");
    });
}

#[test]
fn an_account_is_deleted_by_its_receipt_and_its_name_and_a_page_of_it_says_so() {
    in_every_house(|house| {
        let server = house.serve(&["--failed-logins", "0"]);
        house.run("message send team 'hello all' --as bob", "");
        house.run("message send team 'good morning' --as ann --reply-to team#2", "");
        let path = format!("/admin/users/{}/", id_of(house, "bob"));
        let delete = format!("{path}delete/");
        let mut browser = admin(&server);
        let page = text(&browser.get(&delete).expect(200));
        assert!(page.contains(", 1 stays as an empty place, because others replied to it."), "{page}");
        assert!(page.contains("Messages sent</th><td class=\"number\">1<"), "{page}");
        let key = hidden(&page, "key", 0);
        let page = text(&browser.post(&delete, &[("key", &key), ("username", "ann")]).expect(400));
        assert!(page.contains("That is not the username.") && page.contains("value=\"ann\""), "{page}");
        age(house, 10 * 60 + 1);
        let page = text(&browser.post(&delete, &[("key", &key), ("username", "bob")]).expect(400));
        assert!(page.contains("id=\"delete-current_password-problem\""), "{page}");
        let form = [("key", key.as_str()), ("username", "bob"), ("current_password", "correct horse 7")];
        for _ in 0..2 {
            // The second click
            let page = text(&browser.send(&delete, &form));
            assert!(page.contains("The user is deleted.") && listed(&page) == [id_of(house, "ann")], "{page}");
        }
        // What was open on the user
        browser.get(&path).expect(404);
        browser.get(&delete).expect(404);
        for (form, fields) in [
            ("", &[("username", "bob")][..]),
            ("active/", &[("action", "deactivate")]),
            ("sessions/", &[]),
            ("password-link/", &[]),
            ("delete/", &[("username", "bob")]),
        ] {
            let page = text(&browser.post(&format!("{path}{form}"), fields).expect(404));
            assert!(page.contains("There is no user") && page.contains("<bdi>ann</bdi>"), "{form}: {page}");
        }
        for path in ["/admin/users/x/", "/admin/users/%FF/", "/admin/users/x/delete/"] {
            browser.get(path).expect(404);
        }
        let own = format!("/admin/users/{}/delete/", id_of(house, "ann"));
        assert_eq!(browser.get(&own).expect(303).header("location"), Some("/account/delete/"));
    });
}

#[test]
fn the_command_that_a_page_says_does_the_same() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let query = "search=%22%27%24%28id%29+x&role=user&state=active";
        let page = text(&browser.get(&format!("/admin/users/?{query}")).expect(200));
        assert_eq!(commands(&page), ["tidings user list '--search=\"'\\''$(id) x' --role=user --active"]);
        assert_eq!(run_in_shell(house, &format!("{} -o ids", commands(&page)[0])), "");
        let page = text(&browser.get("/admin/users/?role=user&state=active").expect(200));
        let found = run_in_shell(house, &format!("{} -o ids", commands(&page)[0]));
        assert_eq!(found.lines().collect::<Vec<_>>(), listed(&page));
        for name in [HOSTILE, "--help"] {
            let made = browser.post("/admin/users/", &[("username", name)]).expect(303);
            let path = made.header("location").unwrap().split('?').next().unwrap().to_owned();
            let page = text(&browser.get(&path).expect(200));
            let lines = commands(&page);
            assert_eq!(lines.len(), 3, "{lines:?}");
            run_in_shell(house, &lines[0]);
            // The link leads to this server.
            let made = run_in_shell(house, &format!("{} -q", lines[2]));
            assert!(made.starts_with(&format!("http://{}/password/", server.address())), "{}: {made}", lines[2]);
            run_in_shell(house, &lines[1]);
            let page = text(&browser.get(&path).expect(200));
            assert!(
                page.contains(">deactivated<") && commands(&page)[1].starts_with("tidings user activate "),
                "{page}"
            );
            run_in_shell(house, &commands(&page)[1]);
            let page = text(&browser.get(&format!("{path}delete/")).expect(200));
            run_in_shell(house, &format!("{} --yes", commands(&page)[0]));
            browser.get(&path).expect(404);
        }
    });
}
