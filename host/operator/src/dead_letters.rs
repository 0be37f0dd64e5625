//! `/dead-letters`: events and timers that no attempt could handle.

use super::{
    Operator,
    caller::Caller,
    input::{Query, limit_rows},
    page::{Cursor, Page},
};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    dead_letters::{DeadLetter, DeadLetterDetail, DeadLetterSummary, Redelivered},
    error::Envelope,
    tokens::Role,
};
use host_base::printable::is_plain;
use host_bus::{BusError, DeadLetterPage};
use host_database::audit::{Entry, Outcome};
use host_http::error::{Problem, Refusal};
use host_triggers::RedeliverError;
use http::StatusCode;
use serde::Deserialize;
use std::{collections::BTreeSet, sync::Arc};
use utoipa::IntoParams;

const REDELIVER: &str = "redeliver";
const DISCARD: &str = "discard";
/// The longest reason. The audit keeps it as a whole.
const MAX_REASON_CHARACTERS: usize = 200;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// The number of rows, 1 to 1000. Left out: 100.
    limit: Option<u32>,
    /// Only rows after this one. The header `link` has it for the next page.
    after: Option<String>,
    /// Only the dead letters of this plugin.
    plugin: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscardQuery {
    /// Why nobody needs it, for the audit: up to 200 characters on one line.
    reason: Option<String>,
}

/// The dead letters, the newest first. The list has no payloads.
#[utoipa::path(get, path = "/dead-letters", operation_id = "list_dead_letters", tag = "dead letters", params(ListQuery), responses(
    (status = 200, body = [DeadLetterSummary]),
    (status = 400, body = Envelope),
    (status = 403, body = Envelope),
))]
pub(super) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Page<DeadLetterSummary>, Problem> {
    let components = match &query.plugin {
        Some(plugin) => {
            caller.require(Role::View, Some(plugin))?;
            Some(BTreeSet::from([plugin.clone()]))
        }
        None => caller.plugins.clone(),
    };
    // One more tells whether there is another page.
    let limit_rows = limit_rows(query.limit)? + 1;
    let after = query.after.as_deref().map(position).transpose()?;
    let wanted = DeadLetterPage { components, after, limit_rows };
    let letters = operator.bus.dead_letters(&wanted).await.map_err(unreadable)?;
    let letters = letters.into_iter().map(|letter| (format!("{}.{}", letter.set_aside_ms, letter.id), letter));
    let filters: Vec<_> = query.plugin.as_deref().map(|plugin| ("plugin", plugin)).into_iter().collect();
    Page::with_cursor("/dead-letters", Cursor { name: "after", filters: &filters }, query.limit, letters)
}

/// The position in the list that an earlier page ended at.
fn position(after: &str) -> Result<(u64, String), Problem> {
    let parts = after.split_once('.').and_then(|(time, id)| Some((time.parse().ok()?, id.to_owned())));
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, "after is not of an earlier page").for_field("after");
    parts.ok_or_else(wrong)
}

/// One dead letter. The role `view` gets no payload.
#[utoipa::path(get, path = "/dead-letters/{id}", operation_id = "show_dead_letter", tag = "dead letters",
    params(("id" = String, Path)), responses(
        (status = 200, body = DeadLetterDetail),
        (status = 404, body = Envelope),
))]
pub(super) async fn show(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterDetail>, Problem> {
    let mut letter = covered(&operator, &caller, &id).await?;
    let (payload, traceparent) = (std::mem::take(&mut letter.payload), letter.traceparent.take());
    let may_see = caller.require(Role::Deploy, Some(&letter.component)).is_ok();
    Ok(Json(DeadLetterDetail {
        summary: letter.summary(payload.len() as u64),
        payload: may_see.then(|| hex::encode(payload)),
        traceparent,
    }))
}

/// The dead letter of this id, if the caller may see it.
async fn covered(operator: &Operator, caller: &Caller, id: &str) -> Result<DeadLetter, Problem> {
    let letter = operator.bus.dead_letter(id).await.map_err(unreadable)?;
    letter.filter(|letter| caller.covers(&letter.component)).ok_or_else(|| unknown(id))
}

/// Deletes a dead letter. Nobody can deliver it again. The audit keeps the reason.
#[utoipa::path(delete, path = "/dead-letters/{id}", operation_id = "discard_dead_letter", tag = "dead letters",
    params(("id" = String, Path), DiscardQuery), responses(
        (status = 204, description = "The dead letter is deleted"),
        (status = 400, body = Envelope),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope),
))]
pub(super) async fn discard(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<DiscardQuery>,
) -> Result<StatusCode, Problem> {
    operator.allow_before_name_is_known(&caller, Role::Deploy, DISCARD).await?;
    let detail = match reason(query.reason.as_deref())? {
        Some(reason) => format!("{id}: {reason}"),
        None => id.clone(),
    };
    let component = covered(&operator, &caller, &id).await?.component;
    let (outcome, problem) = match operator.bus.delete_dead_letter(&id).await {
        Ok(true) => (Outcome::Done, None),
        Ok(false) => (Outcome::Refused, Some(unknown(&id))),
        Err(error) => (Outcome::Failed, Some(unreadable(error))),
    };
    let entry = Entry { plugin: Some(&component), detail: Some(&detail), ..Entry::new(DISCARD, outcome) };
    operator.record(&caller, &entry).await?;
    problem.map_or(Ok(StatusCode::NO_CONTENT), Err)
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
    operator.allow_before_name_is_known(&caller, Role::Deploy, REDELIVER).await?;
    let component = covered(&operator, &caller, &id).await?.component;
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

/// The reason without the spaces around it. None if it is empty.
fn reason(text: Option<&str>) -> Result<Option<&str>, Problem> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    match text.is_none_or(|text| is_plain(text) && text.chars().count() <= MAX_REASON_CHARACTERS) {
        true => Ok(text),
        false => {
            let rule = format!("the reason must be one line of at most {MAX_REASON_CHARACTERS} characters");
            Err(Problem::new(StatusCode::BAD_REQUEST, rule).for_field("reason"))
        }
    }
}

fn unknown(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no dead letter {id}"))
}

fn unreadable(error: BusError) -> Problem {
    tracing::error!(%error, "the host cannot read the dead letters");
    Refusal::Unavailable.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line_or_none() {
        for (text, kept) in [(None, None), (Some("  "), None), (Some(" a duplicate "), Some("a duplicate"))] {
            assert_eq!(reason(text).unwrap(), kept);
        }
        assert!(reason(Some(&"ü".repeat(MAX_REASON_CHARACTERS))).is_ok());
        for wrong in ["two\nlines", "\u{202e}", &"x".repeat(MAX_REASON_CHARACTERS + 1)] {
            assert_eq!(reason(Some(wrong)).unwrap_err().fields(), [Some("reason")], "{wrong}");
        }
    }
}
