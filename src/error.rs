//! What can go wrong, in one enumeration and one table: kind → HTTP status → exit code.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::Actor;

/// The result of what can fail with an [`Error`]
pub type Result<T> = std::result::Result<T, Error>;

/// The kinds of errors; the table is `Kind::row`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value breaks a rule
    Invalid,
    /// No credentials, or bad or expired ones
    Unauthenticated,
    /// Visible to the actor, but not allowed
    Forbidden,
    /// Absent, or not visible to the actor
    NotFound,
    /// It exists already
    Conflict,
    /// Changed meanwhile: not the expected revision
    Stale,
    /// No such method on this path
    MethodNotAllowed,
    /// A body with an unknown transfer encoding
    NotImplemented,
    /// A body of another type than JSON
    UnsupportedMediaType,
    /// A request for a foreign host
    Misdirected,
    /// A request that was not complete in time, or what was waited for and did not come in time
    Timeout,
    /// A request body over the limit
    TooLarge,
    /// A path or headers over the limit
    HeadersTooLarge,
    /// Too many requests of the kind
    RateLimited,
    /// A fault of the program; the cause is in the log
    Internal,
    /// The database is busy, unreachable, read-only, of another program, damaged, or newer than this program
    Unavailable,
    /// The disk is full; nothing was changed
    NoSpace,
}

impl Kind {
    /// The one table: code, HTTP status, title of the status (RFC 9110), exit code.
    const fn row(self) -> (&'static str, u16, &'static str, u8) {
        match self {
            Self::Invalid => ("invalid", 400, "Bad Request", 6),
            Self::Unauthenticated => ("unauthenticated", 401, "Unauthorized", 4),
            Self::Forbidden => ("forbidden", 403, "Forbidden", 4),
            Self::NotFound => ("not_found", 404, "Not Found", 3),
            Self::Conflict => ("conflict", 409, "Conflict", 5),
            Self::Stale => ("stale", 412, "Precondition Failed", 5),
            Self::MethodNotAllowed => ("method_not_allowed", 405, "Method Not Allowed", 2),
            Self::NotImplemented => ("not_implemented", 501, "Not Implemented", 2),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415, "Unsupported Media Type", 2),
            Self::Misdirected => ("misdirected", 421, "Misdirected Request", 2),
            Self::Timeout => ("timeout", 408, "Request Timeout", 8),
            Self::TooLarge => ("too_large", 413, "Content Too Large", 6),
            Self::HeadersTooLarge => ("headers_too_large", 431, "Request Header Fields Too Large", 6),
            Self::RateLimited => ("rate_limited", 429, "Too Many Requests", 7),
            Self::Internal => ("internal", 500, "Internal Server Error", 1),
            Self::Unavailable => ("unavailable", 503, "Service Unavailable", 7),
            Self::NoSpace => ("no_space", 507, "Insufficient Storage", 7),
        }
    }

    /// The value of `code` in problem documents
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// The exit code of the command line
    pub const fn exit_code(self) -> u8 {
        self.row().3
    }
}

/// The name of what was not found. Similar names are looked up only for errors that people read.
#[derive(Clone, Debug)]
pub enum Sought {
    /// A user, by username or email
    User(String),
    /// A group, by its name, and the actor who named it
    Group(Actor, String),
}

/// An error: its kind, and a description for the caller.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    detail: String,
    /// Whether it was made by [`Error::unchanged`], and its `detail` still ends with [`NOTHING_CHANGED`]
    says_unchanged: bool,
    hint: Option<String>,
    /// The details of each field, or place in a file, in order
    fields: Vec<(String, Vec<String>)>,
    /// Whether the fields are places in a file
    is_of_file: bool,
    /// The field that contains the name that was not found or is taken, if there is one
    named_by: Option<&'static str>,
    sought: Option<Box<Sought>>,
    /// Whether it is unknown if the change was made
    is_open: bool,
    /// Seconds to wait before the next attempt, if known
    retry_after: Option<u16>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The end of the detail of an error that changed nothing
