//! Access tokens: JSON Web Tokens (RFC 7519) signed by HMAC-SHA-256, for one server and its own clients.
//!
//! The same program signs and verifies, so a token's header is always the same text, and any other is refused unread: there is no
//! algorithm to choose, and none to confuse.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use super::Keys;
use super::keys::KNOWN;
use crate::error::{Error, Result};
use crate::model::{Timestamp, UserId};

/// How long an access token is valid, in seconds
pub const LIFETIME: i64 = 600;

/// How far the clock of a token's issuer may be ahead, in seconds
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
    /// The log-in that it belongs to
    pub login: Uuid,
    /// The account's generation when it was issued
    pub generation: i64,
    /// From when it is not valid
    pub expires_at: Timestamp,
}

/// What stands in a token, by the names of RFC 7519 and, for the log-in, of OpenID Connect Front-Channel Logout 1.0; times are
/// seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: UserId,
    iat: i64,
    exp: i64,
    jti: Uuid,
    sid: Uuid,
    generation: i64,
}

impl Keys {
    /// A token for a user and a log-in; `id` tells it from every other.
    pub fn sign(&self, user: UserId, login: Uuid, generation: i64, now: Timestamp, id: Uuid) -> Result<String> {
        let issued_at = now.0.div_euclid(1_000_000);
        let payload = Payload {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: user,
            iat: issued_at,
            exp: issued_at + LIFETIME,
            jti: id,
            sid: login,
            generation,
        };
        let payload = serde_json::to_vec(&payload).map_err(Error::internal)?;
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.current.clone().chain_update(&signed).finalize().into_bytes();
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The claims of a token; none if it is forged, expired, or not an access token.
    ///
    /// Whoever asks often is known again: to verify a token takes longer than to find a page in memory.
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        let known = self.known.get_or_init(|| Cache::new(KNOWN));
        let claims = known.get(token);
        if claims.as_ref().is_some_and(|claims| !claims.is_of(now)) {
            known.remove(token);
            return None;
        }
        claims.or_else(|| {
            let claims = self.read(token).filter(|claims| claims.is_of(now))?;
            known.insert(token.into(), claims.clone());
            Some(claims)
        })
    }

    /// The claims of a token that was signed here, whenever that was.
    fn read(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_of = |key: &Hmac<Sha256>| key.clone().chain_update(signed).verify_slice(&signature).is_ok();
        if header != URL_SAFE_NO_PAD.encode(HEADER)
            || !(is_of(&self.current) || self.previous.as_ref().is_some_and(is_of))
        {
            return None;
        }
        let Payload { iss, aud, sub, exp, sid, generation, .. } =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let expires_at = Timestamp(exp.checked_mul(1_000_000)?);
        (iss == NAME && aud == NAME).then_some(Claims { user: sub, login: sid, generation, expires_at })
    }
}

impl Claims {
    /// Whether they are valid at a time. Those that begin later than in a minute are not: a clock that was ahead issued them.
    fn is_of(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.expires_at <= now.plus_seconds(LIFETIME + AHEAD)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_767_258_000_000_000);
    const USER: UserId = UserId(Uuid::from_u128(7));
    const LOGIN: Uuid = Uuid::from_u128(8);

    fn keys(current: &[u8], previous: Option<&[u8]>) -> Keys {
        Keys::new(current, previous).unwrap()
    }

    fn token(keys: &Keys) -> String {
        keys.sign(USER, LOGIN, 3, NOW, Uuid::from_u128(1)).unwrap()
    }

    #[test]
    fn a_token_is_valid_for_ten_minutes_and_under_its_key_only() {
        let own = keys(b"secret", None);
        let claims = own.verify(&token(&own), NOW).unwrap();
        assert_eq!((claims.user, claims.login, claims.generation), (USER, LOGIN, 3));
        assert!(own.verify(&token(&own), NOW.plus_seconds(LIFETIME - 1)).is_some());
        assert!(own.verify(&token(&own), NOW.plus_seconds(LIFETIME)).is_none());
        assert!(own.verify(&token(&own), NOW.plus_seconds(-61)).is_none(), "it is known, but not of this time");
        assert!(keys(b"other", None).verify(&token(&own), NOW).is_none());
        assert!(keys(b"other", Some(b"secret")).verify(&token(&own), NOW).is_some());
    }

    #[test]
    fn a_token_of_a_clock_that_was_ahead_is_not_valid_until_that_time() {
        let own = keys(b"secret", None);
        let issued_in = |seconds| own.sign(USER, LOGIN, 3, NOW.plus_seconds(seconds), Uuid::from_u128(1)).unwrap();
        for (seconds, is_valid) in
            [(60, true), (61, false), (10 * 365 * 24 * 60 * 60, false), (i64::MAX / 2_000_000, false)]
        {
            assert_eq!(own.verify(&issued_in(seconds), NOW).is_some(), is_valid, "{seconds}");
        }
    }

    #[test]
    fn no_algorithm_but_ours_is_valid() {
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
    fn a_token_of_another_issuer_or_for_somebody_else_is_not_valid_though_the_key_is_ours() {
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
        fn a_changed_token_is_not_valid(place in any::<prop::sample::Index>(), character in "[A-Za-z0-9_.-]") {
            let own = keys(b"secret", None);
            let genuine = token(&own);
            let place = place.index(genuine.len());
            let mut changed = genuine.clone();
            changed.replace_range(place..=place, &character);
            prop_assert_eq!(own.verify(&changed, NOW).is_some(), changed == genuine);
        }

        #[test]
        fn no_text_makes_verifying_panic(text in "\\PC{0,200}") {
            let _ = keys(b"secret", None).verify(&text, NOW);
        }
    }
}
