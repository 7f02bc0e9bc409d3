//! The command line: what stands on it, who acts, which command runs.

mod completions;
mod config;
mod context;
mod conversation;
mod data;
mod db;
mod demo;
mod doctor;
mod follow;
mod going;
mod keys;
mod man;
mod message;
mod notifications;
mod output;
mod pages;
mod progress;
mod prompt;
mod serve;
mod settings;
mod text;
mod token;
mod user;
mod watch;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::TypedValueParser as _;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use self::context::{Context, ERASURE, ERASURE_OF_ACCOUNTS};
use self::output::{Field, Format, Output, When};
use self::pages::{PAGE, pages};
use self::settings::Settings;
use crate::error::{Error, Kind};
use crate::model::{Choice, Timestamp, UserSelector};
use crate::transfer::Interruption;

/// A messaging system with notifications in one binary
#[derive(Debug, Parser)]
#[command(name = "tidings", version, max_term_width = 100, args_override_self = true)]
#[command(after_help = "Without --as you are the operator: access to the database is the authority.\n\
    Start with: tidings demo")]
struct Cli {
    #[command(flatten)]
    global: Global,

    #[command(subcommand)]
    command: Command,
}

/// Options that may stand anywhere on the line
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options for every command")]
struct Global {
    /// The database: a file, or postgres://… [env: TIDINGS_DB] [default: a file in your data folder]
    #[arg(long, global = true, hide_short_help = true, value_name = "PATH|URL")]
    db: Option<String>,

    /// Act as this user, with exactly their rights [env: TIDINGS_AS]
    #[arg(long = "as", global = true, hide_short_help = true, value_name = "USER")]
    acting: Option<UserSelector>,

    /// Act as the operator, even if TIDINGS_AS is set
    #[arg(long, global = true, hide_short_help = true, conflicts_with = "acting")]
    operator: bool,

    /// Format of the result [env: TIDINGS_OUTPUT] [default: table]
    #[arg(short, long, global = true, hide_short_help = true, value_name = "FORMAT")]
    output: Option<Format>,

