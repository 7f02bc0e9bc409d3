//! Foreign text on a terminal: nothing in it moves the cursor, hides, or turns the direction of writing. What that is, Unicode
//! says, not the program.

use std::collections::BTreeSet;

use serde_json::Value;

use super::shell;
use crate::support::Shell;

/// `Bidi_Control` of `PropList.txt`, Unicode 16
const BIDI_CONTROL: &[(u32, u32)] = &[(0x061C, 0x061C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069)];

/// `Default_Ignorable_Code_Point` of `DerivedCoreProperties.txt`, Unicode 16, without the variation selectors, which belong to
/// the character before them
const IGNORABLE: &[(u32, u32)] = &[
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE00FF),
    (0xE01F0, 0xE0FFF),
];

/// `Cc`, `Zl` and `Zp` of `DerivedGeneralCategory.txt`, and the format characters that mark annotations; without NUL, which no
/// text holds, and the line break, which ends our own lines
const CONTROLS: &[(u32, u32)] =
    &[(0x0001, 0x0009), (0x000B, 0x001F), (0x007F, 0x009F), (0x2028, 0x2029), (0xFFF9, 0xFFFB)];

fn characters(of: &[&[(u32, u32)]]) -> BTreeSet<char> {
    of.concat().iter().flat_map(|(first, last)| (*first..=*last).filter_map(char::from_u32)).collect()
}

/// Fails where one of them is shown.
fn must_show_none(shell: &Shell, words: &[&str], hidden: &BTreeSet<char>) {
    let run = shell.run_words(words, "");
    for (name, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        let shown = text.chars().find(|character| hidden.contains(character));
        assert!(shown.is_none(), "{words:?}: U+{:04X} on {name}", shown.map_or(0, u32::from));
    }
    assert!(run.stdout.contains("\\u{61c}") || run.stderr.contains("\\u{61c}"), "{words:?}: {run}");
}

#[test]
fn what_unicode_hides_or_turns_is_shown_by_its_number_wherever_foreign_text_stands() {
    let shell = shell();
    let hidden = characters(&[BIDI_CONTROL, IGNORABLE, CONTROLS]);
    let content: String = hidden.iter().flat_map(|character| ['a', *character]).collect();
    let turning: String = characters(&[BIDI_CONTROL]).iter().flat_map(|character| ['a', *character]).collect();
    shell.done_with(&["message", "send", "team", &content, "--as", "ann"]);
    shell.done_with(&["message", "edit", "team#3", &format!("{content}b"), "--reason", &turning, "--as", "ann"]);
    shell.done_with(&["message", "send", "team", &format!("find {content}"), "--reply-to", "team#3", "--as", "bob"]);
    shell.done_with(&["user", "update", "bob", "--first-name", &turning, "--last-name", &turning]);
    shell.done_with(&["conversation", "update", "team", "--title", &turning, "--as", "ann"]);
    for line in [
        "message list team",
        "message list --fields content",
        "message show team#3",
        "message history team#3",
        "message history team#3 --diff",
        "message thread team#3",
        "message search find",
        "notifications list --user ann",
        "user list --fields first_name",
        "user show bob --fields last_name",
        "conversation list",
        "conversation show team",
    ] {
        must_show_none(&shell, &line.split(' ').collect::<Vec<_>>(), &hidden);
    }
    // What somebody typed is foreign text too, once it is quoted.
    for words in [
        ["user", "show", &turning].as_slice(),
        &["conversation", "show", &turning],
        &["message", "show", &format!("{turning}#1")],
        &["message", "list", "--from", &turning],
        &["user", "update", "bob", "--email", &turning],
    ] {
        must_show_none(&shell, words, &hidden);
    }
    // Programs get it as it is.
    let run = shell.done("message show team#4 -o json");
    let message: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(message["content"], format!("find {content}"));
}

#[test]
fn no_username_holds_what_turns_the_direction_of_writing() {
    let shell = shell();
    for character in characters(&[BIDI_CONTROL]) {
        for name in [format!("eve{character}"), format!("{character}eve"), format!("e{character}ve")] {
            let run = shell.run_words(&["user", "create", &name, "--no-password"], "");
            assert_eq!(run.code, 6, "U+{:04X}: {run}", u32::from(character));
        }
    }
    assert!(!shell.done("user list -o ids --search eve").stdout.contains('-'));
}
