//! `/plugins`: the plugins, their revisions and their changes.

pub(super) mod changes;
pub(super) mod details;
pub(super) mod policy;

use super::{Operator, caller::Caller};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    error::Envelope,
    plugins::{CanaryView, PluginStatus, PluginView, RouteView},
    revisions::{RevisionStatus, RevisionView},
    tokens::Role,
};
use host_http::error::{Problem, Refusal};
use host_plugin::{
    archive::State as Desired,
    policies::PolicyError,
    registry::{Plugin, Standing},
    rollout::RolloutError,
};
use http::StatusCode;
use std::sync::Arc;

/// A plugin, as the API shows it.
fn plugin_view(plugin: &Plugin) -> PluginView {
    let revision = &plugin.revision;
    let manifest = &revision.manifest;
    let counts = revision.call_counts();
    let routes = manifest.routes.iter();
    PluginView {
        name: manifest.name.clone(),
        version: manifest.version.to_string(),
        revision: revision.id.clone(),
        digest: revision.digest.clone(),
        size_bytes: revision.size_bytes,
        status: match (plugin.standing, &plugin.canary) {
            (Standing::Paused, _) => PluginStatus::Paused,
            (Standing::Quarantined, _) => PluginStatus::Quarantined,
            (Standing::Serving, Some(_)) => PluginStatus::Canary,
            (Standing::Serving, None) => PluginStatus::Active,
        }
        .into(),
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
        routes: routes.map(|r| RouteView { path: r.path.clone(), methods: r.methods.clone() }).collect(),
        subscribes: manifest.messaging.subscribes.clone(),
        publishes: manifest.messaging.publishes.clone(),
        in_flight: counts.in_flight(),
        calls: counts.started,
        failures: revision.failures(),
    }
}

/// The plugins that are active.
#[utoipa::path(get, path = "/plugins", operation_id = "list_plugins", tag = "plugins", responses((status = 200, body = [PluginView])))]
pub(super) async fn list(State(operator): State<Arc<Operator>>, caller: Caller) -> Json<Vec<PluginView>> {
    let snapshot = operator.rollout.registry.snapshot();
    let seen = snapshot.plugins().filter(|plugin| caller.covers(plugin.revision.name()));
    Json(seen.map(plugin_view).collect())
}

/// The revisions of a plugin that the host keeps, the newest first.
#[utoipa::path(get, path = "/plugins/{name}/revisions", operation_id = "list_revisions", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = [RevisionView]),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(super) async fn revisions(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Vec<RevisionView>>, Problem> {
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
    let views = records.into_iter().map(|record| RevisionView {
        status: status(&record.id).into(),
        revision: record.id,
        version: record.version,
        digest: record.digest,
        size_bytes: record.size_bytes,
        source: record.source.into(),
        uploaded_ms: record.uploaded_ms,
        uploaded_by: record.uploaded_by,
    });
    Ok(Json(views.collect()))
}

/// The error for a plugin that does not exist.
pub(super) fn unknown(name: &str) -> Problem {
    problem(RolloutError::Unknown(format!("plugin {name}")))
}

/// The error for a change that the host did not make.
pub(super) fn problem(error: RolloutError) -> Problem {
    match error {
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
        RolloutError::Archive(_) | RolloutError::Bus(_) | RolloutError::Policy(_) => {
            tracing::error!(%error, "the host could not change the plugin");
            Refusal::Unavailable.into()
        }
    }
}
