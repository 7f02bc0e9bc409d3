//! What every answer has, and when it is shorter than it could be: not modified, compressed.

use std::io::Read;

use serde_json::{Value, json};

use super::robust::at_a_place;
use super::{in_every_house, messages_of};
use crate::server::{Reply, Server};

#[test]
fn no_answer_is_kept_by_a_cache_that_does_not_ask_first() {
    at_a_place(|place| {
        let get = |head: &str| Reply::parse(&place.server.exchange(head.as_bytes())).unwrap();
        let message = place.server.get("/api/messages/", &place.token).json()["results"][0]["message_id"].clone();
        let message = format!("/api/messages/{}/", message.as_str().unwrap());
        let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &str, status: u16| {
            let authorization = format!("Bearer {}", place.token);
            let mut all = vec![("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
            all.extend(headers);
            place.server.send(method, path, &all, body.as_bytes()).expect(status)
        };
        let tag = ask("GET", &message, &[], "", 200).header("etag").unwrap().to_owned();
        let large = "x".repeat(2 * 1024 * 1024);
        let answers = [
            ask("GET", "/api/users/me/", &[], "", 200),
            ask("HEAD", "/api/users/me/", &[], "", 200),
            ask("GET", "/api/users/me/export/", &[], "", 200),
            ask("GET", "/api/messages/", &[("Accept-Encoding", "gzip")], "", 200),
            ask("POST", &place.messages, &[], r#"{"content": "hi"}"#, 201),
            ask("GET", &message, &[("If-None-Match", &tag)], "", 304),
            ask("PATCH", &message, &[("If-Match", "\"9-0\"")], r#"{"content": "hi"}"#, 412),
            ask("DELETE", &message, &[], "", 204),
            ask("GET", &message, &[], "", 404),
            ask("GET", "/nowhere", &[], "", 404),
            ask("PUT", "/api/users/", &[], "", 405),
            ask("POST", &place.messages, &[], "{", 400),
            ask("POST", &place.messages, &[], &large, 413),
            ask("POST", &place.messages, &[("Host", "evil.example")], "{}", 421),
            ask("GET", "/api/schema/", &[], "", 200),
            ask("GET", "/api/docs/", &[], "", 200),
            ask("GET", "/health/live", &[], "", 200),
            ask("GET", "/health/ready", &[], "", 200),
            ask("GET", "/metrics", &[], "", 200),
            place.server.get("/api/users/me/", "").expect(401),
            place.server.log_in_answer("ann", "correct horse 7").expect(200),
            place.server.log_in_answer("ann", "wrong").expect(401),
        ];
        for reply in &answers {
            assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()), "{reply:?}");
            must_not_be_kept(reply);
        }
        // What is no request has no id.
        for (head, status) in [
            ("GET / HTTP/1.1\nHost\n\n".to_owned(), 400),
            (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "y".repeat(70_000)), 431),
        ] {
            must_not_be_kept(&get(&head).expect(status));
        }
    });
}

/// Fails unless whoever keeps the answer has to ask before showing it again, shares it with nobody, and takes it for nothing
/// else than it is.
fn must_not_be_kept(reply: &Reply) {
    for (name, value) in [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")] {
        assert_eq!(reply.header(name), Some(value), "{reply:?}");
    }
    assert!(reply.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"), "{reply:?}");
    let kept: Vec<&str> = reply.header("cache-control").unwrap_or_default().split(',').map(str::trim).collect();
    assert!(kept.contains(&"private") || kept.contains(&"no-store"), "{reply:?}");
    assert!(kept.contains(&"no-cache") || kept.contains(&"no-store"), "{reply:?}");
}

#[test]
fn what_somebody_has_already_is_not_sent_again_until_it_changes() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (ann, _) = server.log_in("ann", "correct horse 7");
        let (bob, _) = server.log_in("bob", "correct horse 8");
        let messages = messages_of(&server, &ann);
        let conversation = messages.trim_end_matches("messages/").to_owned();
        let id = server.get(&messages, &ann).json()["results"][0]["message_id"].as_str().unwrap().to_owned();
        let message = format!("/api/messages/{id}/");
        let shown = [
            message.clone(),
            format!("{messages}{id}/"),
            conversation.clone(),
            "/api/conversations/".to_owned(),
            messages.clone(),
            format!("{messages}?ordering=timestamp"),
            "/api/messages/".to_owned(),
            "/api/messages/?search=hello".to_owned(),
            format!("{message}thread/"),
        ];
        let unchanging = [
            "/api/users/me/".to_owned(),
            "/api/users/".to_owned(),
            format!("{conversation}participants/"),
            format!("{message}history/"),
        ];
        let ask = |path: &str, known: &str| server.ask("GET", path, &ann, &[("If-None-Match", known)], None);
        let tag = |path: &String| server.get(path, &ann).expect(200).header("etag").unwrap().to_owned();
        let all: Vec<&String> = shown.iter().chain(&unchanging).collect();
        let tags: Vec<String> = all.iter().map(|path| tag(path)).collect();
        for (path, tag) in all.iter().zip(&tags) {
            println!("{path}");
            for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
                let reply = ask(path, &known).expect(304);
                assert_eq!((reply.header("etag"), reply.bytes.len()), (Some(tag.as_str()), 0), "{path} {known}");
            }
            for known in ["\"other\"", "", &tag[..tag.len() - 1], tag.trim_matches('"')] {
                assert!(!ask(path, known).expect(200).bytes.is_empty(), "{path} {known}");
            }
        }
        // A reply changes what is shown of the message, though nobody edited it.
        let reply = json!({ "content": "hello yourself", "parent_message": id });
        server.post(&messages, &bob, &reply).expect(201);
        for (path, old) in all.iter().zip(&tags) {
            println!("{path} after a reply");
            let is_same = unchanging.contains(path);
            let reply = ask(path, old).expect(if is_same { 304 } else { 200 });
            assert_eq!(reply.header("etag") == Some(old), is_same, "{path}");
            if !is_same {
                ask(path, reply.header("etag").unwrap()).expect(304);
            }
        }
        // So does who reads it.
        let reply = server.get(&messages, &ann).json()["results"][0]["message_id"].as_str().unwrap().to_owned();
        let path = format!("/api/messages/{reply}/");
        let old = server.get(&path, &ann).expect(200).header("etag").unwrap().to_owned();
        server.ask("PATCH", "/api/messages/unread/", &ann, &[], Some(&json!({ "message_ids": [reply] }))).expect(200);
        assert_eq!(ask(&path, &old).expect(200).json()["read"], true);
        // What is done is told whole, whatever is known.
        let edit = json!({ "content": "hello, all" });
        let edited = server.ask("PATCH", &message, &ann, &[], Some(&edit)).expect(200);
        let tag = edited.header("etag").unwrap().to_owned();
        assert_eq!(ask(&message, &tag).expect(304).header("etag"), Some(tag.as_str()));
        assert_eq!(edited.json()["content"], "hello, all");
    });
}

