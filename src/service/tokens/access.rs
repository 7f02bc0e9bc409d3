//! Access tokens: JSON Web Tokens (RFC 7519) signed by HMAC-SHA-256, for one server and its own clients.
//!
//! Whoever signs is who verifies, so a token's header is always the same text, and any other is refused unread: there is no
//! algorithm to choose, and none to confuse.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use super::Secret;
use crate::error::{Error, Result};
use crate::model::{Timestamp, UserId};
use crate::service::login::Client;
use crate::store::tokens::AddressHash;

/// How long an access token counts, in seconds
pub const LIFETIME: i64 = 600;

/// How far the clock of whoever issued a token may be ahead, in seconds
pub(super) const AHEAD: i64 = 60;

/// Who issues the tokens and for whom
const NAME: &str = "tidings";

/// The type is that of RFC 9068.
const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt"}"#;

/// Longer ones are none of ours.
const LONGEST: usize = 1024;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who acts with it
    pub user: UserId,
    /// The account's generation when it was issued
    pub generation: i64,
    /// When it stops to count
    pub expires_at: Timestamp,
}

/// What stands in a token, by the names of RFC 7519; times are seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: UserId,
    iat: i64,
    exp: i64,
    jti: Uuid,
    generation: i64,
}

/// The keys that sign and verify.
pub struct Keys {
    current: Hmac<Sha256>,
    /// Verifies tokens from before the current one
    previous: Option<Hmac<Sha256>>,
}

impl Keys {
    /// Keys made from secrets of any length.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Result<Self> {
        let key = |secret| Hmac::new_from_slice(secret).map_err(|error| Error::internal(error.to_string()));
        Ok(Self { current: key(current)?, previous: previous.map(key).transpose()? })
    }

    /// A token for a user; `id` tells it from every other.
    pub fn sign(&self, user: UserId, generation: i64, now: Timestamp, id: Uuid) -> Result<String> {
        let issued_at = now.0.div_euclid(1_000_000);
        let payload = Payload {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: user,
            iat: issued_at,
            exp: issued_at + LIFETIME,
            jti: id,
            generation,
        };
        let payload = serde_json::to_vec(&payload).map_err(Error::internal)?;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.current.clone().chain_update(&signed).finalize().into_bytes();
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a token says; none where it is forged, expired, or none of ours.
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_of = |key: &Hmac<Sha256>| key.clone().chain_update(signed).verify_slice(&signature).is_ok();
        if header != URL_SAFE_NO_PAD.encode(HEADER)
            || !(is_of(&self.current) || self.previous.as_ref().is_some_and(is_of))
        {
            return None;
        }
        let Payload { iss, aud, sub, iat, exp, generation, .. } =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let (issued_at, expires_at) = (Timestamp(iat.checked_mul(1_000_000)?), Timestamp(exp.checked_mul(1_000_000)?));
        // One from a clock that was wrong would count until the right one comes to that time.
        let is_of_now = issued_at <= now.plus_seconds(AHEAD) && now < expires_at;
        (iss == NAME && aud == NAME && is_of_now).then_some(Claims { user: sub, generation, expires_at })
    }
}

/// What a client holds without reading it: sealed, so that it can neither be made nor read by anybody else.
///
/// The seal is a hash of what is sealed, and the key of the stream that hides it (a synthetic initialization vector, as in
/// RFC 5297): the same text under the same key looks the same, and a changed one cannot be opened.
impl Keys {
    /// Seals a text for a purpose; opened for another, it is none.
    pub fn seal(&self, purpose: &str, text: &[u8]) -> String {
        let seal = seal(&self.current, purpose, text);
        let hidden = hide(&self.current, seal, text);
        URL_SAFE_NO_PAD.encode([&seal[..], &hidden].concat())
    }

