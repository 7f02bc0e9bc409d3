//! What people do, drawn at random.

use tidings::error::Result;
use tidings::model::{Actor, Level, MessageSelector, Role, UserSelector};
use tidings::service::conversations::{self, ConversationChange, NewConversation};
use tidings::service::messages::{self, Destination, Draft, MessageEdit};
use tidings::service::users::UserChange;
use tidings::service::{accounts, notifications, tokens, users};
use tidings::store::Tx;

use crate::support::{World, draft, new_user, operator, place};

/// `ann` and `eve` are admins at first.
pub(super) const NAMES: [&str; 6] = ["ann", "bob", "cyd", "dan", "eve", "fay"];
const GROUPS: [&str; 4] = ["one", "two", "three", "four"];
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$Kfb7gD3X1ZeBLQBmzC2VJYQlyCVQmH2NlbU4qwEXzZE";

/// Numbers drawn from a seed
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below another
    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap() % limit
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn deed(&mut self) -> Deed {
        let mut drawn = self.below(VERBS.iter().map(|(weight, _)| weight).sum());
        let verb = VERBS.iter().find(|(weight, _)| match drawn.checked_sub(*weight) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        let group = GROUPS[self.below(GROUPS.len())];
        let with = NAMES[self.below(NAMES.len())];
        Deed {
            verb: verb.unwrap().1,
            who: (!self.one_in(6)).then(|| NAMES[self.below(NAMES.len())]),
            place: if self.one_in(4) { format!("@{with}") } else { group.to_owned() },
            group,
            user: NAMES[self.below(NAMES.len())],
            other: NAMES[self.below(NAMES.len())],
            numbers: [self.below(6) + 1, self.below(6) + 1],
            level: [Level::All, Level::Mentions, Level::None][self.below(3)],
            is: self.one_in(2),
            word: self.below(1000),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Verb {
    Send,
    Reply,
    Edit,
    Restore,
    Delete,
    DeleteTwo,
    Begin,
    Rename,
    Add,
    AddTwo,
    Leave,
    Remove,
    End,
    SetLevel,
    Read,
    ReadPlace,
    ReadAll,
    Change,
    SetRole,
    SetPassword,
    Revoke,
    Deactivate,
    Activate,
    Create,
    DeleteAccount,
}

/// Each with its weight
const VERBS: [(usize, Verb); 25] = [
    (20, Verb::Send),
    (6, Verb::Reply),
    (6, Verb::Edit),
    (2, Verb::Restore),
    (8, Verb::Delete),
    (6, Verb::DeleteTwo),
    (6, Verb::Begin),
    (4, Verb::Rename),
    (8, Verb::Add),
    (4, Verb::AddTwo),
    (4, Verb::Leave),
    (6, Verb::Remove),
    (2, Verb::End),
    (4, Verb::SetLevel),
    (4, Verb::Read),
    (2, Verb::ReadPlace),
    (2, Verb::ReadAll),
    (3, Verb::Change),
    (2, Verb::SetRole),
    (1, Verb::SetPassword),
    (2, Verb::Revoke),
    (2, Verb::Deactivate),
    (3, Verb::Activate),
    (4, Verb::Create),
    (2, Verb::DeleteAccount),
];

/// Something somebody tries to do; each verb looks at what concerns it.
#[derive(Debug)]
pub(super) struct Deed {
    verb: Verb,
    /// None: the operator
    who: Option<&'static str>,
    place: String,
    group: &'static str,
    user: &'static str,
    other: &'static str,
    numbers: [usize; 2],
    level: Level,
    is: bool,
    word: usize,
}

fn named(name: &str) -> UserSelector {
    UserSelector::from(name.to_owned())
}

impl Deed {
    /// Does it in one transaction.
    pub(super) fn work(&self, tx: &mut Tx<'_>) -> Result<()> {
        let actor = match self.who {
            Some(name) => tidings::service::acting(tx, &named(name))?,
            None => operator(),
        };
        match self.verb {
            Verb::Send
            | Verb::Reply
            | Verb::Edit
            | Verb::Restore
            | Verb::Delete
            | Verb::DeleteTwo
            | Verb::Read
            | Verb::ReadPlace
            | Verb::ReadAll => self.speak(tx, &actor),
            Verb::Begin
            | Verb::Rename
            | Verb::Add
            | Verb::AddTwo
            | Verb::Leave
            | Verb::Remove
            | Verb::End
            | Verb::SetLevel => self.arrange(tx, &actor),
            _ => self.administer(tx, &actor),
        }
    }

    fn message(&self, number: usize) -> MessageSelector {
        format!("{}#{number}", self.place).parse().unwrap()
    }

    fn text(&self) -> String {
        format!("{} and @{}", self.word, self.user)
    }

    fn speak(&self, tx: &mut Tx<'_>, actor: &Actor) -> Result<()> {
        let first = self.message(self.numbers[0]);
        match self.verb {
            Verb::Edit => {
                let change = MessageEdit { content: self.text(), ..MessageEdit::default() };
                if self.is {
                    return messages::edit(tx, actor, &first, &change).map(drop);
                }
                // By chance, a message that is there is seldom that of whoever edits it.
                let number = |number| format!("{}#{number}", self.group).parse().unwrap();
                let found = (1..=6).find_map(|last| messages::show(tx, &operator(), &number(last)).ok());
                let Some((message, sender)) = found.and_then(|found| Some((found.message_id, found.sender?))) else {
                    return Ok(());
                };
                let author = tidings::service::acting(tx, &named(&sender.username))?;
                messages::edit(tx, &author, &MessageSelector::Id(message), &change).map(drop)
            }
            Verb::Restore => messages::restore(tx, actor, &first, 1, None).map(drop),
            Verb::Delete => messages::delete(tx, actor, &[first]).map(drop),
            // In one conversation, or in two
            Verb::DeleteTwo => {
                let other = if self.is { &self.place } else { self.group };
                let second = format!("{other}#{}", self.numbers[1]).parse().unwrap();
                messages::delete(tx, actor, &[first, second]).map(drop)
            }
            Verb::Read | Verb::ReadPlace | Verb::ReadAll => {
                let owner = notifications::owner(tx, actor, self.who.is_none().then(|| named(self.user)).as_ref())?;
                match self.verb {
                    Verb::Read => notifications::set_read(tx, actor, &owner, &[first], self.is),
                    Verb::ReadPlace => messages::read_conversation(tx, actor, &owner, &place(&self.place)),
                    _ => notifications::read_all(tx, actor, &owner),
                }
                .map(drop)
            }
            verb => {
                let mut draft = draft(&self.place, &self.text());
                if let Some(user) = self.place.strip_prefix('@') {
                    draft.destination = Destination::User(named(user));
                }
                draft.parent = matches!(verb, Verb::Reply).then_some(first);
                messages::send(tx, actor, &Draft { ..draft }).map(drop)
            }
        }
    }

    fn arrange(&self, tx: &mut Tx<'_>, actor: &Actor) -> Result<()> {
        let group = place(self.group);
        match self.verb {
            Verb::Begin => {
                let new = NewConversation {
                    participants: [self.user, self.other].map(named).to_vec(),
                    name: Some(self.group.to_owned()),
                    level: (self.who.is_some() && self.is).then_some(self.level),
                    ..NewConversation::default()
                };
                conversations::create(tx, actor, &new).map(drop)
            }
            Verb::Rename => {
                let change = ConversationChange { title: Some(self.text()), ..ConversationChange::default() };
                conversations::update(tx, actor, &group, &change).map(drop)
            }
            Verb::Add => conversations::add(tx, actor, &group, &[named(self.user)]).map(drop),
            Verb::AddTwo => conversations::add(tx, actor, &group, &[self.user, self.other].map(named)).map(drop),
            Verb::Leave => {
                let who = self.who.unwrap_or(self.user);
                conversations::remove(tx, actor, &group, &[named(who)]).map(drop)
            }
            Verb::Remove => conversations::remove(tx, actor, &group, &[named(self.user)]).map(drop),
            Verb::End => conversations::delete(tx, actor, &place(&self.place)).map(drop),
            _ => conversations::set_level(tx, actor, &place(&self.place), self.level).map(drop),
        }
    }

    fn administer(&self, tx: &mut Tx<'_>, actor: &Actor) -> Result<()> {
        let user = named(self.user);
        match self.verb {
            Verb::Change => {
                let change = UserChange { first_name: Some(self.text()), ..UserChange::default() };
                users::update(tx, actor, &user, &change).map(drop)
            }
            Verb::SetRole => {
                let role = if self.is { Role::Admin } else { Role::User };
                users::update(tx, actor, &user, &UserChange { role: Some(role), ..UserChange::default() }).map(drop)
            }
            Verb::SetPassword => users::set_password(tx, actor, &user, Some(HASH)).map(drop),
            Verb::Revoke => tokens::revoke_all(tx, actor, &user).map(drop),
            Verb::Deactivate => users::set_active(tx, actor, &user, false).map(drop),
            Verb::Activate => users::set_active(tx, actor, &user, true).map(drop),
            Verb::DeleteAccount => accounts::delete(tx, actor, &[user]).map(drop),
            _ => users::create(tx, actor, &new_user(self.user, Role::User)).map(drop),
        }
    }
}

/// Everybody is there.
pub(super) fn begin(world: &World) {
    for name in NAMES {
        let role = if matches!(name, "ann" | "eve") { Role::Admin } else { Role::User };
        world.app.write(|tx| users::create(tx, &operator(), &new_user(name, role))).unwrap();
    }
}

/// Deletes everybody, after which no conversation is left.
pub(super) fn clear(world: &World) {
    world
        .app
        .write(|tx| {
            for profile in users::list(tx, &operator(), "", &users::Matching::default(), 100)? {
                accounts::delete(tx, &operator(), &[UserSelector::from(profile.person().username.clone())])?;
            }
            Ok(())
        })
        .unwrap();
}
