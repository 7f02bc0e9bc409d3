//! What pages answer with, and the headers of all of them.

use askama::Template;
use axum::body::Body;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, SET_COOKIE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use tower_http::csrf::ProtectionError;

use super::view::{Failure, Frame, Notice};
use crate::error::{Error, Kind};
use crate::http::server::problem::Problem;

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

/// A response with the headers of every page, as far as it has none of its own
pub(super) fn protected(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in &OF_EVERY_PAGE {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// An error, shown as a page.
#[derive(Debug)]
pub(super) struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let page = Failure::new(Frame::default(), &self.0).render().unwrap_or_default();
        let mut response = Problem::from(self.0).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.remove(WWW_AUTHENTICATE);
        *response.body_mut() = Body::from(page);
        response
    }
}

/// The status of a page with a form that was refused. What is wrong with credentials in a form is not for the browser's own
/// dialog.
pub(super) fn status(error: &Error) -> StatusCode {
    let status = match error.kind() {
        Kind::Unauthenticated => Kind::Forbidden.status(),
        kind => kind.status(),
    };
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Whether a form shows the error; others have a page of their own.
pub(super) fn is_of_form(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::Invalid | Kind::Conflict | Kind::Forbidden | Kind::NotFound | Kind::RateLimited | Kind::Unauthenticated
    )
}

/// Leads to the page that says what was done.
pub(super) fn done(path: &str, notice: Notice) -> Response {
    Redirect::to(&format!("{path}?done={}", notice.word())).into_response()
}

/// The same response, with a cookie
pub(super) fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// Refuses a form that another site sent, or of which the browser does not say who did.
pub(super) fn foreign(_: ProtectionError) -> Response {
    let error = Error::forbidden("This form did not come from a page of this server, so nothing was done.");
    Refused(error.hint("Open the page here and send it again.")).into_response()
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
pub(in crate::http) async fn not_found(headers: HeaderMap, uri: Uri) -> Response {
    if wants_page(&headers, &uri) {
        return protected(Refused(Error::not_found("There is no page at this address.")).into_response());
    }
    Problem::from(Error::not_found("Not found. The API is described at /api/docs/.")).into_response()
}