    /// The text that was sealed for that purpose; none where it was not.
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (sealed, hidden) = bytes.split_first_chunk::<SEAL>()?;
        let open = |key: &Hmac<Sha256>| {
            let text = hide(key, *sealed, hidden);
            (seal(key, purpose, &text) == *sealed).then_some(text)
        };
        open(&self.current).or_else(|| self.previous.as_ref().and_then(open))
    }

    /// A hash of what a request asks for, which tells nobody without the key what that was; and the one it had under the
    /// previous key
    pub fn hash_request(&self, parts: [&[u8]; 3]) -> (Vec<u8>, Option<Vec<u8>>) {
        let hash = |key: &Hmac<Sha256>| {
            let mut hash = key.clone().chain_update("request");
            for part in parts {
                hash.update(&part.len().to_be_bytes());
                hash.update(part);
            }
            hash.finalize().into_bytes().to_vec()
        };
        (hash(&self.current), self.previous.as_ref().map(hash))
    }
}

/// What the database keeps only as a hash that nobody can compute without the key.
impl Keys {
    /// By what it is known again that an account was logged in from an address, and by what it was under the previous key: another
    /// hash for each account, so that they tell nothing of who lives together. None where the address is not known.
    pub fn hash_address(&self, user: UserId, client: Client) -> Option<(AddressHash, AddressHash)> {
        let address = bytes_of(client)?;
        let hash = |key: &Hmac<Sha256>| {
            let hash = key.clone().chain_update("address").chain_update(user.0.as_bytes()).chain_update(&address);
            hash.finalize().into_bytes().into()
        };
        let current = hash(&self.current);
        Some((current, self.previous.as_ref().map_or(current, hash)))
    }

    /// A stranger's idempotency key as it is kept, another one for each place that strangers come from; and what it was under the
    /// previous key
    pub fn hide_key(&self, client: Client, key: &str) -> (String, Option<String>) {
        let place = bytes_of(client).unwrap_or_else(|| b"unknown".to_vec());
        let (hash, earlier) = self.hash_request([b"key", &place, key.as_bytes()]);
        (URL_SAFE_NO_PAD.encode(hash), earlier.map(|hash| URL_SAFE_NO_PAD.encode(hash)))
    }

    /// The refresh token that takes the place of one, always the same; and what it was under the previous key
    pub fn successors(&self, token: Secret) -> (Secret, Option<Secret>) {
        let successor = |key: &Hmac<Sha256>| {
            Secret(key.clone().chain_update("refresh").chain_update(token.0).finalize().into_bytes().into())
        };
        (successor(&self.current), self.previous.as_ref().map(successor))
    }
}

/// An address as bytes; of each kind another number of them
fn bytes_of(client: Client) -> Option<Vec<u8>> {
    match client {
        Client::At(IpAddr::V4(address)) => Some(address.octets().to_vec()),
        Client::At(IpAddr::V6(address)) => Some(address.octets().to_vec()),
        Client::Socket => Some(Vec::new()),
        Client::Unknown => None,
    }
}

/// How many bytes a seal has
const SEAL: usize = 16;

fn seal(key: &Hmac<Sha256>, purpose: &str, text: &[u8]) -> [u8; SEAL] {
    let hash = key.clone().chain_update("seal").chain_update(purpose.len().to_be_bytes()).chain_update(purpose);
    let hash = hash.chain_update(text).finalize().into_bytes();
    std::array::from_fn(|index| hash[index])
}

