//! `/audit`: the record of changes.

use super::{
    Operator,
    caller::Caller,
    input::{Query, limit_rows},
    page::{Cursor, Page},
    redact::Redaction,
};
use axum::extract::State;
use host_api::{audit::AuditRow, error::Envelope, tokens::Role};
use host_database::audit::{AuditFilter, AuditScope};
use host_http::error::{Problem, Refusal};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// The number of rows, 1 to 1000. Left out: 100.
    limit: Option<u32>,
    /// Only rows with a smaller id. For the next page, give the last id of this
    /// one.
    before: Option<u64>,
    /// Only the changes of this token.
    actor: Option<String>,
    /// Only the changes of this plugin.
    plugin: Option<String>,
    /// Only changes of this kind, such as `activate`.
    action: Option<String>,
}

/// The record of changes, the newest first. An admin sees all rows, other
/// callers the rows of their plugins.
#[utoipa::path(get, path = "/audit", operation_id = "list_audit", tag = "operators", params(AuditQuery), responses(
    (status = 200, body = [AuditRow]),
    (status = 400, body = Envelope),
))]
pub(super) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Page<AuditRow>, Problem> {
    // One more tells whether there is another page.
    let limit_rows = limit_rows(query.limit)? + 1;
    let redaction = Redaction::of(&operator, &caller);
    let filter = AuditFilter { actor: query.actor, plugin: query.plugin, action: query.action };
    let rows = operator.audit.list(&scope_of(caller), &filter, query.before, limit_rows).await.map_err(unreadable)?;
    let rows = rows.into_iter().map(|row| (row.id.to_string(), redacted(row, &redaction)));
    let AuditFilter { actor, plugin, action } = &filter;
    let filters = [("actor", actor), ("plugin", plugin), ("action", action)];
    let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    Page::with_cursor("/audit", Cursor { name: "before", filters: &filters.collect::<Vec<_>>() }, query.limit, rows)
}

/// The answer when the database does not answer.
pub(super) fn unreadable(error: sqlx::Error) -> Problem {
    tracing::error!(%error, "the host cannot read the audit");
    Refusal::Unavailable.into()
}

/// The row without the names that the caller must not see.
pub(super) fn redacted(row: AuditRow, redaction: &Redaction) -> AuditRow {
    AuditRow { detail: row.detail.map(|detail| redaction.text(&detail)), ..row }
}

/// The rows that the caller may see.
pub(super) fn scope_of(caller: Caller) -> AuditScope {
    match caller.plugins {
        Some(plugins) => AuditScope::Named(plugins),
        None if caller.role == Role::Admin => AuditScope::All,
        None => AuditScope::Plugins,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn admins_see_all_rows_and_others_the_rows_of_their_plugins() {
        let bound = Caller { plugins: Some(BTreeSet::from(["a".to_owned()])), ..Caller::unbound("ci", Role::Admin) };
        assert!(matches!(scope_of(bound), AuditScope::Named(plugins) if plugins.contains("a")));
        assert!(matches!(scope_of(Caller::unbound("operator", Role::Admin)), AuditScope::All));
        assert!(matches!(scope_of(Caller::unbound("ci", Role::Deploy)), AuditScope::Plugins));
    }
}
