//! Settings: options over environment over env file over defaults. An empty variable is treated as unset.

mod env_file;

use std::collections::{BTreeSet, HashMap};
use std::env::VarError;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::output::{Colors, Format, When};
use super::text::read_secret;
use super::{Failure, time};
use crate::error::Error;
use crate::model::{Timestamp, UserSelector};
use crate::store::Location;

/// The shell that asks for completions by this variable of its script, not of the env file
#[expect(clippy::disallowed_methods, reason = "this is where settings come from")]
pub(super) fn asking_shell(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

/// The user's home folder
pub(super) fn home() -> Option<PathBuf> {
    std::env::home_dir()
}

/// The variables of the environment and of the env file.
pub(super) struct Settings {
    from_file: HashMap<String, String>,
    /// The env file, where there is one
    pub(super) file: Option<PathBuf>,
    /// Why the env file could not be read
    pub(super) problem: Option<String>,
    /// Why there is an env file that is not read
    pub(super) warning: Option<String>,
}

/// The env file that is read where none is named
const USUAL_FILE: &str = ".env";

/// More of an env file is not read.
const LONGEST_FILE: u64 = 1 << 20;

/// An env file that can be read
enum EnvFile {
    Text(String),
    Absent,
    /// It belongs to the user of that number, and could say whatever they like.
    Foreign(u32),
}

/// Where a setting's value comes from
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Environment,
    File,
}

impl Settings {
    /// Reads the env file: the one named, or `./.env` where there is one that belongs to the user who runs this.
    pub(super) fn load(env_file: Option<&Path>) -> Result<Self, Failure> {
        let path = env_file.unwrap_or(Path::new(USUAL_FILE));
        let unusable = |why: String| Failure::Usage(format!("The env file {} cannot be used: {why}.", path.display()));
        let found = match env_file {
            Some(path) => File::open(path).and_then(read_text).map(EnvFile::Text),
            None => own_file(path),
        };
        let text = match found.map_err(|error| unusable(error.to_string()))? {
            EnvFile::Text(text) => text,
            EnvFile::Absent => return Ok(Self::of_environment()),
            EnvFile::Foreign(owner) => {
                let warning = format!(
                    "The env file {USUAL_FILE} is not read: it belongs to another user (number {owner}). \
                     With --env-file {USUAL_FILE} it is."
                );
                return Ok(Self { warning: Some(warning), ..Self::of_environment() });
            }
        };
        let from_file = env_file::read(&text, in_environment).map_err(unusable)?;
        Ok(Self { from_file, file: Some(path.to_owned()), ..Self::of_environment() })
    }

    /// The settings without an env file, which cannot be read.
    pub(super) fn unusable(problem: String) -> Self {
        Self { problem: Some(problem), ..Self::of_environment() }
    }

    /// The variables of the environment alone, before the line is read.
    pub(super) fn of_environment() -> Self {
        Self { from_file: HashMap::new(), file: None, problem: None, warning: None }
    }

    /// Where there are colours: as asked for, else as NO_COLOR and TERM have it.
    pub(super) fn colors(&self, when: When) -> Colors {
        let get = |name| self.get(name).ok().flatten();
        Colors::new(when, get("NO_COLOR").as_deref(), get("TERM").as_deref())
    }

    /// A variable's value; none where it is unset or empty.
    pub(super) fn get(&self, name: &str) -> Result<Option<String>, Failure> {
        Ok(self.find(name)?.map(|(value, _)| value))
    }

    /// A variable's value, and where it comes from; none where it is unset or empty.
    #[expect(clippy::disallowed_methods, reason = "this is where settings come from")]
    pub(super) fn find(&self, name: &str) -> Result<Option<(String, Source)>, Failure> {
        let from_environment = match std::env::var(name) {
            Err(VarError::NotUnicode(_)) => return Err(Failure::Usage(format!("{name} is not UTF-8."))),
            value => value.ok().filter(|value| !value.is_empty()),
        };
        let from_file = || self.from_file.get(name).filter(|value| !value.is_empty()).cloned();
        let in_environment = from_environment.map(|value| (value, Source::Environment));
        Ok(in_environment.or_else(|| from_file().map(|value| (value, Source::File))))
    }

    /// The names of all variables that have a value, in their order
    pub(super) fn names(&self) -> BTreeSet<String> {
        let in_environment = std::env::vars_os().filter(|(_, value)| !value.is_empty());
        let in_file = self.from_file.iter().filter(|(_, value)| !value.is_empty());
        let names = in_environment.filter_map(|(name, _)| name.into_string().ok());
        names.chain(in_file.map(|(name, _)| name.clone())).collect()
    }

    /// A secret: the variable's value, or what stands in the file that the variable with `_FILE` behind its name names.
    pub(super) fn secret(&self, name: &str) -> Result<Option<String>, Failure> {
        let file = format!("{name}_FILE");
        match (self.get(name)?, self.get(&file)?) {
            (Some(_), Some(_)) => Err(Failure::Usage(format!("Both {name} and {file} are set; unset one of them."))),
            (None, Some(path)) => Ok(Some(read_secret(Path::new(&path), "secret")?)),
            (value, None) => Ok(value),
        }
    }

