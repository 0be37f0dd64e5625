//! Watches new revisions. A revision that does worse than the one before it is
//! rolled back. A canary that has done no worse for long enough is promoted, if
//! the operator wanted that. A revision that traps or misses its deadline too
//! often is taken out of service.

use super::{Rollout, RolloutError};
use crate::{
    Revision,
    archive::State,
    call_stats::CallCounts,
    registry::{Plugin, Standing},
};
use host_base::clock::now_ms;
use host_config::rollout::RolloutConfig;
use host_database::audit::{Entry, Outcome, actor};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc::UnboundedReceiver, task::AbortHandle};

const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// A revision with a lower average is never called slow.
const FAST_US: u64 = 20_000;
const TOO_OFTEN: &str = "the revision traps or misses its deadline too often";

/// The task that watches each plugin's newest revision.
#[derive(Default)]
pub(super) struct Watches(Mutex<BTreeMap<String, AbortHandle>>);

impl Watches {
    /// Ends the watch of a plugin.
    pub(super) fn end(&self, plugin: &str) {
        if let Some(watch) = self.0.lock().remove(plugin) {
            watch.abort();
        }
    }
}

/// The revision that a new one is compared with.
struct Baseline {
    /// The revision that does the same work now. None if it no longer runs.
    revision: Option<Arc<Revision>>,
    /// Its counters when the comparison began, or its final counters.
    counts: CallCounts,
    /// The time of the automatic promotion, in milliseconds since the Unix
    /// epoch.
    promote_at_ms: Option<u64>,
}

/// A step that the host takes by itself.
#[derive(Clone, Copy)]
enum Step {
    RollBack,
    Promote,
}

impl Rollout {
    /// Takes the revisions that raise the alarm out of service. Runs until the
    /// host ends.
    pub async fn quarantine(self: Arc<Self>, mut alarms: UnboundedReceiver<(String, String)>) {
        while let Some((plugin, revision)) = alarms.recv().await {
            match self.isolate(&plugin, &revision).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(component = plugin, revision, %error, "the revision fails too often and could not be quarantined")
                }
            }
        }
    }

    async fn isolate(self: &Arc<Self>, plugin: &str, revision: &str) -> Result<(), RolloutError> {
        let _guard = self.lock(plugin).await?;
        let Some(active) = self.active(plugin) else { return Ok(()) };
        let on_trial = active.canary.as_ref().is_some_and(|canary| canary.revision.id == revision);
        if !on_trial && active.revision.id != revision {
            return Ok(());
        }
        let state = self.state(plugin).await?;
        tracing::error!(component = plugin, revision, "{TOO_OFTEN}");
        self.note("quarantine", plugin, revision, TOO_OFTEN).await;
        metrics::counter!("plugin_quarantines_total", "component" => plugin.to_owned()).increment(1);
        let fallback = self.config.quarantine_fallback && state.previous.as_deref().is_some_and(|id| id != revision);
        if on_trial || fallback {
            match self.roll_back(plugin).await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::error!(component = plugin, %error, "the previous revision cannot take over"),
            }
        }
        let reason = format!("revision {revision} trapped or missed its deadline too often");
        self.set_standing(plugin, Standing::Quarantined, &State { quarantined: Some(reason), ..state }).await
    }

    /// Records a step of the host in the audit.
    async fn note(&self, action: &str, plugin: &str, revision: &str, reason: &str) {
        let entry = Entry {
            plugin: Some(plugin),
            revision: Some(revision),
            detail: Some(reason),
            ..Entry::new(action, Outcome::Done)
        };
        // The log has the entry if the audit fails.
        let _ = self.audit.record(actor::HOST, &entry).await;
    }

    /// Compares the new revision with the one before it, for the time in the
    /// settings. A canary is compared until it ends.
    pub(super) fn begin_watch(self: &Arc<Self>, name: &str, before: Option<&Plugin>, next: &Plugin) {
        self.watches.end(name);
        let (new, baseline) = match (&next.canary, before) {
            (Some(canary), _) => {
                let counts = next.revision.call_counts();
                let promote_at_ms = canary.promote_at_ms;
                (canary.revision.clone(), Baseline { revision: Some(next.revision.clone()), counts, promote_at_ms })
            }
            // A new revision is compared with the counters of the one before
            // it.
            (None, Some(before)) if !Arc::ptr_eq(&before.revision, &next.revision) => {
                let counts = before.revision.call_counts();
                (next.revision.clone(), Baseline { revision: None, counts, promote_at_ms: None })
            }
            _ => return,
        };
        let rollout = self.clone();
        let plugin = name.to_owned();
        let task = tokio::spawn(async move { rollout.watch(&plugin, &new, &baseline).await });
        self.watches.0.lock().insert(name.to_owned(), task.abort_handle());
    }

    async fn watch(self: &Arc<Self>, plugin: &str, new: &Arc<Revision>, baseline: &Baseline) {
        let (begun, first) = (Instant::now(), new.call_counts());
        let on_trial = baseline.revision.is_some();
        while on_trial || begun.elapsed() < self.config.watch {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let old = match &baseline.revision {
                Some(revision) => revision.call_counts().since(&baseline.counts),
                None => baseline.counts,
            };
            let counts = new.call_counts().since(&first);
            let (step, reason) = match judge(&counts, &old, &self.config) {
                Some(reason) => (Step::RollBack, reason),
                None if baseline.is_over(&counts, &self.config) => {
                    let errors = counts.error_percent();
                    (Step::Promote, format!("{errors} % of {} answers were errors", counts.finished))
                }
                None => continue,
            };
            // The step runs in a task of its own, because a change ends this
            // watch.
            let (rollout, plugin, new) = (self.clone(), plugin.to_owned(), new.id.clone());
            tokio::spawn(async move { rollout.take(step, &plugin, &new, &reason).await });
            return;
        }
    }

    /// Takes a step by itself and records it, unless an operator has changed
    /// the plugin in the meantime.
    async fn take(self: &Arc<Self>, step: Step, plugin: &str, revision: &str, reason: &str) {
        let _guard = match self.lock(plugin).await {
            Ok(guard) => guard,
            Err(error) => return tracing::error!(component = plugin, revision, %error, "the step of the watch failed"),
        };
        let Some(active) = self.active(plugin) else { return };
        let newest = active.canary.as_ref().map_or(&active.revision, |canary| &canary.revision);
        if newest.id != revision {
            return;
        }
        let component = plugin.to_owned();
        let done = match step {
            Step::RollBack => {
                tracing::error!(
                    component,
                    revision,
                    reason,
                    "the revision does worse than the one before it and is rolled back"
                );
                metrics::counter!("plugin_rollbacks_total", "component" => component).increment(1);
                self.note("roll back", plugin, revision, reason).await;
                self.roll_back(plugin).await
            }
            Step::Promote => {
                tracing::info!(component, revision, reason, "the canary has ended well and serves alone");
                metrics::counter!("plugin_promotions_total", "component" => component).increment(1);
                self.note("promote", plugin, revision, reason).await;
                self.promote_now(plugin).await
            }
        };
        if let Err(error) = done {
            tracing::error!(component = plugin, revision, %error, "the step of the watch failed");
        }
    }
}

