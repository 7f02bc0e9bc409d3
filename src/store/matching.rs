//! How folded texts are compared with their beginning.

use crate::model::fold_case;

/// The most characters that a username or the name of a conversation has
const LONGEST: usize = 150;

/// The range of folded names that begin with a text: from the first bound on, below the second. A name may begin with U+10FFFF, above
/// which there is no character; but not so often.
pub(super) fn beginning_with(prefix: &str) -> (String, String) {
    let from = fold_case(prefix);
    let mut below = from.clone();
    below.extend(std::iter::repeat_n(char::MAX, LONGEST + 1));
    (from, below)
}
