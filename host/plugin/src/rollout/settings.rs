//! Settings that operators change while a plugin runs. They are part of a
//! revision's identity, so a change makes another revision and swaps to it.

use super::{Rollout, RolloutError, swap::How};
use crate::archive::{Record, Settings, State};
use host_api::{settings::LimitOverrides, swap::SwapReport};
use host_artifact::policy::Rights;
use host_base::clock::now_ms;
use std::{collections::BTreeMap, sync::Arc};

/// One change of a plugin's settings. It replaces a setting as a whole.
#[derive(Debug, Clone)]
pub enum Change {
    /// Values of declared settings.
    Config(BTreeMap<String, String>),
    /// Limits that replace those of the manifest.
    Limits(LimitOverrides),
}

impl Rollout {
    /// Changes settings and swaps to a revision that has them. The settings of
    /// a plugin that is not active are stored only, and there is no report.
    ///
    /// # Errors
    /// See [`RolloutError`]; nothing has changed then.
    pub async fn set(self: &Arc<Self>, plugin: &str, change: Change) -> Result<Option<SwapReport>, RolloutError> {
        let _guard = self.lock(plugin).await?;
        let state = self.state(plugin).await?;
        let settings = match change {
            Change::Config(config) => {
                self.check_keys(plugin, &config)?;
                Settings { config, ..state.settings.clone() }
            }
            Change::Limits(limits) => {
                let policy = self.preparer.policy(plugin);
                let beyond = Rights { plugin, policy: &policy }.limits_beyond(&limits);
                if !beyond.is_empty() {
                    return Err(RolloutError::NotAllowed(beyond));
                }
                Settings { limits, ..state.settings.clone() }
            }
        };
        let Some(active) = &state.active else {
            self.archive.set_state(plugin, &State { settings, ..state }).await?;
            return Ok(None);
        };
        let record = self.preparer.record(plugin, active).await?;
        let id = Record::id(&record.version, &record.digest, record.manifest.as_deref(), &settings);
        let record = Record { id, settings, uploaded_ms: now_ms(), ..record };
        if record.id == *active {
            return Err(RolloutError::State("these settings are in force already".to_owned()));
        }
        self.archive.add(&record).await?;
        self.swap(&record, state, None, How::Settings).await.map(Some)
    }

    fn check_keys(&self, plugin: &str, config: &BTreeMap<String, String>) -> Result<(), RolloutError> {
        let Some(active) = self.active(plugin) else { return Ok(()) };
        let declared = &active.revision.manifest.config;
        match config.keys().find(|key| !declared.contains_key(*key)) {
            Some(key) => {
                let known: Vec<&str> = declared.keys().map(String::as_str).collect();
                let problem = format!("{plugin} declares no setting {key}; it knows {}", known.join(", "));
                Err(RolloutError::Value { field: "config", problem })
            }
            None => Ok(()),
        }
    }
}
