//! Texts of up to 64 KB as pages show them: the beginning, with a way to the whole.

use crate::model::{Change, DiffPart};

/// The beginning of a text
pub(super) struct Cut {
    pub(super) text: String,
    /// How many characters are left out
    pub(super) rest: usize,
}

impl Cut {
    /// As much of a text as its first characters
    pub(super) fn new(text: &str, characters: usize) -> Self {
        match text.char_indices().nth(characters) {
            Some((end, _)) => Self { text: text[..end].to_owned(), rest: text[end..].chars().count() },
            None => Self { text: text.to_owned(), rest: 0 },
        }
    }
}

/// A part of what is shown of a comparison
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Same(String),
    Removed(String),
    Added(String),
    /// So many characters that are the same
    Skipped(usize),
    /// So many more characters of the same kind
    Rest(usize),
}

/// How much of what stayed the same is shown beside a change, in characters
const AROUND: usize = 200;

/// How much of a change is shown, in characters
const CHANGED: usize = 2000;

/// What is shown of a comparison: the changes, with what stands around them, or all of it.
pub(super) fn pieces(parts: Vec<DiffPart>, is_whole: bool) -> Vec<Piece> {
    let last = parts.len().saturating_sub(1);
    let mut pieces = Vec::new();
    for (index, DiffPart { op, text }) in parts.into_iter().enumerate() {
        let make = match op {
            // Where nothing changed, the beginning stands for the whole.
            Change::Equal if is_whole || last == 0 => Piece::Same,
            Change::Equal => {
                around(&mut pieces, &text, index > 0, index < last);
                continue;
            }
            Change::Delete => Piece::Removed,
            Change::Insert => Piece::Added,
        };
        let shown = Cut::new(&text, if is_whole { usize::MAX } else { CHANGED });
        pieces.push(make(shown.text));
        if shown.rest > 0 {
            pieces.push(Piece::Rest(shown.rest));
        }
    }
    pieces
}

/// Shows of what stayed the same what stands behind a change, and before one.
fn around(pieces: &mut Vec<Piece>, text: &str, is_behind: bool, is_before: bool) {
    let (behind, before) = (if is_behind { AROUND } else { 0 }, if is_before { AROUND } else { 0 });
    let count = text.chars().count();
    // What is left out is more than what says so.
    if count <= behind + before + AROUND {
        pieces.push(Piece::Same(text.to_owned()));
        return;
    }
    let at = |characters: usize| text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
    let (end, begin) = (at(behind), at(count - before));
    pieces.extend(Some(&text[..end]).filter(|text| !text.is_empty()).map(|text| Piece::Same(text.to_owned())));
    pieces.push(Piece::Skipped(count - behind - before));
    pieces.extend(Some(&text[begin..]).filter(|text| !text.is_empty()).map(|text| Piece::Same(text.to_owned())));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(op: Change, text: &str) -> DiffPart {
        DiffPart { op, text: text.to_owned() }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let cut = |text: &str, characters| {
            let Cut { text, rest } = Cut::new(text, characters);
            (text, rest)
        };
        assert_eq!(cut("äöü", 2), ("äö".to_owned(), 1));
        assert_eq!(cut("äöü", 3), ("äöü".to_owned(), 0));
    }

    #[test]
    fn of_long_texts_the_changes_are_shown_with_what_stands_around_them() {
        let (same, long) = ("s".repeat(1000), "c".repeat(3000));
        let parts = || {
            let changed = [part(Change::Delete, "old"), part(Change::Insert, &long)];
            [part(Change::Equal, &same)].into_iter().chain(changed).chain([part(Change::Equal, &same)]).collect()
        };
        let side = || Piece::Same("s".repeat(200));
        let change = [Piece::Removed("old".to_owned()), Piece::Added("c".repeat(2000)), Piece::Rest(1000)];
        let shown: Vec<Piece> =
            [Piece::Skipped(800), side()].into_iter().chain(change).chain([side(), Piece::Skipped(800)]).collect();
        assert_eq!(pieces(parts(), false), shown);
        let [all, removed] = [Piece::Same(same.clone()), Piece::Removed("old".to_owned())];
        let whole = [all, removed, Piece::Added(long.clone()), Piece::Same(same.clone())];
        assert_eq!(pieces(parts(), true), whole);
    }

    #[test]
    fn short_texts_are_shown_whole_and_of_long_ones_without_changes_the_beginning() {
        let parts = vec![part(Change::Equal, "one "), part(Change::Insert, "two")];
        assert_eq!(pieces(parts, false), [Piece::Same("one ".to_owned()), Piece::Added("two".to_owned())]);
        let same = || vec![part(Change::Equal, &"s".repeat(3000))];
        assert_eq!(pieces(same(), false), [Piece::Same("s".repeat(2000)), Piece::Rest(1000)]);
        assert_eq!(pieces(same(), true), [Piece::Same("s".repeat(3000))]);
    }
}
