//! What is remembered of a plugin, as JSON in the host's database.
//!
//! Hosts of two versions read and write the same rows while one replaces the
//! other. So a new field is one that older hosts can do without: they keep it
//! as they found it. A new value of a known field is written only by a version
//! before which one has been released that reads it.

use host_api::{
    revisions::Source,
    settings::{Grant, LimitOverrides},
};
use host_config::plugins::ConfigKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Fields that this version of the host does not know, as they were found.
pub type Unknown = BTreeMap<String, serde_json::Value>;

/// One revision: a file with what the operator has set for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The plugin's name.
    pub plugin: String,
    /// What identifies it within the plugin.
    pub id: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The file's size.
    pub size_bytes: usize,
    /// The version that its manifest says.
    pub version: String,
    /// Where it came from.
    pub source: Source,
    /// A manifest in place of the one inside the file.
    pub manifest: Option<String>,
    /// What the operator has set.
    pub settings: Settings,
    /// When it was made, in milliseconds since the Unix epoch.
    pub uploaded_ms: u64,
    /// Who made it.
    pub uploaded_by: String,
    /// The signature of the file. The host checks it again at the activation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What a newer version of the host has written beside.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What an operator has set for a plugin while the host runs. It beats flags,
/// environment and file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Values of declared settings.
    pub config: BTreeMap<String, String>,
    /// Values of declared secrets.
    #[serde(skip_serializing_if = "Secrets::is_empty")]
    pub secrets: Secrets,
    /// Limits that replace those of the manifest.
    pub limits: LimitOverrides,
    /// The grants that older versions of the host have stored here. The policy of
    /// the plugin has taken their place.
    pub grants: Option<BTreeSet<Grant>>,
    /// The hosts for outgoing requests that older versions have stored here.
    pub http_hosts: BTreeSet<String>,
    /// What a newer version of the host has set beside.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The secrets that an operator has set. They are apart from the other values, so
/// that a revision that declares one of them as a text does not get it and the host
/// does not show it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    values: BTreeMap<String, String>,
    /// A random text. Without it, the id of a revision, which everybody may see, would
    /// let one try which secret it has.
    nonce: String,
}

impl Secrets {
    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn with(&self, changes: BTreeMap<String, Option<String>>) -> Self {
        let values = changed(&self.values, changes);
        match values == self.values {
            true => self.clone(),
            false => Self { values, nonce: hex::encode(rand::random::<[u8; 16]>()) },
        }
    }
}

/// Shows the keys alone.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}

/// Values with some set, or removed where there is none.
fn changed(values: &BTreeMap<String, String>, changes: BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    let mut values = values.clone();
    for (key, value) in changes {
        match value {
            Some(value) => values.insert(key, value),
            None => values.remove(&key),
        };
    }
    values
}

impl Settings {
    /// The settings with some values of declared settings set, or removed where there
    /// is none.
    #[must_use]
    pub fn with(&self, changes: BTreeMap<String, Option<String>>, declared: &BTreeMap<String, ConfigKey>) -> Self {
        let is_secret = |key: &String| declared.get(key).is_some_and(ConfigKey::is_secret);
        let (secrets, config) = changes.into_iter().partition(|(key, _)| is_secret(key));
        Self { config: changed(&self.config, config), secrets: self.secrets.with(secrets), ..self.clone() }
    }

    /// The values for the settings and secrets that a plugin declares.
    pub fn values(&self, declared: &BTreeMap<String, ConfigKey>) -> BTreeMap<String, String> {
        let is_secret = |key: &String| declared.get(key).is_some_and(ConfigKey::is_secret);
        let config = self.config.iter().filter(|(key, _)| !is_secret(key));
        let secrets = self.secrets.values.iter().filter(|(key, _)| is_secret(key));
        config.chain(secrets).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// A revision that is tried beside the one that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its id.
    pub revision: String,
    /// Its share of the work.
    pub percent: u8,
    /// When it is to serve alone by itself if it has done no worse, in
    /// milliseconds since the Unix epoch; none: when an operator says so.
    pub promote_at_ms: Option<u64>,
    /// What a newer version of the host has written beside.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Which revisions of a plugin are to be active.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The one that serves; none if it was removed, or never activated.
    pub active: Option<String>,
    /// The one that served before.
    pub previous: Option<String>,
    /// The one on trial.
    pub canary: Option<Trial>,
    /// Whether an operator has paused it.
    pub paused: bool,
    /// Why it was quarantined.
    pub quarantined: Option<String>,
    /// Whether an operator has removed it, though the binary brings it.
    pub removed: bool,
    /// For revisions to come.
    pub settings: Settings,
    /// What a newer version of the host has written beside.
    #[serde(flatten)]
    pub unknown: Unknown,
}

impl State {
    /// Whether this revision serves, is on trial, or is the one to return to.
    pub fn uses(&self, revision: &str) -> bool {
        let on_trial = self.canary.as_ref().map(|trial| &trial.revision);
        [self.active.as_ref(), self.previous.as_ref(), on_trial].into_iter().flatten().any(|used| used == revision)
    }
}

impl Record {
    /// The id of a file with these settings: the version, the start of the
    /// digest, and where something is set, the start of the settings' digest.
    pub fn id(version: &str, digest: &str, manifest: Option<&str>, settings: &Settings) -> String {
        let mut id = format!("{version}+{}", digest.get(..8).unwrap_or(digest));
        if manifest.is_some() || *settings != Settings::default() {
            let text = serde_json::to_vec(&(manifest, settings)).unwrap_or_default();
            id.push('.');
            id.push_str(hex::encode(Sha256::digest(text)).get(..8).unwrap_or_default());
        }
        id
    }
}
