//! One plugin with its settings, limits and grants.

use super::{figures, problem, unknown, view_of};
use crate::{Operator, caller::Caller};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    error::Envelope,
    plugins::{LimitView, PluginDetails},
    settings::{LimitOverrides, ValueSource},
    tokens::Role,
};
use host_artifact::Manifest;
use host_config::{limits::Limits, plugins::Setting};
use host_http::error::Problem;
use host_plugin::{
    Snapshot,
    archive::Settings,
    registry::{Plugin, Starting},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One plugin. It may be starting.
#[utoipa::path(get, path = "/plugins/{name}", operation_id = "show_plugin", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = PluginDetails),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(crate) async fn show(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<PluginDetails>, Problem> {
    caller.require(Role::View, Some(&name))?;
    let snapshot = operator.rollout.registry.snapshot();
    let view = view_of(&snapshot, &name).ok_or_else(|| unknown(&name))?;
    let state = operator.rollout.state(&name).await.map_err(problem)?;
    let in_force = match snapshot.plugin(&name) {
        Some(plugin) => InForce::of_active(plugin),
        None => InForce::of_starting(&operator, &snapshot, &name, &state.settings),
    };
    let (config, set) = (in_force.config, &state.settings.limits);
    let policy = operator.rollout.preparer.policies.of(&name);
    Ok(Json(PluginDetails {
        plugin: view,
        config: config.iter().map(|(key, setting)| (key.clone(), setting.shown().to_owned())).collect(),
        config_secrets: in_force.secrets,
        config_sources: config.iter().map(|(key, setting)| (key.clone(), setting.source.into())).collect(),
        limits_in_force: with_sources(&in_force.limits, set, &operator.rollout.preparer.loader.plugins.limits(&name)),
        grants: policy.grants.iter().copied().map(Into::into).collect(),
        limits: numbers(set),
        config_set: state.settings.config,
        http_hosts: policy.http_hosts.clone(),
        calls_plugins: policy.plugins.clone(),
        compared: snapshot.plugin(&name).map(figures::compared).unwrap_or_default(),
        previous: state.previous,
        quarantined: state.quarantined,
    }))
}

/// The settings and limits with which a plugin runs or is about to run.
#[derive(Default)]
struct InForce {
    config: BTreeMap<String, Setting>,
    /// The declared settings that are secret.
    secrets: BTreeSet<String>,
    limits: Limits,
}

impl InForce {
    fn of_active(plugin: &Plugin) -> Self {
        let revision = &plugin.revision;
        let (secrets, limits) = (secrets(&revision.manifest), revision.manifest.limits.clone());
        Self { config: revision.config.clone(), secrets, limits }
    }

    /// A setting that is wrong ends the start, and its log says so.
    fn of_starting(operator: &Operator, snapshot: &Snapshot, name: &str, set: &Settings) -> Self {
        let Some(Starting { manifest, .. }) = snapshot.starting(name) else { return Self::default() };
        let plugins = &operator.rollout.preparer.loader.plugins;
        let mut limits = manifest.limits.clone();
        for overrides in [&plugins.limits(name), &set.limits] {
            let _ = limits.override_with(overrides);
        }
        let config = plugins.settings_with(name, &manifest.config, &set.values(&manifest.config));
        Self { config: config.unwrap_or_default(), secrets: secrets(manifest), limits }
    }
}

fn secrets(manifest: &Manifest) -> BTreeSet<String> {
    manifest.config.iter().filter(|(_, declared)| declared.is_secret()).map(|(key, _)| key.clone()).collect()
}

/// Each limit with its source.
fn with_sources(in_force: &Limits, operator: &LimitOverrides, file: &LimitOverrides) -> BTreeMap<String, LimitView> {
    let (operator, file) = (numbers(operator), numbers(file));
    let with_source = |(key, value): (String, u64)| {
        let source = match (operator.contains_key(&key), file.contains_key(&key)) {
            (true, _) => ValueSource::Operator,
            (false, true) => ValueSource::File,
            (false, false) => ValueSource::Manifest,
        };
        (key, LimitView { value, source: source.into() })
    };
    numbers(in_force).into_iter().map(with_source).collect()
}

/// The numbers of a table of limits, by name.
fn numbers(limits: &impl Serialize) -> BTreeMap<String, u64> {
    match serde_json::to_value(limits) {
        Ok(Value::Object(fields)) => {
            fields.into_iter().filter_map(|(key, value)| Some((key, value.as_u64()?))).collect()
        }
        // Tables of numbers become objects.
        _ => BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_listed_with_its_source() {
        let operator = LimitOverrides { memory_mib: Some(8), ..LimitOverrides::default() };
        let file = LimitOverrides { memory_mib: Some(9), queue: Some(7), ..LimitOverrides::default() };
        let mut limits = Limits::default();
        limits.override_with(&file).unwrap();
        limits.override_with(&operator).unwrap();
        let listed = with_sources(&limits, &operator, &file);
        assert_eq!(listed.len(), limits.values().len());
        assert_eq!(listed["memory_mib"], LimitView { value: 8, source: ValueSource::Operator.into() });
        assert_eq!(listed["queue"], LimitView { value: 7, source: ValueSource::File.into() });
        assert_eq!(listed["wall_time_ms"], LimitView { value: 10_000, source: ValueSource::Manifest.into() });
    }
}
