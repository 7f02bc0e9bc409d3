//! The words of a text, as search compares them: without case and accents, the same on every engine.

use std::ops::Range;

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

/// What is longer is compared by its beginning, in characters.
const LONGEST: usize = 64;

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Without case and accents
    pub folded: String,
    /// Where it stands in the text, in bytes
    pub range: Range<usize>,
    /// A character of a script without spaces that no other of its run follows
    pub is_last: bool,
}

/// The words of a text, in order.
///
/// A word is a run of letters, digits and their marks. In scripts that put no spaces between words each character makes a
/// word with the next one, and the last one a word alone, so that whatever part of a run is searched for is found.
pub fn words(text: &str) -> impl Iterator<Item = Word> {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (start, first) = rest.next()?;
            if !is_part(first) {
                continue;
            }
            let mut end = start + first.len_utf8();
            let mut is_last = false;
            if is_unspaced(first) {
                let next = rest.peek().filter(|(_, next)| is_unspaced(*next));
                is_last = next.is_none();
                end = next.map_or(end, |(at, next)| at + next.len_utf8());
            } else {
                while let Some((at, next)) = rest.next_if(|(_, next)| is_part(*next) && !is_unspaced(*next)) {
                    end = at + next.len_utf8();
                }
            }
            let folded = fold(&text[start..end]);
            if !folded.is_empty() {
                return Some(Word { folded, range: start..end, is_last });
            }
        }
    })
}

fn is_part(character: char) -> bool {
    character.is_alphanumeric() || !character.is_ascii() && is_combining_mark(character)
}

/// Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3041}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
        && is_part(character)
}

/// Folds case and takes accents off. What belongs to a letter in scripts where marks are vowels stays.
fn fold(word: &str) -> String {
    if word.is_ascii() {
        let mut folded = word.to_ascii_lowercase();
        folded.truncate(LONGEST);
        return folded;
    }
    let bare: String = word.nfkd().filter(|character| is_part(*character) && !is_accent(*character)).collect();
    // Folding may produce marks again, and composing other forms: folding twice must give the same as folding once.
    let folded = UniCase::unicode(bare).to_folded_case();
    folded.nfkd().filter(|character| !is_accent(*character)).nfc().take(LONGEST).collect()
}

/// Accents above and below, and the points of Hebrew and Arabic, by their combining class (Unicode Standard, section 4.3).
fn is_accent(character: char) -> bool {
    !character.is_ascii() && matches!(canonical_combining_class(character), 10..=35 | 200..=240)
}

/// What is searched for: every term must be in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms(Vec<Term>);

/// A word, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub folded: String,
    pub is_prefix: bool,
}

impl Term {
    /// Whether a word of a text is it, or begins with it
    fn is(&self, word: &Word) -> bool {
        self.folded == word.folded || self.is_prefix && word.folded.starts_with(self.folded.as_str())
    }
}

impl Terms {
    /// Parses a query: words, of which those that end in `*` are prefixes. Everything else separates words, so nothing
    /// is an error.
    pub fn parse(text: &str) -> Self {
        let mut terms: Vec<Term> = Vec::new();
        for part in text.split_whitespace() {
            let found: Vec<Word> = words(part).collect();
            for (index, word) in found.iter().enumerate() {
                let follows = |before: usize| found[before].range.end == word.range.end;
                if word.is_last && index.checked_sub(1).is_some_and(follows) {
                    continue;
                }
                let is_prefix = word.is_last || index + 1 == found.len() && part.ends_with('*');
                let term = Term { folded: word.folded.clone(), is_prefix };
                if !terms.contains(&term) {
                    terms.push(term);
                }
            }
        }
        Self(terms)
    }

    /// The terms
    pub fn iter(&self) -> impl Iterator<Item = &Term> {
        self.0.iter()
    }

    /// Whether there is no word at all
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The term that a word of a text is
    pub fn position(&self, word: &Word) -> Option<usize> {
        self.0.iter().position(|term| term.is(word))
    }

    /// Whether a text has all of them
    pub fn are_in(&self, text: &str) -> bool {
        let words: Vec<Word> = words(text).collect();
        self.iter().all(|term| words.iter().any(|word| term.is(word)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> Vec<String> {
        words(text).map(|word| word.folded).collect()
    }

    fn terms(text: &str) -> Vec<String> {
        let shown = |term: &Term| if term.is_prefix { format!("{}*", term.folded) } else { term.folded.clone() };
        Terms::parse(text).iter().map(shown).collect()
    }

    #[test]
    fn words_are_found_without_case_and_accents() {
        assert_eq!(folded("Größe, CAFÉ e\u{301}tude"), ["grosse", "cafe", "etude"]);
        assert_eq!(folded("don't stop: x86_64 №5"), ["don", "t", "stop", "x86", "64", "5"]);
        assert_eq!(folded("ΣΊΣΥΦΟΣ Ёлка שָׁלוֹם"), ["σισυφοσ", "елка", "שלום"]);
        assert_eq!(folded("नमस्ते"), ["नमस्ते"]);
        assert_eq!(folded("… — !"), Vec::<String>::new());
    }

    #[test]
    fn scripts_without_spaces_are_found_by_any_part() {
        assert_eq!(folded("こんにちは!"), ["こん", "んに", "にち", "ちは", "は"]);
        assert_eq!(terms("んにち"), ["んに", "にち"]);
        assert_eq!(terms("は"), ["は*"]);
    }

    #[test]
    fn nothing_a_person_types_is_an_error() {
        assert_eq!(terms("hel* \"wor\"ld AND -x NEAR(a*b) *"), ["hel*", "wor", "ld", "and", "x", "near", "a", "b"]);
        assert!(Terms::parse("\" ' * :").is_empty());
    }

    proptest! {
        #[test]
        fn every_word_of_a_text_is_found_by_itself(text in "\\PC*") {
            for word in words(&text) {
                let terms = Terms::parse(&text[word.range.clone()]);
                prop_assert!(terms.iter().all(|term| words(&text).any(|other| {
                    other.folded == term.folded || term.is_prefix && other.folded.starts_with(term.folded.as_str())
                })), "{terms:?}");
            }
        }

        #[test]
        fn folding_a_word_twice_is_folding_it_once(text in "\\PC*") {
            for word in words(&text) {
                prop_assert_eq!(fold(&word.folded), word.folded);
            }
        }

        #[test]
        fn a_word_holds_nothing_an_engine_could_take_for_syntax(text in "\\PC*") {
            for word in words(&text) {
                let is_word = |character: char| character.is_alphanumeric() || is_combining_mark(character);
                prop_assert!(word.folded.chars().all(is_word), "{:?}", word.folded);
            }
        }
    }
}
