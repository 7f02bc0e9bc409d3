//! `tidings serve`

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use rustix::process::Pid;
use serde::Serialize;
use serde_json::Map;

use super::data::failed;
use super::keys;
use super::output::{self, Output};
use super::settings::Settings;
use super::{Context, Failure, Global, Outcome};
use crate::app::{App, secret};
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::http::{self, Allowed, Listener, Log, Metrics, MetricsFor, Server, Stop};
use crate::model::{Actor, UserSelector};
use crate::service::tokens::{self, Keys, Secret};
use crate::store::events::Retention;
use crate::transfer::apply::{self, Fixture};
use crate::transfer::input::Input;

/// The arguments of `tidings serve`; variables supply the others.
#[derive(Debug)]
pub(super) struct Serve(ArgMatches);

impl FromArgMatches for Serve {
    fn from_arg_matches(line: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        Ok(Self(line.clone()))
    }

    fn update_from_arg_matches(&mut self, line: &ArgMatches) -> std::result::Result<(), clap::Error> {
        line.clone_into(&mut self.0);
        Ok(())
    }
}

impl Args for Serve {
    fn augment_args(command: Command) -> Command {
        Options::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Options::augment_args_for_update(command)
    }
}

/// Serve the REST API, and pages for people in a browser
///
/// Every option is also a variable: --allowed-hosts is TIDINGS_ALLOWED_HOSTS. Logs requests to stderr, one line of JSON
/// each, without contents; --quiet turns the log off. On SIGTERM and SIGINT (with --ephemeral also SIGHUP) it finishes
/// the requests it has accepted, and stops.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings serve\n  tidings serve --bind 127.0.0.1:0 --ready-json\n  \
    tidings serve --ephemeral --fixture world.yaml --token-for alice --ready-json")]
struct Options {
    /// Where to listen: HOST:PORT (port 0: any free port), or the path of a socket
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    bind: String,

    /// Permissions of the socket, as for chmod: 0660 also admits its group
    #[arg(long, value_name = "MODE", value_parser = socket_mode, default_value = "0600")]
    socket_mode: u32,

    /// Listen on addresses that other machines can reach, without encryption
    #[arg(long)]
    allow_remote: bool,

    /// Whether new users can register themselves: open or closed
    #[arg(long, value_name = "WHETHER", default_value = "open", ignore_case = true)]
    registration: Registration,

    /// Print one line of JSON on stdout once requests are accepted: url, pid, version, tokens
    #[arg(long)]
    ready_json: bool,

    /// Serve a temporary database, and end with the program that started this one
    #[arg(long)]
    ephemeral: bool,

    /// With --ephemeral: start with this fixture, as `data apply` reads it
    #[arg(long, value_name = "FILE")]
    fixture: Option<PathBuf>,

    /// With --ephemeral: print access tokens of these users when ready
    #[arg(long, value_name = "USERS")]
    token_for: Vec<String>,

    /// Accepted hosts besides this machine; .example.org is every host below it, * is every host
    #[arg(long, value_name = "HOSTS")]
    allowed_hosts: Vec<String>,

    /// Sites whose pages can use the API, for example https://chat.example.org
    #[arg(long, value_name = "ORIGINS")]
    cors_origins: Vec<String>,

    /// Who can read /metrics: local (this machine), all or none
    #[arg(long, value_name = "WHO", default_value = "local", ignore_case = true)]
    metrics: Who,

    /// Take client addresses from the proxy in front (X-Forwarded-For, X-Forwarded-Proto)
    #[arg(long)]
    behind_proxy: bool,

    /// Maximum number of connections; further ones wait
    #[arg(long, value_name = "N", value_parser = number, default_value = "8000")]
    max_connections: u32,

    /// Maximum number of open event streams, which are not counted as connections
    #[arg(long, value_name = "N", value_parser = number, default_value = "12000")]
    max_streams: u32,

    /// Maximum number of open event streams of one user
    #[arg(long, value_name = "N", value_parser = number, default_value = "20")]
    user_streams: u32,

    /// Maximum number of connections to the database, 2 or more; slow requests get half of them, and exports use up to 16
    /// more [default: 8 for each core, at most 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    db_connections: Option<u32>,

    /// How many seconds a request waits for a connection to the database
    #[arg(long, value_name = "SECONDS", value_parser = number, default_value = "10")]
    db_wait: u32,

