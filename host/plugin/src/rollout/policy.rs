//! A change of a policy is in force at once: each host loads the active
//! revisions of the plugin again, with the new rights, and exchanges them.

use super::{Rollout, RolloutError};
use crate::{Revision, archive::State, registry::Plugin};
use host_api::{
    policy::{NewPolicy, Policy, PolicyView},
    revisions::Source,
};
use host_artifact::policy::{check_policy, policy_of};
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
    ///
    /// # Errors
    /// One of them cannot be loaded, or it would answer a path that another
    /// plugin has got in the meantime.
    pub(super) async fn load_again(&self, before: &Plugin) -> Result<Plugin, RolloutError> {
        let again = async |revision: &Revision| -> Result<Arc<Revision>, RolloutError> {
            let record = self.preparer.record(revision.name(), &revision.id).await?;
            let revision = self.preparer.load(&record, before.standing).await?.revision;
            self.registry.snapshot().has_room_for(&revision.manifest)?;
            Ok(revision)
        };
        let mut next = before.clone();
        next.revision = again(&before.revision).await?;
        if let Some(canary) = &mut next.canary {
            canary.revision = again(&canary.revision).await?;
        }
        Ok(next)
    }

    /// Gives each plugin that an older version of the host has activated the
    /// rights that it had. This is done once in a database.
    pub(super) async fn carry_over(&self, states: &BTreeMap<String, State>) -> Result<(), RolloutError> {
        let policies = &self.preparer.policies;
        if policies.are_carried_over() {
            return Ok(());
        }
        for (plugin, state) in states.iter().filter(|(plugin, _)| !policies.is_set(plugin)) {
            let known = policies.of(plugin);
            let policy = with_stored(self.rights_before(plugin, state, &known).await?, state);
            if policy != *known {
                policies.set_first(plugin, &policy).await?;
                tracing::info!(component = plugin, "the plugin keeps the rights that it had as its policy");
            }
        }
        Ok(policies.note_carried_over().await?)
    }

    /// The rights of a plugin before there were policies: those of a built-in
    /// plugin, and all that the manifest of an uploaded revision names.
    async fn rights_before(&self, plugin: &str, state: &State, known: &Policy) -> Result<Policy, RolloutError> {
        let Some(id) = &state.active else { return Ok(known.clone()) };
        let record = self.archive.record(plugin, id).await?;
        let Some(record) = record.filter(|record| record.source == Source::Upload) else { return Ok(known.clone()) };
        match self.preparer.read(&record).await {
            Ok(artifact) => Ok(known.with(policy_of(&artifact.manifest, known.grants.clone()))),
            Err(error) => {
                tracing::error!(component = plugin, %error, "the host cannot read the file to carry its rights over");
                Ok(known.clone())
            }
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
