//! The swap: what was prepared becomes what serves, in one step for requests,
//! events and timers, and what was under way finishes where it began.

use super::{
    Rollout, RolloutError,
    activation::{Activation, Share, SwapReport},
    milliseconds,
    probe::probe,
};
use crate::{
    clock::now_ms,
    plugin::{
        Revision,
        archive::{Record, State},
        counts::Tally,
        registry::{Plugin, Standing},
    },
};
use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

/// Instances that are made before a revision serves.
const WARM_INSTANCES: usize = 4;

impl Rollout {
    /// Prepares a revision and lets it serve, or puts it on trial. What has
    /// been set for the plugin since the upload holds for it too.
    ///
    /// # Errors
    /// See [`RolloutError`]; what was active still is.
    pub async fn activate(self: &Arc<Self>, plugin: &str, wanted: &Activation) -> Result<SwapReport, RolloutError> {
        let trial = wanted.trial()?;
        let _turn = self.turn(plugin).await;
        let record = self.record(plugin, &wanted.revision).await?;
        let state = match self.state(plugin).await {
            // It is the first of its name.
            Err(RolloutError::Unknown(_)) => State::default(),
            state => state?,
        };
        let record = self.with_settings(record, &state).await?;
        self.swap(&record, state, trial.as_ref(), wanted.force).await
    }

    /// Lets the revision on trial serve alone.
    ///
    /// # Errors
    /// When there is none; see [`RolloutError`].
    pub async fn promote(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let _turn = self.turn(plugin).await;
        self.promote_now(plugin).await
    }

    pub(super) async fn promote_now(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let begun = Instant::now();
        let (before, state) = self.in_use(plugin).await?;
        let Some(canary) = &before.canary else {
            return Err(RolloutError::State(format!("{plugin} has no revision on trial")));
        };
        let report = SwapReport { warm_instances: canary.revision.warm(), ..SwapReport::default() };
        let state = State { previous: state.active, active: Some(canary.revision.id.clone()), canary: None, ..state };
        let next = Plugin { revision: canary.revision.clone(), canary: None, ..before.clone() };
        self.put(plugin, Some(&before), next, state, begun, report).await
    }

    /// Ends a trial, or lets the previous revision serve again.
    ///
    /// # Errors
    /// When there is neither; see [`RolloutError`].
    pub async fn rollback(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let _turn = self.turn(plugin).await;
        self.roll_back(plugin).await
    }

    pub(super) async fn roll_back(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let begun = Instant::now();
        let (before, state) = self.in_use(plugin).await?;
        if before.canary.is_some() {
            let state = State { canary: None, ..state };
            let next = Plugin { canary: None, ..before.clone() };
            return self.put(plugin, Some(&before), next, state, begun, SwapReport::default()).await;
        }
        let Some(previous) = state.previous.clone() else {
            return Err(RolloutError::State(format!("{plugin} has no previous revision")));
        };
        let record = self.record(plugin, &previous).await?;
        self.swap(&record, state, None, true).await
    }

    /// Refuses its requests and keeps its events and timers, until
    /// [`resume`](Self::resume).
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn pause(&self, plugin: &str) -> Result<(), RolloutError> {
        let _turn = self.turn(plugin).await;
        let (_, state) = self.in_use(plugin).await?;
        self.set_standing(plugin, Standing::Paused, &State { paused: true, ..state }).await
    }

    /// Lets it serve after a pause or a quarantine.
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn resume(&self, plugin: &str) -> Result<(), RolloutError> {
        let _turn = self.turn(plugin).await;
        let (_, state) = self.in_use(plugin).await?;
        self.set_standing(plugin, Standing::Serving, &State { paused: false, quarantined: None, ..state }).await
    }

    /// Takes it out of service for good. Its database and its revisions stay.
    /// Of one that was never uploaded, it forgets what was granted.
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn remove(&self, plugin: &str) -> Result<(), RolloutError> {
        let _turn = self.turn(plugin).await;
        if self.is_expected(plugin).await? {
            return Ok(self.archive.forget_state(plugin).await?);
        }
        let (before, state) = self.in_use(plugin).await?;
        let previous = state.active.clone();
        let state = State { active: None, canary: None, previous, removed: true, ..state };
        self.archive.set_state(plugin, &state).await?;
        self.registry.update(|plugins| drop(plugins.remove(plugin)))?;
        self.end_watch(plugin);
        self.triggers.unwatch(plugin).await?;
        drain(&before.revision, before.revision.tally(), self.rules.drain).await;
        before.revision.retire();
        Ok(())
    }

