//! Preconditions of requests (RFC 9110, section 13).

use axum::extract::FromRequestParts;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};

use super::Shared;
use super::problem::Problem;
use crate::error::{Error, Result};

/// What a request that changes something wants its object's entity tag to be, and not to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// Entity tags, without their quotes
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// Whatever there is
    Any,
    These(Vec<String>),
}

impl FromRequestParts<Shared> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> std::result::Result<Self, Problem> {
        Ok(Self::of(parts)?)
    }
}

impl Conditions {
    /// Those of a request; none of one that only reads, which `If-None-Match` answers more briefly.
    pub(crate) fn of(parts: &Parts) -> Result<Self> {
        if [Method::GET, Method::HEAD].contains(&parts.method) {
            return Ok(Self::default());
        }
        Ok(Self {
            if_match: tags(&parts.headers, &IF_MATCH, "if_match")?,
            if_none_match: tags(&parts.headers, &IF_NONE_MATCH, "if_none_match")?,
        })
    }

    /// Refuses the request if the current state does not meet them. `first` is the first part of its entity tag, which
    /// covers what can be changed; the `whole` tag is computed only if needed.
    pub(crate) fn must_be_met(&self, first: &str, whole: impl FnOnce() -> Result<String>) -> Result<()> {
        let first_of = |tag: &str| tag.split_once('-').map_or(tag, |(first, _)| first).to_owned();
        match &self.if_match {
            Some(Tags::These(tags)) if !tags.iter().any(|tag| first_of(tag) == first) => return Err(stale()),
            _ => {}
        }
        match &self.if_none_match {
            Some(Tags::Any) => Err(there()),
            Some(Tags::These(tags)) if tags.contains(&whole()?) => Err(there()),
            _ => Ok(()),
        }
    }

    /// As [`Conditions::must_be_met`], for a resource without an entity tag.
    pub(crate) fn must_be_met_by_any(&self) -> Result<()> {
        match (&self.if_match, &self.if_none_match) {
            (Some(Tags::These(_)), _) => Err(stale()),
            (_, Some(Tags::Any)) => Err(there()),
            _ => Ok(()),
        }
    }
}

fn stale() -> Error {
    Error::stale("The resource has changed: its entity tag does not match If-Match.")
        .hint("It was changed meanwhile; read it again.")
}

fn there() -> Error {
    Error::stale("The resource exists, and its entity tag matches If-None-Match.")
}

/// The entity tags in a header, weak or strong; none without the header
fn tags(headers: &HeaderMap, name: &HeaderName, field: &'static str) -> Result<Option<Tags>> {
    let mut found = None;
    for value in headers.get_all(name) {
        let read = value.to_str().ok().and_then(read);
        let read = read.ok_or_else(|| {
            let detail = format!("{name} must be * or a list of entity tags, separated by commas.");
            Error::invalid(field, detail)
        })?;
        found = Some(match (found, read) {
            (None, read) => read,
            (Some(Tags::These(mut tags)), Tags::These(more)) => {
                tags.extend(more);
                Tags::These(tags)
            }
            _ => Tags::Any,
        });
    }
    Ok(found)
}

fn read(text: &str) -> Option<Tags> {
    if text.trim() == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return (!tags.is_empty()).then_some(Tags::These(tags));
        }
        // The text between quotes may contain a comma.
        let (tag, behind) = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        tags.push(tag.to_owned());
        rest = behind.trim_start_matches([' ', '\t']);
        if !(rest.is_empty() || rest.starts_with(',')) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_read_weak_or_strong_one_or_several() {
        let these = |tags: &[&str]| Some(Tags::These(tags.iter().map(ToString::to_string).collect()));
        assert_eq!(read(" * "), Some(Tags::Any));
        assert_eq!(read("\"1-a\""), these(&["1-a"]));
        assert_eq!(read("W/\"1-a\",\"2\" , , \"a,b\""), these(&["1-a", "2", "a,b"]));
        for text in ["", ",", "1-a", "\"1", "\"1\" \"2\"", "w/\"1\"", "*, \"1\""] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
