//! `/cluster`: the hosts that share a database. Hosts also store
//! [`RunningPlugin`] in that database, where hosts of other versions read it.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// What a host runs, by plugin.
pub type RunningPlugins = BTreeMap<String, RunningPlugin>;

/// The hosts on one database.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ClusterView {
    /// The id of the host that answers.
    pub this: String,
    /// All hosts, the oldest first. Hosts that were lost a short time ago are
    /// among them.
    pub hosts: Vec<Member>,
    /// Work that waits, by plugin. Any host may do it.
    pub lag: BTreeMap<String, LagView>,
}

/// How long the oldest work of a plugin has waited.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct LagView {
    /// Time since the oldest event that is not on the bus was committed, in
    /// milliseconds.
    pub outbox_ms: u64,
    /// Time since the most overdue timer was due, in milliseconds.
    pub timers_ms: u64,
}

/// A host, as the others see it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// New at each start.
    pub id: String,
    /// For people.
    pub name: String,
    /// The version of the host's program.
    pub version: String,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// Time since it last reported that it lives, in milliseconds.
    pub seen_ms_ago: i64,
    /// Whether it serves.
    pub status: Status,
    /// What it runs, by plugin.
    pub plugins: RunningPlugins,
}

/// Whether a host serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It serves.
    Ready,
    /// It starts, stops, or cannot reach something that it needs.
    Starting,
    /// It has not reported for a while.
    Lost,
}

/// What should run, or runs, of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Serving {
    /// The revision that serves.
    pub revision: String,
    /// The revision on trial, and its share in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<(String, u8)>,
    /// Whether the plugin is paused or quarantined.
    #[serde(default)]
    pub held: bool,
}

/// What a host runs of one plugin. A new field here must be one that hosts of
/// older versions can do without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunningPlugin {
    /// What it does with requests.
    #[serde(flatten)]
    pub serving: Serving,
    /// The revision that the hosts decided on, if this host runs the revision
    /// of its own binary in its place. Nobody has uploaded such a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// The subjects of the events that it receives.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subscribes: BTreeSet<String>,
    /// Why this host does not run the revision that it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
}

/// The result of a change on another host.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PeerReport {
    /// The host's name.
    pub host: String,
    /// Whether it runs the revision that the hosts decided on.
    pub follows: bool,
    /// Why it does not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
