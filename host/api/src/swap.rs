//! Activations, and the reports of the swaps that they cause.

use crate::cluster::PeerReport;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which revision shall serve, and for which share of the work.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// The revision's id, as the upload's verdict gave it.
    pub revision: String,
    /// Its share of the work in percent, 1 to 99. The revision that serves now
    /// does the rest. Left out: the new revision does all work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_percent: Option<u8>,
    /// Lets the revision on trial serve alone after this time, 1 to 2592000, if
    /// it has had enough calls and has done no worse. Left out: an operator
    /// promotes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote_after_seconds: Option<u64>,
    /// Activates it although the verdict finds it incompatible.
    #[serde(default)]
    pub force: bool,
}

/// What a swap did.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SwapReport {
    /// The plugin's name.
    pub plugin: String,
    /// The revision that served until the swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// The revision that serves now, or is on trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// Its share, if it is on trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_percent: Option<u8>,
    /// Requests, events and timers under way in the old revision at the swap.
    pub in_flight: u64,
    /// The number of them that finished.
    pub drained: u64,
    /// The number of them that still ran when the wait for them ended.
    pub cut_off: u64,
    /// The number of them that ended without an answer, for example because
    /// the client went away.
    pub dropped: u64,
    /// How long it took to build and exchange the snapshot, in microseconds.
    pub swap_us: u64,
    /// Time from the call to the swap, in milliseconds.
    pub took_ms: u64,
    /// Time from the swap to the end of the last work under way, in
    /// milliseconds.
    pub drain_ms: u64,
    /// The migrations that ran.
    pub migrations: Vec<String>,
    /// Instances of the new revision that were ready at the swap.
    pub warm_instances: usize,
    /// The new revision's answer to its probe before the swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeView>,
    /// The result on each of the other hosts, if there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<PeerReport>,
}

/// A request that a revision answered before it served.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProbeView {
    /// The manifest's health path.
    pub path: String,
    /// The answer's status.
    pub status: u16,
}
