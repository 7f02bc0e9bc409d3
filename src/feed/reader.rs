//! The thread that reads the log.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::audience::{Audience, Member, Place, State, moves};
use super::outlet::{Batch, EndReason, ListenerId, Message, Ticket};
use super::{Ask, Begun, Connect, Feed, Format, Join, Who};
use crate::app::App;
use crate::error::{Error, Kind, Result};
use crate::model::{Actor, EventKind, UserKey};
use crate::service;
use crate::service::events::{Cursors, Entry, Found, Listener, ResetReason, Told, views};
use crate::store::Tx;
use crate::store::events::{self, Position};

/// How often the feed looks for what other processes committed, while anybody listens
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// How long it answers what it is asked before it looks for events
const ROUND: Duration = Duration::from_millis(5);

/// How long it leaves a database alone that cannot be read
const RECOVERY: Duration = Duration::from_secs(1);

/// How many events are read together
pub(super) const TOGETHER: i64 = 512;

/// How many bytes a listener who is behind gets together, and what the last step had beyond
const PAGE_BYTES: usize = 256 * 1024;

/// How many events are rendered together for one who is behind
const STEP: usize = 32;

/// How many pages are kept for others who are at the same place, and for how long: what they say may have changed since
const PAGES: usize = 64;
const PAGES_FOR: Duration = Duration::from_secs(5);

/// How often those who hear nothing get to know how far the log is
const PROGRESS: Duration = Duration::from_secs(5);

/// Reads until the feed ends. If it panics, everybody's events break off, and it begins anew.
pub(super) fn run(feed: &Feed, asks: &Receiver<Ask>, connect: &Connect, format: Format) {
    // Never given out again: who listened to the one that panicked gives up their place later.
    let mut newest_id = 0;
    loop {
        let mut reader = Reader {
            feed,
            connect,
            format,
            source: None,
            audience: Audience::default(),
            newest_id,
            pages: HashMap::new(),
            pages_since: Instant::now(),
            is_out_of_order_until: None,
        };
        let ended = catch_unwind(AssertUnwindSafe(|| reader.work(asks)));
        reader.break_off();
        if ended.is_ok() {
            return;
        }
        newest_id = reader.newest_id;
    }
}

/// Where events come from
struct Source {
    app: App,
    cursors: Cursors,
    position: Position,
    /// The cursor of the position
    cursor: Arc<str>,
    /// What the database said of its version at the last look
    version: Option<i64>,
    /// The outlet knows how far the feed is, or when it was told last
    told_at: Instant,
    is_told: bool,
}

/// An event as it is delivered
#[derive(Clone)]
struct Rendered {
    to_all: Arc<[u8]>,
    to_oneself: Option<(UserKey, Arc<[u8]>)>,
}

/// A part of the log, for those who are behind
struct Page {
    entries: Vec<Entry>,
    rendered: Vec<Option<Rendered>>,
    /// Where the feed was when this was read, if the log ends with it
    ends_at: Option<Position>,
}

impl Page {
    /// Whether it leads on from its beginning to where the feed is now. One that the log has gone beyond since does so, as far as it goes:
    /// while much is written, nobody would come to the end if each read it anew.
    fn is_of_use(&self, position: Position) -> bool {
        !self.entries.is_empty() || self.ends_at == Some(position)
    }

    /// Renders some of its events, those that are not yet.
    fn render(&mut self, wanted: &[usize], source: &Source, format: Format) -> Result<()> {
        let missing: Vec<usize> = wanted.iter().copied().filter(|index| self.rendered[*index].is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let entries = missing.iter().map(|index| &self.entries[*index]);
        let told = source.app.read(|tx| views(tx, &source.cursors, entries.clone()))?;
        for (index, told) in missing.iter().zip(&told) {
            self.rendered[*index] = Some(render(format, told)?);
        }
        Ok(())
    }
}

struct Reader<'f> {
    feed: &'f Feed,
    connect: &'f Connect,
    format: Format,
    source: Option<Source>,
    audience: Audience,
    newest_id: u64,
    pages: HashMap<Position, Rc<RefCell<Page>>>,
    pages_since: Instant,
    /// The database could not be read
    is_out_of_order_until: Option<Instant>,
}

