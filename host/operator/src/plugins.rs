//! `/plugins`: the plugins, their revisions and their changes.

mod budgets;
pub(super) mod changes;
pub(super) mod data;
pub(super) mod details;
pub(super) mod figures;
pub(super) mod kept;
pub(super) mod policy;
pub(super) mod tables;

use super::{
    Operator,
    caller::Caller,
    input::Query,
    page::{Page, PageQuery},
};
use axum::extract::{Path, State};
use host_api::{
    error::Envelope,
    plugins::{CanaryView, PluginStatus, PluginView, RouteView},
    revisions::{RevisionStatus, RevisionView},
    tokens::Role,
};
use host_artifact::manifest::Route;
use host_http::error::{Problem, Refusal};
use host_plugin::{
    LoadError, Snapshot,
    archive::{Record, State as Desired},
    policies::PolicyError,
    registry::{Plugin, Standing, Starting},
    rollout::RolloutError,
};
use http::StatusCode;
use std::{collections::BTreeSet, sync::Arc};

/// A plugin, as the API shows it.
fn plugin_view(plugin: &Plugin) -> PluginView {
    let revision = &plugin.revision;
    let manifest = &revision.manifest;
    let counts = revision.call_counts();
    PluginView {
        name: manifest.name.clone(),
        version: manifest.version.to_string(),
        revision: revision.id.clone(),
        digest: revision.digest.clone(),
        size_bytes: revision.size_bytes,
        status: status_of(plugin).into(),
        canary: plugin.canary.as_ref().map(|canary| CanaryView {
            revision: canary.revision.id.clone(),
            percent: canary.percent,
            promote_at_ms: canary.promote_at_ms,
            calls: canary.revision.call_counts().started,
            errors: canary.revision.call_counts().errors,
            failures: canary.revision.failures(),
        }),
        imports: revision.imports.clone(),
        exports: revision.exports.clone(),
        routes: manifest.routes.iter().map(route_view).collect(),
        subscribes: manifest.messaging.subscribes.clone(),
        publishes: manifest.messaging.publishes.clone(),
        in_flight: counts.in_flight(),
        calls: counts.started,
        failures: revision.failures(),
        recent: Some(figures::recent(plugin)),
        last_failure: figures::last_failure(plugin),
        nearly_used: budgets::nearly_used(revision),
    }
}

fn route_view(route: &Route) -> RouteView {
    let Route { path, methods, idempotent, rate, visibility } = route;
    let (rate, private) = (rate.map(String::from), !visibility.is_public());
    RouteView { path: path.clone(), methods: methods.clone(), private, rate, idempotent: *idempotent }
}

/// Whether a plugin that is loaded serves.
pub(super) fn status_of(plugin: &Plugin) -> PluginStatus {
    match (plugin.standing, &plugin.canary) {
        (Standing::Paused, _) => PluginStatus::Paused,
        (Standing::Quarantined, _) => PluginStatus::Quarantined,
        (Standing::Serving, Some(_)) => PluginStatus::Canary,
        (Standing::Serving, None) => PluginStatus::Active,
    }
}

/// A plugin that is being loaded, as the API shows it.
fn starting_view(starting: &Starting) -> PluginView {
    let Starting { record, manifest } = starting;
    PluginView {
        name: manifest.name.clone(),
        version: record.version.clone(),
        revision: record.id.clone(),
        digest: record.digest.clone(),
        size_bytes: record.size_bytes,
        status: PluginStatus::Starting.into(),
        canary: None,
        imports: Vec::new(),
        exports: Vec::new(),
        routes: manifest.routes.iter().map(route_view).collect(),
        subscribes: manifest.messaging.subscribes.clone(),
        publishes: manifest.messaging.publishes.clone(),
        in_flight: 0,
        calls: 0,
        failures: 0,
        recent: None,
        last_failure: None,
        nearly_used: Vec::new(),
    }
}

/// A plugin that is active or being loaded. None if there is none of this name.
fn view_of(snapshot: &Snapshot, name: &str) -> Option<PluginView> {
    let active = snapshot.plugin(name).map(plugin_view);
    active.or_else(|| snapshot.starting(name).map(starting_view))
}

/// The plugins that are active or being loaded, by name.
#[utoipa::path(get, path = "/plugins", operation_id = "list_plugins", tag = "plugins", params(PageQuery), responses(
    (status = 200, body = [PluginView]),
    (status = 400, body = Envelope),
))]
pub(super) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Page<PluginView>, Problem> {
    let snapshot = operator.rollout.registry.snapshot();
    let active = snapshot.plugins().map(|plugin| plugin.revision.name());
    let names: BTreeSet<&str> =
        active.chain(snapshot.all_starting().map(|starting| starting.manifest.name.as_str())).collect();
    let seen = names.into_iter().filter(|name| caller.covers(name));
    let rest = seen.filter(|name| query.after.as_deref().is_none_or(|after| *name > after));
    let views = rest.filter_map(|name| Some((name.to_owned(), view_of(&snapshot, name)?)));
    Page::of("/plugins", &query, views)
}

