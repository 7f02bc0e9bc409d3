//! `tidings serve`

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rustix::process::Pid;
use serde::Serialize;
use serde_json::Map;

use super::data::failed;
use super::keys::keys;
use super::output::{self, Output};
use super::settings::{Settings, words};
use super::{Context, Failure, Global, Outcome};
use crate::app::{App, secret};
use crate::error::{Error, Result};
use crate::http::{self, Allowed, Listener, Log, Metrics, MetricsFor, Server, Stop};
use crate::model::{Actor, UserSelector};
use crate::service::tokens::{self, Keys, Secret};
use crate::transfer::apply::{self, Fixture};
use crate::transfer::input::Input;

/// Serve the REST API
///
/// Every option can be given as a variable too: --allowed-hosts is TIDINGS_ALLOWED_HOSTS. Requests are logged on stderr, one
/// line of JSON each, without contents; --quiet leaves that out. SIGTERM and SIGINT (with --ephemeral SIGHUP too)
/// let requests come to their end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings serve\n  tidings serve --bind 127.0.0.1:0 --ready-json\n  \
    tidings serve --ephemeral --fixture world.yaml --token-for alice --ready-json")]
pub(super) struct Serve {
    /// Where to listen: HOST:PORT, port 0 for any free one, or the path of a socket [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,

    /// Who may connect to a socket's path, as chmod writes it: 0660 lets its group in too [default: 0600]
    #[arg(long, value_name = "MODE", value_parser = socket_mode)]
    socket_mode: Option<u32>,

    /// Listen where other machines reach the server, though nothing is encrypted
    #[arg(long)]
    allow_remote: bool,

    /// Whether strangers may register: open or closed [default: open]
    #[arg(long, value_name = "WHETHER")]
    registration: Option<Registration>,

    /// Print one line of JSON on stdout once requests are accepted: url, pid, version, tokens
    #[arg(long)]
    ready_json: bool,

    /// Serve a temporary database, which is gone at the end, and end with the program that started this one
    #[arg(long)]
    ephemeral: bool,

    /// With --ephemeral: begin with what this fixture says, as `data apply` reads it
    #[arg(long, value_name = "FILE")]
    fixture: Option<PathBuf>,

    /// With --ephemeral: tell access tokens of these users when ready
    #[arg(long, value_name = "USERS")]
    token_for: Vec<String>,

    /// Hosts that requests may be for, beside this machine; .example.org is every host under it, * every host
    #[arg(long, value_name = "HOSTS")]
    allowed_hosts: Vec<String>,

    /// Sites whose pages may use the API, for example https://chat.example.org
    #[arg(long, value_name = "ORIGINS")]
    cors_origins: Vec<String>,

    /// Who may read /metrics: this machine, everybody or nobody [default: local]
    #[arg(long, value_name = "WHO")]
    metrics: Option<Who>,

    /// Believe what the proxy in front says of where requests come from (X-Forwarded-For, X-Forwarded-Proto)
    #[arg(long)]
    behind_proxy: bool,

    /// How many connections at once; more have to wait [default: 8000]
    #[arg(long, value_name = "N")]
    max_connections: Option<u32>,

    /// How many log-ins of an account may fail at an address in a minute, and ten times that everywhere; 0 is no limit
    /// [default: 10]
    #[arg(long, value_name = "N")]
    failed_logins: Option<u32>,

    /// How many log-ins an address may try in a minute, and how many of an account may succeed; 0 is no limit [default: 60]
    #[arg(long, value_name = "N")]
    logins: Option<u32>,

    /// How many accounts an address may register in a minute; 0 is no limit [default: 30]
    #[arg(long, value_name = "N")]
    registrations: Option<u32>,
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

/// What is so where nothing is said
const BIND: &str = "127.0.0.1:8000";
const SOCKET_MODE: u32 = 0o600;
const CONNECTIONS: u32 = 8000;
const FAILED_LOGINS: u32 = 10;
const LOGINS: u32 = 60;
const REGISTRATIONS: u32 = 30;

/// Reads the mode of a socket.
fn socket_mode(text: &str) -> std::result::Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
    mode.ok_or_else(|| "it is not a mode as chmod writes it, for example 0660".to_owned())
}

