//! What is said: sentences of a language, and how they were before somebody mended them.

use std::fmt::Write;
use std::ops::Range;

use super::chance::Chance;
use super::words::{Words, written};

const SMILEYS: [&str; 8] = ["🙂", "👍", "🎉", "😅", "🙏", "☕", "😂", "🤔"];

/// A text that grows.
pub(super) struct Text {
    words: &'static Words,
    /// What it is about, among the things of the language
    topic: u32,
    written: String,
    /// Where the last word of a list stands, and the list: what an edit could change
    choice: Option<(Range<usize>, &'static [&'static str])>,
}

impl Text {
    pub(super) fn new(words: &'static Words, topic: u32) -> Self {
        Self { words, topic, written: String::with_capacity(96), choice: None }
    }

    /// Says something: a word, or up to six sentences; a reply answers first.
    pub(super) fn speak(&mut self, is_reply: bool, chance: &mut Chance) {
        let start = self.written.len();
        if chance.per_cent(12) {
            self.fill(chance.pick(&self.words.short), chance);
            return;
        }
        if is_reply {
            self.fill(chance.pick(&self.words.answers), chance);
        } else if start == 0 && chance.per_cent(12) {
            self.fill(chance.pick(&self.words.greetings), chance);
        }
        let sentences = match chance.below(100) {
            0..30 if is_reply => 0,
            0..65 => 1,
            65..90 => 2,
            90..98 => 3,
            _ => 4 + chance.below(3),
        };
        let break_lines = sentences > 2 && chance.per_cent(30);
        let mut last = "";
        for _ in 0..sentences {
            let is_question = chance.per_cent(30);
            let sentence = chance.pick(if is_question { &self.words.questions } else { &self.words.statements });
            if sentence == last {
                continue;
            }
            if self.written.len() > start {
                self.written.push_str(if break_lines { "\n" } else { self.words.gap });
            }
            self.fill(sentence, chance);
            last = sentence;
        }
        if chance.per_cent(6) {
            self.written.push(' ');
            self.written.push_str(chance.pick(&SMILEYS));
        }
    }

    /// Addresses somebody, before anything is said.
    pub(super) fn address(&mut self, username: &str, chance: &mut Chance) {
        let (before, after) = chance.pick(&self.words.addresses).split_once("{user}").unwrap_or_default();
        self.written.extend([before, username, after.trim_end_matches("{text}")]);
    }

    /// Lets somebody know of it, after all is said.
    pub(super) fn copy_to(&mut self, username: &str) {
        self.written.extend([" cc @", username]);
    }

    /// The text, with capitals or without
    pub(super) fn finish(&mut self, is_casual: bool) -> String {
        if is_casual {
            self.written = self.written.to_lowercase();
        }
        self.written.clone()
    }

    /// Another text that the writer of this one may have mended, with the same mentions; never the same text
    pub(super) fn before_edit(&self, chance: &mut Chance) -> String {
        if let Some((range, list)) = &self.choice
            && chance.per_cent(40)
        {
            let other = chance.pick(list);
            if !other.contains('{') && self.written[range.clone()] != *other {
                return [&self.written[..range.start], other, &self.written[range.end..]].concat();
            }
        }
        mistype(&self.written, chance)
    }

    fn fill(&mut self, pattern: &'static str, chance: &mut Chance) {
        let mut rest = pattern;
        while let Some((before, (slot, after))) =
            rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            self.written.push_str(before);
            self.fill_slot(slot, chance);
            rest = after;
        }
        self.written.push_str(rest);
    }

    fn fill_slot(&mut self, slot: &str, chance: &mut Chance) {
        let words = self.words;
        match slot {
            "thing" => self.choose(&words.things, true, chance),
            "subject" => self.choose(&words.subjects, true, chance),
            "name" => self.written.push_str(written(chance.pick(&words.first_names))),
            "number" => self.write(format_args!("{}", 2 + chance.low_below(97))),
            "hour" => self.write(format_args!("{}:{:02}", 8 + chance.below(11), 15 * chance.below(4))),
            _ => self.choose(words.slot(slot).unwrap_or_default(), false, chance),
        }
    }

    fn choose(&mut self, list: &'static [&'static str], is_topic: bool, chance: &mut Chance) {
        let start = self.written.len();
        let index = if is_topic && chance.per_cent(60) { self.topic } else { chance.below(u32::MAX) };
        let Some(word) = list.get(index as usize % list.len().max(1)) else { return };
        self.fill(word, chance);
        self.choice = Some((start..self.written.len(), list));
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.written.write_fmt(arguments);
    }
}

/// A text with a slip in one of its words, or at its end where no word is long enough; mentions stay.
pub(super) fn mistype(text: &str, chance: &mut Chance) -> String {
    let is_long = |word: &&str| word.chars().nth(3).is_some() && !word.contains('@');
    let long = text.split_whitespace().filter(is_long).count();
    let drawn = chance.below(u32::try_from(long).unwrap_or(0));
    let Some(word) = text.split_whitespace().filter(is_long).nth(drawn as usize) else {
        let last = text.chars().next_back().unwrap_or('.');
        // A word that is mentioned must not grow.
        return if text.contains('@') { format!("{text} .") } else { format!("{text}{last}") };
    };
    let length = u32::try_from(word.chars().count()).unwrap_or(0);
    let slip = 1 + chance.below(length - 2) as usize;
    let mut letters: Vec<char> = word.chars().collect();
    if letters[slip] == letters[slip + 1] || chance.per_cent(50) {
        letters.remove(slip);
    } else {
        letters.swap(slip, slip + 1);
    }
    let start = word.as_ptr().addr() - text.as_ptr().addr();
    let slipped: String = letters.into_iter().collect();
    [&text[..start], &slipped, &text[start + word.len()..]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::chance::Stream;
    use super::*;

    proptest! {
        #[test]
        fn a_slip_changes_the_text_and_no_mention(text in "(@?[a-z]{1,7}[ ,]?){1,5}", number: u64) {
            let slipped = mistype(&text, &mut Chance::new(0, Stream::Messages, number));
            prop_assert_ne!(&slipped, &text);
            let mentions = |text: &str| {
                let words = text.split_whitespace().filter(|word| word.contains('@'));
                words.map(str::to_owned).collect::<Vec<_>>()
            };
            prop_assert_eq!(mentions(&slipped), mentions(&text));
        }
    }
}
