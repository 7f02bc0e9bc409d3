//! Somebody who listens without a feed of their own: they read the log themselves, one event after the other, at their own pace.
//!
//! They follow the name of the database. While nothing happens they have no connection to an SQLite file: it would be in the way
//! of those who need the file for themselves. What the file system says tells when to look again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::audience::moves;
use super::reader::{LOOK, TOGETHER};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::model::{Actor, EventKind, UserId, UserSelector};
use crate::service;
use crate::service::events::{Cursors, Entry, EventView, Found, Listener, Narrowing, ResetReason, views};
use crate::store::events::{self, EventRow, Position};
use crate::store::{Db, FileState, Location, Tx};

/// How often it looks at the files when it has closed them
const GLANCE: Duration = Duration::from_millis(25);

/// How often it asks a database server, where each look is a transaction
const LOOK_AT_SERVER: Duration = Duration::from_millis(50);

/// After how much silence it closes the file: a restore waits longer for others
const REST: Duration = Duration::from_millis(50);

/// How long it waits for a database that others keep for themselves, before it tries anew
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a database can be gone before that is told: it may be about to be replaced
const ABSENCE: Duration = Duration::from_secs(1);

/// How often it tries to reach a database that is gone
const RETRY: Duration = Duration::from_millis(100);

/// Who follows the events of a database, and which.
pub struct Following {
    pub location: Location,
    /// None: the operator, who hears everything
    pub acting: Option<UserSelector>,
    pub operator: Actor,
    pub narrowing: Narrowing,
    /// The cursor of the last event that was heard; none: from now on
    pub since: Option<String>,
    /// How many events are read together; what one says is as of when it is read
    pub together: usize,
}

/// What is new
#[derive(Debug)]
pub enum News {
    Event(Box<EventView>),
    /// The log is another, or does not reach back: it goes on from this cursor
    Reset(ResetReason, String),
    /// The database cannot be read, or has not what was named, for some time already
    Gone(Error),
    /// It can be read again
    Back,
}

/// Follows the events of a database.
pub struct Follower {
    following: Following,
    options: crate::app::Options,
    /// Of the last event that was told, or a later one that was not for them
    cursor: String,
    /// Why it is not the one that was asked for, until that is told
    reset: Option<ResetReason>,
    listener: Listener,
    /// The user who listens, by what does not change
    user: Option<UserId>,
    source: Option<Source>,
    /// Without a source: what the files looked like when it was closed
    rest: Option<FileState>,
    gone: Option<Absence>,
    /// They may not listen any more
    end: Option<Error>,
}

/// Since when a database cannot be read
struct Absence {
    since: Instant,
    next_attempt: Instant,
    /// As what it was told last
    told: Option<Kind>,
}

/// An open database
struct Source {
    app: App,
    cursors: Cursors,
    position: Position,
    /// What it said of its version at the last look
    version: Option<i64>,
    /// Which tables it has: others may be of a newer program
    schema: Option<i64>,
    has_more: bool,
    /// Events that were read, and not yet looked at
    entries: VecDeque<Entry>,
    /// Events to be told
    told: VecDeque<EventView>,
    /// The last event that was looked at
    last: Option<EventRow>,
    quiet_since: Instant,
    /// What the files looked like then
    files: Option<FileState>,
}

impl Follower {
    /// Begins to follow on an open connection.
    ///
    /// # Errors
    /// `Invalid` for what is no cursor, `NotFound` for a conversation that cannot be seen, what [`service::acting`] refuses.
    pub fn begin(app: App, following: Following) -> Result<Self> {
        let options = app.options();
        let files = following.location.files();
        let version = app.db().data_version()?;
        let begun =
            |tx: &mut Tx<'_>| Ok((tx.schema_version()?, Beginning::find(tx, &following, following.since.as_deref())?));
        let (schema, begun) = app.read(begun)?;
        let Beginning { cursors, position, listener, user, cursor, reset } = begun;
        let source = Source::new(app, (version, schema), (cursors, position), files);
        Ok(Self {
            following,
            options,
            cursor,
            reset,
            listener,
            user,
            source: Some(source),
            rest: None,
            gone: None,
            end: None,
        })
    }

    /// The cursor up to which everything was told
    pub fn cursor(&self) -> &str {
        &self.cursor
    }

    /// Why the cursor is not the one that was asked for, until that is told
    pub fn reset(&self) -> Option<ResetReason> {
        self.reset
    }

    /// The user who listens; none: the operator
    pub fn user(&self) -> Option<crate::model::UserKey> {
        self.listener.user()
    }

    /// How long to wait before asking again, where nothing was new
    pub fn pause(&self) -> Duration {
        match &self.source {
            Some(source) if source.has_more => Duration::ZERO,
            Some(source) if source.version.is_none() => LOOK_AT_SERVER,
            Some(_) => LOOK,
            None => GLANCE,
        }
    }

    /// Reads something else in the database; after an event it is open.
    pub fn read<T>(&self, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        match self.source.as_ref().map(|source| source.read(&mut work)) {
            Some(Err(error)) if error.kind() == Kind::Unavailable => self.connect()?.read(work),
            Some(read) => read,
            None => self.connect()?.read(work),
        }
    }

