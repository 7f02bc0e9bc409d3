//! The contract by brute force: plain lists, no index, no shortcut.

mod aim;
mod seen;

use tidings::error::Kind;
use tidings::model::Level;

use super::{Step, Verb, Where};
pub(super) use seen::{Line, line};

pub(super) const NAMES: [&str; 5] = ["ann", "anna", "bob", "Čyd", "eve"];
pub(super) const GROUPS: [&str; 3] = ["one", "two", "three"];
pub(super) const TEXTS: [&str; 8] =
    ["hi", "hello", "@bob!", "@ANNA, not @ann", "mail x@bob", "ask @čyd @eve", "(@ann)", "@bob and @nobody"];

/// Has the role `admin`, and is the only one.
pub(super) const ADMIN: usize = 4;
/// Nobody's place in `NAMES`
pub(super) const OPERATOR: usize = NAMES.len();

/// What a step gives, in numbers, or how it is refused
pub(super) type Outcome = Result<Vec<i64>, Kind>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Label {
    Group(usize),
    Pair(usize, usize),
}

struct Conversation {
    label: Label,
    creator: usize,
    participants: Vec<(usize, Level)>,
    last_number: i64,
}

impl Conversation {
    fn has(&self, user: usize) -> bool {
        self.participants.iter().any(|(participant, _)| *participant == user)
    }
}

#[derive(Clone)]
struct Message {
    place: Label,
    number: i64,
    /// None: a tombstone
    sender: Option<usize>,
    receiver: Option<usize>,
    parent: Option<i64>,
    content: &'static str,
    revision: i64,
}

#[derive(Clone)]
struct Notification {
    place: Label,
    number: i64,
    user: usize,
    kind: &'static str,
    is_read: bool,
}

#[derive(Default)]
pub(super) struct Naive {
    users: Vec<usize>,
    conversations: Vec<Conversation>,
    /// In the order of sending
    messages: Vec<Message>,
    notifications: Vec<Notification>,
}

fn administers(who: usize) -> bool {
    who == ADMIN || who == OPERATOR
}

fn count<T>(things: &[T], is_meant: impl Fn(&T) -> bool) -> i64 {
    i64::try_from(things.iter().filter(|thing| is_meant(thing)).count()).unwrap()
}

impl Naive {
    pub(super) fn people(&self) -> Vec<usize> {
        self.users.clone()
    }

    pub(super) fn take(&mut self, step: &Step) -> Outcome {
        if step.who != OPERATOR {
            self.must_exist(step.who)?;
        }
        match step.verb {
            Verb::Send => self.send(step, None, None),
            Verb::Address => self.send(step, None, Some(step.user)),
            Verb::Reply => self.send(step, Some(step.number), None),
            Verb::Edit => self.edit(step),
            Verb::Delete => self.delete(step),
            Verb::Remove => self.remove(step),
            Verb::Add => self.add(step),
            Verb::SetLevel => self.set_level(step),
            Verb::Read => self.read(step),
            Verb::ReadPlace => self.read_place(step),
            Verb::Forget => self.forget(step),
            Verb::Create if self.users.contains(&step.user) => Err(Kind::Conflict),
            Verb::Create => {
                self.users.push(step.user);
                Ok(Vec::new())
            }
            Verb::Begin => self.begin(step),
        }
    }

    fn must_exist(&self, user: usize) -> Result<(), Kind> {
        if self.users.contains(&user) { Ok(()) } else { Err(Kind::NotFound) }
    }

    fn label(who: usize, place: Where) -> Label {
        match place {
            Where::Group(group) => Label::Group(group),
            Where::With(user) => Label::Pair(user.min(who), user.max(who)),
        }
    }

    /// The place in the list of a conversation the step's actor may see
    fn visible(&self, step: &Step) -> Result<usize, Kind> {
        let label = Self::label(step.who, step.place);
        let found = self.conversations.iter().position(|conversation| conversation.label == label);
        found.filter(|at| administers(step.who) || self.conversations[*at].has(step.who)).ok_or(Kind::NotFound)
    }

    fn visible_message(&self, step: &Step) -> Result<usize, Kind> {
        let place = self.conversations[self.visible(step)?].label;
        let found = self.messages.iter().position(|message| (message.place, message.number) == (place, step.number));
        found.ok_or(Kind::NotFound)
    }

    fn begin(&mut self, step: &Step) -> Outcome {
        self.must_exist(step.user)?;
        let label = Label::Group(step.text % GROUPS.len());
        if step.user == step.who {
            return Err(Kind::Invalid);
        }
        if self.conversations.iter().any(|conversation| conversation.label == label) {
            return Err(Kind::Conflict);
        }
        self.open(label, step.who, step.user);
        Ok(Vec::new())
    }

    fn open(&mut self, label: Label, creator: usize, other: usize) {
        let participants = vec![(creator, Level::All), (other, Level::All)];
        self.conversations.push(Conversation { label, creator, participants, last_number: 0 });
    }