    pub(super) async fn set_standing(
        &self,
        plugin: &str,
        standing: Standing,
        state: &State,
    ) -> Result<(), RolloutError> {
        self.archive.set_state(plugin, state).await?;
        self.registry.update(|plugins| {
            if let Some(plugin) = plugins.get_mut(plugin) {
                plugin.standing = standing;
            }
        })?;
        Ok(())
    }

    /// Prepares a revision and puts it in place.
    pub(super) async fn swap(
        self: &Arc<Self>,
        record: &Record,
        state: State,
        trial: Option<&Share>,
        force: bool,
    ) -> Result<SwapReport, RolloutError> {
        let begun = Instant::now();
        let plugin = record.plugin.as_str();
        let before = self.active(plugin);
        let in_use = before.as_ref().is_some_and(|before| before.revision.id == record.id);
        if in_use && before.as_ref().is_some_and(|before| before.standing == Standing::Serving) {
            return Err(RolloutError::State(format!("revision {} serves already", record.id)));
        }
        if trial.is_some() && before.is_none() {
            return Err(RolloutError::State(format!(
                "{plugin} has no active revision beside which another could be tried"
            )));
        }
        let compiled = self.loader.compile(self.bytes(record).await?, record.manifest.as_deref()).await?;
        self.registry.snapshot().has_room_for(&compiled.artifact.manifest)?;
        let verdict = self.verdict(&compiled, record).await?;
        if !verdict.compatible && !force {
            return Err(RolloutError::Incompatible(verdict.problems));
        }
        let (revision, migrations) = self.loader.prepare(compiled, record, &self.granted(record)).await?;
        let warm_instances =
            revision.warm_up(WARM_INSTANCES).await.map_err(|failure| RolloutError::Probe(failure.to_string()))?;
        let probe = probe(&revision).await?;
        self.keep_origin(plugin).await?;

        let report = SwapReport { migrations, warm_instances, probe, ..SwapReport::default() };
        let standing = Standing::Serving;
        let (next, state) = match (trial, &before) {
            (Some(share), Some(before)) => {
                let trial = share.begin(record.id.clone());
                let canary = Some(trial.of(revision));
                let state = State { canary: Some(trial), ..state };
                (Plugin { revision: before.revision.clone(), canary, standing: before.standing }, state)
            }
            _ => {
                let previous = if in_use { state.previous } else { state.active };
                let (active, settings) = (Some(record.id.clone()), record.settings.clone());
                let state = State { active, previous, settings, ..State::default() };
                (Plugin { revision, canary: None, standing }, state)
            }
        };
        self.put(plugin, before.as_ref(), next, state, begun, report).await
    }

    /// Makes a state durable, then visible, and waits for the end of what ran
    /// in the revision that is replaced.
    async fn put(
        self: &Arc<Self>,
        plugin: &str,
        before: Option<&Plugin>,
        next: Plugin,
        state: State,
        begun: Instant,
        report: SwapReport,
    ) -> Result<SwapReport, RolloutError> {
        let outgoing = before.and_then(|before| outgoing(before, &next));
        // What either wants arrives from now on; afterwards, only what the new
        // state wants.
        self.subscribe(plugin, before.into_iter().chain([&next])).await?;
        let known = self.archive.state(plugin).await?;
        self.archive.set_state(plugin, &state).await?;
        let swapped = self.registry.update(|plugins| drop(plugins.insert(plugin.to_owned(), next.clone())));
        let swap = match swapped {
            Ok(swap) => swap,
            Err(error) => {
                // Another plugin has taken the route meanwhile.
                self.archive.set_state(plugin, &known.unwrap_or_default()).await?;
                return Err(error.into());
            }
        };
        let at_swap = outgoing.as_ref().map(|revision| revision.tally()).unwrap_or_default();
        let took_ms = milliseconds(begun.elapsed());
        self.subscribe(plugin, [&next]).await?;
        self.begin_watch(plugin, before, &next);
        let swapped_at = Instant::now();
        let ended = match &outgoing {
            Some(revision) => drain(revision, at_swap, self.rules.drain).await,
            None => Tally::default(),
        };
        let cut_off = at_swap.in_flight().saturating_sub(ended.finished + ended.abandoned);
        if let (Some(revision), 1..) = (&outgoing, cut_off) {
            revision.retire();
        }
        let serving = next.canary.as_ref().map_or(&next.revision, |canary| &canary.revision);
        let report = SwapReport {
            plugin: plugin.to_owned(),
            old: outgoing.as_ref().map(|revision| revision.id.clone()),
            new: Some(serving.id.clone()),
            canary_percent: next.canary.as_ref().map(|canary| canary.percent),
            in_flight: at_swap.in_flight(),
            drained: ended.finished,
            cut_off,
            dropped: ended.abandoned,
            swap_us: u64::try_from(swap.as_micros()).unwrap_or(u64::MAX),
            took_ms,
            drain_ms: milliseconds(swapped_at.elapsed()),
            ..report
        };
        metrics::counter!("plugin_swaps_total", "component" => plugin.to_owned()).increment(1);
        tracing::info!(
            component = plugin,
            revision = serving.id,
            old = report.old,
            in_flight = report.in_flight,
            drained = report.drained,
            cut_off = report.cut_off,
            swap_us = report.swap_us,
            took_ms,
            "swapped"
        );
        self.prune(plugin, &state).await;
        Ok(report)
    }

