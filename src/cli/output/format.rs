//! The formats of results.

use std::fmt;

use clap::ValueEnum;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON value: a list is an array, one thing is an object
    Json,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values, for spreadsheets
    Csv,
    /// Tab-separated values, for programs that read lines
    Tsv,
    /// One id a line
    Ids,
}

impl Format {
    /// The words for them
    pub(in crate::cli) const WORDS: &'static str = "table, json, jsonl, csv, tsv, ids";

    /// Whether errors are for a program
    pub(super) fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonl)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
