//! The caller of the operator API and its rights. A [`Caller`] lives as long as
//! one request.

use super::{Operator, credential::bearer};
use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use host_api::tokens::{CallerView, Role};
use host_http::error::{Problem, Refusal};
use http::{StatusCode, request::Parts};
use std::{collections::BTreeSet, sync::Arc};
use tokio_util::sync::CancellationToken;

/// The authenticated caller of a request. On every route behind `authenticate`
/// a handler can take it as an argument.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The token's name: the actor in the audit.
    pub name: String,
    /// What the token allows.
    pub role: Role,
    /// The plugins that the token is bound to. None: all plugins and the host as
    /// a whole.
    pub plugins: Option<BTreeSet<String>>,
    /// Cancelled when the token is revoked. A handler that still works after its
    /// answer has begun must end then.
    pub revoked: CancellationToken,
}

impl Caller {
    /// A caller that is bound to no plugin.
    pub(super) fn unbound(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, plugins: None, revoked: CancellationToken::new() }
    }

    /// Whether the caller may see a plugin. Lists show only these plugins.
    pub fn covers(&self, plugin: &str) -> bool {
        self.plugins.as_ref().is_none_or(|plugins| plugins.contains(plugin))
    }

    /// Lets the caller act in a role on a plugin. Without a plugin it is about
    /// the host as a whole, on which no token that is bound to plugins may act.
    /// For a change use [`Operator::allow`], which records a refusal.
    ///
    /// # Errors
    /// 403 with the role or token that the caller lacks.
    pub fn require(&self, role: Role, plugin: Option<&str>) -> Result<(), Problem> {
        let (name, bound) = (&self.name, &self.plugins);
        let needed = match (plugin, bound) {
            _ if self.role < role => format!("the role {role}; the token {name} has the role {}", self.role),
            (Some(plugin), Some(bound)) if !bound.contains(plugin) => {
                format!("a token for the plugin {plugin}; the token {name} is bound to {}", join(bound))
            }
            (None, Some(bound)) => format!("a token for all plugins; the token {name} is bound to {}", join(bound)),
            _ => return Ok(()),
        };
        Err(Problem::new(StatusCode::FORBIDDEN, format!("This needs {needed}")))
    }
}

fn join(plugins: &BTreeSet<String>) -> String {
    plugins.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| Refusal::Unauthorized.into())
    }
}

/// The caller itself, with the rights of its token.
#[utoipa::path(get, path = "/caller", operation_id = "show_caller", tag = "operators", responses(
    (status = 200, body = CallerView),
))]
pub(super) async fn show(caller: Caller) -> Json<CallerView> {
    Json(CallerView { name: caller.name, role: caller.role.into(), plugins: caller.plugins })
}

/// Refuses a request without a valid token. The answer is the same for every
/// fault of a token.
pub(super) async fn authenticate(State(operator): State<Arc<Operator>>, mut request: Request, next: Next) -> Response {
    let Some(caller) = bearer(request.headers()).and_then(|token| operator.tokens.caller(token)) else {
        metrics::counter!("operator_unauthorized_total").increment(1);
        return Refusal::Unauthorized.into_response();
    };
    request.extensions_mut().insert(caller);
    if request.method().is_safe() {
        return next.run(request).await;
    }
    // A change that has begun runs to its end and into the audit, even if the
    // client disconnects.
    operator.tasks.spawn(next.run(request)).await.unwrap_or_else(|_| Refusal::Failed.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(caller: &Caller, role: Role, plugin: Option<&str>) -> String {
        caller.require(role, plugin).unwrap_err().message()
    }

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        let deploy = Caller::unbound("ci", Role::Deploy);
        assert!(deploy.require(Role::View, None).is_ok());
        assert!(deploy.require(Role::Deploy, Some("a")).is_ok());
        assert_eq!(needed(&deploy, Role::Admin, None), "This needs the role admin; the token ci has the role deploy");
    }

    #[test]
    fn a_bound_caller_may_act_only_on_its_plugins_in_every_role() {
        let bound = Caller {
            plugins: Some(BTreeSet::from(["a".to_owned(), "b".to_owned()])),
            ..Caller::unbound("ci", Role::Admin)
        };
        assert!(bound.require(Role::Deploy, Some("a")).is_ok());
        assert!(bound.covers("b") && !bound.covers("c"));
        assert_eq!(
            needed(&bound, Role::View, Some("c")),
            "This needs a token for the plugin c; the token ci is bound to a, b"
        );
        assert_eq!(
            needed(&bound, Role::Admin, None),
            "This needs a token for all plugins; the token ci is bound to a, b"
        );
    }
}
