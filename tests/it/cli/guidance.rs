//! What helps people find what to type: completions, manual pages, examples, and proposals for misspelt names.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;

use super::shell;
use crate::support::{Shell, words};

/// Where the scripts lie, as each shell wants its file called
const SCRIPTS: [(&str, &str); 5] = [
    ("bash", "tidings.bash"),
    ("zsh", "_tidings"),
    ("fish", "tidings.fish"),
    ("powershell", "_tidings.ps1"),
    ("elvish", "tidings.elv"),
];

/// The characters behind which bash completes anew
const BREAKS: &str = " \t\n\"'@><=;|&(:";

/// People with odd names, in groups and alone
fn crowd() -> Shell {
    let shell = shell();
    for name in ["|trey|", "[[mandrix]]", "annabel"] {
        shell.done_with(&["user", "create", "--no-password", "--", name]);
    }
    shell.done_with(&["conversation", "create", "bob", "--name", "tea", "--as", "|trey|"]);
    shell.done_with(&["message", "send", "--to", "|trey|", "psst", "--as", "ann"]);
    shell
}

impl Shell {
    /// What bash is answered for a line, on one line
    fn completed(&self, line: &str) -> String {
        let run = self.asked("bash", &[line, BREAKS], &[]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{line}");
        run.stdout.lines().collect::<Vec<_>>().join("  ")
    }
}

#[test]
fn the_scripts_are_those_the_program_prints() {
    let shell = Shell::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (name, file) in SCRIPTS {
        let script = shell.run_without_db(&format!("completions {name}"), &[]);
        assert_eq!(script.code, 0, "{script}");
        assert!(!script.stdout.contains("/target/"), "the script of {name} knows the machine it was made on");
        if std::env::var("TIDINGS_UPDATE").is_ok() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), &script.stdout).unwrap();
        }
        let kept = fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert_eq!(kept, script.stdout, "completions/{file} is stale: TIDINGS_UPDATE=1 writes it");
    }
}

#[test]
fn a_shell_completes_what_the_database_holds() {
    let shell = crowd();
    for (line, expected) in [
        ("tidings --db test.db user show an", "ann  annabel"),
        ("tidings --db test.db user show ANN", "ann  annabel"),
        ("tidings --db test.db user show \\|", "\\|trey\\|"),
        ("tidings --db test.db user show '[", "[[mandrix]]"),
        ("tidings --db=test.db --as=b", "bob"),
        ("tidings --db test.db user show nobody", ""),
        ("tidings --db test.db conversation show t", "tea  team"),
        ("tidings --db test.db --as ann conversation show ", "team  @\\|trey\\|"),
        ("tidings --db test.db --as ann conversation show @", "@\\|trey\\|"),
        ("tidings --db test.db --as ann --operator conversation show ", "tea  team"),
        ("tidings --db test.db message show t", "tea#  team#"),
        ("tidings --db test.db message show team#", "team#2  team#1"),
        ("tidings --db test.db message show team#1", "team#1"),
        ("tidings --db test.db --as ann message show t", "team#2  team#1"),
        ("tidings --db test.db --as annabel message show team#", ""),
        ("tidings --db test.db message read tea", "tea  team  tea#  team#"),
        ("tidings --db test.db message send te", "tea  team"),
        ("tidings --db test.db message send --to bob te", ""),
        ("tidings --db test.db message send team te", ""),
        ("tidings --db test.db message send team text --receiver b", "bob"),
        ("tidings --db test.db message send --file te", "test.db  test.db-lock"),
        ("tidings --db te", "test.db  test.db-lock"),
        ("tidings mess", "message"),
        ("tidings message list --unr", "--unread"),
        ("tidings conversation level team ", "all  mentions  none"),
    ] {
        assert_eq!(shell.completed(line), expected, "{line}");
    }
    let help = shell.asked("fish", &["tidings", "--db", "test.db", "message", "show", "team#2"], &[]);
    assert_eq!(help.stdout, "team#2\tbob: Yes\n");
    let help = shell.asked("zsh", &["tidings", "--db", "test.db", "--as", "'|t"], &[("_CLAP_COMPLETE_INDEX", "4")]);
    assert_eq!(help.stdout, "|trey|");
    let quoted = shell.asked("powershell", &["tidings", "--db", "test.db", "--as", "|t"], &[]);
    assert_eq!(quoted.stdout, "'|trey|'\n");
    let plain = [("_CLAP_COMPLETE_INDEX", "4"), ("TIDINGS_DB", "test.db"), ("TIDINGS_AS", "ann")];
    let own = shell.asked("elvish", &["tidings", "-q", "message", "list", "t"], &plain);
    assert_eq!(own.stdout, "team");
}

