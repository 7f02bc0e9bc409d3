//! The pages in a browser: what `tests/browser` does with them, on a server of its own.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::say_skipped;

const BROWSER: &str = "/usr/bin/chromium";

/// Node.js, which finds the packages of the tests
pub(super) fn node() -> Command {
    let mut command = Command::new("node");
    if let Some(packages) = std::env::var_os("TIDINGS_TEST_NODE") {
        command.env("NODE_PATH", packages);
    }
    command
}

/// Whether there is a browser, and everything that drives it
pub(super) fn is_installed() -> bool {
    let packages = "require('playwright-core'); require('axe-core')";
    let found = node().args(["-e", packages]).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()) && Path::new(BROWSER).exists()
}

#[test]
fn people_see_nothing_wrong_on_any_page_whatever_they_do() {
    if !is_installed() {
        return say_skipped("the pages in a browser (chromium, Node.js, playwright-core or axe-core is not installed)");
    }
    let folder = tempfile::tempdir().unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = node()
        .arg(project.join("tests/browser/run.cjs"))
        .arg(env!("CARGO_BIN_EXE_tidings"))
        .arg(folder.path())
        .arg(project.join("target/pages"))
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let (said, log) = (String::from_utf8_lossy(&done.stdout), std::fs::read_to_string(folder.path().join("log")));
    assert!(done.status.success(), "{said}{}\n{}", String::from_utf8_lossy(&done.stderr), log.unwrap_or_default());
    println!("{said}");
}
