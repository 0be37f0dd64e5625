//! What else the host does for a component: identity, payments, settings.
//! Their documentation is in `wit/`.

use crate::bindings::imports::wasi::config;
use crate::error::{Error, Result};

/// Passwords and sessions.
pub use crate::bindings::imports::platform::identity::identity;
/// Charging a card.
pub use crate::bindings::imports::platform::payments::payments;

/// A setting that the manifest declares as an integer.
pub fn config_integer(key: &str) -> Result<i64> {
    config::store::get(key)
        .map_err(|error| Error::Unavailable(format!("setting `{key}`: {error}")))?
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::Internal(format!("setting `{key}` is not an integer")))
}

/// A setting that the manifest declares as a string.
pub fn config_text(key: &str) -> Result<String> {
    config::store::get(key)
        .map_err(|error| Error::Unavailable(format!("setting `{key}`: {error}")))?
        .ok_or_else(|| Error::Internal(format!("setting `{key}` is not declared")))
}
