//! This host among the others: its questions and messages to them, and its
//! differences from the decisions.

use super::RolloutError;
use crate::{
    Revision,
    archive::State,
    registry::{Plugin, Snapshot, Standing},
};
use host_api::cluster::{PeerReport, RunningPlugin, RunningPlugins, Serving};
use host_database::cluster::{Agreement, Cluster};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The other hosts, if the database is shared, and the state of this host
/// beside them.
pub(super) struct Peers {
    cluster: Option<Arc<Cluster>>,
    /// Revisions that another host is about to activate, by plugin.
    prepared: Mutex<BTreeMap<String, Vec<Arc<Revision>>>>,
    /// The reasons why this host does not run a decided revision, by plugin.
    behind: Mutex<BTreeMap<String, String>>,
    /// The decided revisions that this host replaces by its own, by plugin.
    instead_of: Mutex<BTreeMap<String, String>>,
}

impl Peers {
    pub(super) fn new(cluster: Option<Arc<Cluster>>) -> Self {
        Self { cluster, prepared: Mutex::default(), behind: Mutex::default(), instead_of: Mutex::default() }
    }

    pub(super) fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// The subjects that other hosts subscribe to for a plugin.
    pub(super) async fn subjects_of_other_hosts(&self, plugin: &str) -> Result<BTreeSet<String>, RolloutError> {
        let Some(cluster) = &self.cluster else { return Ok(BTreeSet::new()) };
        let subjects = cluster.subjects_of_other_hosts().await.map_err(database)?.remove(plugin);
        Ok(subjects.unwrap_or_default())
    }

    /// The revisions that this host runs, for the other hosts.
    pub(super) fn runs(&self, snapshot: &Snapshot) -> RunningPlugins {
        let (behind, instead_of) = (self.behind.lock().clone(), self.instead_of.lock().clone());
        let one = |plugin: &Plugin| {
            let name = plugin.revision.name().to_owned();
            let running = RunningPlugin {
                serving: serving(plugin),
                instead_of: instead_of.get(&name).cloned(),
                subscribes: plugin.subjects(),
                behind: behind.get(&name).cloned(),
            };
            (name, running)
        };
        snapshot.plugins().map(one).collect()
    }

    /// Asks the other hosts to prepare a state. If `must` is false, a host that
    /// cannot does not stop the change, because there has to be a way back.
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
                tracing::error!(
                    component = plugin,
                    problems = problems.join("; "),
                    "other hosts cannot make the change and fall behind"
                );
                Ok(None)
            }
        }
    }

    /// Announces a decision to the other hosts, and waits for a while until
    /// they follow.
    pub(super) async fn tell(&self, plugin: &str, state: &State, agreement: Option<&Agreement>) -> Vec<PeerReport> {
        let Some(cluster) = &self.cluster else { return Vec::new() };
        cluster.announce().await;
        let reports = cluster.wait_for_followers(plugin, wanted(state).as_ref()).await;
        if let Some(agreement) = agreement
            && let Err(error) = cluster.withdraw(agreement).await
        {
            tracing::debug!(%error, "the proposal was not withdrawn and ends by itself");
        }
        reports
    }

    /// Keeps revisions for a change that another host has proposed.
    pub(super) fn keep_prepared(&self, plugin: &str, revisions: Vec<Arc<Revision>>) {
        self.prepared.lock().insert(plugin.to_owned(), revisions);
    }

    /// Drops the prepared revisions of a plugin.
    pub(super) fn drop_prepared(&self, plugin: &str) {
        self.prepared.lock().remove(plugin);
    }

    /// The revision of this id, if it was prepared.
    pub(super) fn prepared(&self, plugin: &str, id: &str) -> Option<Arc<Revision>> {
        self.prepared.lock().get(plugin)?.iter().find(|revision| revision.id == id).cloned()
    }

    /// Notes why this host does not run the decided revision, or that it does.
    pub(super) fn note_behind(&self, plugin: &str, error: Option<&RolloutError>) {
        note(&self.behind, plugin, error.map(ToString::to_string));
    }

    /// Notes the decided revision that this host replaces by its own.
    pub(super) fn note_own(&self, plugin: &str, decided: Option<Serving>) {
        note(&self.instead_of, plugin, decided.map(|decided| decided.revision));
    }
}

fn note(notes: &Mutex<BTreeMap<String, String>>, plugin: &str, text: Option<String>) {
    let mut notes = notes.lock();
    match text {
        Some(text) => drop(notes.insert(plugin.to_owned(), text)),
        None => drop(notes.remove(plugin)),
    }
}

/// The running revisions of a plugin.
pub(super) fn serving(plugin: &Plugin) -> Serving {
    Serving {
        revision: plugin.revision.id.clone(),
        canary: plugin.canary.as_ref().map(|canary| (canary.revision.id.clone(), canary.percent)),
        held: plugin.standing != Standing::Serving,
    }
}

pub(super) fn database(error: sqlx::Error) -> RolloutError {
    RolloutError::Archive(error.into())
}

/// The revisions that run in this state. None if the plugin does not run.
pub(super) fn wanted(state: &State) -> Option<Serving> {
    let revision = state.active.clone().filter(|_| !state.removed)?;
    let held = state.paused || state.quarantined.is_some();
    let canary = state.canary.as_ref().map(|trial| (trial.revision.clone(), trial.percent));
    Some(Serving { revision, canary, held })
}