    /// The participants a content mentions, whoever sent it
    fn mentioned(conversation: &Conversation, content: &str) -> Vec<usize> {
        let mut mentioned = Vec::new();
        for (at, _) in content.match_indices('@') {
            if content[..at].ends_with(|character: char| character.is_alphanumeric() || character == '_') {
                continue;
            }
            let rest = content[at + 1..].to_lowercase();
            let fitting = (0..NAMES.len())
                .filter(|user| conversation.has(*user) && rest.starts_with(&NAMES[*user].to_lowercase()));
            mentioned.extend(fitting.max_by_key(|user| NAMES[*user].len()));
        }
        mentioned
    }

    fn send(&mut self, step: &Step, parent: Option<i64>, receiver: Option<usize>) -> Outcome {
        let place = Self::label(step.who, step.place);
        let mut begins = false;
        if let Where::With(other) = step.place {
            self.must_exist(other)?;
            if other == step.who {
                return Err(Kind::Invalid);
            }
            begins = self.conversations.iter().all(|conversation| conversation.label != place);
        }
        if begins && parent.is_some() {
            return Err(Kind::NotFound);
        }
        if !begins && !self.conversations[self.visible(step)?].has(step.who) {
            return Err(Kind::Forbidden);
        }
        let parent_sender = match parent {
            Some(_) => Some(self.messages[self.visible_message(step)?].sender.ok_or(Kind::Invalid)?),
            None => None,
        };
        let other = match step.place {
            Where::With(other) => Some(other),
            Where::Group(_) => None,
        };
        if let Some(receiver) = receiver {
            self.must_exist(receiver)?;
            let takes_part = other.map_or_else(
                || self.visible(step).is_ok_and(|at| self.conversations[at].has(receiver)),
                |other| other == receiver,
            );
            if receiver == step.who || !takes_part {
                return Err(Kind::Invalid);
            }
        }
        if let (true, Some(other)) = (begins, other) {
            self.open(place, step.who, other);
        }
        let at = self.visible(step)?;
        let conversation = &mut self.conversations[at];
        conversation.last_number += 1;
        let (number, content) = (conversation.last_number, TEXTS[step.text]);
        let (sender, receiver) = (Some(step.who), receiver.or(other));
        self.messages.push(Message { place, number, sender, receiver, parent, content, revision: 1 });
        let mentioned = Self::mentioned(conversation, content);
        for &(user, level) in conversation.participants.iter().filter(|(user, _)| *user != step.who) {
            let kind = match user {
                user if mentioned.contains(&user) => "mention",
                user if parent_sender == Some(user) => "reply",
                _ => "message",
            };
            if level == Level::All || level == Level::Mentions && kind != "message" {
                self.notifications.push(Notification { place, number, user, kind, is_read: false });
            }
        }
        Ok(vec![number])
    }

    fn edit(&mut self, step: &Step) -> Outcome {
        let at = self.visible_message(step)?;
        let conversation = &self.conversations[self.visible(step)?];
        let message = &mut self.messages[at];
        let author = message.sender.ok_or(Kind::NotFound)?;
        if step.who != OPERATOR && step.who != author {
            return Err(Kind::Forbidden);
        }
        let (old, new) = (message.content, TEXTS[step.text]);
        if old == new {
            return Ok(vec![message.revision]);
        }
        message.content = new;
        message.revision += 1;
        let before = Self::mentioned(conversation, old);
        let newly = Self::mentioned(conversation, new).into_iter().filter(|user| !before.contains(user));
        let (place, number) = (message.place, message.number);
        for user in newly.filter(|user| *user != author) {
            if conversation.participants.contains(&(user, Level::None)) {
                continue;
            }
            self.notifications.retain(|told| (told.place, told.number, told.user) != (place, number, user));
            self.notifications.push(Notification { place, number, user, kind: "mention", is_read: false });
        }
        Ok(vec![message.revision])
    }

    /// Takes away what a message said; its place stays for now.
    fn erase(&mut self, at: usize) {
        let message = &mut self.messages[at];
        *message = Message { sender: None, receiver: None, content: "", revision: 1, ..message.clone() };
        let (place, number) = (message.place, message.number);
        self.notifications.retain(|told| (told.place, told.number) != (place, number));
    }

    /// Tombstones without replies go, until none is left.
    fn sweep(&mut self) {
        let has_reply = |all: &[Message], message: &Message| {
            all.iter().any(|reply| reply.place == message.place && reply.parent == Some(message.number))
        };
        while let Some(at) =
            self.messages.iter().position(|message| message.sender.is_none() && !has_reply(&self.messages, message))
        {
            self.messages.remove(at);
        }
    }

    fn delete(&mut self, step: &Step) -> Outcome {
        let at = self.visible_message(step)?;
        let sender = self.messages[at].sender.ok_or(Kind::NotFound)?;
        if sender != step.who && !administers(step.who) {
            return Err(Kind::Forbidden);
        }
        self.erase(at);
        self.sweep();
        Ok(vec![1])
    }

