//! What pages show: a type for each template, with exactly the fields it needs.

use std::fmt;

use askama::Template;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::assets;
use crate::error::Error;
use crate::http::server::problem::Problem;
use crate::model::{
    Choice, ConversationId, ConversationView, Kind, Level, Receipt, Role, Timestamp, User, UserId, isolated, uuid,
};

/// The media type of pages
pub(super) const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// A response with a page.
pub(super) fn page(template: &impl Template) -> Result<Response, Problem> {
    let text = template.render().map_err(|error| Error::internal(error.to_string()))?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}

/// A time for those without scripts: `2 Jan 2026, 09:00 UTC`
pub(super) fn in_utc(time: &Timestamp) -> impl fmt::Display {
    time.date_time().format("%-d %b %Y, %H:%M UTC")
}

/// A number with its thousands apart: `1,234`
pub(super) fn grouped(number: impl fmt::Display) -> String {
    let digits = number.to_string();
    let parts = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    parts.collect::<Vec<_>>().join(",")
}

/// What a conversation is called: its title, its name, or the people in it
pub(super) fn name_of(conversation: &ConversationView) -> String {
    let title = conversation.title.as_ref().or(conversation.name.as_ref());
    title.cloned().unwrap_or_else(|| {
        let names: Vec<String> = conversation.participants.iter().map(|person| isolated(&person.username)).collect();
        let more =
            if conversation.participant_count > names.len().try_into().unwrap_or(i64::MAX) { " …" } else { "" };
        match (conversation.kind, names.as_slice()) {
            (Kind::Direct, [one, other]) => format!("{one} and {other}"),
            _ => format!("{}{more}", names.join(", ")),
        }
    })
}

/// What surrounds the content of every page
#[derive(Default)]
pub(super) struct Frame {
    /// Who is logged in
    pub(super) viewer: Option<Viewer>,
    /// What the last form did
    pub(super) notice: Option<Notice>,
    /// The part of the pages that it belongs to
    pub(super) place: Option<Place>,
}

impl Frame {
    pub(super) fn is_at(&self, place: Place) -> bool {
        self.place == Some(place)
    }

    /// Whether the administration is for the viewer
    pub(super) fn shows_administration(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.is_admin)
    }

    /// Whether nobody is logged in any more, which other tabs have to know
    pub(super) fn is_logged_out(&self) -> bool {
        matches!(self.notice, Some(Notice::LoggedOut | Notice::AccountDeleted))
    }
}

/// A part of the pages that the navigation leads to
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Account,
    Overview,
    Users,
    Conversations,
    Search,
    Events,
    Health,
}

impl Place {
    /// The part that a path belongs to
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts = ADMINISTRATION.iter().filter(|(place, ..)| *place != Self::Overview);
        let parts = parts.map(|(place, path, ..)| (*place, *path)).chain([(Self::Account, "/account/")]);
        parts.into_iter().find(|(_, part)| path.starts_with(part)).map(|(place, _)| place)
    }
}

/// What the navigation shows to admins: the place, its path, its name, and the key that leads there after `g`
pub(super) const ADMINISTRATION: [(Place, &str, &str, char); 6] = [
    (Place::Overview, "/admin/", "Overview", 'o'),
    (Place::Users, "/admin/users/", "Users", 'u'),
    (Place::Conversations, "/admin/conversations/", "Conversations", 'c'),
    (Place::Search, "/admin/search/", "Search", 's'),
    (Place::Events, "/admin/events/", "Events", 'e'),
    (Place::Health, "/admin/health/", "Health", 'h'),
];

/// Who looks at a page
pub(super) struct Viewer {
    pub(super) id: UserId,
    pub(super) username: String,
    /// Whether the administration is shown to them
    pub(super) is_admin: bool,
}

impl Viewer {
    /// The first letter of the name
    pub(super) fn initial(&self) -> String {
        self.username.chars().next().map(|first| first.to_uppercase().to_string()).unwrap_or_default()
    }
}

/// What a form did: the page after it says so, as its address has the word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    LoggedOut,
    ProfileSaved,
    PasswordChanged,
    LevelsSaved,
    SessionsEnded,
    SessionEnded,
    AccountDeleted,
    PasswordSet,
    OthersPasswordSet,
    Restored,
    NothingToRestore,
    UserCreated,
    UserSaved,
    UserSignedOut,
    UserDeleted,
    /// So many accounts
    Activated(i64),
    /// So many accounts
    Deactivated(i64),
}

