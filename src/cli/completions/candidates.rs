//! What can stand on the line, from the database: read, never made, and nothing where something is wrong.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clap_complete::CompletionCandidate;
use clap_complete::engine::ValueCompleter;

use super::super::output::escape;
use super::super::settings::{Settings, home};
use crate::app::{App, Options};
use crate::error::Result;
use crate::model::{Actor, ConversationSelector, Message, UserRef, UserSelector};
use crate::service::{self, suggest};
use crate::store::{Db, Tx};

/// How many things a shell is offered
const LIMIT: i64 = 50;

/// How long somebody who pressed a key waits for a database that does not answer
const PATIENCE: Duration = Duration::from_secs(2);

/// How many characters of a message are shown beside its number
const EXCERPT: usize = 50;

/// What a line says of where to look
#[derive(Clone, Debug)]
pub(super) struct Request(Arc<Stated>);

#[derive(Debug)]
struct Stated {
    db: Option<String>,
    acting: Option<UserSelector>,
    is_operator: bool,
    env_file: Option<PathBuf>,
    /// A message goes to a user, not to a conversation
    has_recipient: bool,
}

impl Request {
    /// Reads the options of a line that may not be finished.
    pub(super) fn read(words: &[String]) -> Self {
        let option = |name: &str| {
            let joined = |word: &String| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned());
            let value = |(index, word): (usize, &String)| {
                if word == name { words.get(index + 1).cloned() } else { joined(word) }
            };
            words.iter().enumerate().filter_map(value).next_back().filter(|value| !value.is_empty())
        };
        // Of the paths the shell has not yet put the home folder in.
        let path = |path: String| match path.strip_prefix("~/").zip(home()) {
            Some((rest, home)) => home.join(rest),
            None => PathBuf::from(path),
        };
        Self(Arc::new(Stated {
            db: option("--db").map(|db| path(db).display().to_string()),
            acting: option("--as").map(UserSelector::from),
            is_operator: words.iter().any(|word| word == "--operator"),
            env_file: option("--env-file").map(path),
            has_recipient: option("--to").is_some(),
        }))
    }

    /// Queries the database; empty if that fails or takes too long.
    fn look(&self, what: Thing, typed: &str) -> Vec<Candidate> {
        let (request, typed) = (self.clone(), typed.to_owned());
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(request.found(what, &typed)));
        receiver.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default()
    }

    fn found(&self, what: Thing, typed: &str) -> Option<Vec<Candidate>> {
        let stated = &self.0;
        let settings = Settings::load(stated.env_file.as_deref()).ok()?;
        let location = settings.location_or(stated.db.as_deref()).ok()?;
        let acting = settings.acting(stated.acting.as_ref(), stated.is_operator).ok()?;
        let (db, _) = Db::open(&location, false).ok()?;
        let app = App::new(db, Options::default());
        let find = |tx: &mut Tx<'_>| {
            // Who acts may be what is being typed.
            if matches!(what, Thing::User) {
                return users(tx, typed);
            }
            let actor = match &acting {
                Some(selector) => service::acting(tx, selector)?,
                None => Actor::Operator(String::new()),
            };
            let mut found = Vec::new();
            if !matches!(what, Thing::Message) && !typed.contains('#') {
                found.extend(conversations(tx, &actor, typed)?);
            }
            if !matches!(what, Thing::Conversation) {
                found.extend(messages(tx, &actor, typed)?);
            }
            Ok(found)
        };
        app.read(find).ok()
    }
}

/// What an argument names
#[derive(Clone, Copy, Debug)]
enum Thing {
    User,
    Conversation,
    Message,
    /// A message or a conversation
    Either,
}

/// Completes the values of an argument.
pub(super) struct Completer {
    what: Thing,
    request: Request,
}

impl Completer {
    /// The completer for values of that name, where there is one
    pub(super) fn for_value(name: &str, request: &Request) -> Option<Self> {
        let what = match name {
            "USER" | "USERNAME" => Thing::User,
            "CONV" => Thing::Conversation,
            // With a recipient it is the text.
            "CONV TEXT" if !request.0.has_recipient => Thing::Conversation,
            "MSG" => Thing::Message,
            "MSG|CONV" => Thing::Either,
            _ => return None,
        };
        Some(Self { what, request: request.clone() })
    }
}

impl ValueCompleter for Completer {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let Some(typed) = current.to_str() else { return Vec::new() };
        let found = self.request.look(self.what, typed);
        let candidate = |(value, help): Candidate| {
            let help = Some(escape(&help)).filter(|help| !help.is_empty());
            CompletionCandidate::new(value).help(help.map(Into::into))
        };
        found.into_iter().map(candidate).collect()
    }
}

/// A value, and what is shown beside it
type Candidate = (String, String);

/// A person's username and full name
fn named(person: UserRef) -> Candidate {
    let name = [person.first_name, person.last_name].join(" ");
    (person.username, name.trim().to_owned())
}

fn users(tx: &mut Tx<'_>, typed: &str) -> Result<Vec<Candidate>> {
    Ok(suggest::users(tx, typed, LIMIT)?.into_iter().map(named).collect())
}

fn conversations(tx: &mut Tx<'_>, actor: &Actor, typed: &str) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    if !typed.starts_with('@') {
        for group in suggest::groups(tx, actor, typed, LIMIT)? {
            found.extend(group.name.map(|name| (name, group.title.unwrap_or_default())));
        }
    }
    if typed.is_empty() || typed.starts_with('@') {
        let people = suggest::companions(tx, actor, typed.trim_start_matches('@'), LIMIT)?;
        found.extend(people.into_iter().map(named).map(|(username, name)| (format!("@{username}"), name)));
    }
    found.truncate(usize::try_from(LIMIT).unwrap_or(usize::MAX));
    Ok(found)
}

/// Conversations first, to which a `#` belongs; where one is meant, its messages.
fn messages(tx: &mut Tx<'_>, actor: &Actor, typed: &str) -> Result<Vec<Candidate>> {
    if let Some((place, digits)) = typed.rsplit_once('#') {
        return messages_of(tx, actor, place, digits);
    }
    let places = conversations(tx, actor, typed)?;
    match places.as_slice() {
        [(place, _)] => messages_of(tx, actor, place, ""),
        _ => Ok(places.into_iter().map(|(place, title)| (format!("{place}#"), title)).collect()),
    }
}

fn messages_of(tx: &mut Tx<'_>, actor: &Actor, place: &str, digits: &str) -> Result<Vec<Candidate>> {
    let Ok(selector) = place.parse::<ConversationSelector>();
    let found = suggest::messages(tx, actor, &selector, digits, LIMIT)?.into_iter();
    let candidate = |message: Message| {
        let sender = message.sender.map(|sender| sender.username).unwrap_or_default();
        let mut text: String = message.content.chars().take(EXCERPT).collect();
        if text.len() < message.content.len() {
            text.push('…');
        }
        (format!("{place}#{}", message.number.0), format!("{sender}: {text}"))
    };
    Ok(found.map(candidate).collect())
}
