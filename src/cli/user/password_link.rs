//! `tidings user password-link`

use clap::Args;
use serde::Serialize;

use crate::app::secret;
use crate::cli::output::{Field, Piece, Record, View};
use crate::cli::{Context, Outcome};
use crate::error::Error;
use crate::http;
use crate::model::{Profile, Timestamp, User, UserSelector};
use crate::service::password_links;
use crate::service::tokens::Secret;

/// Make a link by which a user sets their password, once and within 24 hours
///
/// For the operator and admins. The link takes the place of the one before. Setting the password ends all log-ins of the
/// user. With --quiet it prints only the link.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings user password-link alice --base-url https://chat.example.org")]
pub(in crate::cli) struct PasswordLink {
    /// Id, username or email
    user: UserSelector,
    /// The address at which people reach `tidings serve`
    #[arg(long, value_name = "URL", value_parser = base_url, default_value = "http://127.0.0.1:8000")]
    base_url: String,
}

/// Parses the address of a server.
fn base_url(text: &str) -> Result<String, String> {
    match http::origin(text) {
        Ok(origin) if origin.starts_with("http://") || origin.starts_with("https://") => Ok(origin),
        Ok(_) => Err("it begins with http:// or https://".to_owned()),
        Err(reason) => Err(reason.to_owned()),
    }
}

impl PasswordLink {
    pub(super) fn run(self, context: &mut Context<'_>) -> Outcome {
        if context.dry_run {
            // A link that was shown would not be valid.
            return Err(Error::invalid("dry_run", "`user password-link` has no dry run.").into());
        }
        let secret = Secret(secret()?);
        let (user, expires_at) = context.app.write(|tx| {
            let actor = context.actor(tx)?;
            password_links::make(tx, &actor, &self.user, secret)
        })?;
        let username = &user.person.username;
        context.status(&format!("Whoever opens the link sets the password of {username}: once, within 24 hours."));
        let url = format!("{}{}", self.base_url, password_links::path(secret));
        Ok(context.out.created(&Made { user, url, expires_at })?)
    }
}

/// A link, as it is shown once
#[derive(Debug, Serialize)]
pub(super) struct Made {
    user: User,
    url: String,
    expires_at: Timestamp,
}

impl Record for Made {
    const FIELDS: &'static [Field] =
        &[Field::Object("user", Profile::FIELDS), Field::Value("url"), Field::Value("expires_at")];
    const COLUMNS: &'static [&'static str] = &["username", "link", "valid until", "id"];

    fn ids(&self) -> Vec<String> {
        vec![self.url.clone()]
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        let person = &self.user.person;
        vec![
            Piece::Address(person.username.clone()),
            self.url.as_str().into(),
            Piece::Time(self.expires_at),
            Piece::Faint(person.user_id.to_string()),
        ]
    }
}
