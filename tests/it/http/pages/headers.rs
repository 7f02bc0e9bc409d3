//! What protects pages: headers, and where forms may come from.

use super::{Browser, text};
use crate::server::{Reply, Server};

const BOB: &str = "- {type: user, username: bob, password: correct horse 8}";

#[test]
fn every_page_is_protected_and_of_no_use_to_other_sites() {
    let server = Server::ephemeral(BOB, &[], &["--cors-origins", "*"]);
    let mut browser = Browser::of(&server, "bob", "correct horse 8");
    let site = [("Origin", "https://evil.example")];
    for path in ["/", "/login/", "/account/", "/account/delete/", "/account/export/", "/password/x/", "/nowhere/"] {
        let reply = browser.ask("GET", path, &[site[0], ("Accept", "text/html")], &[]);
        let header = |name: &str| reply.header(name).unwrap_or_else(|| panic!("{path} has no {name}"));
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{path}");
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"] {
            assert!(policy.contains(part) && !policy.contains("unsafe"), "{path}: {policy}");
        }
        for name in ["access-control-allow-origin", "access-control-expose-headers"] {
            assert_eq!(reply.header(name), None, "{path}");
        }
    }
    let asks = [site[0], ("Access-Control-Request-Method", "POST")];
    let reply = browser.ask("OPTIONS", "/account/", &asks, &[]);
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert_eq!(reply.header("access-control-allow-methods"), None);
    let reply = browser.ask("GET", "/api/users/me/", &site, &[]);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
}

#[test]
fn a_form_of_another_site_is_refused_before_anything_is_read() {
    let server = Server::ephemeral(BOB, &["bob"], &[]);
    let mut browser = Browser::of(&server, "bob", "correct horse 8");
    let own = format!("http://{}", server.address());
    let fields = [("username", "eve"), ("email", "eve@example.org")];
    for headers in [
        &[("Sec-Fetch-Site", "cross-site")][..],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", own.as_str())],
        &[("Origin", "https://evil.example")],
        &[("Origin", "null")],
    ] {
        for path in ["/account/", "/account/delete/", "/login/", "/logout/", "/password/x/"] {
            let reply = browser.ask("POST", path, headers, &fields);
            assert_eq!(reply.status, 403, "{headers:?} {path}");
            assert!(text(&reply).contains("did not come from a page of this server"), "{path}");
        }
    }
    let me = || server.get("/api/users/me/", server.token("bob")).expect(200).json();
    assert_eq!((&me()["username"], &me()["email"]), (&"bob".into(), &serde_json::Value::Null));
    browser.get("/account/").expect(200);
    // What is no browser, and says nothing of where it is from, is no page of another site.
    browser.ask("POST", "/account/", &[], &[("username", "bob"), ("first_name", "A")]).expect(303);
    assert_eq!(me()["first_name"], "A");
    // A browser that says less says where the form comes from.
    browser
        .ask("POST", "/account/", &[("Origin", own.as_str())], &[("username", "bob"), ("first_name", "B")])
        .expect(303);
    assert_eq!(me()["first_name"], "B");
}

#[test]
fn errors_are_pages_for_those_who_read_pages() {
    let server = Server::ephemeral(BOB, &[], &[]);
    let session = Browser::of(&server, "bob", "correct horse 8").cookie.unwrap();
    let mut browser = Browser::new(&server);
    let page = browser.ask("GET", "/nowhere/", &[("Accept", "text/html,*/*")], &[]).expect(404);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    browser.ask("GET", "/api/nowhere/", &[("Accept", "text/html")], &[]).problem(404, "not_found");
    server.get("/nowhere/", "").problem(404, "not_found");
    let page = text(&browser.ask("DELETE", "/account/", &[], &[]).expect(405));
    assert!(page.contains("not allowed"), "{page}");
    let json = server.send("POST", "/login/", &[("Content-Type", "application/json")], b"{}").expect(415);
    assert!(text(&json).contains("application/x-www-form-urlencoded"));
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let is_page = |reply: &Reply| reply.header("content-type").unwrap().starts_with("text/html");
    // Strangers send small forms only.
    for (path, cookie, length, status) in [
        ("/login/", "", 16 * 1024 + 1, 413),
        ("/account/", "", 1024 * 1024 + 1, 413),
        ("/account/password/", session.as_str(), 16 * 1024 + 1, 400),
        ("/account/", session.as_str(), 1024 * 1024 + 1, 413),
    ] {
        let reply = server.send("POST", path, &[form, ("Cookie", cookie)], &vec![b'a'; length]).expect(status);
        assert!(is_page(&reply) && (status != 413 || text(&reply).contains("The body has more than")), "{path}");
    }
    let reply = server.send("POST", "/login/", &[form], b"username=%FF&password=x").expect(400);
    assert!(is_page(&reply) && text(&reply).contains("UTF-8"));
    let reply = browser.get("/password/%FF/").expect(404);
    assert!(is_page(&reply) && text(&reply).contains("This link is not valid"));
    server.get("/assets/%FF", "").problem(404, "not_found");
}

#[test]
fn errors_are_shown_to_whoever_is_logged_in_with_their_name() {
    let admin = "- {type: user, username: ann, role: admin, password: correct horse 7}";
    let server = Server::ephemeral(&format!("{BOB}\n{admin}"), &[], &["--failed-logins", "0"]);
    let page = [("Accept", "text/html")];
    let own = ("Sec-Fetch-Site", "same-origin");
    let asked = [
        ("GET", "/nowhere/", &page[..], 404),
        ("DELETE", "/account/", &page[..], 405),
        ("GET", "/password/x/", &[own][..], 404),
        ("POST", "/account/", &[("Sec-Fetch-Site", "cross-site")][..], 403),
    ];
    for (name, password, administers) in [("bob", "correct horse 8", false), ("ann", "correct horse 7", true)] {
        let mut browser = Browser::of(&server, name, password);
        for (method, path, headers, status) in asked {
            let page = text(&browser.ask(method, path, headers, &[]).expect(status));
            assert!(page.contains(&format!("<bdi>{name}</bdi>")) && page.contains("Log out"), "{path}: {page}");
            assert_eq!(page.contains("aria-label=\"Administration\""), administers, "{path}: {page}");
            let page = text(&Browser::new(&server).ask(method, path, headers, &[]).expect(status));
            assert!(page.contains(&format!(">{status}<")) && !page.contains("Log out"), "{path}: {page}");
        }
    }
    let page = text(&Browser::of(&server, "bob", "correct horse 8").get("/admin/").expect(403));
    assert!(page.contains("Only admins may do that.") && page.contains("<bdi>bob</bdi>"), "{page}");
    let mut browser = Browser::of(&server, "ann", "correct horse 7");
    assert_eq!(browser.get("/").expect(303).header("location"), Some("/admin/"));
}
