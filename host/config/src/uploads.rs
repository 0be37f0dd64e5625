//! `[uploads]`: plugins that operators send while the host runs.

use super::problem::{Invalid, within};
use crate::signature::SignatureKeys;
use serde::Deserialize;
use std::time::Duration;

/// The most that an operator may allow a plugin's file to have.
pub const MAX_ARTIFACT_BYTES: usize = 256 << 20;

/// Settings of uploads.
#[derive(Debug, Clone)]
pub struct UploadsConfig {
    /// The largest file.
    pub max_bytes: usize,
    /// Uploads that are received or checked at the same time; one more is
    /// refused.
    pub max_pending_uploads: usize,
    /// How long one may take to arrive.
    pub timeout: Duration,
    /// Whether a file must be signed.
    pub require_signature: bool,
    /// Whose signatures are trusted.
    pub keys: SignatureKeys,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawUploadsConfig {
    max_bytes: Option<usize>,
    max_pending_uploads: Option<usize>,
    timeout_seconds: Option<u64>,
    require_signature: bool,
    keys: Vec<String>,
}

impl TryFrom<RawUploadsConfig> for UploadsConfig {
    type Error = Invalid;

    fn try_from(raw: RawUploadsConfig) -> Result<Self, Invalid> {
        let keys = SignatureKeys::parse(raw.keys.iter().map(String::as_str))
            .map_err(|reason| Invalid::new("uploads.keys", reason))?;
        if raw.require_signature && keys.is_empty() {
            let reason = "a signature is required, but uploads.keys trusts nobody's";
            return Err(Invalid::new("uploads.require_signature", reason));
        }
        let timeout_seconds = within("uploads.timeout_seconds", raw.timeout_seconds, 60, 1..=3_600)?;
        Ok(Self {
            max_bytes: within("uploads.max_bytes", raw.max_bytes, 64 << 20, 1_024..=MAX_ARTIFACT_BYTES)?,
            max_pending_uploads: within("uploads.max_pending_uploads", raw.max_pending_uploads, 4, 1..=1_000)?,
            timeout: Duration::from_secs(timeout_seconds),
            require_signature: raw.require_signature,
            keys,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uploads(toml: &str) -> Result<UploadsConfig, String> {
        let raw: RawUploadsConfig = toml::from_str(toml).unwrap();
        UploadsConfig::try_from(raw).map_err(|invalid| format!("{}: {}", invalid.setting, invalid.reason))
    }

    #[test]
    fn the_defaults_take_unsigned_files_of_64_mib() {
        let defaults = uploads("").unwrap();
        assert_eq!((defaults.max_bytes, defaults.max_pending_uploads), (64 << 20, 4));
        assert!(!defaults.require_signature && defaults.keys.is_empty());
    }

    #[test]
    fn a_signature_cannot_be_required_of_nobody() {
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        assert!(uploads(&format!("require_signature = true\nkeys = ['{key}']")).is_ok());
        let refused = uploads("require_signature = true").unwrap_err();
        assert!(refused.starts_with("uploads.require_signature: a signature is required"), "{refused}");
        let refused = uploads("keys = ['nonsense']").unwrap_err();
        assert!(refused.starts_with("uploads.keys: `nonsense` is not the public key"), "{refused}");
        assert!(uploads("max_bytes = 1").unwrap_err().starts_with("uploads.max_bytes: 1 is out of range"));
    }
}
