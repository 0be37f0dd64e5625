//! `/plugins`: what runs, what could run, and how that is changed.

pub(super) mod changes;
pub(super) mod details;

use super::{
    Operator,
    caller::{Caller, Role},
};
use axum::{
    Json,
    extract::{Path, State},
};
use host_http::error::{Envelope, Problem, Refusal};
use host_plugin::{
    archive::{Source, State as Desired},
    registry::{Plugin, Standing},
    rollout::RolloutError,
};
use http::StatusCode;
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};
use utoipa::ToSchema;

/// A plugin that is active.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PluginView {
    name: String,
    version: String,
    /// The revision that serves.
    revision: String,
    /// SHA-256 of its file, hexadecimal.
    digest: String,
    size_bytes: usize,
    status: Status,
    /// A revision on trial beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<CanaryView>,
    imports: Vec<String>,
    exports: Vec<String>,
    routes: Vec<RouteView>,
    subscribes: BTreeSet<String>,
    publishes: BTreeSet<String>,
    /// Requests, events and timers that run now.
    in_flight: u64,
    /// Requests, events and timers since the revision was loaded.
    calls: u64,
    /// Calls that trapped, took too long, or were refused for want of room.
    failures: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// It serves.
    Active,
    /// It serves, and another revision is on trial.
    Canary,
    /// An operator has paused it.
    Paused,
    /// It trapped too often.
    Quarantined,
}

#[derive(Debug, Serialize, ToSchema)]
struct CanaryView {
    revision: String,
    /// Its share of the work.
    percent: u8,
    /// When it serves alone by itself, if it has had enough calls and has done
    /// no worse, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    promote_at_ms: Option<u64>,
    calls: u64,
    /// Calls that ended with a failure or an answer of 500 and above.
    errors: u64,
    failures: u64,
}

/// A path and the methods that are answered on it.
#[derive(Debug, Serialize, ToSchema)]
struct RouteView {
    path: String,
    methods: Vec<String>,
}

/// A revision that is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RevisionView {
    revision: String,
    version: String,
    digest: String,
    size_bytes: usize,
    status: RevisionStatus,
    source: Source,
    /// In milliseconds since the Unix epoch.
    uploaded_ms: u64,
    /// The name of the token; empty for what is built in.
    uploaded_by: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RevisionStatus {
    /// It serves.
    Active,
    /// It is on trial.
    Canary,
    /// It served before; a rollback returns to it.
    Previous,
    /// It can be activated.
    Staged,
}

impl From<&Plugin> for PluginView {
    fn from(plugin: &Plugin) -> Self {
        let revision = &plugin.revision;
        let manifest = &revision.manifest;
        let tally = revision.tally();
        let routes = manifest.routes.iter();
        Self {
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            revision: revision.id.clone(),
            digest: revision.digest.clone(),
            size_bytes: revision.size_bytes,
            status: match (plugin.standing, &plugin.canary) {
                (Standing::Paused, _) => Status::Paused,
                (Standing::Quarantined, _) => Status::Quarantined,
                (Standing::Serving, Some(_)) => Status::Canary,
                (Standing::Serving, None) => Status::Active,
            },
            canary: plugin.canary.as_ref().map(|canary| CanaryView {
                revision: canary.revision.id.clone(),
                percent: canary.percent,
                promote_at_ms: canary.promote_at_ms,
                calls: canary.revision.tally().started,
                errors: canary.revision.tally().errors,
                failures: canary.revision.failures(),
            }),
            imports: revision.imports.clone(),
            exports: revision.exports.clone(),
            routes: routes.map(|r| RouteView { path: r.path.clone(), methods: r.methods.clone() }).collect(),
            subscribes: manifest.messaging.subscribes.clone(),
            publishes: manifest.messaging.publishes.clone(),
            in_flight: tally.in_flight(),
            calls: tally.started,
            failures: revision.failures(),
        }
    }
}

/// What runs.
#[utoipa::path(get, path = "/plugins", operation_id = "list_plugins", tag = "plugins", responses((status = 200, body = [PluginView])))]
pub(super) async fn list(State(operator): State<Arc<Operator>>, caller: Caller) -> Json<Vec<PluginView>> {
    let snapshot = operator.rollout.registry.snapshot();
    let seen = snapshot.plugins().filter(|plugin| caller.covers(plugin.revision.name()));
    Json(seen.map(PluginView::from).collect())
}

/// The revisions of a plugin that are kept, the newest first.
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
        status: status(&record.id),
        revision: record.id,
        version: record.version,
        digest: record.digest,
        size_bytes: record.size_bytes,
        source: record.source,
        uploaded_ms: record.uploaded_ms,
        uploaded_by: record.uploaded_by,
    });
    Ok(Json(views.collect()))
}

/// The answer to a question about a plugin that is not there.
pub(super) fn unknown(name: &str) -> Problem {
    problem(RolloutError::Unknown(format!("plugin {name}")))
}

/// The answer to a change that was not made.
pub(super) fn problem(error: RolloutError) -> Problem {
    match error {
        RolloutError::Refused(_) | RolloutError::Route(_) | RolloutError::Probe(_) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
        }
        RolloutError::Peers(problems) => {
            let first = "Other hosts cannot do it; `force` leaves them behind";
            problems.into_iter().fold(Problem::new(StatusCode::CONFLICT, first), Problem::and)
        }
        RolloutError::Incompatible(problems) => {
            let first = "It does not fit to what is active; `force` activates it nevertheless";
            problems.into_iter().fold(Problem::new(StatusCode::CONFLICT, first), Problem::and)
        }
        RolloutError::Value { field, problem } => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problem).on(field),
        RolloutError::Unknown(_) => Problem::new(StatusCode::NOT_FOUND, error.to_string()),
        RolloutError::Forbidden(_) => Problem::new(StatusCode::FORBIDDEN, error.to_string()),
        RolloutError::State(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
        RolloutError::Archive(_) | RolloutError::Bus(_) => {
            tracing::error!(%error, "a plugin could not be changed");
            Refusal::Unavailable.into()
        }
    }
}
