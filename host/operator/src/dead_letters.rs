//! `/dead-letters`: events and timers that no attempt could handle.

use super::{
    Operator,
    caller::Caller,
    input::{Query, limit_rows},
};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    dead_letters::{DeadLetter, Redelivered},
    error::Envelope,
    tokens::Role,
};
use host_bus::BusError;
use host_database::audit::{Entry, Outcome};
use host_http::error::{Problem, Refusal};
use host_triggers::RedeliverError;
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

const REDELIVER: &str = "redeliver";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetterQuery {
    /// The number of rows, 1 to 1000. Left out: 100.
    limit: Option<u32>,
}

/// The dead letters, the newest first.
#[utoipa::path(get, path = "/dead-letters", operation_id = "list_dead_letters", tag = "dead letters", params(DeadLetterQuery), responses(
    (status = 200, body = [DeadLetter]),
    (status = 400, body = Envelope),
))]
pub(super) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<DeadLetterQuery>,
) -> Result<Json<Vec<DeadLetter>>, Problem> {
    let mut letters = operator.bus.dead_letters(limit_rows(query.limit)?).await.map_err(unreadable)?;
    letters.retain(|letter| caller.covers(&letter.component));
    Ok(Json(letters))
}

/// Delivers a dead letter to its component again, as on its first attempt.
#[utoipa::path(post, path = "/dead-letters/{id}/redeliver", tag = "dead letters", params(("id" = String, Path)),
    responses(
        (status = 202, body = Redelivered),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
))]
pub(super) async fn redeliver(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Redelivered>), Problem> {
    let component = operator.bus.dead_letter(&id).await.map_err(unreadable)?.map(|letter| letter.component);
    let Some(component) = component else {
        operator.allow(&caller, Role::Deploy, REDELIVER, None).await?;
        return Err(unknown(&id));
    };
    operator.allow(&caller, Role::Deploy, REDELIVER, Some(&component)).await?;
    let (outcome, problem) = match operator.redelivery.redeliver(&id).await {
        Ok(()) => (Outcome::Done, None),
        Err(RedeliverError::Unknown) => (Outcome::Refused, Some(unknown(&id))),
        Err(error) => {
            tracing::error!(component, id, %error, "the host could not deliver the dead letter again");
            (Outcome::Failed, Some(Refusal::Unavailable.into()))
        }
    };
    let entry = Entry { plugin: Some(&component), detail: Some(&id), ..Entry::new(REDELIVER, outcome) };
    operator.record(&caller, &entry).await?;
    problem.map_or(Ok((StatusCode::ACCEPTED, Json(Redelivered { id }))), Err)
}

fn unknown(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no dead letter {id}"))
}

fn unreadable(error: BusError) -> Problem {
    tracing::error!(%error, "the host cannot read the dead letters");
    Refusal::Unavailable.into()
}
