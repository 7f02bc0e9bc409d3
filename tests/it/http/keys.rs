//! The secrets that sign, and what ends a token on a server that runs.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::{House, in_every_house, world};
use crate::server::Server;

#[test]
fn the_key_file_is_made_for_its_owner_unless_a_secret_is_given() {
    let shell = world();
    let file = shell.path("test.db-key");
    let given = Server::start(&shell.path(""), &["--db", "test.db"], &[("SECRET_KEY", "a secret of the tests")]);
    assert!(!file.exists());
    drop(given);
    let server = Server::on(&shell.path(""), &[]);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (token, _) = server.log_in("ann", "correct horse 7");
    drop(server);
    // The same key again
    let server = Server::on(&shell.path(""), &[]);
    server.get("/api/users/me/", &token).expect(200);
    drop(server);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let output = Server::command(&shell.path(""), &["--db", "test.db"], &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
}

#[test]
fn tokens_of_the_previous_key_stay_valid_and_the_new_key_signs() {
    let shell = world();
    let (old, new) = ("the old secret of the tests", "the new secret of the tests");
    let start = |current: &str, previous: &str| {
        let secrets = [("SECRET_KEY", current), ("SECRET_KEY_PREVIOUS", previous)];
        Server::start(&shell.path(""), &["--db", "test.db"], &secrets)
    };
    let server = start(old, "");
    let (token, refresh) = server.log_in("ann", "correct horse 7");
    let next = server.get("/api/users/?page_size=1", &token).expect(200).json()["next"].clone();
    let cursor = next.as_str().unwrap().split_once("cursor=").unwrap().1.to_owned();
    let second_page = format!("/api/users/?page_size=1&cursor={cursor}");
    drop(server);

    let server = start(new, old);
    let found = server.get(&second_page, &token).expect(200).json();
    assert_eq!(found["results"][0]["username"], "bob");
    let (newer, _) = server.log_in("ann", "correct horse 7");
    drop(server);

    let server = start(new, "");
    server.get("/api/users/me/", &token).problem(401, "unauthenticated");
    server.get("/api/users/me/", &newer).expect(200);
    server.get(&second_page, &newer).problem(400, "invalid");
    // No key signs this one.
    server.post("/api/token/refresh/", "", &json!({ "refresh": refresh })).expect(200);
}

/// Fails unless what is done ends both tokens of bob at once, on a server that runs.
fn ends(house: &House, server: &Server, password: &str, what: &str, end: impl FnOnce(&str)) {
    println!("{what}");
    let (token, refresh) = server.log_in("bob", password);
    server.get("/api/users/me/", &token).expect(200);
    end(&token);
    server.get("/api/users/me/", &token).problem(401, "unauthenticated");
    server.post("/api/token/verify/", "", &json!({ "token": token })).problem(401, "unauthenticated");
    server.post("/api/token/verify/", "", &json!({ "token": refresh })).problem(401, "unauthenticated");
    server.post("/api/token/refresh/", "", &json!({ "refresh": refresh })).problem(401, "unauthenticated");
    let send = json!({ "participants": ["ann"] });
    server.post("/api/conversations/", &token, &send).problem(401, "unauthenticated");
    house.run("db check", "");
}

#[test]
fn what_ends_a_token_ends_it_at_once_wherever_it_is_done() {
    in_every_house(|house| {
        let server = house.serve(&["--failed-logins", "0"]);
        let (ann, _) = server.log_in("ann", "correct horse 7");
        let bob = server.get("/api/users/?search=bob", &ann).json()["results"][0]["user_id"].clone();
        let bob = format!("/api/users/{}/", bob.as_str().unwrap());
        let active = |is_active: bool| {
            server.ask("PATCH", &bob, &ann, &[], Some(&json!({ "is_active": is_active }))).expect(200);
        };
        ends(house, &server, "correct horse 8", "a new password", |token| {
            let change = json!({ "password": "correct horse 9", "current_password": "correct horse 8" });
            server.ask("PATCH", "/api/users/me/", token, &[], Some(&change)).expect(200);
        });
        ends(house, &server, "correct horse 9", "a new password by the operator", |_| {
            house.run("user passwd bob --password-stdin", "correct horse 8");
        });
        ends(house, &server, "correct horse 8", "deactivation", |_| active(false));
        active(true);
        ends(house, &server, "correct horse 8", "deactivation by the operator", |_| {
            house.run("user deactivate bob", "");
        });
        house.run("user activate bob", "");
        ends(house, &server, "correct horse 8", "revocation by the operator", |_| {
            house.run("token revoke bob", "");
        });
        ends(house, &server, "correct horse 8", "deletion by the operator", |_| {
            house.run("user delete bob --yes", "");
        });
        house.run("user create bob --password-stdin", "correct horse 8");
        ends(house, &server, "correct horse 8", "deletion", |token| {
            server.ask("DELETE", "/api/user/delete/", token, &[], None).expect(204);
        });
        assert_eq!(server.stop(), Some(0));
    });
}