impl Notice {
    const ALL: [Self; 17] = [
        Self::LoggedOut,
        Self::ProfileSaved,
        Self::PasswordChanged,
        Self::LevelsSaved,
        Self::SessionsEnded,
        Self::SessionEnded,
        Self::AccountDeleted,
        Self::PasswordSet,
        Self::OthersPasswordSet,
        Self::Restored,
        Self::NothingToRestore,
        Self::UserCreated,
        Self::UserSaved,
        Self::UserSignedOut,
        Self::UserDeleted,
        Self::Activated(1),
        Self::Deactivated(1),
    ];

    /// The notice with that word
    pub(super) fn of(word: &str) -> Option<Self> {
        let (word, count) = word.split_once('.').unwrap_or((word, ""));
        let notice = Self::ALL.into_iter().find(|notice| notice.row().0 == word)?;
        Some(match notice {
            Self::Activated(_) => Self::Activated(count.parse().ok()?),
            Self::Deactivated(_) => Self::Deactivated(count.parse().ok()?),
            other => other,
        })
    }

    /// The word in an address: `?done=WORD`, with a number where something is counted
    pub(super) fn word(self) -> String {
        match self {
            Self::Activated(count) | Self::Deactivated(count) => format!("{}.{count}", self.row().0),
            _ => self.row().0.to_owned(),
        }
    }

    pub(super) fn text(self) -> String {
        let text = self.row().1;
        match self {
            Self::Activated(0) | Self::Deactivated(0) => "No account had to be changed.".to_owned(),
            Self::Activated(1) | Self::Deactivated(1) => format!("1 account is {text}"),
            Self::Activated(count) | Self::Deactivated(count) => format!("{} accounts are {text}", grouped(count)),
            _ => text.to_owned(),
        }
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::LoggedOut => ("logged-out", "You are logged out."),
            Self::ProfileSaved => ("profile", "Your profile is saved."),
            Self::PasswordChanged => ("password", "Your password is changed. All other sessions have ended."),
            Self::LevelsSaved => ("levels", "Your notifications are saved."),
            Self::SessionsEnded => ("sessions", "All other sessions have ended."),
            Self::SessionEnded => ("session", "The session has ended."),
            Self::AccountDeleted => ("deleted", "Your account is deleted."),
            Self::PasswordSet => ("password-set", "Your password is set. Log in with it."),
            Self::Restored => ("restored", "The revision is restored."),
            Self::NothingToRestore => ("same", "The message has this text already."),
            Self::OthersPasswordSet => (
                "others-password",
                "The password that the link was for is set. You are still logged in to this account.",
            ),
            Self::UserCreated => ("created", "The user is created. Make a link with which they set their password."),
            Self::UserSaved => ("saved", "The changes are saved."),
            Self::UserSignedOut => ("signed-out", "All sessions and access tokens of the user have ended."),
            Self::UserDeleted => ("user-deleted", "The user is deleted."),
            Self::Activated(_) => ("activated", "active again."),
            Self::Deactivated(_) => ("deactivated", "deactivated, and logged out everywhere."),
        }
    }
}

/// What is wrong with a form that was sent: with the whole of it, and with each field
#[derive(Default)]
pub(super) struct Problems {
    general: Vec<String>,
    fields: Vec<(String, Vec<String>)>,
}

impl Problems {
    /// Those of an error, for a form that shows these fields
    pub(super) fn new(error: &Error, shown: &[&str]) -> Self {
        let problem = error.problem();
        let (mut fields, others): (Vec<_>, Vec<_>) =
            problem.errors.iter().cloned().partition(|(field, _)| shown.contains(&field.as_str()));
        let mut general: Vec<String> = others.into_iter().flat_map(|(_, details)| details).collect();
        if fields.is_empty() && general.is_empty() {
            let detail = problem.detail.to_owned();
            // A name that is taken is wrong at its field, too.
            match error.named().filter(|name| shown.contains(name)) {
                Some(name) => fields.push((name.to_owned(), vec![detail])),
                None => general.push(detail),
            }
        }
        if let Some(hint) = hint_of(error) {
            match (general.last_mut(), fields.last_mut()) {
                (Some(detail), _) => *detail = format!("{detail} {hint}"),
                (None, Some((_, details))) => details.push(hint.to_owned()),
                (None, None) => {}
            }
        }
        Self { general, fields }
    }

    /// What is wrong with the whole
    pub(super) fn general(&self) -> &[String] {
        &self.general
    }

