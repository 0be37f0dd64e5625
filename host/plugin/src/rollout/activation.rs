//! How an activation becomes a trial.

use super::{RolloutError, milliseconds};
use crate::archive::{Trial, Unknown};
use host_api::swap::Activation;
use host_base::clock::now_ms;
use std::time::Duration;

/// The longest after which a trial ends by itself: 30 days.
const MAX_TRIAL_SECONDS: u64 = 2_592_000;

/// How much of the work a revision on trial is to get, and for how long.
pub(super) struct Share {
    percent: u8,
    promote_after: Option<Duration>,
}

/// The share of a trial; none if the revision shall serve alone.
pub(super) fn wanted_share(activation: &Activation) -> Result<Option<Share>, RolloutError> {
    let wrong =
        |field, problem: &str| -> Result<_, _> { Err(RolloutError::Value { field, problem: problem.to_owned() }) };
    match (activation.canary_percent, activation.promote_after_seconds) {
        (Some(percent), _) if !(1..=99).contains(&percent) => wrong("canary_percent", "must be 1 to 99"),
        (_, Some(seconds)) if !(1..=MAX_TRIAL_SECONDS).contains(&seconds) => {
            wrong("promote_after_seconds", "must be 1 to 2592000")
        }
        (None, Some(_)) => wrong("promote_after_seconds", "is of a trial, which needs canary_percent"),
        (None, None) => Ok(None),
        (Some(percent), seconds) => Ok(Some(Share { percent, promote_after: seconds.map(Duration::from_secs) })),
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
            wanted_share(&activation).map(|trial| trial.map(|share| share.begin("r".to_owned())))
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
