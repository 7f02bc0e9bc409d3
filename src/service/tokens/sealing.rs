//! What a client holds without reading it: sealed, so that it can neither be made nor read by anybody else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Keys;

/// Longer ones are none of ours.
const LONGEST: usize = 1024;

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

    fn keys(current: &[u8], previous: Option<&[u8]>) -> Keys {
        Keys::new(current, previous).unwrap()
    }

    proptest! {
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
    }
}
