//! Bad input: each is refused by a problem document, changes nothing and is told nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{House, in_every_house, messages_of, world};
use crate::server::{Reply, Server};

/// An id of nothing
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// A server on a database with the world
pub(super) struct Place<'h> {
    pub(super) house: &'h House,
    pub(super) server: Server,
    /// Ann's
    pub(super) token: String,
    /// Where the messages of the group are
    pub(super) messages: String,
}

/// Runs a test at a server on an SQLite file.
pub(super) fn at_a_place(test: impl Fn(&Place)) {
    test(&Place::of(&House { shell: world(), address: "test.db".to_owned(), schema: None }));
}

impl<'h> Place<'h> {
    pub(super) fn of(house: &'h House) -> Self {
        let server = house.serve(&[]);
        let (token, _) = server.log_in("ann", "correct horse 7");
        let messages = messages_of(&server, &token);
        Self { house, server, token, messages }
    }

    /// Everything that was said and done
    pub(super) fn state(&self) -> String {
        if self.house.address == "test.db" { self.house.shell.dump() } else { self.house.run("data dump", "").stdout }
    }

    /// Sends a request that is not to be carried out.
    pub(super) fn refused(&self, method: &str, path: &str, body: &str, status: u16, code: &str) {
        let json = ("Content-Type", "application/json");
        let authorization = format!("Bearer {}", self.token);
        let reply = self.server.send(method, path, &[json, ("Authorization", &authorization)], body.as_bytes());
        self.is_refusal(&reply, &format!("{method} {path} {}", &body[..body.len().min(100)]), status, code);
    }

    /// Sends bytes that are no good request.
    pub(super) fn unheard(&self, bytes: &[u8], status: u16, code: &str) -> Reply {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        let reply = Reply::parse(&self.server.exchange(bytes)).unwrap_or_else(|| panic!("no answer to {shown}"));
        self.is_refusal(&reply, &shown, status, code);
        reply
    }

    fn is_refusal(&self, reply: &Reply, what: &str, status: u16, code: &str) {
        println!("{what}");
        reply.problem(status, code);
        let said = String::from_utf8_lossy(&reply.bytes).into_owned();
        let folder = self.house.shell.path("");
        for secret in ["SELECT", "sqlite", "SQL", "struct ", ".rs", "panicked", folder.to_str().unwrap()] {
            assert!(!said.contains(secret), "{what}: {said}");
        }
    }
}

