//! What the hosts of a cluster decide together: a change is prepared by all
//! before it is made, and followed by each from what is durable.

use super::{
    Rollout, RolloutError,
    peers::{database, serving, wanted},
};
use crate::{
    Revision,
    archive::{Record, State},
    registry::{Plugin, Standing},
};
use futures::future::join_all;
use host_api::{
    cluster::{RunningPlugins, Serving},
    revisions::Source,
};
use host_database::cluster::{Cluster, Proposal};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The delay before the host tries again to follow the decisions of other hosts.
const ERROR_DELAY: Duration = Duration::from_secs(2);

impl Rollout {
    /// Prepares what other hosts propose and follows what was decided, until
    /// the host stops.
    pub async fn take_part(self: Arc<Self>, cluster: Arc<Cluster>, stop: CancellationToken) {
        let mut news = cluster.listener();
        while news.next(&stop).await {
            let caught_up = self.catch_up(&cluster).await;
            let updated = self.update_subjects_of_other_hosts(&cluster).await.map_err(database);
            if let Err(error) = caught_up.and(updated) {
                tracing::warn!(%error, "this host cannot follow the decisions of other hosts yet");
                sleep(ERROR_DELAY).await;
            }
        }
    }

    /// Brings this host to what is to be active on all.
    ///
    /// # Errors
    /// The first thing that could not be followed; the rest was.
    pub async fn catch_up(self: &Arc<Self>, cluster: &Cluster) -> Result<(), RolloutError> {
        self.preparer.policies.refresh().await?;
        // A component that takes long to start delays no other one.
        let proposals = cluster.open_proposals().await.map_err(database)?;
        let answered = join_all(proposals.iter().map(|proposal| self.answer(cluster, proposal))).await;
        answered.into_iter().collect::<Result<(), _>>()?;
        let plugins = self.archive.plugins().await?;
        let followed = join_all(plugins.iter().map(|plugin| self.follow_and_tell(cluster, plugin))).await;
        followed.into_iter().collect()
    }

    async fn answer(&self, cluster: &Cluster, proposal: &Proposal) -> Result<(), RolloutError> {
        let prepared = self.prepare(proposal).await;
        let problem = prepared.err().map(|error| error.to_string());
        tracing::info!(component = proposal.plugin, problem, "the host prepared the proposal of another host");
        cluster.answer(proposal, problem.as_deref()).await.map_err(database)
    }

    async fn follow_and_tell(self: &Arc<Self>, cluster: &Cluster, plugin: &str) -> Result<(), RolloutError> {
        let _guard = self.locks.here(plugin).await;
        let followed = self.follow(plugin).await;
        self.peers.note_behind(plugin, followed.as_ref().err());
        // The others wait to hear of it.
        cluster.request_heartbeat();
        followed.inspect_err(
            |error| tracing::error!(component = plugin, %error, "this host does not run the decided revision"),
        )
    }

    /// Tells the bus the subjects that other hosts subscribe to for each plugin.
    /// They may differ from this host's, for example in another version of the
    /// host. The bus does not deliver such events here.
    async fn update_subjects_of_other_hosts(&self, cluster: &Cluster) -> sqlx::Result<()> {
        let mut other_hosts = cluster.subjects_of_other_hosts().await?;
        for plugin in self.registry.snapshot().plugins() {
            let name = plugin.revision.name();
            self.subscriptions.set_subjects_of_other_hosts(name, other_hosts.remove(name).unwrap_or_default()).await;
        }
        Ok(())
    }

    /// The revisions that this host runs, for the other hosts.
    pub fn runs(&self) -> RunningPlugins {
        self.peers.runs(&self.registry.snapshot())
    }

