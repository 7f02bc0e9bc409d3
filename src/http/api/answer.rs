//! What is answered: JSON with an entity tag, lists with links to the pages around.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use foldhash::quality::FixedState;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::http::server::Shared;
use crate::http::server::client::is_secure;
use crate::http::server::kept::{Address, Rendered};
use crate::http::server::problem::Problem;
use crate::model::{Choice, ConversationView, Message, Number, Profile, Seek, User};
use crate::service::page::Page;

/// The hash for entity tags, the same on every server. A cryptographic hash would take 5 % of the time of a list.
const HASH: FixedState = FixedState::with_seed(0);

/// The result of a handler
pub(in crate::http) type Answer = Result<Response, Problem>;

/// The initial size of a response, in bytes: enough for most, so that it is allocated once
const ROOM: usize = 16 * 1024;

/// A response with a JSON body and no entity tag.
pub(super) fn json(status: StatusCode, thing: &impl Serialize) -> Answer {
    Ok((status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], written(thing)?).into_response())
}

fn written(thing: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, Error> {
    let mut body = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut body, thing).map_err(Error::internal)?;
    Ok(body)
}

/// A response to `GET` with an entity tag; 304 if the client has it already.
pub(super) fn shown(if_none_match: &IfNoneMatch, thing: &impl Serialize) -> Answer {
    tagged(if_none_match, StatusCode::OK, None, thing)
}

/// As [`shown`], for a resource that can be changed: its entity tag begins with a hash of what can be changed.
pub(super) fn shown_to_change(if_none_match: &IfNoneMatch, thing: &impl Changeable) -> Answer {
    tagged(if_none_match, StatusCode::OK, Some(&thing.first()), thing)
}

/// A response to a request that created or changed a resource, with its entity tag
pub(super) fn changed(status: StatusCode, thing: &impl Changeable) -> Answer {
    tagged(&IfNoneMatch(None), status, Some(&thing.first()), thing)
}

/// A resource with an entity tag whose first part covers what can be changed
pub(super) trait Changeable: Serialize {
    /// The first part of its entity tag
    fn first(&self) -> String;

    /// The whole entity tag, without its quotes
    fn tag(&self) -> Result<String, Error> {
        Ok(whole_tag(Some(&self.first()), &written(self)?))
    }
}

impl Changeable for Message {
    fn first(&self) -> String {
        self.revision.to_string()
    }
}

impl Changeable for User {
    fn first(&self) -> String {
        let Self { person, email, role, is_active, .. } = self;
        hash(&(&person.username, &person.first_name, &person.last_name, email, role.word(), is_active))
    }
}

impl Changeable for Profile {
    fn first(&self) -> String {
        match self {
            Self::Full(user) => user.first(),
            Self::Short(person) => hash(&(&person.username, &person.first_name, &person.last_name)),
        }
    }
}

impl Changeable for ConversationView {
    fn first(&self) -> String {
        of_names(self.name.as_deref(), self.title.as_deref())
    }
}

/// The first part of a conversation's entity tag
pub(super) fn of_names(name: Option<&str>, title: Option<&str>) -> String {
    hash(&(name, title))
}

fn hash(fields: &impl Hash) -> String {
    format!("{:016x}", HASH.hash_one(fields))
}

fn whole_tag(first: Option<&str>, body: &[u8]) -> String {
    let hash = HASH.hash_one(body);
    first.map_or_else(|| format!("{hash:016x}"), |first| format!("{first}-{hash:016x}"))
}

fn tagged(if_none_match: &IfNoneMatch, status: StatusCode, first: Option<&str>, thing: &impl Serialize) -> Answer {
    Ok(sent(if_none_match, status, rendered(first, thing)?))
}

fn rendered(first: Option<&str>, thing: &impl Serialize) -> Result<Rendered, Error> {
    let body = written(thing)?;
    let tag = format!("\"{}\"", whole_tag(first, &body));
    let tag = HeaderValue::try_from(tag).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Rendered { tag, body: body.into() })
}

fn sent(if_none_match: &IfNoneMatch, status: StatusCode, Rendered { tag, body }: Rendered) -> Response {
    if tag.to_str().is_ok_and(|tag| if_none_match.has(tag)) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    let media_type = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, media_type), (ETAG, tag)], body).into_response()
}

/// One page of a list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(super) struct List<T> {
    /// The number of all results; except for the messages of a conversation at most 10,000
    count: i64,
    /// The URL of the next page
    next: Option<String>,
    /// The URL of the previous page
    previous: Option<String>,
    results: Vec<T>,
}

/// The number of messages or notifications that were marked
#[derive(Serialize, JsonSchema)]
pub(super) struct Marked {
    status: String,
    count: i64,
}

impl Marked {
    /// The response for so many that were marked as read.
    pub(super) fn read(count: i64) -> Self {
        // The words of the original system
        Self { status: format!("Marked {count} message(s) as read"), count }
    }
}