#[test]
fn bash_completes_by_its_script() {
    let shell = crowd();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions/tidings.bash");
    let programs = Path::new(env!("CARGO_BIN_EXE_tidings")).parent().unwrap().display().to_string();
    for (line, expected) in [
        ("tidings user show \\|", "\\|trey\\|\n"),
        ("tidings user show [", "\\[\\[mandrix\\]\\]\n"),
        ("tidings message list --as=anna", "annabel\n"),
        ("tidings message show team#", "team#2\nteam#1\n"),
    ] {
        let ask = "source \"$1\"; COMP_LINE=$2 COMP_POINT=${#2}; _tidings; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let output = std::process::Command::new("bash")
            .args(["-c", ask, "bash"])
            .args([script.as_os_str(), line.as_ref()])
            .current_dir(shell.path(""))
            .env_clear()
            .envs([
                ("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()).as_str()),
                ("TIDINGS_DB", "test.db"),
            ])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{line}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{line}");
    }
}

#[test]
fn completing_makes_no_database_and_complains_of_nothing() {
    let shell = crowd();
    let before = shell.dump();
    fs::write(shell.path("text"), "not a database").unwrap();
    fs::write(shell.path("broken"), "TIDINGS_DB='").unwrap();
    for place in ["--db absent.db", "--db text", "--db .", "--env-file broken", "--db postgres://nobody@localhost:1/x"]
    {
        assert_eq!(shell.completed(&format!("tidings {place} user show a")), "", "{place}");
    }
    assert_eq!(shell.completed("tidings --db test.db --as nobody message list t"), "");
    assert!(!shell.path("absent.db").exists() && !shell.path("absent.db-lock").exists());
    assert_eq!(shell.dump(), before);
}

#[test]
fn a_variable_meant_for_others_does_not_stop_a_command() {
    let shell = shell();
    for value in ["bash", "1", ""] {
        let run = shell.run_env("user list -o ids", &[("COMPLETE", value)]);
        assert_eq!((run.code, run.stdout.lines().count()), (0, 2), "{run}");
    }
}

#[test]
fn hostile_text_beside_a_completion_is_escaped() {
    let shell = shell();
    shell.done_with(&["message", "send", "team", "\u{1b}[2J\ttab\nline", "--as", "ann"]);
    let run = shell.asked("fish", &["tidings", "--db", "test.db", "message", "show", "team#3"], &[]);
    assert_eq!(run.stdout, "team#3\tann: \\u{1b}[2J\\ttab\\nline\n");
}

/// Every command that does something, with its words
pub(super) fn leaves(command: &clap::Command, before: &str) -> Vec<(String, clap::Command)> {
    let name = format!("{before} {}", command.get_name()).trim().to_owned();
    if !command.has_subcommands() {
        return vec![(name, command.clone())];
    }
    command.get_subcommands().flat_map(|command| leaves(command, &name)).collect()
}

#[test]
fn every_command_and_every_option_is_explained_and_every_command_shows_an_example() {
    let all = leaves(&tidings::cli::command(), "");
    assert!(all.len() > 30);
    for (name, command) in all {
        assert!(command.get_about().is_some(), "{name} does not say what it does");
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.contains("Example") && help.contains(&format!("  {name}")), "{name} has no example: {help}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {} has no help", argument.get_id());
        }
    }
}

#[test]
fn every_example_of_the_help_is_understood() {
    let mut examples = 0;
    for (name, command) in leaves(&tidings::cli::command(), "") {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines() {
            let line = line.replace("\"$(date +%F)\"", "today");
            for part in line.split(['|', '>']).map(str::trim).filter(|part| part.starts_with("tidings ")) {
                let parsed = tidings::cli::command().try_get_matches_from(words(part));
                assert!(parsed.is_ok(), "{name}: {part}: {}", parsed.unwrap_err());
                examples += 1;
            }
        }
    }
    assert!(examples > 30);
}

