//! `tidings token`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::keys::keys;
use super::output::{Field, Output, Piece, Record, View};
use super::{Context, Global, Outcome, Settings, counted};
use crate::app::secret;
use crate::error::Error;
use crate::model::{Profile, User, UserSelector};
use crate::service::tokens::{self, LIFETIME, REFRESH_LIFETIME, Secret, TokenPair};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Issue(Issue),
    Revoke(Revoke),
}

impl Command {
    pub(super) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Issue(_) => TokenPair::FIELDS,
            Self::Revoke(_) => Revoked::FIELDS,
        }
    }

    pub(super) fn run(self, global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
        let mut context = Context::open(global, settings, out)?;
        match self {
            Self::Issue(command) => command.run(settings, &mut context),
            Self::Revoke(command) => command.run(&mut context),
        }
    }
}

/// Issue an access token and a refresh token for a user, as a log-in does
///
/// For the operator and admins. With --quiet it prints only the access token. The token is signed with SECRET_KEY, or
/// with the secret in the file beside the database whose name ends in -key.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings token issue alice --quiet")]
pub(super) struct Issue {
    /// Id, username or email
    user: UserSelector,
}

impl Issue {
    fn run(self, settings: &Settings, context: &mut Context<'_>) -> Outcome {
        if context.dry_run {
            // Nothing is looked up for an access token but the account, so one that was shown would be valid.
            return Err(Error::invalid("dry_run", "`token issue` has no dry run.").into());
        }
        let keys = keys(settings, &context.location)?;
        let refresh = Secret(secret()?);
        let logged_in = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            tokens::issue(tx, &actor, &self.user, refresh)
        })?;
        let pair = logged_in.pair(&keys, context.app.now(), secret()?)?;
        context.status(&format!(
            "The access token of {} is valid for {}, the refresh token for {}.",
            pair.user.person.username,
            counted(LIFETIME / 60, "minute"),
            counted(REFRESH_LIFETIME / (24 * 60 * 60), "day"),
        ));
        Ok(context.out.created(&pair)?)
    }
}

impl Record for TokenPair {
    const FIELDS: &'static [Field] =
        &[Field::Value("access"), Field::Value("refresh"), Field::Object("user", Profile::FIELDS)];
    const COLUMNS: &'static [&'static str] = &["username", "access", "refresh", "id"];

    fn ids(&self) -> Vec<String> {
        vec![self.access.clone()]
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let person = &self.user.person;
        vec![
            Piece::Address(person.username.clone()),
            self.access.as_str().into(),
            self.refresh.as_str().into(),
            Piece::Faint(person.user_id.to_string()),
        ]
    }
}

/// End all tokens and sessions of a user at once: your own or, as the operator or an admin, another user's
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings token revoke alice")]
pub(super) struct Revoke {
    /// Id, username or email
    user: UserSelector,
}

/// Whose tokens are no longer valid.
#[derive(Debug, Serialize)]
struct Revoked {
    user: User,
    /// How many were valid
    refresh_tokens: i64,
}

impl Revoke {
    fn run(self, context: &mut Context<'_>) -> Outcome {
        let (user, refresh_tokens) = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            tokens::revoke_all(tx, &actor, &self.user)
        })?;
        let ended = counted(refresh_tokens, "refresh token");
        context.status(&format!("Revoked all tokens of {}, among them {ended}.", user.person.username));
        Ok(context.out.show(&Revoked { user, refresh_tokens })?)
    }
}

impl Record for Revoked {
    const FIELDS: &'static [Field] = &[Field::Object("user", Profile::FIELDS), Field::Value("refresh_tokens")];
    const COLUMNS: &'static [&'static str] = &["username", "refresh tokens", "id"];

    fn ids(&self) -> Vec<String> {
        vec![self.user.person.user_id.to_string()]
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let person = &self.user.person;
        let id = Piece::Faint(person.user_id.to_string());
        vec![Piece::Address(person.username.clone()), self.refresh_tokens.into(), id]
    }
}
