//! The newest pages of conversations, kept as they were rendered.
//!
//! What is kept was read at a state of the log of events. Whoever asks for a page looks which state the transaction sees that would
//! read it; where nobody has committed anything since the connection looked last, it is still that one, and no transaction is begun.
//! Where it is a later one, what happened since is read, and the pages that it changes are forgotten, before a page is looked for. So
//! what is found is what would be read, also when another process has just changed something: no time passes, and nothing is assumed.
//! So it is with who may see which conversation.
//!
//! Of requests that come together one looks, and the others take what it found: a look that began after a request came is as good as one
//! of its own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use axum::body::Bytes;
use axum::http::{HeaderValue, Uri};
use prometheus_client::metrics::counter::Counter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::turns::let_others_go_first;
use crate::error::Result;
use crate::model::{Conversation, ConversationId, ConversationKey, UserId, UserKey};
use crate::service::events::{Changes, changes, mark};
use crate::store::Tx;
use crate::store::events::Mark;

/// How many pages of a conversation are kept: one for each address it is asked for at
const MOST_ADDRESSES: usize = 8;

/// The part of the memory that the pages of one conversation take at most
const MOST_OF_ONE: u64 = 8;

/// What a page takes beside its texts, in bytes: about as much as is allocated for it
const OVERHEAD: usize = 256;

/// The length of most pages, in bytes, by which the memory is divided
const USUAL: u64 = 8 * 1024;

/// For so many bytes of the memory it is known of one more who may see a conversation, which takes about a tenth of them more.
const FOR_ONE: u64 = 1024;

/// What links in a page depend on
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) scheme: &'static str,
    pub(crate) host: Option<HeaderValue>,
    pub(crate) uri: Uri,
}

/// Whoever asks for the page of a conversation, by an access token that has not expired
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asker {
    pub(crate) user: UserId,
    /// That of their account when the token was issued
    pub(crate) generation: i64,
    pub(crate) conversation: ConversationId,
}

/// A response with an entity tag, as it is sent
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) tag: HeaderValue,
    pub(crate) body: Bytes,
}

/// A look at the log. Those that begin later are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Look(u64);

/// What is counted of them
#[derive(Clone, Default)]
pub(crate) struct Counters {
    pub(crate) hits: Counter,
    pub(crate) misses: Counter,
    pub(crate) forgotten: Counter,
}

/// The pages, at most so many bytes of them
pub(crate) struct KeptPages {
    /// The latest state of the log that anybody saw: what changed up to it is forgotten, and what is added is of it.
    known: RwLock<Option<Mark>>,
    /// The last look that was begun
    begun: AtomicU64,
    /// The latest look that found `known` as it is; written only under its lock
    found: AtomicU64,
    pages: Cache<ConversationKey, Arc<[Kept]>, Bytesize>,
    /// Who may see which conversation
    admitted: Cache<Asker, ConversationKey>,
    /// How many bytes those of one conversation take at most
    most_of_one: u64,
    counters: Counters,
}

#[derive(Clone)]
struct Kept {
    scheme: &'static str,
    /// Texts of their own: those of a request are parts of what its connection has read.
    host: Option<Box<[u8]>>,
    path_and_query: Box<str>,
    /// The state of the log when it was read
    since: Mark,
    /// Whose names it shows
    people: Arc<[UserKey]>,
    rendered: Rendered,
}

#[derive(Clone)]
struct Bytesize;

impl Weighter<ConversationKey, Arc<[Kept]>> for Bytesize {
    fn weight(&self, _: &ConversationKey, pages: &Arc<[Kept]>) -> u64 {
        pages.iter().map(Kept::bytes).sum()
    }
}

impl Kept {
    fn bytes(&self) -> u64 {
        let Self { host, path_and_query, people, rendered, .. } = self;
        let texts = rendered.body.len() + path_and_query.len() + host.as_ref().map_or(0, |host| host.len());
        (OVERHEAD + texts + size_of_val(&**people)) as u64
    }

