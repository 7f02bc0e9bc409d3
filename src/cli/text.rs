//! What is typed rather than named: texts, passwords, and answers to questions.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::output::{escape, talk};
use super::prompt::Prompt;
use super::{Failure, Outcome};
use crate::error::Error;
use crate::service::passwords::RULE;

/// More is never read: no text that is allowed is nearly as long.
const LONGEST: u64 = 1 << 20;

/// With it some editors begin a file, to say that it is UTF-8.
pub(super) const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Where a text comes from, besides the argument
#[derive(Debug, Args)]
pub(super) struct TextSource {
    /// Read the text from this file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Keep the final line break of a file or of standard input
    #[arg(long)]
    raw: bool,
}

impl TextSource {
    /// The text: of the file, else the argument; `-` is standard input.
    pub(super) fn read(&self, argument: Option<String>) -> Result<String, Failure> {
        let mut text = match (&self.file, argument) {
            (Some(_), Some(_)) => {
                return Err(Failure::Usage("Give the text as an argument or with --file, not both.".to_owned()));
            }
            (None, None) => {
                return Err(Failure::Usage("The text is missing; `-` reads it from standard input.".to_owned()));
            }
            (None, Some(argument)) if argument != "-" => return Ok(argument),
            (Some(path), None) => read_file(path, "content")?,
            (None, Some(_)) => read_file(Path::new("-"), "content")?,
        };
        if !self.raw {
            drop_line_break(&mut text);
        }
        Ok(text)
    }
}

/// Reads a file of text, or standard input for `-`.
pub(super) fn read_file(path: &Path, field: &'static str) -> Result<String, Failure> {
    let unreadable = |cause: io::Error| Failure::Usage(format!("{} cannot be read: {cause}.", path.display()));
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(LONGEST).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
    };
    read.map_err(unreadable)?;
    if bytes.len() as u64 == LONGEST {
        return Err(Error::invalid(field, format!("The {field} is far too long: {LONGEST} bytes or more.")).into());
    }
    let text = String::from_utf8(bytes);
    Ok(text.map_err(|error| {
        let place = error.utf8_error().valid_up_to() + 1;
        Error::invalid(field, format!("The {field} is not UTF-8: byte {place} belongs to no character."))
    })?)
}

/// Reads a secret from a file, or standard input for `-`. The line break at its end is not part of it, nor is a byte
/// order mark at its beginning.
pub(super) fn read_secret(path: &Path, field: &'static str) -> Result<String, Failure> {
    let mut secret = read_file(path, field)?;
    drop_line_break(&mut secret);
    if secret.starts_with(BYTE_ORDER_MARK) {
        secret.remove(0);
    }
    Ok(secret)
}

pub(super) fn drop_line_break(text: &mut String) {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
}

/// How a password is given: never as an argument, which every user of the machine could see
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct PasswordSource {
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,

    /// Read the password from this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Store this hash, exported by another system (argon2 in PHC form, or Django's PBKDF2)
    #[arg(long, value_name = "PHC")]
    password_hash: Option<String>,

    /// Set no password: the user cannot log in
    #[arg(long)]
    no_password: bool,
}

/// A password, as it was given
pub(super) enum Password {
    /// To be checked and hashed
    Plain(String),
    /// A hash in PHC form
    Hash(String),
    /// None, as was asked for
    None,
    /// None, because there was nobody to ask
    Unasked,
}

impl PasswordSource {
    /// Whether somebody will be asked
    pub(super) fn asks(&self) -> bool {
        let Self { password_stdin, password_file, password_hash, no_password } = self;
        let is_given = *password_stdin || *no_password || password_file.is_some() || password_hash.is_some();
        !is_given && io::stdin().is_terminal()
    }

    /// The password: from where the line says, else asked for twice on a terminal.
    pub(super) fn read(self) -> Result<Password, Failure> {
        let from = |path: &Path| read_secret(path, "password").map(Password::Plain);
        match self {
            Self { password_hash: Some(hash), .. } => Ok(Password::Hash(hash)),
            Self { no_password: true, .. } => Ok(Password::None),
            Self { password_stdin: true, .. } => from(Path::new("-")),
            Self { password_file: Some(path), .. } => from(&path),
            _ if !io::stdin().is_terminal() => Ok(Password::Unasked),
            _ => {
                let unread = |_| Failure::Usage("No password was given; nothing was changed.".to_owned());
                let prompt = Prompt::open().map_err(unread)?;
                let password = prompt.ask(&format!("Password ({RULE}): ")).map_err(unread)?;
                if prompt.ask("Once more: ").map_err(unread)? != password {
                    return Err(Error::invalid("password", "The two passwords differ.").into());
                }
                Ok(Password::Plain(password))
            }
        }
    }
}

/// Asks whether to do what cannot be undone; the answer is its name, which nobody types by mistake.
pub(super) fn confirm_by_name(question: &str, name: &str) -> Outcome {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::Usage(
            "There is no terminal to ask for confirmation; use --yes to confirm, or --dry-run for a preview."
                .to_owned(),
        ));
    }
    talk(&escape(question));
    talk(&format!("Type “{}” to confirm:", escape(name)));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == name { Ok(()) } else { Err(Failure::Usage("Not confirmed; nothing was changed.".to_owned())) }
}