#[test]
fn every_command_has_a_manual_page() {
    let shell = Shell::new();
    let run = shell.run_without_db("man --directory pages", &[]);
    assert_eq!(run.code, 0, "{run}");
    let names: Vec<String> = fs::read_dir(shell.path("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for (name, _) in leaves(&tidings::cli::command(), "") {
        assert!(names.contains(&format!("{}.1", name.replace(' ', "-"))), "{name} has no page");
    }
    for file in &names {
        let page = fs::read_to_string(shell.path("pages").join(file)).unwrap();
        for reference in page.split_whitespace().filter_map(|word| word.split_once("(1)")).map(|(name, _)| name) {
            let name = reference.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "");
            assert!(names.contains(&format!("{name}.1")), "{file} refers to {name}, which is nowhere");
        }
    }
    let page = shell.run_without_db("man message send", &[]).stdout;
    assert_eq!(page, fs::read_to_string(shell.path("pages/tidings-message-send.1")).unwrap());
    assert!(page.contains(".SH EXAMPLES") && page.starts_with(".TH \"TIDINGS-MESSAGE-SEND\" 1 "), "{page}");
    assert_eq!(shell.run_without_db("man", &[]).code, 0);
    assert!(!shell.path(".local").exists(), "a manual page needs no database");
    assert_snapshot!(shell.run("man mesage"), @"
    --- stderr
    tidings: There is no command “mesage”.
    --- exit code 2
    ");
}

#[test]
fn similar_names_are_suggested() {
    let shell = crowd();
    assert_snapshot!(shell.run("mesage list"), @"
    --- stderr
    tidings: unrecognized subcommand 'mesage'

    hint: a similar subcommand exists: 'message'

    Usage: tidings [OPTIONS] <COMMAND>

    For more information, try '--help'.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("message sned team hi --as ann"), @"
    --- stderr
    tidings: unrecognized subcommand 'sned'

    hint: a similar subcommand exists: 'send'

    Usage: tidings message [OPTIONS] <COMMAND>

    For more information, try '--help'.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user list --ass ann"), @"
    --- stderr
    tidings: unexpected argument '--ass' found

    hint: a similar argument exists: '--as'

    Usage: tidings user list --as <USER>

    For more information, try '--help'.
    --- exit code 2
    ");
    assert_snapshot!(shell.run("user show anm"), @"
    --- stderr
    tidings: There is no user “anm”.
    hint: Did you mean “ann”?
    --- exit code 3
    ");
    assert_snapshot!(shell.run("user show ABBABEL"), @"
    --- stderr
    tidings: There is no user “ABBABEL”.
    hint: Did you mean “annabel”?
    --- exit code 3
    ");
    assert_snapshot!(shell.run("user show robert"), @"
    --- stderr
    tidings: There is no user “robert”.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("message list taem"), @"
    --- stderr
    tidings: There is no conversation “taem”.
    hint: Did you mean “team”?
    --- exit code 3
    ");
    assert_snapshot!(shell.run("message list te"), @"
    --- stderr
    tidings: There is no conversation “te”.
    hint: Did you mean “tea”?
    --- exit code 3
    ");
    assert_snapshot!(shell.run("message send ANN hi --as bob"), @"
    --- stderr
    tidings: There is no conversation “ANN”.
    hint: “ann” is a user. Your direct conversation is @ann; `message send --to ann` starts it.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("message list ann"), @"
    --- stderr
    tidings: There is no conversation “ann”.
    hint: “ann” is a user. Their conversations: `conversation list --user ann`.
    --- exit code 3
    ");
    assert_snapshot!(shell.run("message send team hi --as trey"), @"
    --- stderr
    tidings: There is no user “trey”.
    hint: Did you mean “|trey|”?
    --- exit code 3
    ");
}

#[test]
fn an_invisible_group_is_never_suggested() {
    let shell = shell();
    let refused = || ["tea", "teaa"].map(|name| shell.run(&format!("message list {name} --as ann")).to_string());
    let before = refused();
    assert!(before[0].contains("hint: Did you mean “team”?"), "{}", before[0]);
    shell.done("user create eve --no-password");
    shell.done("conversation create eve --name tea --as bob");
    assert_eq!(refused(), before);
    let seen = shell.run("message list teaa --as eve");
    assert!(seen.stderr.contains("hint: Did you mean “tea”?"), "{seen}");
}
