//! Every request: its host is checked, its response is completed, counted and logged.

use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use axum::response::IntoResponse;
use hyper::body::{Body as _, Incoming};

use super::Shared;
use super::answers::{Answers, Route};
use super::body::Unread;
use super::client::client;
use super::connection::Connection;
use super::cors::Cors;
use super::io::{HEAD_LIMIT, SocketAddrs, too_long};
use super::log::Line;
use super::problem::{Cause, Problem};
use crate::error::{Error, Kind};
use crate::service::login::Client;

/// The default headers of every response, also to malformed requests: caches must revalidate it and not share it, and
/// browsers must not guess its type.
pub(crate) static OF_EVERY_ANSWER: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "private, no-cache"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a request; says whether any of its body is left unread.
pub(crate) async fn answer(
    server: Shared,
    answers: Answers,
    addrs: SocketAddrs,
    (connection, unread): (Connection, Unread),
    request: Request<Incoming>,
) -> Response<Body> {
    let start = Instant::now();
    let (mut parts, body) = request.into_parts();
    let id = request_id(&server, &parts);
    let method = parts.method.clone();
    let is_for_sites = Cors::concerns(parts.uri.path());
    let origin = parts.headers.get(ORIGIN).cloned();
    let client = client(&parts.headers, addrs, server.options.behind_proxy);
    parts.extensions.insert(client);
    parts.extensions.insert(connection);
    let is_whole = body.is_end_stream();
    unread.0.store(!is_whole, Ordering::Relaxed);
    let body = if is_whole {
        Body::empty()
    } else {
        parts.extensions.insert(unread);
        Body::new(body)
    };
    let mut response = match admit(&server, &mut parts, addrs) {
        Ok(()) => match server.cors.answer(&parts) {
            Some(answer) if is_for_sites => answer,
            _ => answers.to(Request::from_parts(parts, body)).await,
        },
        Err(error) => Problem::from(error).into_response(),
    };
    let route = response.extensions_mut().remove::<Route>().map_or("", |route| route.0);
    let cause = response.extensions_mut().remove::<Cause>();
    let (status, took) = (response.status().as_u16(), start.elapsed());
    server.metrics.answered(word(&method), route, status, took);
    server.log.write(&Line {
        at: server.app.now(),
        request: &id,
        method: method.as_str(),
        route,
        status,
        milliseconds: (took.as_secs_f64() * 1e6).round() / 1e3,
        from: match client {
            Client::At(address) => Some(address),
            Client::Socket | Client::Unknown => None,
        },
        cause: cause.as_ref().map(|cause| &*cause.0),
    });
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&id).ok().map(|id| (REQUEST_ID.clone(), id)));
    if is_for_sites {
        server.cors.mark(origin.as_ref(), headers);
    }
    for (name, value) in &OF_EVERY_ANSWER {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The label of a method in the metrics; unknown ones share a label.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The id that a proxy gave the request, or one of its own
fn request_id(server: &Shared, parts: &Parts) -> String {
    let given = parts.headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    given.filter(is_plain).map_or_else(|| server.next_request(), ToOwned::to_owned)
}

/// Checks that a request is for this server, and in a supported form.
fn admit(server: &Shared, parts: &mut Parts, addrs: SocketAddrs) -> Result<(), Error> {
    must_be_short(parts)?;
    let host = host(parts)?;
    if let Some(host) = host
        && addrs.peer != Client::Socket
        && !is_ours(&host, addrs, &server.options.hosts)
    {
        let detail = format!("This server does not answer for the host “{host}”.");
        return Err(Error::of_request(Kind::Misdirected, detail));
    }
    if !is_readable(&parts.headers) {
        let detail = "The only supported Transfer-Encoding is chunked.";
        return Err(Error::of_request(Kind::NotImplemented, detail));
    }
    Ok(())
}

/// Refuses a head that is longer than the limit, which one that arrives in one piece may be.
fn must_be_short(parts: &Parts) -> Result<(), Error> {
    let address = parts.uri.path().len() + parts.uri.query().map_or(0, |query| query.len() + 1);
    let address = address + parts.uri.authority().map_or(0, |authority| authority.as_str().len());
    // With `: ` and the end of each line
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if address + headers > HEAD_LIMIT { Err(too_long()) } else { Ok(()) }
}

/// Whether `Transfer-Encoding` is absent or only `chunked`
fn is_readable(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_none_or(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
        && codings.next().is_none()
}

/// The host of a request, which RFC 9112 requires exactly once; only HTTP/1.0, which no browser uses, may omit it. A
/// host in the request target replaces the header, also in links.
fn host(parts: &mut Parts) -> Result<Option<String>, Error> {
    let invalid = || Error::invalid("host", "A request must have exactly one Host header.");
    if let Some(authority) = parts.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| invalid())?;
        parts.headers.insert(HOST, host);
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().map(|host| Some(host.to_owned())).map_err(|_| invalid()),
        (None, _) if parts.version < Version::HTTP_11 => Ok(None),
        _ => Err(invalid()),
    }
}

/// Whether a host is this machine, the address of the connection, or an allowed one. Another site can point its own
/// name to this machine (DNS rebinding), but the browser then sends that name.
fn is_ours(host: &str, addrs: SocketAddrs, allowed: &[String]) -> bool {
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>()
        && (address.is_loopback() || addrs.local == Some(address.to_canonical()))
    {
        return true;
    }
    name == "localhost"
        || allowed.iter().any(|allowed| match allowed.strip_prefix('.') {
            _ if allowed == "*" => true,
            Some(domain) => name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => name == *allowed,
        })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_of_ours_are_answered() {
        let addrs = SocketAddrs { peer: Client::Unknown, local: Some([192, 168, 1, 2].into()) };
        let allowed = ["chat.example.org".to_owned(), ".example.net".to_owned()];
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "localhost.",
            "127.0.0.1:1",
            "[::1]:8000",
            "[::1]",
            "192.168.1.2:8000",
            "chat.example.org",
            "chat.example.org:443",
            "example.net",
            "a.b.example.net",
        ] {
            assert!(is_ours(host, addrs, &allowed), "{host}");
        }
        for host in [
            "",
            "evil",
            "evil:8000",
            "localhost.evil",
            "192.168.1.3",
            "a.chat.example.org",
            "badexample.net",
            "example.org",
            "127.0.0.1.evil",
            "127.0.0.1:a",
            "localhost:http",
            "chat.example.org:443x",
            "chat.example.org.evil",
            "[::2]",
            "10.0.0.1",
        ] {
            assert!(!is_ours(host, addrs, &allowed), "{host}");
        }
        assert!(is_ours("anything", addrs, &["*".to_owned()]));
    }
}
