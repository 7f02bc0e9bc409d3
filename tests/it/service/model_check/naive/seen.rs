//! What people see in the naive model.

use super::{GROUPS, Label, Message, NAMES, Naive, Notification, count};

/// What a message shows.
pub(crate) struct Line<'l> {
    pub(crate) label: &'l str,
    pub(crate) number: i64,
    pub(crate) sender: Option<&'l str>,
    pub(crate) receiver: Option<&'l str>,
    pub(crate) content: &'l str,
    pub(crate) parent: Option<i64>,
    pub(crate) revision: i64,
    pub(crate) revisions: usize,
    pub(crate) replies: i64,
    pub(crate) is_thread: bool,
    pub(crate) is_read: bool,
    pub(crate) is_deleted: bool,
}

pub(crate) fn line(line: &Line<'_>) -> String {
    let Line { label, number, sender, receiver, content, parent, revision, revisions, replies, .. } = line;
    let flags = (line.is_thread, line.is_read, line.is_deleted);
    format!(
        "{label}#{number:03} {sender:?} to {receiver:?}: {content} ({parent:?} {revision} {revisions} {replies} {flags:?})"
    )
}

impl Naive {
    /// What a user sees, in the words of the services' answers
    pub(crate) fn seen(&self, user: usize) -> Vec<String> {
        let own = |told: &&Notification| told.user == user;
        let label = |label: Label| match label {
            Label::Group(group) => GROUPS[group].to_owned(),
            Label::Pair(one, other) => format!("@{}", NAMES[if one == user { other } else { one }]),
        };
        let mut lines = Vec::new();
        for conversation in self.conversations.iter().filter(|conversation| conversation.has(user)) {
            let place = conversation.label;
            let mut people: Vec<&str> = conversation.participants.iter().map(|(user, _)| NAMES[*user]).collect();
            people.sort_unstable();
            let living = |message: &Message| message.place == place && message.sender.is_some();
            let messages = count(&self.messages, living);
            let newest = self.messages.iter().rfind(|message| living(message)).map(|message| message.number);
            let unread = Some(count(&self.notifications, |told| own(&told) && told.place == place && !told.is_read));
            let level = conversation.participants.iter().find(|(participant, _)| *participant == user);
            let level = level.map(|(_, level)| *level);
            let name = label(place);
            lines.push(format!(
                "{name}: {people:?}, {messages} messages, {unread:?} unread, {level:?}, newest {newest:?}"
            ));
            let all = self.messages.iter().filter(|message| message.place == place);
            lines.extend(all.map(|message| self.line(message, &name)));
        }
        lines.sort();
        let mut told: Vec<&Notification> = self.notifications.iter().filter(own).collect();
        let sent = |told: &Notification| {
            self.messages.iter().position(|message| (message.place, message.number) == (told.place, told.number))
        };
        told.sort_by_key(|told| std::cmp::Reverse(sent(told)));
        for told in &told {
            lines.push(format!("{} {}#{} {}", told.kind, label(told.place), told.number, told.is_read));
        }
        lines.push(format!("{:?}", (count(&told, |told| !told.is_read), count(&told, |_| true))));
        lines
    }

    fn line(&self, message: &Message, label: &str) -> String {
        let about = |told: &&Notification| (told.place, told.number) == (message.place, message.number);
        let is_reply = |reply: &Message| (reply.place, reply.parent) == (message.place, Some(message.number));
        let mut recipients = self.notifications.iter().filter(about).peekable();
        line(&Line {
            label,
            number: message.number,
            sender: message.sender.map(|user| NAMES[user]),
            receiver: message.receiver.map(|user| NAMES[user]),
            content: message.content,
            parent: message.parent,
            revision: message.revision,
            revisions: usize::try_from(message.revision - 1).unwrap(),
            replies: count(&self.messages, |reply| is_reply(reply) && reply.sender.is_some()),
            is_thread: self.messages.iter().any(is_reply),
            is_read: recipients.peek().is_some() && recipients.all(|told| told.is_read),
            is_deleted: message.sender.is_none(),
        })
    }
}