    /// Failed log-ins of an account per minute and address, and ten times that at all addresses; 0 means no limit
    #[arg(long, value_name = "N", value_parser = number, default_value = "10")]
    failed_logins: u32,

    /// Log-ins per minute of an address, and successful ones of an account; 0 means no limit
    #[arg(long, value_name = "N", value_parser = number, default_value = "60")]
    logins: u32,

    /// Registrations per minute of an address; 0 means no limit
    #[arg(long, value_name = "N", value_parser = number, default_value = "30")]
    registrations: u32,

    /// Keep events for this many days
    #[arg(long, value_name = "DAYS", value_parser = number, default_value = "30")]
    event_days: u32,

    /// Keep at least this many of the newest events
    #[arg(long, value_name = "N", value_parser = number, default_value = "100000")]
    event_count: u32,

    /// How much memory keeps the newest pages of conversations, in MiB; 0 keeps none, as with PostgreSQL
    #[arg(long, value_name = "MIB", value_parser = number, default_value = "16")]
    page_memory: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Registration {
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Who {
    Local,
    All,
    None,
}

/// Parses the mode of a socket.
fn socket_mode(text: &str) -> std::result::Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
    mode.ok_or_else(|| "it is not a mode as chmod writes it, for example 0660".to_owned())
}

/// Parses a number.
fn number(text: &str) -> std::result::Result<u32, String> {
    text.parse().map_err(|_| "it is not a whole number".to_owned())
}

impl Serve {
    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        let (serve, is_bound) = self.options(settings)?;
        let parent = rustix::process::getppid();
        super::only_operator(global, settings)?;
        let listener = serve.listen(is_bound)?;
        // An abrupt end of the process would leave the temporary database behind.
        let early = if serve.ephemeral { Some(Stop::new(true)?) } else { None };
        let mut context = if serve.ephemeral {
            Context::open_temporary(global, settings, out)?
        } else {
            // Checked first: a server that cannot start creates no database.
            keys::check(settings, &settings.location_or(global.db.as_deref())?)?;
            Context::open_or_create(global, settings, out)?
        };
        context.catch_up()?;
        let keys =
            if serve.ephemeral { Keys::new(&secret::<32>()?, None)? } else { keys::keys(settings, &context.location)? };
        let actor = context.app.read(|tx| context.actor(tx))?;
        if let Some(fixture) = &serve.fixture {
            load(&context.app, &actor, fixture)?;
        }
        let tokens = tokens_for(&context.app, &actor, &keys, &serve.token_for)?;
        let metrics = Metrics::default();
        let feed = Feed::default();
        let (commits, committed) = (metrics.commits(), feed.clone());
        let committed = move |count| {
            commits(count);
            committed.look();
        };
        let app = context.app.share(context.location, serve.ephemeral, committed)?;
        if serve.ephemeral {
            app.pool().mark()?;
        }
        let log = if context.out.is_quiet() { Log::silent() } else { Log::new(output::stderr())? };
        let server = Server::new(app, keys, serve.of_server(), log, metrics, feed);
        raise_limit_of_files();
        let ready = Ready { url: listener.url(), pid: std::process::id(), version: env!("CARGO_PKG_VERSION"), tokens };
        let announce = || {
            context.out.status(&format!("Listening at {}", ready.url));
            if serve.ready_json {
                let line = serde_json::to_string(&ready).map_err(Error::internal)?;
                let written = writeln!(context.out.document(), "{line}");
                written.and_then(|()| context.out.flush()).map_err(Error::internal)?;
            }
            Ok(())
        };
        let stop = early.map_or_else(|| Stop::new(false), Ok)?;
        Ok(http::serve(&server, listener, stop, announce, gone(parent.filter(|_| serve.ephemeral)))?)
    }

