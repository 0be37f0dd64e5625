//! The tables of a plugin with their sizes. Their contents are not shown.

use super::unknown;
use crate::{Operator, caller::Caller};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{error::Envelope, plugins::TableView, tokens::Role};
use host_http::error::{Problem, Refusal};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// The most tables of an answer.
const MAX_TABLES: u32 = 200;
const DATABASE_ANSWERS: Duration = Duration::from_secs(5);

/// The tables of a plugin with their rows and sizes, the 200 largest ones, the
/// largest first. A plugin without a database has none.
#[utoipa::path(get, path = "/plugins/{name}/tables", operation_id = "list_tables", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = [TableView]),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
    (status = 503, body = Envelope, description = "The database does not answer in time"),
))]
pub(crate) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Vec<TableView>>, Problem> {
    caller.require(Role::View, Some(&name))?;
    let snapshot = operator.rollout.registry.snapshot();
    let plugin = snapshot.plugin(&name).ok_or_else(|| unknown(&name))?;
    let Some(database) = &plugin.revision.database else { return Ok(Json(Vec::new())) };
    let measured = timeout(DATABASE_ANSWERS, database.measure_tables(MAX_TABLES)).await;
    let tables = measured.map_err(|_| Refusal::Unavailable)?.map_err(|error| {
        tracing::warn!(component = name, ?error, "the host cannot measure the tables of the component");
        Refusal::Unavailable
    })?;
    let views = tables.into_iter().map(|table| TableView {
        name: table.name,
        rows: table.rows,
        is_estimate: table.is_estimate,
        bytes: table.bytes,
    });
    Ok(Json(views.collect()))
}