/// Hides a text, or shows what was hidden.
fn hide(key: &Hmac<Sha256>, seal: [u8; SEAL], text: &[u8]) -> Vec<u8> {
    let block = |index: usize| {
        let block = key.clone().chain_update("hide").chain_update(seal).chain_update(index.to_be_bytes());
        block.finalize().into_bytes()
    };
    let hidden = text
        .chunks(32)
        .enumerate()
        .flat_map(|(index, part)| part.iter().zip(block(index)).map(|(byte, mask)| byte ^ mask).collect::<Vec<u8>>());
    hidden.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_767_258_000_000_000);
    const USER: UserId = UserId(Uuid::from_u128(7));

    fn keys(current: &[u8], previous: Option<&[u8]>) -> Keys {
        Keys::new(current, previous).unwrap()
    }

    fn token(keys: &Keys) -> String {
        keys.sign(USER, 3, NOW, Uuid::from_u128(1)).unwrap()
    }

    #[test]
    fn a_token_counts_for_ten_minutes_and_under_its_key_only() {
        let own = keys(b"secret", None);
        let claims = own.verify(&token(&own), NOW).unwrap();
        assert_eq!((claims.user, claims.generation), (USER, 3));
        assert!(own.verify(&token(&own), NOW.plus_seconds(LIFETIME - 1)).is_some());
        assert!(own.verify(&token(&own), NOW.plus_seconds(LIFETIME)).is_none());
        assert!(keys(b"other", None).verify(&token(&own), NOW).is_none());
        assert!(keys(b"other", Some(b"secret")).verify(&token(&own), NOW).is_some());
    }

    #[test]
    fn a_token_of_a_clock_that_was_ahead_does_not_count_until_that_time() {
        let own = keys(b"secret", None);
        let issued_in = |seconds| own.sign(USER, 3, NOW.plus_seconds(seconds), Uuid::from_u128(1)).unwrap();
        for (seconds, counts) in
            [(60, true), (61, false), (10 * 365 * 24 * 60 * 60, false), (i64::MAX / 2_000_000, false)]
        {
            assert_eq!(own.verify(&issued_in(seconds), NOW).is_some(), counts, "{seconds}");
        }
    }

    #[test]
    fn no_algorithm_but_ours_counts() {
        let own = keys(b"secret", None);
        let genuine = token(&own);
        let payload = genuine.split('.').nth(1).unwrap();
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"none","typ":"at+jwt"}"#, r#"{"typ":"at+jwt","alg":"HS256"}"#] {
            let signed = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header));
            let signature = own.current.clone().chain_update(&signed).finalize().into_bytes();
            assert!(own.verify(&format!("{signed}."), NOW).is_none());
            assert!(own.verify(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)), NOW).is_none());
        }
    }

    #[test]
    fn a_token_of_another_issuer_or_for_somebody_else_does_not_count_though_the_key_is_ours() {
        let own = keys(b"secret", None);
        let genuine = token(&own);
        let (header, payload) = genuine.rsplit_once('.').unwrap().0.split_once('.').unwrap();
        let with = |field: &str, value: &str| {
            let mut payload: serde_json::Value =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
            payload[field] = value.into();
            let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
            let signature = own.current.clone().chain_update(&signed).finalize().into_bytes();
            own.verify(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)), NOW)
        };
        for field in ["iss", "aud"] {
            assert!(with(field, NAME).is_some());
            assert!(with(field, "another").is_none());
        }
    }

    proptest! {
        #[test]
        fn a_changed_token_counts_no_more(place in any::<prop::sample::Index>(), character in "[A-Za-z0-9_.-]") {
            let own = keys(b"secret", None);
            let genuine = token(&own);
            let place = place.index(genuine.len());
            let mut changed = genuine.clone();
            changed.replace_range(place..=place, &character);
            prop_assert_eq!(own.verify(&changed, NOW).is_some(), changed == genuine);
        }

        #[test]
        fn what_is_sealed_is_opened_for_its_purpose_alone(text in prop::collection::vec(any::<u8>(), 0..100), bit in any::<prop::sample::Index>()) {
            let own = keys(b"secret", None);
            let sealed = own.seal("list", &text);
            prop_assert_eq!(own.open("list", &sealed), Some(text.clone()));
            prop_assert_eq!(keys(b"new", Some(b"secret")).open("list", &sealed), Some(text.clone()));
            prop_assert_eq!(own.open("other list", &sealed), None);
            prop_assert_eq!(keys(b"other", None).open("list", &sealed), None);
            let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(own.open("list", &URL_SAFE_NO_PAD.encode(bytes)), None);
        }

        #[test]
        fn no_text_makes_opening_panic(text in "\\PC{0,200}") {
            prop_assert_eq!(keys(b"secret", None).open("list", &text), None);
        }

        #[test]
        fn no_text_makes_verifying_panic(text in "\\PC{0,200}") {
            let _ = keys(b"secret", None).verify(&text, NOW);
        }
    }
}
