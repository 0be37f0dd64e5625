//! Settings that operators change while a plugin runs. They are part of a
//! revision's identity, so a change makes another revision and swaps to it.

use super::{Rollout, RolloutError, swap::How};
use crate::archive::{Record, Settings, State};
use host_api::{settings::LimitOverrides, swap::SwapReport};
use host_artifact::policy::Rights;
use host_base::clock::now_ms;
use host_config::plugins::ConfigKey;
use std::{collections::BTreeMap, sync::Arc};

/// One change of a plugin's settings.
pub enum Change {
    /// All values of declared settings. A secret that is not among them stays, because
    /// nobody can read it and send it again. None removes one.
    Config(BTreeMap<String, Option<String>>),
    /// Some values of declared settings. The others stay. None removes one.
    SomeConfig(BTreeMap<String, Option<String>>),
    /// All limits that replace those of the manifest.
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
        let state = match self.state(plugin).await {
            // It is uploaded and was never activated.
            Err(RolloutError::Unknown(_)) if !self.archive.records(plugin).await?.is_empty() => State::default(),
            state => state?,
        };
        let settings = match change {
            Change::Config(values) => {
                let cleared = Settings { config: BTreeMap::new(), ..state.settings.clone() };
                self.with_values(plugin, &cleared, values).await?
            }
            Change::SomeConfig(values) => self.with_values(plugin, &state.settings, values).await?,
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

    /// The settings with these values. Each must be for a setting that the plugin
    /// declares.
    async fn with_values(
        &self,
        plugin: &str,
        settings: &Settings,
        values: BTreeMap<String, Option<String>>,
    ) -> Result<Settings, RolloutError> {
        let declared = self.declared(plugin).await?;
        match values.keys().find(|key| !declared.contains_key(*key)) {
            Some(key) => {
                let known: Vec<&str> = declared.keys().map(String::as_str).collect();
                let problem = format!("{plugin} declares no setting {key}; it knows {}", known.join(", "));
                Err(RolloutError::Value { field: "config", problem })
            }
            None => Ok(settings.with(values, &declared)),
        }
    }

    /// The settings that the active revision declares, or else the last upload.
    async fn declared(&self, plugin: &str) -> Result<BTreeMap<String, ConfigKey>, RolloutError> {
        if let Some(active) = self.active(plugin) {
            return Ok(active.revision.manifest.config.clone());
        }
        let newest = self.archive.records(plugin).await?.into_iter().next();
        let record = newest.or_else(|| self.preparer.origin(plugin).map(|origin| origin.record));
        let record = record.ok_or_else(|| RolloutError::Unknown(format!("revision of {plugin}")))?;
        Ok(self.preparer.read(&record).await?.manifest.config)
    }
}