    fn is_at(&self, address: &Address) -> bool {
        let Address { scheme, host, uri } = address;
        self.scheme == *scheme
            && self.host.as_deref() == host.as_ref().map(HeaderValue::as_bytes)
            && *self.path_and_query == *path_and_query(uri)
    }
}

fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", |whole| whole.as_str())
}

impl KeptPages {
    /// None where there is no memory for any
    pub(crate) fn new(bytes: u64, counters: Counters) -> Option<Self> {
        let mut options = OptionsBuilder::new();
        // In one part: in each of several there would be less room for the pages of a conversation.
        options
            .weight_capacity(bytes)
            .estimated_items_capacity(usize::try_from(bytes / USUAL).unwrap_or(usize::MAX))
            .shards(1);
        let options = options.build().ok().filter(|_| bytes > 0)?;
        let pages = Cache::with_options(options, Bytesize, DefaultHashBuilder::default(), DefaultLifecycle::default());
        let admitted = Cache::new(usize::try_from(bytes / FOR_ONE).unwrap_or(usize::MAX));
        Some(Self {
            known: RwLock::default(),
            begun: AtomicU64::new(0),
            found: AtomicU64::new(0),
            pages,
            admitted,
            most_of_one: bytes / MOST_OF_ONE,
            counters,
        })
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.pages.clear();
        self.admitted.clear();
    }

    /// Forgets the pages that changed since anybody asked for one.
    pub(crate) fn keep_up(&self, tx: &mut Tx<'_>) -> Result<()> {
        let mark = mark(tx)?;
        // The transaction may have begun before any look that begins now.
        self.forget_what_changed(tx, &mark, Look(0)).map(drop)
    }