#[test]
fn bodies_that_are_no_good_are_refused_and_change_nothing() {
    in_every_house(|house| {
        let place = Place::of(house);
        let message = place.server.get("/api/messages/", &place.token).json()["results"][0]["message_id"].clone();
        let message = format!("/api/messages/{}/", message.as_str().unwrap());
        let conversation = place.messages.trim_end_matches("messages/");
        let before = place.state();
        let send = |body: &str| place.refused("POST", &place.messages, body, 400, "invalid");
        for body in [
            "",
            "{",
            r#"{"content": "#,
            "null",
            "5",
            "[]",
            r#"["hello", null, null]"#,
            r#""hello""#,
            r#"{"content": 5}"#,
            r#"{"content": null}"#,
            r#"{"content": ["hello"]}"#,
            r#"{"content": "a", "content": "b"}"#,
            r#"{"content": "a"} b"#,
            r#"{"content": "\ud800"}"#,
            r#"{"content": "a\u0000b"}"#,
            r#"{"content": "\n \t"}"#,
            r#"{"content": ""}"#,
            r#"{"content": "a", "parent_message": 5}"#,
            r#"{"content": "a", "parent_message": "m1"}"#,
            r#"{"content": "a", "receiver": "nobody"}"#,
            r#"{"content": "a", "receiver": "\u0000"}"#,
        ] {
            send(body);
        }
        send(&format!(r#"{{"content": "a", "parent_message": "{NOBODY}"}}"#));
        send(&format!(r#"{{"content": {}{}}}"#, "[".repeat(200_000), "]".repeat(200_000)));
        send(&format!(r#"{{"content": "{}"}}"#, "a".repeat(65_537)));
        for (method, path, body) in [
            ("POST", "/api/conversations/", r#"{"participants": ["b\u0000b"]}"#),
            ("POST", "/api/conversations/", r#"{"participants": []}"#),
            ("POST", "/api/conversations/", r#"{"participants": "bob"}"#),
            ("POST", "/api/conversations/", r#"{"participant_ids": ["bob "]}"#),
            ("POST", "/api/conversations/", r#"{"participants": ["bob"], "name": "a\u0000"}"#),
            ("POST", "/api/conversations/", r#"{"participants": ["bob"], "title": "a\u0000"}"#),
            ("POST", "/api/users/", r#"{"username": "a\u0000", "password": "correct horse 9"}"#),
            ("POST", "/api/users/", r#"{"username": "eve", "password": "correct horse 9", "first_name": "\u0000"}"#),
            (
                "POST",
                "/api/users/",
                r#"{"username": "eve", "password": "correct horse 9", "email": "\u0000@example.org"}"#,
            ),
            ("POST", "/api/users/", r#"{"username": "eve", "password": "short"}"#),
            ("PATCH", "/api/users/me/", r#"{"last_name": "a\u0000"}"#),
            ("PATCH", "/api/users/me/", r#"{"password": "correct horse 9"}"#),
            ("PATCH", "/api/users/me/", r#"{"password": "correct horse 9", "current_password": "\u0000"}"#),
            ("PATCH", &message, r#"{"content": "hello", "reason": "\u0000"}"#),
            ("PATCH", "/api/messages/unread/", r#"{"message_ids": ["m1"]}"#),
            ("POST", "/api/notifications/read/", "null"),
            ("POST", "/api/notifications/read/", r#"{"ids": "all"}"#),
            ("PATCH", &format!("{conversation}participants/me/"), r#"{"level": "loud"}"#),
        ] {
            place.refused(method, path, body, 400, "invalid");
        }
        let bytes = [b"{\"content\": \"".as_slice(), b"\xff\xfe", b"\"}"].concat();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {}\r\n",
            place.messages, place.token
        );
        let with = |rest: &str, body: &[u8]| [head.as_bytes(), rest.as_bytes(), b"\r\n", body].concat();
        place.unheard(&with("Content-Type: application/json\r\nContent-Length: 17\r\n", &bytes), 400, "invalid");
        for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"] {
            let body = br#"{"content": "a"}"#;
            place.unheard(&with(&format!("{kind}Content-Length: 16\r\n"), body), 415, "unsupported_media_type");
        }
        assert_eq!(place.state(), before);
    });
}

#[test]
fn addresses_that_are_no_good_are_refused() {
    in_every_house(|house| {
        let place = Place::of(house);
        let lists =
            ["/api/users/", "/api/conversations/", "/api/messages/", "/api/notifications/", "/api/messages/unread/"];
        let anywhere = ["cursor=AAAA", "cursor=%00", "page_size=0", "page_size=101", "page_size=-1", "page_size=many"];
        for path in lists {
            for query in anywhere {
                place.refused("GET", &format!("{path}?{query}"), "", 400, "invalid");
            }
        }
        for query in [
            "search=%00",
            "sender=%00",
            "sender=nobody",
            "sender=a%FFb",
            "page_size=99999999999999999999",
            "page_size=1&page_size=2",
            "before=x",
            "after=99999999999999999999",
            "ordering=content",
            "start_date=yesterday",
            "end_date=%2B262000-01-01T00:00:00Z",
        ] {
            place.refused("GET", &format!("{}?{query}", place.messages), "", 400, "invalid");
        }
        place.refused("GET", &format!("/api/messages/?search={}", "a".repeat(10_000)), "", 400, "invalid");
        place.refused("GET", "/api/users/?search=%00", "", 400, "invalid");
        place.refused("GET", "/api/notifications/?is_read=maybe", "", 400, "invalid");
        for path in [
            "//",
            "/api/",
            "/api//users/",
            "/api/../etc/passwd",
            "/api/messages/%00/",
            "/api/messages/%FF/",
            "/api/messages/1/",
            &format!("/api/messages/{NOBODY}/"),
            &format!("/api/users/{NOBODY}/"),
            &format!("/api/conversations/{NOBODY}/messages/"),
            &format!("/api/messages/{}/", "9".repeat(1000)),
            "/test/rollback",
            "/test/checkpoint",
        ] {
            place.refused("GET", path, "", 404, "not_found");
        }
        // What counts beyond both ends of a list is not there, and no trouble.
        for query in ["before=-9223372036854775808", "after=9223372036854775807", "search=%22", "search=a%20OR%20NEAR("]
        {
            let found = place.server.get(&format!("{}?{query}", place.messages), &place.token).expect(200).json();
            assert_eq!(found["results"], json!([]), "{query}");
        }
    });
}

#[test]
fn a_cursor_is_of_one_list_and_cannot_be_made_up() {
    at_a_place(|place| {
        let next = place.server.get("/api/users/?page_size=1", &place.token).expect(200).json()["next"].clone();
        let next = next.as_str().unwrap().to_owned();
        assert_eq!(place.server.get(&next, &place.token).expect(200).json()["results"].as_array().unwrap().len(), 1);
        let cursor = next.split_once("cursor=").unwrap().1;
        for other in ["/api/conversations/", "/api/messages/", "/api/notifications/", "/api/messages/unread/"] {
            place.refused("GET", &format!("{other}?cursor={cursor}"), "", 400, "invalid");
        }
        for index in 0..cursor.len() {
            let changed = if cursor.as_bytes()[index] == b'A' { "B" } else { "A" };
            let mut forged = cursor.to_owned();
            forged.replace_range(index..=index, changed);
            // The last character stands for fewer bits than it could.
            if index + 1 < cursor.len() {
                place.refused("GET", &format!("/api/users/?cursor={forged}"), "", 400, "invalid");
            }
        }
    });
}

#[test]
fn only_a_genuine_token_that_has_not_expired_is_valid() {
    let shell = world();
    let at = |time: &str| Server::on(&shell.path(""), &["--now", time]);
    let server = at("2026-01-01T09:00:00Z");
    let (token, refresh) = server.log_in("ann", "correct horse 7");
    let me = |server: &Server, token: &str| server.get("/api/users/me/", token);
    me(&server, &token).expect(200);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("{token}") };
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims["exp"] = json!(4_000_000_000_i64);
    let longer = URL_SAFE_NO_PAD.encode(claims.to_string());
    let other = world();
    let of_another_key =
        Server::on(&other.path(""), &["--now", "2026-01-01T09:00:00Z"]).log_in("ann", "correct horse 7").0;
    for bad in [
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{header}.{longer}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{token}."),
        format!("{token}{}", "A".repeat(10_000)),
        of_another_key,
        refresh.clone(),
        "x".to_owned(),
    ] {
        let reply = me(&server, &bad);
        reply.problem(401, "unauthenticated");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        server.post("/api/token/verify/", "", &json!({ "token": format!("{bad}\0") })).problem(401, "unauthenticated");
    }
    me(&server, "").problem(401, "unauthenticated");
    for scheme in ["Basic eDp5", "Token abc", "Bearer", "bearer\u{e9} x"] {
        let reply = server.ask("GET", "/api/users/me/", "", &[("Authorization", scheme)], None);
        let problem = reply.problem(401, "unauthenticated");
        assert_eq!(problem["detail"], "Send an access token as `Authorization: Bearer TOKEN`.", "{scheme}");
    }
    for token in [&token, "x", "\0"] {
        let body = json!({ "refresh": token });
        server.post("/api/token/refresh/", "", &body).problem(401, "unauthenticated");
    }
    assert_eq!(server.stop(), Some(0));
    let almost = at("2026-01-01T09:09:59Z");
    me(&almost, &token).expect(200);
    drop(almost);
    let late = at("2026-01-01T09:10:00Z");
    me(&late, &token).problem(401, "unauthenticated");
    late.post("/api/token/refresh/", "", &json!({ "refresh": refresh })).expect(200);
    drop(late);
    at("2026-02-15T09:00:00Z")
        .post("/api/token/refresh/", "", &json!({ "refresh": refresh }))
        .problem(401, "unauthenticated");
}

#[test]
fn a_body_may_begin_with_a_mark_of_its_order_of_bytes_but_is_not_packed() {
    at_a_place(|place| {
        let authorization = format!("Bearer {}", place.token);
        let send = |headers: &[(&str, &str)], body: &[u8]| {
            let mut all = vec![("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
            all.extend(headers);
            place.server.send("POST", &place.messages, &all, body)
        };
        let marked = [b"\xef\xbb\xbf".as_slice(), br#"{"content": "with a mark"}"#].concat();
        assert_eq!(send(&[], &marked).expect(201).json()["content"], "with a mark");
        let plain = br#"{"content": "as it is"}"#;
        send(&[("Content-Encoding", "identity")], plain).expect(201);
        for coding in ["gzip", "br", "x"] {
            send(&[("Content-Encoding", coding)], plain).problem(415, "unsupported_media_type");
        }
    });
}

#[test]
fn a_head_has_up_to_32_kib_and_100_headers_and_beyond_that_the_limits_are_said() {
    at_a_place(|place| {
        let get = |headers: &[(&str, &str)]| place.server.send("GET", "/health/live", headers, b"");
        let long = |length| "y".repeat(length);
        get(&[("X-Long", &long(32_000))]).expect(200);
        let names: Vec<String> = (0..120).map(|number| format!("X-{number}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "y")).collect();
        get(&many[..90]).expect(200);
        for refused in [get(&[("X-Long", &long(33_000))]), get(&[("X-Long", &long(40_000))]), get(&many)] {
            let problem = refused.problem(431, "headers_too_large");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("32 KiB") && detail.contains("100 headers"), "{detail}");
        }
    });
}

#[test]
fn a_method_that_is_not_allowed_is_told_which_are() {
    at_a_place(|place| {
        for (method, path, allowed) in [
            ("PUT", "/api/users/", &["GET", "HEAD", "POST"][..]),
            ("OPTIONS", "/api/users/me/", &["GET", "HEAD", "PATCH"]),
            ("TRACE", "/api/users/me", &["GET", "HEAD", "PATCH"]),
            ("BREW", "/api/token/", &["POST"]),
            ("GET", "/api/token/", &["POST"]),
            ("POST", "/health/live", &["GET", "HEAD"]),
            ("DELETE", "/metrics", &["GET", "HEAD"]),
            ("POST", "/api/schema/", &["GET", "HEAD"]),
        ] {
            let reply = place.server.ask(method, path, &place.token, &[], None);
            reply.problem(405, "method_not_allowed");
            let mut told: Vec<&str> = reply.header("allow").unwrap().split(',').map(str::trim).collect();
            told.sort_unstable();
            assert_eq!(told, allowed, "{method} {path}");
        }
        let shown = place.server.get("/api/users/me/", &place.token).expect(200);
        let head = place.server.ask("HEAD", "/api/users/me/", &place.token, &[], None).expect(200);
        assert!(head.bytes.is_empty());
        let long = "y".repeat(33_000);
        for (path, headers, status) in
            [("/api/users/?page_size=x", &[][..], 400), ("/api/users/me/", &[("X", long.as_str())], 431)]
        {
            assert!(place.server.ask("HEAD", path, &place.token, headers, None).expect(status).bytes.is_empty());
        }
        assert_eq!(head.header("etag"), shown.header("etag"));
        assert_eq!(head.header("content-length"), Some(shown.bytes.len().to_string().as_str()));
    });
}

#[test]
fn every_field_that_is_missing_is_named_at_once() {
    at_a_place(|place| {
        let refused = place.server.post("/api/token/", "", &json!({}));
        refused.problem(400, "invalid");
        let required = json!(["This field is required."]);
        assert_eq!(refused.json()["errors"], json!({ "username": required, "password": required }));
    });
}

#[test]
fn a_request_is_answered_only_for_a_host_of_ours() {
    at_a_place(|place| {
        let get =
            |target: &str, rest: &str| format!("GET {target} HTTP/1.1\r\nConnection: close\r\n{rest}\r\n").into_bytes();
        place.unheard(&get("/health/live", "Host: evil\r\n"), 421, "misdirected");
        place.unheard(&get("/health/live", "Host: localhost.evil:8000\r\n"), 421, "misdirected");
        place.unheard(&get("http://evil/health/live", "Host: localhost\r\n"), 421, "misdirected");
        place.unheard(&get("/health/live", ""), 400, "invalid");
        place.unheard(&get("/health/live", "Host: localhost\r\nHost: evil\r\n"), 400, "invalid");
        place.unheard(&get("/health/live", "Host: localhost\r\nHost: localhost\r\n"), 400, "invalid");
        place.unheard(&get("/health/live", "Host: \r\n"), 421, "misdirected");
        place.unheard(b"CONNECT evil:443 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 421, "misdirected");
        place.unheard(b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404, "not_found");
        // The address counts more than the header, in the links of the answer too.
        let rest = format!("Host: evil\r\nAuthorization: Bearer {}\r\n", place.token);
        let reply = place.server.exchange(&get("http://localhost:99/api/users/?page_size=1", &rest));
        let reply = Reply::parse(&reply).unwrap().expect(200);
        assert!(reply.json()["next"].as_str().unwrap().starts_with("http://localhost:99/api/users/?"), "{reply:?}");
        // Whoever looks after many servers may ask in the words of HTTP/1.0, which knew no hosts.
        for request in ["GET /health/live HTTP/1.0\r\n\r\n", "GET /health/live HTTP/1.0\r\nHost: localhost\r\n\r\n"] {
            Reply::parse(&place.server.exchange(request.as_bytes())).unwrap().expect(200);
        }
        place.unheard(b"GET /health/live HTTP/1.0\r\nHost: evil\r\n\r\n", 421, "misdirected");
    });
}
