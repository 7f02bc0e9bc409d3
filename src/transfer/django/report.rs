//! What could not be carried over, row by row; where very many rows are alike, the rest of them is counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::transfer::load::MOST_PROBLEMS;

/// Something of a dump that is not carried over, or not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotCarried {
    /// For example `chats.message`
    pub model: String,
    /// None where it concerns several rows
    pub pk: Option<String>,
    /// None where it concerns the whole row
    pub field: Option<String>,
    /// Whole sentences
    pub reason: String,
}

impl NotCarried {
    fn of(origin: &Origin, field: Option<&str>, reason: impl Into<String>) -> Self {
        Self {
            model: origin.model.to_string(),
            pk: Some(origin.pk.clone()).filter(|pk| !pk.is_empty()),
            field: field.map(ToOwned::to_owned),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for NotCarried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = [Some(&self.model), self.pk.as_ref(), self.field.as_ref()];
        let place: Vec<&str> = place.into_iter().flatten().map(String::as_str).collect();
        write!(formatter, "{}: {}", place.join(" "), self.reason)
    }
}

/// Where a row stands: its model and primary key
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) model: Arc<str>,
    /// Empty where the dump has none
    pub(super) pk: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [&*self.model, &self.pk];
        formatter.write_str(words.join(" ").trim_end())
    }
}

impl Origin {
    /// The app that the model belongs to
    pub(super) fn app(&self) -> &str {
        self.model.split_once('.').map_or("", |(app, _)| app)
    }
}

/// What is to be said of a dump
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<NotCarried>,
    /// Rows that have something in a field that is not carried
    fields: Vec<NotCarried>,
    /// Rows of models that are not known
    models: Vec<NotCarried>,
    /// Of either, those behind the first [`MOST_PROBLEMS`], by model and field
    more: BTreeMap<(Arc<str>, Option<String>), u64>,
    /// Times without a zone, and the first field that has one
    zoneless: Option<(Arc<str>, String, u64)>,
}

impl Report {
    /// Says something of a row; returns its place, for [`Report::go_on`].
    pub(super) fn row(&mut self, origin: &Origin, field: Option<&str>, reason: impl Into<String>) -> usize {
        self.rows.push(NotCarried::of(origin, field, reason));
        self.rows.len() - 1
    }

    /// Says more of what was said.
    pub(super) fn go_on(&mut self, place: usize, sentence: &str) {
        self.rows[place].reason.extend([" ", sentence]);
    }

    /// Says that a row is not carried whose model is not known, or what a row has in a field; of very many it counts the rest.
    pub(super) fn unknown(&mut self, origin: &Origin, field: Option<&str>) {
        let (what, said) = if field.is_some() { ("field", &mut self.fields) } else { ("model", &mut self.models) };
        if said.len() < MOST_PROBLEMS {
            said.push(NotCarried::of(origin, field, format!("The {what} is not carried.")));
        } else {
            let field = field.map(ToOwned::to_owned);
            *self.more.entry((Arc::clone(&origin.model), field)).or_default() += 1;
        }
    }

    /// Counts a time without a zone.
    pub(super) fn zoneless(&mut self, model: &Arc<str>, field: &str) {
        self.zoneless.get_or_insert_with(|| (Arc::clone(model), field.to_owned(), 0)).2 += 1;
    }

    /// All of it: what was said of rows, then what is not known, then what was counted.
    pub(super) fn finish(self) -> Vec<NotCarried> {
        let mut all = self.rows;
        if let Some((model, field, count)) = self.zoneless {
            let reason = match count {
                1 => "1 time has no time zone and is taken as UTC.".to_owned(),
                _ => format!("{count} times, of this field and others, have no time zone and are taken as UTC."),
            };
            all.push(NotCarried { model: model.to_string(), pk: None, field: Some(field), reason });
        }
        all.extend(self.fields);
        all.extend(self.models);
        all.extend(self.more.into_iter().map(|((model, field), count)| {
            let what = if field.is_some() { "field" } else { "model" };
            let rows = if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
            let reason = format!("The {what} is not carried, of {rows} more.");
            NotCarried { model: model.to_string(), pk: None, field, reason }
        }));
        all
    }
}
