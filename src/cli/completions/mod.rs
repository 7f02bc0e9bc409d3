//! `tidings completions`, and the answers to the shells that run its scripts.

mod bash;
mod candidates;

use std::ffi::OsString;
use std::io;

use clap::{Arg, ArgAction, Args, CommandFactory, ValueEnum, ValueHint};
use clap_complete::engine::{ArgValueCompleter, complete};
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell, Zsh};

use self::bash::Line;
use self::candidates::{Completer, Request};
use super::{Cli, Outcome, output, settings};

/// Print a completion script for a shell
///
/// It completes commands, options, files, and users, conversations and messages from the database. It only reads the
/// database.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    tidings completions bash > ~/.local/share/bash-completion/completions/tidings\n  \
    tidings completions fish > ~/.config/fish/completions/tidings.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Outcome {
        Ok(output::write(&script(self.shell)?)?)
    }
}

/// A shell with a script
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
    Elvish,
}

/// How a script says which shell asks
const VARIABLE: &str = "COMPLETE";

/// The script for a shell; it finds the program by its name.
fn script(shell: Shell) -> io::Result<String> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => return Ok(bash::SCRIPT.to_owned()),
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Elvish => &Elvish,
    };
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, "tidings", "tidings", "tidings", &mut script)?;
    let script = String::from_utf8(script).map_err(io::Error::other)?;
    // The first time zsh calls the file as a function, which has to complete too.
    let registration = "compdef _clap_dynamic_completer_tidings tidings";
    let either = format!(
        "if [[ $funcstack[1] == _tidings ]]; then\n    _clap_dynamic_completer_tidings \"$@\"\nelse\n    {registration}\nfi"
    );
    Ok(format!("{}\n", script.trim().replace(registration, &either)))
}

/// Answers a shell that asks what could stand on the line; says whether one did.
pub(super) fn answer(arguments: &[OsString]) -> bool {
    let Some(shell) = settings::asking_shell(VARIABLE).and_then(|name| Shell::from_str(&name, false).ok()) else {
        return false;
    };
    let [_, dashes, words @ ..] = arguments else { return false };
    if dashes != "--" || words.is_empty() {
        return false;
    }
    // Whatever goes wrong is not said: it would stand in the middle of the line that is being typed.
    let _ = answered(shell, words).and_then(|answer| output::write(&answer));
    true
}

fn answered(shell: Shell, words: &[OsString]) -> io::Result<String> {
    let folder = std::env::current_dir().ok();
    let mut words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let completer: &dyn EnvCompleter = match shell {
        Shell::Bash => {
            let breaks = words.get(1).cloned().unwrap_or_default();
            let line = Line::read(&words[0], &breaks);
            let (arguments, last) = (line.words.iter().map(OsString::from).collect(), line.words.len() - 1);
            let found = complete(&mut command(&line.words), arguments, last, folder.as_deref())?;
            let written = |value: &OsString| format!("{}\n", line.rest_of(&value.to_string_lossy()));
            return Ok(found.iter().map(|candidate| written(&candidate.get_value().to_owned())).collect());
        }
        Shell::Powershell => {
            let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
            let last = arguments.len() - 1;
            let found = complete(&mut command(&words), arguments, last, folder.as_deref())?;
            let line = |candidate: &clap_complete::CompletionCandidate| {
                let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
                let help = help.lines().next().map(|help| format!("\t{help}")).unwrap_or_default();
                format!("{}{help}\n", quoted_for_powershell(&candidate.get_value().to_string_lossy()))
            };
            return Ok(found.iter().map(line).collect());
        }
        Shell::Zsh => {
            words = words.iter().map(|word| bash::unquoted(word)).collect();
            &Zsh
        }
        Shell::Fish => {
            // Only the word at the cursor comes as it was typed.
            if let Some(last) = words.last_mut() {
                *last = bash::unquoted(last);
            }
            &Fish
        }
        Shell::Elvish => &Elvish,
    };
    let mut answer = Vec::new();
    let arguments = words.iter().map(OsString::from).collect();
    completer.write_complete(&mut command(&words), arguments, folder.as_deref(), &mut answer)?;
    String::from_utf8(answer).map_err(io::Error::other)
}

/// A word as PowerShell reads it back: `@name` and `|name|` would mean something to it.
fn quoted_for_powershell(word: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "-_./\\:=#".contains(character);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "''")) }
}

/// The command line, with whatever can complete its values.
fn command(words: &[String]) -> clap::Command {
    // An option that is hidden is completed when nothing else is: where a dash begins the word, or no value can stand.
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).global(true).hide(true);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version).hide(true);
    let plain = Cli::command().disable_help_flag(true).disable_version_flag(true).disable_help_subcommand(true);
    with_completers(plain, &Request::read(words)).args([help, version])
}

fn with_completers(command: clap::Command, request: &Request) -> clap::Command {
    command
        .mut_args(|argument| with_completer(argument, request))
        .mut_subcommands(|command| with_completers(command, request))
}

/// What an argument is called in the help says what completes it.
fn with_completer(argument: Arg, request: &Request) -> Arg {
    let argument = if argument.is_positional() { argument } else { argument.hide(true) };
    // Of several words in one only the first is completed: the text of a message is nowhere else.
    let is_mixed = argument.get_value_names().is_some_and(|names| names.iter().any(|name| name.contains(' ')));
    let argument = if is_mixed { argument.num_args(1) } else { argument };
    let name = argument.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
    match Completer::for_value(&name, request) {
        Some(completer) => argument.add(ArgValueCompleter::new(completer)),
        None if name.starts_with("PATH") => argument.value_hint(ValueHint::AnyPath),
        None => argument,
    }
}
