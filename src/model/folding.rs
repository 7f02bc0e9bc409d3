//! One form for the same text, and one for text that differs only in case.

use unicase::UniCase;
use unicode_normalization::UnicodeNormalization;

/// Puts text in the one form in which the same characters are the same bytes: Unicode's NFC.
pub fn normalize(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfc().collect() }
}

/// A name between isolates (Unicode's FSI and PDI), so that its direction does not change the order of what it stands among.
pub fn isolated(name: &str) -> String {
    if name.is_ascii() { name.to_owned() } else { format!("\u{2068}{name}\u{2069}") }
}

/// Folds text so that what differs only in case is equal, on every engine: Unicode's canonical caseless matching, which
/// folds the decomposed form (Unicode Standard, section 3.13, D145).
pub fn fold_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let decomposed: String = text.nfd().collect();
    UniCase::unicode(decomposed).to_folded_case().nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folding_knows_more_than_ascii() {
        for (one, other) in [("Ärger", "äRGER"), ("STRASSE", "straße"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("e\u{301}", "É")]
        {
            assert_eq!(fold_case(one), fold_case(other), "{one} {other}");
        }
        assert_ne!(fold_case("resume"), fold_case("résumé"));
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC*") {
            prop_assert_eq!(fold_case(&fold_case(&text)), fold_case(&text));
        }
    }
}
