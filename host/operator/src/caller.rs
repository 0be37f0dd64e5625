//! Who calls the operator API, and what they may do. A [`Caller`] lives as
//! long as one request.

use super::{Operator, credential::bearer};
use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use host_http::error::{Problem, Refusal};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, sync::Arc};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// What a token is good for; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees.
    View,
    /// Changes plugins.
    Deploy,
    /// Changes who may do what.
    Admin,
}

/// Whoever made a request, authenticated. As an argument of a handler it is
/// there on every route behind `authenticate`.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The token's name: who did it, in the audit.
    pub name: String,
    /// What it is good for.
    pub role: Role,
    /// The plugins that it is bound to; none: all, and the host as a whole.
    pub plugins: Option<BTreeSet<String>>,
    /// Cancelled when the token is revoked. What goes on after the answer has
    /// begun must end then.
    pub revoked: CancellationToken,
}

impl Caller {
    /// A caller that is bound to no plugin.
    pub(super) fn whole(name: &str, role: Role) -> Self {
        Self { name: name.to_owned(), role, plugins: None, revoked: CancellationToken::new() }
    }

    /// Whether a plugin is among those that the caller may see. Lists show
    /// these alone.
    pub fn covers(&self, plugin: &str) -> bool {
        self.plugins.as_ref().is_none_or(|plugins| plugins.contains(plugin))
    }

    /// Whether the caller may act in a role on a plugin, or, if none is named,
    /// on the host as a whole, which no token that is bound to plugins may.
    /// For a change use [`Operator::allow`], which puts a refusal on record.
    ///
    /// # Errors
    /// 403, naming what is needed.
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

impl Role {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Deploy => "deploy",
            Self::Admin => "admin",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        [Self::View, Self::Deploy, Self::Admin].into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| Refusal::Unauthorized.into())
    }
}

/// Lets nobody in without a valid token. Whatever is wrong with one, the
/// answer is the same.
pub(super) async fn authenticate(State(operator): State<Arc<Operator>>, mut request: Request, next: Next) -> Response {
    let Some(caller) = bearer(request.headers()).and_then(|token| operator.tokens.caller(token)) else {
        metrics::counter!("operator_unauthorized_total").increment(1);
        return Refusal::Unauthorized.into_response();
    };
    request.extensions_mut().insert(caller);
    if request.method().is_safe() {
        return next.run(request).await;
    }
    // A change that has begun goes on to its end and into the audit, also when
    // whoever asked for it has hung up.
    operator.work.spawn(next.run(request)).await.unwrap_or_else(|_| Refusal::Failed.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(caller: &Caller, role: Role, plugin: Option<&str>) -> String {
        caller.require(role, plugin).unwrap_err().message()
    }

    #[test]
    fn each_role_may_do_what_those_before_it_may() {
        let deploy = Caller::whole("ci", Role::Deploy);
        assert!(deploy.require(Role::View, None).is_ok());
        assert!(deploy.require(Role::Deploy, Some("a")).is_ok());
        assert_eq!(needed(&deploy, Role::Admin, None), "This needs the role admin; the token ci has the role deploy");
    }

    #[test]
    fn a_bound_caller_may_act_on_its_plugins_alone_whatever_its_role() {
        let bound = Caller {
            plugins: Some(BTreeSet::from(["a".to_owned(), "b".to_owned()])),
            ..Caller::whole("ci", Role::Admin)
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

    #[test]
    fn roles_are_read_as_they_are_written() {
        for role in [Role::View, Role::Deploy, Role::Admin] {
            assert_eq!(Role::from_text(role.as_str()), Some(role));
        }
        assert_eq!(Role::from_text("Admin"), None);
    }
}