/// The variables of the options, and those that the original system had; each with what is so without it
pub(super) fn variables() -> [(&'static str, Option<String>); 19] {
    let number = |number: u32| Some(number.to_string());
    let word = |word: &str| Some(word.to_owned());
    [
        ("TIDINGS_BIND", word(BIND)),
        ("TIDINGS_SOCKET_MODE", Some(format!("{SOCKET_MODE:04o}"))),
        ("TIDINGS_ALLOW_REMOTE", word("false")),
        ("TIDINGS_REGISTRATION", word("open")),
        ("TIDINGS_READY_JSON", word("false")),
        ("TIDINGS_EPHEMERAL", word("false")),
        ("TIDINGS_FIXTURE", None),
        ("TIDINGS_TOKEN_FOR", None),
        ("TIDINGS_ALLOWED_HOSTS", None),
        ("ALLOWED_HOSTS", None),
        ("DJANGO_ALLOWED_HOSTS", None),
        ("TIDINGS_CORS_ORIGINS", None),
        ("TIDINGS_METRICS", word("local")),
        ("TIDINGS_BEHIND_PROXY", word("false")),
        ("TIDINGS_MAX_CONNECTIONS", number(CONNECTIONS)),
        ("TIDINGS_FAILED_LOGINS", number(FAILED_LOGINS)),
        ("TIDINGS_LOGINS", number(LOGINS)),
        ("TIDINGS_REGISTRATIONS", number(REGISTRATIONS)),
        ("DEBUG", None),
    ]
}

impl Serve {
    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        let serve = self.with_variables(settings)?;
        let parent = rustix::process::getppid();
        if !serve.ephemeral && (serve.fixture.is_some() || !serve.token_for.is_empty()) {
            return Err(Failure::Usage("--fixture and --token-for go with --ephemeral.".to_owned()));
        }
        super::only_operator(global, settings)?;
        let listener = serve.listen()?;
        // Whatever ends the process at once leaves a temporary database behind.
        let early = if serve.ephemeral { Some(Stop::new(true)?) } else { None };
        let mut context = if serve.ephemeral {
            Context::open_temporary(global, settings, out)?
        } else {
            Context::open(global, settings, out, false)?
        };
        context.catch_up()?;
        let keys =
            if serve.ephemeral { Keys::new(&secret::<32>()?, None)? } else { keys(settings, &context.location)? };
        let actor = context.app.read(|tx| context.actor(tx))?;
        if let Some(fixture) = &serve.fixture {
            load(&context.app, &actor, fixture)?;
        }
        let tokens = tokens_for(&context.app, &actor, &keys, &serve.token_for)?;
        let metrics = Metrics::default();
        let app = context.app.share(context.location, serve.ephemeral, metrics.commits())?;
        if serve.ephemeral {
            app.pool().mark()?;
        }
        let log = if context.out.is_quiet() { Log::silent() } else { Log::new(output::stderr())? };
        let server = Server::new(app, keys, serve.options(), log, metrics);
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

    /// What is not given on the line comes from variables.
    fn with_variables(self, settings: &Settings) -> std::result::Result<Self, Failure> {
        let number = |name: &str| {
            settings.parsed(name, |value| value.parse::<u32>().map_err(|_| "it is not a whole number".to_owned()))
        };
        let list = |given: Vec<String>, names: &[&str]| -> std::result::Result<Vec<String>, Failure> {
            let mut given = given;
            for name in names {
                if given.is_empty() {
                    given.extend(settings.get(name)?);
                }
            }
            let parts =
                given.iter().flat_map(|list| list.split([',', ' ', '\t', '\n'])).filter(|part| !part.is_empty());
            Ok(parts.map(ToOwned::to_owned).collect())
        };
        let each =
            |list: Vec<String>, option: &str, standard: fn(&str) -> std::result::Result<String, &'static str>| {
                let standard = |part: String| {
                    let refused = |why| Failure::Usage(format!("“{part}” in {option} would never match: {why}."));
                    standard(&part).map_err(refused)
                };
                list.into_iter().map(standard).collect::<std::result::Result<Vec<_>, _>>()
            };
        Ok(Self {
            bind: self.bind.map_or_else(|| settings.get("TIDINGS_BIND"), |bind| Ok(Some(bind)))?,
            socket_mode: match self.socket_mode {
                None => settings.parsed("TIDINGS_SOCKET_MODE", socket_mode)?,
                given => given,
            },
            allow_remote: self.allow_remote || settings.is_on("TIDINGS_ALLOW_REMOTE")?,
            registration: match self.registration {
                None => settings.parsed("TIDINGS_REGISTRATION", words)?,
                given => given,
            },
            ready_json: self.ready_json || settings.is_on("TIDINGS_READY_JSON")?,
            ephemeral: self.ephemeral || settings.is_on("TIDINGS_EPHEMERAL")?,
            fixture: match self.fixture {
                None => settings.get("TIDINGS_FIXTURE")?.map(PathBuf::from),
                given => given,
            },
            token_for: list(self.token_for, &["TIDINGS_TOKEN_FOR"])?,
            allowed_hosts: each(
                list(self.allowed_hosts, &["TIDINGS_ALLOWED_HOSTS", "ALLOWED_HOSTS", "DJANGO_ALLOWED_HOSTS"])?,
                "--allowed-hosts",
                http::host,
            )?,
            cors_origins: each(list(self.cors_origins, &["TIDINGS_CORS_ORIGINS"])?, "--cors-origins", http::origin)?,
            metrics: match self.metrics {
                None => settings.parsed("TIDINGS_METRICS", words)?,
                given => given,
            },
            behind_proxy: self.behind_proxy || settings.is_on("TIDINGS_BEHIND_PROXY")?,
            max_connections: self.max_connections.map_or_else(|| number("TIDINGS_MAX_CONNECTIONS"), |n| Ok(Some(n)))?,
            failed_logins: self.failed_logins.map_or_else(|| number("TIDINGS_FAILED_LOGINS"), |n| Ok(Some(n)))?,
            logins: self.logins.map_or_else(|| number("TIDINGS_LOGINS"), |n| Ok(Some(n)))?,
            registrations: self.registrations.map_or_else(|| number("TIDINGS_REGISTRATIONS"), |n| Ok(Some(n)))?,
        })
    }

    /// The socket that whoever started this program opened, or one of its own
    fn listen(&self) -> Result<Listener> {
        if self.bind.is_none()
            && let Some(given) = Listener::given()?
        {
            return Ok(given);
        }
        let mode = self.socket_mode.unwrap_or(SOCKET_MODE);
        Listener::bind(self.bind.as_deref().unwrap_or(BIND), self.allow_remote, mode)
    }

    fn options(&self) -> http::Options {
        http::Options {
            hosts: self.allowed_hosts.clone(),
            registration: self.registration != Some(Registration::Closed),
            behind_proxy: self.behind_proxy,
            connections: usize::try_from(self.max_connections.unwrap_or(CONNECTIONS).max(1)).unwrap_or(usize::MAX),
            allowed: Allowed {
                failures: self.failed_logins.unwrap_or(FAILED_LOGINS),
                log_ins: self.logins.unwrap_or(LOGINS),
                registrations: self.registrations.unwrap_or(REGISTRATIONS),
            },
            origins: self.cors_origins.clone(),
            metrics: match self.metrics {
                None | Some(Who::Local) => MetricsFor::ThisMachine,
                Some(Who::All) => MetricsFor::Everybody,
                Some(Who::None) => MetricsFor::Nobody,
            },
            is_ephemeral: self.ephemeral,
        }
    }
}

/// What is printed once requests are accepted.
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
        let selector = UserSelector(user.clone());
        let issued = app.write(|tx| tokens::issue(tx, actor, &selector, refresh))?;
        tokens.insert(user.clone(), issued.pair(keys, app.now(), secret()?)?.access.into());
    }
    Ok(tokens)
}

/// Waits until the program that started this one is gone; for ever, where that does not matter.
async fn gone(parent: Option<Pid>) {
    if parent.is_none() {
        return std::future::pending().await;
    }
    while rustix::process::getppid() == parent {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Lets the process have as many files open as it may: each connection is one.
fn raise_limit_of_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where that fails, there are fewer connections.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
