//! `tidings conversation`

use clap::{Args, Subcommand};

use super::output::{Field, Piece, Record, View};
use super::user::PERSON;
use super::{Context, ERASURE, Outcome, choice, counted, limit, pages};
use crate::model::{ConversationSelector, ConversationView, Departure, Kind, Level, Message, UserKey, UserSelector};
use crate::service;
use crate::service::conversations::{ConversationChange, Listing, NewConversation};
use crate::store::Tx;

/// The default of --limit
const LIMIT: i64 = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Create(Create),
    List(List),
    Show(Show),
    Update(Update),
    Add(Add),
    Remove(Remove),
    Level(SetLevel),
    Delete(Delete),
}

impl Command {
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Remove(_) => Departure::FIELDS,
            _ => ConversationView::FIELDS,
        }
    }

    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        match self {
            Self::Create(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Update(command) => command.run(context),
            Self::Add(command) => command.run(context),
            Self::Remove(command) => command.run(context),
            Self::Level(command) => command.run(context),
            Self::Delete(command) => command.run(context),
        }
    }
}

/// Create a conversation; its creator takes part
///
/// Without name and title, a conversation with one other user is direct; creating it again returns it. The operator
/// does not take part and names at least two users.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings conversation create bob carol --name support --as alice\n  \
    tidings conversation create bob --as alice")]
pub(super) struct Create {
    /// The other participants: ids, usernames or emails
    #[arg(required = true, value_name = "USER")]
    users: Vec<UserSelector>,
    /// A name for commands: 1 to 64 of A–Z a–z 0–9 . _ -, unique ignoring case
    #[arg(long)]
    name: Option<String>,
    /// Free text of up to 200 characters
    #[arg(long)]
    title: Option<String>,
    /// Which messages notify the creator
    #[arg(long, value_parser = choice::<Level>())]
    level: Option<Level>,
    /// Return the group with that name if it exists
    #[arg(long, requires = "name")]
    if_not_exists: bool,
}

impl Create {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let Self { users: participants, name, title, level, if_not_exists } = self;
        if level.is_some() {
            context.needs_user()?;
        }
        let new = NewConversation { participants, name, title, level, if_not_exists };
        let (conversation, created) = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            service::conversations::create(tx, &actor, &new)
        })?;
        let did = if created { "Created the conversation" } else { "Found the existing conversation" };
        context.status(&format!("{did} {}.", title_of(&conversation)));
        Ok(context.out.created(&conversation)?)
    }
}

/// List conversations: your own, newest activity first; as the operator all, newest first
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings conversation list --user alice")]
pub(super) struct List {
    /// For the operator: the conversations of this user
    #[arg(long)]
    user: Option<UserSelector>,
    /// How many at most [default: 100]
    #[arg(long, value_name = "N", value_parser = limit, allow_negative_numbers = true)]
    limit: Option<i64>,
    /// Only conversations after this one in the list
    #[arg(long, value_name = "CONV")]
    after: Option<ConversationSelector>,
    /// Only conversations whose name or title contains this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

impl List {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let listing = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            service::conversations::listing(tx, &actor, self.user.as_ref(), self.after.as_ref())
        })?;
        let Context { app, out, .. } = context;
        let read = |place: Option<&Listing>, limit| {
            let listing = place.unwrap_or(&listing);
            app.read(|tx| service::conversations::page(tx, listing, self.search.as_deref(), limit))
        };
        let pages = pages(self.limit.unwrap_or(LIMIT), read, |last| listing.below(last));
        let shown = out.list(pages, "No conversations found.")?;
        context.say_if_cut(shown, self.limit, LIMIT);
        Ok(())
    }
}

/// Show a conversation with all its participants
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings conversation show support -o json")]
pub(super) struct Show {
    /// Name, id, or @USER for the direct one
    #[arg(value_name = "CONV")]
    conversation: ConversationSelector,
}

impl Show {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let conversation = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            service::conversations::show(tx, &actor, &self.conversation)
        })?;
        Ok(context.out.show(&conversation)?)
    }
}

/// Change a group's name or title; an empty one removes it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings conversation update support --title 'Ask us anything'")]
pub(super) struct Update {
    /// Name or id
    #[arg(value_name = "CONV")]
    conversation: ConversationSelector,
    /// A new name: 1 to 64 of A–Z a–z 0–9 . _ -
    #[arg(long)]
    name: Option<String>,
    /// A new title: free text of up to 200 characters
    #[arg(long)]
    title: Option<String>,
}

impl Update {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let change = ConversationChange { name: self.name, title: self.title };
        let conversation = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            service::conversations::update(tx, &actor, &self.conversation, &change)
        })?;
        context.status(&format!("Updated the conversation {}.", title_of(&conversation)));
        Ok(context.out.show(&conversation)?)
    }
}

/// Add users to a group; they see all earlier messages
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings conversation add support dave erin")]
pub(super) struct Add {
    /// Name or id
    #[arg(value_name = "CONV")]
    conversation: ConversationSelector,
    /// Ids, usernames or emails
    #[arg(required = true, value_name = "USER")]
    users: Vec<UserSelector>,
}

impl Add {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let conversation = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            service::conversations::add(tx, &actor, &self.conversation, &self.users)
        })?;
        let people = counted(conversation.participant_count, "participant");
        context.status(&format!("The conversation {} has {people}.", title_of(&conversation)));
        Ok(context.out.show(&conversation)?)
    }
}

/// Remove users from a group, or leave it
///
/// Their notifications of it are deleted, and they no longer see it. A group is deleted with all its messages when its
/// last participant leaves.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings conversation remove support dave")]
pub(super) struct Remove {
    /// Name or id
    #[arg(value_name = "CONV")]
    conversation: ConversationSelector,
    /// Ids, usernames or emails
    #[arg(required = true, value_name = "USER")]
    users: Vec<UserSelector>,
}

