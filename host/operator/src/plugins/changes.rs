//! What changes a plugin that is there. Every change, and every one that was
//! refused, is in the audit.

use super::{PluginView, problem};
use crate::{
    Operator,
    caller::{Caller, Role},
    input::Body,
};
use axum::{
    Json,
    extract::{Path, State},
};
use host_config::plugins::{Grant, LimitOverrides};
use host_database::audit::{Entry, Outcome};
use host_http::error::{Envelope, Problem, Refusal};
use host_plugin::rollout::{Activation, Change, RolloutError, SwapReport};
use http::StatusCode;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use utoipa::ToSchema;

/// What a plugin may do beside answering.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewGrants {
    /// What it may import.
    grants: BTreeSet<Grant>,
    /// Hosts with ports to which it may make requests.
    #[serde(default)]
    #[schema(example = json!(["api.example.com:443"]))]
    http_hosts: BTreeSet<String>,
}

type Changed<T> = Result<Json<T>, Problem>;

/// Lets a staged revision serve, alone or on trial.
#[utoipa::path(post, path = "/plugins/{name}/activate", tag = "plugins", params(("name" = String, Path)),
    request_body = Activation, responses(
        (status = 200, body = SwapReport),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 409, body = Envelope, description = "It does not fit to what is active"),
        (status = 422, body = Envelope, description = "It cannot be loaded, or failed its probe"),
    ))]
pub(crate) async fn activate(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Body<Activation>, Problem>,
) -> Changed<SwapReport> {
    operator.allow(&caller, Role::Deploy, "activate", Some(&name)).await?;
    let Body(wanted) = body?;
    let swapped = operator.rollout.activate(&name, &wanted).await;
    concluded(&operator, &caller, "activate", &name, swapped).await
}

/// Lets the revision on trial serve alone.
#[utoipa::path(post, path = "/plugins/{name}/promote", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = SwapReport),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 409, body = Envelope, description = "None is on trial"),
))]
pub(crate) async fn promote(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Changed<SwapReport> {
    operator.allow(&caller, Role::Deploy, "promote", Some(&name)).await?;
    let swapped = operator.rollout.promote(&name).await;
    concluded(&operator, &caller, "promote", &name, swapped).await
}

/// Ends a trial, or returns to the previous revision.
#[utoipa::path(post, path = "/plugins/{name}/rollback", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = SwapReport),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 409, body = Envelope, description = "There is nothing to return to"),
))]
pub(crate) async fn rollback(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Changed<SwapReport> {
    operator.allow(&caller, Role::Deploy, "rollback", Some(&name)).await?;
    let swapped = operator.rollout.rollback(&name).await;
    concluded(&operator, &caller, "rollback", &name, swapped).await
}

/// Refuses a plugin's requests with 503 and keeps its events and timers.
#[utoipa::path(post, path = "/plugins/{name}/pause", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = PluginView),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(crate) async fn pause(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Changed<PluginView> {
    operator.allow(&caller, Role::Deploy, "pause", Some(&name)).await?;
    let paused = operator.rollout.pause(&name).await;
    standing(&operator, &caller, "pause", &name, paused).await
}

/// Lets a plugin serve again after a pause or a quarantine.
#[utoipa::path(post, path = "/plugins/{name}/resume", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = PluginView),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(crate) async fn resume(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Changed<PluginView> {
    operator.allow(&caller, Role::Deploy, "resume", Some(&name)).await?;
    let resumed = operator.rollout.resume(&name).await;
    standing(&operator, &caller, "resume", &name, resumed).await
}

/// Takes a plugin out of service. Its database and its revisions are kept. What
/// was granted to one that was never uploaded is forgotten.
#[utoipa::path(delete, path = "/plugins/{name}", operation_id = "remove", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 204, description = "It does not serve any more"),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(crate) async fn remove(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    operator.allow(&caller, Role::Deploy, "remove", Some(&name)).await?;
    let removed = operator.rollout.remove(&name).await;
    on_record(&operator, &caller, "remove", &name, None, &removed).await?;
    removed.map(|()| StatusCode::NO_CONTENT).map_err(problem)
}

/// Replaces what was set of a plugin's declared settings, by a swap.
#[utoipa::path(put, path = "/plugins/{name}/config", operation_id = "set_config", tag = "plugins", params(("name" = String, Path)),
    request_body = BTreeMap<String, serde_json::Value>, responses(
        (status = 200, body = SwapReport),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 422, body = Envelope, description = "A key that is not declared, or a value that it cannot have"),
    ))]
