//! One's own account, form by form.

use serde_json::{Value, json};

use super::{Browser, age, hidden, text};
use crate::http::in_every_house;
use crate::server::Server;

#[test]
fn the_profile_is_changed_and_what_is_wrong_with_it_stands_at_its_field() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let page = text(&browser.get("/account/").expect(200));
        let key = hidden(&page, "key", 0);
        let fields = |username, email| {
            [
                ("key", key.as_str()),
                ("username", username),
                ("email", email),
                ("first_name", "Bob <b>"),
                ("last_name", ""),
            ]
        };
        let page = text(&browser.send("/account/", &fields("bob", "bob@example.org")));
        assert!(page.contains("Your profile is saved.") && page.contains("Bob &#60;b&#62;"), "{page}");
        let me = || server.get("/api/users/me/", &token).expect(200).json();
        assert_eq!((&me()["email"], &me()["first_name"]), (&json!("bob@example.org"), &json!("Bob <b>")));
        for (username, email, status, at) in [
            ("bob", "nothing", 400, "profile-email-problem"),
            ("b ob", "bob@example.org", 400, "profile-username-problem"),
            ("ANN", "bob@example.org", 409, "profile-username-problem"),
        ] {
            let reply = browser.post("/account/", &fields(username, email));
            let page = text(&reply.expect(status));
            assert!(page.contains(&format!("id=\"{at}\"")), "{page}");
            assert!(page.contains(&format!("value=\"{username}\"")) && page.contains(&format!("value=\"{email}\"")));
            assert_eq!(me()["username"], "bob");
        }
    });
}

#[test]
fn a_form_that_is_sent_twice_is_carried_out_once() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let key = hidden(&text(&browser.get("/account/").expect(200)), "key", 0);
        let with = |name| [("key", key.as_str()), ("username", "bob"), ("first_name", name)];
        browser.post("/account/", &with("One")).expect(303);
        browser.post("/account/", &with("Two")).expect(303);
        let name = || server.get("/api/users/me/", &token).expect(200).json()["first_name"].clone();
        assert_eq!(name(), "Two", "what was typed anew is another request");
        // The first one comes again, late.
        browser.post("/account/", &with("One")).expect(303);
        assert_eq!(name(), "Two");
    });
}

#[test]
fn a_new_password_needs_the_current_one_and_ends_every_other_log_in() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (token, _) = server.log_in("bob", "correct horse 8");
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let mut other = Browser::of(&server, "bob", "correct horse 8");
        let with = |current, new| [("current_password", current), ("password", new)];
        for (current, new, at) in [
            ("wrong", "correct horse 9", "password-current_password-problem"),
            ("correct horse 8", "short", "password-password-problem"),
        ] {
            let page = text(&browser.post("/account/password/", &with(current, new)).expect(400));
            assert!(page.contains(&format!("id=\"{at}\"")), "{page}");
            assert!(!page.contains("wrong") && !page.contains("value=\"short\""));
        }
        let mut lost = Browser { server: &server, cookie: browser.cookie.clone() };
        let page = text(&browser.send("/account/password/", &with("correct horse 8", "correct horse 9")));
        assert!(page.contains("Your password is changed."), "{page}");
        other.get("/account/").expect(303);
        server.get("/api/users/me/", &token).problem(401, "unauthenticated");
        // The answer was lost: the same form again, from the session that has ended.
        let cookie = lost.cookie.clone();
        assert!(text(&lost.post("/account/password/", &with("x", "correct horse 7")).expect(403)).contains("Log in"));
        assert_eq!(lost.cookie, cookie, "who does not know the new password gets nothing");
        lost.send("/account/password/", &with("correct horse 8", "correct horse 9"));
        assert_eq!(lost.cookie, browser.cookie);
        Browser::of(&server, "bob", "correct horse 9");
    });
}

#[test]
fn levels_are_set_for_all_conversations_of_a_page() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let (token, _) = server.log_in("bob", "correct horse 8");
        let team = || server.get("/api/conversations/", &token).expect(200).json()["results"][0].clone();
        let id = team()["conversation_id"].as_str().unwrap().to_owned();
        assert!(text(&browser.get("/account/")).contains(&format!("name=\"{id}\"")));
        let page = text(&browser.send("/account/levels/", &[(&id, "mentions")]));
        assert!(page.contains("Your notifications are saved."), "{page}");
        assert_eq!(team()["level"], "mentions");
        let foreign = "019b78c9-0a80-7000-8000-000000000001";
        let page = text(&browser.post("/account/levels/", &[(&id, "none"), (foreign, "none")]).expect(404));
        assert!(page.contains("There is no conversation"), "{page}");
        assert_eq!(team()["level"], "mentions", "all or nothing");
    });
}