    /// Begins a look, before the transaction or the number is read by which it finds the state of the log.
    pub(crate) fn look(&self) -> Look {
        Look(self.begun.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// The page that is kept for somebody who may see it, where another request has looked since this was called; and the state of the
    /// log that it found. Other requests that are already here go first, so that one look is enough for all of them.
    pub(crate) async fn known_by_others(&self, asker: &Asker, address: &Address) -> Option<(Rendered, Mark)> {
        let before = Look(self.begun.load(Ordering::SeqCst));
        let_others_go_first().await;
        self.known_since(before, asker, address)
    }

    fn known_since(&self, before: Look, asker: &Asker, address: &Address) -> Option<(Rendered, Mark)> {
        // Held to the end: what is found is all of one state.
        let known = self.known();
        let mark = known.as_ref().filter(|_| Look(self.found.load(Ordering::SeqCst)) > before)?;
        let rendered = self.find(self.admitted.get(asker)?, address, mark)?;
        Some((rendered, mark.clone()))
    }

    /// How many bytes they take
    pub(crate) fn bytes(&self) -> u64 {
        self.pages.weight()
    }

    /// The page of a conversation at an address as the transaction sees it, whose state of the log is given, and the look by which it was
    /// found: as it is kept, or as `render` reads it, with those whom it shows; then it is kept. `admit` finds the conversation, unless
    /// it is known that the asker may see it. Also says whether it was kept.
    ///
    /// Debug builds do both anyway, and compare: a change that leaves no event would be found out.
    pub(crate) fn page(
        &self,
        (tx, mark, look): (&mut Tx<'_>, &Mark, Look),
        asker: Option<&Asker>,
        address: &Address,
        admit: impl FnOnce(&mut Tx<'_>) -> Result<Conversation>,
        render: impl FnOnce(&mut Tx<'_>, &Conversation) -> Result<(Rendered, BTreeSet<UserKey>)>,
    ) -> Result<(Rendered, bool)> {
        let is_latest = self.forget_what_changed(tx, mark, look)?;
        let known = asker.filter(|_| is_latest).and_then(|asker| self.known_to(asker, address, (mark, look)));
        if let Some(kept) = known {
            if cfg!(debug_assertions) {
                let admitted = admit(tx).expect("a right that ended left no event that says so");
                check(&kept, &render(tx, &admitted)?.0);
            }
            return Ok((kept, true));
        }
        let conversation = admit(tx)?;
        if is_latest {
            if let Some(asker) = asker {
                self.admit(asker, conversation.key, mark);
            }
            if let Some(kept) = self.find(conversation.key, address, mark) {
                if cfg!(debug_assertions) {
                    check(&kept, &render(tx, &conversation)?.0);
                }
                return Ok((kept, true));
            }
        }
        let (rendered, people) = render(tx, &conversation)?;
        self.keep(conversation.key, address, mark, people, &rendered);
        Ok((rendered, false))
    }

    /// Keeps that somebody may see a conversation, if nothing is known to have happened since that was looked up.
    fn admit(&self, asker: &Asker, conversation: ConversationKey, mark: &Mark) {
        // Held to the end: a right that ends meanwhile is forgotten after it is added.
        let known = self.known();
        if known.as_ref() == Some(mark) {
            self.admitted.insert(asker.clone(), conversation);
        }
    }

    /// The page that is kept for somebody who may see it, where both are known in the latest state of the log that anybody saw.
    pub(crate) fn known_to(&self, asker: &Asker, address: &Address, (mark, look): (&Mark, Look)) -> Option<Rendered> {
        // Held to the end: what is found is all of one state.
        let known = self.known();
        if known.as_ref() != Some(mark) {
            return None;
        }
        self.found.fetch_max(look.0, Ordering::SeqCst);
        self.find(self.admitted.get(asker)?, address, mark)
    }

    /// Counts an answer.
    pub(crate) fn count(&self, was_kept: bool) {
        let counter = if was_kept { &self.counters.hits } else { &self.counters.misses };
        counter.inc();
    }

    fn find(&self, conversation: ConversationKey, address: &Address, mark: &Mark) -> Option<Rendered> {
        let pages = self.pages.get(&conversation)?;
        // Another thread may know of a later state by now, and have kept a page of that.
        let is_of_now = |since: &Mark| since == mark || since.key() < mark.key() && since.is_of_log_of(mark);
        let page = pages.iter().find(|page| is_of_now(&page.since) && page.is_at(address))?;
        Some(page.rendered.clone())
    }

    /// Keeps a page that shows these people, if nothing is known to have happened since it was read.
    fn keep(
        &self,
        conversation: ConversationKey,
        address: &Address,
        mark: &Mark,
        people: BTreeSet<UserKey>,
        Rendered { tag, body }: &Rendered,
    ) {
        let kept = Kept {
            scheme: address.scheme,
            host: address.host.as_ref().map(|host| host.as_bytes().into()),
            path_and_query: path_and_query(&address.uri).into(),
            since: mark.clone(),
            people: people.into_iter().collect(),
            // Without the room that was left behind it
            rendered: Rendered { tag: tag.clone(), body: Bytes::copy_from_slice(body) },
        };
        let mut room = self.most_of_one;
        let mut fits = |page: &Kept| {
            let left = room.checked_sub(page.bytes());
            room = left.unwrap_or(0);
            left.is_some()
        };
        if !fits(&kept) {
            return;
        }
        // Held to the end: what changes meanwhile is forgotten after the page is added.
        let known = self.known();
        if known.as_ref() != Some(mark) {
            return;
        }
        let there = self.pages.peek(&conversation);
        let others = there.iter().flat_map(|pages| pages.iter()).filter(|page| !page.is_at(address)).cloned();
        let others = others.take(MOST_ADDRESSES - 1).take_while(fits);
        self.pages.insert(conversation, std::iter::once(kept).chain(others).collect());
    }

    /// Forgets what changed up to the state that a transaction sees; false if it sees an earlier one than others did.
    fn forget_what_changed(&self, tx: &mut Tx<'_>, now: &Mark, look: Look) -> Result<bool> {
        let is_past = |known: &Mark| now.is_of_log_of(known) && now.key() < known.key();
        loop {
            let before = match &*self.known() {
                Some(known) if known == now => {
                    self.found.fetch_max(look.0, Ordering::SeqCst);
                    return Ok(true);
                }
                Some(known) if is_past(known) => return Ok(false),
                known => known.clone(),
            };
            // Read before anybody has to wait.
            let changes = match &before {
                Some(before) => changes(tx, before, now)?,
                None => Changes::All,
            };
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if *known == before {
                self.forget(&changes);
                *known = Some(now.clone());
                self.found.store(look.0, Ordering::SeqCst);
                return Ok(true);
            }
        }
    }

    /// Forgets what is otherwise now, while nobody looks for anything.
    fn forget(&self, changes: &Changes) {
        let before = self.pages.len();
        match changes {
            Changes::All => {
                self.pages.clear();
                self.admitted.clear();
            }
            Changes::Of { conversations, people, rights } => {
                if *rights {
                    self.admitted.clear();
                }
                for conversation in conversations {
                    self.pages.remove(conversation);
                }
                if !people.is_empty() {
                    let shows_none = |page: &Kept| page.people.iter().all(|person| !people.contains(person));
                    self.pages.retain(|_, pages| pages.iter().all(shows_none));
                }
            }
        }
        // Nobody adds any meanwhile.
        self.counters.forgotten.inc_by((before - self.pages.len()) as u64);
    }

    fn known(&self) -> RwLockReadGuard<'_, Option<Mark>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails if a page in memory is not what would be read; what they say is not for the log.
fn check(kept: &Rendered, read: &Rendered) {
    assert!(read == kept, "a change of a page left no event that says so");
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tempfile::TempDir;

    use super::*;
    use crate::app::{App, Options};
    use crate::model::{Actor, Event, EventKind, Kind, Number, Timestamp};
    use crate::store::{self, Db, Location};

    const ONE: ConversationKey = ConversationKey(1);
    const OTHER: ConversationKey = ConversationKey(2);
    const ANN: UserKey = UserKey(1);

    fn open(folder: &TempDir) -> App {
        let (db, _) = Db::open(&Location::Sqlite(folder.path().join("x.db")), true).unwrap();
        App::new(db, Options::default())
    }

    fn pages() -> KeptPages {
        KeptPages::new(1 << 20, Counters::default()).unwrap()
    }

    fn tell(app: &App, kind: EventKind, conversation: Option<ConversationKey>, user: Option<UserKey>) {
        let event = Event { kind, conversation, user, subject: None, is_read: None };
        app.write(|tx| store::events::record(tx, &Actor::Operator(String::new()), event)).unwrap();
    }

    fn send(app: &App, conversation: ConversationKey) {
        tell(app, EventKind::MessageCreated, Some(conversation), None);
    }

    fn address(scheme: &'static str, host: &'static str, uri: &'static str) -> Address {
        Address { scheme, host: Some(HeaderValue::from_static(host)), uri: Uri::from_static(uri) }
    }

    fn here() -> Address {
        address("http", "here", "/a/")
    }

    fn conversation(key: ConversationKey) -> Conversation {
        Conversation {
            key,
            id: ConversationId(uuid::Uuid::nil()),
            kind: Kind::Group,
            name: None,
            title: None,
            creator_key: None,
            pair: None,
            created_at: Timestamp(0),
            active_at: Timestamp(0),
            message_count: 0,
            last_number: Number(0),
            last_sent_at: None,
        }
    }

    fn asker(key: ConversationKey) -> Asker {
        let number = u128::try_from(key.0).unwrap();
        Asker {
            user: UserId(uuid::Uuid::nil()),
            generation: 1,
            conversation: ConversationId(uuid::Uuid::from_u128(number)),
        }
    }

    /// The page, where what is read says `text`
    fn shown(pages: &KeptPages, tx: &mut Tx<'_>, key: ConversationKey, at: &Address, text: &str) -> String {
        shown_by(Look(0), pages, tx, key, at, text)
    }

    fn shown_by(
        look: Look,
        pages: &KeptPages,
        tx: &mut Tx<'_>,
        key: ConversationKey,
        at: &Address,
        text: &str,
    ) -> String {
        let render = |_: &mut Tx<'_>, _: &Conversation| {
            let body = Bytes::copy_from_slice(text.as_bytes());
            Ok((Rendered { tag: HeaderValue::from_static("tag"), body }, BTreeSet::from([ANN])))
        };
        let mark = mark(tx).unwrap();
        let admit = |_: &mut Tx<'_>| Ok(conversation(key));
        let (rendered, was_kept) = pages.page((tx, &mark, look), Some(&asker(key)), at, admit, render).unwrap();
        pages.count(was_kept);
        String::from_utf8(rendered.body.to_vec()).unwrap()
    }

    /// Whether a page is in memory; if not, it is now.
    fn is_kept(pages: &KeptPages, app: &App, conversation: ConversationKey, at: &Address) -> bool {
        let before = pages.counters.hits.get();
        app.read(|tx| Ok(shown(pages, tx, conversation, at, "text"))).unwrap();
        pages.counters.hits.get() > before
    }

    #[test]
    fn an_event_takes_away_the_pages_of_what_it_is_about() {
        let folder = tempfile::tempdir().unwrap();
        let (app, pages) = (open(&folder), pages());
        let [none, one, other, ann] = [(None, None), (Some(ONE), None), (Some(OTHER), None), (None, Some(ANN))];
        for (kind, (conversation, user), is_kept_then) in [
            (EventKind::MessageCreated, one, false),
            (EventKind::MessageCreated, other, true),
            (EventKind::MessageDeleted, none, false),
            (EventKind::NotificationUpdated, other, true),
            // Of somebody who takes part in nothing
            (EventKind::NotificationUpdated, ann, true),
            (EventKind::NotificationUpdated, none, false),
            (EventKind::ParticipantUpdated, ann, true),
            (EventKind::UserCreated, ann, true),
            (EventKind::UserUpdated, (None, Some(UserKey(2))), true),
            (EventKind::UserUpdated, ann, false),
            (EventKind::UserDeleted, (None, Some(UserKey(2))), false),
        ] {
            is_kept(&pages, &app, ONE, &here());
            assert!(is_kept(&pages, &app, ONE, &here()));
            tell(&app, kind, conversation, user);
            assert_eq!(is_kept(&pages, &app, ONE, &here()), is_kept_then, "{kind} {conversation:?} {user:?}");
        }
        assert_eq!(pages.counters.forgotten.get(), 5);
    }

    #[test]
    fn who_may_see_a_conversation_is_looked_up_again_after_what_may_have_ended_that() {
        let folder = tempfile::tempdir().unwrap();
        let (app, pages) = (open(&folder), pages());
        let is_known = || {
            let found = app.read(|tx| {
                let mark = mark(tx)?;
                pages.forget_what_changed(tx, &mark, Look(0))?;
                Ok(pages.admitted.get(&asker(ONE)).is_some())
            });
            found.unwrap()
        };
        for (kind, conversation, user, is_known_then) in [
            (EventKind::MessageCreated, Some(ONE), None, true),
            (EventKind::MessageDeleted, Some(ONE), None, true),
            (EventKind::NotificationUpdated, None, Some(ANN), true),
            (EventKind::ParticipantAdded, Some(ONE), Some(ANN), true),
            (EventKind::ParticipantUpdated, Some(ONE), Some(ANN), true),
            (EventKind::UserCreated, None, Some(ANN), true),
            (EventKind::ParticipantRemoved, Some(OTHER), Some(ANN), false),
            (EventKind::ConversationDeleted, Some(OTHER), None, false),
            (EventKind::UserUpdated, None, Some(ANN), false),
            (EventKind::UserDeleted, None, Some(ANN), false),
        ] {
            is_kept(&pages, &app, ONE, &here());
            assert!(is_known());
            tell(&app, kind, conversation, user);
            assert_eq!(is_known(), is_known_then, "{kind} {conversation:?} {user:?}");
        }
        let nobody = app.read(|tx| {
            let refused = |_: &mut Tx<'_>| Err(crate::error::Error::internal("they may not"));
            let mark = mark(tx)?;
            pages.page((tx, &mark, Look(0)), None, &here(), refused, |_, _| unreachable!())
        });
        nobody.unwrap_err();
        is_kept(&pages, &app, ONE, &here());
        pages.forget_all();
        assert!(!is_known());
        // What was looked up in a state that is past is not kept.
        let before = app.read(mark).unwrap();
        tell(&app, EventKind::ParticipantRemoved, Some(ONE), Some(ANN));
        assert!(!is_known());
        pages.admit(&asker(ONE), ONE, &before);
        assert!(!is_known());
    }

    #[test]
    fn a_transaction_finds_no_page_that_is_newer_than_what_it_sees_and_leaves_none_that_is_older() {
        let folder = tempfile::tempdir().unwrap();
        let (app, other, pages) = (open(&folder), open(&folder), pages());
        send(&other, OTHER);
        let old = app.read(|tx| {
            let before = shown(&pages, tx, ONE, &here(), "old");
            send(&other, ONE);
            let after = other.read(|tx| Ok(shown(&pages, tx, ONE, &here(), "new"))).unwrap();
            assert_eq!((&*before, &*after), ("old", "new"));
            // This one began before the change.
            Ok([shown(&pages, tx, ONE, &here(), "old"), shown(&pages, tx, OTHER, &here(), "old")])
        });
        assert_eq!(old.unwrap(), ["old", "old"]);
        let new = app.read(|tx| Ok([ONE, OTHER].map(|key| shown(&pages, tx, key, &here(), "new")))).unwrap();
        assert_eq!(new, ["new", "new"]);
        assert_eq!((pages.counters.hits.get(), pages.counters.misses.get()), (1, 5));
    }

    #[test]
    fn a_look_answers_those_who_came_before_it_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let (app, other, pages) = (open(&folder), open(&folder), pages());
        let at = here();
        let known_since = |before| {
            let known = pages.known_since(before, &asker(ONE), &at);
            known.map(|(rendered, _)| String::from_utf8(rendered.body.to_vec()).unwrap())
        };
        // A look finds the state of the log, and what is then read says `text`.
        let find = |look, text: &str| app.read(|tx| Ok(shown_by(look, &pages, tx, ONE, &at, text))).unwrap();
        find(pages.look(), "old");
        let (came, before) = (Look(0), pages.look());
        assert_eq!(known_since(came).as_deref(), Some("old"));
        assert_eq!(known_since(Look(1)), None, "nobody has looked since they came");
        send(&other, ONE);
        // One that began before the change may find it, and one that began after it does.
        let (came, after) = (before, pages.look());
        find(before, "new");
        assert_eq!(known_since(came), None, "the look may have been before the change");
        find(after, "new");
        assert_eq!(known_since(came).as_deref(), Some("new"));
        assert_eq!(known_since(Look(0)).as_deref(), Some("new"), "they came long ago");
        // A transaction that began long ago says nothing of now.
        app.read(|tx| pages.keep_up(tx)).unwrap();
        assert_eq!(known_since(after), None);
        tell(&other, EventKind::ParticipantRemoved, Some(ONE), Some(ANN));
        let came = after;
        app.read(|tx| {
            let mark = mark(tx)?;
            pages.forget_what_changed(tx, &mark, pages.look())
        })
        .unwrap();
        assert_eq!(known_since(came), None, "they may not see it any more");
    }

    #[test]
    fn what_comes_together_is_answered_by_one_look() {
        let folder = tempfile::tempdir().unwrap();
        let (app, pages, at) = (open(&folder), pages(), here());
        is_kept(&pages, &app, ONE, &at);
        let answer = async || {
            let known = pages.known_by_others(&asker(ONE), &at).await;
            let look = known.is_none().then(|| pages.look());
            app.read(|tx| {
                let mark = mark(tx)?;
                Ok(look.map(|look| pages.known_to(&asker(ONE), &at, (&mark, look))))
            })
            .unwrap()
            .is_some()
        };
        let all = futures_util::future::join_all((0..10).map(|_| answer()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let have_looked = runtime.block_on(all);
        assert_eq!(have_looked.iter().filter(|has_looked| **has_looked).count(), 1);
    }

    #[test]
    fn a_page_that_was_read_before_a_change_that_is_known_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (app, other, pages) = (open(&folder), open(&folder), pages());
        let is_between = Cell::new(false);
        let read = app.read(|tx| {
            let render = |_: &mut Tx<'_>, _: &Conversation| {
                if !is_between.replace(true) {
                    send(&other, ONE);
                    other.read(|tx| Ok(shown(&pages, tx, OTHER, &here(), "known"))).unwrap();
                }
                Ok((Rendered { tag: HeaderValue::from_static("tag"), body: "old".into() }, BTreeSet::new()))
            };
            let mark = mark(tx)?;
            pages.page((tx, &mark, Look(0)), Some(&asker(ONE)), &here(), |_| Ok(conversation(ONE)), render)
        });
        assert_eq!(read.unwrap().0.body, "old");
        assert_eq!(app.read(|tx| Ok(shown(&pages, tx, ONE, &here(), "new"))).unwrap(), "new");
    }

    #[test]
    fn each_address_has_a_page_of_its_own_and_a_conversation_not_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let (app, pages) = (open(&folder), pages());
        let nowhere = Address { host: None, ..here() };
        let all = [
            here(),
            nowhere,
            address("https", "here", "/a/"),
            address("http", "there", "/a/"),
            address("http", "here", "/a/?page_size=2"),
            address("http", "here", "/a"),
        ];
        for is_second in [false, true] {
            for at in &all {
                assert_eq!(is_kept(&pages, &app, ONE, at), is_second, "{at:?}");
            }
        }
        send(&app, ONE);
        assert!(all.iter().all(|at| !is_kept(&pages, &app, ONE, at)));
        for number in 0..100 {
            let uri = format!("/a/?x={number}").parse().unwrap();
            assert!(!is_kept(&pages, &app, ONE, &Address { uri, ..here() }));
        }
        assert!(!is_kept(&pages, &app, ONE, &here()));
        assert_eq!(pages.pages.peek(&ONE).unwrap().len(), MOST_ADDRESSES);
    }

    #[test]
    fn no_more_memory_is_taken_than_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let (app, given) = (open(&folder), 256 * 1024);
        let pages = KeptPages::new(given, Counters::default()).unwrap();
        let text = "x".repeat(4096);
        for key in 0..1000 {
            app.read(|tx| Ok(shown(&pages, tx, ConversationKey(key), &here(), &text))).unwrap();
        }
        assert!(pages.bytes() <= given && pages.bytes() > given / 2, "{}", pages.bytes());
        let long = "x".repeat(usize::try_from(given).unwrap());
        app.read(|tx| Ok(shown(&pages, tx, ConversationKey(1000), &here(), &long))).unwrap();
        assert!(pages.bytes() <= given);
        assert!(!is_kept(&pages, &app, ConversationKey(1000), &here()), "it takes more than its part");
    }

    #[test]
    fn pages_of_one_conversation_that_are_long_make_room_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let (app, pages) = (open(&folder), KeptPages::new(256 * 1024, Counters::default()).unwrap());
        let long = "x".repeat(14 * 1024);
        let at = ["/1/", "/2/", "/3/"].map(|uri| address("http", "here", uri));
        for at in &at {
            app.read(|tx| Ok(shown(&pages, tx, ONE, at, &long))).unwrap();
        }
        let whole = "x".repeat(64 * 1024);
        app.read(|tx| Ok(shown(&pages, tx, ONE, &here(), &whole))).unwrap();
        let found = app.read(|tx| {
            let mark = mark(tx)?;
            Ok(at.each_ref().map(|at| pages.find(ONE, at, &mark).is_some()))
        });
        assert_eq!(found.unwrap(), [false, true, true]);
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_page_in_memory_takes_one_statement() {
        let folder = tempfile::tempdir().unwrap();
        let (app, pages) = (open(&folder), pages());
        is_kept(&pages, &app, ONE, &here());
        let before = store::statements_run();
        assert!(is_kept(&pages, &app, ONE, &here()));
        assert_eq!(store::statements_run() - before, 1);
    }
}