const NOTHING_CHANGED: &str = "nothing was changed.";

impl Error {
    fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            says_unchanged: false,
            hint: None,
            fields: Vec::new(),
            is_of_file: false,
            named_by: None,
            sought: None,
            is_open: false,
            retry_after: None,
            cause: None,
        }
    }

    /// Something failed, and nothing was changed.
    fn unchanged(kind: Kind, what: &str) -> Self {
        Self { says_unchanged: true, ..Self::new(kind, format!("{what}; {NOTHING_CHANGED}")) }
    }

    /// The value of a field breaks a rule; `detail` is a sentence.
    pub fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut error = Self::new(Kind::Invalid, detail.clone());
        error.fields.push((field.to_owned(), vec![detail]));
        error
    }

    /// No credentials, or bad or expired ones.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, detail)
    }

    /// Visible to the actor, but not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, detail)
    }

    /// Absent, or not visible to the actor.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    /// It exists already.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// Not the expected revision.
    pub fn stale(detail: impl Into<String>) -> Self {
        Self::new(Kind::Stale, detail)
    }

    /// Too many requests of this kind; the next is accepted in so many seconds.
    pub fn rate_limited(detail: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(bounded(seconds)), ..Self::new(Kind::RateLimited, detail) }
    }

    /// So many requests do the same that this one did not get its turn in time; it may be better in so many seconds.
    pub fn busy(detail: &str, seconds: u64) -> Self {
        Self { retry_after: Some(bounded(seconds)), ..Self::new(Kind::Unavailable, detail) }
    }

    /// An error of a kind that has no constructor of its own.
    pub fn of_request(kind: Kind, detail: impl Into<String>) -> Self {
        Self::new(kind, detail)
    }

    /// Several fields of a request break rules.
    pub fn of_fields(detail: impl Into<String>, fields: Vec<(String, Vec<String>)>) -> Self {
        Self { fields, ..Self::new(Kind::Invalid, detail) }
    }

    /// The database cannot be used.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, detail)
    }

    /// The disk is full.
    pub fn no_space() -> Self {
        Self::unchanged(Kind::NoSpace, "The disk is full")
    }

    /// A fault of the program; `cause` is for the log and never shown.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::unchanged(Kind::Internal, "Something went wrong inside tidings").with_source(cause)
    }

    /// Problems in a file, each with its place.
    pub fn of_file(kind: Kind, detail: impl Into<String>, problems: Vec<(String, String)>) -> Self {
        let mut error = Self { is_of_file: true, ..Self::new(kind, detail) };
        for (place, problem) in problems {
            match error.fields.last_mut() {
                Some((last, more)) if *last == place => more.push(problem),
                _ => error.fields.push((place, vec![problem])),
            }
        }
        error
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn with_source(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same failure as `NoSpace`, after the disk turned out to be full.
    #[must_use]
    pub fn for_lack_of_space(self) -> Self {
        Self { cause: self.cause, ..Self::no_space() }
    }

    /// The error for a commit that failed in a way that leaves open whether it was made.
    #[must_use]
    pub fn of_unknown_outcome(self) -> Self {
        let unknown = "It is unknown whether the change was made; the same idempotency key tells.";
        let detail = format!("{} {unknown}", self.detail);
        let error = Self { kind: Kind::Unavailable, detail, says_unchanged: false, is_open: true, ..self };
        error.hint(
            "Check whether it was made before you try again. With an idempotency key, repeat it with the same key: it is carried out once.",
        )
    }

    /// Removes the location of the database, which clients must not see: detail and hint become the cause.
    #[must_use]
    pub fn without_place(self) -> Self {
        let said = match &self.hint {
            Some(hint) => format!("{} {hint}", self.detail),
            None => self.detail,
        };
        Self { is_open: self.is_open, ..Self::new(self.kind, "The database cannot be used.") }.with_source(said)
    }

    /// Sets the field of the request that contains the name.
    #[must_use]
    pub fn naming(self, field: &'static str) -> Self {
        Self { named_by: Some(field), ..self }
    }

    /// The field of the request that contains the name that was not found or is taken
    #[must_use]
    pub fn named(&self) -> Option<&'static str> {
        self.named_by
    }

    /// Sets the name of what was not found.
    #[must_use]
    pub fn seeking(self, sought: Sought) -> Self {
        Self { sought: Some(Box::new(sought)), ..self }
    }

    /// Renames a field.
    #[must_use]
    pub fn renaming(mut self, from: &str, to: &str) -> Self {
        self.fields.iter_mut().filter(|(field, _)| field == from).for_each(|(field, _)| to.clone_into(field));
        self
    }

    /// Turns `NotFound` into `Invalid` if a field of a body contained the name.
    #[must_use]
    pub fn of_body(self) -> Self {
        match (self.kind, self.named_by) {
            (Kind::NotFound, Some(field)) => Self { hint: self.hint, ..Self::invalid(field, self.detail) },
            _ => self,
        }
    }

    /// Replaces “nothing was changed” by what was changed before the failure.
    #[must_use]
    pub fn with_partial_result(mut self, changed: &str) -> Self {
        let kept = self.detail.len() - if self.says_unchanged { NOTHING_CHANGED.len() } else { 0 };
        self.detail.truncate(kept);
        self.detail.push_str(if self.says_unchanged { "" } else { " But " });
        self.detail.extend([changed, "."]);
        Self { says_unchanged: false, ..self }
    }

    /// Adds a hint for people: what to do, in a sentence.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A copy without the cause, for another request that failed with this one: the log contains the cause once.
    #[must_use]
    pub fn again(&self) -> Self {
        let Self {
            kind, detail, says_unchanged, hint, fields, is_of_file, named_by, sought, is_open, retry_after, ..
        } = self;
        let (kind, is_of_file, named_by, is_open) = (*kind, *is_of_file, *named_by, *is_open);
        let (detail, hint, fields, sought) = (detail.clone(), hint.clone(), fields.clone(), sought.clone());
        let (says_unchanged, retry_after) = (*says_unchanged, *retry_after);
        Self {
            kind,
            detail,
            says_unchanged,
            hint,
            fields,
            is_of_file,
            named_by,
            sought,
            is_open,
            retry_after,
            cause: None,
        }
    }

    /// The kind
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The hint, if there is one
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Seconds to wait before the next attempt, if known
    pub fn retry_after(&self) -> Option<u16> {
        self.retry_after
    }

    /// The name of what was not found, if similar names may exist
    pub fn sought(&self) -> Option<&Sought> {
        self.sought.as_deref()
    }

    /// The problems at each place of a file; empty for other errors
    pub fn places(&self) -> &[(String, Vec<String>)] {
        if self.is_of_file { &self.fields } else { &[] }
    }

    /// The error as a problem document (RFC 9457).
    pub fn problem(&self) -> ProblemDocument<'_> {
        let (code, status, title, _) = self.kind.row();
        let outcome = self.is_open.then_some("unknown");
        ProblemDocument {
            kind: "about:blank",
            title,
            status,
            code,
            detail: &self.detail,
            errors: &self.fields,
            outcome,
        }
    }
}

/// Seconds as stored in an error: at most 18 hours
fn bounded(seconds: u64) -> u16 {
    seconds.try_into().unwrap_or(u16::MAX)
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as &(dyn std::error::Error + 'static))
    }
}

/// A problem document (RFC 9457)
#[derive(Debug, Serialize)]
pub struct ProblemDocument<'e> {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words
    pub title: &'static str,
    pub status: u16,
    code: &'static str,
    /// What happened, in a sentence
    pub detail: &'e str,
    /// The details of each field, in order
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "as_map")]
    pub errors: &'e [(String, Vec<String>)],
    /// `unknown` if a commit failed in a way that leaves open whether it was made
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
}

fn as_map<S: Serializer>(errors: &[(String, Vec<String>)], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_map(errors.iter().map(|(field, details)| (field, details)))
}
