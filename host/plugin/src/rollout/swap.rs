//! The swap: what was prepared becomes what is to be active, durably, and then
//! what serves, in one step for requests, events and timers.

use super::{
    Rollout, RolloutError,
    activation::{Activation, Share, SwapReport},
    exchange::drain,
    milliseconds,
    probe::probe,
};
use crate::{
    archive::{ArchiveError, Record, State},
    registry::{Plugin, Standing},
};
use host_base::clock::now_ms;
use host_bus::Subjects;
use std::{collections::BTreeSet, sync::Arc, time::Instant};

/// Instances that are made before a revision serves.
pub(super) const WARM_INSTANCES: usize = 4;

/// A change that is ready to be made.
struct Put {
    next: Plugin,
    state: State,
    /// Whether another host that cannot make it stops it.
    must_be_agreed: bool,
    begun: Instant,
}

impl Rollout {
    /// Prepares a revision and lets it serve, or puts it on trial. What has
    /// been set for the plugin since the upload holds for it too.
    ///
    /// # Errors
    /// See [`RolloutError`]; what was active still is.
    pub async fn activate(self: &Arc<Self>, plugin: &str, wanted: &Activation) -> Result<SwapReport, RolloutError> {
        let trial = wanted.trial()?;
        let _turn = self.turn(plugin).await?;
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
        let _turn = self.turn(plugin).await?;
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
        self.put(plugin, Some(&before), Put { next, state, must_be_agreed: true, begun }, report).await
    }

    /// Ends a trial, or lets the previous revision serve again.
    ///
    /// # Errors
    /// When there is neither; see [`RolloutError`].
    pub async fn rollback(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let _turn = self.turn(plugin).await?;
        self.roll_back(plugin).await
    }

    pub(super) async fn roll_back(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let begun = Instant::now();
        let (before, state) = self.in_use(plugin).await?;
        if before.canary.is_some() {
            let state = State { canary: None, ..state };
            let next = Plugin { canary: None, ..before.clone() };
            let change = Put { next, state, must_be_agreed: false, begun };
            return self.put(plugin, Some(&before), change, SwapReport::default()).await;
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
    pub async fn pause(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let _turn = self.turn(plugin).await?;
        let (_, state) = self.in_use(plugin).await?;
        self.set_standing(plugin, Standing::Paused, &State { paused: true, ..state }).await
    }

    /// Lets it serve after a pause or a quarantine.
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn resume(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let _turn = self.turn(plugin).await?;
        let (_, state) = self.in_use(plugin).await?;
        self.set_standing(plugin, Standing::Serving, &State { paused: false, quarantined: None, ..state }).await
    }

    /// Takes it out of service for good. Its database and its revisions stay.
    /// Of one that was never uploaded, it forgets what was granted.
    ///
    /// # Errors
    /// See [`RolloutError`].
    pub async fn remove(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let _turn = self.turn(plugin).await?;
        if self.is_expected(plugin).await? {
            return Ok(self.archive.forget_state(plugin).await?);
        }
        let (before, state) = self.in_use(plugin).await?;
        let previous = state.active.clone();
        let state = State { active: None, canary: None, previous, removed: true, ..state };
        self.archive.set_state(plugin, &state).await?;
        let (gone, _) = tokio::join!(self.take_away(plugin, &before), self.tell(plugin, &state, None));
        gone
    }

    /// Takes a plugin out of service on this host.
    pub(super) async fn take_away(&self, plugin: &str, before: &Plugin) -> Result<(), RolloutError> {
        self.registry.update(|plugins| drop(plugins.remove(plugin)))?;
        self.end_watch(plugin);
        self.subscriptions.unwatch(plugin).await?;
        for revision in before.revisions() {
            drain(revision, revision.tally(), self.rules.drain).await;
            revision.retire();
        }
        host_telemetry::metrics::forget_component(plugin);
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
        self.tell(plugin, state, None).await;
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
                let state = State { active, previous, settings, unknown: state.unknown, ..State::default() };
                (Plugin { revision, canary: None, standing }, state)
            }
        };
        self.put(plugin, before.as_ref(), Put { next, state, must_be_agreed: !force, begun }, report).await
    }

    /// Makes a change durable, then visible, and waits for the end of what ran
    /// in the revision that is replaced.
    async fn put(
        self: &Arc<Self>,
        plugin: &str,
        before: Option<&Plugin>,
        change: Put,
        report: SwapReport,
    ) -> Result<SwapReport, RolloutError> {
        let Put { next, state, must_be_agreed, begun } = change;
        let agreement = self.agree(plugin, &state, must_be_agreed).await?;
        // What either wants arrives from now on; afterwards, only what the new
        // state wants.
        self.subscribe(plugin, before.into_iter().chain([&next])).await?;
        let known = self.archive.state(plugin).await?;
        self.archive.set_state(plugin, &state).await?;
        let exchange = match self.exchange(plugin, before, &next) {
            Ok(exchange) => exchange,
            Err(error) => {
                // Another plugin has taken the route meanwhile.
                self.archive.set_state(plugin, &known.unwrap_or_default()).await?;
                return Err(error);
            }
        };
        let took_ms = milliseconds(begun.elapsed());
        self.subscribe(plugin, [&next]).await?;
        let (ended, hosts) =
            tokio::join!(exchange.finish(self.rules.drain), self.tell(plugin, &state, agreement.as_ref()));
        let serving = next.canary.as_ref().map_or(&next.revision, |canary| &canary.revision);
        let report = SwapReport {
            plugin: plugin.to_owned(),
            old: exchange.outgoing.as_ref().map(|revision| revision.id.clone()),
            new: Some(serving.id.clone()),
            canary_percent: next.canary.as_ref().map(|canary| canary.percent),
            in_flight: ended.in_flight,
            drained: ended.drained,
            cut_off: ended.cut_off,
            dropped: ended.dropped,
            swap_us: u64::try_from(exchange.took.as_micros()).unwrap_or(u64::MAX),
            took_ms,
            drain_ms: ended.drain_ms,
            hosts,
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
        let (mut own, mut database) = (BTreeSet::new(), None);
        for plugin in plugins {
            own.append(&mut plugin.subjects());
            database = plugin.revisions().find_map(|revision| revision.database.clone()).or(database);
        }
        // Without a database there are neither events nor timers.
        let Some(database) = database else { return Ok(self.subscriptions.unwatch(name).await?) };
        let elsewhere = match &self.cluster {
            Some(cluster) => cluster.subscribed_elsewhere().await.map_err(ArchiveError::from)?.remove(name),
            None => None,
        };
        let subjects = Subjects { own, elsewhere: elsewhere.unwrap_or_default() };
        Ok(self.subscriptions.watch(name, database, subjects).await?)
    }

    /// What cannot be pruned now is pruned after another swap.
    async fn prune(&self, plugin: &str, state: &State) {
        match self.archive.prune(plugin, state, self.rules.kept_revisions).await {
            Ok(digests) => digests.iter().for_each(|digest| self.loader.forget(digest)),
            Err(error) => tracing::warn!(component = plugin, %error, "old revisions could not be removed"),
        }
    }
}
