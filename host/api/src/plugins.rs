//! `/plugins`: the plugins that are active.

use crate::{
    Word,
    figures::{FailureView, RecentView, RevisionCallsView},
    settings::{Grant, LimitOverrides, ValueSource},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// A plugin that is active.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PluginView {
    /// The plugin's name.
    pub name: String,
    /// The version that its manifest names.
    pub version: String,
    /// The revision that serves.
    pub revision: String,
    /// SHA-256 of its file, hexadecimal.
    pub digest: String,
    /// The size of its file.
    pub size_bytes: usize,
    /// Whether it serves.
    #[schema(value_type = PluginStatus)]
    pub status: Word<PluginStatus>,
    /// The revision on trial beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryView>,
    /// The interfaces that its component imports.
    pub imports: Vec<String>,
    /// The interfaces that its component exports.
    pub exports: Vec<String>,
    /// The paths that it answers.
    pub routes: Vec<RouteView>,
    /// The subjects of the events that it receives.
    pub subscribes: BTreeSet<String>,
    /// The subjects of the events that it publishes.
    pub publishes: BTreeSet<String>,
    /// Requests, events and timers that run now.
    pub in_flight: u64,
    /// Requests, events and timers since the revision was loaded.
    pub calls: u64,
    /// Calls that trapped, took too long, or found no room.
    pub failures: u64,
    /// Its calls on this host in the last minutes. None while it is being
    /// loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recent: Option<RecentView>,
    /// Its newest failure on this host, with the beginning of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<FailureView>,
    /// The budgets of which it has used four fifths or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearly_used: Vec<BudgetView>,
}

/// The part of a budget that a plugin has used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BudgetView {
    /// The kind of budget.
    #[schema(value_type = Budget)]
    pub budget: Word<Budget>,
    /// The used amount, in bytes or as a number.
    pub used: u64,
    /// The largest amount.
    pub limit: u64,
}

/// A budget of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// The memory of all its instances on this host, in bytes.
    Memory,
    /// The size of its database, in bytes.
    Database,
    /// Events that it has published and that the bus has not taken yet.
    Outbox,
    /// Timers that have not fired yet.
    Timers,
}

/// Whether a plugin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PluginStatus {
    /// It serves.
    Active,
    /// It serves, and another revision is on trial.
    Canary,
    /// An operator has paused it.
    Paused,
    /// It trapped or missed its deadline too often.
    Quarantined,
    /// The host is still loading it.
    Starting,
}

/// A revision on trial.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CanaryView {
    /// The revision's id.
    pub revision: String,
    /// Its share of the work.
    pub percent: u8,
    /// When it will serve alone without a command, in milliseconds since the
    /// Unix epoch. It must have had enough calls and have done no worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote_at_ms: Option<u64>,
    /// Requests, events and timers since the revision was loaded.
    pub calls: u64,
    /// Calls that ended with a failure or an answer of 500 and above.
    pub errors: u64,
    /// Calls that trapped, took too long, or found no room.
    pub failures: u64,
}

/// A path and the methods that are answered on it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RouteView {
    /// The pattern, such as `/api/things/{id}`.
    pub path: String,
    /// In upper case.
    pub methods: Vec<String>,
    /// Whether only other plugins reach it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// The most requests of one address, such as `10/h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Whether POST and PATCH take an `Idempotency-Key`.
    #[serde(default)]
    pub idempotent: bool,
}

/// A table of a plugin, without its contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableView {
    /// The name of the table.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Whether the number of rows is an estimate of the database.
    pub is_estimate: bool,
    /// The size of the table with its indexes, in bytes.
    pub bytes: u64,
}

/// A plugin with its settings, limits and grants.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PluginDetails {
    /// The plugin, as in the list.
    #[serde(flatten)]
    pub plugin: PluginView,
    /// The values of its declared settings.
    pub config: BTreeMap<String, String>,
    /// The source of each of these values.
    #[schema(value_type = BTreeMap<String, ValueSource>)]
    pub config_sources: BTreeMap<String, Word<ValueSource>>,
    /// Those of its declared settings that are secret. The host shows none of their
    /// values.
    #[serde(default)]
    pub config_secrets: BTreeSet<String>,
    /// The values among them that an operator has set while the host ran, without
    /// the secrets.
    pub config_set: BTreeMap<String, String>,
    /// Limits that an operator has set while the host ran.
    #[schema(value_type = LimitOverrides)]
    pub limits: BTreeMap<String, u64>,
    /// All limits that hold now, each with its source.
    pub limits_in_force: BTreeMap<String, LimitView>,
    /// The capabilities that it may import. Harmless imports need no grant.
    #[schema(value_type = BTreeSet<Grant>)]
    pub grants: BTreeSet<Word<Grant>>,
    /// Hosts with ports to which it may send requests.
    pub http_hosts: BTreeSet<String>,
    /// Other plugins whose routes it may call.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub calls_plugins: BTreeSet<String>,
    /// The active revision and the canary, side by side. Empty without a canary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<RevisionCallsView>,
    /// The revision to which a rollback returns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Why it was quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
}

/// A limit that holds now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LimitView {
    /// In the unit of its name.
    pub value: u64,
    /// The source of the value.
    #[schema(value_type = ValueSource)]
    pub source: Word<ValueSource>,
}

/// An upload whose file the host fetches by itself.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryUpload {
    /// The place in a registry of OCI that the policy of the plugin allows.
    #[schema(example = "oci://ghcr.io/me/hello:1.0.0")]
    pub place: String,
}
