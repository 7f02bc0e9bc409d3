//! The fields of a form.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::view::Kept;
use crate::app::secret;
use crate::error::{Error, Result};
use crate::service::IdempotentRequest;
use crate::service::tokens::Keys;

/// What begins the names of the fields of a form that is sent again after a log-in
const KEPT: &str = "kept.";

/// The fields of a form that was sent, and where to
#[derive(Clone, Default)]
pub(super) struct Form {
    path: String,
    fields: Vec<(String, String)>,
}

impl Form {
    /// Reads a body as browsers send forms.
    ///
    /// # Errors
    /// `Invalid` if it is not UTF-8.
    pub(super) fn read(path: &str, body: &[u8]) -> Result<Self> {
        if !is_utf8(body) {
            return Err(Error::of_fields("The form is not in UTF-8.", Vec::new()));
        }
        let fields = form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned()));
        Ok(Self { path: path.to_owned(), fields: fields.collect() })
    }

    /// The value of a field; of none it is empty
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The value of a field, unless it is the one that the page came with, in the field `before.NAME`
    pub(super) fn changed(&self, name: &str) -> Option<String> {
        let value = |name: &str| self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
        value(name).filter(|found| value(&format!("before.{name}")) != Some(*found)).cloned()
    }

    /// All fields
    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What is kept of a form while its sender logs in again
    pub(super) fn kept(&self) -> Kept {
        Kept::new(self.path.clone(), self.fields.clone())
    }

    /// The fields that were kept of an earlier form
    pub(super) fn kept_before(&self) -> Vec<(String, String)> {
        let kept = |(name, value): (&str, &str)| Some((name.strip_prefix(KEPT)?.to_owned(), value.to_owned()));
        self.fields().filter_map(kept).collect()
    }

    /// The request, by the key of the form and all that it says: sent twice it is carried out once, and once more where something
    /// else was typed into it.
    pub(super) fn request(&self, keys: &Keys) -> Option<IdempotentRequest> {
        let key = Some(self.text("key")).filter(|key| !key.is_empty())?;
        let mut said = form_urlencoded::Serializer::new(String::new());
        said.extend_pairs(&self.fields);
        let (request, earlier) = keys.hash_request([b"form", self.path.as_bytes(), said.finish().as_bytes()]);
        let key = format!("{}.{}", key.get(..64).unwrap_or(key), URL_SAFE_NO_PAD.encode(&request));
        Some(IdempotentRequest { key, request, earlier })
    }
}

/// Whether all that is written in a form is UTF-8: its own signs are ASCII, so the whole is where each part is.
fn is_utf8(body: &[u8]) -> bool {
    let (mut bytes, mut rest) = (Vec::with_capacity(body.len()), body);
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let escaped = digit(0).zip(digit(1)).filter(|_| *first == b'%');
        let escaped = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// The value of a parameter of a query
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// A key for the forms of a page
pub(super) fn new_key() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(secret::<16>()?))
}

/// A path on this server to go on to; none where it leads elsewhere, or to what ends the log-in
pub(super) fn local(path: &str) -> Option<&str> {
    let is_path = path.starts_with('/') && !path.starts_with("//") && path.len() <= 2000;
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_log_in = ["/login", "/logout"].iter().any(|own| path.starts_with(own));
    Some(path).filter(|_| is_path && is_plain && !is_log_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_gone_on_to() {
        for path in ["/", "/account/", "/account/?cursor=a%20b#c", "/a//b"] {
            assert_eq!(local(path), Some(path));
        }
        for path in [
            "",
            "account/",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "https://evil.example/",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/a b",
            "/é",
            "/login/",
            "/login/?next=/login/",
            "/logout/",
        ] {
            assert_eq!(local(path), None, "{path}");
        }
        assert_eq!(local(&format!("/{}", "a".repeat(2000))), None);
    }

    #[test]
    fn a_form_is_the_same_request_only_with_the_same_key_and_the_same_fields() {
        let keys = Keys::new(b"a secret of the tests", None).unwrap();
        let request =
            |path: &str, body: &str| Form::read(path, body.as_bytes()).unwrap().request(&keys).map(|made| made.key);
        let first = request("/account/", "key=k&email=a").unwrap();
        assert_eq!(request("/account/", "key=k&email=a").unwrap(), first);
        for (path, body) in [("/account/", "key=k&email=b"), ("/account/", "key=l&email=a"), ("/", "key=k&email=a")] {
            assert_ne!(request(path, body).unwrap(), first);
        }
        assert_eq!(request("/account/", "email=a"), None);
    }

    #[test]
    fn kept_is_what_can_be_sent_again_unseen_and_is_named() {
        let kept = |path: &str, body: &str| Form::read(path, body.as_bytes()).unwrap().kept().fields;
        assert_eq!(
            kept("/account/", "email=a%40b&key=k"),
            [("email", "a@b"), ("key", "k")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
        assert!(!kept("/account/levels/", "a=b").is_empty() && !kept("/account/sessions/", "for=b").is_empty());
        let path = "/admin/users/0199f3c2-0000-7000-8000-000000000000/";
        assert_eq!(kept(path, "role=admin&current_password=secret"), [("role".to_owned(), "admin".to_owned())]);
        for (path, body) in [
            ("/account/password/", "current_password=x&password=secret"),
            ("/admin/users/bulk/", "action=deactivate&user=1"),
            ("/admin/users/0199f3c2-0000-7000-8000-000000000000/delete/", "username=bob"),
            ("/account/delete/", "username=bob"),
            ("/account/sessions/", "session=one"),
            ("/account/?a", "a=b"),
        ] {
            assert!(kept(path, body).is_empty(), "{path}");
        }
    }

    #[test]
    fn what_is_as_it_was_before_is_not_changed() {
        let form = Form::read("/", b"a=1&before.a=1&b=2&before.b=1&c=&before.c=1&d=1").unwrap();
        let changed = |name| form.changed(name);
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(changed),
            [None, Some("2"), Some(""), Some("1"), None].map(|text| text.map(ToOwned::to_owned))
        );
    }

    #[test]
    fn a_form_is_in_utf_8() {
        for body in ["a=%C3%A9+%20&b=%EF%BF%BD&c=%zz%4&d=é%", ""] {
            assert!(Form::read("/", body.as_bytes()).is_ok(), "{body}");
        }
        assert_eq!(Form::read("/", b"a=%C3%A9+b%2").unwrap().text("a"), "é b%2");
        for body in [&b"a=%FF"[..], b"a=\xff", b"%C3=a", b"a=%C3&b=%A9"] {
            assert!(Form::read("/", body).is_err(), "{body:?}");
        }
    }
}
