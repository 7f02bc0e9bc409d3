//! How folded texts are compared with their beginning.

use crate::model::fold_case;

/// The range of folded texts that begin with a text: from the first bound on, below the second.
pub(super) fn beginning_with(prefix: &str) -> (String, String) {
    let from = fold_case(prefix);
    let below = format!("{from}{}", char::MAX);
    (from, below)
}
