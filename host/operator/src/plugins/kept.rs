//! One revision that the host keeps: its verdict, and its end.

use super::{changes::record_change, problem};
use crate::{Operator, caller::Caller, redact::Redaction};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{error::Envelope, tokens::Role, verdict::Verdict};
use host_http::error::Problem;
use http::StatusCode;
use std::sync::Arc;

/// Compares a revision with the one that is active now. This is the verdict of
/// its upload, made again.
#[utoipa::path(get, path = "/plugins/{name}/revisions/{id}/verdict", operation_id = "show_verdict", tag = "plugins",
    params(("name" = String, Path), ("id" = String, Path)), responses(
        (status = 200, body = Verdict),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 422, body = Envelope, description = "This host cannot load the file"),
    ))]
pub(crate) async fn verdict(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<Verdict>, Problem> {
    caller.require(Role::View, Some(&name))?;
    let redaction = Redaction::of(&operator, &caller);
    let verdict = operator.rollout.verdict_of(&name, &id).await.map_err(|error| redaction.problem(problem(error)))?;
    Ok(Json(redaction.verdict(verdict)))
}

/// Deletes an uploaded revision that does not serve, is not on trial, and is not
/// the one that a rollback returns to.
#[utoipa::path(delete, path = "/plugins/{name}/revisions/{id}", operation_id = "discard_revision", tag = "plugins",
    params(("name" = String, Path), ("id" = String, Path)), responses(
        (status = 204, description = "The revision is deleted"),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
        (status = 409, body = Envelope, description = "The revision is in use, or was not uploaded"),
    ))]
pub(crate) async fn discard(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    const ACTION: &str = "discard revision";
    operator.allow(&caller, Role::Deploy, ACTION, Some(&name)).await?;
    let discarded = operator.rollout.discard(&name, &id).await;
    record_change(&operator, &caller, ACTION, &name, Some(&id), &discarded).await?;
    discarded.map(|()| StatusCode::NO_CONTENT).map_err(problem)
}
