//! What is asked of a swap, and what is said of it afterwards.

use super::{RolloutError, milliseconds};
use crate::archive::{Trial, Unknown};
use host_base::clock::now_ms;
use host_database::cluster::PeerReport;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// The longest after which a trial ends by itself: 30 days.
const MAX_TRIAL_SECONDS: u64 = 2_592_000;

/// Which revision is to serve, and how much.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// The revision's id, as the upload's verdict gave it.
    pub revision: String,
    /// Its share of the work in percent, 1 to 99, beside the one that serves
    /// now; everything if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_percent: Option<u8>,
    /// Lets the revision on trial serve alone after so long, 1 to 2592000, if
    /// it has had enough calls and has done no worse; unset: when an operator
    /// says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote_after_seconds: Option<u64>,
    /// Activates it though the verdict says that it does not fit.
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
    /// How many of them finished.
    pub drained: u64,
    /// How many were still running when the wait for them ended.
    pub cut_off: u64,
    /// How many ended without an answer, as when the client went away.
    pub dropped: u64,
    /// How long it took to build and exchange the snapshot, in microseconds.
    pub swap_us: u64,
    /// From the call to the swap, in milliseconds.
    pub took_ms: u64,
    /// From the swap to the end of the last work under way, in milliseconds.
    pub drain_ms: u64,
    /// The migrations that ran.
    pub migrations: Vec<String>,
    /// Instances that were ready at the swap.
    pub warm_instances: usize,
    /// What the new revision answered before the swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeView>,
    /// What became of it on the other hosts, if there are any.
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

/// How much of the work a revision on trial is to get, and for how long.
pub(super) struct Share {
    percent: u8,
    promote_after: Option<Duration>,
}

impl Activation {
    /// The trial that is wanted, if one is.
    pub(super) fn trial(&self) -> Result<Option<Share>, RolloutError> {
        let wrong =
            |field, problem: &str| -> Result<_, _> { Err(RolloutError::Value { field, problem: problem.to_owned() }) };
        match (self.canary_percent, self.promote_after_seconds) {
            (Some(percent), _) if !(1..=99).contains(&percent) => wrong("canary_percent", "must be 1 to 99"),
            (_, Some(seconds)) if !(1..=MAX_TRIAL_SECONDS).contains(&seconds) => {
                wrong("promote_after_seconds", "must be 1 to 2592000")
            }
            (None, Some(_)) => wrong("promote_after_seconds", "is of a trial, which needs canary_percent"),
            (None, None) => Ok(None),
            (Some(percent), seconds) => Ok(Some(Share { percent, promote_after: seconds.map(Duration::from_secs) })),
        }
    }
}

impl Share {
    /// The trial that begins now.
    pub(super) fn begin(&self, revision: String) -> Trial {
        let promote_at_ms = self.promote_after.map(|after| now_ms().saturating_add(milliseconds(after)));
        Trial { revision, percent: self.percent, promote_at_ms, unknown: Unknown::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_has_a_share_and_perhaps_an_end() {
        let wanted = |canary_percent, promote_after_seconds| {
            let activation = Activation { canary_percent, promote_after_seconds, ..Activation::default() };
            activation.trial().map(|trial| trial.map(|share| share.begin("r".to_owned())))
        };
        let field = |canary_percent, after| match wanted(canary_percent, after) {
            Err(RolloutError::Value { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert!(wanted(None, None).unwrap().is_none());
        let trial = wanted(Some(10), Some(600)).unwrap().unwrap();
        assert_eq!((trial.revision.as_str(), trial.percent), ("r", 10));
        let seconds = trial.promote_at_ms.unwrap().saturating_sub(now_ms()) / 1_000;
        assert!((590..=600).contains(&seconds), "{seconds}");
        assert_eq!(wanted(Some(99), None).unwrap().unwrap().promote_at_ms, None);
        assert_eq!([field(Some(0), None), field(Some(100), Some(9))], ["canary_percent"; 2]);
        assert_eq!(
            [field(None, Some(9)), field(Some(9), Some(0)), field(Some(9), Some(2_592_001))],
            ["promote_after_seconds"; 3]
        );
    }
}
