//! Foreign text made harmless on a terminal.

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

/// How many marks are shown on one character: more than any language writes.
const MARKS: usize = 8;

/// Shows what could move the cursor, hide, or turn the direction of writing as `\u{…}`, and line breaks and tabs as `\n`,
/// `\r`, `\t`; of the marks on one character no more than would fit on it.
pub(in crate::cli) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = None;
    let mut marks = 0;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let after = rest.as_str();
        if rides(character) && before.is_some() {
            marks += 1;
            if marks <= MARKS {
                escaped.push(character);
                before = Some(character);
            } else if !after.starts_with(rides) {
                escaped.extend(["\\u{…", &(marks - MARKS).to_string(), " more}"]);
                before = None;
            }
            continue;
        }
        marks = 0;
        // A backslash that could be taken for one of ours is doubled.
        let is_ambiguous = character == '\\' && after.starts_with(['u', 'n', 'r', 't', '\\']);
        let is_joiner = joins(before, character, after.chars().next());
        // A mark without a character to stand on would stand on what we wrote before it.
        if is_ambiguous || rides(character) || is_dangerous(character) && !is_joiner {
            escaped.extend(character.escape_default());
            before = None;
        } else {
            escaped.push(character);
            before = Some(character);
        }
    }
    escaped
}

/// Whether a terminal draws the character onto the one before: marks, and the vowels and finals of Hangul syllables
fn rides(character: char) -> bool {
    !is_dangerous(character)
        && (is_combining_mark(character) || matches!(character, '\u{1161}'..='\u{11FF}' | '\u{D7B0}'..='\u{D7FF}'))
}

/// Whether an invisible joiner does what its script needs it for: ZWJ in an emoji, ZWJ and ZWNJ after a virama, ZWNJ
/// between Arabic letters (as RFC 5892 has it for names of hosts).
fn joins(before: Option<char>, joiner: char, after: Option<char>) -> bool {
    let (Some(before), Some(after)) = (before, after.filter(|after| !rides(*after))) else { return false };
    let is_arabic = |character: char| matches!(character, '\u{0620}'..='\u{06D3}' | '\u{06FA}'..='\u{077F}');
    let follows_virama = canonical_combining_class(before) == 9 && after.is_alphabetic();
    match joiner {
        '\u{200C}' => follows_virama || is_arabic(before) && is_arabic(after),
        '\u{200D}' => follows_virama || is_pictograph(before) && is_pictograph(after),
        _ => false,
    }
}

/// A part of an emoji: a picture, the shade of a skin, or the sign that what stands before is a picture
fn is_pictograph(character: char) -> bool {
    matches!(character, '\u{FE0F}' | '\u{2190}'..='\u{21FF}' | '\u{2300}'..='\u{23FF}' | '\u{25A0}'..='\u{27BF}'
        | '\u{2B00}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}')
}

fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
                | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' | '\u{3164}' | '\u{FFA0}'
                | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_move_the_cursor_is_shown() {
        assert_eq!(escape("a\x1b[2Jb\r\n\tc\u{202e}d\u{9b}"), "a\\u{1b}[2Jb\\r\\n\\tc\\u{202e}d\\u{9b}");
        assert_eq!(escape("a\u{200b}b\u{200d}c"), "a\\u{200b}b\\u{200d}c");
        assert_eq!(escape(r"C:\new \u{1b}"), r"C:\\new \\u{1b}");
    }

    #[test]
    fn what_languages_write_stays() {
        for text in [
            "Grüße, 小明 🎉",
            "e\u{301} o\u{302}\u{323}",
            "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}\u{200d}🔥 👩🏽\u{200d}🚀",
            "क\u{94d}\u{200d}ष क\u{94d}\u{200c}ष",
            "می\u{200c}خواهم",
            "한\u{1112}\u{1161}\u{11ab}",
        ] {
            assert_eq!(escape(text), text);
        }
    }

    #[test]
    fn marks_are_shown_as_far_as_they_fit() {
        let marks = "\u{301}".repeat(60_000);
        assert_eq!(escape(&format!("a{marks}b")), format!("a{}\\u{{…59992 more}}b", "\u{301}".repeat(8)));
        assert!(escape(&marks).starts_with("\\u{301}\\u{301}"), "nothing to stand on");
        assert_eq!(escape("\n\u{301}"), "\\n\\u{301}");
    }

    /// Texts rich in what matters here
    fn texts() -> impl Strategy<Value = String> {
        const PIECES: &[&str] = &[
            "a",
            "\\",
            "é",
            "क",
            "\u{94d}",
            "\u{200d}",
            "\u{200c}",
            "\u{301}",
            "👩",
            "\u{fe0f}",
            "م",
            "\u{1161}",
            "\n",
            "\u{1b}",
            "\u{202e}",
            "\u{301}\u{301}\u{301}\u{301}\u{301}",
        ];
        prop_oneof![
            ".*",
            proptest::collection::vec(proptest::sample::select(PIECES), 0..30).prop_map(|parts| parts.concat())
        ]
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text in texts()) {
            let escaped: Vec<char> = escape(&text).chars().collect();
            let mut marks = 0;
            for (place, &character) in escaped.iter().enumerate() {
                let before = place.checked_sub(1).map(|place| escaped[place]);
                let is_joiner = joins(before, character, escaped.get(place + 1).copied());
                prop_assert!(!is_dangerous(character) || is_joiner, "{escaped:?}");
                marks = if rides(character) { marks + 1 } else { 0 };
                prop_assert!(marks <= MARKS && (marks == 0 || place > 0), "{escaped:?}");
            }
        }
    }
}
