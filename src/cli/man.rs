//! `tidings man`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};

use super::output::{self, Output};
use super::{Cli, Failure, Outcome, counted};

/// Print the manual page of a command, or write all of them to a folder
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tidings man message send | man -l -\n  \
    tidings man --directory ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The command, for example message send; tidings itself if absent
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
    /// Write the pages of all commands to this folder
    #[arg(long, value_name = "DIR", conflicts_with = "words", value_hint = clap::ValueHint::DirPath)]
    directory: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, out: &mut Output) -> Outcome {
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        if let Some(folder) = &self.directory {
            let unwritten = |cause: io::Error| {
                Failure::Usage(format!("The pages cannot be written to {}: {cause}.", folder.display()))
            };
            let count = write_pages(&command, &[], folder).map_err(unwritten)?;
            out.status(&format!("Wrote {} to {}.", counted(count, "manual page"), folder.display()));
            return Ok(());
        }
        let (mut wanted, mut above) = (&command, Vec::new());
        for word in &self.words {
            above.push(name(wanted));
            let known = wanted.find_subcommand(word);
            wanted = known.ok_or_else(|| Failure::Usage(format!("There is no command “{}”.", self.words.join(" "))))?;
        }
        Ok(output::write(&page(wanted, &above)?)?)
    }
}

/// Writes the pages of a command, with the names of those above it, and of all below it; returns how many there are.
fn write_pages(command: &Command, above: &[&str], folder: &Path) -> io::Result<i64> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{}.1", name(command))), page(command, above)?)?;
    let mut count = 1;
    let above = [above, &[name(command)]].concat();
    for command in command.get_subcommands() {
        count += write_pages(command, &above, folder)?;
    }
    Ok(count)
}

/// `tidings-message-send`
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The manual page of a command below those with these names
fn page(command: &Command, above: &[&str]) -> io::Result<String> {
    let page = Page::new(command.clone());
    // Not by the crate: it leaves the date out, and what follows takes its place.
    let title = name(command).to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(".TH \"{title}\" 1 \"\" \"tidings {version}\" \"User Commands\"\n").into_bytes();
    page.render_name_section(&mut text)?;
    page.render_synopsis_section(&mut text)?;
    page.render_description_section(&mut text)?;
    page.render_options_section(&mut text)?;
    let has_commands = command.has_subcommands();
    if has_commands {
        page.render_subcommands_section(&mut text)?;
    }
    let mut end = Roff::new();
    if let Some(said) = command.get_after_help().map(ToString::to_string) {
        let examples = said.strip_prefix("Examples:\n").or_else(|| said.strip_prefix("Example:\n"));
        end.control("SH", [if examples.is_some() { "EXAMPLES" } else { "NOTES" }]);
        end.control("nf", []);
        for line in examples.unwrap_or(&said).lines() {
            end.text([roman(line.trim_start())]);
        }
        end.control("fi", []);
    }
    if !above.is_empty() {
        end.control("SH", ["SEE ALSO"]);
        let mut references = Vec::new();
        for (index, above) in above.iter().copied().enumerate() {
            references.extend([roman(if index == 0 { "" } else { ", " }), bold(above), roman("(1)")]);
        }
        end.text(references);
    }
    end.to_writer(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}