    /// Whether something was granted to a plugin of which there is nothing yet.
    async fn is_expected(&self, plugin: &str) -> Result<bool, RolloutError> {
        let there = self.active(plugin).is_some() || !self.archive.records(plugin).await?.is_empty();
        Ok(!there && self.archive.state(plugin).await?.is_some())
    }

    async fn in_use(&self, plugin: &str) -> Result<(Plugin, State), RolloutError> {
        let unknown = || RolloutError::Unknown(format!("active plugin {plugin}"));
        let before = self.active(plugin).ok_or_else(unknown)?;
        Ok((before, self.state(plugin).await?))
    }

    /// The same file with the settings of now, if they are others.
    async fn with_settings(&self, record: Record, state: &State) -> Result<Record, RolloutError> {
        if record.settings == state.settings {
            return Ok(record);
        }
        let id = Record::id(&record.version, &record.digest, record.manifest.as_deref(), &state.settings);
        let record = Record { id, settings: state.settings.clone(), uploaded_ms: now_ms(), ..record };
        self.archive.add(&record).await?;
        Ok(record)
    }

    /// A file that the next binary may not bring any more is kept.
    async fn keep_origin(&self, plugin: &str) -> Result<(), RolloutError> {
        if let Some(origin) = self.origin(plugin) {
            self.archive.keep_file(&origin.record.digest, origin.bytes).await?;
        }
        Ok(())
    }

    pub(super) async fn subscribe(
        &self,
        name: &str,
        plugins: impl IntoIterator<Item = &Plugin>,
    ) -> Result<(), RolloutError> {
        let revisions = plugins.into_iter().flat_map(|plugin| {
            [Some(&plugin.revision), plugin.canary.as_ref().map(|canary| &canary.revision)].into_iter().flatten()
        });
        let (mut subjects, mut database) = (BTreeSet::new(), None);
        for revision in revisions {
            subjects.extend(revision.manifest.messaging.subscribes.iter().cloned());
            database = revision.database.clone().or(database);
        }
        // Without a database there are neither events nor timers.
        let Some(database) = database else { return Ok(self.triggers.unwatch(name).await?) };
        let subjects: Vec<String> = subjects.into_iter().collect();
        Ok(self.triggers.watch(name, database, &subjects).await?)
    }

    /// What cannot be pruned now is pruned after another swap.
    async fn prune(&self, plugin: &str, state: &State) {
        match self.archive.prune(plugin, state, self.rules.kept_revisions).await {
            Ok(digests) => digests.iter().for_each(|digest| self.loader.forget(digest)),
            Err(error) => tracing::warn!(component = plugin, %error, "old revisions could not be removed"),
        }
    }
}

/// The revision that one state has and the next has not.
fn outgoing(before: &Plugin, next: &Plugin) -> Option<Arc<Revision>> {
    let stays = |revision: &Arc<Revision>| {
        let canary = next.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(revision, &canary.revision));
        canary || Arc::ptr_eq(revision, &next.revision)
    };
    let candidates = [Some(&before.revision), before.canary.as_ref().map(|canary| &canary.revision)];
    candidates.into_iter().flatten().find(|revision| !stays(revision)).cloned()
}

/// Waits until nothing runs in the revision any more, and counts how what ran
/// at the swap has ended.
async fn drain(revision: &Revision, at_swap: Tally, limit: Duration) -> Tally {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(200);
    while revision.tally().in_flight() > 0 && begun.elapsed() < limit {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    let ended = revision.tally().since(&at_swap);
    // One that had taken the old snapshot may have begun after the swap.
    Tally { finished: ended.finished.min(at_swap.in_flight().saturating_sub(ended.abandoned)), ..ended }
}
