//! What the hosts of a cluster decide together: a change is prepared by all
//! before it is made, and followed by each from what is durable.

use super::{Rollout, RolloutError, probe::probe, swap::WARM_INSTANCES};
use crate::{
    Revision,
    archive::{Record, Source, State},
    registry::{Plugin, Standing},
};
use host_database::cluster::{Agreement, Cluster, PeerReport, Proposal, Running, Runs, Serving};
use parking_lot::MutexGuard;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What cannot be followed is tried again this often.
const AFTER_AN_ERROR: Duration = Duration::from_secs(2);

impl Rollout {
    /// Prepares what other hosts propose and follows what was decided, until
    /// the host stops.
    pub async fn take_part(self: Arc<Self>, cluster: Arc<Cluster>, stop: CancellationToken) {
        let mut news = cluster.listener();
        while news.next(&stop).await {
            let caught_up = self.catch_up(&cluster).await;
            let left = self.leave_to_others(&cluster).await.map_err(database);
            if let Err(error) = caught_up.and(left) {
                tracing::warn!(%error, "what other hosts have decided cannot be followed yet");
                sleep(AFTER_AN_ERROR).await;
            }
        }
    }

    /// Brings this host to what is to be active on all.
    ///
    /// # Errors
    /// The first thing that could not be followed; the rest was.
    pub async fn catch_up(self: &Arc<Self>, cluster: &Cluster) -> Result<(), RolloutError> {
        for proposal in cluster.proposals().await.map_err(database)? {
            let prepared = self.prepare(&proposal).await;
            let problem = prepared.err().map(|error| error.to_string());
            tracing::info!(component = proposal.plugin, problem, "prepared what another host proposes");
            cluster.answer(&proposal, problem.as_deref()).await.map_err(database)?;
        }
        let mut first = Ok(());
        for plugin in self.archive.plugins().await? {
            let _turn = self.own_turn(&plugin).await;
            let followed = self.follow(&plugin).await;
            self.note_behind(&plugin, followed.as_ref().err());
            // The others wait to hear of it.
            cluster.hurry();
            if let Err(error) = followed {
                tracing::error!(component = plugin, %error, "this host does not run what was decided");
                first = first.and(Err(error));
            }
        }
        first
    }

    /// What other hosts take of a plugin's events and this one does not, such
    /// as those of another version of the host, is left to them.
    async fn leave_to_others(&self, cluster: &Cluster) -> sqlx::Result<()> {
        let mut elsewhere = cluster.subscribed_elsewhere().await?;
        for plugin in self.registry.snapshot().plugins() {
            let name = plugin.revision.name();
            self.subscriptions.leave_to_others(name, elsewhere.remove(name).unwrap_or_default()).await;
        }
        Ok(())
    }

    /// What this host runs, for the others.
    pub fn runs(&self) -> Runs {
        let behind = self.behind.lock().clone();
        let instead_of = self.instead_of.lock().clone();
        let snapshot = self.registry.snapshot();
        let one = |plugin: &Plugin| {
            let name = plugin.revision.name().to_owned();
            let running = Running {
                serving: serving(plugin),
                instead_of: instead_of.get(&name).cloned(),
                subscribes: plugin.subjects(),
                behind: behind.get(&name).cloned(),
            };
            (name, running)
        };
        snapshot.plugins().map(one).collect()
    }

    /// Asks the other hosts to prepare a state. Where `must` is false, one
    /// that cannot does not stop it: there has to be a way back.
    pub(super) async fn agree(
        &self,
        plugin: &str,
        state: &State,
        must: bool,
    ) -> Result<Option<Agreement>, RolloutError> {
        let Some(cluster) = &self.cluster else { return Ok(None) };
        match cluster.propose(plugin, state).await.map_err(database)? {
            Ok(agreement) => Ok(Some(agreement)),
            Err(problems) if must => Err(RolloutError::Peers(problems)),
            Err(problems) => {
                tracing::error!(component = plugin, problems = problems.join("; "), "other hosts are left behind");
                Ok(None)
            }
        }
    }

