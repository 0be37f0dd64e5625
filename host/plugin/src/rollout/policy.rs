//! A change of a policy is in force at once: each host loads the active
//! revisions of the plugin again, with the new rights, and exchanges them.

use super::{Rollout, RolloutError};
use crate::{
    archive::{Record, State},
    loader::LoadError,
    policies::PolicyError,
    registry::Plugin,
};
use host_api::{
    policy::{NewPolicy, Policy, PolicyView},
    revisions::Source,
};
use host_artifact::{
    Artifact,
    policy::{check_policy, policy_of},
};
use host_capabilities::outbound::Destination;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How long work that runs with the old rights may go on.
const OLD_RIGHTS: Duration = Duration::from_secs(1);

impl Rollout {
    /// Replaces the policy of a plugin, which need not exist yet. It is in force
    /// on this host when the function returns, and on the other hosts as soon as
    /// they have heard of it.
    ///
    /// # Errors
    /// An entry means nothing, someone else has changed the policy, or the
    /// database cannot be changed.
    pub async fn set_policy(self: &Arc<Self>, plugin: &str, new: &NewPolicy) -> Result<PolicyView, RolloutError> {
        check(&new.policy)?;
        let _guard = self.lock(plugin).await?;
        let version = self.preparer.policies.set(plugin, new.replaces, &new.policy).await?;
        tracing::info!(component = plugin, version, "the policy changed");
        let applied = self.apply_policy(plugin).await;
        if let Some(cluster) = self.peers.cluster() {
            cluster.announce().await;
        }
        applied?;
        Ok(self.preparer.policies.view(plugin))
    }

    /// Loads the active revisions again if they run with other rights than those
    /// of the policy. A plugin that cannot be loaded with the new rights is taken
    /// out of service, so that it never keeps the old ones. The caller has the
    /// plugin's lock.
    pub(super) async fn apply_policy(self: &Arc<Self>, plugin: &str) -> Result<(), RolloutError> {
        let policy = self.preparer.policy(plugin);
        let Some(before) = self.active(plugin) else { return Ok(()) };
        if before.revisions().all(|revision| revision.policy == policy) {
            return Ok(());
        }
        let next = match self.load_again(&before).await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(component = plugin, %error, "the plugin cannot run with its new policy and is out of service");
                self.take_away(plugin, &before).await?;
                return Err(error);
            }
        };
        self.subscribe(plugin, [&before, &next]).await?;
        let exchange = self.exchange(plugin, Some(&before), &next)?;
        self.subscribe(plugin, [&next]).await?;
        tracing::info!(component = plugin, revision = next.revision.id, "the plugin runs with its new policy");
        tokio::spawn(async move { exchange.finish(OLD_RIGHTS).await });
        Ok(())
    }

    /// The same revisions with the present rights.
    pub(super) async fn load_again(&self, before: &Plugin) -> Result<Plugin, RolloutError> {
        let mut next = before.clone();
        let record = self.preparer.record(before.revision.name(), &before.revision.id).await?;
        next.revision = self.preparer.load(&record, before.standing).await?.revision;
        if let Some(canary) = &mut next.canary {
            let record = self.preparer.record(before.revision.name(), &canary.revision.id).await?;
            canary.revision = self.preparer.load(&record, before.standing).await?.revision;
        }
        Ok(next)
    }

    /// Gives each plugin that an older version of the host has activated the
    /// rights that it had.
    pub(super) async fn carry_over(&self, states: &BTreeMap<String, State>) -> Result<(), RolloutError> {
        for (plugin, state) in states.iter().filter(|(plugin, _)| !self.preparer.policies.is_set(plugin)) {
            let built_in = self.preparer.origin(plugin).map(|_| Policy::clone(&self.preparer.policies.of(plugin)));
            let policy = match (&state.active, built_in) {
                (Some(id), built_in) => {
                    let record = self.archive.record(plugin, id).await?;
                    match record.filter(|record| record.source == Source::Upload) {
                        Some(record) => Some(self.rights_before(&record, built_in.as_ref()).await?),
                        None => built_in.map(|policy| with_stored(policy, state)),
                    }
                }
                (None, built_in) => Some(with_stored(built_in.unwrap_or_default(), state)),
            };
            let Some(policy) = policy.filter(|policy| *policy != *self.preparer.policies.of(plugin)) else { continue };
            self.preparer.policies.set(plugin, Some(0), &policy).await?;
            tracing::info!(component = plugin, "the plugin keeps the rights that it had as its policy");
        }
        Ok(())
    }

    /// The rights of an uploaded revision before there were policies: all that
    /// its manifest names, and the grants that an administrator gave.
    async fn rights_before(&self, record: &Record, built_in: Option<&Policy>) -> Result<Policy, RolloutError> {
        let bytes = self.preparer.bytes(record).await?;
        let artifact = Artifact::parse(bytes, record.manifest.as_deref()).map_err(LoadError::from)?;
        let grants = built_in.map(|policy| policy.grants.clone()).unwrap_or_default();
        let asked = policy_of(&artifact.manifest, grants);
        let state = State { settings: record.settings.clone(), ..State::default() };
        Ok(with_stored(asked, &state))
    }

    /// Takes note of the policy of a revision that is activated for the first
    /// time, so that [`carry_over`](Self::carry_over) leaves it alone.
    pub(super) async fn settle_policy(&self, plugin: &str) -> Result<(), PolicyError> {
        let policies = &self.preparer.policies;
        match policies.is_set(plugin) || self.preparer.origin(plugin).is_some() {
            true => Ok(()),
            false => policies.set(plugin, Some(0), &policies.of(plugin)).await.map(drop),
        }
    }
}

/// A policy with the grants, hosts and limits that an older version of the host
/// has stored with the plugin's settings.
fn with_stored(policy: Policy, state: &State) -> Policy {
    let stored = &state.settings;
    let grants = stored.grants.clone().unwrap_or(policy.grants);
    let limits = stored.limits.at_least(&policy.limits);
    Policy { grants, http_hosts: stored.http_hosts.clone(), limits, ..policy }
}

fn check(policy: &Policy) -> Result<(), RolloutError> {
    check_policy(policy).map_err(|(field, problem)| RolloutError::Value { field, problem })?;
    policy.http_hosts.iter().try_for_each(|host| match host.parse::<Destination>() {
        Ok(_) => Ok(()),
        Err(problem) => Err(RolloutError::Value { field: "http_hosts", problem: format!("{host:?}: {problem}") }),
    })
}
