//! The end of a plugin's data. Only administrators may delete it.

use super::{
    changes::{Changed, answer_swap, record_change},
    problem,
};
use crate::{Operator, caller::Caller};
use axum::extract::{Path, State};
use host_api::{error::Envelope, swap::SwapReport, tokens::Role};
use host_bus::{BusError, DeadLetterPage};
use host_http::error::{Problem, Refusal};
use host_plugin::rollout::RolloutError;
use http::StatusCode;
use std::{collections::BTreeSet, sync::Arc};

/// The dead letters that are read at once.
const DEAD_LETTERS: u32 = 100;

/// Deletes everything of an uploaded plugin that is out of service: its database,
/// its revisions, its settings, its policy and its dead letters.
#[utoipa::path(post, path = "/plugins/{name}/purge", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 204, description = "Nothing of the plugin is left"),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 409, body = Envelope, description = "The plugin is in service, or was not uploaded"),
))]
pub(crate) async fn purge(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    operator.allow_unbound(&caller, "purge", &name).await?;
    if !host_artifact::manifest::is_name(&name) {
        return Err(Refusal::NotFound.into());
    }
    let purged = match operator.rollout.purge(&name).await {
        Ok(()) => discard_dead_letters(&operator, &name).await.map_err(RolloutError::Bus),
        Err(error) => Err(error),
    };
    record_change(&operator, &caller, "purge", &name, None, &purged).await?;
    purged.map(|()| StatusCode::NO_CONTENT).map_err(problem)
}

/// Deletes all that a plugin has stored, and lets the same revision serve with an
/// empty database. The plugin is out of service meanwhile.
#[utoipa::path(post, path = "/plugins/{name}/reset", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = SwapReport),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 422, body = Envelope, description = "It does not start with an empty database"),
))]
pub(crate) async fn reset(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Changed<SwapReport> {
    operator.allow(&caller, Role::Admin, "reset", Some(&name)).await?;
    let swapped = operator.rollout.reset(&name).await;
    answer_swap(&operator, &caller, "reset", &name, swapped).await
}

async fn discard_dead_letters(operator: &Operator, plugin: &str) -> Result<(), BusError> {
    let components = Some(BTreeSet::from([plugin.to_owned()]));
    let page = DeadLetterPage { components, ..DeadLetterPage::newest(DEAD_LETTERS) };
    loop {
        let letters = operator.bus.dead_letters(&page).await?;
        let mut deleted = false;
        for letter in letters {
            deleted |= operator.bus.delete_dead_letter(&letter.id).await?;
        }
        if !deleted {
            return Ok(());
        }
    }
}
