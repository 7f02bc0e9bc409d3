//! Who may do what over HTTP: every endpoint, asked by everybody. What a rule means in detail is tested at the service; here,
//! that each endpoint asks the service as the caller, refuses with the right status, and leaves nothing behind then. Every answer
//! is held against the OpenAPI document, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Value, json};
use tidings::http::{Access, Endpoint, endpoints, pages};
use tidings::service::tokens::Secret;

use super::events::stream::Stream;
use super::pages::Browser;
use super::schema::Document;
use crate::server::{Reply, Server};
use crate::support::dump;

/// Those who ask, in the order of the cells of a row
const CALLERS: [&str; 6] = ["outsider", "former", "participant", "sender", "creator", "admin"];

/// Those whose tokens count no more; all of them took part in the group
const GONE: [&str; 3] = ["revoked", "inactive", "deleted"];

/// An endpoint, what it is asked about, who may, and the body that is sent.
///
/// About `team`: the group, the sender's message in it, and the user `other`, who takes part. About `direct`: the sender's talk
/// with the participant. About `own`: the group, the caller's own message in it, the caller. About `elsewhere`: the sender's
/// message under a conversation that it is not of. About `absent`: what is not there.
///
/// `y` done, `f` forbidden, `n` not found, `i` invalid, `-` nothing to ask about
type Row = (&'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("POST /api/token/", "team", "yyyyyy", r#"{"username": "other", "password": "correct horse 8"}"#),
    ("POST /api/token/refresh/", "team", "yyyyyy", r#"{"refresh": "{refresh}"}"#),
    ("POST /api/token/verify/", "team", "yyyyyy", r#"{"token": "{refresh}"}"#),
    ("POST /api/token/revoke/", "team", "yyyyyy", r#"{"refresh": "{refresh}"}"#),
    ("POST /api/users/", "team", "yyyyyy", r#"{"username": "newest", "password": "correct horse 9"}"#),
    ("GET /api/users/", "team", "yyyyyy", ""),
    ("GET /api/users/me/", "team", "yyyyyy", ""),
    ("PATCH /api/users/me/", "team", "yyyyyy", r#"{"first_name": "New"}"#),
    ("GET /api/users/me/export/", "team", "yyyyyy", ""),
    ("GET /api/users/{user_id}/", "team", "yyyyyy", ""),
    ("PATCH /api/users/{user_id}/", "team", "fffffy", r#"{"first_name": "New"}"#),
    ("PATCH /api/users/{user_id}/", "team", "fffffy", r#"{"role": "admin"}"#),
    ("PATCH /api/users/{user_id}/", "team", "fffffy", r#"{"is_active": false}"#),
    ("PATCH /api/users/{user_id}/", "own", "yyyyyy", r#"{"first_name": "New"}"#),
    ("PATCH /api/users/{user_id}/", "own", "fffff-", r#"{"role": "admin"}"#),
    ("PATCH /api/users/{user_id}/", "own", "-----f", r#"{"role": "user"}"#),
    ("PATCH /api/users/{user_id}/", "own", "ffffff", r#"{"is_active": false}"#),
    ("DELETE /api/users/{user_id}/", "team", "fffffy", ""),
    ("DELETE /api/users/{user_id}/", "own", "yyyyyy", ""),
    ("DELETE /api/user/delete/", "own", "yyyyyy", ""),
    ("GET /api/conversations/", "team", "yyyyyy", ""),
    ("POST /api/conversations/", "team", "yyyyyy", r#"{"participants": ["other"]}"#),
    ("GET /api/conversations/{conversation_id}/", "team", "nnyyyy", ""),
    ("GET /api/conversations/{conversation_id}/", "direct", "nnyyny", ""),
    ("PATCH /api/conversations/{conversation_id}/", "team", "nnffyy", r#"{"title": "New"}"#),
    ("PATCH /api/conversations/{conversation_id}/", "direct", "nniini", r#"{"title": "New"}"#),
    ("DELETE /api/conversations/{conversation_id}/", "team", "nnffyy", ""),
    ("DELETE /api/conversations/{conversation_id}/", "direct", "nnffny", ""),
    ("GET /api/conversations/{conversation_id}/participants/", "team", "nnyyyy", ""),
    ("GET /api/conversations/{conversation_id}/participants/", "direct", "nnyyny", ""),
    ("POST /api/conversations/{conversation_id}/participants/", "team", "nnyyyy", r#"{"participants": ["outsider"]}"#),
    (
        "POST /api/conversations/{conversation_id}/participants/",
        "direct",
        "nniini",
        r#"{"participants": ["outsider"]}"#,
    ),
    ("PATCH /api/conversations/{conversation_id}/participants/me/", "team", "nnyyyn", r#"{"level": "none"}"#),
    ("PATCH /api/conversations/{conversation_id}/participants/me/", "direct", "nnyynn", r#"{"level": "none"}"#),
    ("DELETE /api/conversations/{conversation_id}/participants/{user_id}/", "team", "nnffyy", ""),
    ("DELETE /api/conversations/{conversation_id}/participants/{user_id}/", "own", "nnyyyn", ""),
    ("POST /api/conversations/{conversation_id}/read/", "team", "nnyyyy", ""),
    ("POST /api/conversations/{conversation_id}/read/", "direct", "nnyyny", ""),
    ("GET /api/conversations/{conversation_id}/messages/", "team", "nnyyyy", ""),
    ("GET /api/conversations/{conversation_id}/messages/", "direct", "nnyyny", ""),
    ("POST /api/conversations/{conversation_id}/messages/", "team", "nnyyyf", r#"{"content": "hi"}"#),
    ("POST /api/conversations/{conversation_id}/messages/", "direct", "nnyynf", r#"{"content": "hi"}"#),
    ("GET /api/conversations/{conversation_id}/messages/{message_id}/", "team", "nnyyyy", ""),
    ("GET /api/conversations/{conversation_id}/messages/{message_id}/", "elsewhere", "nnnnnn", ""),
    ("PATCH /api/conversations/{conversation_id}/messages/{message_id}/", "team", "nnfyff", r#"{"content": "new"}"#),
    ("PATCH /api/conversations/{conversation_id}/messages/{message_id}/", "own", "-nyyy-", r#"{"content": "new"}"#),
    (
        "PATCH /api/conversations/{conversation_id}/messages/{message_id}/",
        "elsewhere",
        "nnnnnn",
        r#"{"content": "new"}"#,
    ),
    ("DELETE /api/conversations/{conversation_id}/messages/{message_id}/", "team", "nnfyfy", ""),
    ("DELETE /api/conversations/{conversation_id}/messages/{message_id}/", "own", "-nyyy-", ""),
    ("DELETE /api/conversations/{conversation_id}/messages/{message_id}/", "elsewhere", "nnnnnn", ""),
    ("GET /api/messages/", "team", "yyyyyy", ""),
    ("GET /api/messages/unread/", "team", "yyyyyy", ""),
    ("PATCH /api/messages/unread/", "team", "iiyyyy", r#"{"message_ids": ["{message_id}"]}"#),
    ("GET /api/messages/{message_id}/", "team", "nnyyyy", ""),
    ("GET /api/messages/{message_id}/", "direct", "nnyyny", ""),
    ("GET /api/messages/{message_id}/", "own", "-nyyy-", ""),
    ("PATCH /api/messages/{message_id}/", "team", "nnfyff", r#"{"content": "new"}"#),
    ("PATCH /api/messages/{message_id}/", "direct", "nnfynf", r#"{"content": "new"}"#),
    ("PATCH /api/messages/{message_id}/", "own", "-nyyy-", r#"{"content": "new"}"#),
    ("DELETE /api/messages/{message_id}/", "team", "nnfyfy", ""),
    ("DELETE /api/messages/{message_id}/", "direct", "nnfyny", ""),
    ("DELETE /api/messages/{message_id}/", "own", "-nyyy-", ""),
    ("GET /api/messages/{message_id}/history/", "team", "nnyyyy", ""),
    ("GET /api/messages/{message_id}/history/", "direct", "nnyyny", ""),
    ("GET /api/messages/{message_id}/thread/", "team", "nnyyyy", ""),
    ("GET /api/messages/{message_id}/thread/", "direct", "nnyyny", ""),
    ("GET /api/notifications/", "team", "yyyyyy", ""),
    ("PATCH /api/notifications/{message_id}/", "team", "nnynyn", r#"{"is_read": true}"#),
    ("PATCH /api/notifications/{message_id}/", "direct", "nnynnn", r#"{"is_read": true}"#),
    ("POST /api/notifications/read/", "team", "yyyyyy", ""),
    ("POST /api/notifications/read/", "team", "iiyiyi", r#"{"ids": ["{message_id}"]}"#),
    ("GET /api/events/", "team", "yyyyyy", ""),
    ("POST /api/events/ticket/", "team", "yyyyyy", ""),
];

/// A server with a world in which everybody has a part, its database, and what the rows are about
struct Scene {
    server: Server,
    database: PathBuf,
    ids: BTreeMap<String, String>,
    refresh: String,
    /// The cookies of the participant and of the admin
    session: String,
    admin: String,
    /// A link that sets the password of `other`
    link: String,
    document: Document,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let people = [&CALLERS[..], &GONE, &["other", "second"]].concat();
        let user = |name: &&str| {
            let role = if ["admin", "second"].contains(name) { "admin" } else { "user" };
            json!({ "type": "user", "username": name, "role": role, "password": "correct horse 8" })
        };
        let mut world: Vec<Value> = people.iter().map(user).collect();
        let team = ["creator", "former", "participant", "sender", "other", "revoked", "inactive", "deleted"];
        world.push(json!({ "type": "conversation", "name": "team", "creator": "creator", "participants": team }));
        std::fs::write(folder.path().join("world.json"), Value::from(world).to_string()).unwrap();
        let tokens = people.join(",");
        let arguments = ["--ephemeral", "--fixture", "world.json", "--token-for", &tokens];
        let server = Server::start(folder.path(), &arguments, &[("TMPDIR", path)]);
        let mut folders = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let database = folders.find(|entry| entry.is_dir()).unwrap().join("temporary.db");
        let (ids, refresh, document) = (BTreeMap::new(), String::new(), Document::new());
        let (session, admin, link) = (String::new(), String::new(), String::new());
        let mut scene = Self { server, database, ids, refresh, session, admin, link, document, _folder: folder };
        scene.fill(&people);
        scene
    }

    /// Lets everybody talk, and some go; that is the state of every cell.
    fn fill(&mut self, people: &[&str]) {
        let server = &self.server;
        let text = |reply: Reply, field: &str| reply.json()[field].as_str().unwrap().to_owned();
        let mut ids = BTreeMap::new();
        for person in people {
            let id = text(server.get("/api/users/me/", server.token(person)).expect(200), "user_id");
            ids.insert(format!("user {person}"), id);
        }
        let groups = server.get("/api/conversations/", server.token("sender")).expect(200).json();
        let team = groups["results"][0]["conversation_id"].as_str().unwrap().to_owned();
        let pair = json!({ "participants": ["participant"] });
        let begun = server.post("/api/conversations/", server.token("sender"), &pair).expect(201);
        let direct = text(begun, "conversation_id");
        let send = |person: &str, conversation: &str| {
            let (path, body) = (format!("/api/conversations/{conversation}/messages/"), json!({ "content": "hello" }));
            text(server.post(&path, server.token(person), &body).expect(201), "message_id")
        };
        ids.insert("message team".to_owned(), send("sender", &team));
        ids.insert("message direct".to_owned(), send("sender", &direct));
        for person in ["former", "participant", "sender", "creator"] {
            ids.insert(format!("message {person}"), send(person, &team));
        }
        let login = json!({ "username": "other", "password": "correct horse 8" });
        let refresh = text(server.post("/api/token/", "", &login).expect(200), "refresh");
        let leave = format!("/api/conversations/{team}/participants/{}/", ids["user former"]);
        server.ask("DELETE", &leave, server.token("former"), &[], None).expect(204);
        let change = json!({ "password": "correct horse 9", "current_password": "correct horse 8" });
        server.ask("PATCH", "/api/users/me/", server.token("revoked"), &[], Some(&change)).expect(200);
        let inactive = format!("/api/users/{}/", ids["user inactive"]);
        let change = json!({ "is_active": false });
        server.ask("PATCH", &inactive, server.token("admin"), &[], Some(&change)).expect(200);
        server.ask("DELETE", "/api/user/delete/", server.token("deleted"), &[], None).expect(204);
        ids.insert("conversation team".to_owned(), team);
        ids.insert("conversation direct".to_owned(), direct);
        for (number, kind) in ["conversation absent", "message absent"].iter().enumerate() {
            ids.insert((*kind).to_owned(), format!("019b78c9-0a80-7000-8000-00000000000{number}"));
        }
        let cookie_of = |name: &str| Browser::of(server, name, "correct horse 8").cookie.unwrap();
        let (session, admin) = (cookie_of("participant"), cookie_of("admin"));
        let (link, hash) = (Secret([7; 32]), Secret([7; 32]).hash());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let in_an_hour = i64::try_from(now.as_micros()).unwrap() + 3_600_000_000;
        let row = "INSERT INTO password_link SELECT key, ?, token_generation, ? FROM account WHERE username = 'other'";
        rusqlite::Connection::open(&self.database).unwrap().execute(row, (hash, in_an_hour)).unwrap();
        server.test("checkpoint").expect(204);
        (self.ids, self.refresh) = (ids, refresh);
        (self.session, self.admin, self.link) = (session, admin, link.token());
    }

    /// What an endpoint is asked about, when this caller asks
    fn place(&self, text: &str, about: &str, caller: &str) -> String {
        let (conversation, message, user) = match about {
            "own" => ("team", caller, caller),
            "elsewhere" => ("direct", "team", "other"),
            about => (about, about, "other"),
        };
        // Whoever has none of their own asks about somebody else's.
        let own = |kind: &str, name: &str| self.ids.get(&format!("{kind} {name}"));
        let id = |kind: &str, name: &str| own(kind, name).or_else(|| own(kind, "sender")).unwrap();
        text.replace("{conversation_id}", id("conversation", conversation))
            .replace("{message_id}", id("message", message))
            .replace("{user_id}", id("user", user))
            .replace("{refresh}", &self.refresh)
    }

    /// Asks as somebody, in the state that the scene began with.
    fn ask(&self, (endpoint, about, _, body): &Row, caller: &str, token: &str) -> Reply {
        let (method, path) = endpoint.split_once(' ').unwrap();
        let path = self.place(path, about, caller);
        let body = (!body.is_empty()).then(|| serde_json::from_str(&self.place(body, about, caller)).unwrap());
        self.server.test("rollback").expect(204);
        let cookie = [("Cookie", token)];
        let (token, headers) = if token.starts_with("tidings=") { ("", &cookie[..]) } else { (token, &[][..]) };
        if *endpoint == "GET /api/events/" {
            // A stream has no end: how it begins is the answer.
            return Stream::ask(&self.server, "", token, headers).map_or_else(|reply| reply, |stream| stream.head);
        }
        self.server.ask(method, &path, token, headers, body.as_ref())
    }

    /// Fails unless what came of a row is what its cell says.
    fn check(&self, row: &Row, caller: &str, token: &str, cell: char, before: &str) {
        println!("{}, about {}, with {}, {caller}", row.0, row.1, row.3);
        let reply = self.ask(row, caller, token);
        let (method, path) = row.0.split_once(' ').unwrap();
        self.document.must_allow(method, path, &reply);
        match cell {
            'y' => assert!((200..300).contains(&reply.status), "{}", String::from_utf8_lossy(&reply.bytes)),
            'i' => drop(reply.problem(400, "invalid")),
            'u' => drop(reply.problem(401, "unauthenticated")),
            'f' => drop(reply.problem(403, "forbidden")),
            'n' => drop(reply.problem(404, "not_found")),
            cell => panic!("{cell}"),
        }
        if cell != 'y' || row.0.starts_with("GET") {
            assert_eq!(dump(&self.database), before, "it left something behind");
        }
    }
}

/// Those who ask for pages, in the order of the cells of a row. The links of another site show pages to whoever is logged in; its
/// forms do nothing.
const VISITORS: [&str; 5] = ["nobody", "session", "expired session", "session of a foreign site", "admin"];

/// Those who were admins, or are, but not quite: to them the administration is what it is to that visitor.
const ONCE_ADMINS: [(&str, &str); 4] = [
    ("demoted admin", "session"),
    ("deactivated admin", "nobody"),
    ("expired session of an admin", "expired session"),
    ("admin from a foreign site", "admin"),
];

/// A page or a form, what comes of it, and what is typed into it
type PageRow = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// What comes of pages and forms: `y` shown or done, `l` led to the log-in, `u` not logged in, `f` forbidden, `n` not found
const PAGES: &[PageRow] = &[
    ("GET /", "yyyyy", &[]),
    ("GET /login/", "yyyyy", &[]),
    ("POST /login/", "yyyfy", &[("username", "other"), ("password", "correct horse 8")]),
    ("GET /logout/", "yyyyy", &[]),
    ("POST /logout/", "yyyfy", &[]),
    ("GET /account/", "lylyy", &[]),
    ("POST /account/", "lylfy", &[("username", "{name}"), ("first_name", "New")]),
    ("GET /account/password/", "yyyyy", &[]),
    ("POST /account/password/", "lylfy", &[("current_password", "correct horse 8"), ("password", "correct horse 9")]),
    ("GET /account/levels/", "yyyyy", &[]),
    ("POST /account/levels/", "lylfn", &[("{conversation_id}", "none")]),
    ("GET /account/sessions/", "yyyyy", &[]),
    ("POST /account/sessions/", "lylfy", &[]),
    ("GET /account/export/", "lylyy", &[]),
    ("GET /account/delete/", "lylyy", &[]),
    ("POST /account/delete/", "lylfy", &[("username", "{name}")]),
    ("GET /admin/", "lflfy", &[]),
    ("GET /admin/conversations/", "lflfy", &[]),
    ("GET /admin/conversations/{conversation_id}/", "lflfy", &[]),
    ("GET /admin/conversations/{conversation_id}/participants/", "lflfy", &[]),
    ("GET /admin/messages/{message_id}/history/", "lflfy", &[]),
    // An admin, too, restores only their own messages.
    ("POST /admin/messages/{message_id}/history/", "lflff", &[("revision", "1")]),
    ("GET /admin/search/", "lflfy", &[]),
    ("GET /admin/users/", "lflfy", &[]),
    ("POST /admin/users/", "lflfy", &[("username", "newest")]),
    ("GET /admin/users/bulk/", "yyyyy", &[]),
    ("POST /admin/users/bulk/", "lflfy", &[("user", "{user_id}"), ("action", "deactivate")]),
    ("GET /admin/users/{user_id}/", "lflfy", &[]),
    ("POST /admin/users/{user_id}/", "lflfy", &[("username", "other"), ("role", "admin")]),
    ("GET /admin/users/{user_id}/active/", "yyyyy", &[]),
    ("POST /admin/users/{user_id}/active/", "lflfy", &[("action", "deactivate")]),
    ("GET /admin/users/{user_id}/sessions/", "yyyyy", &[]),
    ("POST /admin/users/{user_id}/sessions/", "lflfy", &[]),
    ("GET /admin/users/{user_id}/password-link/", "yyyyy", &[]),
    ("POST /admin/users/{user_id}/password-link/", "lflfy", &[]),
    ("GET /admin/users/{user_id}/delete/", "lflfy", &[]),
    ("POST /admin/users/{user_id}/delete/", "lflfy", &[("username", "other")]),
    ("GET /admin/events/", "lflfy", &[]),
    ("GET /admin/health/", "lflfy", &[]),
    ("GET /password/{token}/", "yyyyy", &[]),
    ("POST /password/{token}/", "yyyfy", &[("password", "correct horse 9")]),
    ("GET /events/", "uyufy", &[]),
];

#[test]
fn every_page_and_form_does_for_each_visitor_what_they_may_and_nothing_else() {
    let scene = Scene::new();
    let before = dump(&scene.database);
    for (page, cells, fields) in PAGES {
        let (method, path) = page.split_once(' ').unwrap();
        let path = scene.place(path, "team", "participant").replace("{token}", &scene.link);
        assert_eq!(cells.len(), VISITORS.len(), "{page}");
        let cells: Vec<(&str, char)> = VISITORS.into_iter().zip(cells.chars()).collect();
        let once = ONCE_ADMINS.iter().filter(|_| path.starts_with("/admin/")).map(|(visitor, as_whom)| {
            let is_foreign_form = method == "POST" && visitor.ends_with("foreign site");
            let as_whom = if is_foreign_form { "session of a foreign site" } else { as_whom };
            (*visitor, cells.iter().find(|(visitor, _)| *visitor == as_whom).unwrap().1)
        });
        for (visitor, cell) in cells.iter().copied().chain(once) {
            println!("{page}, {visitor}");
            let caller = if visitor.contains("admin") { "admin" } else { "participant" };
            let text = |text: &str| scene.place(text, "team", caller).replace("{name}", caller);
            let fields: Vec<(String, String)> = fields.iter().map(|(name, value)| (text(name), text(value))).collect();
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            scene.server.test("rollback").expect(204);
            let mut browser = Browser::new(&scene.server);
            browser.cookie = match visitor {
                "nobody" => None,
                _ if caller == "admin" => Some(scene.admin.clone()),
                _ => Some(scene.session.clone()),
            };
            let meanwhile = match visitor.split(' ').next() {
                Some("expired") => "UPDATE session SET seen_at = 1, created_at = 1",
                Some("demoted") => "UPDATE account SET role = 0 WHERE username = 'admin'",
                Some("deactivated") => "UPDATE account SET is_active = FALSE WHERE username = 'admin'",
                _ => "",
            };
            rusqlite::Connection::open(&scene.database).unwrap().execute_batch(meanwhile).unwrap();
            let asked = dump(&scene.database);
            let site = if visitor.ends_with("foreign site") { "cross-site" } else { "same-origin" };
            let site = ("Sec-Fetch-Site", site);
            let reply = if *page == "GET /events/" {
                let cookie = browser.cookie.as_deref().map(|cookie| ("Cookie", cookie));
                let headers: Vec<_> = cookie.into_iter().chain([site]).collect();
                let stream = Stream::ask_path(scene.server.address(), &path, &headers);
                stream.map_or_else(|reply| reply, |stream| stream.head)
            } else {
                browser.ask(method, &path, &[site], &fields)
            };
            let location = reply.header("location").unwrap_or_default();
            let text = String::from_utf8_lossy(&reply.bytes);
            match cell {
                'y' => assert!(
                    reply.status == 200 || reply.status == 303 && (!location.contains("next=")),
                    "{} {location}: {text}",
                    reply.status
                ),
                'l' if method == "GET" => assert!(reply.status == 303 && location.starts_with("/login/?next=")),
                'l' => assert!(reply.status == 403 && text.contains("action=\"/login/\""), "{text}"),
                'u' => drop(reply.problem(401, "unauthenticated")),
                'f' => assert!(reply.status == 403 && !text.contains("action=\"/login/\""), "{text}"),
                'n' => assert_eq!(reply.status, 404, "{text}"),
                cell => panic!("{cell}"),
            }
            let is_change = dump(&scene.database) != asked;
            let may_change = cell == 'y' && method == "POST";
            assert!(!is_change || may_change, "it left something behind");
            if ["session", "admin"].contains(&visitor) && may_change {
                assert!(is_change, "it did nothing");
            }
        }
    }
    scene.server.test("rollback").expect(204);
    assert_eq!(dump(&scene.database), before);
}

#[test]
fn no_page_or_form_is_without_a_row() {
    let rows: BTreeSet<String> = PAGES.iter().map(|(page, ..)| (*page).to_owned()).collect();
    assert_eq!(rows, pages().map(|(method, path)| format!("{method} {path}")).collect());
}

/// A method and a path, as rows name them
fn name(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.method, endpoint.path)
}

#[test]
fn every_endpoint_does_for_each_caller_what_they_may_and_nothing_else() {
    let scene = Scene::new();
    let before = dump(&scene.database);
    let access: BTreeMap<String, Access> =
        endpoints().iter().map(|endpoint| (name(endpoint), endpoint.access)).collect();
    for row in ROWS {
        let cells: Vec<char> = row.2.chars().collect();
        assert_eq!(cells.len(), CALLERS.len(), "{row:?}");
        for (caller, cell) in CALLERS.iter().zip(cells).filter(|(_, cell)| *cell != '-') {
            scene.check(row, caller, scene.server.token(caller), cell, &before);
        }
        let (without, with_a_dead_one) = match access[row.0] {
            Access::Anyone => ('y', 'y'),
            Access::AnyoneOrUser => ('y', 'u'),
            Access::User | Access::UserOrTicket => ('u', 'u'),
        };
        scene.check(row, "nobody", "", without, &before);
        // The API knows no cookies.
        scene.check(row, "session", &scene.session, without, &before);
        for caller in GONE {
            scene.check(row, caller, scene.server.token(caller), with_a_dead_one, &before);
        }
    }
    let sending = ROWS.iter().find(|row| row.0 == "POST /api/conversations/{conversation_id}/messages/").unwrap();
    scene.ask(sending, "sender", scene.server.token("sender")).expect(201);
    assert_ne!(dump(&scene.database), before, "what is left behind would not be seen");
}

#[test]
fn no_endpoint_is_without_a_row_and_no_row_without_an_endpoint() {
    let rows: BTreeSet<String> = ROWS.iter().map(|(endpoint, ..)| (*endpoint).to_owned()).collect();
    let all: BTreeSet<String> = endpoints().iter().map(name).collect();
    assert_eq!(rows, all);
}

#[test]
fn what_is_not_visible_is_refused_in_the_words_of_what_is_not_there() {
    let scene = Scene::new();
    let (token, ids) = (scene.server.token("outsider"), &scene.ids);
    let words = |reply: Reply| (reply.status, String::from_utf8(reply.bytes).unwrap());
    for row in ROWS.iter().filter(|(_, about, cells, _)| *about == "team" && cells.starts_with(['n', 'i'])) {
        let invisible = words(scene.ask(row, "outsider", token));
        let (status, absent) = words(scene.ask(&(row.0, "absent", row.2, row.3), "outsider", token));
        let absent = absent.replace(&ids["conversation absent"], &ids["conversation team"]);
        assert_eq!((status, absent.replace(&ids["message absent"], &ids["message team"])), invisible, "{}", row.0);
    }
}