pub(crate) async fn config(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Body<BTreeMap<String, serde_json::Value>>, Problem>,
) -> Changed<Option<SwapReport>> {
    operator.allow(&caller, Role::Deploy, "config", Some(&name)).await?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        value => value.to_string(),
    };
    let config = body?.0.into_iter().map(|(key, value)| (key, text(value))).collect();
    set(&operator, &caller, "config", &name, Change::Config(config)).await
}

/// Replaces the limits that were set for a plugin, by a swap.
#[utoipa::path(put, path = "/plugins/{name}/limits", operation_id = "set_limits", tag = "plugins", params(("name" = String, Path)),
    request_body = LimitOverrides, responses(
        (status = 200, body = SwapReport),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 422, body = Envelope, description = "A limit out of its bounds"),
    ))]
pub(crate) async fn limits(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Body<LimitOverrides>, Problem>,
) -> Changed<Option<SwapReport>> {
    operator.allow(&caller, Role::Deploy, "limits", Some(&name)).await?;
    set(&operator, &caller, "limits", &name, Change::Limits(body?.0)).await
}

/// Replaces what a plugin may do, by a swap. For one that is not there yet the
/// grants are kept until it is uploaded or removed.
#[utoipa::path(put, path = "/plugins/{name}/grants", operation_id = "set_grants", tag = "plugins", params(("name" = String, Path)),
    request_body = NewGrants, responses(
        (status = 200, body = Option<SwapReport>),
        (status = 403, body = Envelope),
        (status = 422, body = Envelope, description = "The active revision needs more"),
    ))]
pub(crate) async fn grants(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Body<NewGrants>, Problem>,
) -> Changed<Option<SwapReport>> {
    operator.allow(&caller, Role::Admin, "grants", Some(&name)).await?;
    if !host_artifact::manifest::is_name(&name) {
        return Err(Refusal::NotFound.into());
    }
    let NewGrants { grants, http_hosts } = body?.0;
    set(&operator, &caller, "grants", &name, Change::Grants(grants, http_hosts)).await
}

async fn set(
    operator: &Operator,
    caller: &Caller,
    action: &str,
    name: &str,
    change: Change,
) -> Changed<Option<SwapReport>> {
    let report = operator.rollout.set(name, change).await;
    let revision = report.as_ref().ok().and_then(|report| report.as_ref()?.new.as_deref());
    on_record(operator, caller, action, name, revision, &report).await?;
    report.map(Json).map_err(problem)
}

async fn concluded(
    operator: &Operator,
    caller: &Caller,
    action: &str,
    name: &str,
    report: Result<SwapReport, RolloutError>,
) -> Changed<SwapReport> {
    let revision = report.as_ref().ok().and_then(|report| report.new.as_deref());
    on_record(operator, caller, action, name, revision, &report).await?;
    report.map(Json).map_err(problem)
}

async fn standing(
    operator: &Operator,
    caller: &Caller,
    action: &str,
    name: &str,
    changed: Result<(), RolloutError>,
) -> Changed<PluginView> {
    on_record(operator, caller, action, name, None, &changed).await?;
    changed.map_err(problem)?;
    let snapshot = operator.rollout.registry.snapshot();
    let plugin = snapshot.plugin(name).ok_or(Refusal::NotFound)?;
    Ok(Json(PluginView::from(plugin)))
}

/// Puts a change on record, with the digest of what is active afterwards.
async fn on_record<T>(
    operator: &Operator,
    caller: &Caller,
    action: &str,
    name: &str,
    revision: Option<&str>,
    result: &Result<T, RolloutError>,
) -> Result<(), Problem> {
    let outcome = match result {
        Ok(_) => Outcome::Done,
        Err(RolloutError::Archive(_) | RolloutError::Bus(_)) => Outcome::Failed,
        Err(_) => Outcome::Refused,
    };
    let detail = result.as_ref().err().map(ToString::to_string);
    let record = match revision {
        Some(revision) => operator.rollout.archive.record(name, revision).await.ok().flatten(),
        None => None,
    };
    let entry = Entry {
        plugin: Some(name),
        revision,
        digest: record.as_ref().map(|record| record.digest.as_str()),
        detail: detail.as_deref(),
        ..Entry::new(action, outcome)
    };
    Ok(operator.record(caller, &entry).await?)
}
