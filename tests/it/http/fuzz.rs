//! What schemathesis makes of the OpenAPI document: it sends what that allows and what it does not, and looks whether each
//! answer is one that the document promises. `tests/data/schemathesis.toml` says which checks are off, and why.

use std::path::Path;
use std::process::{Command, Stdio};

use tidings::http::endpoints;

use super::WORLD;
use crate::server::Server;
use crate::support::{is_long, say_left_out, say_skipped};

/// Its answer has no end.
const STREAM: &str = "GET /api/events/";

/// These can delete whoever asks, and then all is 401: they have a run of their own.
const OWN_ENDS: [&str; 2] = ["DELETE /api/user/delete/", "DELETE /api/users/{user_id}/"];

/// Runs it as a user; returns the server and what it says, none where it is not installed.
fn fuzz(user: &str, arguments: &[&str]) -> Option<(Server, String)> {
    let program = "schemathesis";
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if version.is_err() {
        say_skipped("what schemathesis finds (it is not installed; tests/run --fuzz installs it)");
        return None;
    }
    let no_limits = ["--logins", "0", "--registrations", "0", "--failed-logins", "0"];
    let server = Server::ephemeral(WORLD, &["ann", "bob"], &no_limits);
    let folder = tempfile::tempdir().unwrap();
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schemathesis.toml");
    let mut command = Command::new(program);
    command.arg("--config-file").arg(settings).args(["run", &format!("{}/api/schema/", server.url)]);
    // Its tokens are worth nothing elsewhere, and a failure is to show what was sent.
    command.args(["--no-color", "--output-sanitize", "false"]).args(arguments);
    command.args(["--header", &format!("Authorization: Bearer {}", server.token(user))]);
    if !is_long() {
        command.arg("--generation-deterministic");
    }
    let output = command.current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "as {user}: {}", String::from_utf8_lossy(&output.stderr));
    Some((server, said))
}

/// The same for all endpoints but those two, for as long as there is time
fn fuzz_all(user: &str) {
    let seconds = if is_long() { "150" } else { "30" };
    let [one, other] = OWN_ENDS;
    let arguments = ["--max-time", seconds, "--exclude-name", one, "--exclude-name", other, "--exclude-name", STREAM];
    let Some((server, said)) = fuzz(user, &arguments) else { return };
    // Where the token ended on the way, the rest was nothing but 401.
    server.get("/api/users/me/", server.token(user)).expect(200);
    if is_long() {
        tested(&said, endpoints().len() - OWN_ENDS.len() - 1);
    } else if said.contains("Tested: 0\n") {
        say_left_out("what schemathesis finds (it came to nothing in its time)");
    }
}

/// Fails unless so many endpoints were tested: where time is up before, schemathesis is content.
fn tested(said: &str, count: usize) {
    assert!(said.contains(&format!("Tested: {count}\n")), "not every endpoint was tested");
}

#[test]
fn a_user_gets_only_answers_that_the_document_promises() {
    fuzz_all("bob");
}

#[test]
fn an_admin_gets_only_answers_that_the_document_promises() {
    fuzz_all("ann");
}

#[test]
fn who_deletes_their_account_gets_only_answers_that_the_document_promises() {
    let [one, other] = OWN_ENDS;
    let arguments = ["--max-examples", "20", "--include-name", one, "--include-name", other];
    let Some((server, said)) = fuzz("bob", &arguments) else { return };
    tested(&said, OWN_ENDS.len());
    server.get("/api/users/me/", server.token("bob")).problem(401, "unauthenticated");
}