#[test]
fn sessions_are_listed_and_ended_one_or_all_but_this() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut here = Browser::of(&server, "bob", "correct horse 8");
        age(house, 60);
        let mut others: Vec<_> = (0..2).map(|_| Browser::of(&server, "bob", "correct horse 8")).collect();
        let (token, _) = server.log_in("bob", "correct horse 8");
        let page = text(&here.get("/account/").expect(200));
        assert_eq!(page.matches("Firefox on Linux").count(), 3 + 2, "each with its button: {page}");
        assert_eq!(page.matches("this session").count(), 1);
        let this = page.split("this session").nth(1).unwrap().split("</li>").next().unwrap();
        assert!(this.contains("· last used now<"), "{this}");
        assert_eq!(page.matches("· last used <time").count(), 2, "{page}");
        let one = hidden(&page, "session", 0);
        assert!(text(&here.send("/account/sessions/", &[("session", &one)])).contains("The session has ended."));
        here.send("/account/sessions/", &[("session", &one)]);
        here.post("/account/sessions/", &[("session", "nonsense")]).expect(400);
        let left = others.iter_mut().filter_map(|other| (other.get("/account/").status == 200).then_some(())).count();
        assert_eq!(left, 1);
        server.get("/api/users/me/", &token).expect(200);
        assert!(text(&here.send("/account/sessions/", &[("key", "k")])).contains("All other sessions have ended."));
        for other in &mut others {
            other.get("/account/").expect(303);
        }
        server.get("/api/users/me/", &token).problem(401, "unauthenticated");
        // The same page again, later
        let mut late = Browser::of(&server, "bob", "correct horse 8");
        here.send("/account/sessions/", &[("key", "k")]);
        late.get("/account/").expect(303);
        here.get("/account/").expect(200);
    });
}

#[test]
fn an_export_is_a_file() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let reply = browser.get("/account/export/").expect(200);
        assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"tidings-export.json\""));
        let exported = reply.json();
        assert_eq!(exported["user"]["username"], "bob");
        assert_eq!(exported["user"]["sessions"][0]["browser"], "Firefox on Linux");
        Browser::new(&server).get("/account/export/").expect(303);
    });
}

#[test]
fn what_was_typed_is_kept_where_the_session_ended_meanwhile() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let mut browser = Browser::of(&server, "bob", "correct horse 8");
        let own = hidden(&text(&browser.get("/account/").expect(200)), "for", 0);
        house.run("token revoke bob", "");
        let fields = [("key", "k"), ("for", own.as_str()), ("username", "bob"), ("first_name", "\"Bob\"")];
        let page = text(&browser.post("/account/", &fields).expect(403));
        assert_eq!(
            (hidden(&page, "next", 0), hidden(&page, "kept.first_name", 0)),
            ("/account/".into(), "&#34;Bob&#34;".into())
        );
        let kept = [
            ("next", "/account/"),
            ("kept.key", "k"),
            ("kept.for", &own),
            ("kept.username", "bob"),
            ("kept.first_name", "\"Bob\""),
            ("username", "bob"),
        ];
        // A wrong password loses nothing either.
        let wrong = [&kept[..], &[("password", "wrong")]].concat();
        let page = text(&browser.post("/login/", &wrong).expect(403));
        assert_eq!(hidden(&page, "kept.first_name", 0), "&#34;Bob&#34;");
        // Who comes after bob to this browser gets nothing of it, nor does a page of his change anything of theirs.
        let next = [&kept[..4], &[("username", "ann"), ("password", "correct horse 7")]].concat();
        let mut ann = Browser::new(&server);
        assert_eq!(ann.post("/login/", &next).expect(303).header("location"), Some("/account/"));
        let page = text(&ann.post("/account/", &fields).expect(403));
        assert!(page.contains("a page of another account"), "{page}");
        let right = [&kept[..], &[("password", "correct horse 8")]].concat();
        let page = text(&browser.post("/login/", &right).expect(200));
        assert!(page.contains("action=\"/account/\"") && page.contains("<strong>Save profile</strong>"), "{page}");
        assert_eq!(hidden(&page, "first_name", 0), "&#34;Bob&#34;");
        browser.send("/account/", &fields);
        let (token, _) = server.log_in("bob", "correct horse 8");
        assert_eq!(server.get("/api/users/me/", &token).json()["first_name"], "\"Bob\"");
        // Of a form with a password nothing is kept.
        house.run("token revoke bob", "");
        let page = text(&browser.post("/account/password/", &[("password", "correct horse 9")]).expect(403));
        assert!(!page.contains("kept.") && !page.contains("horse"), "{page}");
    });
}

#[test]
fn an_account_with_many_conversations_is_turned_page_by_page() {
    let names: Vec<Value> = (0..25)
        .map(|number| json!({ "type": "conversation", "name": format!("group{number}"), "participants": ["ann", "bob"] }))
        .collect();
    let people = ["ann", "bob"].map(|name| json!({ "type": "user", "username": name, "password": "correct horse 8" }));
    let server = Server::ephemeral(&Value::from([&people[..], &names].concat()).to_string(), &[], &[]);
    let mut browser = Browser::of(&server, "bob", "correct horse 8");
    let first = text(&browser.get("/account/").expect(200));
    let next = first.split("href=\"/account/?cursor=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let second = text(&browser.get(&format!("/account/?cursor={next}")).expect(200));
    let count = |page: &str| page.matches("<select ").count();
    assert_eq!((count(&first), count(&second)), (20, 5));
    assert!(second.contains("rel=\"prev\""));
    assert_eq!(count(&text(&browser.get("/account/?cursor=forged").expect(200))), 20);
    // A form of the second page leads back to it.
    let place = hidden(&second, "place", 0);
    let foreign = "019b78c9-0a80-7000-8000-000000000001";
    let refused = text(&browser.post("/account/levels/", &[("place", &place), (foreign, "none")]).expect(404));
    assert_eq!((count(&refused), hidden(&refused, "place", 0)), (5, place.clone()));
    let page = text(&browser.send("/account/levels/", &[("place", &place)]));
    assert!(count(&page) == 5 && page.contains("Your notifications are saved."), "{page}");
}
