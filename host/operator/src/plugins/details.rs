//! One plugin with everything that is known of it, and what a plugin may use
//! before there is one of its name.

use super::{PluginView, problem, unknown};
use crate::{
    Operator,
    caller::{Caller, Role},
};
use axum::{
    Json,
    extract::{Path, State},
};
use host_config::{
    limits::Limits,
    plugins::{Grant, LimitOverrides, ValueSource},
};
use host_http::error::{Envelope, Problem};
use host_plugin::registry::Plugin;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use utoipa::ToSchema;

/// A plugin with everything that is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PluginDetails {
    #[serde(flatten)]
    plugin: PluginView,
    /// The values of its declared settings.
    config: BTreeMap<String, String>,
    /// Who decided each of them.
    config_sources: BTreeMap<String, ValueSource>,
    /// Those among them that an operator has set while the host ran.
    config_set: BTreeMap<String, String>,
    /// Limits that an operator has set while the host ran.
    limits: LimitOverrides,
    /// All limits as they hold, and who decided each of them.
    limits_in_force: BTreeMap<String, LimitView>,
    /// What it may import, beside what is harmless.
    grants: BTreeSet<Grant>,
    /// Hosts with ports to which it may make requests.
    http_hosts: BTreeSet<String>,
    /// The revision to which a rollback returns.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    /// Why it was quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantined: Option<String>,
}

/// A limit as it holds.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct LimitView {
    /// In the unit of its name.
    value: u64,
    source: ValueSource,
}

/// What a plugin may use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantsView {
    /// What it may import, beside what is harmless.
    grants: BTreeSet<Grant>,
    /// Hosts with ports to which it may make requests.
    http_hosts: BTreeSet<String>,
}

/// One plugin.
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
    let plugin = snapshot.plugin(&name).ok_or_else(|| unknown(&name))?;
    let state = operator.rollout.state(&name).await.map_err(problem)?;
    let config = &plugin.revision.config;
    Ok(Json(PluginDetails {
        plugin: PluginView::from(plugin),
        config: config.iter().map(|(key, setting)| (key.clone(), setting.value.clone())).collect(),
        config_sources: config.iter().map(|(key, setting)| (key.clone(), setting.source)).collect(),
        limits_in_force: limits_of(&operator, plugin, &state.settings.limits),
        grants: operator.rollout.preparer.grants(&name, &state.settings),
        config_set: state.settings.config,
        limits: state.settings.limits,
        http_hosts: state.settings.http_hosts,
        previous: state.previous,
        quarantined: state.quarantined,
    }))
}

/// What a plugin may use, also one that is yet to be uploaded.
#[utoipa::path(get, path = "/plugins/{name}/grants", operation_id = "show_grants", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = GrantsView),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope, description = "There is no such plugin, and nothing was granted for one"),
))]
pub(crate) async fn grants(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<GrantsView>, Problem> {
    caller.require(Role::View, Some(&name))?;
    let state = operator.rollout.state(&name).await.map_err(problem)?;
    let grants = operator.rollout.preparer.grants(&name, &state.settings);
    Ok(Json(GrantsView { grants, http_hosts: state.settings.http_hosts }))
}

fn limits_of(operator: &Operator, plugin: &Plugin, set: &LimitOverrides) -> BTreeMap<String, LimitView> {
    let manifest = &plugin.revision.manifest;
    sourced(&manifest.limits, set, &operator.rollout.preparer.loader.plugins.limits(&manifest.name))
}

/// Each limit with who decided it.
fn sourced(in_force: &Limits, operator: &LimitOverrides, file: &LimitOverrides) -> BTreeMap<String, LimitView> {
    let (operator, file) = (fields(operator), fields(file));
    let with_source = |(key, value): (String, Value)| {
        let source = match (operator.contains_key(&key), file.contains_key(&key)) {
            (true, _) => ValueSource::Operator,
            (false, true) => ValueSource::File,
            (false, false) => ValueSource::Manifest,
        };
        Some((key, LimitView { value: value.as_u64()?, source }))
    };
    fields(in_force).into_iter().filter_map(with_source).collect()
}

/// The numbers of a table of limits, by name.
fn fields(limits: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(limits) {
        Ok(Value::Object(fields)) => fields,
        // Tables of numbers become objects.
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_listed_with_who_decided_it() {
        let operator = LimitOverrides { memory_mib: Some(8), ..LimitOverrides::default() };
        let file = LimitOverrides { memory_mib: Some(9), queue: Some(7), ..LimitOverrides::default() };
        let mut limits = Limits::default();
        limits.override_with(&file).unwrap();
        limits.override_with(&operator).unwrap();
        let listed = sourced(&limits, &operator, &file);
        assert_eq!(listed.len(), 10);
        assert_eq!(listed["memory_mib"], LimitView { value: 8, source: ValueSource::Operator });
        assert_eq!(listed["queue"], LimitView { value: 7, source: ValueSource::File });
        assert_eq!(listed["wall_time_ms"], LimitView { value: 10_000, source: ValueSource::Manifest });
    }
}