    /// What is new; none: nothing at the moment.
    ///
    /// # Errors
    /// What [`service::acting`] refuses, after the log became another; `Forbidden` if they may not listen any more.
    pub fn listen(&mut self) -> Result<Option<News>> {
        if let Some(reason) = self.reset.take() {
            return Ok(Some(News::Reset(reason, self.cursor.clone())));
        }
        if self.source.as_ref().is_some_and(|source| !source.told.is_empty() || !source.entries.is_empty()) {
            return self.tell_or_lose();
        }
        if let Some(end) = self.end.take() {
            return Err(end);
        }
        if self.source.is_none() {
            if self.rest.is_some() && self.rest == self.following.location.files() {
                return Ok(None);
            }
            let was_told = self.gone.as_ref().is_some_and(|gone| gone.told.is_some());
            match self.open() {
                Ok(true) if was_told => return Ok(Some(News::Back)),
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return self.miss(error),
            }
        }
        if self.reset.is_some() {
            return self.listen();
        }
        match self.look() {
            Ok(true) => self.tell_or_lose(),
            Ok(false) => Ok(None),
            Err(error) => self.miss(error),
        }
    }

    fn tell_or_lose(&mut self) -> Result<Option<News>> {
        match self.tell() {
            Ok(told) => Ok(told.map(|view| News::Event(Box::new(view)))),
            Err(error) => self.miss(error),
        }
    }

    fn connect(&self) -> Result<App> {
        // It is never made here, and never upgraded: that is for those who use it.
        let (db, _) = Db::open_patiently(&self.following.location, PATIENCE)?;
        Ok(App::new(db, self.options))
    }

    /// Opens the database again, and finds where it was left; false if it is too early for that.
    fn open(&mut self) -> Result<bool> {
        if let Some(gone) = &mut self.gone {
            if Instant::now() < gone.next_attempt {
                return Ok(false);
            }
            gone.next_attempt = Instant::now() + RETRY;
        }
        let files = self.following.location.files();
        let app = self.connect()?;
        let version = app.db().data_version()?;
        let (schema, found) = app.read(|tx| {
            let schema = tx.schema_version()?;
            let cursors = Cursors::of(tx)?;
            match cursors.find(tx, &self.cursor)? {
                // Who takes part where they know from the events up to there.
                Found::At(position) => Ok((schema, Ok((cursors, position)))),
                Found::Nowhere(_) => Ok((schema, Err(Beginning::find(tx, &self.following, Some(&self.cursor))?))),
            }
        })?;
        (self.rest, self.gone) = (None, None);
        let (cursors, position) = match found {
            Ok(found) => found,
            Err(Beginning { cursors, position, listener, user, cursor, reset }) => {
                (self.listener, self.user, self.cursor, self.reset) = (listener, user, cursor, reset);
                (cursors, position)
            }
        };
        self.source = Some(Source::new(app, (version, schema), (cursors, position), files));
        Ok(true)
    }

    /// Reads what is behind; says whether there is anything. Where nothing was for some time, closes the file.
    fn look(&mut self) -> Result<bool> {
        let Some(source) = &mut self.source else { return Ok(false) };
        let version = source.app.db().data_version()?;
        if version.is_some() && version == source.version && !source.has_more {
            if source.is_at_rest() {
                self.rest = source.files;
                self.source = None;
            }
            return Ok(false);
        }
        let files = self.following.location.files();
        let read = source.read(|tx| {
            let is_same = source.cursors.are_of(tx)?;
            let entries = if is_same { service::events::after(tx, source.position, TOGETHER)? } else { Vec::new() };
            Ok((is_same, entries))
        });
        let (is_same, entries) = read?;
        if !is_same {
            // Opened again it is found out which log it is now.
            self.source = None;
            return Ok(false);
        }
        source.has_more = entries.len() == usize::try_from(TOGETHER).unwrap_or(usize::MAX);
        (source.version, source.files, source.quiet_since) = (version, files, Instant::now());
        if let Some(last) = entries.last() {
            source.position = last.row.position;
        }
        source.entries = entries.into();
        Ok(!source.entries.is_empty())
    }

    /// The next event that they hear, of those that were read
    fn tell(&mut self) -> Result<Option<EventView>> {
        let Some(source) = &mut self.source else { return Ok(None) };
        if source.told.is_empty() {
            // Where they take part is followed only as far as they are told.
            let mut listener = self.listener.clone();
            let mut heard = Vec::new();
            let mut end = None;
            let mut looked_at = 0;
            for entry in &source.entries {
                looked_at += 1;
                if listener.hears(entry) {
                    heard.push(entry);
                }
                if moves(entry.row.kind) {
                    let _ = listener.follow(entry);
                }
                if let Some(id) = self.user
                    && may_end(entry, &listener)
                {
                    end = source.read(|tx| refusal(tx, id, &listener))?;
                }
                if end.is_some() || heard.len() == self.following.together {
                    break;
                }
            }
            let told = if heard.is_empty() {
                Vec::new()
            } else {
                source.read(|tx| views(tx, &source.cursors, heard.iter().copied()))?
            };
            let own = |told: service::events::Told| match told.to_oneself {
                Some((user, view)) if Some(user) == listener.user() => view,
                _ => told.to_all,
            };
            source.told = told.into_iter().map(own).collect();
            source.last = source.entries.drain(..looked_at).next_back().map(|entry| entry.row);
            self.listener = listener;
            if end.is_some() {
                source.entries.clear();
                self.end = end;
            }
        }
        let told = source.told.pop_front();
        if let Some(view) = &told {
            self.cursor.clone_from(&view.id);
        }
        if source.told.is_empty()
            && let Some(last) = source.last.take()
        {
            self.cursor = source.cursors.at(Some(&last))?;
        }
        Ok(told)
    }

