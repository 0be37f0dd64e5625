//! The policy of a plugin name. It can exist before the plugin does.

use super::{problem, unknown};
use crate::{Operator, caller::Caller, input::Body};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    error::Envelope,
    policy::{NewPolicy, PolicyView},
    tokens::Role,
};
use host_base::text::truncate;
use host_database::audit::{Entry, Outcome};
use host_http::error::{Problem, Refusal};
use host_plugin::{policies::PolicyError, rollout::RolloutError};
use std::sync::Arc;

/// The part of a new policy that the audit keeps.
const AUDITED_BYTES: usize = 4 << 10;

/// The policy of a plugin. The plugin need not be uploaded yet.
#[utoipa::path(get, path = "/plugins/{name}/policy", operation_id = "show_policy", tag = "plugins", params(("name" = String, Path)), responses(
    (status = 200, body = PolicyView),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope, description = "There is no such plugin, and no policy for one"),
))]
pub(crate) async fn show(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<PolicyView>, Problem> {
    caller.require(Role::View, Some(&name))?;
    let policies = &operator.rollout.preparer.policies;
    if !policies.is_set(&name) && !operator.rollout.knows(&name).await.map_err(problem)? {
        return Err(unknown(&name));
    }
    Ok(Json(policies.view(&name)))
}

/// Replaces the policy of a plugin. The new rights are in force at once, on all
/// hosts, for the active revision and for each later one. Only an administrator
/// whose token is bound to no plugin may do this.
#[utoipa::path(put, path = "/plugins/{name}/policy", operation_id = "set_policy", tag = "plugins", params(("name" = String, Path)),
    request_body = NewPolicy, responses(
        (status = 200, body = PolicyView),
        (status = 403, body = Envelope),
        (status = 404, body = Envelope, description = "No plugin can have this name"),
        (status = 409, body = Envelope, description = "Someone else has changed the policy"),
        (status = 422, body = Envelope, description = "An entry means nothing"),
    ))]
pub(crate) async fn set(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(name): Path<String>,
    body: Result<Body<NewPolicy>, Problem>,
) -> Result<Json<PolicyView>, Problem> {
    let entry = |outcome| Entry { plugin: Some(&name), ..Entry::new("policy", outcome) };
    operator.allow_unbound(&caller, "policy", &name).await?;
    if !host_artifact::manifest::is_name(&name) {
        return Err(Refusal::NotFound.into());
    }
    let Body(new) = body?;
    let changed = operator.rollout.set_policy(&name, &new).await;
    let (outcome, detail) = match &changed {
        Ok(view) => {
            let text = serde_json::to_string(&view.policy).unwrap_or_default();
            (Outcome::Done, format!("version {}: {}", view.version, truncate(&text, AUDITED_BYTES)))
        }
        Err(error @ (RolloutError::Value { .. } | RolloutError::Policy(PolicyError::Conflict(_)))) => {
            (Outcome::Refused, error.to_string())
        }
        Err(error) => (Outcome::Failed, error.to_string()),
    };
    operator.record(&caller, &Entry { detail: Some(&detail), ..entry(outcome) }).await?;
    changed.map(Json).map_err(problem)
}