    /// All options, from the arguments and the variables, and whether an address was given.
    fn options(&self, settings: &Settings) -> std::result::Result<(Options, bool), Failure> {
        let Self(line) = self;
        let command = Options::augment_args(Command::new("serve"));
        let mut words: Vec<OsString> = vec!["serve".into()];
        for option in command.get_arguments() {
            let (id, long) = (option.get_id().as_str(), option.get_long().unwrap_or_default());
            let is_flag = matches!(option.get_action(), ArgAction::SetTrue);
            let assigned = |value: &OsStr| {
                let mut word = OsString::from(format!("--{long}="));
                word.push(value);
                word
            };
            if line.value_source(id) == Some(ValueSource::CommandLine) {
                match line.get_raw(id).filter(|_| !is_flag) {
                    Some(values) => words.extend(values.map(assigned)),
                    None => words.push(format!("--{long}").into()),
                }
            } else if is_flag {
                words.extend(settings.is_on(&variable(id))?.then(|| format!("--{long}").into()));
            } else if let Some((name, value)) = value_of(id, settings)? {
                let word = assigned(OsStr::new(&value));
                if let Err(error) = command.clone().try_get_matches_from([OsStr::new("serve"), &word]) {
                    return Err(Failure::Usage(format!("{name}={value} cannot be used: {}.", reason(&error))));
                }
                words.push(word);
            }
        }
        let read = command.try_get_matches_from(words).and_then(|matches| {
            let is_bound = matches.value_source("bind") == Some(ValueSource::CommandLine);
            Ok((Options::from_arg_matches(&matches)?, is_bound))
        });
        let (options, is_bound) = read.map_err(Error::internal)?;
        let allowed_hosts = each(&options.allowed_hosts, "--allowed-hosts", http::host)?;
        let cors_origins = each(&options.cors_origins, "--cors-origins", http::origin)?;
        let token_for = parts(&options.token_for).map(ToOwned::to_owned).collect();
        let options = Options { token_for, allowed_hosts, cors_origins, ..options };
        if !options.ephemeral && (options.fixture.is_some() || !options.token_for.is_empty()) {
            return Err(Failure::Usage("--fixture and --token-for go with --ephemeral.".to_owned()));
        }
        Ok((options, is_bound))
    }
}

/// Checks the settings that say how to serve.
pub(super) fn check(settings: &Settings) -> Outcome {
    let line = Options::augment_args(Command::new("serve")).get_matches_from(["serve"]);
    Serve(line).options(settings).map(drop)
}

/// Which events are kept, as the variables of `serve` say
pub(super) fn retention(settings: &Settings) -> std::result::Result<Retention, Failure> {
    let kept = |option: &str, standard| match value_of(option, settings)? {
        Some((name, value)) => {
            number(&value).map_err(|why| Failure::Usage(format!("{name}={value} cannot be used: {why}.")))
        }
        None => Ok(standard),
    };
    let Retention { days, count } = Retention::default();
    Ok(Retention { days: kept("event_days", days)?, count: kept("event_count", count)? })
}

/// The variable of an option
fn variable(option: &str) -> String {
    format!("TIDINGS_{}", option.to_uppercase())
}

/// The variables of the original system for an option
fn original_variables(option: &str) -> &'static [&'static str] {
    if option == "allowed_hosts" { &["ALLOWED_HOSTS", "DJANGO_ALLOWED_HOSTS"] } else { &[] }
}

/// The first variable of an option that has a value
fn value_of(option: &str, settings: &Settings) -> std::result::Result<Option<(String, String)>, Failure> {
    let original = original_variables(option).iter().map(|name| (*name).to_owned());
    for name in std::iter::once(variable(option)).chain(original) {
        if let Some(value) = settings.get(&name)? {
            return Ok(Some((name, value)));
        }
    }
    Ok(None)
}

/// The variables of the options and of the original system, each with its default
pub(super) fn variables() -> Vec<(String, Option<String>)> {
    let command = Options::augment_args(Command::new("serve"));
    let mut variables = Vec::new();
    for option in command.get_arguments() {
        let id = option.get_id().as_str();
        let standard = option.get_default_values().first().and_then(|value| value.to_str());
        let standard = standard.or(matches!(option.get_action(), ArgAction::SetTrue).then_some("false"));
        variables.push((variable(id), standard.map(ToOwned::to_owned)));
        variables.extend(original_variables(id).iter().map(|name| ((*name).to_owned(), None)));
    }
    variables.push(("DEBUG".to_owned(), None));
    variables
}

/// Why a value cannot be used
fn reason(error: &clap::Error) -> String {
    match (error.get(ContextKind::ValidValue), std::error::Error::source(error)) {
        (_, Some(cause)) => cause.to_string(),
        (Some(ContextValue::Strings(words)), None) => format!("it is one of {}", words.join(", ")),
        _ => "it cannot be read".to_owned(),
    }
}

