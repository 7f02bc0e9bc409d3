//! Forms of the administration where several work at once, or one sends a form again: only what was meant is changed, once, and the
//! log names who did it.

use std::collections::BTreeSet;

use serde_json::Value;
use tidings::http::pages;
use tidings::store::Location;

use super::users::{admin, id_of, listed, user};
use super::{Browser, age, filled, form_at, hidden, link_of, text};
use crate::http::{House, in_every_house};
use crate::server::Server;
use crate::support::texts;

/// Another admin, with a browser
fn other_admin<'s>(house: &House, server: &'s Server) -> Browser<'s> {
    house.run("user create eve --role admin --password-stdin", "correct horse 9");
    Browser::of(server, "eve", "correct horse 9")
}

#[test]
fn two_admins_with_one_form_change_each_what_they_typed() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (mut ann, mut eve) = (admin(&server), other_admin(house, &server));
        house.run("user update bob --role admin --email bob@example.org", "");
        let path = format!("/admin/users/{}/", id_of(house, "bob"));
        let [anns, eves] = [&mut ann, &mut eve].map(|browser| form_at(&text(&browser.get(&path).expect(200)), &path));
        let theirs = filled(&eves, &[("role", "user"), ("email", ""), ("last_name", "of Eve")]);
        eve.post(&path, &theirs).expect(303);
        // A form that is refused shows what is there now beside what was typed, and changes no more when it is sent again.
        let page = text(&ann.post(&path, &filled(&anns, &[("first_name", &"x".repeat(151))])).expect(400));
        let again = form_at(&page, &path);
        let value = |name: &str| again.iter().find(|(field, _)| field == name).unwrap().1.as_str();
        assert_eq!(
            (value("role"), value("email"), value("last_name"), value("first_name").len()),
            ("user", "", "of Eve", 151)
        );
        for (number, form) in [&anns, &again].into_iter().enumerate() {
            let name = format!("Bob {number}");
            ann.post(&path, &filled(form, &[("first_name", &name)])).expect(303);
            let bob = user(house, "bob");
            assert_eq!(
                (&bob["role"], &bob["email"], &bob["first_name"], &bob["last_name"]),
                (&"user".into(), &Value::Null, &name.into(), &"of Eve".into())
            );
        }
    });
}

#[test]
fn ones_own_forms_change_what_was_typed_and_leave_what_was_changed_elsewhere() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        house.run("conversation create ann bob --name hall --operator", "");
        house.run("user update bob --email bob@example.org", "");
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let page = text(&browser.get("/account/").expect(200));
        house.run("user update bob --username robert --email ''", "");
        browser.post("/account/", &filled(&form_at(&page, "/account/"), &[("first_name", "Bob")])).expect(303);
        let bob = user(house, "robert");
        assert_eq!((&bob["first_name"], &bob["email"]), (&"Bob".into(), &Value::Null));
        let levels = form_at(&page, "/account/levels/");
        let of = |name: &str| house.run(&format!("conversation show {name} -o ids"), "").stdout.trim().to_owned();
        let (team, hall) = (of("team"), of("hall"));
        house.run("conversation level team none --as robert", "");
        browser.post("/account/levels/", &filled(&levels, &[(&hall, "mentions")])).expect(303);
        let page = text(&browser.get("/account/").expect(200));
        let now = form_at(&page, "/account/levels/");
        let level = |id: &str| now.iter().find(|(name, _)| name == id).unwrap().1.as_str();
        assert_eq!((level(&team), level(&hall)), ("none", "mentions"));
    });
}

#[test]
fn a_right_password_counts_also_where_something_else_is_wrong() {
    in_every_house(|house| {
        let server = house.serve(&["--failed-logins", "0"]);
        let mut browser = admin(&server);
        let path = format!("/admin/users/{}/", id_of(house, "bob"));
        let (password, asks) = (("current_password", "correct horse 7"), "name=\"current_password\"");
        let delete = format!("{path}delete/");
        for (path, status) in [(path.as_str(), 409), ("/admin/users/", 409), (&delete, 400)] {
            age(house, 10 * 60 + 1);
            assert!(text(&browser.get(path).expect(200)).contains(asks));
            let wrong = [("username", "ann"), ("role", "admin"), password];
            let page = text(&browser.post(path, &wrong).expect(status));
            assert!(!page.contains(asks), "{page}");
        }
        age(house, 10 * 60 + 1);
        let page = text(&browser.post(&format!("{path}password-link/"), &[password]).expect(200));
        assert!(page.contains("class=\"link\"") && !page.contains(asks), "{page}");
        browser.post(&delete, &[("username", "bob")]).expect(303);
    });
}

#[test]
fn the_same_form_shows_the_same_link_while_it_is_valid() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let path = format!("/admin/users/{}/", id_of(house, "bob"));
        let make = format!("{path}password-link/");
        let mut browser = admin(&server);
        let form = form_at(&text(&browser.get(&path).expect(200)), &make);
        let shown = |page: &str| link_of(page).to_owned();
        let first = text(&browser.post(&make, &filled(&form, &[])).expect(200));
        let again = text(&browser.post(&make, &filled(&form, &[])).expect(200));
        assert_eq!(shown(&first), shown(&again));
        // The form of the page with the link makes the next.
        let next = text(&browser.post(&make, &filled(&form_at(&again, &make), &[])).expect(200));
        assert_ne!(shown(&next), shown(&first));
        let page = text(&browser.post(&make, &filled(&form, &[])).expect(409));
        assert!(
            page.contains("it was used, or something ended it. Make a new one.") && !page.contains("class=\"link\"")
        );
        let link = shown(&next).replace(&format!("http://{}", server.address()), "");
        Browser::new(&server).post(&link, &[("password", "correct horse 9")]).expect(303);
    });
}

