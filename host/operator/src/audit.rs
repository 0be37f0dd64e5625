//! `/audit`: who did what.

use super::{
    Operator,
    caller::{Caller, Role},
    input::{Query, limit_rows},
};
use axum::{Json, extract::State};
use host_database::audit::{AuditRow, Seen};
use host_http::error::{Envelope, Problem, Refusal};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Rows, 1 to 1000; 100 if it is left out.
    limit: Option<u32>,
    /// Only rows with a smaller id: the last one of the page before.
    before: Option<u64>,
}

/// Who did what, newest first. An admin sees everything, others what concerns
/// their plugins.
#[utoipa::path(get, path = "/audit", operation_id = "list_audit", tag = "operators", params(Page), responses(
    (status = 200, body = [AuditRow]),
    (status = 400, body = Envelope),
))]
pub(super) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Json<Vec<AuditRow>>, Problem> {
    let limit_rows = limit_rows(page.limit)?;
    operator.audit.list(&seen_by(caller), page.before, limit_rows).await.map(Json).map_err(|error| {
        tracing::error!(%error, "the audit cannot be read");
        Refusal::Unavailable.into()
    })
}

fn seen_by(caller: Caller) -> Seen {
    match caller.plugins {
        Some(plugins) => Seen::Bound(plugins),
        None if caller.role == Role::Admin => Seen::All,
        None => Seen::Plugins,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn admins_see_everything_and_others_what_concerns_their_plugins() {
        let bound = Caller { plugins: Some(BTreeSet::from(["a".to_owned()])), ..Caller::whole("ci", Role::Admin) };
        assert!(matches!(seen_by(bound), Seen::Bound(plugins) if plugins.contains("a")));
        assert!(matches!(seen_by(Caller::whole("operator", Role::Admin)), Seen::All));
        assert!(matches!(seen_by(Caller::whole("ci", Role::Deploy)), Seen::Plugins));
    }
}
