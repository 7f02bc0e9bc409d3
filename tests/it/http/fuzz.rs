//! What schemathesis makes of the OpenAPI document: it sends what that allows and what it does not, and looks whether each
//! answer is one that the document promises. `tests/data/schemathesis.toml` says which checks are off, and why.

use std::path::Path;
use std::process::{Command, Stdio};

use tidings::http::endpoints;

use super::WORLD;
use crate::server::Server;
use crate::support::{is_long, say_skipped};

/// Deletes whoever asks, so that nobody else's run has it
const OWN_END: &str = "/api/user/delete/";

/// Runs it for some seconds as a user; returns what it says, none where it is not installed.
fn fuzz(user: &str, seconds: u64, arguments: &[&str]) -> Option<String> {
    let program = "schemathesis";
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if version.is_err() {
        say_skipped("what schemathesis finds (it is not installed; tests/run --long installs it)");
        return None;
    }
    let no_limits = ["--logins", "0", "--registrations", "0", "--failed-logins", "0"];
    let server = Server::ephemeral(WORLD, &["ann", "bob"], &no_limits);
    let folder = tempfile::tempdir().unwrap();
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schemathesis.toml");
    let mut command = Command::new(program);
    command.arg("--config-file").arg(settings).args(["run", &format!("{}/api/schema/", server.url)]);
    command.args(["--no-color", "--max-time", &seconds.to_string()]).args(arguments);
    command.args(["--header", &format!("Authorization: Bearer {}", server.token(user))]);
    if !is_long() {
        command.arg("--generation-deterministic");
    }
    let output = command.current_dir(folder.path()).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "as {user}: {}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}

/// The same for all but one endpoint, for as long as there is time
fn fuzz_all(user: &str) {
    let seconds = if is_long() { 150 } else { 20 };
    let Some(said) = fuzz(user, seconds, &["--exclude-path", OWN_END]) else { return };
    if is_long() {
        let tested = format!("Tested: {}\n", endpoints().len() - 1);
        assert!(said.contains(&tested), "not every endpoint was tested");
    }
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
    fuzz("bob", 10, &["--include-path", OWN_END]);
}