/// The items of lists, separated by commas or white space
fn parts(lists: &[String]) -> impl Iterator<Item = &str> {
    lists.iter().flat_map(|list| list.split([',', ' ', '\t', '\n'])).filter(|part| !part.is_empty())
}

/// The parts of lists, each as it is compared
fn each(
    lists: &[String],
    option: &str,
    standard: fn(&str) -> std::result::Result<String, &'static str>,
) -> std::result::Result<Vec<String>, Failure> {
    let standard = |part: &str| {
        standard(part).map_err(|why| Failure::Usage(format!("“{part}” in {option} would never match: {why}.")))
    };
    parts(lists).map(standard).collect()
}

impl Options {
    /// The socket passed by the parent process, if no address was given, else a new one
    fn listen(&self, is_bound: bool) -> Result<Listener> {
        if !is_bound && let Some(given) = Listener::given()? {
            return Ok(given);
        }
        Listener::bind(&self.bind, self.allow_remote, self.socket_mode)
    }

    fn of_server(&self) -> http::Options {
        http::Options {
            hosts: self.allowed_hosts.clone(),
            registration: self.registration == Registration::Open,
            behind_proxy: self.behind_proxy,
            connections: usize::try_from(self.max_connections.max(1)).unwrap_or(usize::MAX),
            database_connections: self
                .db_connections
                .map_or_else(database_connections, |number| usize::try_from(number).unwrap_or(usize::MAX)),
            streams: usize::try_from(self.max_streams).unwrap_or(usize::MAX),
            user_streams: usize::try_from(self.user_streams).unwrap_or(usize::MAX),
            database_wait: Duration::from_secs(self.db_wait.into()),
            allowed: Allowed { failures: self.failed_logins, log_ins: self.logins, registrations: self.registrations },
            origins: self.cors_origins.clone(),
            metrics: match self.metrics {
                Who::Local => MetricsFor::ThisMachine,
                Who::All => MetricsFor::Everybody,
                Who::None => MetricsFor::Nobody,
            },
            is_ephemeral: self.ephemeral,
            retention: Retention { days: self.event_days, count: self.event_count },
            page_memory: u64::from(self.page_memory) << 20,
        }
    }
}

/// The default number of connections to the database: as many as PostgreSQL writes best with, and a third of its own
/// default limit
fn database_connections() -> usize {
    (8 * std::thread::available_parallelism().map_or(1, NonZero::get)).min(32)
}

/// The line that is printed when requests are accepted.
#[derive(Serialize)]
struct Ready {
    url: String,
    pid: u32,
    version: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    tokens: Map<String, serde_json::Value>,
}

/// Makes the database what a fixture says.
fn load(app: &App, actor: &Actor, file: &std::path::Path) -> Outcome {
    let inputs = [Input::open(file)?];
    let [input] = &inputs;
    let (fixture, problems) = Fixture::read(&inputs)?;
    let options = apply::Options::default();
    let checked = apply::check(app, fixture, problems, options, &mut |_| {});
    let checked = checked.map_err(|refused| failed(&input.name, refused.1, |line| refused.0.place(line)))?;
    let applied = apply::apply(app, actor, &checked, options, false);
    applied.map(drop).map_err(|failure| failed(&input.name, failure, |line| checked.place(line)))
}

/// An access token for each of these users
fn tokens_for(app: &App, actor: &Actor, keys: &Keys, users: &[String]) -> Result<Map<String, serde_json::Value>> {
    let mut tokens = Map::new();
    for user in users {
        let refresh = Secret(secret()?);
        let selector = UserSelector::from(user.clone());
        let issued = app.write(|tx| tokens::issue(tx, actor, &selector, refresh))?;
        tokens.insert(user.clone(), issued.pair(keys, app.now(), secret()?)?.access.into());
    }
    Ok(tokens)
}

/// Waits until the parent process has ended; for ever without one.
async fn gone(parent: Option<Pid>) {
    if parent.is_none() {
        return std::future::pending().await;
    }
    while rustix::process::getppid() == parent {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Raises the limit of open files to its maximum: each connection is one.
fn raise_limit_of_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If that fails, fewer connections are possible.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
