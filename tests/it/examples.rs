//! What stands in `examples/` works: the shell script, the pytest suite, and the commands of the workflow.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Shell, say_skipped};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Runs a program that finds the tidings under test first; its temporary files go into that folder.
fn run(program: &str, arguments: &[&str], folder: &Path) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_tidings")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder)
        .output()
        .unwrap()
}

fn is_missing(program: &str) -> bool {
    !Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_shell_script_does_what_it_says_and_leaves_nothing_behind() {
    if is_missing("jq") {
        return say_skipped("the shell script of the examples (jq is not installed)");
    }
    let folder = tempfile::tempdir().unwrap();
    let done = run("sh", &[example("shell/newsletter.sh").to_str().unwrap()], folder.path());
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "20 messages wait to be read\n");
    assert!(done.status.success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something is left");
}

#[test]
fn the_checks_of_the_server_pass_and_leave_nothing_behind() {
    for program in ["jq", "curl"] {
        if is_missing(program) {
            return say_skipped(&format!("the checks of the examples ({program} is not installed)"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let done = run("sh", &[example("shell/checks.sh").to_str().unwrap()], folder.path());
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.lines().count() == 4 && said.lines().all(|line| line.starts_with("ok: ")), "{said}");
    assert!(done.status.success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something is left");
}

#[test]
fn the_script_that_waits_hears_the_answer_and_leaves_nothing_behind() {
    if is_missing("jq") {
        return say_skipped("the script of the examples that waits (jq is not installed)");
    }
    let folder = tempfile::tempdir().unwrap();
    let done = run("sh", &[example("shell/wait.sh").to_str().unwrap()], folder.path());
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "alice: Go!\n");
    assert!(done.status.success());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something is left");
}

#[test]
fn the_desktop_shows_what_others_write_and_nothing_twice() {
    if is_missing("jq") {
        return say_skipped("the notifications of the examples (jq is not installed)");
    }
    let shell = Shell::new();
    for name in ["ann", "bob"] {
        shell.done(&format!("user create {name} --no-password"));
    }
    // Instead of a desktop
    std::fs::write(shell.path("notify-send"), "#!/bin/sh\necho \"$@\" >>shown\n").unwrap();
    std::fs::set_permissions(shell.path("notify-send"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let watch = |options: &str| {
        let script = format!(
            "PATH=\"$PWD:$PATH\" TIDINGS_DB=test.db exec '{}' bob {options}",
            example("shell/desktop.sh").display()
        );
        run("sh", &["-c", &script], &shell.path(""))
    };
    assert!(watch("--count 0").status.success());
    shell.done("message send --to bob 'Are you there?' --as ann");
    shell.done("message send --to ann 'Yes' --as bob");
    shell.done("message send --to bob 'Lunch; at \"noon\"?' --as ann");
    let shown = || std::fs::read_to_string(shell.path("shown")).unwrap();
    let done = watch("--count 3");
    assert!(done.status.success(), "{done:?}");
    assert_eq!(shown(), "-- ann Are you there?\n-- ann Lunch; at \"noon\"?\n");
    assert_eq!(watch("--timeout 200ms").status.code(), Some(8));
    assert_eq!(shown().lines().count(), 2);
}

#[test]
fn the_pytest_suite_passes() {
    if is_missing("pytest") {
        return say_skipped("the pytest suite of the examples (pytest is not installed)");
    }
    let folder = tempfile::tempdir().unwrap();
    let suite = example("pytest");
    let done = run("pytest", &["-q", "-p", "no:cacheprovider", suite.to_str().unwrap()], folder.path());
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("9 passed"), "{said}{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn the_commands_of_the_workflow_are_those_of_this_program() {
    let workflow = std::fs::read_to_string(example("github-actions/tidings.yml")).unwrap();
    let workflow: Value = serde_saphyr::from_str(&workflow).unwrap();
    let shell = Shell::new();
    std::fs::create_dir(shell.path("tests")).unwrap();
    std::fs::copy(example("pytest/world.yaml"), shell.path("tests/world.yaml")).unwrap();
    let steps = workflow["jobs"]["pytest"]["steps"].as_array().unwrap();
    let scripts = steps.iter().filter_map(|step| step["run"].as_str());
    let commands: Vec<&str> = scripts.flat_map(str::lines).filter_map(|line| line.strip_prefix("tidings ")).collect();
    assert_eq!(commands.len(), 3, "{commands:?}");
    for command in commands {
        shell.done(command);
    }
    assert_eq!(shell.done("message list -o ids").stdout.lines().count(), 1);
    // With --detailed-exitcode, 10 would tell of something that is not as the fixture says.
    shell.done("data apply tests/world.yaml --detailed-exitcode");
}