    /// What is wrong with a field
    pub(super) fn of(&self, name: &str) -> &[String] {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, details)| details.as_slice()).unwrap_or_default()
    }

    /// Whether this is the first field with which anything is wrong
    pub(super) fn is_first(&self, name: &str) -> bool {
        self.fields.first().is_some_and(|(field, _)| field == name)
    }

    pub(super) fn any(&self) -> bool {
        !self.general.is_empty() || !self.fields.is_empty()
    }
}

/// The addresses of the pages around one of a list
#[derive(Default)]
pub(super) struct Around {
    /// The beginning, where no other link leads back
    pub(super) first: Option<String>,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

/// Where a log-in leads to, and the form that was sent there after its session had ended
#[derive(Default)]
pub(super) struct Kept {
    pub(super) path: String,
    /// What the form said; nothing where it is not sent again
    pub(super) fields: Vec<(String, String)>,
}

impl Kept {
    /// Keeps of the forms those that can be sent again unseen: no passwords, and nothing that cannot be undone.
    pub(super) fn new(path: String, fields: Vec<(String, String)>) -> Self {
        let fields = fields.into_iter().filter(|(name, _)| name != "current_password").collect();
        let kept = Self { path, fields };
        if kept.action().is_empty() { Self { fields: Vec::new(), ..kept } } else { kept }
    }

    /// What the form does, in the words of its button; empty for one that is not kept
    fn action(&self) -> &'static str {
        match self.path.as_str() {
            "/account/" => "Save profile",
            "/account/levels/" => "Save notifications",
            "/account/sessions/" if self.text("session").is_empty() => "Sign out everywhere else",
            "/admin/users/" => "Create user",
            path if is_of_user(path) => "Save changes",
            _ => "",
        }
    }

    /// Whether the form was on a page of this user
    pub(super) fn is_of(&self, user: UserId) -> bool {
        self.text("for") == user.to_string()
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// Whether a path is that of a user in the administration
fn is_of_user(path: &str) -> bool {
    path.strip_prefix("/admin/users/").and_then(|rest| rest.strip_suffix('/')).is_some_and(|id| uuid(id).is_some())
}

/// `/login/`
#[derive(Template)]
#[template(path = "login.html", whitespace = "minimize")]
pub(super) struct Login {
    pub(super) frame: Frame,
    pub(super) problems: Problems,
    /// What was typed
    pub(super) username: String,
    pub(super) kept: Kept,
}

/// After a log-in: the form that was sent before it
#[derive(Template)]
#[template(path = "again.html", whitespace = "minimize")]
pub(super) struct Again {
    pub(super) frame: Frame,
    pub(super) kept: Kept,
}

/// `/account/`
#[derive(Template)]
#[template(path = "account.html", whitespace = "minimize")]
pub(super) struct Account {
    pub(super) frame: Frame,
    pub(super) user: User,
    /// The profile, or what was typed
    pub(super) details: Details,
    pub(super) details_problems: Problems,
    pub(super) password_problems: Problems,
    pub(super) levels_problems: Problems,
    /// A page of the conversations
    pub(super) conversations: Vec<Subscription>,
    pub(super) around: Around,
    /// The page with the first of them, where it is another
    pub(super) beginning: Option<String>,
    /// The query of the page of them that it is; empty for the first
    pub(super) place: String,
    pub(super) sessions: Vec<Session>,
    /// The beginning of the idempotency keys of its forms
    pub(super) key: String,
}

/// The fields of a profile
#[derive(Default)]
pub(super) struct Details {
    pub(super) username: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) email: String,
}

/// One's part in a conversation
pub(super) struct Subscription {
    pub(super) id: ConversationId,
    /// What the group is called, or the other person's name
    pub(super) name: String,
    /// The name of a group that is called by its title
    pub(super) handle: Option<String>,
    pub(super) kind: Kind,
    /// How many take part
    pub(super) participants: i64,
    /// The level that is shown: one that was chosen, or as it is
    pub(super) level: Level,
    pub(super) before: Level,
}

impl Subscription {
    /// What it is, in a few words
    pub(super) fn about(&self) -> String {
        match (self.kind, self.participants) {
            (Kind::Direct, _) => "Direct conversation".to_owned(),
            (Kind::Group, 1) => "Group · 1 person".to_owned(),
            (Kind::Group, count) => format!("Group · {} people", grouped(count)),
        }
    }
}

/// A browser that is logged in
pub(super) struct Session {
    /// What ends it
    pub(super) id: String,
    pub(super) browser: String,
    pub(super) made: Timestamp,
    pub(super) seen: Timestamp,
    pub(super) is_this: bool,
}

/// The name of a group that is called by its title
pub(super) fn handle_of(conversation: &ConversationView) -> Option<String> {
    conversation.name.clone().filter(|_| conversation.title.is_some())
}

/// The levels, in the words of pages
pub(super) const LEVELS: [(Level, &str); 3] =
    [(Level::All, "All messages"), (Level::Mentions, "Mentions and replies"), (Level::None, "None")];

/// A level, in the words of pages
pub(super) fn level_name(level: Level) -> &'static str {
    LEVELS.iter().find(|(found, _)| *found == level).map_or("", |(_, name)| name)
}