    /// Show only these fields, named as in JSON and CSV, for example number,sender.username; an unknown name lists the
    /// fields of the command
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        value_name = "FIELDS",
        value_delimiter = ',',
        overrides_with = "fields"
    )]
    fields: Option<Vec<String>>,

    /// Leave out the headings of CSV, TSV and tables
    #[arg(long, global = true, hide_short_help = true)]
    no_header: bool,

    /// When to use colours: auto is on a terminal, unless NO_COLOR is set [default: auto]
    #[arg(long, global = true, hide_short_help = true, value_name = "WHEN")]
    color: Option<When>,

    /// Print only the result, and of what is created only the id
    #[arg(short, long, global = true, hide_short_help = true)]
    quiet: bool,

    /// Print the causes of errors to stderr
    #[arg(short, long, global = true, hide_short_help = true)]
    verbose: bool,

    /// Freeze the clock at this time, for example 2026-01-01T09:00:00Z [env: TIDINGS_NOW]
    #[arg(long, global = true, hide_short_help = true, value_name = "TIME", value_parser = time)]
    now: Option<Timestamp>,

    /// Draw ids from this number, so that the same commands give the same output [env: TIDINGS_SEED]
    #[arg(long, global = true, hide_short_help = true, value_name = "N")]
    seed: Option<u64>,

    /// Read variables from this file instead of ./.env
    #[arg(long, global = true, hide_short_help = true, value_name = "FILE")]
    env_file: Option<PathBuf>,

    /// Show what would happen and change nothing
    #[arg(long, global = true, hide_short_help = true)]
    dry_run: bool,

    /// Do not ask before deleting or replacing
    #[arg(short, long, global = true, hide_short_help = true)]
    yes: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Manage users
    #[command(subcommand)]
    User(user::Command),
    /// Manage conversations and their participants
    #[command(subcommand)]
    Conversation(conversation::Command),
    /// Send, list, change and delete messages
    #[command(subcommand)]
    Message(message::Command),
    /// List notifications and mark them as read or unread
    #[command(subcommand)]
    Notifications(notifications::Command),
    Watch(watch::Watch),
    Serve(serve::Serve),
    /// Export and import data
    #[command(subcommand)]
    Data(data::Command),
    /// Manage the database
    #[command(subcommand)]
    Db(db::Command),
    /// Issue and revoke the tokens of users
    #[command(subcommand)]
    Token(token::Command),
    /// Show the settings
    #[command(subcommand)]
    Config(config::Command),
    Doctor(doctor::Doctor),
    /// Play a conversation on a small database, and show the command of each step
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// The one format of what the command shows, where there is no choice
    fn only_format(&self) -> Option<Format> {
        match self {
            Self::User(command) => command.only_format(),
            Self::Data(command) => command.only_format(),
            _ => None,
        }
    }

    /// The fields of the command's records
    fn fields(&self) -> &'static [Field] {
        match self {
            Self::User(command) => command.fields(),
            Self::Conversation(command) => command.fields(),
            Self::Message(command) => command.fields(),
            Self::Notifications(command) => command.fields(),
            Self::Data(command) => command.fields(),
            Self::Db(command) => command.fields(),
            Self::Token(command) => command.fields(),
            Self::Config(_) => config::FIELDS,
            Self::Doctor(_) => doctor::FIELDS,
            Self::Watch(_) => watch::FIELDS,
            Self::Serve(_) | Self::Demo(_) | Self::Completions(_) | Self::Man(_) => &[],
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// Wrong usage, described in a sentence; exit code 2
    Usage(String),
    /// A rule or the database refused it
    Refused(Error),
    /// The result could not be written
    Unwritten(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Interruption> for Failure {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Refused(error) => Self::Refused(error),
            Interruption::Unwritten(error) => Self::Unwritten(error),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unwritten(error)
    }
}

/// The exit code for wrong usage
const USAGE: u8 = 2;

/// The result of a command
type Outcome = Result<(), Failure>;

/// The command line, as its help describes it
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program: `arguments` begins with its name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if completions::answer(&arguments) {
        return ExitCode::SUCCESS;
    }
    let color = value_on(&arguments, &["--color"]).unwrap_or_default();
    let command = with_short_help(Cli::command()).color(match color {
        When::Auto => ColorChoice::Auto,
        When::Always => ColorChoice::Always,
        When::Never => ColorChoice::Never,
    });
    let format = value_on(&arguments, &["--output", "-o"]);
    let cli = match command.try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            let settings = Settings::of_environment();
            let format = format.or_else(|| settings.format().ok().flatten()).unwrap_or_default();
            let options = output::Options { format, colors: settings.colors(color), ..output::Options::default() };
            Output::new(options).usage(&error);
            return ExitCode::from(USAGE);
        }
        Err(help) => {
            return match help.print().and_then(|()| output::write("")) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => report(&Output::new(output::Options::default()), Failure::Unwritten(error)),
            };
        }
    };
    run(cli)
}

/// The value of an option that help and errors of usage obey too, before there is a line that was understood
fn value_on<T: ValueEnum>(arguments: &[OsString], names: &[&str]) -> Option<T> {
    let words: Vec<&str> = arguments.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str()).collect();
    let values = words.iter().enumerate().filter_map(|(index, word)| {
        let rest = names.iter().find_map(|name| word.strip_prefix(name))?;
        if rest.is_empty() { words.get(index + 1).copied() } else { Some(rest.trim_start_matches('=')) }
    });
    values.filter_map(|value| T::from_str(value, false).ok()).next_back()
}

/// The command line, whose `-h` names the options for every command in one line; `--help` lists them.
fn with_short_help(command: clap::Command) -> clap::Command {
    let long = command.get_after_help().cloned().unwrap_or_default();
    let short = format!("{long}\n\nOptions for every command: see --help");
    command.after_help(short.trim_start().to_owned()).after_long_help(long).mut_subcommands(with_short_help)
}