impl Remove {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let remove = |tx: &mut Tx<'_>| {
            let actor = context.actor(tx)?;
            service::conversations::remove(tx, &actor, &self.conversation, &self.users)
        };
        let departure = context.destroy(remove, |departure| {
            let question =
                "Nobody would be left. Delete the conversation with all its messages? This cannot be undone.";
            departure.ended.then(|| (question.to_owned(), self.conversation.to_string()))
        })?;
        let end = if departure.ended { " Nobody is left: the conversation and its messages were deleted." } else { "" };
        context.status(&format!("Removed {} from the conversation {}.{end}", names(&departure), self.conversation));
        let shown = context.out.show(&departure);
        context.erase(shown, ERASURE)
    }
}

/// Set which messages of a conversation notify you
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings conversation level support mentions --as alice")]
pub(super) struct SetLevel {
    /// Name, id, or @USER for the direct one
    #[arg(value_name = "CONV")]
    conversation: ConversationSelector,
    /// All messages, mentions and replies to you only, or none
    #[arg(value_parser = choice::<Level>())]
    level: Level,
}

impl SetLevel {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        context.needs_user()?;
        let conversation = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            service::conversations::set_level(tx, &actor, &self.conversation, self.level)
        })?;
        context.status(&format!("The level of the conversation {} is {}.", title_of(&conversation), self.level));
        Ok(context.out.show(&conversation)?)
    }
}

/// Delete a conversation with all its messages; this cannot be undone
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings conversation delete support --yes")]
pub(super) struct Delete {
    /// Name, id, or @USER for the direct one
    #[arg(value_name = "CONV")]
    conversation: ConversationSelector,
}

impl Delete {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let delete = |tx: &mut Tx<'_>| {
            let actor = context.actor(tx)?;
            service::conversations::delete(tx, &actor, &self.conversation)
        };
        let conversation = context.destroy(delete, |conversation| {
            let messages = counted(conversation.message_count, "message");
            let question = format!("Delete the conversation {} with its {messages}, for good?", title_of(conversation));
            Some((question, conversation.name.clone().unwrap_or_else(|| self.conversation.to_string())))
        })?;
        let messages = counted(conversation.message_count, "message");
        context.status(&format!("Deleted the conversation {} and {messages}.", title_of(&conversation)));
        let shown = context.out.show(&conversation);
        context.erase(shown, ERASURE)
    }
}

/// What names a conversation to the viewer in a command: the name of a group, and of a direct conversation of theirs the other
/// person
fn address(conversation: &ConversationView, viewer: Option<UserKey>) -> Option<String> {
    let people = &conversation.participants;
    if conversation.kind == Kind::Group || !people.iter().any(|person| Some(person.key) == viewer) {
        return conversation.name.clone();
    }
    let other = people.iter().find(|person| Some(person.key) != viewer)?;
    Some(format!("@{}", other.username))
}

/// What people call a conversation: its name, else its title, else who talks
fn title_of(conversation: &ConversationView) -> String {
    let people = || {
        let mut names: Vec<&str> =
            conversation.participants.iter().take(3).map(|person| person.username.as_str()).collect();
        if conversation.participant_count > 3 {
            names.push("…");
        }
        names.join(", ")
    };
    conversation.name.clone().or_else(|| conversation.title.clone()).unwrap_or_else(people)
}

fn names(departure: &Departure) -> String {
    let names: Vec<&str> = departure.removed.iter().map(|person| person.username.as_str()).collect();
    names.join(", ")
}

impl Record for Departure {
    const FIELDS: &'static [Field] = &[Field::Value("removed"), Field::Value("ended")];
    const COLUMNS: &'static [&'static str] = &["removed", "ended"];

    fn ids(&self) -> Vec<String> {
        self.removed.iter().map(|person| person.user_id.to_string()).collect()
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        vec![names(self).into(), if self.ended { "yes" } else { "no" }.into()]
    }
}

impl Record for ConversationView {
    const FIELDS: &'static [Field] = &[
        Field::Value("conversation_id"),
        Field::Value("kind"),
        Field::Value("name"),
        Field::Value("title"),
        Field::Object("creator", PERSON),
        Field::Value("participants"),
        Field::Value("participant_count"),
        Field::Value("created_at"),
        Field::Object("last_message", Message::FIELDS),
        Field::Value("message_count"),
        Field::Value("unread_count"),
        Field::Value("level"),
    ];
    const COLUMNS: &'static [&'static str] =
        &["name", "title", "kind", "participants", "messages", "unread", "level", "last message", "id"];

    fn ids(&self) -> Vec<String> {
        vec![self.conversation_id.to_string()]
    }

    fn cells(&self, view: View) -> Vec<Piece> {
        let mut people: Vec<&str> = self.participants.iter().map(|person| person.username.as_str()).collect();
        let more = self.participant_count.saturating_sub(i64::try_from(people.len()).unwrap_or(i64::MAX));
        let more = format!("and {more} more");
        if self.participant_count > i64::try_from(people.len()).unwrap_or(i64::MAX) {
            people.push(&more);
        }
        vec![
            address(self, view.viewer).map_or_else(|| title_of(self).into(), Piece::Address),
            self.title.as_deref().unwrap_or_default().into(),
            self.kind.into(),
            people.join(", ").into(),
            self.message_count.into(),
            match self.unread_count {
                None => "".into(),
                Some(0) => "0".into(),
                Some(count) => Piece::Alert(count.to_string()),
            },
            self.level.map_or("".into(), Piece::from),
            self.last_message.as_ref().map_or("".into(), |message| Piece::Time(message.timestamp)),
            Piece::Faint(self.ids().concat()),
        ]
    }
}
