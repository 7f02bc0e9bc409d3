//! The address of a list: its path, its filter, and where the page begins.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::form::{Form, parameter};
use super::view::Around;
use crate::error::{Error, Result};
use crate::model::Seek;
use crate::service::tokens::Keys;

/// The parameter with the sealed position
const CURSOR: &str = "cursor";

/// The field of a form with the query of the page that it is on
const PLACE: &str = "place";

/// Which page of which list it is
#[derive(Clone)]
pub(super) struct Address {
    path: String,
    /// The parameters that say something, in the order of their names
    filter: Vec<(&'static str, String)>,
    cursor: String,
}

impl Address {
    /// Reads a query: of its parameters those with these names, and the position.
    pub(super) fn read(path: impl Into<String>, query: Option<&str>, names: &[&'static str]) -> Self {
        let said = |name: &&'static str| Some((*name, parameter(query, name).filter(|text| !text.is_empty())?));
        let filter = names.iter().filter_map(said).collect();
        Self { path: path.into(), filter, cursor: parameter(query, CURSOR).unwrap_or_default() }
    }

    /// Reads the place that a form of the list was sent from.
    pub(super) fn of_form(path: impl Into<String>, form: &Form, names: &[&'static str]) -> Self {
        Self::read(path, form.text(PLACE).strip_prefix('?'), names)
    }

    /// A parameter of the filter; one that is not there is empty
    pub(super) fn text(&self, name: &str) -> &str {
        self.filter.iter().find(|(found, _)| *found == name).map(|(_, text)| text.as_str()).unwrap_or_default()
    }

    /// Whether anything is filtered
    pub(super) fn is_filtered(&self) -> bool {
        !self.filter.is_empty()
    }

    /// Where the page begins or ends. What is no cursor, or one of another filter, is the beginning.
    pub(super) fn seek<P: DeserializeOwned>(&self, keys: &Keys) -> Option<Seek<P>> {
        keys.open(&self.first(), &self.cursor).and_then(|seek| serde_json::from_slice(&seek).ok())
    }

    /// What follows the path to this very page: empty, or with its question mark
    pub(super) fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.filter);
        query.extend_pairs(Some((CURSOR, &self.cursor)).filter(|_| !self.cursor.is_empty()));
        let query = query.finish();
        if query.is_empty() { query } else { format!("?{query}") }
    }

    /// The address of the first page with the same filter
    pub(super) fn first(&self) -> String {
        Self { cursor: String::new(), ..self.clone() }.at()
    }

    /// The same; none where this is it
    pub(super) fn beginning(&self) -> Option<String> {
        (!self.cursor.is_empty()).then(|| self.first())
    }

    /// The whole address of this very page
    pub(super) fn at(&self) -> String {
        format!("{}{}", self.path, self.query())
    }

    /// The addresses of the pages around this one
    pub(super) fn around<P: Serialize>(
        &self,
        keys: &Keys,
        previous: Option<&Seek<P>>,
        next: Option<&Seek<P>>,
    ) -> Result<Around> {
        let link = |seek: &Seek<P>| {
            let seek = serde_json::to_vec(seek).map_err(Error::internal)?;
            Ok::<_, Error>(Self { cursor: keys.seal(&self.first(), &seek)?, ..self.clone() }.at())
        };
        let (previous, next) = (previous.map(link).transpose()?, next.map(link).transpose()?);
        Ok(Around { previous, next, first: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_and_the_place_are_kept_in_the_address() {
        let keys = Keys::new(b"a secret of the tests", None).unwrap();
        let read = |query: &str| Address::read("/list/", Some(query), &["q", "role"]);
        let first = read("q=a%26b&role=&other=1");
        assert_eq!((first.at(), first.text("q"), first.text("role")), ("/list/?q=a%26b".to_owned(), "a&b", ""));
        assert_eq!(first.seek::<i64>(&keys), None);
        let around = first.around(&keys, None, Some(&Seek::After(7_i64))).unwrap();
        let next = around.next.unwrap();
        assert_eq!(around.previous, None);
        let second = read(next.strip_prefix("/list/?").unwrap());
        assert_eq!((second.seek(&keys), second.text("q"), second.at()), (Some(Seek::After(7_i64)), "a&b", next));
        let mut form = form_urlencoded::Serializer::new(String::new());
        let form = Form::read("/", form.append_pair(PLACE, &second.query()).finish().as_bytes()).unwrap();
        assert_eq!(Address::of_form("/list/", &form, &["q", "role"]).at(), second.at());
        assert_eq!((second.beginning(), first.beginning()), (Some(first.at()), None));
        assert_eq!(read("cursor=forged").seek::<i64>(&keys), None);
        // A place in one list is none in another.
        let other = read(&second.query()[1..].replace("a%26b", "other"));
        assert_eq!((other.text("q"), other.seek::<i64>(&keys)), ("other", None));
        assert!(!read("").is_filtered() && first.is_filtered() && read("").query().is_empty());
    }
}
