//! Bearer tokens in requests, and the digests that they are compared with. The
//! host keeps no token, only digests.

use http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A token's SHA-256. The host hashes an offered token too and compares the
/// digests in constant time. So the time of an answer tells nothing about the
/// content or the length of the right token.
#[derive(Clone)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// A digest from the database.
    pub(super) fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn matches(&self, offered: &Self) -> bool {
        self.0.ct_eq(&offered.0).into()
    }
}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenDigest(..)")
    }
}

/// The token after `Bearer` in the `authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer_of(value: &'static str) -> Option<String> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, http::HeaderValue::from_static(value))]);
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn only_a_bearer_token_is_read() {
        assert_eq!(bearer_of("Bearer right").as_deref(), Some("right"));
        assert_eq!(bearer_of("bearer  right").as_deref(), Some("right"));
        assert_eq!(bearer_of("Bearer ").as_deref(), Some(""));
        for wrong in ["", "right", "Bearer", "Basic right"] {
            assert_eq!(bearer_of(wrong), None, "{wrong}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn every_offered_token_is_compared_as_a_digest_of_32_bytes() {
        let right = TokenDigest::of("right");
        for wrong in ["", "righ", "rightx", "Right", &"r".repeat(10_000)] {
            let offered = TokenDigest::of(wrong);
            assert_eq!(offered.as_bytes().len(), 32);
            assert!(!right.matches(&offered), "{wrong}");
        }
        assert!(right.matches(&TokenDigest::of("right")));
        assert!(TokenDigest::from_stored(right.as_bytes()).unwrap().matches(&right));
        assert!(TokenDigest::from_stored(b"short").is_none());
        assert!(!format!("{right:?}").contains("right"));
    }
}