/// `/account/delete/`
#[derive(Template)]
#[template(path = "delete.html", whitespace = "minimize")]
pub(super) struct Delete {
    pub(super) frame: Frame,
    pub(super) username: String,
    /// What was typed to confirm
    pub(super) typed: String,
    pub(super) rows: Vec<(&'static str, String)>,
    pub(super) tombstones: i64,
    /// Whether the password was last given too long ago
    pub(super) asks_password: bool,
    pub(super) problems: Problems,
    pub(super) key: String,
}

/// The rows of a receipt: what is deleted, and how many; what nothing goes of is not worth a line.
pub(super) fn rows(receipt: &Receipt) -> Vec<(&'static str, String)> {
    let rows = [
        ("Accounts", i64::try_from(receipt.users.len()).unwrap_or(i64::MAX)),
        ("Messages sent", receipt.messages_sent),
        ("Messages received", receipt.messages_received),
        ("Messages of groups that end", receipt.messages_of_groups),
        ("Revisions of messages", receipt.revisions),
        ("Notifications", receipt.notifications),
        ("Participations", receipt.participations),
        ("Direct conversations", receipt.direct_conversations),
        ("Groups that end", receipt.groups),
        ("Tokens", receipt.tokens),
        ("Sessions", receipt.sessions),
    ];
    rows.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| (what, grouped(count))).collect()
}

/// `/password/TOKEN/`
#[derive(Template)]
#[template(path = "password.html", whitespace = "minimize")]
pub(super) struct Password {
    pub(super) frame: Frame,
    pub(super) username: String,
    /// When the link ends
    pub(super) expires: Timestamp,
    pub(super) problems: Problems,
}

/// An error, in the words of the API
#[derive(Template)]
#[template(path = "error.html", whitespace = "minimize")]
pub(super) struct Failure {
    pub(super) frame: Frame,
    pub(super) words: Words,
}

/// What to do after an error; of those of the server that is for its operator
fn hint_of(error: &Error) -> Option<&str> {
    error.advice().filter(|_| error.kind().status() < 500)
}

/// What a page says of an error
#[derive(Clone)]
pub(super) struct Words {
    status: u16,
    title: String,
    detail: String,
    hint: Option<String>,
}

