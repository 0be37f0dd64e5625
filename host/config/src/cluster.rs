//! `[cluster]`: this host among others on the same database.

use super::problem::Invalid;
use serde::Deserialize;

const MAX_NAME_BYTES: usize = 200;
const MACHINE: &str = "/proc/sys/kernel/hostname";

/// Settings of a host among others.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// What people call this host.
    pub name: String,
}

/// As in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawClusterConfig {
    pub(super) name: Option<String>,
}

impl TryFrom<RawClusterConfig> for ClusterConfig {
    type Error = Invalid;

    fn try_from(raw: RawClusterConfig) -> Result<Self, Invalid> {
        let name = raw.name.unwrap_or_else(machine);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(Invalid::new("cluster.name", format!("must be 1 to {MAX_NAME_BYTES} bytes of one line")));
        }
        Ok(Self { name })
    }
}

/// The machine's own name, which in a container is the container's.
fn machine() -> String {
    let name = std::fs::read_to_string(MACHINE).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "host".to_owned() } else { name.to_owned() }
}
