//! The env file: lines of the form `NAME=value`, quoted as in a shell.
//!
//! Outside single quotes `$NAME` and `${NAME}` stand for the value of a variable that is set, a name being as long as its
//! letters, digits and underscores go. Whatever could be meant in another way is refused rather than guessed at.

use std::collections::HashMap;

use crate::cli::text::BYTE_ORDER_MARK;

/// Spaces within a line
const BLANK: [char; 3] = [' ', '\t', '\r'];

/// What is wrong with an assignment, never with a part of it: it may be a password.
type Result<T> = std::result::Result<T, &'static str>;

/// Reads the variables of an env file; what it refers to stands in the environment, else on the lines before.
///
/// # Errors
/// Which line cannot be read, and why.
pub(super) fn read(
    text: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> std::result::Result<HashMap<String, String>, String> {
    let mut variables = HashMap::new();
    let mut rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(variables);
        }
        if rest.starts_with('#') {
            rest = behind_line(rest).1;
            continue;
        }
        let look_up = |name: &str| environment(name).or_else(|| variables.get(name).cloned());
        let (name, value, behind) = assignment(rest, look_up).map_err(|why| {
            let before = &text[..text.len() - rest.len()];
            format!("line {}: {why}", before.matches('\n').count() + 1)
        })?;
        variables.insert(name.to_owned(), value);
        rest = behind;
    }
}

/// The name and the value of an assignment, and the text behind its line
fn assignment(text: &str, look_up: impl Fn(&str) -> Option<String>) -> Result<(&str, String, &str)> {
    let is_part = |character: char| is_part_of_name(character) || character == '.';
    let (mut name, mut rest) = split_name(text, is_part);
    if name == "export" {
        let (exported, behind) = split_name(rest.trim_start_matches(BLANK), is_part);
        (name, rest) = if exported.is_empty() { (name, rest) } else { (exported, behind) };
    }
    let assigned = rest.trim_start_matches(BLANK).strip_prefix('=').filter(|_| !name.is_empty());
    let (value, behind) = value(assigned.ok_or("it is not of the form NAME=value")?, look_up)?;
    Ok((name, value, behind))
}

/// A value, and the text behind its last line: quotes go over several.
fn value(text: &str, look_up: impl Fn(&str) -> Option<String>) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut quote = None;
    let trimmed = text.trim_start_matches(BLANK);
    // Without a space before it, # begins no comment.
    let mut rest = if trimmed.starts_with('#') { text } else { trimmed };
    while let Some(character) = rest.chars().next() {
        let behind = &rest[character.len_utf8()..];
        rest = behind;
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('\''), _) => value.push(character),
            (_, '\\') => {
                let escaped = rest.chars().next().ok_or("it ends in a backslash")?;
                value.push(match escaped {
                    'n' => '\n',
                    '\\' | '\'' | '"' | '$' | ' ' => escaped,
                    _ => return Err("a backslash that stands for itself needs single quotes"),
                });
                rest = &rest[1..];
            }
            (_, '$') => {
                let (name, behind) = reference(rest).ok_or("a $ that stands for itself needs single quotes")?;
                value += &look_up(name)
                    .ok_or("it refers to a variable that is not set; a $ that stands for itself needs single quotes")?;
                rest = behind;
            }
            (None, '\'' | '"') => quote = Some(character),
            (None, '\n') => return Ok((value, rest)),
            (None, ' ' | '\t' | '\r') => {
                let (end, behind) = behind_line(rest);
                let end = end.trim_start_matches(BLANK);
                if end.is_empty() || end.starts_with('#') {
                    return Ok((value, behind));
                }
                return Err("a value with spaces needs quotes");
            }
            _ => value.push(character),
        }
    }
    if quote.is_some() { Err("its quotes are not closed") } else { Ok((value, rest)) }
}

/// The name behind a `$`, and the text behind that
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = match text.strip_prefix('{') {
        Some(braced) => {
            let (name, behind) = split_name(braced, is_part_of_name);
            (name, behind.strip_prefix('}')?)
        }
        None => split_name(text, is_part_of_name),
    };
    (!name.is_empty()).then_some((name, behind))
}

/// The name that a text begins with, which may be empty, and the text behind it
fn split_name(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    let begins = text.starts_with(|first: char| is_part_of_name(first) && !first.is_ascii_digit());
    let end = text.find(|character| !is_part(character)).unwrap_or(text.len());
    text.split_at(if begins { end } else { 0 })
}

fn is_part_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// What is left of a line, and the text behind it
fn behind_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/ann".to_owned())
    }

    #[test]
    fn a_value_is_what_a_shell_makes_of_it() {
        let read = |line: &str| {
            let variables = read(&format!("DATA_DIR=/srv/data\nDATA=no\nEMPTY=\n{line}\nLAST=1"), environment);
            let mut variables = variables.unwrap_or_else(|why| panic!("{line}: {why}"));
            assert_eq!(variables.remove("LAST").as_deref(), Some("1"), "{line}");
            variables.remove("A").unwrap_or_else(|| panic!("{line}"))
        };
        for (line, value) in [
            ("A=$DATA_DIR/t.db", "/srv/data/t.db"),
            ("A=${DATA}_DIR", "no_DIR"),
            ("A=\"$DATA_DIR/a b\"", "/srv/data/a b"),
            ("A='$DATA_DIR'", "$DATA_DIR"),
            ("A=\\$DATA_DIR", "$DATA_DIR"),
            ("A=$HOME$DATA", "/home/annno"),
            ("A=x$EMPTY.y", "x.y"),
            ("export A = b # c", "b"),
            ("A=b#c", "b#c"),
            ("A=#c", "#c"),
            ("A= #c", ""),
            ("A=   ", ""),
            ("A=b\r", "b"),
            ("A=b\\ c\"d\"'e'f", "b cdef"),
            ("A=\"one\ntwo\" # three", "one\ntwo"),
            ("A=\"one\\ntwo\\\"\"", "one\ntwo\""),
            ("A='one\\n'", "one\\n"),
            ("# A=c\n  A=é€", "é€"),
            ("A=a\nA=b", "b"),
            ("export=1\nA=2", "2"),
        ] {
            assert_eq!(read(line), value, "{line}");
        }
    }

    #[test]
    fn an_ambiguous_line_is_refused_with_its_number() {
        for line in [
            "A=b c",
            "A=$ABSENT",
            "A=$A",
            "A=pa$$word",
            "A=100$",
            "A=$1",
            "A=${HOME:-x}",
            "A=${HOME",
            "A=\"$HÖME\"",
            "A=\"b",
            "A='b",
            "A=C:\\data",
            "A=b\\",
            "A",
            "=b",
            "1A=b",
            "A: b",
            "export A",
            "A B=c",
        ] {
            let why = read(&format!("B='\n'\n{line}"), environment).expect_err(line);
            assert!(why.starts_with("line 3: "), "{line}: {why}");
        }
    }
}