#[test]
fn a_page_on_which_nothing_is_left_leads_back_to_the_first() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        super::users::create_many(house, 104);
        let mut browser = admin(&server);
        let first = text(&browser.get("/admin/users/?state=active&search=u").expect(200));
        let next = first.split("rel=\"next\"").next().unwrap().rsplit("href=\"").next().unwrap();
        let next = next.split('"').next().unwrap().replace("&#38;", "&");
        let last = text(&browser.get(&next).expect(200));
        let (ids, place) = (listed(&last), hidden(&last, "place", 1).replace("&#38;", "&"));
        assert_eq!(ids.len(), 2);
        let form = [("place", place.as_str()), ("action", "deactivate"), ("user", &ids[0]), ("user", &ids[1])];
        let page = text(&browser.send("/admin/users/bulk/", &form));
        assert!(page.contains("Nothing is left on this page.") && !page.contains("No user matches."), "{page}");
        assert!(page.contains("<a href=\"/admin/users/?search=u&#38;state=active\">Show the first page</a>"), "{page}");
    });
}

#[test]
fn a_form_that_does_not_say_what_to_do_with_accounts_does_nothing() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let bob = id_of(house, "bob");
        for action in [&[][..], &[("action", "remove")]] {
            let form = [&[("user", bob.as_str())], action].concat();
            browser.post("/admin/users/bulk/", &form).expect(400);
            browser.post(&format!("/admin/users/{bob}/active/"), action).expect(400);
        }
        browser.post(&format!("/admin/users/{bob}/sessions/"), &[("session", "nonsense")]).expect(400);
        assert_eq!(user(house, "bob")["is_active"], true);
    });
}

#[test]
fn receipts_of_others_are_few_in_a_minute_and_the_headers_alone_cost_none() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        let path = format!("/admin/users/{}/delete/", id_of(house, "bob"));
        for _ in 0..30 {
            let reply = browser.ask("HEAD", &path, &[], &[]).expect(200);
            assert!(reply.header("content-type").unwrap().starts_with("text/html"));
        }
        let shown = (0..30).take_while(|_| browser.get(&path).status == 200).count();
        assert!((6..30).contains(&shown), "{shown}");
        browser.get(&path).expect(429);
    });
}

#[test]
fn what_an_admin_does_by_any_form_is_in_the_log_by_their_name() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = admin(&server);
        Browser::of(&server, "bob", "correct horse 8");
        house.run("message edit team#1 changed --as ann", "");
        let bob = id_of(house, "bob");
        let message = house.run("message show team#1 -o ids", "").stdout.trim().to_owned();
        let forms: [(&str, &[(&str, &str)]); 10] = [
            ("/admin/messages/{message_id}/history/", &[("revision", "1")]),
            ("/admin/users/", &[("username", "carol")]),
            ("/admin/users/{user_id}/", &[("first_name", "Bob")]),
            ("/admin/users/{user_id}/", &[("role", "admin")]),
            ("/admin/users/{user_id}/password-link/", &[]),
            ("/admin/users/{user_id}/sessions/", &[]),
            ("/admin/users/{user_id}/active/", &[("action", "deactivate")]),
            ("/admin/users/bulk/", &[("action", "activate"), ("user", &bob)]),
            ("/admin/users/bulk/", &[("action", "deactivate"), ("user", &bob)]),
            ("/admin/users/{user_id}/delete/", &[("username", "bob")]),
        ];
        let every: BTreeSet<&str> = pages()
            .filter(|(method, path)| *method == "POST" && path.starts_with("/admin/"))
            .map(|(_, path)| path)
            .collect();
        assert_eq!(forms.iter().map(|(path, _)| *path).collect::<BTreeSet<_>>(), every);
        for (path, form) in forms {
            let before = newest(house);
            let path = path.replace("{user_id}", &bob).replace("{message_id}", &message);
            let reply = browser.post(&path, form);
            assert!([200, 303].contains(&reply.status), "{path}: {}", text(&reply));
            let (key, actor) = newest(house);
            assert!(key > before.0, "{path} leaves no event");
            assert_eq!(actor, "ann", "{path} {form:?}");
        }
    });
}

/// The newest event: its key, and who did it
fn newest(house: &House) -> (i64, String) {
    let location = match &house.schema {
        None => Location::Sqlite(house.shell.path(&house.address)),
        Some(schema) => Location::Postgres(schema.url()),
    };
    let found = texts(
        &location,
        "SELECT event.key || ' ' || coalesce(account.username, 'nobody') FROM event
         LEFT JOIN account ON account.key = event.actor_key ORDER BY event.key DESC LIMIT 1",
    );
    let (key, actor) = found[0].split_once(' ').unwrap();
    (key.parse().unwrap(), actor.to_owned())
}
