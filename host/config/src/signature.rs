//! Who made a plugin's file: a [minisign] signature (ed25519) over its bytes,
//! by one of the keys that the operator trusts.
//!
//! [minisign]: https://jedisct1.github.io/minisign/

use minisign_verify::{Error, PublicKey, Signature};
use std::fmt;

/// The longest signature: four lines, two of them comments.
pub const MAX_SIGNATURE_BYTES: usize = 16 << 10;

/// The public keys that an operator trusts.
#[derive(Debug, Clone, Default)]
pub struct SignatureKeys {
    keys: Vec<(KeyId, PublicKey)>,
}

/// A key, by what stands in the settings: the line of base64 that is the
/// public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyId(String);

/// Why a file is not accepted as signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none.
    #[error("the upload is not signed, and this host takes only signed ones")]
    Missing,
    /// It is not a minisign signature.
    #[error("the signature is not one of minisign: {0}")]
    Malformed(&'static str),
    /// It may be right, but nobody trusts its key.
    #[error("the upload is signed by a key that this host does not trust")]
    UnknownKey,
    /// It was made with that key for other bytes or another comment, or not
    /// with that key.
    #[error("the signature is wrong: it does not belong to these bytes and the key {key}")]
    Wrong {
        /// The key that it names.
        key: KeyId,
    },
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl SignatureKeys {
    /// Reads public keys: each the line of base64 that begins with `RW`, or
    /// the whole text of a `minisign.pub`.
    ///
    /// # Errors
    /// Names the first that is not a key.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let keys = texts.into_iter().map(|text| {
            let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
            let key = PublicKey::from_base64(line)
                .map_err(|_| format!("`{}` is not the public key of a minisign key pair", start(line)))?;
            Ok((KeyId(line.to_owned()), key))
        });
        Ok(Self { keys: keys.collect::<Result<_, String>>()? })
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks the text of a `.minisig` file against the bytes and the keys,
    /// and says whose it is. Both kinds of minisign are taken: over the bytes
    /// and, as is usual, over their hash.
    ///
    /// # Errors
    /// What is wrong with the signature, or that there is none.
    pub fn verify(&self, bytes: &[u8], signature: Option<&str>) -> Result<KeyId, SignatureError> {
        let text = signature.ok_or(SignatureError::Missing)?;
        if text.len() > MAX_SIGNATURE_BYTES {
            return Err(SignatureError::Malformed("it is too long"));
        }
        let signature = Signature::decode(text).map_err(|error| {
            SignatureError::Malformed(match error {
                Error::UnsupportedAlgorithm => "its algorithm is not known",
                _ => "it must be four lines, as in a .minisig file",
            })
        })?;
        // Two keys may have the same number, which is not secret: any that is right will do.
        let mut refusal = SignatureError::UnknownKey;
        for (id, key) in &self.keys {
            match key.verify(bytes, &signature, true) {
                Ok(()) => return Ok(id.clone()),
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => refusal = SignatureError::Wrong { key: id.clone() },
            }
        }
        Err(refusal)
    }
}

fn start(line: &str) -> String {
    line.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use minisign::KeyPair;
    use std::io::Cursor;

    fn sign(pair: &KeyPair, bytes: &[u8]) -> String {
        minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(bytes), Some("of a test"), None).unwrap().into_string()
    }

    fn trusting(pairs: &[&KeyPair]) -> SignatureKeys {
        let texts: Vec<_> = pairs.iter().map(|pair| pair.pk.to_base64()).collect();
        SignatureKeys::parse(texts.iter().map(String::as_str)).unwrap()
    }

    #[test]
    fn a_signature_of_a_trusted_key_is_taken_and_named() {
        let (first, second) =
            (KeyPair::generate_unencrypted_keypair().unwrap(), KeyPair::generate_unencrypted_keypair().unwrap());
        let keys = trusting(&[&first, &second]);
        let key = keys.verify(b"bytes", Some(&sign(&second, b"bytes"))).unwrap();
        assert_eq!(key.to_string(), second.pk.to_base64());
        let file = second.pk.to_box().unwrap().into_string();
        let from_file = SignatureKeys::parse([file.as_str()]).unwrap();
        assert_eq!(from_file.verify(b"bytes", Some(&sign(&second, b"bytes"))), Ok(key));
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let stranger = KeyPair::generate_unencrypted_keypair().unwrap();
        let keys = trusting(&[&pair]);
        let right = sign(&pair, b"bytes");
        let wrong = SignatureError::Wrong { key: KeyId(pair.pk.to_base64()) };
        assert_eq!(keys.verify(b"bytes", None), Err(SignatureError::Missing));
        assert_eq!(keys.verify(b"other", Some(&right)), Err(wrong.clone()));
        assert_eq!(keys.verify(b"bytes", Some(&right.replace("of a test", "of another"))), Err(wrong.clone()));
        assert_eq!(keys.verify(b"bytes", Some(&sign(&stranger, b"bytes"))), Err(SignatureError::UnknownKey));
        assert_eq!(trusting(&[]).verify(b"bytes", Some(&right)), Err(SignatureError::UnknownKey));
        for malformed in ["", "one line", &right[..right.len() / 2], &"x\n".repeat(MAX_SIGNATURE_BYTES)] {
            let refused = keys.verify(b"bytes", Some(malformed));
            assert!(matches!(refused, Err(SignatureError::Malformed(_))), "{malformed:.20}: {refused:?}");
        }
    }

    /// Made by minisign itself, without hashing; from its own tests.
    #[test]
    fn a_signature_over_the_bytes_themselves_is_taken() {
        let keys = SignatureKeys::parse(["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"]).unwrap();
        let signature = "untrusted comment: signature from minisign secret key\n\
            RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n\
            trusted comment: timestamp:1555779966\tfile:test\n\
            QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==";
        keys.verify(b"test", Some(signature)).unwrap();
        assert!(matches!(keys.verify(b"Test", Some(signature)), Err(SignatureError::Wrong { .. })));
    }

    #[test]
    fn an_invalid_key_is_named() {
        let refused = SignatureKeys::parse(["RWabc"]).unwrap_err();
        assert!(refused.contains("`RWabc` is not the public key"), "{refused}");
    }
}
