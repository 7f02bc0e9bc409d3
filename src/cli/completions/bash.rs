//! The shell whose words the program has to take apart and put together itself.

/// Bash splits words at `=`, `:` and `@`, expands what a script hands back, and quotes nothing: so the program gets the
/// line as it was typed, and answers with what belongs on it.
pub(super) const SCRIPT: &str = include_str!("../../../completions/tidings.bash");

/// A line up to the cursor, taken apart as a shell does.
#[derive(Debug)]
pub(super) struct Line {
    /// Its words without their quotes; the last is the one to complete
    pub(super) words: Vec<String>,
    /// How many characters of the last word bash keeps, replacing only what is behind them
    kept: usize,
    /// The quote that is still open
    quote: Option<char>,
}

impl Line {
    /// Takes a line apart; `breaks` are the characters behind which bash completes anew.
    pub(super) fn read(line: &str, breaks: &str) -> Self {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let (mut kept, mut quote) = (0, None);
        let mut rest = line.chars().peekable();
        while let Some(character) = rest.next() {
            let length = word.as_ref().map_or(0, |word| word.chars().count());
            match (quote, character) {
                (None, _) if character.is_whitespace() => {
                    words.extend(word.take());
                    kept = 0;
                }
                (None, '\'' | '"') => {
                    quote = Some(character);
                    kept = length;
                    word.get_or_insert_default();
                }
                (Some(open), _) if open == character => quote = None,
                (None, '\\') => word.get_or_insert_default().extend(rest.next()),
                (Some('"'), '\\') => {
                    let escaped = rest.next_if(|next| "$`\"\\".contains(*next));
                    word.get_or_insert_default().push(escaped.unwrap_or(character));
                }
                _ => {
                    word.get_or_insert_default().push(character);
                    if quote.is_none() && breaks.contains(character) {
                        // `@` is one of readline's special prefixes: it belongs to what is replaced.
                        kept = if character == '@' { length } else { length + 1 };
                    }
                }
            }
        }
        words.push(word.unwrap_or_default());
        Self { words, kept, quote }
    }

    /// What bash is to put in place of the end of the last word, so that the word becomes this one.
    pub(super) fn rest_of(&self, word: &str) -> String {
        let rest: String = word.chars().skip(self.kept).collect();
        match self.quote {
            Some('\'') => rest.replace('\'', "'\\''"),
            Some(_) => escaped(&rest, |character| !"$`\"\\".contains(character)),
            None => {
                // The home folder stays what it means.
                let (home, rest) = if rest.starts_with("~/") { rest.split_at(2) } else { ("", rest.as_str()) };
                let comment = if self.kept == 0 && rest.starts_with('#') { "\\" } else { "" };
                let is_plain = |character: char| character.is_alphanumeric() || "-_./:=@%+,#".contains(character);
                [home, comment, &escaped(rest, is_plain)].concat()
            }
        }
    }
}

/// A word without its quotes
pub(super) fn unquoted(word: &str) -> String {
    Line::read(word, "").words.pop().unwrap_or_default()
}

fn escaped(text: &str, is_plain: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if !is_plain(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    #[test]
    fn a_line_is_taken_apart_as_bash_does() {
        let line = Line::read(r"tidings user show \|tr", BREAKS);
        assert_eq!(line.words, ["tidings", "user", "show", "|tr"]);
        assert_eq!(line.rest_of("|trey|"), r"\|trey\|");
        let line = Line::read("tidings --as=al", BREAKS);
        assert_eq!((line.words[1].as_str(), line.rest_of("--as=alice").as_str()), ("--as=al", "alice"));
        let line = Line::read("tidings message list @b", BREAKS);
        assert_eq!(line.rest_of("@bob"), "@bob");
        let line = Line::read("tidings user show '[[m", BREAKS);
        assert_eq!((line.words[3].as_str(), line.rest_of("[[mandrix]]").as_str()), ("[[m", "[[mandrix]]"));
        assert_eq!(Line::read("tidings user show ", BREAKS).words[3], "");
        assert_eq!(Line::read("tidings --file ", BREAKS).rest_of("~/a b"), r"~/a\ b");
    }

    proptest! {
        #[test]
        fn what_is_put_on_the_line_is_read_back(word in "[^\\s\\pC]{1,20}", quote in prop_oneof!["", "'", "\""]) {
            let typed = format!("tidings {quote}");
            let full = format!("{typed}{}{quote}", Line::read(&typed, BREAKS).rest_of(&word));
            prop_assert_eq!(&Line::read(&full, "").words[1], &word);
        }
    }
}
