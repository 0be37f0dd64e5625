//! Changes of a plugin. The audit has every change, also each refused one.

use super::{problem, view_of};
use crate::{Operator, caller::Caller, input::Body, redact::Redaction};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    error::Envelope,
    plugins::PluginView,
    settings::LimitOverrides,
    swap::{Activation, SwapReport},
    tokens::Role,
};
use host_database::audit::{Entry, Outcome};
use host_http::error::{Problem, Refusal};
use host_plugin::rollout::{Change, RolloutError};
use http::StatusCode;
use std::{collections::BTreeMap, sync::Arc};

pub(super) type Changed<T> = Result<Json<T>, Problem>;

/// Activates a staged revision, alone or on trial.
#[utoipa::path(post, path = "/plugins/{name}/activate", tag = "plugins", params(("name" = String, Path)),
    request_body = Activation, responses(
        (status = 200, body = SwapReport),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 409, body = Envelope, description = "It is not compatible with the active revision"),
        (status = 422, body = Envelope, description = "It cannot be loaded, or failed its probe"),
        (status = 503, body = Envelope, description = "The host has no room for its instances now"),
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
    answer_swap(&operator, &caller, "activate", &name, swapped).await
}

/// Lets the revision on trial serve alone.
#[utoipa::path(post, path = "/plugins/{name}/promote", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = SwapReport),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 409, body = Envelope, description = "No revision is on trial"),
))]
pub(crate) async fn promote(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Changed<SwapReport> {
    operator.allow(&caller, Role::Deploy, "promote", Some(&name)).await?;
    let swapped = operator.rollout.promote(&name).await;
    answer_swap(&operator, &caller, "promote", &name, swapped).await
}

/// Ends a trial, or returns to the previous revision.
#[utoipa::path(post, path = "/plugins/{name}/rollback", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = SwapReport),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 409, body = Envelope, description = "There is no trial and no previous revision"),
))]
pub(crate) async fn rollback(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Changed<SwapReport> {
    operator.allow(&caller, Role::Deploy, "rollback", Some(&name)).await?;
    let swapped = operator.rollout.rollback(&name).await;
    answer_swap(&operator, &caller, "rollback", &name, swapped).await
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
    answer_plugin(&operator, &caller, "pause", &name, paused).await
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
    answer_plugin(&operator, &caller, "resume", &name, resumed).await
}

/// Takes a plugin out of service. The host keeps its database and its revisions.
/// It deletes the policy of a plugin that was never uploaded.
#[utoipa::path(delete, path = "/plugins/{name}", operation_id = "remove", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 204, description = "The plugin is out of service"),
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
    record_change(&operator, &caller, "remove", &name, None, &removed).await?;
    removed.map(|()| StatusCode::NO_CONTENT).map_err(problem)
}

/// Replaces the values that operators have set for a plugin's declared settings,
/// by a swap. A secret that the request does not name stays; null removes it.
#[utoipa::path(put, path = "/plugins/{name}/config", operation_id = "set_config", tag = "plugins", params(("name" = String, Path)),
    request_body = BTreeMap<String, serde_json::Value>, responses(
        (status = 200, body = Option<SwapReport>, description = "The swap; null if nothing is active"),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 409, body = Envelope, description = "These settings are in force already"),
        (status = 422, body = Envelope, description = "A key that is not declared, or a value that is not allowed"),
    ))]
pub(crate) async fn config(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Body<BTreeMap<String, serde_json::Value>>, Problem>,
) -> Changed<Option<SwapReport>> {
    operator.allow(&caller, Role::Deploy, "config", Some(&name)).await?;
    set(&operator, &caller, "config", &name, Change::Config(texts(body?.0))).await
}

/// Changes some of the values that operators have set for a plugin's declared
/// settings, by a swap. The others stay; null removes a value.
#[utoipa::path(patch, path = "/plugins/{name}/config", operation_id = "change_config", tag = "plugins", params(("name" = String, Path)),
    request_body = BTreeMap<String, serde_json::Value>, responses(
        (status = 200, body = Option<SwapReport>, description = "The swap; null if nothing is active"),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 409, body = Envelope, description = "These settings are in force already"),
        (status = 422, body = Envelope, description = "A key that is not declared, or a value that is not allowed"),
    ))]
pub(crate) async fn some_config(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Body<BTreeMap<String, serde_json::Value>>, Problem>,
) -> Changed<Option<SwapReport>> {
    operator.allow(&caller, Role::Deploy, "config", Some(&name)).await?;
    set(&operator, &caller, "config", &name, Change::SomeConfig(texts(body?.0))).await
}

/// Numbers and booleans become texts.
fn texts(values: BTreeMap<String, serde_json::Value>) -> BTreeMap<String, Option<String>> {
    let text = |value: serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        value => Some(value.to_string()),
    };
    values.into_iter().map(|(key, value)| (key, text(value))).collect()
}

/// Replaces the limits that operators have set for a plugin, by a swap.
#[utoipa::path(put, path = "/plugins/{name}/limits", operation_id = "set_limits", tag = "plugins", params(("name" = String, Path)),
    request_body = LimitOverrides, responses(
        (status = 200, body = Option<SwapReport>, description = "The swap; null if nothing is active"),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 409, body = Envelope, description = "These limits are in force already"),
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

async fn set(
    operator: &Operator,
    caller: &Caller,
    action: &str,
    name: &str,
    change: Change,
) -> Changed<Option<SwapReport>> {
    let report = operator.rollout.set(name, change).await;
    let revision = report.as_ref().ok().and_then(|report| report.as_ref()?.new.as_deref());
    record_change(operator, caller, action, name, revision, &report).await?;
    report.map(Json).map_err(|error| Redaction::of(operator, caller).problem(problem(error)))
}

pub(super) async fn answer_swap(
    operator: &Operator,
    caller: &Caller,
    action: &str,
    name: &str,
    report: Result<SwapReport, RolloutError>,
) -> Changed<SwapReport> {
    let revision = report.as_ref().ok().and_then(|report| report.new.as_deref());
    record_change(operator, caller, action, name, revision, &report).await?;
    report.map(Json).map_err(|error| Redaction::of(operator, caller).problem(problem(error)))
}

async fn answer_plugin(
    operator: &Operator,
    caller: &Caller,
    action: &str,
    name: &str,
    changed: Result<(), RolloutError>,
) -> Changed<PluginView> {
    record_change(operator, caller, action, name, None, &changed).await?;
    changed.map_err(|error| Redaction::of(operator, caller).problem(problem(error)))?;
    let view = view_of(&operator.rollout.registry.snapshot(), name).ok_or(Refusal::NotFound)?;
    Ok(Json(view))
}

/// Records a change, with the digest of the revision that is active afterwards.
pub(super) async fn record_change<T>(
    operator: &Operator,
    caller: &Caller,
    action: &str,
    name: &str,
    revision: Option<&str>,
    result: &Result<T, RolloutError>,
) -> Result<(), Problem> {
    let outcome = match result {
        Ok(_) => Outcome::Done,
        Err(RolloutError::Archive(_) | RolloutError::Bus(_) | RolloutError::Database(_)) => Outcome::Failed,
        Err(error) if error.full().is_some() => Outcome::Failed,
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
