//! The words of each language, and how its sentences are built from them.

mod english;
mod french;
mod german;
mod japanese;
mod spanish;

use super::Language;

/// The words of a language.
///
/// In sentences stands `{slot}` for one of a list; whatever of a list fits wherever its slot stands. A name that is not
/// written in Latin letters has them behind a slash.
pub(super) struct Words {
    pub(super) first_names: &'static [&'static str],
    pub(super) last_names: &'static [&'static str],
    /// What groups are about
    pub(super) themes: &'static [&'static str],
    /// What tells groups of one theme apart
    pub(super) branches: &'static [&'static str],
    /// What stands between sentences
    pub(super) gap: &'static str,
    /// Whole messages
    pub(super) short: &'static [&'static str],
    pub(super) greetings: &'static [&'static str],
    pub(super) statements: &'static [&'static str],
    pub(super) questions: &'static [&'static str],
    /// What begins a reply
    pub(super) answers: &'static [&'static str],
    /// What stands before a message to somebody, around `{user}`
    pub(super) addresses: &'static [&'static str],
    /// Why a message was changed
    pub(super) reasons: &'static [&'static str],
    /// `{thing}`: what one works on, as an object
    pub(super) things: &'static [&'static str],
    /// `{subject}`: the same, as a subject
    pub(super) subjects: &'static [&'static str],
    /// The other slots
    pub(super) slots: &'static [(&'static str, &'static [&'static str])],
}

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &english::WORDS,
            Language::German => &german::WORDS,
            Language::Spanish => &spanish::WORDS,
            Language::French => &french::WORDS,
            Language::Japanese => &japanese::WORDS,
        }
    }

    /// What can stand for a slot other than `{thing}` and `{subject}`
    pub(super) fn slot(&self, slot: &str) -> Option<&'static [&'static str]> {
        self.slots.iter().find(|(name, _)| *name == slot).map(|(_, words)| *words)
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
            let lists = [words.short, words.greetings, words.statements, words.questions, words.answers];
            for sentence in lists.into_iter().flatten() {
                assert_same_length(sentence);
                for part in sentence.split('{').skip(1) {
                    let (slot, _) = part.split_once('}').unwrap();
                    let is_special = ["thing", "subject", "name", "number", "hour"].contains(&slot);
                    assert!(is_special || words.slot(slot).is_some_and(|list| !list.is_empty()), "{sentence}");
                }
            }
            words.slots.iter().flat_map(|(_, list)| *list).for_each(|word| assert_same_length(word));
            words.things.iter().chain(words.subjects).for_each(|word| assert_same_length(word));
            assert!(words.addresses.iter().all(|address| address.starts_with("@{user}")));
            assert_eq!(words.things.len(), words.subjects.len(), "{language:?}");
            for name in [words.first_names, words.last_names, words.themes, words.branches].into_iter().flatten() {
                assert!(latin(name).len() > 1 && !written(name).contains('/'), "{name}");
            }
        }
    }

    #[test]
    fn no_list_has_a_word_twice() {
        for language in Language::ALL {
            let words = Words::of(*language);
            let lists = [words.first_names, words.last_names, words.themes, words.branches, words.things];
            let lists = lists.into_iter().chain([words.short, words.statements, words.questions, words.answers]);
            for list in lists.chain(words.slots.iter().map(|(_, list)| *list)) {
                let mut sorted = list.to_vec();
                sorted.sort_unstable();
                assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]), "{sorted:?}");
            }
        }
    }
}
