//! `[operator]`: the listener for whoever runs the host.

use super::problem::{Invalid, within};
use host_base::secret::Secret;
use serde::Deserialize;
use std::net::{Ipv4Addr, SocketAddr};

pub(super) const RECOMMENDED_TOKEN_BYTES: usize = 16;

/// Settings of the operator listener.
#[derive(Debug, Clone)]
pub struct OperatorConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The bearer token; unset: generated once and kept in the data directory.
    pub token: Option<Secret>,
    /// Names, in small letters, under which clients reach the listener beside
    /// `localhost` and addresses.
    pub hosts: Vec<String>,
    /// Rows of the audit that are kept of what was done, and as many of what
    /// was refused.
    pub audit_rows: u32,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOperatorConfig {
    pub(super) listen: Option<SocketAddr>,
    pub(super) token: Option<Secret>,
    hosts: Vec<String>,
    audit_rows: Option<u32>,
}

impl TryFrom<RawOperatorConfig> for OperatorConfig {
    type Error = Invalid;

    fn try_from(raw: RawOperatorConfig) -> Result<Self, Invalid> {
        let fits_a_header = |token: &Secret| {
            let token = token.expose();
            !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if raw.token.as_ref().is_some_and(|token| !fits_a_header(token)) {
            return Err(Invalid::new("operator.token", "must be of visible ASCII characters, at least one"));
        }
        Ok(Self {
            listen: raw.listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8081))),
            token: raw.token,
            hosts: raw.hosts.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?,
            audit_rows: within("operator.audit_rows", raw.audit_rows, 100_000, 100..=10_000_000)?,
        })
    }
}

/// A name without a port, as browsers compare it.
fn host_name(name: &str) -> Result<String, Invalid> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
    };
    if is_name(name) {
        return Ok(name.trim_end_matches('.').to_ascii_lowercase());
    }
    Err(Invalid::new("operator.hosts", format!("`{name}` is not the name of a host, such as `operators.example.com`")))
}
