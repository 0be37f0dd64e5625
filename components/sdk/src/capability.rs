//! The host's other capabilities: identity, payments and settings. The files
//! in `wit/` document them.

use crate::bindings::imports::wasi::config;
use crate::error::{Error, Result};

/// Password hashes and sessions.
pub use crate::bindings::imports::platform::identity::identity;
/// Card charges.
pub use crate::bindings::imports::platform::payments::payments;

/// The value of a setting that the manifest declares as an integer.
pub fn config_integer(key: &str) -> Result<i64> {
    config_value(key)?
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Internal(format!("setting `{key}` is not an integer")))
}

/// The value of a setting that the manifest declares as a string.
pub fn config_text(key: &str) -> Result<String> {
    config_value(key)?.ok_or_else(|| Error::Internal(format!("setting `{key}` is not declared")))
}

fn config_value(key: &str) -> Result<Option<String>> {
    config::store::get(key).map_err(|error| Error::Unavailable(format!("setting `{key}`: {error}")))
}
