//! What a client holds without reading it: sealed, so that it can neither be made nor read by anybody else.

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Keys;
use crate::error::{Error, Result};

/// Longer ones are none of ours.
const LONGEST: usize = 1024;

/// By AES-SIV (RFC 5297): the same text under the same key looks the same, and a changed one cannot be opened.
impl Keys {
    /// Seals a text for a purpose; opening it for another purpose fails.
    ///
    /// # Errors
    /// `Internal` if there is not enough memory.
    pub fn seal(&self, purpose: &str, text: &[u8]) -> Result<String> {
        let sealed = cipher(&self.current).encrypt([purpose], text);
        let sealed = sealed.map_err(|_| Error::internal("a text that cannot be sealed"))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The text that was sealed for that purpose; none where it was not.
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<Vec<u8>> {
        if sealed.len() > LONGEST {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let open = |key: &Hmac<Sha256>| cipher(key).decrypt([purpose], &sealed).ok();
        open(&self.current).or_else(|| self.previous.as_ref().and_then(open))
    }
}

/// The cipher, its key made from a secret
fn cipher(key: &Hmac<Sha256>) -> Aes128Siv {
    let key: [u8; 32] = key.clone().chain_update("cursors").finalize().into_bytes().into();
    Aes128Siv::new(&key.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(current: &[u8], previous: Option<&[u8]>) -> Keys {
        Keys::new(current, previous).unwrap()
    }

    #[test]
    fn a_sealed_text_is_opened_up_to_the_length_that_is_read_at_all() {
        let own = keys(b"secret", None);
        // A seal has 16 bytes.
        let bytes = LONGEST / 4 * 3 - 16;
        for (text, is_opened) in [(vec![7; bytes], true), (vec![7; bytes + 1], false)] {
            assert_eq!(own.open("list", &own.seal("list", &text).unwrap()), is_opened.then_some(text));
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened_for_its_purpose_alone(text in prop::collection::vec(any::<u8>(), 0..100), bit in any::<prop::sample::Index>()) {
            let own = keys(b"secret", None);
            let sealed = own.seal("list", &text).unwrap();
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