/// The revisions of a plugin that the host keeps, the newest first.
#[utoipa::path(get, path = "/plugins/{name}/revisions", operation_id = "list_revisions", tag = "plugins", params(("name" = String, Path), PageQuery), responses(
    (status = 200, body = [RevisionView]),
    (status = 400, body = Envelope),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(super) async fn revisions(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Page<RevisionView>, Problem> {
    caller.require(Role::View, Some(&name))?;
    let records = operator.rollout.archive.records(&name).await.map_err(|error| problem(error.into()))?;
    if records.is_empty() {
        return Err(unknown(&name));
    }
    let state = match operator.rollout.state(&name).await {
        Err(RolloutError::Unknown(_)) => Desired::default(),
        state => state.map_err(problem)?,
    };
    let status = |id: &String| match &state {
        Desired { active: Some(active), .. } if active == id => RevisionStatus::Active,
        Desired { canary: Some(trial), .. } if trial.revision == *id => RevisionStatus::Canary,
        Desired { previous: Some(previous), .. } if previous == id => RevisionStatus::Previous,
        _ => RevisionStatus::Staged,
    };
    let view = |record: Record| RevisionView {
        status: status(&record.id).into(),
        revision: record.id,
        version: record.version,
        digest: record.digest,
        size_bytes: record.size_bytes,
        source: record.source.into(),
        uploaded_ms: record.uploaded_ms,
        uploaded_by: record.uploaded_by,
    };
    let first = match &query.after {
        Some(after) => records.iter().position(|record| record.id == *after).map_or(records.len(), |place| place + 1),
        None => 0,
    };
    let views = records.into_iter().skip(first).map(|record| (record.id.clone(), view(record)));
    Page::of(&format!("/plugins/{name}/revisions"), &query, views)
}

/// Whether there is something of a plugin: a revision that serves or waits, or a
/// decision about it.
pub(super) async fn exists(operator: &Operator, name: &str) -> Result<bool, Problem> {
    let rollout = &operator.rollout;
    let is_known = rollout.knows(name).await.map_err(problem)?;
    Ok(is_known || !rollout.archive.records(name).await.map_err(|error| problem(error.into()))?.is_empty())
}

/// The error for a plugin that does not exist.
pub(super) fn unknown(name: &str) -> Problem {
    problem(RolloutError::Unknown(format!("plugin {name}")))
}

/// The error for a change that the host did not make.
pub(super) fn problem(error: RolloutError) -> Problem {
    if let Some(failure) = error.full() {
        return Refusal::from(failure).into();
    }
    match error {
        RolloutError::Refused(LoadError::Host(error)) => {
            tracing::error!(%error, "the plugin could not be loaded");
            Refusal::Unavailable.into()
        }
        RolloutError::Refused(_) | RolloutError::Route(_) | RolloutError::Probe(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        RolloutError::Peers(problems) => {
            let first = "Other hosts cannot make this change; `force` makes it without them";
            problems.into_iter().fold(Problem::new(StatusCode::CONFLICT, first), Problem::with_fault)
        }
        RolloutError::Incompatible(problems) => {
            let first = "It is not compatible with the active revision; `force` activates it nevertheless";
            problems.into_iter().fold(Problem::new(StatusCode::CONFLICT, first), Problem::with_fault)
        }
        RolloutError::Value { field, problem } => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problem).for_field(field)
        }
        RolloutError::NotAllowed(excesses) => {
            let mut problems = excesses.iter().map(ToString::to_string);
            let first = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problems.next().unwrap_or_default());
            problems.fold(first, Problem::with_fault)
        }
        RolloutError::NotTrusted(_) => Problem::new(StatusCode::FORBIDDEN, error.to_string()),
        RolloutError::Policy(PolicyError::Conflict(_)) => {
            Problem::new(StatusCode::CONFLICT, error.to_string()).for_field("replaces")
        }
        RolloutError::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, error.to_string()),
        RolloutError::Forbidden(_) => Problem::new(StatusCode::FORBIDDEN, error.to_string()),
        RolloutError::State(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
        RolloutError::Archive(_) | RolloutError::Bus(_) | RolloutError::Database(_) | RolloutError::Policy(_) => {
            tracing::error!(%error, "the host could not change the plugin");
            Refusal::Unavailable.into()
        }
    }
}
