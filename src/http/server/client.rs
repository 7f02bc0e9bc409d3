//! The client of a request. Headers of a proxy are used only with `--behind-proxy`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

use super::io::SocketAddrs;
use crate::service::login::Client;

/// The headers in which proxies pass the client's address
const PASSED_ON: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

/// The client of a request. Behind a proxy it is the last address of the list, which the nearest proxy saw: earlier
/// ones may be forged. An unreadable one is unknown, and never taken for this machine.
pub(crate) fn client(headers: &HeaderMap, addrs: SocketAddrs, is_behind_proxy: bool) -> Client {
    match headers.get_all("x-forwarded-for").iter().next_back().filter(|_| is_behind_proxy) {
        Some(list) => list.to_str().ok().and_then(last_address).map_or(Client::Unknown, Client::At),
        None => addrs.peer,
    }
}

/// Whether a proxy forwarded a request
pub(crate) fn is_passed_on(headers: &HeaderMap) -> bool {
    PASSED_ON.iter().any(|name| headers.contains_key(*name))
}

/// Whether a client speaks TLS, as the proxy nearest to it saw; a lie makes only the links in the liar's own answers wrong.
pub(crate) fn is_secure(headers: &HeaderMap, is_behind_proxy: bool) -> bool {
    let scheme = headers.get("x-forwarded-proto").filter(|_| is_behind_proxy).and_then(|list| list.to_str().ok());
    let scheme = scheme.and_then(|list| list.split(',').next()).unwrap_or_default();
    scheme.trim().trim_matches('"').eq_ignore_ascii_case("https")
}

/// The last address of a list: with or without a port, brackets or quotes
fn last_address(list: &str) -> Option<IpAddr> {
    let said = list.rsplit(',').next()?.trim().trim_matches('"');
    let in_brackets = || said.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = said.parse::<IpAddr>().ok();
    let address = address.or_else(|| said.parse().ok().map(|address: SocketAddr| address.ip()));
    address.or_else(|| in_brackets().map(|address: Ipv6Addr| address.into())).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const PROXY: SocketAddrs = SocketAddrs { peer: Client::Socket, local: None };

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn from(values: &[&str]) -> Client {
        client(&headers("x-forwarded-for", values), PROXY, true)
    }

    fn at(address: &str) -> Client {
        Client::At(address.parse().unwrap())
    }

    #[test]
    fn the_last_address_is_the_client_in_every_notation() {
        for (list, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:4444", "203.0.113.7"),
            ("\"203.0.113.7\"", "203.0.113.7"),
            ("127.0.0.1, 203.0.113.7:4444 ", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:99", "2001:db8::1"),
            ("\"[2001:db8::1]:99\"", "2001:db8::1"),
            ("evil,[2001:db8::1]:99", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:99", "203.0.113.7"),
        ] {
            assert_eq!(from(&[list]), at(address), "{list}");
        }
        assert_eq!(from(&["203.0.113.7", "127.0.0.1,198.51.100.4"]), at("198.51.100.4"));
    }

    #[test]
    fn an_unreadable_address_is_unknown() {
        for list in [
            "",
            " ",
            "unknown",
            "_hidden",
            "127.0.0.1,",
            "127.0.0.1, unknown",
            "203.0.113.7:",
            "203.0.113.7:99999",
            "[2001:db8::1",
            "[203.0.113.7]",
            "fe80::1%eth0",
            "203.0.113",
        ] {
            assert_eq!(from(&[list]), Client::Unknown, "{list}");
        }
        assert_eq!(from(&["127.0.0.1", "evil"]), Client::Unknown);
        let bytes = [("x-forwarded-for".parse().unwrap(), HeaderValue::from_bytes(b"127.0.0.1\xff").unwrap())];
        assert_eq!(client(&bytes.into_iter().collect(), PROXY, true), Client::Unknown);
    }

    #[test]
    fn who_asks_without_a_proxy_is_where_the_connection_comes_from() {
        let direct = SocketAddrs { peer: at("192.0.2.9"), local: None };
        assert_eq!(client(&HeaderMap::new(), direct, true), direct.peer);
        assert_eq!(client(&headers("x-forwarded-for", &["203.0.113.7"]), direct, false), direct.peer);
    }

    #[test]
    fn the_first_scheme_is_that_of_the_client() {
        for (list, is) in [
            ("https", true),
            ("HTTPS", true),
            ("https,http", true),
            (" Https , http", true),
            ("http,https", false),
            ("http", false),
            ("", false),
            ("httpss", false),
        ] {
            assert_eq!(is_secure(&headers("x-forwarded-proto", &[list]), true), is, "{list}");
            assert!(!is_secure(&headers("x-forwarded-proto", &[list]), false), "{list}");
        }
    }

    proptest! {
        #[test]
        fn every_address_is_read_back(address in any::<IpAddr>(), port in any::<u16>(), before in "[ -~]{0,20}") {
            let last = Client::At(address.to_canonical());
            prop_assert_eq!(from(&[&format!("{before},{address}")]), last);
            prop_assert_eq!(from(&[&format!("{before}, {}", SocketAddr::new(address, port))]), last);
        }
    }
}
