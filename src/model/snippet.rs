//! The part of a text where a search found something.

use serde::{Serialize, Serializer};

use super::{Terms, words};

/// How long a snippet is, in characters
const LENGTH: usize = 160;

/// How much of it stands before the first word found, in characters
const BEFORE: usize = 40;

/// The part of a text where a search found something, in pieces that were found and pieces between them.
///
/// Its JSON is one string, with `**` before and after what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet(Vec<(String, bool)>);

impl Snippet {
    /// The part of a text around the first of the terms; its beginning where it has none.
    pub fn new(text: &str, terms: &Terms) -> Self {
        let mut found = words(text).filter(|word| terms.position(word).is_some()).map(|word| word.range).peekable();
        // A short text is shown whole.
        let is_short = text.char_indices().nth(LENGTH).is_none();
        let first = found.peek().filter(|_| !is_short).map_or(0, |range| range.start);
        let start = text[..first].char_indices().rev().nth(BEFORE - 1).map_or(0, |(at, _)| at);
        // Not in the middle of a word, where one begins soon.
        let start = match text[start..first].find(char::is_whitespace) {
            Some(space) if start > 0 => start + space + 1,
            _ => start,
        };
        let end = text[start..].char_indices().nth(LENGTH).map_or(text.len(), |(at, _)| start + at);
        let mut pieces = Self(Vec::new());
        let mut at = start;
        if start > 0 {
            pieces.push("…", false);
        }
        while let Some(range) = found.next_if(|range| range.end <= end) {
            // Words of scripts without spaces overlap.
            let from = range.start.max(at);
            pieces.push(&text[at..from], false);
            pieces.push(&text[from..range.end], true);
            at = range.end;
        }
        pieces.push(&text[at..end], false);
        if end < text.len() {
            pieces.push("…", false);
        }
        pieces
    }

    /// Its pieces, each with whether it was found
    pub fn pieces(&self) -> impl Iterator<Item = (&str, bool)> {
        self.0.iter().map(|(text, is_found)| (text.as_str(), *is_found))
    }

    fn push(&mut self, text: &str, is_found: bool) {
        match self.0.last_mut() {
            Some((last, was_found)) if *was_found == is_found => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.0.push((text.to_owned(), is_found)),
        }
    }
}

impl std::fmt::Display for Snippet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.pieces().try_for_each(|(text, is_found)| {
            let mark = if is_found { "**" } else { "" };
            write!(formatter, "{mark}{text}{mark}")
        })
    }
}

impl Serialize for Snippet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn snippet(text: &str, query: &str) -> String {
        Snippet::new(text, &Terms::parse(query)).to_string()
    }

    #[test]
    fn a_snippet_marks_what_was_found() {
        assert_eq!(snippet("Lunch at the Café, or a cafe?", "cafe lunch"), "**Lunch** at the **Café**, or a **cafe**?");
        assert_eq!(snippet("helpful hellos", "hel*"), "**helpful** **hellos**");
        assert_eq!(snippet("我们在北京见面", "北京"), "我们在**北京**见面");
        assert_eq!(snippet("nothing", "else"), "nothing");
    }

    #[test]
    fn a_snippet_of_a_long_text_is_cut_between_words() {
        let text = format!("{} needle {}", "hay ".repeat(100), "straw ".repeat(100));
        let shown = snippet(&text, "needle");
        assert!(shown.starts_with("…hay hay"), "{shown}");
        assert!(shown.contains(" **needle** straw"), "{shown}");
        assert!(shown.ends_with('…') && shown.chars().count() < LENGTH + 10, "{shown}");
    }

    proptest! {
        #[test]
        fn a_snippet_is_a_part_of_the_text(text in "\\PC*", query in "\\PC*") {
            let pieces = Snippet::new(&text, &Terms::parse(&query));
            let joined: String = pieces.pieces().map(|(piece, _)| piece).collect();
            prop_assert!(text.contains(joined.trim_matches('…')), "{joined}");
        }
    }
}
