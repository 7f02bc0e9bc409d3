//! What of a text is seen, and which names look alike.

use icu_properties::props::{CanonicalCombiningClass, DefaultIgnorableCodePoint, Emoji, JoiningType};
use icu_properties::{CodePointMapData, CodePointSetData};

use super::folding::fold_case;

/// Whether a program that cannot show a character shows nothing in its place (Unicode's `Default_Ignorable_Code_Point`)
pub fn is_ignorable(character: char) -> bool {
    !character.is_ascii() && CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// Whether a character is invisible: white space, controls, default-ignorable characters, and the empty Braille pattern
pub fn is_invisible(character: char) -> bool {
    character.is_whitespace() || character.is_control() || character == '\u{2800}' || is_ignorable(character)
}

/// Whether nothing of a text is seen
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// Whether a character can be an emoji, so that a variation selector may follow it
pub fn is_picture(character: char) -> bool {
    !character.is_ascii() && CodePointSetData::new::<Emoji>().contains(character)
}

/// Whether an invisible joiner stands where its script needs it: ZWNJ and ZWJ behind a virama, ZWNJ between letters that would
/// join (RFC 5892, A.1 and A.2).
pub fn may_join(before: &str, joiner: char, after: &str) -> bool {
    let joining = |character: char| CodePointMapData::<JoiningType>::new().get(character);
    let letter = |mut text: Box<dyn Iterator<Item = char> + '_>| {
        text.find(|character| joining(*character) != JoiningType::Transparent).map(joining)
    };
    let is_virama = |character: char| {
        CodePointMapData::<CanonicalCombiningClass>::new().get(character) == CanonicalCombiningClass::Virama
    };
    match joiner {
        '\u{200C}' | '\u{200D}' if before.ends_with(is_virama) => true,
        '\u{200C}' => {
            let joins_before = [Some(JoiningType::LeftJoining), Some(JoiningType::DualJoining)];
            let joins_after = [Some(JoiningType::RightJoining), Some(JoiningType::DualJoining)];
            joins_before.contains(&letter(Box::new(before.chars().rev())))
                && joins_after.contains(&letter(Box::new(after.chars())))
        }
        _ => false,
    }
}

/// The skeleton of a name, ignoring case: equal for names that look alike (Unicode TS 39, section 4).
pub fn skeleton(name: &str) -> String {
    shape(&fold_case(name))
}

/// The skeletons of names that look like this one, also those in which only a capital letter does.
pub fn skeletons(name: &str) -> [String; 2] {
    [skeleton(name), shape(name)]
}

fn shape(name: &str) -> String {
    let seen: String = name.chars().filter(|character| !is_invisible(*character)).collect();
    // The prototype of some letters is a capital.
    fold_case(&unicode_security::skeleton(&seen).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_has_one_skeleton() {
        for (one, other) in [
            ("alice", "\u{430}li\u{441}e"),
            ("alice", "ａｌｉｃｅ"),
            ("Alice", "\u{410}LICE"),
            ("tom", "torn"),
            ("user1", "userl"),
            ("alice", "al\u{200d}ice\u{fe0f}\u{2800}"),
            ("zero0", "zeroO"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
        assert_ne!(skeleton("jürgen"), skeleton("jurgen"));
        assert_ne!(skeleton("小明"), skeleton("小朋"));
        assert!(skeletons("a\u{406}ice").contains(&skeleton("alice")), "a capital that looks like an l");
    }

    #[test]
    fn joiners_stand_where_scripts_need_them() {
        for (before, joiner, after) in [
            ("می", '\u{200c}', "خواهم"),
            ("क\u{94d}", '\u{200d}', "ष"),
            ("क\u{94d}", '\u{200c}', "ष"),
            ("ب\u{64e}", '\u{200c}', "ب"),
        ] {
            assert!(may_join(before, joiner, after), "{before} {after}");
        }
        for (before, joiner, after) in [
            ("alice", '\u{200c}', ""),
            ("al", '\u{200d}', "ice"),
            ("", '\u{200c}', "خواهم"),
            ("می", '\u{200c}', ""),
            ("می", '\u{200d}', "خ"),
            ("ا", '\u{200c}', "ب"),
            ("👩", '\u{200d}', "🚀"),
        ] {
            assert!(!may_join(before, joiner, after), "{before} {after}");
        }
    }

    #[test]
    fn what_is_not_seen_is_blank() {
        for text in ["", " \n", "\u{200b}\u{feff}", "\u{2060}\u{ad}", "\u{3164}\u{2800}", "\u{e0061}\u{fe0f}", "\u{7}"]
        {
            assert!(is_blank(text), "{text:?}");
        }
        for text in ["a", "\u{200b}.", "\u{301}", "🎉", "小"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }
}
