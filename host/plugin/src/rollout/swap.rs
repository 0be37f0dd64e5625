//! The swap: a prepared revision becomes the decided one, durably, and then
//! serves, in one step for requests, events and timers.

use super::{
    Rollout, RolloutError,
    activation::{Share, wanted_share},
    milliseconds,
    prepare::Prepared,
};
use crate::{
    archive::{Record, State},
    registry::{Plugin, Standing},
};
use host_api::swap::{Activation, SwapReport};
use host_base::clock::now_ms;
use std::{sync::Arc, time::Instant};

/// The checks of a swap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// An activation. The revision must be compatible, and all hosts must be able
    /// to run it.
    Checked,
    /// An activation without these two checks. The policy and the signature are
    /// checked all the same.
    Forced,
    /// A rollback. The policy narrows the revision where it has become stricter,
    /// because there has to be a way back.
    Back,
    /// Other settings for the file that serves.
    Settings,
}

/// A change that is ready to be made.
struct Put {
    next: Plugin,
    state: State,
    /// Whether a host that cannot make the change stops it.
    must_be_agreed: bool,
    begun: Instant,
}

impl Rollout {
    /// Prepares a revision and lets it serve, or makes it a canary. The
    /// settings that operators made since the upload hold for it too.
    ///
    /// # Errors
    /// See [`RolloutError`]; what was active still is.
    pub async fn activate(self: &Arc<Self>, plugin: &str, wanted: &Activation) -> Result<SwapReport, RolloutError> {
        let trial = wanted_share(wanted)?;
        let _guard = self.lock(plugin).await?;
        let record = self.preparer.record(plugin, &wanted.revision).await?;
        let state = match self.state(plugin).await {
            // It is the first revision of its plugin.
            Err(RolloutError::Unknown(_)) => State::default(),
            state => state?,
        };
        let record = self.with_settings(record, &state).await?;
        let how = if wanted.force { How::Forced } else { How::Checked };
        self.swap(&record, state, trial.as_ref(), how).await
    }

    /// Lets the canary serve alone.
    ///
    /// # Errors
    /// There is no canary; see [`RolloutError`].
    pub async fn promote(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let _guard = self.lock(plugin).await?;
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

    /// Ends a canary, or lets the previous revision serve again.
    ///
    /// # Errors
    /// There is neither; see [`RolloutError`].
    pub async fn rollback(self: &Arc<Self>, plugin: &str) -> Result<SwapReport, RolloutError> {
        let _guard = self.lock(plugin).await?;
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
        let record = self.preparer.record(plugin, &previous).await?;
        self.swap(&record, state, None, How::Back).await
    }

    /// Prepares a revision and puts it in place.
    pub(super) async fn swap(
        self: &Arc<Self>,
        record: &Record,
        state: State,
        trial: Option<&Share>,
        how: How,
    ) -> Result<SwapReport, RolloutError> {
        let begun = Instant::now();
        let force = how != How::Checked;
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
        let compiled = self.preparer.compile(record).await?;
        if how != How::Settings {
            self.preparer.require_trusted(&compiled.artifact, record, false)?;
        }
        if matches!(how, How::Checked | How::Forced) {
            self.preparer.require_allowed(&compiled, record)?;
        }
        if how != How::Settings {
            self.registry.snapshot().has_room_for(&compiled.artifact.manifest)?;
        }
        let verdict = self.verdict(&compiled, record).await?;
        if !verdict.compatible && !force {
            return Err(RolloutError::Incompatible(verdict.problems));
        }
        let prepared = self.preparer.prepare(compiled, record, Standing::Serving).await?;
        self.keep_origin(plugin).await?;

        let Prepared { revision, migrations, warm_instances, probe } = prepared;
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

    /// Makes a change durable, then visible, and waits for the work in flight
    /// in the replaced revision.
    async fn put(
        self: &Arc<Self>,
        plugin: &str,
        before: Option<&Plugin>,
        change: Put,
        report: SwapReport,
    ) -> Result<SwapReport, RolloutError> {
        let Put { next, state, must_be_agreed, begun } = change;
        let agreement = self.peers.agree(plugin, &state, must_be_agreed).await?;
        // From now on the events of both states arrive. After the swap only
        // those of the new state do.
        self.subscribe(plugin, before.into_iter().chain([&next])).await?;
        let known = self.archive.state(plugin).await?;
        self.archive.set_state(plugin, &state).await?;
        let exchange = match self.exchange(plugin, before, &next) {
            Ok(exchange) => exchange,
            Err(error) => {
                // Another plugin has taken the route in the meantime.
                self.archive.set_state(plugin, &known.unwrap_or_default()).await?;
                return Err(error);
            }
        };
        let took_ms = milliseconds(begun.elapsed());
        self.subscribe(plugin, [&next]).await?;
        let (ended, hosts) =
            tokio::join!(exchange.finish(self.config.drain), self.peers.tell(plugin, &state, agreement.as_ref()));
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
        self.prune(plugin, &state, self.config.kept_revisions).await;
        Ok(report)
    }

    pub(super) async fn in_use(&self, plugin: &str) -> Result<(Plugin, State), RolloutError> {
        let unknown = || RolloutError::Unknown(format!("active plugin {plugin}"));
        let before = self.active(plugin).ok_or_else(unknown)?;
        Ok((before, self.state(plugin).await?))
    }

    /// The same file with the current settings, if they have changed.
    async fn with_settings(&self, record: Record, state: &State) -> Result<Record, RolloutError> {
        if record.settings == state.settings {
            return Ok(record);
        }
        let id = Record::id(&record.version, &record.digest, record.manifest.as_deref(), &state.settings);
        let record = Record { id, settings: state.settings.clone(), uploaded_ms: now_ms(), ..record };
        self.archive.add(&record).await?;
        Ok(record)
    }

    /// Keeps the file of a built-in plugin, because the next binary may not
    /// have it.
    async fn keep_origin(&self, plugin: &str) -> Result<(), RolloutError> {
        if let Some(origin) = self.preparer.origin(plugin) {
            self.archive.keep_file(&origin.record.digest, origin.bytes).await?;
        }
        Ok(())
    }

    /// A revision that cannot be deleted now is deleted after another swap.
    pub(super) async fn prune(&self, plugin: &str, state: &State, kept: usize) {
        match self.archive.prune(plugin, state, kept).await {
            Ok(digests) => digests.iter().for_each(|digest| self.preparer.loader.forget(digest)),
            Err(error) => tracing::warn!(component = plugin, %error, "old revisions could not be removed"),
        }
    }
}
