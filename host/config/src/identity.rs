//! `[identity]`: sessions, password hashing and throttling.

use super::problem::{Invalid, within};
use host_base::secret::Secret;
use serde::Deserialize;
use std::{collections::BTreeSet, thread, time::Duration};

/// What HS256 asks for (RFC 7518, 3.2).
const MIN_KEY_BYTES: usize = 32;
/// Fewer different bytes are no random key, in any notation.
const MIN_DIFFERENT_BYTES: usize = 8;
/// A key that repeats a piece has no more strength than the piece.
const MIN_PERIOD_BYTES: usize = 17;
/// Parts of keys from examples and templates, without punctuation and in small
/// letters.
const EXAMPLES: [&str; 12] = [
    "changeme",
    "changethis",
    "replaceme",
    "replacethis",
    "your256bitsecret",
    "yoursecret",
    "yourjwt",
    "stringsecretatleast256bitslong",
    "supersecret",
    "mysecret",
    "secretkey",
    "insecure",
];

/// Settings of `platform:identity`.
#[derive(Debug, Clone)]
pub struct IdentityConfig {
    /// What signs sessions; unset: generated once and kept in the data
    /// directory.
    pub jwt_key: Option<Secret>,
    /// How long a session lasts.
    pub session_ttl: Duration,
    /// What hashing a password costs.
    pub argon2: Argon2Config,
    /// Passwords hashed at the same time; as few as half of that where they
    /// wait long for a processor.
    pub hashing_concurrency: usize,
    /// Passwords that wait to be hashed; one more is refused.
    pub hashing_queue: usize,
    /// Failed attempts of one address on one account before they are throttled.
    pub failed_attempts_per_account: u32,
    /// Failed attempts before a client address is throttled.
    pub failed_attempts_per_address: u32,
    /// How long failed attempts count, from the first of them on.
    pub failed_attempts_window: Duration,
}

/// Parameters of argon2id. The defaults are the OWASP password storage cheat
/// sheet's: 19 MiB, two passes, one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Config {
    /// Memory of one hash.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIdentityConfig {
    pub(super) jwt_key: Option<Secret>,
    session_ttl_seconds: Option<u64>,
    argon2_memory_kib: Option<u32>,
    argon2_iterations: Option<u32>,
    argon2_parallelism: Option<u32>,
    hashing_concurrency: Option<usize>,
    hashing_queue: Option<usize>,
    failed_attempts_per_account: Option<u32>,
    failed_attempts_per_address: Option<u32>,
    failed_attempts_window_seconds: Option<u64>,
}

impl TryFrom<RawIdentityConfig> for IdentityConfig {
    type Error = Invalid;

    fn try_from(raw: RawIdentityConfig) -> Result<Self, Invalid> {
        if let Some(problem) = raw.jwt_key.as_ref().and_then(key_weakness) {
            return Err(Invalid::new("identity.jwt_key", problem));
        }
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            jwt_key: raw.jwt_key,
            session_ttl: Duration::from_secs(within(
                "identity.session_ttl_seconds",
                raw.session_ttl_seconds,
                7 * 86_400,
                1..=365 * 86_400,
            )?),
            argon2: Argon2Config {
                memory_kib: within("identity.argon2_memory_kib", raw.argon2_memory_kib, 19_456, 64..=4_194_304)?,
                iterations: within("identity.argon2_iterations", raw.argon2_iterations, 2, 1..=100)?,
                parallelism: within("identity.argon2_parallelism", raw.argon2_parallelism, 1, 1..=8)?,
            },
            hashing_concurrency: within("identity.hashing_concurrency", raw.hashing_concurrency, cores, 1..=256)?,
            hashing_queue: within("identity.hashing_queue", raw.hashing_queue, 256, 0..=100_000)?,
            failed_attempts_per_account: within(
                "identity.failed_attempts_per_account",
                raw.failed_attempts_per_account,
                10,
                1..=1_000_000,
            )?,
            failed_attempts_per_address: within(
                "identity.failed_attempts_per_address",
                raw.failed_attempts_per_address,
                100,
                1..=1_000_000,
            )?,
            failed_attempts_window: Duration::from_secs(within(
                "identity.failed_attempts_window_seconds",
                raw.failed_attempts_window_seconds,
                15 * 60,
                1..=86_400,
            )?),
        })
    }
}

/// Why sessions cannot be signed with a key. None if they can.
pub(super) fn key_weakness(key: &Secret) -> Option<String> {
    let key = key.expose().as_bytes();
    if key.len() < MIN_KEY_BYTES {
        return Some(format!("the key has {} bytes and must have at least {MIN_KEY_BYTES}", key.len()));
    }
    let different = key.iter().collect::<BTreeSet<_>>().len();
    if different < MIN_DIFFERENT_BYTES {
        return Some(format!("the key has only {different} different bytes and can be guessed"));
    }
    if (1..MIN_PERIOD_BYTES).any(|period| key.iter().zip(key.iter().skip(period)).all(|(one, next)| one == next)) {
        return Some("the key repeats a short piece and can be guessed".to_owned());
    }
    let letters = key.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| byte.to_ascii_lowercase());
    let letters = String::from_utf8(letters.collect()).unwrap_or_default();
    let example = EXAMPLES.iter().find(|example| letters.contains(*example))?;
    Some(format!("the key contains {example:?}, as keys of examples do, and can be guessed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_can_be_guessed_is_refused_with_the_reason() {
        for (key, reason) in [
            ("", "0 bytes"),
            ("0123456789abcdef0123456789abcde", "31 bytes"),
            (&"a".repeat(64), "1 different"),
            (&"\0".repeat(32), "1 different"),
            (&"ab".repeat(64), "2 different"),
            ("1111111111111111111111111111111111112", "2 different"),
            (&"correct horse ".repeat(4), "repeats"),
            ("0123456789abcdef0123456789abcdef", "repeats"),
            ("please-Change-Me-before-production-0", "changeme"),
            ("a-string-secret-at-least-256-bits-long", "stringsecret"),
            ("your-256-bit-secret-your-256-bit-key", "your256bitsecret"),
            ("my_super_secret_jwt_signing_key_2024", "supersecret"),
        ] {
            let problem = key_weakness(&Secret::new(key)).unwrap_or_default();
            assert!(problem.contains(reason), "{key}: {problem}");
            assert!(key.is_empty() || !problem.contains(key), "the reason does not show the key");
        }
        for key in ["1c9f4e07d35ab862f0e1d2c3b4a5968711", "k7Qw+9vTz3/LmR2xYc8NfB1sHd5Gj0Pa"] {
            assert_eq!(key_weakness(&Secret::new(key)), None);
        }
    }
}
