//! The key that signs is changed while clients go on.

use serde_json::json;

use crate::server::Server;
use crate::support::Shell;

#[test]
fn tokens_links_and_repeated_requests_from_before_a_change_of_the_key_still_count() {
    let shell = Shell::new();
    let [old, new] = ["the old key, for long", "the new key, for long"];
    for user in ["alice", "bob", "carol"] {
        shell.done(&format!("user create {user} --no-password"));
    }
    let token = shell.run_env("token issue alice --quiet", &[("SECRET_KEY", old)]).stdout;
    let token = token.trim_end();
    let folder = shell.path("");
    let start = |environment: &[(&str, &str)]| {
        Server::start(&folder, &["--db", "test.db", "--now", "2026-01-01T09:00:00Z"], environment)
    };
    let group = json!({ "participants": ["bob", "carol"], "title": "Team" });
    let key = [("Idempotency-Key", "team")];
    let server = start(&[("SECRET_KEY", old)]);
    let first = server.ask("POST", "/api/conversations/", token, &key, Some(&group)).expect(201).json();
    let page = server.get("/api/users/?page_size=1", token).expect(200).json();
    let (before, next) = (server.url.clone(), page["next"].as_str().unwrap().to_owned());
    assert_eq!(server.stop(), Some(0));
    let server = start(&[("SECRET_KEY", new), ("SECRET_KEY_PREVIOUS", old)]);
    let again = server.ask("POST", "/api/conversations/", token, &key, Some(&group)).expect(201).json();
    assert_eq!(again, first);
    let page = server.get(next.strip_prefix(&before).unwrap(), token).expect(200).json();
    assert_eq!(page["results"][0]["username"], "bob");
    let other = json!({ "participants": ["bob", "carol"], "title": "Others" });
    server.ask("POST", "/api/conversations/", token, &key, Some(&other)).problem(409, "conflict");
    drop(server);
    let server = start(&[("SECRET_KEY", new)]);
    server.get("/api/users/", token).problem(401, "unauthenticated");
}
