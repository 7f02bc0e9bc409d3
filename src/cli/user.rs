//! `tidings user`

mod delete;
mod export;
mod password_link;

use clap::{Args, Subcommand};

use self::delete::Delete;
use self::export::Export;
use self::password_link::{Made, PasswordLink};
use super::output::{Field, Format, Output, Piece, Record, View};
use super::text::{Password, PasswordSource};
use super::{Context, Failure, Global, Outcome, Settings, choice, limit, pages};
use crate::app::hash_password;
use crate::error::Error;
use crate::model::{Profile, Receipt, Role, User, UserDetails, UserSelector};
use crate::service;
use crate::service::passwords::check_hash;
use crate::service::users::{Matching, NewUser, UserChange};
use crate::store::Tx;

/// The default of --limit
const LIMIT: i64 = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Create(Create),
    List(List),
    Show(Show),
    Update(Update),
    Passwd(Passwd),
    PasswordLink(PasswordLink),
    Deactivate(Deactivate),
    Activate(Activate),
    Delete(Delete),
    Export(Export),
}

impl Command {
    pub(super) fn only_format(&self) -> Option<Format> {
        matches!(self, Self::Export(_)).then_some(Format::Json)
    }

    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Delete(_) => Receipt::FIELDS,
            Self::Export(_) => &[],
            Self::PasswordLink(_) => Made::FIELDS,
            _ => Profile::FIELDS,
        }
    }

    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        let context = |out| Context::open(global, settings, out);
        match self {
            Self::Create(command) => command.run(global, settings, out),
            Self::List(command) => command.run(&mut context(out)?),
            Self::Show(command) => command.run(&mut context(out)?),
            Self::Update(command) => command.run(&mut context(out)?),
            Self::Passwd(command) => command.run(&mut context(out)?),
            Self::PasswordLink(command) => command.run(&mut context(out)?),
            Self::Deactivate(Deactivate { user }) => set_active(&mut context(out)?, &user, false),
            Self::Activate(Activate { user }) => set_active(&mut context(out)?, &user, true),
            Self::Delete(command) => command.run(&mut context(out)?),
            Self::Export(command) => command.run(&mut context(out)?),
        }
    }
}

/// Create a user
///
/// On a terminal, asks for the password twice. Elsewhere, without a password option, the user has no password and
/// cannot log in.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user create alice --email alice@example.org --no-password")]
pub(super) struct Create {
    /// The username: 1 to 150 characters, unique ignoring case
    name: String,
    /// An email address, unique ignoring case
    #[arg(long)]
    email: Option<String>,
    /// Up to 150 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    first_name: String,
    /// Up to 150 characters
    #[arg(long, default_value = "", hide_default_value = true)]
    last_name: String,
    /// The role: an admin can also manage other users and conversations
    #[arg(long, default_value = "user", value_parser = choice::<Role>())]
    role: Role,
    /// Return the user with that name if it exists
    #[arg(long)]
    if_not_exists: bool,
    #[command(flatten)]
    password: PasswordSource,
}

impl Create {
    fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        let mut new = NewUser {
            password_hash: None,
            if_not_exists: self.if_not_exists,
            details: UserDetails {
                username: self.name,
                email: self.email,
                first_name: self.first_name,
                last_name: self.last_name,
                role: self.role,
            },
        };
        let is_new = if settings.location_or(global.db.as_deref())?.is_absent() {
            // Checked before the database is created: nothing else can be wrong with the first user.
            service::users::check_details(&new.details)?;
            true
        } else {
            // Checked before anybody types a password for a user who cannot be created, or exists already.
            !self.password.asks() || {
                let context = Context::open_to_begin(global, settings, out)?;
                context.app.try_out(|tx| create(tx, &context, &new))?.1
            }
        };
        let password = if is_new { self.password.read()? } else { Password::None };
        let is_unasked = matches!(password, Password::Unasked);
        new.password_hash = hashed(password, &new.details.username)?;
        let context = Context::open_to_begin(global, settings, out)?;
        let (user, created) = context.app.write(|tx| create(tx, &context, &new))?;
        let username = &user.person.username;
        context.status(&if created {
            format!("Created the user {username}.")
        } else {
            format!("The user {username} exists already and was not changed.")
        });
        if created && is_unasked {
            let note = "No password was given, so the user cannot log in until `tidings user passwd` sets one.";
            context.out.status(note);
        }
        Ok(context.out.created(&Profile::Full(user))?)
    }
}

fn create(tx: &mut Tx<'_>, context: &Context<'_>, new: &NewUser) -> Result<(User, bool), Error> {
    let actor = context.actor(tx)?;
    service::users::create(tx, &actor, new)
}

/// The hash to store for a password; hashing is slow on purpose and happens before any transaction.
fn hashed(password: Password, username: &str) -> Result<Option<String>, Failure> {
    Ok(match password {
        Password::Plain(password) => Some(hash_password(&password, username)?),
        Password::Hash(hash) => {
            check_hash(&hash)?;
            Some(hash)
        }
        Password::None | Password::Unasked => None,
    })
}