    /// How results are written
    pub(super) fn format(&self) -> Result<Option<Format>, Failure> {
        self.parsed("TIDINGS_OUTPUT", |value| {
            Format::from_str(value, false).map_err(|_| format!("it is one of {}", Format::WORDS))
        })
    }

    /// The time at which the clock is frozen
    pub(super) fn now(&self) -> Result<Option<Timestamp>, Failure> {
        self.parsed("TIDINGS_NOW", time)
    }

    /// The number that ids are drawn from
    pub(super) fn seed(&self) -> Result<Option<u64>, Failure> {
        self.parsed("TIDINGS_SEED", |value| value.parse().map_err(|_| "not a whole number".to_owned()))
    }

    /// A variable's value, read as something else.
    pub(super) fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let read = |value: String| {
            parse(&value).map_err(|error| Failure::Usage(format!("{name}={value} cannot be used: {error}.")))
        };
        self.get(name)?.map(read).transpose()
    }

    /// Whether a variable says that something is to be
    pub(super) fn is_on(&self, name: &str) -> Result<bool, Failure> {
        let on = self.parsed(name, |value| match value.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err("it is neither true nor false".to_owned()),
        })?;
        Ok(on.unwrap_or(false))
    }

    /// Where the database is: where the flag says, else where the settings do.
    pub(super) fn location_or(&self, flag: Option<&str>) -> Result<Location, Failure> {
        flag.map_or_else(|| self.location(), |location| Ok(Location::parse(location)?))
    }

    /// Where the database is, unless a flag says it: `TIDINGS_DB`, the `DB_` variables of the original system, or a file
    /// in the user's data folder.
    fn location(&self) -> Result<Location, Failure> {
        if let Some(location) = self.get("TIDINGS_DB")? {
            return Ok(Location::parse(&location)?);
        }
        if self.get("DB_HOST")?.is_some() {
            let pairs = [
                ("host", self.get("DB_HOST")?),
                ("port", self.get("DB_PORT")?),
                ("dbname", self.get("DB_NAME")?),
                ("user", self.get("DB_USER")?),
                ("password", self.secret("DB_PASSWORD")?),
            ];
            let mut config = Vec::new();
            for (key, value) in pairs {
                if let Some(value) = value {
                    config.push(format!("{key}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
                }
            }
            return Ok(Location::Postgres(config.join(" ")));
        }
        if let Some(file) = self.get("DB_NAME")? {
            return Ok(Location::of_file(&file)?);
        }
        #[expect(clippy::disallowed_methods, reason = "this is where the default database is chosen")]
        let folders = directories::ProjectDirs::from("", "", "tidings").ok_or_else(|| {
            Error::unavailable("There is no home folder for the database.").hint("Name the database with --db.")
        })?;
        Ok(Location::Sqlite(folders.data_dir().join("tidings.db")))
    }

    /// Who acts: the user of the flag, else of `TIDINGS_AS`; none for the operator
    pub(super) fn acting(
        &self,
        flag: Option<&UserSelector>,
        is_operator: bool,
    ) -> Result<Option<UserSelector>, Failure> {
        if is_operator {
            return Ok(None);
        }
        flag.map_or_else(|| Ok(self.get("TIDINGS_AS")?.map(UserSelector::from)), |user| Ok(Some(user.clone())))
    }

    /// The name of the system user who runs the program, for the log of events
    pub(super) fn operator(&self) -> Result<String, Failure> {
        for name in ["USER", "LOGNAME", "USERNAME"] {
            if let Some(operator) = self.get(name)? {
                return Ok(operator);
            }
        }
        Ok("operator".to_owned())
    }
}

/// Reads an env file that nobody named, unless somebody else could have put it there, who would choose the database and who
/// acts. What root owns is as good as the program itself.
fn own_file(path: &Path) -> io::Result<EnvFile> {
    let is_foreign = |found: &Metadata| ![0, rustix::process::geteuid().as_raw()].contains(&found.uid());
    // The owner of a link is checked too, before it is opened: another user's pipe could block for ever.
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(EnvFile::Absent),
        found => {
            let found = found?;
            if is_foreign(&found) {
                return Ok(EnvFile::Foreign(found.uid()));
            }
        }
    }
    let file = File::open(path)?;
    let found = file.metadata()?;
    if is_foreign(&found) {
        return Ok(EnvFile::Foreign(found.uid()));
    }
    // Some call a Python environment's folder so.
    if found.is_dir() { Ok(EnvFile::Absent) } else { read_text(file).map(EnvFile::Text) }
}

fn read_text(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(LONGEST_FILE).read_to_string(&mut text)?;
    if text.len() as u64 == LONGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {LONGEST_FILE} bytes or more")));
    }
    Ok(text)
}

/// A variable of the environment; none where it is unset, empty or not UTF-8
#[expect(clippy::disallowed_methods, reason = "this is where settings come from")]
fn in_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
