//! What changed from one text to another, word by word.

use std::time::Instant;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// What became of a part of a text
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    Equal,
    Delete,
    Insert,
}

/// A part of a text, and what became of it; its neighbours had another fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffPart {
    pub op: Change,
    pub text: String,
}

/// What changed from a text to another. Words that were replaced one after the other are one replacement, with the white space
/// between them. After the deadline all that is left counts as changed.
pub fn diff(old: &str, new: &str, deadline: Instant) -> Vec<DiffPart> {
    let compared = TextDiff::configure().deadline(deadline).diff_unicode_words(old, new);
    let mut parts = Parts(Vec::new());
    let (mut replaced, mut space) = (Replaced::default(), String::new());
    let mut next = Replaced::default();
    for change in compared.iter_all_changes() {
        let text = change.value();
        match change.tag() {
            ChangeTag::Delete => next.old.push_str(text),
            ChangeTag::Insert => next.new.push_str(text),
            ChangeTag::Equal => {
                join(&mut parts, (&mut replaced, &mut space), &mut next);
                if text.trim().is_empty() && !replaced.is_empty() {
                    space.push_str(text);
                } else {
                    replaced.end(&mut parts, &mut space);
                    parts.push(Change::Equal, text);
                }
            }
        }
    }
    join(&mut parts, (&mut replaced, &mut space), &mut next);
    replaced.end(&mut parts, &mut space);
    parts.0
}

/// Lets a replacement go on with the next one behind white space, or begin.
fn join(parts: &mut Parts, (replaced, space): (&mut Replaced, &mut String), next: &mut Replaced) {
    if next.is_empty() {
        return;
    }
    let goes_on = space.is_empty() || replaced.is_of_words() && next.is_of_words();
    if !goes_on {
        replaced.end(parts, space);
    }
    let next = std::mem::take(next);
    for (side, more) in [(&mut replaced.old, next.old), (&mut replaced.new, next.new)] {
        side.extend([space.as_str(), &more]);
    }
    space.clear();
}

/// What stood somewhere, and what stands there now
#[derive(Default)]
struct Replaced {
    old: String,
    new: String,
}

impl Replaced {
    fn is_empty(&self) -> bool {
        self.old.is_empty() && self.new.is_empty()
    }

    /// Whether words took the place of words
    fn is_of_words(&self) -> bool {
        !self.old.trim().is_empty() && !self.new.trim().is_empty()
    }

    /// Ends it, with the white space behind it.
    fn end(&mut self, parts: &mut Parts, space: &mut String) {
        parts.push(Change::Delete, &self.old);
        parts.push(Change::Insert, &self.new);
        parts.push(Change::Equal, space);
        *self = Self::default();
        space.clear();
    }
}

struct Parts(Vec<DiffPart>);

impl Parts {
    fn push(&mut self, op: Change, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.op == op => last.text.push_str(text),
            _ => self.0.push(DiffPart { op, text: text.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// As the command line writes it
    fn written(old: &str, new: &str) -> String {
        let part = |DiffPart { op, text }: DiffPart| match op {
            Change::Equal => text,
            Change::Delete => format!("[-{text}-]"),
            Change::Insert => format!("{{+{text}+}}"),
        };
        diff(old, new, Instant::now() + Duration::from_mins(1)).into_iter().map(part).collect()
    }

    #[test]
    fn words_that_were_replaced_one_after_the_other_are_one_replacement() {
        assert_eq!(written("see you at noon", "see them by noon"), "see [-you at-]{+them by+} noon");
        assert_eq!(written("one two three four", "1 2\n3 four"), "[-one two three-]{+1 2\n3+} four");
    }

    #[test]
    fn what_only_went_or_came_is_not_joined_with_its_neighbours() {
        assert_eq!(written("a b c", "a c"), "a [-b -]c");
        assert_eq!(written("good morning", "good morning, all"), "good morning{+, all+}");
        assert_eq!(written("", "new"), "{+new+}");
        assert_eq!(written("old", ""), "[-old-]");
        assert_eq!(written("same", "same"), "same");
    }

    #[test]
    fn words_of_scripts_without_spaces_are_compared_one_by_one() {
        assert_eq!(written("我们在北京见面", "我们在上海见面"), "我们在[-北京-]{+上海+}见面");
    }

    #[test]
    fn after_the_deadline_the_texts_are_still_whole() {
        let (old, new) = ("one two ".repeat(5000), "three four ".repeat(5000));
        let side = |which| -> String {
            let parts = diff(&old, &new, Instant::now()).into_iter();
            parts.filter(|part| part.op == Change::Equal || part.op == which).map(|part| part.text).collect()
        };
        assert_eq!((side(Change::Delete), side(Change::Insert)), (old.clone(), new.clone()));
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_from_what_changed(old in "[a-c \n]{0,30}", new in "[a-c \n]{0,30}") {
            let parts = diff(&old, &new, Instant::now() + Duration::from_mins(1));
            let side = |which| -> String {
                let side = parts.iter().filter(|part| part.op == Change::Equal || part.op == which);
                side.map(|part| part.text.as_str()).collect()
            };
            prop_assert_eq!(side(Change::Delete), old);
            prop_assert_eq!(side(Change::Insert), new);
            prop_assert!(parts.windows(2).all(|pair| pair[0].op != pair[1].op));
        }
    }
}
