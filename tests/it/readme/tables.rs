//! The parts of documents that are made of what the program says of itself, and of their headings.

use std::process::Command;

use tidings::http::{Access, Endpoint, endpoints};

use super::links::contents;
use super::{TEXTS, is_updating, rewrite};
use crate::support::{Shell, say_skipped};

/// What stands before, between and behind two lines of comment
fn parts<'d>(document: &'d str, part: &str) -> (&'d str, &'d str, &'d str) {
    let begin = format!("<!-- {part}, written by TIDINGS_UPDATE=1 cargo test -- readme -->\n");
    let start = document.find(&begin).unwrap_or_else(|| panic!("no line: {begin}")) + begin.len();
    let end = start + document[start..].find("<!-- end -->").unwrap();
    (&document[..start], &document[start..end], &document[end..])
}

/// Fails unless that part of a document is this text; where it may be written, writes it.
fn must_hold(name: &str, part: &str, text: &str) {
    if is_updating() {
        return rewrite(name, |document| {
            let (before, _, behind) = parts(document, part);
            [before, text, behind].concat()
        });
    }
    assert_eq!(parts(&TEXTS[name], part).1, text, "{name}: TIDINGS_UPDATE=1 cargo test -- readme writes it");
}

#[test]
fn every_guide_begins_with_its_contents() {
    for (name, text) in TEXTS.iter().filter(|(name, _)| name.starts_with("docs/")) {
        must_hold(name, "contents", &contents(text));
    }
}

#[test]
fn the_table_of_endpoints_is_that_of_the_router() {
    let row = |endpoint: &Endpoint| {
        let Endpoint { method, path, summary, twin, access, errors, .. } = endpoint;
        let mut codes: Vec<&str> = errors.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        let twin = twin.map_or_else(|| "—".to_owned(), |twin| format!("`{twin}`"));
        let needs_token = matches!(access, Access::User | Access::UserOrTicket);
        let who = if needs_token { "" } else { "; without a token" };
        format!("| `{method} {path}` | {summary}{who} | {twin} | {} |\n", codes.join(", "))
    };
    let rows: String = endpoints().iter().map(row).collect();
    must_hold(
        "docs/rest.md",
        "endpoints",
        &format!("| endpoint | does | command | errors |\n|---|---|---|---|\n{rows}"),
    );
}

/// The options of `serve` as its help has them: name, value, text
fn options(help: &str) -> Vec<(String, String, String)> {
    let mut options: Vec<(String, String, String)> = Vec::new();
    let own = help.split("Options for every command").next().unwrap().split("Options:\n").nth(1).unwrap();
    let own = own.split("-h, --help").next().unwrap();
    for line in own.lines().map(str::trim) {
        if let Some(option) = line.strip_prefix("--") {
            let (name, value) = option.split_once(' ').unwrap_or((option, ""));
            options.push((name.to_owned(), value.trim_matches(['<', '>']).to_owned(), String::new()));
        } else if let Some((.., text)) = options.last_mut().filter(|_| !line.is_empty()) {
            text.push_str(if text.is_empty() { "" } else { " " });
            text.push_str(line);
        }
    }
    options
}

#[test]
fn the_table_of_options_is_that_of_the_help() {
    let help = Shell::new().run_without_db("serve --help", &[("COLUMNS", "1000")]).stdout;
    let row = |(name, value, text): (String, String, String)| {
        let value = if value.is_empty() { value } else { format!(" {value}") };
        let text = text.split(" [possible values").next().unwrap();
        format!("| `--{name}{value}` | `TIDINGS_{}` | {text} |\n", name.to_uppercase().replace('-', "_"))
    };
    let rows: String = options(&help).into_iter().map(row).collect();
    must_hold("docs/operations.md", "options of serve", &format!("| option | variable | |\n|---|---|---|\n{rows}"));
}

#[test]
fn the_units_are_what_systemd_understands_and_the_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    let blocks = TEXTS["docs/operations.md"].split("```ini\n").skip(1);
    for block in blocks.map(|rest| rest.split("```").next().unwrap()) {
        let name = block.lines().next().unwrap().rsplit('/').next().unwrap();
        if let Some((_, rest)) = block.split_once("ExecStart=/usr/local/bin/tidings serve ") {
            let help = Shell::new().run_without_db("serve --help", &[]).stdout;
            let given: Vec<&str> =
                rest.lines().next().unwrap().split(' ').filter(|word| word.starts_with("--")).collect();
            assert!(!given.is_empty() && given.iter().all(|option| help.contains(option)), "{given:?}");
        }
        let file = folder.path().join(name);
        std::fs::write(&file, block.replace("/usr/local/bin/tidings", env!("CARGO_BIN_EXE_tidings"))).unwrap();
        files.push(file);
    }
    assert_eq!(files.len(), 2);
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(files).output() else {
        return say_skipped("the units of the guide to operations (systemd-analyze is not installed)");
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("Unknown"), "{said}");
}
