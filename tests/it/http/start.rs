//! How a server starts, and what it says then.

use crate::server::Server;

#[test]
fn the_ready_line_is_json_however_a_user_is_called() {
    let name = "a\u{200d}b";
    let server = Server::ephemeral(&format!("- {{type: user, username: {name}}}"), &[name], &[]);
    assert_eq!(server.get("/api/users/me/", server.token(name)).expect(200).json()["username"], name);
}
