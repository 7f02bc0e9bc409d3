//! Foreign text made harmless on a terminal.

use std::io::{self, Write};

use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

use crate::model::{is_ignorable, is_picture};

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

/// Whether an invisible character does what its script needs it for: ZWJ in an emoji, ZWJ and ZWNJ after a virama, ZWNJ
/// between Arabic letters (as RFC 5892 has it for names of hosts), the sign that what stands before is a picture or is not, the
/// signs for forms of Mongolian letters.
fn joins(before: Option<char>, joiner: char, after: Option<char>) -> bool {
    match joiner {
        '\u{FE0E}' | '\u{FE0F}' => return before.is_some_and(is_picture) || after == Some('\u{20E3}'),
        '\u{180B}'..='\u{180D}' | '\u{180F}' => {
            return before.is_some_and(|before| ('\u{1820}'..='\u{18AA}').contains(&before));
        }
        _ => {}
    }
    let (Some(before), Some(after)) = (before, after.filter(|after| !rides(*after))) else { return false };
    let is_arabic = |character: char| matches!(character, '\u{0620}'..='\u{06D3}' | '\u{06FA}'..='\u{077F}');
    let follows_virama = canonical_combining_class(before) == 9 && after.is_alphabetic();
    match joiner {
        '\u{200C}' => follows_virama || is_arabic(before) && is_arabic(after),
        // The sign that something is a picture is no picture to join.
        '\u{200D}' => follows_virama || is_pictograph(before) && is_pictograph(after) && after != '\u{FE0F}',
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
        || matches!(character, '\u{2028}'..='\u{2029}' | '\u{2800}' | '\u{FFF9}'..='\u{FFFB}')
        || is_ignorable(character)
}

/// The same JSON without what a terminal would obey: DEL, the controls of C1, and those that turn the direction of writing. Those
/// of C0 JSON never holds.
pub(in crate::cli) fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\u{7F}'..='\u{9F}'
            | '\u{61C}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}' => {
                escaped.extend(["\\u".to_owned(), format!("{:04x}", u32::from(character))]);
            }
            harmless => escaped.push(harmless),
        }
    }
    escaped
}

/// Passes JSON on to a terminal, escaped as [`escape_json`] does.
pub(super) struct JsonEscaping<W> {
    to: W,
    /// The beginning of a character
    partial: Vec<u8>,
}

impl<W: Write> JsonEscaping<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, partial: Vec::new() }
    }
}

impl<W: Write> Write for JsonEscaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.partial.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.partial) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&self.partial[..error.valid_up_to()]).unwrap_or_default(),
        };
        self.to.write_all(escape_json(whole).as_bytes())?;
        self.partial.drain(..whole.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
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
    fn what_is_not_seen_is_shown() {
        for hidden in ['\u{fe00}', '\u{fe0e}', '\u{fe0f}', '\u{2800}', '\u{180b}', '\u{e0100}', '\u{3164}'] {
            let shown = format!("al{}ice", hidden.escape_unicode());
            assert_eq!(escape(&format!("al{hidden}ice")), shown);
        }
        assert_eq!(escape("❤\u{fe0f}\u{fe0f}"), "❤\u{fe0f}\\u{fe0f}");
        assert_eq!(escape("👩\u{200d}\u{fe0f}"), "👩\\u{200d}\\u{fe0f}");
    }

    #[test]
    fn json_says_the_same_without_what_a_terminal_obeys() {
        let texts = ["a\u{9b}2J\u{7f}", "\u{202e}x\u{2069}\u{61c}", "👩\u{200d}🚀 é\u{1b}"];
        let json = serde_json::to_string(&texts).unwrap();
        let escaped = escape_json(&json);
        assert_eq!(escaped, r#"["a\u009b2J\u007f","\u202ex\u2069\u061c","👩‍🚀 é\u001b"]"#);
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), texts);
        let mut written = JsonEscaping::new(Vec::new());
        json.as_bytes().chunks(1).for_each(|byte| written.write_all(byte).unwrap());
        assert_eq!(String::from_utf8(written.to).unwrap(), escaped);
    }

    #[test]
    fn what_languages_write_stays() {
        for text in [
            "Grüße, 小明 🎉",
            "e\u{301} o\u{302}\u{323}",
            "👨\u{200d}👩\u{200d}👧 ❤\u{fe0f}\u{200d}🔥 👩🏽\u{200d}🚀",
            "क\u{94d}\u{200d}ष क\u{94d}\u{200c}ष",
            "می\u{200c}خواهم",
            "☎\u{fe0e} 1\u{fe0f}\u{20e3} ©\u{fe0f}",
            "ᠬ\u{180b}",
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
