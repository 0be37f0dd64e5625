//! Watches new revisions: one that does worse than the one before it is rolled
//! back, and one that traps too often is taken out of service.

use super::{Rollout, RolloutError};
use crate::{
    config::rollout::Rollout as Rules,
    operator::{Caller, Entry, Outcome},
    plugin::{
        Revision,
        archive::State,
        counts::Tally,
        registry::{Plugin, Standing},
    },
};
use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedReceiver;

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What is faster than this on average is never called slow.
const FAST_US: u64 = 20_000;

/// What a new revision is compared with.
struct Baseline {
    /// The revision on the same work now, or none if it does not run any more.
    revision: Option<Arc<Revision>>,
    /// Its counters when the comparison began, or all that it did.
    tally: Tally,
}

impl Rollout {
    /// Takes revisions that raise the alarm out of service, until the host
    /// ends.
    pub async fn quarantine(self: Arc<Self>, mut alarms: UnboundedReceiver<(String, String)>) {
        while let Some((plugin, revision)) = alarms.recv().await {
            match self.isolate(&plugin, &revision).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(component = plugin, revision, %error, "it traps too often and could not be quarantined")
                }
            }
        }
    }

    async fn isolate(self: &Arc<Self>, plugin: &str, revision: &str) -> Result<(), RolloutError> {
        let _turn = self.turn(plugin).await;
        let Some(active) = self.active(plugin) else { return Ok(()) };
        let on_trial = active.canary.as_ref().is_some_and(|canary| canary.revision.id == revision);
        if !on_trial && active.revision.id != revision {
            return Ok(());
        }
        let state = self.state(plugin).await?;
        tracing::error!(component = plugin, revision, "it traps too often");
        self.note("quarantine", plugin, revision, "it traps too often").await;
        metrics::counter!("plugin_quarantines_total", "component" => plugin.to_owned()).increment(1);
        let fallback = self.rules.quarantine_fallback && state.previous.as_deref().is_some_and(|id| id != revision);
        if on_trial || fallback {
            match self.roll_back(plugin).await {
                Ok(_) => return Ok(()),
                Err(error) => tracing::error!(component = plugin, %error, "the revision before it cannot take over"),
            }
        }
        let reason = format!("revision {revision} trapped too often");
        self.set_standing(plugin, Standing::Quarantined, &State { quarantined: Some(reason), ..state }).await
    }

    /// Puts on record what the host does unasked.
    async fn note(&self, action: &str, plugin: &str, revision: &str, reason: &str) {
        let entry = Entry {
            plugin: Some(plugin),
            revision: Some(revision),
            detail: Some(reason),
            ..Entry::new(action, Outcome::Done)
        };
        // What the audit cannot take is in the log.
        let _ = self.audit.record(&Caller::host(), &entry).await;
    }

    /// Compares what is new with what was before, for as long as the settings
    /// say; one on trial for as long as it is.
    pub(super) fn begin_watch(self: &Arc<Self>, name: &str, before: Option<&Plugin>, next: &Plugin) {
        self.end_watch(name);
        let (new, baseline) = match (&next.canary, before) {
            (Some(canary), _) => {
                let tally = next.revision.tally();
                (canary.revision.clone(), Baseline { revision: Some(next.revision.clone()), tally })
            }
            // A return to what served before is not judged by what is worse.
            (None, Some(before)) if !Arc::ptr_eq(&before.revision, &next.revision) => {
                (next.revision.clone(), Baseline { revision: None, tally: before.revision.tally() })
            }
            _ => return,
        };
        let rollout = self.clone();
        let plugin = name.to_owned();
        let task = tokio::spawn(async move { rollout.watch(&plugin, &new, &baseline).await });
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.insert(name.to_owned(), task.abort_handle());
    }

    pub(super) fn end_watch(&self, plugin: &str) {
        if let Some(watch) = self.watches.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin) {
            watch.abort();
        }
    }

    async fn watch(self: &Arc<Self>, plugin: &str, new: &Arc<Revision>, baseline: &Baseline) {
        let (begun, first) = (Instant::now(), new.tally());
        let on_trial = baseline.revision.is_some();
        while on_trial || begun.elapsed() < self.rules.watch {
            tokio::time::sleep(LOOK_EVERY).await;
            let old = match &baseline.revision {
                Some(revision) => revision.tally().since(&baseline.tally),
                None => baseline.tally,
            };
            let Some(reason) = judge(&new.tally().since(&first), &old, &self.rules) else { continue };
            tracing::error!(component = plugin, revision = new.id, reason, "it does worse and is rolled back");
            metrics::counter!("plugin_rollbacks_total", "component" => plugin.to_owned()).increment(1);
            // In a task of its own: a rollback ends this watch.
            let (rollout, plugin, new) = (self.clone(), plugin.to_owned(), new.id.clone());
            tokio::spawn(async move {
                rollout.note("roll back", &plugin, &new, &reason).await;
                if let Err(error) = rollout.give_way(&plugin, &new).await {
                    tracing::error!(component = plugin, %error, "it could not be rolled back");
                }
            });
            return;
        }
    }

    /// Rolls back, unless an operator has changed things meanwhile.
    async fn give_way(self: &Arc<Self>, plugin: &str, revision: &str) -> Result<(), RolloutError> {
        let _turn = self.turn(plugin).await;
        let Some(active) = self.active(plugin) else { return Ok(()) };
        let newest = active.canary.as_ref().map_or(&active.revision, |canary| &canary.revision);
        if newest.id == revision {
            self.roll_back(plugin).await?;
        }
        Ok(())
    }
}

/// Why the new one is worse; none if it is not, or too little is known.
fn judge(new: &Tally, old: &Tally, rules: &Rules) -> Option<String> {
    if new.finished < rules.min_calls {
        return None;
    }
    let (errors, allowed) = (new.error_percent(), old.error_percent() + rules.error_margin_percent);
    if errors > allowed {
        return Some(format!("{errors} % of its answers are errors, {} % of the old one's", old.error_percent()));
    }
    if old.finished < rules.min_calls {
        return None;
    }
    let slow_us = (old.mean_us() * (100 + rules.latency_margin_percent) / 100).max(FAST_US);
    (new.mean_us() > slow_us)
        .then(|| format!("its calls take {} us on average, the old one's {} us", new.mean_us(), old.mean_us()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(finished: u64, errors: u64, mean_us: u64) -> Tally {
        Tally { started: finished, finished, errors, busy_us: mean_us * finished, abandoned: 0 }
    }

    #[test]
    fn only_what_is_clearly_worse_is_judged_so() {
        let rules = crate::config::rollout::defaults();
        let bad = |new: Tally, old: Tally| judge(&new, &old, &rules).is_some();
        let old = tally(1_000, 10, 10_000);
        assert!(!bad(tally(19, 19, 10), old), "too few calls");
        assert!(!bad(tally(100, 5, 10_000), old), "within the margin");
        assert!(bad(tally(100, 7, 10_000), old));
        assert!(!bad(tally(100, 0, 29_000), old), "within the margin");
        assert!(bad(tally(100, 0, 31_000), old));
        assert!(!bad(tally(100, 0, 19_000), tally(1_000, 0, 100)), "fast enough for anybody");
        assert!(!bad(tally(100, 0, 90_000), tally(3, 0, 100)), "nothing to compare with");
        assert!(bad(tally(100, 50, 100), tally(0, 0, 0)), "errors need no comparison");
    }
}
