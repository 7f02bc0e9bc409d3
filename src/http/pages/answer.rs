//! What pages answer with, and the headers of all of them.

use askama::Template;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use tower_http::csrf::ProtectionError;

use super::form::parameter;
use super::session::{Visitor, find, frame};
use super::view::{Failure, Frame, MEDIA_TYPE, Notice, Place, Words};
use crate::error::{Error, Kind};
use crate::http::server::Shared;
use crate::http::server::problem::Problem;
use crate::service::sessions::Session;

/// The result of a handler
pub(super) type Page = Result<Response, Refused>;

/// Nothing runs, loads or is embedded but what is of this server; what scripts add is text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The headers of every page; a path that another site would be told of may be a secret, and without `same-origin` forms would not
/// say where they come from.
static OF_EVERY_PAGE: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, POLICY),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Gives each page its headers, and errors the page that says them to whoever asked.
pub(super) async fn surround(State(server): State<Shared>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let (visitor, uri) = (Visitor::of(&parts, &server), parts.uri.clone());
    parts.extensions.insert(visitor.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    protected(worded_for(&server, &visitor, &uri, response).await)
}

/// A response that has the words of an error, as a page for the visitor, whose session is looked up where nobody did
async fn worded_for(server: &Shared, visitor: &Visitor, uri: &Uri, response: Response) -> Response {
    if response.extensions().get::<Words>().is_none() {
        return response;
    }
    // While nothing can be read, nobody waits for it twice.
    let is_down = response.status().is_server_error();
    let session = if is_down { None } else { find(server, visitor, false).await.ok().flatten() };
    worded(session.as_ref(), uri, response)
}

/// A response that has the words of an error, as a page for whoever is logged in
pub(super) fn worded(session: Option<&Session>, uri: &Uri, mut response: Response) -> Response {
    if let Some(words) = response.extensions_mut().remove::<Words>() {
        let frame = session.map(|session| frame(session, None)).unwrap_or_default();
        let frame = Frame { place: Place::of(uri.path()), ..frame };
        *response.body_mut() = Body::from(Failure { frame, words }.render().unwrap_or_default());
    }
    response
}

/// A response with the headers of every page, as far as it has none of its own
fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in &OF_EVERY_PAGE {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// An error, shown as a page: the response has its words, and becomes the page where it is known who asked.
#[derive(Debug)]
pub(super) struct Refused {
    error: Box<Error>,
    /// What the page is called, where the error has no name that says it
    title: Option<&'static str>,
}

impl Refused {
    pub(super) fn titled(title: &'static str, error: Error) -> Self {
        Self { error: Box::new(error), title: Some(title) }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error: Box::new(error), title: None }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::from(Error::from(problem))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let words = Words::of(&self.error, self.title);
        let mut response = shown_with(*self.error, Body::empty());
        response.extensions_mut().insert(words);
        response
    }
}

/// An error as it goes to clients, but with a page in place of the document
fn shown_with(error: Error, page: Body) -> Response {
    let mut response = Problem::from(error).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.remove(WWW_AUTHENTICATE);
    *response.body_mut() = page;
    response
}

/// The page of a form that was refused, with the status and the headers of the error. What is wrong with credentials in a form
/// is not for the browser's own dialog.
pub(super) fn refused(error: Error, page: Response) -> Response {
    let mut response = shown_with(error, page.into_body());
    if response.status() == StatusCode::UNAUTHORIZED {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

/// Whether a form shows the error, with what was typed; others have a page of their own.
pub(super) fn is_of_form(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Invalid
            | Kind::Conflict
            | Kind::Stale
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::RateLimited
            | Kind::Timeout
            | Kind::Unavailable
            | Kind::NoSpace
    )
}

/// Leads to the page that says what was done.
pub(super) fn done(path: &str, notice: Notice) -> Response {
    let sign = if path.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{path}{sign}done={}", notice.word())).into_response()
}

/// The notice that an address has the word for, unless a page of another site leads to it: nothing was done then.
pub(super) fn notice(headers: &HeaderMap, query: Option<&str>) -> Option<Notice> {
    let site = headers.get("sec-fetch-site");
    let is_own = site.is_none_or(|site| site == "same-origin" || site == "none");
    parameter(query, "done").filter(|_| is_own).and_then(|word| Notice::of(&word))
}

/// The same response, with a cookie
pub(super) fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// Refuses a form that another site sent, or of which the browser does not say who did.
pub(super) fn foreign(_: ProtectionError) -> Response {
    let error = Error::forbidden("This form did not come from a page of this server, so nothing was done.");
    Refused::from(error.hint("Open the page here and send it again.")).into_response()
}

/// There is a page, but not for this method.
pub(super) fn method_not_allowed(method: &Method) -> Response {
    Refused::from(Problem::method_not_allowed(method)).into_response()
}

/// Whether a client would rather have a page than JSON
fn wants_page(headers: &HeaderMap, uri: &Uri) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    !uri.path().starts_with("/api/")
        && accepted.flat_map(|value| value.split(',')).any(|part| part.trim().starts_with("text/html"))
}

/// There is nothing at this path: in the words of a page for whoever reads pages.
pub(in crate::http) async fn not_found(State(server): State<Shared>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if wants_page(&parts.headers, &parts.uri) {
        let refused = Refused::from(Error::not_found("There is no page at this address."));
        let visitor = Visitor::of(&parts, &server);
        return protected(worded_for(&server, &visitor, &parts.uri, refused.into_response()).await);
    }
    Problem::from(Error::not_found("Not found. The API is described at /api/docs/.")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn a_form_is_shown_again_also_where_the_database_is_busy_and_says_when_to_come_again() {
        for (error, status, seconds) in [
            (Error::busy("Busy.", 3), 503, Some("3")),
            (Error::no_space(), 507, None),
            (Error::rate_limited("Throttled.", 7), 429, Some("7")),
            (Error::invalid("email", "Wrong."), 400, None),
        ] {
            assert!(is_of_form(&error), "{status}");
            let page = refused(error, Response::default());
            let after = page.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap());
            assert_eq!((page.status().as_u16(), after), (status, seconds));
            assert_eq!(page.headers()[CONTENT_TYPE], MEDIA_TYPE);
        }
        let page = refused(Error::unauthenticated("Who?"), Response::default());
        assert_eq!((page.status(), page.headers().get(WWW_AUTHENTICATE)), (StatusCode::FORBIDDEN, None));
    }
}
