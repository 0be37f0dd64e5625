//! `[rate_limits]`: how often one address and one account may ask.

use super::{problem::Invalid, rate::Rate};
use serde::Deserialize;
use std::{collections::BTreeMap, num::NonZeroU32};

/// A page with its files is about 20 requests.
const REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(1_200).unwrap();
const CHANGES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// The limits on requests of one visitor.
#[derive(Debug, Clone)]
pub struct RateLimitsConfig {
    /// Whether there are limits.
    pub enabled: bool,
    /// All requests of one address.
    pub address: Rate,
    /// The requests of one address that change something.
    pub changes: Rate,
    /// The requests of one account that change something.
    pub account: Rate,
    /// The requests of one address for an endpoint, such as `POST /things`, in place
    /// of the rate in the plugin's manifest.
    pub routes: BTreeMap<String, Rate>,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRateLimitsConfig {
    pub(super) enabled: Option<bool>,
    address: Option<Rate>,
    changes: Option<Rate>,
    account: Option<Rate>,
    routes: BTreeMap<String, Rate>,
}

impl TryFrom<RawRateLimitsConfig> for RateLimitsConfig {
    type Error = Invalid;

    fn try_from(raw: RawRateLimitsConfig) -> Result<Self, Invalid> {
        if let Some(name) = raw.routes.keys().find(|name| !is_endpoint(name)) {
            let reason = format!("`{name}` is not a method and a path such as `POST /things/{{id}}`");
            return Err(Invalid::new("rate_limits.routes", reason));
        }
        Ok(Self {
            enabled: raw.enabled.unwrap_or(true),
            address: raw.address.unwrap_or(Rate::per_minute(REQUESTS_PER_MINUTE)),
            changes: raw.changes.unwrap_or(Rate::per_minute(CHANGES_PER_MINUTE)),
            account: raw.account.unwrap_or(Rate::per_minute(CHANGES_PER_MINUTE)),
            routes: raw.routes,
        })
    }
}

fn is_endpoint(name: &str) -> bool {
    name.split_once(' ')
        .is_some_and(|(method, path)| method.chars().all(|c| c.is_ascii_uppercase()) && path.starts_with('/'))
}

/// Parses the variable that switches the limits.
pub(super) fn is_on(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("`{text}` is neither on nor off")),
    }
}
