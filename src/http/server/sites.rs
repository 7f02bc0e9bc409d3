//! The names of hosts and sites in settings, in the form that they are compared in.

use std::net::Ipv6Addr;

/// A host as requests name it: in small letters, without a dot at its end; `.example.org` is every host under it, `*` every host.
///
/// # Errors
/// Why no request is ever for it.
pub fn host(text: &str) -> Result<String, &'static str> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    if text == "*" {
        return Ok(name);
    }
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
    if let Ok(address) = bare.parse::<Ipv6Addr>() {
        return Ok(format!("[{address}]"));
    }
    if name.contains("://") || name.contains('/') {
        return Err("it is an address; give only its host, such as chat.example.org");
    }
    if name.contains(':') {
        return Err("it has a port, and any port will do: leave it out");
    }
    if name.contains('*') {
        return Err("every host under example.org is .example.org");
    }
    if !name.is_ascii() {
        return Err("browsers name it in ASCII: xn--…");
    }
    let labels = name.strip_prefix('.').unwrap_or(&name);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if labels.split('.').all(is_label) { Ok(name) } else { Err("that is not a host name") }
}

/// The origin of a site as browsers send it: scheme, host and, unless it is the default, port; `*` is every site.
///
/// # Errors
/// Why no page is ever of it.
pub fn origin(text: &str) -> Result<String, &'static str> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let (scheme, rest) = text.split_once("://").ok_or("it has no scheme: https://chat.example.org")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return Err("it has no scheme: https://chat.example.org");
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err("an origin ends behind its host and port: leave the path out");
    }
    let (name, port) = match rest.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (rest, None),
    };
    if name.is_empty() || name.starts_with('.') || name == "*" {
        return Err("an origin names one host, and * alone is every site");
    }
    let name = host(name)?;
    let port = match port {
        None | Some("") => None,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse::<u16>().map_err(|_| "its port is not a number from 0 to 65535")?)
        }
        Some(_) => return Err("its port is not a number from 0 to 65535"),
    };
    let usual = match scheme.as_str() {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let port = port.filter(|port| Some(*port) != usual).map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{scheme}://{name}{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_brought_to_the_form_that_requests_have_or_refused() {
        for (text, name) in [
            ("*", "*"),
            ("Chat.Example.ORG", "chat.example.org"),
            ("chat.example.org.", "chat.example.org"),
            (".Example.net", ".example.net"),
            ("10.0.0.1", "10.0.0.1"),
            ("[2001:DB8::0:1]", "[2001:db8::1]"),
            ("2001:db8::1", "[2001:db8::1]"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(name), "{text}");
        }
        for text in
            ["", ".", "https://a.example", "a.example/", "a.example:8000", "*.example", "ä.example", "a b", "a..b"]
        {
            host(text).expect_err(text);
        }
    }

    #[test]
    fn an_origin_is_brought_to_the_form_that_browsers_say_or_refused() {
        for (text, standard) in [
            ("*", "*"),
            ("https://chat.example.org", "https://chat.example.org"),
            ("HTTPS://Chat.Example.org/", "https://chat.example.org"),
            ("https://a.example:443", "https://a.example"),
            ("http://a.example:80/", "http://a.example"),
            ("http://a.example:443", "http://a.example:443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("http://[::1]", "http://[::1]"),
            ("tauri://localhost", "tauri://localhost"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(standard), "{text}");
        }
        for text in [
            "",
            "null",
            "chat.example.org",
            "//chat.example.org",
            "https://",
            "https://*",
            "https://.example.org",
            "https://*.example.org",
            "https://a.example/path",
            "https://a.example?x",
            "https://a:b@a.example",
            "https://a.example:99999",
            "https://a.example:x",
            "https://ä.example",
        ] {
            origin(text).expect_err(text);
        }
    }
}
