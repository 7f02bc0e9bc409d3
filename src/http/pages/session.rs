//! Who looks at a page: a session, named by a cookie.

use axum::extract::FromRequestParts;
use axum::http::header::{COOKIE, HOST, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::response::{IntoResponse, Redirect};

use super::answer::{Page, Refused, refused};
use super::form::{Form, local};
use super::view::{self, Frame, Kept, Login, Notice, Problems, Viewer};
use crate::error::{Error, Result};
use crate::http::server::Shared;
use crate::http::server::client::is_secure;
use crate::model::Role;
use crate::service::login::{self, Client, Verified};
use crate::service::sessions::{self, LIFETIME, Session};
use crate::service::tokens::{Secret, secret_of};
use crate::store::Tx;

/// The name of the cookie; under TLS one that no other host and no unencrypted page can set
fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-tidings" } else { "tidings" }
}

/// Somebody with a browser, logged in or not
#[derive(Clone)]
pub(super) struct Visitor {
    /// What the cookie holds, whether it is valid or not
    pub(super) secret: Option<Secret>,
    /// The session, if there is one
    pub(super) session: Option<Session>,
    pub(super) client: Client,
    is_secure: bool,
    user_agent: String,
    /// The name of the server, as this browser reaches it
    host: String,
}

impl Visitor {
    /// The sender of a request, whose session is not looked up yet
    pub(super) fn of(parts: &Parts, server: &Shared) -> Self {
        let is_secure = is_secure(&parts.headers, server.options.behind_proxy);
        let text = |name| {
            parts.headers.get(name).and_then(|text: &HeaderValue| text.to_str().ok()).unwrap_or_default().to_owned()
        };
        Self {
            secret: cookie(&parts.headers, cookie_name(is_secure)).and_then(secret_of),
            session: None,
            client: parts.extensions.get().copied().unwrap_or(Client::Unknown).network(),
            is_secure,
            user_agent: text(USER_AGENT),
            host: text(HOST),
        }
    }

    /// The browser, in words
    pub(super) fn browser(&self) -> String {
        browser_of(&self.user_agent)
    }

    /// The address of the server, as this browser reaches it
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", if self.is_secure { "https" } else { "http" }, self.host)
    }

    /// The cookie that a session begins with
    pub(super) fn cookie(&self, secret: Secret) -> Result<HeaderValue> {
        self.set_cookie(&secret.token(), LIFETIME)
    }

    /// What takes the cookie away
    pub(super) fn no_cookie(&self) -> Result<HeaderValue> {
        self.set_cookie("", 0)
    }

    fn set_cookie(&self, value: &str, seconds: i64) -> Result<HeaderValue> {
        let (name, secure) = (cookie_name(self.is_secure), if self.is_secure { "; Secure" } else { "" });
        let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(cookie).map_err(Error::internal)
    }
}

