//! The present state of a plugin on the host.

use crate::plugin::{
    client::{Answer, Client},
    failure::Failure,
};
use host_api::{
    plugins::{PluginDetails, PluginStatus},
    revisions::RevisionView,
    settings::ValueSource,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A plugin as the host has it.
#[derive(Default)]
pub(super) struct Present {
    /// None if it is not active.
    pub(super) active: Option<PluginDetails>,
    /// The newest first.
    pub(super) revisions: Vec<RevisionView>,
    pub(super) policy: PresentPolicy,
}

/// The policy of a plugin. It keeps fields that only a newer host knows.
#[derive(Default, Deserialize)]
pub(super) struct PresentPolicy {
    pub(super) version: u64,
    pub(super) policy: Map<String, Value>,
}

impl Present {
    /// Asks the host. No request changes or audits anything.
    pub(super) async fn read(client: &Client, name: &str) -> Result<Self, Failure> {
        let plugin = ["plugins", name];
        let revisions = client.list(&["plugins", name, "revisions"]).await;
        Ok(Self {
            active: known(client.get(&plugin).await)?,
            revisions: known(revisions)?.unwrap_or_default(),
            policy: known(client.get(&["plugins", name, "policy"]).await)?.unwrap_or_default(),
        })
    }

    /// The digest of the file that serves.
    pub(super) fn digest(&self) -> Option<&str> {
        self.active.as_ref().map(|active| active.plugin.digest.as_str())
    }

    /// The revision that is on trial.
    pub(super) fn canary(&self) -> Option<PresentCanary<'_>> {
        let canary = self.active.as_ref()?.plugin.canary.as_ref()?;
        let revision = self.revisions.iter().find(|kept| kept.revision == canary.revision);
        Some(PresentCanary {
            digest: revision.map_or(canary.revision.as_str(), |kept| kept.digest.as_str()),
            percent: canary.percent,
            ends: canary.promote_at_ms.is_some(),
        })
    }

    /// The newest revision of a file that the host keeps.
    pub(super) fn revision_of(&self, digest: &str) -> Option<&str> {
        self.revisions.iter().find(|kept| kept.digest == digest).map(|kept| kept.revision.as_str())
    }

    pub(super) fn is(&self, status: PluginStatus) -> bool {
        self.active.as_ref().is_some_and(|active| active.plugin.status == status.into())
    }

    /// The settings that the active revision declares, and whether each is a secret.
    pub(super) fn declared(&self) -> Option<BTreeMap<String, bool>> {
        let active = self.active.as_ref()?;
        let secrets = active.config_secrets.iter().map(|key| (key.clone(), true));
        Some(active.config.keys().map(|key| (key.clone(), false)).chain(secrets).collect())
    }

    /// The value that an operator has set for a setting that is no secret.
    pub(super) fn set_value(&self, key: &str) -> Option<&str> {
        self.active.as_ref()?.config_set.get(key).map(String::as_str)
    }

    /// Whether an operator has set a value for a setting.
    pub(super) fn is_set(&self, key: &str) -> bool {
        let source = self.active.as_ref().and_then(|active| active.config_sources.get(key));
        source.is_some_and(|source| *source == ValueSource::Operator.into())
    }
}

/// A revision on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PresentCanary<'a> {
    pub(super) digest: &'a str,
    pub(super) percent: u8,
    /// Whether it is promoted after a time.
    pub(super) ends: bool,
}

/// The answer, or None if the host knows no such thing.
fn known<T: DeserializeOwned>(answer: Result<Answer, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Err(Failure::NotFound(_)) => Ok(None),
        answer => answer?.read().map(Some),
    }
}