/// List users, by username
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user list --search smith --limit 20")]
pub(super) struct List {
    /// How many at most [default: 100]
    #[arg(long, value_name = "N", value_parser = limit, allow_negative_numbers = true)]
    limit: Option<i64>,
    /// Only users after this username
    #[arg(long, value_name = "USERNAME", default_value = "", hide_default_value = true)]
    after: String,
    /// Only users whose username, first or last name (for admins and the operator: or email) contains this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only users with this role; for admins and the operator
    #[arg(long, value_parser = choice::<Role>())]
    role: Option<Role>,
    /// Only active users; for admins and the operator
    #[arg(long, conflicts_with = "inactive")]
    active: bool,
    /// Only deactivated users; for admins and the operator
    #[arg(long)]
    inactive: bool,
}

impl List {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let actor = context.app.read(|tx| context.actor(tx))?;
        let Context { app, out, .. } = context;
        let is_active = (self.active || self.inactive).then_some(self.active);
        let matching = Matching { search: self.search, role: self.role, is_active };
        let read = |last: Option<&String>, limit| {
            let after = last.unwrap_or(&self.after);
            app.read(|tx| service::users::list(tx, &actor, after, &matching, limit))
        };
        let username = |user: &Profile| user.person().username.clone();
        let shown = out.list(pages(self.limit.unwrap_or(LIMIT), read, username), "No users found.")?;
        context.say_if_cut(shown, self.limit, LIMIT);
        Ok(())
    }
}

/// Show a user
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user show alice@example.org -o json")]
pub(super) struct Show {
    /// Id, username or email
    user: UserSelector,
}

impl Show {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let user = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            service::users::show(tx, &actor, &self.user)
        })?;
        Ok(context.out.show(&user)?)
    }
}

/// Change a user's details; only what is given changes
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user update alice --first-name Alice --role admin")]
pub(super) struct Update {
    /// Id, username or email
    user: UserSelector,
    /// A new username
    #[arg(long)]
    username: Option<String>,
    /// A new email; an empty one removes it
    #[arg(long)]
    email: Option<String>,
    /// A new first name
    #[arg(long)]
    first_name: Option<String>,
    /// A new last name
    #[arg(long)]
    last_name: Option<String>,
    /// The role: an admin can also manage other users and conversations
    #[arg(long, value_parser = choice::<Role>())]
    role: Option<Role>,
}

impl Update {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let Self { user, username, email, first_name, last_name, role } = self;
        let change = UserChange { username, email, first_name, last_name, role, ..UserChange::default() };
        let user = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            service::users::update(tx, &actor, &user, &change)
        })?;
        context.status(&format!("Updated the user {}.", user.person.username));
        Ok(context.out.show(&Profile::Full(user))?)
    }
}

/// Set a user's password and end all their log-ins
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user passwd alice --password-file alice.password")]
pub(super) struct Passwd {
    /// Id, username or email
    user: UserSelector,
    #[command(flatten)]
    password: PasswordSource,
}

impl Passwd {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let found = context.app.read(|tx| {
            let actor = context.actor(tx)?;
            service::users::show(tx, &actor, &self.user)
        })?;
        let password = self.password.read()?;
        if matches!(password, Password::Unasked) {
            let options = "--password-stdin, --password-file, --password-hash or --no-password";
            return Err(Failure::Usage(format!("There is no terminal to ask for a password; use one of {options}.")));
        }
        let hash = hashed(password, &found.person().username)?;
        let user = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            service::users::set_password(tx, &actor, &self.user, hash.as_deref())
        })?;
        let did = if hash.is_some() { "Set" } else { "Removed" };
        context.status(&format!("{did} the password of {}.", user.person.username));
        Ok(context.out.show(&Profile::Full(user))?)
    }
}

/// Deactivate a user: they cannot log in or act, but keep their data and receive messages
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user deactivate alice")]
pub(super) struct Deactivate {
    /// Id, username or email
    user: UserSelector,
}

/// Let a deactivated user log in and act again
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user activate alice")]
pub(super) struct Activate {
    /// Id, username or email
    user: UserSelector,
}

fn set_active(context: &mut Context<'_>, selector: &UserSelector, is_active: bool) -> Outcome {
    let user = context.app.write(|tx| {
        let actor = context.actor(tx)?;
        service::users::set_active(tx, &actor, selector, is_active)
    })?;
    let is = if is_active { "active" } else { "deactivated" };
    context.status(&format!("The user {} is {is}.", user.person.username));
    Ok(context.out.show(&Profile::Full(user))?)
}

/// The fields of a user as others see them
pub(super) const PERSON: &[Field] =
    &[Field::Value("user_id"), Field::Value("username"), Field::Value("first_name"), Field::Value("last_name")];

impl Record for Profile {
    const FIELDS: &'static [Field] = &[
        Field::All(PERSON),
        Field::Value("email"),
        Field::Value("role"),
        Field::Value("is_active"),
        Field::Value("created_at"),
    ];
    const COLUMNS: &'static [&'static str] = &["username", "name", "email", "role", "active", "created", "id"];

    fn ids(&self) -> Vec<String> {
        vec![self.person().user_id.to_string()]
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let person = self.person();
        let name = [person.first_name.as_str(), &person.last_name].join(" ").trim().to_owned();
        let mut cells = vec![Piece::Address(person.username.clone()), name.into()];
        match self {
            Self::Full(user) => cells.extend([
                user.email.as_deref().unwrap_or_default().into(),
                user.role.into(),
                if user.is_active { "yes".into() } else { Piece::Alert("no".to_owned()) },
                Piece::Time(user.created_at),
            ]),
            Self::Short(_) => cells.extend([""; 4].map(Piece::from)),
        }
        cells.push(Piece::Faint(self.ids().concat()));
        cells
    }
}