impl Words {
    /// Those of an error; its name is written as pages write titles, unless the page has a title of its own.
    pub(super) fn of(error: &Error, title: Option<&str>) -> Self {
        let problem = error.problem();
        let (first, rest) = problem.title.split_at(1);
        let title = title.map_or_else(|| format!("{first}{}", rest.to_lowercase()), ToOwned::to_owned);
        let hint = hint_of(error).map(ToOwned::to_owned);
        Self { status: problem.status, title, detail: problem.detail.to_owned(), hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{UserKey, UserRef};

    /// A name that would be markup if it were not escaped
    const NAME: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

    fn frame() -> Frame {
        let id = UserId(uuid::Uuid::nil());
        Frame { viewer: Some(Viewer { id, username: NAME.to_owned(), is_admin: true }), ..Frame::default() }
    }

    fn problems() -> Problems {
        let (username, other) = ("username".to_owned(), "other".to_owned());
        let fields = vec![(username, vec![NAME.to_owned()]), (other, vec![NAME.to_owned()])];
        Problems::new(&Error::of_fields("Some.", fields), &["username"])
    }

    fn account(count: usize, problems: fn() -> Problems) -> Account {
        let text = || NAME.to_owned();
        let person = UserRef {
            key: UserKey(1),
            user_id: UserId(uuid::Uuid::nil()),
            username: text(),
            first_name: text(),
            last_name: text(),
        };
        let now = Timestamp(1_764_000_000_000_000);
        let subscription = |number: usize| Subscription {
            id: ConversationId(uuid::Uuid::from_u128(number as u128)),
            name: text(),
            handle: Some(text()),
            kind: if number == 1 { Kind::Direct } else { Kind::Group },
            participants: 3,
            level: Level::Mentions,
            before: Level::All,
        };
        let session = |number| Session { id: text(), browser: text(), made: now, seen: now, is_this: number == 1 };
        Account {
            frame: frame(),
            user: User { person, email: Some(text()), role: Role::Admin, is_active: true, created_at: now },
            details: Details { username: text(), first_name: text(), last_name: text(), email: text() },
            details_problems: problems(),
            password_problems: problems(),
            levels_problems: problems(),
            conversations: (1..=count).map(subscription).collect(),
            around: Around { next: Some("/account/?a=1&b=\"2".to_owned()), ..Around::default() },
            beginning: Some(text()),
            place: text(),
            sessions: (1..=count).map(session).collect(),
            key: text(),
        }
    }

    fn every_page() -> Vec<(&'static str, String)> {
        let kept = || Kept { path: NAME.to_owned(), fields: vec![(NAME.to_owned(), NAME.to_owned())] };
        let name = || NAME.to_owned();
        let time = Timestamp(1_764_000_000_000_000);
        let receipt = Receipt { messages_sent: 3, tombstones: 2, ..Receipt::default() };
        let error = Error::forbidden(NAME).hint(NAME);
        let login = Login { frame: Frame::default(), problems: problems(), username: name(), kept: kept() };
        let password = Password { frame: frame(), username: name(), expires: time, problems: problems() };
        let delete = Delete {
            frame: frame(),
            username: name(),
            typed: name(),
            rows: rows(&receipt),
            tombstones: receipt.tombstones,
            asks_password: true,
            problems: problems(),
            key: name(),
        };
        vec![
            ("login", login.render().unwrap()),
            ("again", Again { frame: frame(), kept: kept() }.render().unwrap()),
            ("account", account(3, problems).render().unwrap()),
            ("account-none", account(0, Problems::default).render().unwrap()),
            ("delete", delete.render().unwrap()),
            ("password", password.render().unwrap()),
            ("error", Failure { frame: frame(), words: Words::of(&error, None) }.render().unwrap()),
        ]
    }

    #[test]
    fn no_text_becomes_markup() {
        for (name, page) in every_page() {
            assert!(page.contains("&#60;script&#62;alert(1)"), "{name}: {page}");
            assert!(!page.contains("<script>") && !page.contains("<img"), "{name}: {page}");
        }
    }

    #[test]
    fn no_page_has_script_or_style_of_its_own() {
        for (name, page) in every_page() {
            assert!(!page.contains(" style=") && !page.contains("<style"), "{name}");
            let scripts = page.matches("<script").count();
            assert_eq!((scripts, page.matches("<script src=").count()), (2, 1), "{name}: {page}");
        }
    }

    #[test]
    fn a_problem_stands_at_its_field_and_what_has_no_field_above_all() {
        let problems = problems();
        assert_eq!((problems.of("username"), problems.general()), (&[NAME.to_owned()][..], &[NAME.to_owned()][..]));
        assert!(problems.is_first("username") && problems.of("email").is_empty());
        let taken = || Error::conflict("Taken.").hint("Take another.");
        let named = Problems::new(&taken().naming("username"), &["username"]);
        assert_eq!(
            (named.of("username"), named.general().len()),
            (&["Taken.", "Take another."].map(ToOwned::to_owned)[..], 0)
        );
        assert_eq!(Problems::new(&taken(), &["username"]).general(), ["Taken. Take another."]);
        assert_eq!(Problems::new(&Error::unavailable("Down.").hint("Begin it."), &[]).general(), ["Down."]);
        let plain = Problems::new(&Error::conflict("Taken."), &["username"]);
        assert_eq!((plain.general(), plain.of("username").len()), (&["Taken.".to_owned()][..], 0));
        assert!(!Problems::default().any());
    }

    #[test]
    fn an_error_that_is_a_page_belongs_to_a_part_and_is_called_as_pages_are() {
        assert_eq!(Words::of(&Error::not_found("Gone."), None).title, "Not found");
        assert_eq!(Words::of(&Error::not_found("Gone."), Some("This link ended")).title, "This link ended");
        for (path, place) in [
            ("/admin/users/x/", Some(Place::Users)),
            ("/account/x/", Some(Place::Account)),
            ("/admin/x/", None),
            ("/x/", None),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn notices_are_found_by_the_word_of_the_address() {
        for notice in Notice::ALL {
            assert_eq!(Notice::of(&notice.word()), Some(notice));
        }
        assert_eq!(Notice::of("<script>"), None);
        assert_eq!(Notice::of("deactivated.x"), None);
        assert_eq!(
            Notice::of("deactivated.1234").unwrap().text(),
            "1,234 accounts are deactivated, and logged out everywhere."
        );
    }
}