/// The value of a cookie
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// A browser and its system by their names
fn browser_of(user_agent: &str) -> String {
    // Those that name others too come first.
    const BROWSERS: [(&str, &str); 8] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let named = |names: &[(&str, &'static str)]| {
        names.iter().find(|(part, _)| user_agent.contains(part)).map(|(_, name)| *name)
    };
    match (named(&BROWSERS), named(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "Unknown browser".to_owned(),
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> std::result::Result<Self, Refused> {
        let visitor = parts.extensions.get().cloned();
        visitor.ok_or_else(|| Error::internal("a page without its entrance").into())
    }
}

impl FromRequestParts<Shared> for Form {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> std::result::Result<Self, Refused> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Somebody who is logged in; everybody else is led to the log-in, and from there back. A form is refused that was on a page of
/// another user, who was logged in in this browser before.
pub(super) struct LoggedIn(pub(super) Session);

impl FromRequestParts<Shared> for LoggedIn {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> std::result::Result<Self, Refused> {
        let session = Visitor::from_request_parts(parts, server).await?.session.ok_or_else(sessions::ended)?;
        let whose = parts.extensions.get::<Form>().map(|form| form.text("for")).unwrap_or_default();
        if !whose.is_empty() && whose != session.user.person.user_id.to_string() {
            let error = Error::forbidden("This form is from a page of another account, so nothing was done.");
            return Err(error.hint("Load the page anew.").into());
        }
        Ok(Self(session))
    }
}

/// The log-in in place of a page, or of what a form asked for, with what was typed into the form
pub(super) fn log_in_first(method: &Method, uri: &Uri, form: &Form) -> Page {
    if method != Method::POST {
        let next = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(local(next).map(|next| ("next", next)));
        return Ok(Redirect::to(&format!("/login/?{}", query.finish())).into_response());
    }
    let (kept, ended) = (form.kept(), sessions::ended());
    // Otherwise the page says what becomes of it.
    let problems = if kept.fields.is_empty() { Problems::new(&ended, &[]) } else { Problems::default() };
    let login = Login { frame: Frame::default(), problems, username: String::new(), kept };
    Ok(refused(ended, view::page(&login)?))
}

/// What surrounds the pages of somebody who is logged in
pub(super) fn frame(session: &Session, notice: Option<Notice>) -> Frame {
    let person = &session.user.person;
    let is_admin = session.user.role == Role::Admin;
    let viewer = Viewer { id: person.user_id, username: person.username.clone(), is_admin };
    Frame { viewer: Some(viewer), notice, place: None }
}

/// Runs `work`, which only reads, as the user of a session, which is looked up again.
pub(super) async fn read<T: Send + 'static>(
    server: &Shared,
    session: &Session,
    mut work: impl FnMut(&mut Tx<'_>, &Session) -> Result<T> + Send + 'static,
) -> Result<T> {
    let hash = session.hash;
    server.read_unauthenticated(move |tx| sessions::acting(tx, &hash).and_then(|session| work(tx, &session))).await
}

/// As [`read`], in another thread, for slow work.
pub(super) async fn read_slowly<T: Send + 'static>(
    server: &Shared,
    session: &Session,
    mut work: impl FnMut(&mut Tx<'_>, &Session) -> Result<T> + Send + 'static,
) -> Result<T> {
    let hash = session.hash;
    let work = move |tx: &mut Tx<'_>| sessions::acting(tx, &hash).and_then(|session| work(tx, &session));
    server.read_slowly_unauthenticated(work).await
}

/// As [`read_slowly`] where the work is slow, else as [`read`].
pub(super) async fn read_by_need<T: Send + 'static>(
    server: &Shared,
    session: &Session,
    is_slow: bool,
    work: impl FnMut(&mut Tx<'_>, &Session) -> Result<T> + Send + 'static,
) -> Result<T> {
    if is_slow { read_slowly(server, session, work).await } else { read(server, session, work).await }
}

/// Runs `work` in one transaction as the user of a session, which is looked up again.
pub(super) async fn write<T: Send + 'static>(
    server: &Shared,
    session: &Session,
    mut work: impl FnMut(&mut Tx<'_>, &Session) -> Result<T> + Send + 'static,
) -> Result<T> {
    let hash = session.hash;
    server.write_unauthenticated(move |tx| sessions::acting(tx, &hash).and_then(|session| work(tx, &session))).await
}

/// As [`write()`], where a form may give the password again: `session` becomes one that knows of it. That it was given is written
/// first, by itself: it need not be given again where the form is refused for something else.
pub(super) async fn write_with_password<T: Send + 'static>(
    server: &Shared,
    visitor: &Visitor,
    session: &mut Session,
    form: &Form,
    work: impl FnMut(&mut Tx<'_>, &Session) -> Result<T> + Send + 'static,
) -> Result<T> {
    let password = form.text("current_password").to_owned();
    if !password.is_empty() {
        let verified = verify(server, visitor, session, password).await?;
        let confirm = move |tx: &mut Tx<'_>, session: &Session| login::confirm(tx, session, &verified);
        *session = write(server, session, confirm).await?;
    }
    write(server, session, work).await
}

/// The password that is given again in a session
async fn verify(server: &Shared, visitor: &Visitor, session: &Session, password: String) -> Result<Verified> {
    // As with a new password: who only has the cookie does not guess for as long as they like.
    server.limits.changes.take(&session.user.person.user_id)?;
    server.limits.log_ins.take(&visitor.client)?;
    let (session, client) = (session.clone(), visitor.client);
    let look = move |tx: &mut Tx<'_>| login::attempt_again(tx, &session, client);
    let verified = server.verify(client, look, password).await?;
    verified.ok_or_else(|| Error::invalid("current_password", "That is not your password."))
}

/// Looks up the session of a visitor, and notes now and then that it is used, where it `is_use`.
pub(super) async fn find(server: &Shared, visitor: &Visitor, is_use: bool) -> Result<Option<Session>> {
    let Some(hash) = visitor.secret.map(Secret::hash) else { return Ok(None) };
    let mut session = server.read_unauthenticated(move |tx| sessions::find(tx, &hash)).await?;
    let now = server.app.now();
    if let Some(session) = session.as_mut().filter(|session| is_use && session.is_use_due(now)) {
        // A page is shown also while nothing can be written.
        if server.write_unauthenticated(move |tx| sessions::note_use(tx, &hash)).await.is_ok() {
            session.seen_at = now;
        }
    }
    Ok(session)
}

/// A form to be filled in again, with the path that the log-in leads to
pub(super) fn going_on_to(path: &str, fields: Vec<(String, String)>) -> Kept {
    Kept::new(local(path).unwrap_or("/").to_owned(), fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others_by_its_whole_name() {
        let headers: HeaderMap = [
            (COOKIE, HeaderValue::from_static("a=1; xtidings=2;tidings=3 ; tidings2=4")),
            (COOKIE, HeaderValue::from_static("__Host-tidings=5")),
        ]
        .into_iter()
        .collect();
        assert_eq!(cookie(&headers, "tidings"), Some("3"));
        assert_eq!(cookie(&headers, "__Host-tidings"), Some("5"));
        assert_eq!(cookie(&headers, "none"), None);
    }

    #[test]
    fn browsers_are_known_by_their_names() {
        for (user_agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36 Edg/126.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.0", "Unknown browser"),
            ("", "Unknown browser"),
        ] {
            assert_eq!(browser_of(user_agent), name);
        }
    }
}
