//! How a server starts, and what it says then.

use serde_json::json;

use crate::server::Server;
use crate::support::Shell;

#[test]
fn the_ready_line_is_json_however_a_user_is_called() {
    let name = "क\u{94d}\u{200d}ष";
    let server = Server::ephemeral(&format!("- {{type: user, username: {name}}}"), &[name], &[]);
    assert_eq!(server.get("/api/users/me/", server.token(name)).expect(200).json()["username"], name);
}

#[test]
fn what_a_server_answered_is_in_the_database_when_it_has_ended() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    shell.done("user create bob --no-password");
    let token = shell.done("token issue ann --quiet").stdout;
    let server = Server::on(&shell.path(""), &["--now", "2026-01-01T09:00:00Z"]);
    let group = json!({ "participants": ["bob"], "name": "team" });
    server.post("/api/conversations/", token.trim_end(), &group).expect(201);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(shell.done("conversation show team --fields title,kind --no-header -o csv").stdout, ",group\n");
}

#[test]
fn a_server_goes_on_with_what_an_update_was_ended_in() {
    let shell = Shell::new();
    shell.done("user create ann --no-password");
    let connection = rusqlite::Connection::open(shell.path("test.db")).unwrap();
    let interrupted = "UPDATE account SET skeleton = NULL; INSERT INTO maintenance (task, since, position) VALUES (0, 0, 0), (2, 0, 0)";
    connection.execute_batch(interrupted).unwrap();
    let server = Server::on(&shell.path(""), &[]);
    assert_eq!(server.stop(), Some(0));
    let left = "SELECT (SELECT count(*) FROM maintenance WHERE task IN (0, 2)), (SELECT count(*) FROM account WHERE skeleton IS NULL)";
    assert_eq!(connection.query_row(left, [], |row| Ok((row.get(0)?, row.get(1)?))), Ok((0, 0)));
}