impl Baseline {
    /// Whether the canary has run for long enough and has had enough calls.
    fn is_over(&self, new: &CallCounts, config: &RolloutConfig) -> bool {
        self.promote_at_ms.is_some_and(|time_ms| time_ms <= now_ms()) && new.finished >= config.min_calls
    }
}

/// The reason why the new revision is worse. None if it is not, or if there
/// were too few calls.
fn judge(new: &CallCounts, old: &CallCounts, config: &RolloutConfig) -> Option<String> {
    if new.finished < config.min_calls {
        return None;
    }
    let (errors, allowed) = (new.error_percent(), old.error_percent() + config.error_margin_percent);
    if errors > allowed {
        return Some(format!("{errors} % of its answers are errors, {} % of the old one's", old.error_percent()));
    }
    if old.finished < config.min_calls {
        return None;
    }
    let slow_us = (old.mean_us() * (100 + config.latency_margin_percent) / 100).max(FAST_US);
    (new.mean_us() > slow_us)
        .then(|| format!("its calls take {} us on average, the old one's {} us", new.mean_us(), old.mean_us()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(finished: u64, errors: u64, mean_us: u64) -> CallCounts {
        CallCounts { started: finished, finished, errors, busy_us: mean_us * finished, abandoned: 0 }
    }

    #[test]
    fn a_trial_is_over_when_its_time_has_passed_and_enough_was_seen() {
        let config = crate::call_stats::tests::defaults();
        let trial = |promote_at_ms| Baseline { revision: None, counts: CallCounts::default(), promote_at_ms };
        assert!(trial(Some(1)).is_over(&counts(20, 0, 10), &config));
        assert!(!trial(Some(1)).is_over(&counts(19, 0, 10), &config), "too few calls");
        assert!(!trial(Some(u64::MAX)).is_over(&counts(20, 0, 10), &config), "too early");
        assert!(!trial(None).is_over(&counts(20, 0, 10), &config), "nobody wants it");
    }

    #[test]
    fn only_what_is_clearly_worse_is_judged_so() {
        let config = crate::call_stats::tests::defaults();
        let bad = |new: CallCounts, old: CallCounts| judge(&new, &old, &config).is_some();
        let old = counts(1_000, 10, 10_000);
        assert!(!bad(counts(19, 19, 10), old), "too few calls");
        assert!(!bad(counts(100, 5, 10_000), old), "within the margin");
        assert!(bad(counts(100, 7, 10_000), old));
        assert!(!bad(counts(100, 0, 29_000), old), "within the margin");
        assert!(bad(counts(100, 0, 31_000), old));
        assert!(!bad(counts(100, 0, 19_000), counts(1_000, 0, 100)), "fast enough for anybody");
        assert!(!bad(counts(100, 0, 90_000), counts(3, 0, 100)), "nothing to compare with");
        assert!(bad(counts(100, 50, 100), counts(0, 0, 0)), "errors need no comparison");
    }
}
