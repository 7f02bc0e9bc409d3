//! The words of each language, and how its sentences are built from them.
//!
//! They stand in a text file for each language: lists, each below its name (`# first names`), a line for each word or
//! sentence.

use std::sync::LazyLock;

use super::Language;

/// The words of a language.
///
/// In sentences stands `{slot}` for one of a list; whatever of a list fits wherever its slot stands. A name that is not
/// written in Latin letters has them behind a slash.
#[derive(Default)]
pub(super) struct Words {
    pub(super) first_names: Vec<&'static str>,
    pub(super) last_names: Vec<&'static str>,
    /// What groups are about
    pub(super) themes: Vec<&'static str>,
    /// What tells groups of one theme apart
    pub(super) branches: Vec<&'static str>,
    /// What stands between sentences
    pub(super) gap: &'static str,
    /// Whole messages
    pub(super) short: Vec<&'static str>,
    pub(super) greetings: Vec<&'static str>,
    pub(super) statements: Vec<&'static str>,
    pub(super) questions: Vec<&'static str>,
    /// What begins a reply
    pub(super) answers: Vec<&'static str>,
    /// What a message to somebody looks like: `{user}`, and `{text}` behind
    pub(super) addresses: Vec<&'static str>,
    /// Why a message was changed
    pub(super) reasons: Vec<&'static str>,
    /// `{thing}`: what one works on, as an object
    pub(super) things: Vec<&'static str>,
    /// `{subject}`: the same, as a subject
    pub(super) subjects: Vec<&'static str>,
    /// The other slots
    slots: Vec<(&'static str, Vec<&'static str>)>,
}

static ENGLISH: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/english.txt"), " "));
static GERMAN: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/german.txt"), " "));
static SPANISH: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/spanish.txt"), " "));
static FRENCH: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/french.txt"), " "));
static JAPANESE: LazyLock<Words> = LazyLock::new(|| Words::read(include_str!("words/japanese.txt"), ""));

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
            Language::Spanish => &SPANISH,
            Language::French => &FRENCH,
            Language::Japanese => &JAPANESE,
        }
    }

    /// Reads the lists of a language.
    fn read(text: &'static str, gap: &'static str) -> Self {
        let mut words = Self { gap, ..Self::default() };
        let mut lists: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            match (line.strip_prefix("# "), lists.last_mut()) {
                (Some(name), _) => lists.push((name, Vec::new())),
                (None, Some((_, lines))) => lines.push(line),
                (None, None) => {}
            }
        }
        for (name, lines) in lists {
            match name {
                "first names" => words.first_names = lines,
                "last names" => words.last_names = lines,
                "themes" => words.themes = lines,
                "branches" => words.branches = lines,
                "short" => words.short = lines,
                "greetings" => words.greetings = lines,
                "statements" => words.statements = lines,
                "questions" => words.questions = lines,
                "answers" => words.answers = lines,
                "addresses" => words.addresses = lines,
                "reasons" => words.reasons = lines,
                "things" => words.things = lines,
                "subjects" => words.subjects = lines,
                slot => words.slots.push((slot, lines)),
            }
        }
        // Where an object looks as a subject does, there is one list.
        if words.subjects.is_empty() {
            words.subjects.clone_from(&words.things);
        }
        words
    }

    /// What can stand for a slot other than `{thing}` and `{subject}`
    pub(super) fn slot(&self, slot: &str) -> Option<&[&'static str]> {
        self.slots.iter().find(|(name, _)| *name == slot).map(|(_, words)| words.as_slice())
    }
}

/// A name as it is written
pub(super) fn written(name: &'static str) -> &'static str {
    name.split_once('/').map_or(name, |(written, _)| written)
}

/// A name in the small Latin letters of handles
pub(super) fn latin(name: &str) -> String {
    let letters = name.split_once('/').map_or(name, |(_, latin)| latin);
    let mut latin = String::with_capacity(letters.len());
    for letter in letters.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' => latin.push(letter),
            'ä' => latin.push_str("ae"),
            'ö' => latin.push_str("oe"),
            'ü' => latin.push_str("ue"),
            'ß' => latin.push_str("ss"),
            'á' | 'à' | 'â' => latin.push('a'),
            'é' | 'è' | 'ê' | 'ë' => latin.push('e'),
            'í' | 'î' | 'ï' | 'ı' => latin.push('i'),
            'ó' | 'ô' => latin.push('o'),
            'ú' | 'û' | 'ù' => latin.push('u'),
            'ñ' => latin.push('n'),
            'ç' => latin.push('c'),
            ' ' | '-' => latin.push('-'),
            _ => {}
        }
    }
    latin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Choice;

    /// Who writes without capitals writes as many bytes, or an edit would cut the text somewhere else.
    fn assert_same_length(text: &str) {
        assert_eq!(text.to_lowercase().len(), text.len(), "{text}");
    }

    #[test]
    fn every_slot_of_every_sentence_has_words() {
        for language in Language::ALL {
            let words = Words::of(*language);
            let lists = [&words.short, &words.greetings, &words.statements, &words.questions, &words.answers];
            assert!(lists.iter().all(|list| !list.is_empty()) && !words.reasons.is_empty(), "{language:?}");
            for sentence in lists.into_iter().flatten() {
                assert_same_length(sentence);
                for part in sentence.split('{').skip(1) {
                    let (slot, _) = part.split_once('}').unwrap();
                    let is_special = ["thing", "subject", "name", "number", "hour"].contains(&slot);
                    assert!(is_special || words.slot(slot).is_some_and(|list| !list.is_empty()), "{sentence}");
                }
            }
            words.slots.iter().flat_map(|(_, list)| list).for_each(|word| assert_same_length(word));
            words.things.iter().chain(&words.subjects).for_each(|word| assert_same_length(word));
            let is_address = |address: &&str| address.starts_with("@{user}") && address.ends_with("{text}");
            assert!(!words.addresses.is_empty() && words.addresses.iter().all(is_address));
            assert_eq!(words.things.len(), words.subjects.len(), "{language:?}");
            let names = [&words.first_names, &words.last_names, &words.themes, &words.branches];
            assert!(names.iter().all(|list| !list.is_empty()), "{language:?}");
            for name in names.into_iter().flatten() {
                assert!(latin(name).len() > 1 && !written(name).contains('/'), "{name}");
            }
        }
    }

    #[test]
    fn no_list_has_a_word_twice() {
        for language in Language::ALL {
            let words = Words::of(*language);
            let lists = [&words.first_names, &words.last_names, &words.themes, &words.branches, &words.things];
            let lists = lists.into_iter().chain([&words.short, &words.statements, &words.questions, &words.answers]);
            for list in lists.chain(words.slots.iter().map(|(_, list)| list)) {
                let mut sorted = list.clone();
                sorted.sort_unstable();
                assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]), "{sorted:?}");
            }
        }
    }
}
