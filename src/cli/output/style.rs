//! Colours: which piece has which, and whether there are any.

use std::io::{self, IsTerminal};

use anstyle::{AnsiColor, Style};

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum When {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    #[default]
    Auto,
    /// Also into a pipe
    Always,
    /// Nowhere
    Never,
}

/// Where there are colours.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Colors {
    pub(super) stdout: bool,
    pub(super) stderr: bool,
}

impl Colors {
    /// Decides by what was asked for, and the values of NO_COLOR and TERM.
    #[expect(clippy::disallowed_methods, reason = "looks at what is written to, and writes nothing")]
    pub(in crate::cli) fn new(when: When, no_color: Option<&str>, term: Option<&str>) -> Self {
        let is_bare = no_color.is_some_and(|value| !value.is_empty()) || term == Some("dumb");
        let on = |is_terminal: bool| match when {
            When::Auto => is_terminal && !is_bare,
            When::Always => true,
            When::Never => false,
        };
        Self { stdout: on(io::stdout().is_terminal()), stderr: on(io::stderr().is_terminal()) }
    }
}

/// What a piece of text means
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Plain,
    Heading,
    Address,
    Person,
    Faint,
    Alert,
    Error,
    Hint,
    Added,
    Removed,
    Found,
}

impl Meaning {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Heading | Self::Person => Style::new().bold(),
            Self::Address | Self::Hint => AnsiColor::Cyan.on_default(),
            Self::Faint => Style::new().dimmed(),
            Self::Alert => AnsiColor::Yellow.on_default(),
            Self::Error => AnsiColor::Red.on_default().bold(),
            Self::Added => AnsiColor::Green.on_default(),
            Self::Removed => AnsiColor::Red.on_default(),
            Self::Found => AnsiColor::Yellow.on_default().bold(),
        }
    }

    /// Colours a text, which must have been escaped.
    pub(super) fn paint(self, escaped: &str, colored: bool) -> String {
        if !colored || escaped.is_empty() {
            return escaped.to_owned();
        }
        let style = self.style();
        format!("{style}{escaped}{style:#}")
    }
}