#[test]
fn a_message_is_deleted_only_at_the_revision_that_was_meant() {
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (ann, _) = server.log_in("ann", "correct horse 7");
        let messages = messages_of(&server, &ann);
        for under_its_conversation in [false, true] {
            let sent = server.post(&messages, &ann, &json!({ "content": "first" })).expect(201);
            let id = sent.json()["message_id"].as_str().unwrap().to_owned();
            let path = if under_its_conversation { format!("{messages}{id}/") } else { format!("/api/messages/{id}/") };
            let old = sent.header("etag").unwrap().to_owned();
            let delete = |tag: &str| server.ask("DELETE", &path, &ann, &[("If-Match", tag)], None);
            let edited = server.ask("PATCH", &path, &ann, &[], Some(&json!({ "content": "second" }))).expect(200);
            let new = edited.header("etag").unwrap();
            let before = house.run("data dump", "").stdout;
            for stale in [old.as_str(), "\"1-0\"", "\"3-0\""] {
                delete(stale).problem(412, "stale");
                assert_eq!(house.run("data dump", "").stdout, before, "{stale}");
            }
            delete(new).expect(204);
            server.get(&path, &ann).problem(404, "not_found");
        }
    });
}

fn unpacked(reply: &Reply) -> Vec<u8> {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(reply.bytes.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn large_responses_are_compressed_for_clients_that_accept_it_and_small_ones_are_not() {
    at_a_place(|place| {
        let ask = |path: &str, accepts: &str| {
            let headers = [("Accept-Encoding", accepts)];
            let headers = if accepts.is_empty() { &[][..] } else { &headers };
            place.server.ask("GET", path, &place.token, headers, None).expect(200)
        };
        let send = |content: &str| {
            let sent = place.server.post(&place.messages, &place.token, &json!({ "content": content })).expect(201);
            format!("/api/messages/{}/", sent.json()["message_id"].as_str().unwrap())
        };
        let (small, large) = (send("few words"), send(&"many words ".repeat(500)));
        let is_packed = |reply: &Reply| reply.header("content-encoding") == Some("gzip");
        for path in [large.as_str(), "/api/messages/", "/api/schema/", &place.messages] {
            let plain = ask(path, "");
            assert_eq!(plain.header("content-encoding"), None, "{path}");
            for accepts in ["gzip", "gzip, deflate, br, zstd", "br;q=0.9, gzip;q=0.5", "*"] {
                let reply = ask(path, accepts);
                assert!(is_packed(&reply), "{path} {accepts}");
                assert!(reply.bytes.len() * 3 < plain.bytes.len(), "{path}: {}", reply.bytes.len());
                assert_eq!(unpacked(&reply), plain.bytes, "{path} {accepts}");
                assert_eq!(reply.header("etag").map(|tag| tag.trim_start_matches("W/")), plain.header("etag"));
                assert!(vary(&reply).contains(&"accept-encoding".to_owned()), "{path} {reply:?}");
            }
            for accepts in ["identity", "gzip;q=0", "br", "zstd, deflate"] {
                let reply = ask(path, accepts);
                assert_eq!(reply.header("content-encoding"), None, "{path} {accepts}");
                assert_eq!(reply.bytes, plain.bytes, "{path} {accepts}");
            }
        }
        for path in [small.as_str(), "/api/users/me/", "/health/live", "/health/ready"] {
            let reply = ask(path, "gzip");
            assert!(reply.bytes.len() < 1024, "{path} is not small");
            assert_eq!(reply.header("content-encoding"), None, "{path}");
            assert_eq!(reply.json(), ask(path, "").json(), "{path}");
        }
        // What is done is answered the same way.
        let many = json!({ "content": "many words ".repeat(500) });
        let packed = [("Accept-Encoding", "gzip")];
        let done = place.server.ask("POST", &place.messages, &place.token, &packed, Some(&many)).expect(201);
        assert!(is_packed(&done));
        let shown: Value = serde_json::from_slice(&unpacked(&done)).unwrap();
        assert_eq!(shown["content"], many["content"]);
        assert_eq!(place.server.get(&place.messages, &place.token).json()["count"], 4);
    });
}

/// What an answer says that it depends on
fn vary(reply: &Reply) -> Vec<String> {
    let values = reply.headers.iter().filter(|(name, _)| name == "vary");
    values.flat_map(|(_, value)| value.split(',').map(|part| part.trim().to_ascii_lowercase())).collect()
}

impl Server {
    fn log_in_answer(&self, username: &str, password: &str) -> Reply {
        self.post("/api/token/", "", &json!({ "username": username, "password": password }))
    }
}