    /// Tells the other hosts of a decision, and waits for a while until they
    /// follow.
    pub(super) async fn tell(&self, plugin: &str, state: &State, agreement: Option<&Agreement>) -> Vec<PeerReport> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        cluster.announce().await;
        let reports = cluster.followed(plugin, wanted(state).as_ref()).await;
        if let Some(agreement) = agreement
            && let Err(error) = cluster.withdraw(agreement).await
        {
            tracing::debug!(%error, "a proposal ends by itself");
        }
        reports
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
        self.prepared().insert(plugin.to_owned(), revisions);
        Ok(())
    }

    /// Runs a plugin as it is to run on all hosts. The caller has its turn.
    pub(super) async fn follow(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let Some(state) = self.archive.state(plugin).await? else { return Ok(()) };
        let before = self.active(plugin);
        let decided = wanted(&state);
        let wanted = self.own(plugin, decided.clone()).await?;
        let instead_of = decided.filter(|decided| wanted.as_ref().is_some_and(|own| own.revision != decided.revision));
        if before.as_ref().map(serving) == wanted {
            self.note_own(plugin, instead_of);
            return Ok(());
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
        self.note_own(plugin, instead_of);
        self.prepared().remove(plugin);
        tracing::info!(component = plugin, revision = next.revision.id, "swapped, as another host has decided");
        self.subscribe(plugin, [&next]).await?;
        // Nobody waits for the report.
        let drain = self.rules.drain;
        tokio::spawn(async move { exchange.finish(drain).await });
        Ok(())
    }

    /// The revision with this id, ready to serve: one that runs or was
    /// prepared, or else made now.
    async fn revision(&self, plugin: &str, id: &str, before: Option<&Plugin>) -> Result<Arc<Revision>, RolloutError> {
        let running = before.into_iter().flat_map(Plugin::revisions).find(|revision| revision.id == id);
        let known = running
            .cloned()
            .or_else(|| self.prepared().get(plugin)?.iter().find(|revision| revision.id == id).cloned());
        if let Some(revision) = known {
            return Ok(revision);
        }
        let record = self.record(plugin, id).await?;
        let compiled = self.loader.compile(self.bytes(&record).await?, record.manifest.as_deref()).await?;
        let (revision, _) = self.loader.prepare(compiled, &record, &self.granted(&record)).await?;
        revision.warm_up(WARM_INSTANCES).await.map_err(|failure| RolloutError::Probe(failure.to_string()))?;
        probe(&revision).await?;
        Ok(revision)
    }

    /// What of a decision this host runs: where its own binary brings another
    /// version of a plugin that nobody has uploaded, that one.
    async fn own(&self, plugin: &str, decided: Option<Serving>) -> Result<Option<Serving>, RolloutError> {
        let (Some(decided), Some(origin)) = (&decided, self.origin(plugin)) else { return Ok(decided) };
        let record = self.record(plugin, &decided.revision).await?;
        if record.source == Source::Upload || record.digest == origin.record.digest {
            return Ok(Some(decided.clone()));
        }
        let id = Record::id(&origin.record.version, &origin.record.digest, None, &record.settings);
        self.archive.add(&Record { id: id.clone(), settings: record.settings, ..origin.record }).await?;
        Ok(Some(Serving { revision: id, ..decided.clone() }))
    }

    fn note_behind(&self, plugin: &str, error: Option<&RolloutError>) {
        let mut behind = self.behind.lock();
        match error {
            Some(error) => drop(behind.insert(plugin.to_owned(), error.to_string())),
            None => drop(behind.remove(plugin)),
        }
    }

    fn note_own(&self, plugin: &str, decided: Option<Serving>) {
        let mut instead_of = self.instead_of.lock();
        match decided {
            Some(decided) => drop(instead_of.insert(plugin.to_owned(), decided.revision)),
            None => drop(instead_of.remove(plugin)),
        }
    }

    fn prepared(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Arc<Revision>>>> {
        self.prepared.lock()
    }
}

fn serving(plugin: &Plugin) -> Serving {
    Serving {
        revision: plugin.revision.id.clone(),
        canary: plugin.canary.as_ref().map(|canary| (canary.revision.id.clone(), canary.percent)),
        held: plugin.standing != Standing::Serving,
    }
}

fn database(error: sqlx::Error) -> RolloutError {
    RolloutError::Archive(error.into())
}

/// What is to run of a plugin in this state; none if nothing is.
fn wanted(state: &State) -> Option<Serving> {
    let revision = state.active.clone().filter(|_| !state.removed)?;
    let held = state.paused || state.quarantined.is_some();
    let canary = state.canary.as_ref().map(|trial| (trial.revision.clone(), trial.percent));
    Some(Serving { revision, canary, held })
}