/// Runs a command; returns its exit code.
fn run(cli: Cli) -> ExitCode {
    let Global { quiet, verbose, no_header, color, .. } = cli.global;
    let color = color.unwrap_or_default();
    let environment = Settings::of_environment();
    let (colors, format) = (environment.colors(color), environment.format().ok().flatten());
    let format = cli.global.output.or(format).unwrap_or_default();
    let options = output::Options { format, no_header, quiet, verbose, colors, fields: None };
    // Invalid settings stop every command except those that report them.
    let shows_settings = matches!(cli.command, Command::Doctor(_) | Command::Config(_));
    let settings = match Settings::load(cli.global.env_file.as_deref()) {
        Ok(settings) => settings,
        Err(Failure::Usage(problem)) if shows_settings => Settings::unusable(problem),
        Err(failure) => return report(&Output::new(options), failure),
    };
    let options = output::Options { colors: settings.colors(color), ..options };
    let format = match cli.global.output {
        Some(format) => Ok(Some(format)),
        None => settings.format(),
    };
    let mut out = match format {
        Err(_) if shows_settings => Output::new(options),
        Ok(format) => Output::new(output::Options {
            format: format.unwrap_or_default(),
            fields: cli.global.fields.clone(),
            ..options
        }),
        Err(failure) => return report(&Output::new(options), failure),
    };
    if let Some(warning) = &settings.warning {
        out.complain(warning);
    }
    let done = dispatch(cli, &settings, &mut out).and_then(|()| Ok(out.flush()?));
    match done {
        Ok(()) => ExitCode::from(out.exit_code),
        Err(failure) => {
            // What came before the failure is a result too; the failure matters more than not being able to write it.
            let _ = out.flush();
            report(&out, failure)
        }
    }
}

fn dispatch(cli: Cli, settings: &Settings, out: &mut Output) -> Outcome {
    let Cli { global, command } = cli;
    // Checked first, so that a wrong output option changes nothing.
    if let (Some(only), Some(asked)) = (command.only_format(), global.output)
        && only != asked
    {
        return Err(Failure::Usage(format!("The only output format of this command is {only}.")));
    }
    out.expect(command.fields())?;
    match command {
        Command::User(command) => command.run(&global, settings, out),
        Command::Conversation(command) => command.run(&mut Context::open(&global, settings, out)?),
        Command::Message(command) => command.run(Context::open(&global, settings, out)?),
        Command::Notifications(command) => command.run(Context::open(&global, settings, out)?),
        Command::Watch(command) => command.run(Context::open(&global, settings, out)?),
        Command::Serve(command) => command.run(&global, settings, out),
        Command::Data(command) => command.run(&global, settings, out),
        Command::Db(command) => command.run(&global, settings, out),
        Command::Token(command) => command.run(&global, settings, out),
        Command::Config(config::Command::Show(config::Show {})) => config::show(&global, settings, out),
        Command::Doctor(doctor::Doctor {}) => doctor::run(&global, settings, out),
        Command::Demo(demo::Demo {}) => demo::run(&global, settings, out),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(out),
    }
}

/// Refuses a command on the whole database to a user.
fn only_operator(global: &Global, settings: &Settings) -> Outcome {
    if settings.acting(global.acting.as_ref(), global.operator)?.is_none() {
        return Ok(());
    }
    let refused = Error::forbidden("Only the operator can use this command.");
    Err(refused.hint("Leave out --as; if TIDINGS_AS is set, use --operator.").into())
}

/// Reports why a command failed and returns its exit code; a closed pipe is not a failure.
fn report(out: &Output, failure: Failure) -> ExitCode {
    let (error, code) = match failure {
        // The nearest of all kinds.
        Failure::Usage(sentence) => (Error::of_request(Kind::Invalid, sentence), USAGE),
        Failure::Refused(error) => {
            let code = error.kind().exit_code();
            (error, code)
        }
        Failure::Unwritten(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Failure::Unwritten(error) => {
            let detail = format!("The result could not be written: {error}. The changes of the command were made.");
            (Error::of_request(Kind::Internal, detail), Kind::Internal.exit_code())
        }
    };
    out.error(&error);
    ExitCode::from(code)
}

/// Parses a time; a date alone is the beginning of that day.
fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_or_date(text).ok_or_else(|| "not a time like 2026-01-01T09:00:00Z or 2026-01-01 (UTC)".to_owned())
}

/// Parses the value of --limit.
fn limit(text: &str) -> Result<i64, String> {
    text.parse().ok().filter(|limit| *limit >= 1).ok_or_else(|| "it has to be a whole number, at least 1".to_owned())
}

/// Parses a value of an enumeration.
fn choice<T: Choice + Send + Sync>() -> impl clap::builder::TypedValueParser<Value = T> {
    let words = T::ALL.iter().map(|choice| choice.word());
    clap::builder::PossibleValuesParser::new(words)
        .try_map(|word| T::ALL.iter().copied().find(|choice| choice.word() == word).ok_or("not one of the words"))
}

/// `1 message`, `2 messages`
fn counted(count: impl TryInto<i64>, noun: &str) -> String {
    let count = count.try_into().unwrap_or(i64::MAX);
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