    /// What cannot be read may be readable later, and a database that was made anew may not have yet what was named; what is refused
    /// is refused.
    fn miss(&mut self, error: Error) -> Result<Option<News>> {
        let kind = error.kind();
        if !matches!(kind, Kind::Unavailable | Kind::Internal | Kind::NoSpace | Kind::NotFound) {
            return Err(error);
        }
        (self.source, self.rest) = (None, None);
        let now = Instant::now();
        let gone = self.gone.get_or_insert(Absence { since: now, next_attempt: now, told: None });
        let is_other = kind == Kind::NotFound && gone.told != Some(kind);
        let is_news = (gone.told.is_none() || is_other) && gone.since.elapsed() >= ABSENCE;
        if is_news {
            gone.told = Some(kind);
        }
        Ok(is_news.then_some(News::Gone(error)))
    }
}

impl Source {
    fn new(
        app: App,
        (version, schema): (Option<i64>, Option<i64>),
        (cursors, position): (Cursors, Position),
        files: Option<FileState>,
    ) -> Self {
        Self {
            app,
            cursors,
            position,
            version,
            schema,
            // What was committed before is not a change of the version.
            has_more: true,
            entries: VecDeque::new(),
            told: VecDeque::new(),
            last: None,
            quiet_since: Instant::now(),
            files,
        }
    }

    /// Reads, as long as the tables are those that were there when it was opened. Opened again it is found out whether others can be
    /// read: they may be of a newer program.
    fn read<T>(&self, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.app.read(|tx| {
            if tx.schema_version()? != self.schema {
                return Err(Error::unavailable("The tables of the database were changed."));
            }
            work(tx)
        })
    }

    /// Whether nothing has happened for some time, nor is about to: then the files tell of whatever comes.
    fn is_at_rest(&mut self) -> bool {
        if self.quiet_since.elapsed() < REST {
            return false;
        }
        let files = self.app.db().files_at_rest();
        // A change within the same instant as the one before could not be told from it; so some time has to be between.
        let is_at_rest =
            files.is_some() && files == self.files && self.app.db().data_version().is_ok_and(|now| now == self.version);
        if !is_at_rest {
            (self.files, self.quiet_since) = (files, Instant::now());
        }
        is_at_rest
    }
}

/// Where somebody begins
struct Beginning {
    cursors: Cursors,
    position: Position,
    listener: Listener,
    user: Option<UserId>,
    cursor: String,
    reset: Option<ResetReason>,
}

impl Beginning {
    fn find(tx: &mut Tx<'_>, following: &Following, since: Option<&str>) -> Result<Self> {
        let cursors = Cursors::of(tx)?;
        let actor = match &following.acting {
            Some(user) => service::acting(tx, user)?,
            None => following.operator.clone(),
        };
        let last = events::last(tx)?;
        let newest = last.as_ref().map_or(Position::START, |last| last.position);
        let found = since.map(|cursor| cursors.find(tx, cursor)).transpose()?;
        let (position, reset) = match found {
            None => (newest, None),
            Some(Found::At(position)) => (position, None),
            Some(Found::Nowhere(reason)) => (newest, Some(reason)),
        };
        let cursor = match since {
            Some(since) if reset.is_none() => since.to_owned(),
            _ => cursors.at(last.as_ref())?,
        };
        let listener = Listener::new(tx, &actor, &following.narrowing, position)?;
        let user = match &actor {
            Actor::User(user) => Some(user.person.user_id),
            Actor::Operator(_) => None,
        };
        Ok(Self { cursors, position, listener, user, cursor, reset })
    }
}

/// Whether the user who listens may have lost the right to by an event
fn may_end(Entry { row, .. }: &Entry, listener: &Listener) -> bool {
    row.user == listener.user() && matches!(row.kind, EventKind::UserUpdated | EventKind::UserDeleted)
}

/// Why a user may not listen any more; none: they may
fn refusal(tx: &mut Tx<'_>, user: UserId, listener: &Listener) -> Result<Option<Error>> {
    let acting = service::acting(tx, &UserSelector::Id(user));
    match acting.and_then(|actor| listener.must_be_allowed_to(&actor)) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == Kind::NotFound => {
            Ok(Some(Error::forbidden("The account was deleted; there is nothing more to hear for it.")))
        }
        Err(error) if error.kind() == Kind::Forbidden => Ok(Some(error)),
        Err(error) => Err(error),
    }
}
