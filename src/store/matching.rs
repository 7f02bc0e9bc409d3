//! How folded texts are compared with a part of them.

use crate::model::fold_case;

/// The range of folded texts that begin with a text: from the first bound on, below the second.
pub(super) fn beginning_with(prefix: &str) -> (String, String) {
    let from = fold_case(prefix);
    let below = format!("{from}{}", char::MAX);
    (from, below)
}

/// The pattern for `LIKE … ESCAPE '\'` that finds folded text holding `search`, whatever characters it has.
pub(super) fn pattern(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in fold_case(search).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
