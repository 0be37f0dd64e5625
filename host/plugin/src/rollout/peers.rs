//! This host among the others: what they are asked and told, and in what this
//! host differs from what was decided.

use super::RolloutError;
use crate::{
    Revision,
    archive::State,
    registry::{Plugin, Snapshot, Standing},
};
use host_database::cluster::{Agreement, Cluster, PeerReport, Running, Runs, Serving};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The other hosts, if the database is shared, and this one beside them.
pub(super) struct Peers {
    cluster: Option<Arc<Cluster>>,
    /// Revisions that another host is about to activate, by plugin.
    prepared: Mutex<BTreeMap<String, Vec<Arc<Revision>>>>,
    /// Why this host does not run what was decided, by plugin.
    behind: Mutex<BTreeMap<String, String>>,
    /// The revisions decided on in whose place this host runs its own.
    instead_of: Mutex<BTreeMap<String, String>>,
}

impl Peers {
    pub(super) fn new(cluster: Option<Arc<Cluster>>) -> Self {
        Self { cluster, prepared: Mutex::default(), behind: Mutex::default(), instead_of: Mutex::default() }
    }

    pub(super) fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// The subjects that other hosts take for a plugin.
    pub(super) async fn subscribed_elsewhere(&self, plugin: &str) -> Result<BTreeSet<String>, RolloutError> {
        let Some(cluster) = &self.cluster else { return Ok(BTreeSet::new()) };
        let elsewhere = cluster.subscribed_elsewhere().await.map_err(database)?.remove(plugin);
        Ok(elsewhere.unwrap_or_default())
    }

    /// What this host runs, for the others.
    pub(super) fn runs(&self, snapshot: &Snapshot) -> Runs {
        let (behind, instead_of) = (self.behind.lock().clone(), self.instead_of.lock().clone());
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

    /// Keeps revisions for a change that another host has proposed.
    pub(super) fn keep_prepared(&self, plugin: &str, revisions: Vec<Arc<Revision>>) {
        self.prepared.lock().insert(plugin.to_owned(), revisions);
    }

    /// Lets go of what was prepared for a plugin.
    pub(super) fn drop_prepared(&self, plugin: &str) {
        self.prepared.lock().remove(plugin);
    }

    /// The revision of this id, if it was prepared.
    pub(super) fn prepared(&self, plugin: &str, id: &str) -> Option<Arc<Revision>> {
        self.prepared.lock().get(plugin)?.iter().find(|revision| revision.id == id).cloned()
    }

    /// Notes whether this host runs what was decided, and why not.
    pub(super) fn note_behind(&self, plugin: &str, error: Option<&RolloutError>) {
        note(&self.behind, plugin, error.map(ToString::to_string));
    }

    /// Notes the revision decided on in whose place this host runs its own.
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

/// What runs of a plugin.
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

/// What is to run of a plugin in this state; none if nothing is.
pub(super) fn wanted(state: &State) -> Option<Serving> {
    let revision = state.active.clone().filter(|_| !state.removed)?;
    let held = state.paused || state.quarantined.is_some();
    let canary = state.canary.as_ref().map(|trial| (trial.revision.clone(), trial.percent));
    Some(Serving { revision, canary, held })
}