impl Reader<'_> {
    fn work(&mut self, asks: &Receiver<Ask>) {
        loop {
            let first = if self.audience.is_empty() {
                asks.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                asks.recv_timeout(LOOK)
            };
            let mut is_told = false;
            match first {
                Ok(first) => {
                    let since = Instant::now();
                    for ask in std::iter::once(first).chain(asks.try_iter()) {
                        match ask {
                            Ask::Look => is_told = true,
                            Ask::Join(join) => self.join(*join),
                            Ask::More(id) => self.more(id),
                            Ask::Leave(id) => drop(self.audience.remove(id)),
                            Ask::LetGo { gone, until } => {
                                self.let_go(&gone, &until);
                                // Before anybody is given a page: it may be another log now.
                                is_told = true;
                            }
                            Ask::End => return,
                        }
                        if is_told || since.elapsed() >= ROUND {
                            break;
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if is_told {
                self.feed.0.is_told.store(false, Ordering::Release);
            }
            if !self.audience.is_empty() {
                self.look_or_recover(is_told);
            }
        }
    }

    /// Closes its connection until it may have one again.
    fn let_go(&mut self, gone: &Sender<()>, until: &Receiver<()>) {
        let kept = self.source.take().map(|source| {
            let Source { app, cursors, position, cursor, told_at, is_told, .. } = source;
            drop(app);
            move |app| Source { app, cursors, position, cursor, version: None, told_at, is_told }
        });
        let _ = gone.send(());
        // Nobody sends anything: it ends when the other side is done.
        let _ = until.recv();
        if let Some(with) = kept {
            match (self.connect)() {
                Ok(app) => self.source = Some(with(app)),
                Err(_) => self.break_off(),
            }
        }
    }

    /// Looks for new events; what fails breaks everybody's off who may have missed one.
    fn look_or_recover(&mut self, is_told: bool) {
        if self.is_out_of_order_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        self.is_out_of_order_until = self.look(is_told).is_err().then(|| Instant::now() + RECOVERY);
        if self.is_out_of_order_until.is_some()
            && let Some(source) = &mut self.source
        {
            // Another connection may read what this one could not.
            match (self.connect)() {
                Ok(app) => (source.app, source.version) = (app, None),
                Err(_) => source.version = None,
            }
        }
    }

    /// Delivers the events behind the feed's place.
    fn look(&mut self, is_told: bool) -> Result<()> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let version = source.app.db().data_version()?;
        if !is_told && version.is_some() && version == source.version {
            self.tell_progress();
            return Ok(());
        }
        while self.advance()? {}
        if let Some(source) = &mut self.source {
            source.version = version;
        }
        self.tell_progress();
        Ok(())
    }

    /// Delivers some of the events behind the feed's place; says whether there may be more.
    fn advance(&mut self) -> Result<bool> {
        let Self { source: Some(source), audience, format, feed, .. } = self else { return Ok(false) };
        let mut has_heard = false;
        let read = source.app.read(|tx| {
            if !source.cursors.are_of(tx)? {
                return Ok(None);
            }
            let entries = service::events::after(tx, source.position, TOGETHER)?;
            let Some(last) = entries.last() else { return Ok(Some((Vec::new(), None, Vec::new(), Vec::new()))) };
            let cursor: Arc<str> = source.cursors.at(Some(&last.row))?.into();
            let progress = (last.row.position, cursor, last.row.at);
            has_heard = true;
            let mut heard: Vec<Vec<Place>> = Vec::with_capacity(entries.len());
            let mut ended = Vec::new();
            for entry in &entries {
                let mut listeners = audience.hear(entry);
                if !ended.is_empty() {
                    // Whoever may not listen any more hears nothing of what came after.
                    listeners.retain(|place| !ended.iter().any(|(other, _)| *other == place.id));
                }
                heard.push(listeners);
                end(tx, audience, entry, &mut ended)?;
            }
            let told: Vec<&Entry> =
                entries.iter().zip(&heard).filter(|(_, heard)| !heard.is_empty()).map(|(entry, _)| entry).collect();
            let told = views(tx, &source.cursors, told.iter().copied())?;
            let told = told.iter().map(|told| render(*format, told)).collect::<Result<Vec<_>>>()?;
            let heard = heard.into_iter().filter(|heard| !heard.is_empty()).collect();
            Ok(Some((told, Some((progress, entries.len(), entries.iter().any(is_deletion))), heard, ended)))
        });
        let batch = match read {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                self.begin_anew()?;
                return Ok(false);
            }
            Err(error) => {
                if has_heard {
                    // Where they take part was followed further than what they heard.
                    self.break_off();
                }
                return Err(error);
            }
        };
        let (told, Some(((position, cursor, at), count, has_deleted)), heard, ended) = batch else { return Ok(false) };
        let mut events = Batch::new();
        for (rendered, heard) in told.iter().zip(heard) {
            for place in heard {
                add(&mut events, rendered.to(place.user), place.id);
            }
        }
        (source.position, source.cursor) = (position, Arc::clone(&cursor));
        source.is_told = !events.is_empty();
        if source.is_told {
            source.told_at = Instant::now();
            feed.say(Message::Batch { events, reached: cursor });
        }
        feed.0.delay.store(source.app.now().0.saturating_sub(at.0), Ordering::Relaxed);
        for (id, reason) in ended {
            if self.audience.remove(id).is_some() {
                feed.say(Message::End(id, reason));
            }
        }
        if has_deleted {
            // What the pages say of it is gone.
            self.pages.clear();
        }
        Ok(count == usize::try_from(TOGETHER).unwrap_or(usize::MAX))
    }

    /// Lets those who hear nothing know how far the log is, now and then.
    fn tell_progress(&mut self) {
        let Self { source: Some(source), feed, .. } = self else { return };
        if !source.is_told && source.told_at.elapsed() >= PROGRESS {
            feed.say(Message::Batch { events: Vec::new(), reached: Arc::clone(&source.cursor) });
            (source.is_told, source.told_at) = (true, Instant::now());
        }
    }

    /// The log is another, or was set back: everybody goes to its end.
    fn begin_anew(&mut self) -> Result<()> {
        self.pages.clear();
        let Some(source) = self.source.take() else { return Ok(()) };
        let source = match begin(source.app) {
            Ok(source) => self.source.insert(source),
            Err(error) => {
                self.break_off();
                return Err(error);
            }
        };
        for (id, member) in std::mem::take(&mut self.audience).into_members() {
            let Member { listener, who, .. } = member;
            let outcome = source.app.read(|tx| {
                let actor = acting(tx, &who, &listener)?;
                listener.anew(tx, &actor, source.position)
            });
            match outcome {
                Ok(listener) => {
                    let events = vec![(self.format.reset)(ResetReason::OtherLog, &source.cursor)];
                    let reached = Arc::clone(&source.cursor);
                    self.feed.say(Message::Page { to: id, events, reached, is_behind: false });
                    self.audience.add(id, Member { listener, who, state: State::Live });
                }
                Err(error) if matches!(error.kind(), Kind::Unauthenticated | Kind::NotFound | Kind::Forbidden) => {
                    self.feed.say(Message::End(id, EndReason::Revoked));
                }
                Err(_) => self.feed.say(Message::BreakOff(vec![id])),
            }
        }
        Ok(())
    }

    fn join(&mut self, join: Join) {
        let Join { request, counted, begun } = join;
        let outcome = self.begin_with(request.who, &request.narrowing, &request.since);
        // The listener may have gone away; then the ticket is dropped, and the feed asked to forget it.
        let _ = begun.send(outcome.map(|(id, cursor, reset)| Begun { ticket: Ticket { id, counted }, cursor, reset }));
    }

    fn begin_with(
        &mut self,
        who: Who,
        narrowing: &service::events::Narrowing,
        since: &[String],
    ) -> Result<(ListenerId, Arc<str>, Option<ResetReason>)> {
        if self.audience.is_empty() || self.source.is_none() {
            // Nobody listened, so that the place was left where it was; the connection may be lost since.
            self.pages.clear();
            let kept = self.source.take().and_then(|source| begin(source.app).ok());
            self.source = Some(kept.map_or_else(|| begin((self.connect)()?), Ok)?);
        } else {
            // The cursor may be of an event that another process has just heard; and the database may be out of reach.
            self.look(!since.is_empty())?;
        }
        let Some(source) = &self.source else { return Err(Error::internal("a feed without a source")) };
        let (position, mut reset) = (source.position, None);
        let joined = source.app.read(|tx| {
            let actor = who.actor(tx)?;
            let mut earliest: Option<(Position, &str)> = None;
            for cursor in since {
                match source.cursors.find(tx, cursor)? {
                    Found::At(at) if at <= position => {
                        earliest = earliest.filter(|(earliest, _)| *earliest <= at).or(Some((at, cursor)));
                    }
                    Found::At(_) => return Err(Error::unavailable("The events cannot be read right now.")),
                    Found::Nowhere(reason) => reset = Some(reason),
                }
            }
            let (from, cursor) = earliest.filter(|_| reset.is_none()).unwrap_or((position, &*source.cursor));
            Ok((Listener::new(tx, &actor, narrowing, from)?, from, cursor.into()))
        });
        let (listener, from, cursor): (_, _, Arc<str>) = joined?;
        let is_live = from == position;
        self.newest_id += 1;
        let id = ListenerId(self.newest_id);
        self.feed.0.outlet.open(id, Arc::clone(&cursor), !is_live);
        let state = if is_live { State::Live } else { State::Behind(from) };
        self.audience.add(id, Member { listener, who, state });
        Ok((id, cursor, reset))
    }

    /// Gets the next events for one who is behind.
    fn more(&mut self, id: ListenerId) {
        if self.next_page(id).is_err() && self.audience.member(id).is_some() {
            self.feed.say(Message::BreakOff(vec![id]));
        }
    }

    fn next_page(&mut self, id: ListenerId) -> Result<()> {
        let Some(Member { state: State::Behind(from), .. }) = self.audience.member(id) else { return Ok(()) };
        let from = *from;
        let page = self.page(from)?;
        let page = &mut *page.borrow_mut();
        let Self { source: Some(source), audience, .. } = self else { return Ok(()) };
        let Some(member) = audience.member(id) else { return Ok(()) };
        let user = member.listener.user();
        let (mut events, mut bytes, mut read) = (Vec::new(), 0, 0);
        while read < page.entries.len() && bytes < PAGE_BYTES {
            let step = read..page.entries.len().min(read + STEP);
            let mut heard = Vec::new();
            for index in step.clone() {
                let entry = &page.entries[index];
                if member.listener.hears(entry) {
                    heard.push(index);
                }
                if moves(entry.row.kind) {
                    let _ = member.listener.follow(entry);
                }
            }
            page.render(&heard, source, self.format)?;
            events.extend(
                heard.iter().filter_map(|index| page.rendered[*index].as_ref()).map(|event| Arc::clone(event.to(user))),
            );
            bytes = events.iter().map(|event: &Arc<[u8]>| event.len()).sum();
            read = step.end;
        }
        let is_all = read == page.entries.len() && page.ends_at == Some(source.position);
        let (reached, is_behind) = match page.entries[..read].last() {
            Some(last) if !is_all && last.row.position < source.position => {
                member.state = State::Behind(last.row.position);
                (source.cursors.at(Some(&last.row))?.into(), true)
            }
            _ => (Arc::clone(&source.cursor), false),
        };
        self.feed.say(Message::Page { to: id, events, reached, is_behind });
        if !is_behind {
            audience.catch_up(id);
        }
        Ok(())
    }

    /// A part of the log behind a place, not beyond where the feed is
    fn page(&mut self, from: Position) -> Result<Rc<RefCell<Page>>> {
        let Some(source) = &self.source else { return Err(Error::internal("a feed without a source")) };
        if self.pages_since.elapsed() >= PAGES_FOR {
            self.pages.clear();
            self.pages_since = Instant::now();
        }
        if let Some(page) = self.pages.get(&from)
            && page.borrow().is_of_use(source.position)
        {
            return Ok(Rc::clone(page));
        }
        let entries = source.app.read(|tx| {
            // What somebody has not heard yet may have become too old since they came.
            if service::events::reaches_back(tx, from)? {
                service::events::between(tx, from, source.position, TOGETHER)
            } else {
                Err(Error::not_found("The log does not reach back that far any more."))
            }
        })?;
        let is_full = entries.len() == usize::try_from(TOGETHER).unwrap_or(usize::MAX);
        let rendered = vec![None; entries.len()];
        let page = Page { entries, rendered, ends_at: (!is_full).then_some(source.position) };
        let page = Rc::new(RefCell::new(page));
        if self.pages.len() == PAGES {
            self.pages.clear();
        }
        self.pages.insert(from, Rc::clone(&page));
        Ok(page)
    }

    /// Ends everybody's listening without a word: they come again with their cursors.
    fn break_off(&mut self) {
        let members = std::mem::take(&mut self.audience);
        for (id, _) in members.into_members() {
            self.feed.say(Message::BreakOff(vec![id]));
        }
    }
}

/// Begins at the end of the log.
fn begin(app: App) -> Result<Source> {
    let version = app.db().data_version()?;
    let (cursors, last) = app.read(|tx| Ok((Cursors::of(tx)?, events::last(tx)?)))?;
    let cursor = cursors.at(last.as_ref())?.into();
    let position = last.map_or(Position::START, |last| last.position);
    Ok(Source { app, cursors, position, cursor, version, told_at: Instant::now(), is_told: false })
}

/// Adds the listeners of a user whose account changed, where they may not listen any more.
fn end(
    tx: &mut Tx<'_>,
    audience: &mut Audience,
    Entry { row, .. }: &Entry,
    ended: &mut Vec<(ListenerId, EndReason)>,
) -> Result<()> {
    let Some(user) = row.user.filter(|_| matches!(row.kind, EventKind::UserUpdated | EventKind::UserDeleted)) else {
        return Ok(());
    };
    for id in audience.of(user).collect::<Vec<_>>() {
        let Some(Member { listener, who, .. }) = audience.member(id) else { continue };
        match acting(tx, who, listener) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), Kind::Unauthenticated | Kind::Forbidden) => {
                ended.push((id, EndReason::Revoked));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Who listens, if they still may.
fn acting(tx: &mut Tx<'_>, who: &Who, listener: &Listener) -> Result<Actor> {
    let actor = who.actor(tx)?;
    listener.must_be_allowed_to(&actor)?;
    Ok(actor)
}

fn is_deletion(entry: &Entry) -> bool {
    let kind = entry.row.kind;
    matches!(kind, EventKind::MessageDeleted | EventKind::ConversationDeleted | EventKind::UserDeleted)
}

fn render(format: Format, told: &Told) -> Result<Rendered> {
    let to_oneself = match &told.to_oneself {
        Some((user, view)) => Some((*user, (format.event)(view)?)),
        None => None,
    };
    Ok(Rendered { to_all: (format.event)(&told.to_all)?, to_oneself })
}

impl Rendered {
    /// As this user gets it; none: the operator
    fn to(&self, user: Option<UserKey>) -> &Arc<[u8]> {
        let own = self.to_oneself.as_ref().filter(|(own, _)| Some(*own) == user);
        own.map_or(&self.to_all, |(_, event)| event)
    }
}

/// Adds an event for a listener to what the outlet is to get.
fn add(events: &mut Batch, event: &Arc<[u8]>, id: ListenerId) {
    match events.last_mut() {
        Some((last, ids)) if Arc::ptr_eq(last, event) => ids.push(id),
        _ => events.push((Arc::clone(event), vec![id])),
    }
}
