//! Settings, limits and grants of a plugin. The settings file has the same
//! words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A capability that a plugin may import if an operator grants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Grant {
    /// `platform:store`, and with it events and timers.
    Store,
    /// `platform:identity`.
    Identity,
    /// `platform:payments`.
    Payments,
    /// `wasi:clocks`.
    Clocks,
    /// `wasi:random`.
    Random,
    /// `wasi:config`.
    Config,
    /// `wasi:logging`.
    Logging,
    /// Requests to the hosts that are granted with it.
    Http,
}

impl Grant {
    /// All grants.
    pub const ALL: [Self; 8] = [
        Self::Store,
        Self::Identity,
        Self::Payments,
        Self::Clocks,
        Self::Random,
        Self::Config,
        Self::Logging,
        Self::Http,
    ];
}

/// Where a value comes from. Each source beats those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValueSource {
    /// An operator, while the host runs.
    Operator,
    /// `--set`.
    Flag,
    /// An environment variable.
    Environment,
    /// The TOML file.
    File,
    /// The plugin's manifest, or the host's default if the manifest has no value.
    Manifest,
}

/// Limits that replace those of the plugin's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the manifest's limits of the same names are documented")]
pub struct LimitOverrides {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_instances: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memories: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<u32>,
}

impl LimitOverrides {
    /// The names of all limits, in the order of the fields.
    pub const NAMES: [&str; 13] = [
        "memory_mib",
        "wall_time_ms",
        "transaction_ms",
        "concurrency",
        "queue",
        "body_bytes",
        "response_bytes",
        "event_bytes",
        "host_calls",
        "delivery_attempts",
        "core_instances",
        "memories",
        "tables",
    ];

    /// For each limit the higher one of both values.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> Self {
        Self {
            memory_mib: self.memory_mib.max(other.memory_mib),
            wall_time_ms: self.wall_time_ms.max(other.wall_time_ms),
            transaction_ms: self.transaction_ms.max(other.transaction_ms),
            concurrency: self.concurrency.max(other.concurrency),
            queue: self.queue.max(other.queue),
            body_bytes: self.body_bytes.max(other.body_bytes),
            response_bytes: self.response_bytes.max(other.response_bytes),
            event_bytes: self.event_bytes.max(other.event_bytes),
            host_calls: self.host_calls.max(other.host_calls),
            delivery_attempts: self.delivery_attempts.max(other.delivery_attempts),
            core_instances: self.core_instances.max(other.core_instances),
            memories: self.memories.max(other.memories),
            tables: self.tables.max(other.tables),
        }
    }
}
