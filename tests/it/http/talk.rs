//! A conversation from beginning to end, as a new client has it.

use serde_json::json;

use super::in_every_house;
use crate::server::Server;

#[test]
fn a_new_client_registers_talks_edits_is_notified_and_leaves() {
    let server = Server::ephemeral("- {type: user, username: bob, password: correct horse 8}", &["bob"], &[]);
    talk(&server, server.token("bob"));
    in_every_house(|house| {
        let server = house.serve(&[]);
        let (bob, _) = server.log_in("bob", "correct horse 8");
        talk(&server, &bob);
        assert_eq!(server.stop(), Some(0));
        house.run("db check", "");
    });
}

fn talk(server: &Server, bob: &str) {
    let new = json!({ "username": "alice", "password": "correct horse 7" });
    let alice = server.post("/api/users/", "", &new).expect(201).json();
    assert_eq!(alice["username"], "alice");
    let logged_in = server.post("/api/token/", "", &new).expect(200).json();
    assert_eq!(logged_in["user"], alice);
    let token = logged_in["access"].as_str().unwrap();
    let conversation =
        server.post("/api/conversations/", token, &json!({ "participants": ["bob"] })).expect(201).json();
    let messages = format!("/api/conversations/{}/messages/", conversation["conversation_id"].as_str().unwrap());
    let sent = server.post(&messages, token, &json!({ "content": "helo" })).expect(201);
    let tag = sent.header("etag").unwrap().to_owned();
    let message = format!("/api/messages/{}/", sent.json()["message_id"].as_str().unwrap());
    let edit = json!({ "content": "hello", "reason": "typo" });
    let edited = server.ask("PATCH", &message, token, &[("If-Match", &tag)], Some(&edit)).expect(200).json();
    assert_eq!((&edited["content"], &edited["revision"], &edited["read"]), (&json!("hello"), &json!(2), &json!(false)));
    server.ask("PATCH", &message, token, &[("If-Match", &tag)], Some(&edit)).problem(412, "stale");
    let notifications = server.get("/api/notifications/?is_read=false", bob).expect(200).json();
    assert_eq!(
        (&notifications["count"], &notifications["results"][0]["message"]["content"]),
        (&json!(1), &json!("hello"))
    );
    let history = server.get(&format!("{message}history/"), bob).expect(200).json();
    assert_eq!((&history["count"], &history["results"][0]["content"]), (&json!(1), &json!("helo")));
    server.ask("DELETE", "/api/user/delete/", token, &[], None).expect(204);
    server.get("/api/users/me/", token).problem(401, "unauthenticated");
    server.get(&message, bob).problem(404, "not_found");
}
