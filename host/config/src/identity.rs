//! `[identity]`: sessions, password hashing and throttling.

use super::problem::{Invalid, within};
use host_base::secret::Secret;
use serde::Deserialize;
use std::{thread, time::Duration};

const MIN_KEY_BYTES: usize = 16;

/// What HS256 asks for (RFC 7518, 3.2).
pub(super) const RECOMMENDED_KEY_BYTES: usize = 32;

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
    /// Failed attempts before an account is throttled.
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
        let key_bytes = raw.jwt_key.as_ref().map(|key| key.expose().len());
        if key_bytes.is_some_and(|bytes| bytes < MIN_KEY_BYTES) {
            return Err(Invalid::new(
                "identity.jwt_key",
                format!("must have at least {MIN_KEY_BYTES} bytes, better {RECOMMENDED_KEY_BYTES}"),
            ));
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
