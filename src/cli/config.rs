//! `tidings config`

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Field, Output, Piece, Record, View};
use super::settings::Source;
use super::{Failure, Global, Outcome, Settings};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Show(Show),
}

/// Show each setting with its value and source; secrets are hidden
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidings config show -o json")]
pub(super) struct Show {}

/// The names of the original system
const ORIGINAL: [&str; 10] = [
    "DB_HOST",
    "DB_PORT",
    "DB_NAME",
    "DB_USER",
    "DB_PASSWORD",
    "DB_PASSWORD_FILE",
    "SECRET_KEY",
    "SECRET_KEY_FILE",
    "SECRET_KEY_PREVIOUS",
    "SECRET_KEY_PREVIOUS_FILE",
];

/// The variables of the options for every command
const GENERAL: [&str; 5] = ["TIDINGS_DB", "TIDINGS_AS", "TIDINGS_OUTPUT", "TIDINGS_NOW", "TIDINGS_SEED"];

/// What the program's own variables begin with
const OWN: &str = "TIDINGS_";

/// The variables that are named as the program's own, and that nothing knows; each with the one that may be meant
pub(super) fn unknown(settings: &Settings) -> Vec<(String, Option<String>)> {
    let of_serve = super::serve::variables().into_iter().map(|(name, _)| name);
    let known: Vec<String> = GENERAL.map(ToOwned::to_owned).into_iter().chain(of_serve).collect();
    let named = settings.names().into_iter().filter(|name| name.starts_with(OWN) && !known.contains(name));
    let meant = |name: &str| {
        let distance = |known: &String| strsim::damerau_levenshtein(name, known);
        known.iter().min_by_key(|known| distance(known)).filter(|known| distance(known) <= FARTHEST).cloned()
    };
    named.map(|name| (name.clone(), meant(&name))).collect()
}

/// How many letters of a variable may be wrong, so that it is still known which is meant
const FARTHEST: usize = 2;

/// Those whose values are not shown
const SECRET: [&str; 3] = ["DB_PASSWORD", "SECRET_KEY", "SECRET_KEY_PREVIOUS"];

/// A setting.
#[derive(Debug, Serialize)]
struct Setting {
    #[serde(rename = "setting")]
    name: String,
    value: Option<String>,
    source: String,
}

/// The fields of a setting
pub(super) const FIELDS: &[Field] = &[Field::Value("setting"), Field::Value("value"), Field::Value("source")];

impl Record for Setting {
    const FIELDS: &'static [Field] = FIELDS;
    const COLUMNS: &'static [&'static str] = &["setting", "value", "source"];

    fn ids(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn cells(&self, _: View) -> Vec<Piece> {
        vec![self.name.as_str().into(), self.value.as_deref().unwrap_or_default().into(), self.source.as_str().into()]
    }
}

pub(super) fn show(global: &Global, settings: &Settings, out: &mut Output) -> Outcome {
    let found = all(global, settings)?;
    out.list([Ok(found)], "There are no settings.")?;
    Ok(())
}

fn all(global: &Global, settings: &Settings) -> Result<Vec<Setting>, Failure> {
    let option = |name: &str| format!("option {name}");
    let standard = || "default".to_owned();
    // The flag, else the variable, else what is so anyway.
    let choose = |name: &str, flag: Option<(String, &str)>, variable: &str, otherwise: Option<String>| {
        let name = name.to_owned();
        Ok::<_, Failure>(match (flag, settings.find(variable)?) {
            (Some((value, flag)), _) => Setting { name, value: Some(value), source: option(flag) },
            (None, Some((value, from))) => {
                Setting { name, value: Some(value), source: source(settings, variable, from) }
            }
            (None, None) => Setting { name, value: otherwise, source: standard() },
        })
    };
    let acting = match &global.acting {
        _ if global.operator => Some((String::new(), "--operator")),
        acting => acting.as_ref().map(|user| (user.to_string(), "--as")),
    };
    let format = global.output.map(|format| (format!("{format:?}").to_lowercase(), "--output"));
    let mut found = vec![
        database(global, settings)?,
        choose("as", acting, "TIDINGS_AS", None)?,
        choose("output", format, "TIDINGS_OUTPUT", Some("table".to_owned()))?,
        color(global, settings)?,
        choose("now", global.now.map(|now| (now.to_string(), "--now")), "TIDINGS_NOW", None)?,
        choose("seed", global.seed.map(|seed| (seed.to_string(), "--seed")), "TIDINGS_SEED", None)?,
        Setting {
            name: "env_file".to_owned(),
            value: settings.problem.clone().or_else(|| settings.file.as_ref().map(|file| file.display().to_string())),
            source: if global.env_file.is_some() { option("--env-file") } else { standard() },
        },
    ];
    for name in ORIGINAL {
        let mut setting = choose(name, None, name, None)?;
        if SECRET.contains(&name) && setting.value.is_some() {
            setting.value = Some("(hidden)".to_owned());
        }
        found.push(setting);
    }
    for (name, otherwise) in super::serve::variables() {
        found.push(choose(&name, None, &name, otherwise)?);
    }
    Ok(found)
}

/// When there are colours: by the option, else by NO_COLOR
fn color(global: &Global, settings: &Settings) -> Result<Setting, Failure> {
    let (value, from) = match (global.color, settings.find("NO_COLOR")?) {
        (Some(color), _) => (format!("{color:?}").to_lowercase(), "option --color".to_owned()),
        (None, Some((_, from))) => ("never".to_owned(), source(settings, "NO_COLOR", from)),
        (None, None) => ("auto".to_owned(), "default".to_owned()),
    };
    Ok(Setting { name: "color".to_owned(), value: Some(value), source: from })
}

/// The database that the flag and the variables come to, without its password
fn database(global: &Global, settings: &Settings) -> Result<Setting, Failure> {
    let mut origin = if global.db.is_some() { Some("option --db".to_owned()) } else { None };
    for name in ["TIDINGS_DB", "DB_HOST", "DB_NAME"] {
        if let (None, Some((_, from))) = (&origin, settings.find(name)?) {
            origin = Some(source(settings, name, from));
        }
    }
    // What is wrong with a setting stands in its place.
    let location = match settings.location_or(global.db.as_deref()) {
        Ok(location) => location.to_string(),
        Err(Failure::Usage(problem)) => problem,
        Err(Failure::Refused(error)) => error.to_string(),
        Err(failure) => return Err(failure),
    };
    Ok(Setting { name: "db".to_owned(), value: Some(location), source: origin.unwrap_or_else(|| "default".to_owned()) })
}

fn source(settings: &Settings, variable: &str, source: Source) -> String {
    match (source, &settings.file) {
        (Source::File, Some(file)) => format!("{variable} in {}", file.display()),
        _ => format!("environment {variable}"),
    }
}
