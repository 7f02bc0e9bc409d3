//! How messages are shown.

use crate::cli::output::{Field, Paragraph, Piece, Record, View};
use crate::cli::user::PERSON;
use crate::model::{Kind, Message, UserKey, UserRef};

impl Record for Message {
    const FIELDS: &'static [Field] = &[
        Field::Value("message_id"),
        Field::Value("conversation"),
        Field::Value("number"),
        Field::Object("sender", PERSON),
        Field::Object("receiver", PERSON),
        Field::Value("content"),
        Field::Value("timestamp"),
        Field::Value("edited"),
        Field::Value("revision"),
        Field::Value("parent_message"),
        Field::Value("is_thread"),
        Field::Value("reply_count"),
        Field::Value("read"),
        Field::Value("deleted"),
    ];

    fn ids(&self) -> Vec<String> {
        vec![self.message_id.to_string()]
    }

    fn paragraph(&self, view: View) -> Option<Paragraph<'_>> {
        let people = (self.sender.as_ref(), self.receiver.as_ref());
        let place = place(self.conversation_kind, self.conversation_name.as_deref(), people, view.viewer);
        let address = format!("{}#{}", place.as_deref().unwrap_or_default(), self.number.0);
        let mut who = vec![Piece::Address(address)];
        match &self.sender {
            Some(sender) => who.push(Piece::Person(sender.username.clone())),
            None => who.push(Piece::Faint("deleted".to_owned())),
        }
        if let Some(receiver) = &self.receiver
            && (self.conversation_kind == Kind::Group || place.is_none())
        {
            who.extend(["→".into(), Piece::Person(receiver.username.clone())]);
        }
        let mut heading = vec![who, vec![Piece::Time(self.timestamp)]];
        let mut say = |what: String| heading.push(vec![what.into()]);
        if let Some(parent) = self.parent_number {
            say(format!("reply to #{}", parent.0));
        }
        match self.reply_count {
            0 => {}
            1 => say("1 reply".to_owned()),
            count => say(format!("{count} replies")),
        }
        if self.edited {
            say(format!("revision {}", self.revision));
        }
        if self.read {
            say("read by all".to_owned());
        }
        if !view.in_list || place.is_none() {
            heading.push(vec![Piece::Faint(self.message_id.to_string())]);
        }
        Some(Paragraph::new(heading, &self.content))
    }
}

/// What names a message's conversation to the viewer in a command: the name of a group, and of a direct conversation of
/// theirs the other person.
pub(in crate::cli) fn place(
    kind: Kind,
    name: Option<&str>,
    (sender, receiver): (Option<&UserRef>, Option<&UserRef>),
    viewer: Option<UserKey>,
) -> Option<String> {
    if kind == Kind::Group {
        return name.map(ToOwned::to_owned);
    }
    let (sender, receiver) = (sender?, receiver?);
    let viewer = viewer?;
    let other = match (sender.key == viewer, receiver.key == viewer) {
        (true, _) => receiver,
        (_, true) => sender,
        _ => return None,
    };
    Some(format!("@{}", other.username))
}
