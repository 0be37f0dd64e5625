//! The operator's bearer token, compared in constant time.

use crate::config::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What an `authorization` header is checked against. Only a digest is kept,
/// so neither the content nor the length of a guess shows in the time.
#[derive(Clone)]
pub struct OperatorToken([u8; 32]);

impl OperatorToken {
    /// The token to be offered.
    pub fn new(token: &Secret) -> Self {
        Self(Sha256::digest(token.expose()).into())
    }

    /// Whether the value of an `authorization` header is `Bearer` and the
    /// token.
    pub fn allows(&self, authorization: &str) -> bool {
        let Some((scheme, offered)) = authorization.split_once(' ') else {
            return false;
        };
        let offered: [u8; 32] = Sha256::digest(offered.trim()).into();
        scheme.eq_ignore_ascii_case("bearer") && bool::from(self.0.ct_eq(&offered))
    }
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OperatorToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bearer_of_the_token_is_allowed() {
        let token = OperatorToken::new(&Secret::new("right"));
        assert!(token.allows("Bearer right"));
        assert!(token.allows("bearer  right"));
        for wrong in ["", "right", "Bearer", "Bearer ", "Bearer wrong", "Basic right", "Bearer rightx"] {
            assert!(!token.allows(wrong), "{wrong}");
        }
    }
}
