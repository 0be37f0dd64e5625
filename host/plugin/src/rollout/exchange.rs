//! The exchange itself: a new snapshot replaces the old one, and what was
//! under way in the revision that is replaced finishes where it began.

use super::{Rollout, RolloutError};
use crate::{Revision, call_stats::CallCounts, registry::Plugin};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A plugin that was exchanged, with what may still run in its old revision.
pub(super) struct Exchange {
    /// The revision that is replaced.
    pub(super) outgoing: Option<Arc<Revision>>,
    /// How long it took to build and exchange the snapshot.
    pub(super) took: Duration,
    at_swap: CallCounts,
    swapped_at: Instant,
}

/// What became of the work that was under way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ended {
    pub(super) in_flight: u64,
    pub(super) drained: u64,
    pub(super) cut_off: u64,
    pub(super) dropped: u64,
    pub(super) drain_ms: u64,
}

impl Rollout {
    /// Lets all that begins from now on see the next state, and begins to
    /// watch it.
    pub(super) fn exchange(
        self: &Arc<Self>,
        plugin: &str,
        before: Option<&Plugin>,
        next: &Plugin,
    ) -> Result<Exchange, RolloutError> {
        let outgoing = before.and_then(|before| outgoing(before, next));
        let took = self.registry.update(|plugins| drop(plugins.insert(plugin.to_owned(), next.clone())))?;
        let at_swap = outgoing.as_ref().map(|revision| revision.call_counts()).unwrap_or_default();
        self.begin_watch(plugin, before, next);
        Ok(Exchange { outgoing, took, at_swap, swapped_at: Instant::now() })
    }
}

impl Exchange {
    /// Waits for so long until nothing runs in the old revision any more, and
    /// breaks off what then still does.
    pub(super) async fn finish(&self, limit: Duration) -> Ended {
        let Some(revision) = &self.outgoing else { return Ended::default() };
        let ended = drain(revision, self.at_swap, limit).await;
        let cut_off = self.at_swap.in_flight().saturating_sub(ended.finished + ended.abandoned);
        if cut_off > 0 {
            revision.retire();
        }
        Ended {
            in_flight: self.at_swap.in_flight(),
            drained: ended.finished,
            cut_off,
            dropped: ended.abandoned,
            drain_ms: super::milliseconds(self.swapped_at.elapsed()),
        }
    }
}

/// The revision that one state has and the next has not.
fn outgoing(before: &Plugin, next: &Plugin) -> Option<Arc<Revision>> {
    let stays = |revision: &Arc<Revision>| next.revisions().any(|other| Arc::ptr_eq(revision, other));
    before.revisions().find(|revision| !stays(revision)).cloned()
}

/// Waits until nothing runs in the revision any more, and counts how what ran
/// at the swap has ended.
pub(super) async fn drain(revision: &Revision, at_swap: CallCounts, limit: Duration) -> CallCounts {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(200);
    while revision.call_counts().in_flight() > 0 && begun.elapsed() < limit {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    let ended = revision.call_counts().since(&at_swap);
    // One that had taken the old snapshot may have begun after the swap.
    CallCounts { finished: ended.finished.min(at_swap.in_flight().saturating_sub(ended.abandoned)), ..ended }
}