    fn end(&mut self, place: Label) {
        self.conversations.retain(|conversation| conversation.label != place);
        self.messages.retain(|message| message.place != place);
        self.notifications.retain(|told| told.place != place);
    }

    fn group(&self, step: &Step) -> Result<usize, Kind> {
        let at = self.visible(step)?;
        if matches!(self.conversations[at].label, Label::Pair(..)) { Err(Kind::Invalid) } else { Ok(at) }
    }

    fn remove(&mut self, step: &Step) -> Outcome {
        let at = self.group(step)?;
        self.must_exist(step.user)?;
        let conversation = &mut self.conversations[at];
        let manages = administers(step.who) || conversation.creator == step.who && conversation.has(step.who);
        if step.user != step.who && !manages {
            return Err(Kind::Forbidden);
        }
        if !conversation.has(step.user) {
            return Err(Kind::NotFound);
        }
        conversation.participants.retain(|(user, _)| *user != step.user);
        let place = conversation.label;
        if conversation.participants.is_empty() {
            self.end(place);
        }
        self.notifications.retain(|told| (told.place, told.user) != (place, step.user));
        Ok(Vec::new())
    }

    fn add(&mut self, step: &Step) -> Outcome {
        let at = self.group(step)?;
        self.must_exist(step.user)?;
        if !self.conversations[at].has(step.user) {
            self.conversations[at].participants.push((step.user, Level::All));
        }
        Ok(Vec::new())
    }

    fn set_level(&mut self, step: &Step) -> Outcome {
        let at = self.visible(step)?;
        let own = self.conversations[at].participants.iter_mut().find(|(user, _)| *user == step.who);
        own.ok_or(Kind::NotFound)?.1 = step.level;
        Ok(Vec::new())
    }

    fn read(&mut self, step: &Step) -> Outcome {
        let message = &self.messages[self.visible_message(step)?];
        let meant = (message.place, message.number, step.who);
        let own = self.notifications.iter_mut().find(|told| (told.place, told.number, told.user) == meant);
        let own = own.ok_or(Kind::NotFound)?;
        let changed = i64::from(own.is_read != step.is_read);
        own.is_read = step.is_read;
        Ok(vec![changed])
    }

    fn read_place(&mut self, step: &Step) -> Outcome {
        let place = self.conversations[self.visible(step)?].label;
        let mut changed = 0;
        for told in &mut self.notifications {
            if (told.place, told.user, told.is_read) == (place, step.who, false) {
                told.is_read = true;
                changed += 1;
            }
        }
        Ok(vec![changed])
    }

    fn forget(&mut self, step: &Step) -> Outcome {
        let user = step.user;
        self.must_exist(user)?;
        if user != step.who && !administers(step.who) || user == ADMIN && step.who == ADMIN {
            return Err(Kind::Forbidden);
        }
        let sent = count(&self.messages, |message| message.sender == Some(user));
        let received = count(&self.messages, |message| message.receiver == Some(user));
        let notifications = count(&self.notifications, |_| true);
        let revisions: i64 = self.messages.iter().map(|message| message.revision - 1).sum();
        let participations = count(&self.conversations, |conversation| conversation.has(user));
        let ends = |conversation: &&Conversation| {
            let direct = matches!(conversation.label, Label::Pair(..));
            conversation.has(user) && (direct || conversation.participants.len() == 1)
        };
        let ending: Vec<Label> = self.conversations.iter().filter(ends).map(|found| found.label).collect();
        let direct = count(&ending, |label| matches!(label, Label::Pair(..)));
        let is_theirs = |message: &Message| message.sender == Some(user) || message.receiver == Some(user);
        let of_groups = count(&self.messages, |message| {
            ending.contains(&message.place) && message.sender.is_some() && !is_theirs(message)
        });
        let groups = count(&ending, |_| true) - direct;
        for place in ending {
            self.end(place);
        }
        let theirs: Vec<usize> = (0..self.messages.len()).filter(|at| is_theirs(&self.messages[*at])).collect();
        let places: Vec<_> = theirs.iter().map(|at| (self.messages[*at].place, self.messages[*at].number)).collect();
        for at in theirs {
            self.erase(at);
        }
        self.sweep();
        self.notifications.retain(|told| told.user != user);
        for conversation in &mut self.conversations {
            conversation.participants.retain(|(participant, _)| *participant != user);
            if conversation.creator == user {
                conversation.creator = OPERATOR;
            }
        }
        self.users.retain(|other| *other != user);
        let tombstones = count(&self.messages, |message| places.contains(&(message.place, message.number)));
        let revisions = revisions - self.messages.iter().map(|message| message.revision - 1).sum::<i64>();
        let notifications = notifications - count(&self.notifications, |_| true);
        Ok(vec![sent, received, of_groups, tombstones, revisions, notifications, participations, direct, groups])
    }
}