    /// Loads what a proposal needs beside what runs already.
    async fn prepare(&self, proposal: &Proposal) -> Result<(), RolloutError> {
        let plugin = proposal.plugin.as_str();
        let before = self.active(plugin);
        let state = proposal.state::<State>().map_err(|error| {
            RolloutError::State(format!("this version of the host does not understand what is proposed: {error}"))
        })?;
        let Some(wanted) = self.own(plugin, wanted(&state)).await? else { return Ok(()) };
        let mut revisions = Vec::new();
        for id in [Some(wanted.revision), wanted.canary.map(|(id, _)| id)].into_iter().flatten() {
            let revision = self.revision(plugin, &id, before.as_ref()).await?;
            self.registry.snapshot().has_room_for(&revision.manifest)?;
            revisions.push(revision);
        }
        self.peers.keep_prepared(plugin, revisions);
        Ok(())
    }

    /// Runs a plugin as it is to run on all hosts. The caller has its turn.
    pub(super) async fn follow(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        if self.registry.snapshot().starting(plugin).is_some() {
            // The plugin follows when it is loaded.
            return Ok(());
        }
        let Some(state) = self.archive.state(plugin).await? else { return Ok(()) };
        let before = self.active(plugin);
        let decided = wanted(&state);
        let wanted = self.own(plugin, decided.clone()).await?;
        let instead_of = decided.filter(|decided| wanted.as_ref().is_some_and(|own| own.revision != decided.revision));
        if before.as_ref().map(serving) == wanted {
            self.peers.note_own(plugin, instead_of);
            return self.apply_policy(plugin).await;
        }
        let Some(wanted) = wanted else {
            return match before {
                Some(before) => self.take_away(plugin, &before).await,
                None => Ok(()),
            };
        };
        let revision = self.revision(plugin, &wanted.revision, before.as_ref()).await?;
        let canary = match &state.canary {
            Some(trial) => Some(trial.of(self.revision(plugin, &trial.revision, before.as_ref()).await?)),
            None => None,
        };
        let next = Plugin { revision, canary, standing: Standing::of(&state) };
        self.subscribe(plugin, before.iter().chain([&next])).await?;
        let exchange = self.exchange(plugin, before.as_ref(), &next)?;
        self.peers.note_own(plugin, instead_of);
        self.peers.drop_prepared(plugin);
        tracing::info!(component = plugin, revision = next.revision.id, "swapped by the decision of another host");
        self.subscribe(plugin, [&next]).await?;
        // Nobody waits for the report.
        let drain = self.config.drain;
        tokio::spawn(async move { exchange.finish(drain).await });
        Ok(())
    }

    /// The revision with this id, ready to serve: one that runs or was
    /// prepared, or else made now.
    async fn revision(&self, plugin: &str, id: &str, before: Option<&Plugin>) -> Result<Arc<Revision>, RolloutError> {
        let policy = self.preparer.policy(plugin);
        let running = before.into_iter().flat_map(Plugin::revisions).find(|revision| revision.id == id);
        let ready = running.cloned().or_else(|| self.peers.prepared(plugin, id));
        if let Some(revision) = ready.filter(|revision| revision.policy == policy) {
            return Ok(revision);
        }
        let record = self.preparer.record(plugin, id).await?;
        Ok(self.preparer.load(&record, Standing::Serving).await?.revision)
    }

    /// What of a decision this host runs: where its own binary brings another
    /// version of a plugin that nobody has uploaded, that one.
    async fn own(&self, plugin: &str, decided: Option<Serving>) -> Result<Option<Serving>, RolloutError> {
        let (Some(decided), Some(origin)) = (&decided, self.preparer.origin(plugin)) else { return Ok(decided) };
        let record = self.preparer.record(plugin, &decided.revision).await?;
        if record.source == Source::Upload || record.digest == origin.record.digest {
            return Ok(Some(decided.clone()));
        }
        let id = Record::id(&origin.record.version, &origin.record.digest, None, &record.settings);
        self.archive.add(&Record { id: id.clone(), settings: record.settings, ..origin.record }).await?;
        Ok(Some(Serving { revision: id, ..decided.clone() }))
    }
}