/// The header `If-None-Match`: the entity tags of what the client has already
pub(super) struct IfNoneMatch(Option<HeaderValue>);

impl FromRequestParts<Shared> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get(IF_NONE_MATCH).cloned()))
    }
}

impl IfNoneMatch {
    /// Whether that tag is among them
    fn has(&self, tag: &str) -> bool {
        let known = self.0.as_ref().and_then(|known| known.to_str().ok()).unwrap_or_default();
        known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    }
}

/// The URL of a request, for links to the next and previous page.
pub(super) struct Here {
    server: Shared,
    pub(super) if_none_match: IfNoneMatch,
    pub(super) address: Address,
}

impl FromRequestParts<Shared> for Here {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Infallible> {
        let is_secure = is_secure(&parts.headers, server.options.behind_proxy);
        Ok(Self {
            server: Shared::clone(server),
            if_none_match: IfNoneMatch::from_request_parts(parts, server).await?,
            address: Address {
                scheme: if is_secure { "https" } else { "http" },
                host: parts.headers.get(HOST).cloned(),
                uri: parts.uri.clone(),
            },
        })
    }
}

impl Here {
    /// The requested page: the cursor, if there is one, and the page size.
    pub(super) fn part<P: DeserializeOwned>(
        &self,
        cursor: Option<&str>,
        page_size: Option<i64>,
    ) -> Result<(Option<Seek<P>>, i64), Error> {
        Ok((self.seek(cursor)?, page_size_of(page_size)?))
    }

    /// The cursor of the request
    pub(super) fn seek<P: DeserializeOwned>(&self, cursor: Option<&str>) -> Result<Option<Seek<P>>, Error> {
        let forged =
            || Error::invalid("cursor", "The cursor does not belong to this list; follow the links next and previous.");
        let open = |cursor| {
            let text = self.server.keys.open(self.address.uri.path(), cursor).ok_or_else(forged)?;
            serde_json::from_slice(&text).map_err(|_| forged())
        };
        cursor.map(open).transpose()
    }

    /// A page of a list, with links that contain a cursor.
    pub(super) fn list<T: Serialize, P: Serialize>(&self, page: Page<T, P>) -> Answer {
        shown(&self.if_none_match, &self.listed(page)?)
    }

    /// As [`Here::list`], before it is serialized
    pub(super) fn listed<T, P: Serialize>(&self, page: Page<T, P>) -> Result<List<T>, Error> {
        let link = |seek: Option<Seek<P>>| {
            let link = |seek| {
                let text = serde_json::to_vec(&seek).map_err(Error::internal)?;
                Ok::<_, Error>(self.link("cursor", &self.server.keys.seal(self.address.uri.path(), &text)?))
            };
            seek.map(link).transpose()
        };
        let Page { items, count, next, previous } = page;
        Ok(List { count, next: link(next)?, previous: link(previous)?, results: items })
    }

    /// A page of a conversation's messages, with links that contain a message number.
    pub(super) fn numbered<T: Serialize>(&self, page: Page<T, Number>, lowest_first: bool) -> Answer {
        Ok(self.send(self.rendered(page, lowest_first)?))
    }

    /// As [`Here::numbered`], before it is sent
    pub(super) fn rendered<T: Serialize>(&self, page: Page<T, Number>, lowest_first: bool) -> Result<Rendered, Error> {
        let link = |seek: Option<Seek<Number>>| {
            seek.map(|seek| match (seek, lowest_first) {
                (Seek::After(number), false) | (Seek::Before(number), true) => {
                    self.link("before", &number.0.to_string())
                }
                (Seek::Before(number), false) | (Seek::After(number), true) => {
                    self.link("after", &number.0.to_string())
                }
            })
        };
        let Page { items, count, next, previous } = page;
        rendered(None, &List { count, next: link(next), previous: link(previous), results: items })
    }

    /// A page as it was rendered; 304 if the client has it already.
    pub(super) fn send(&self, rendered: Rendered) -> Response {
        sent(&self.if_none_match, StatusCode::OK, rendered)
    }

    /// This address with another position
    fn link(&self, name: &str, value: &str) -> String {
        let Address { scheme, host, uri } = &self.address;
        let kept = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .filter(|(name, _)| !["before", "after", "cursor"].contains(&name.as_ref()));
        let query =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair(name, value).finish();
        let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{scheme}://{host}{}?{query}", uri.path())
    }
}

/// The page size: 1 to 100, 20 by default
pub(super) fn page_size_of(asked: Option<i64>) -> Result<i64, Error> {
    match asked {
        None => Ok(20),
        Some(size) if (1..=100).contains(&size) => Ok(size),
        Some(_) => Err(Error::invalid("page_size", "The page size is 1 to 100.")),
    }
}
