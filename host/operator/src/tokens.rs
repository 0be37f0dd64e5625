//! `/tokens`: the tokens of this API, for admins.

mod store;

pub use store::Tokens;

use super::{
    Operator,
    caller::Caller,
    input::{Body, Query},
    page::{Page, PageQuery},
};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    error::Envelope,
    tokens::{CreatedToken, NewToken, Role, TokenView},
};
use host_artifact::manifest;
use host_base::clock::now_ms;
use host_database::audit::{Entry, Outcome, actor};
use host_http::error::{Problem, Refusal};
use http::StatusCode;
use std::sync::{Arc, atomic::Ordering};
use store::{Issued, TokenError};
use tokio_util::sync::CancellationToken;

const MAX_NAME_BYTES: usize = 64;
const MAX_BOUND_PLUGINS: usize = 100;
/// Ten years.
const MAX_EXPIRY_SECONDS: u64 = 315_360_000;

impl From<&Issued> for TokenView {
    fn from(issued: &Issued) -> Self {
        let last_used_ms = issued.last_used_ms.load(Ordering::Relaxed);
        Self {
            id: issued.id.clone(),
            name: issued.caller.name.clone(),
            role: issued.caller.role.into(),
            plugins: issued.caller.plugins.clone(),
            created_ms: issued.created_ms,
            created_by: issued.created_by.clone(),
            expires_ms: issued.expires_ms,
            last_used_ms: (last_used_ms > 0).then_some(last_used_ms),
        }
    }
}

/// All tokens except the one that the host was started with, the oldest first.
#[utoipa::path(get, path = "/tokens", operation_id = "list_tokens", tag = "operators", params(PageQuery), responses(
    (status = 200, body = [TokenView]),
    (status = 400, body = Envelope),
    (status = 403, body = Envelope),
))]
pub(super) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Page<TokenView>, Problem> {
    caller.require(Role::Admin, None)?;
    let tokens = operator.tokens.list();
    let first = match &query.after {
        Some(after) => tokens.iter().position(|token| token.id == *after).map_or(tokens.len(), |place| place + 1),
        None => 0,
    };
    let views = tokens.iter().skip(first).map(|issued| (issued.id.clone(), TokenView::from(&**issued)));
    Page::of("/tokens", &query, views)
}

/// Creates a token.
#[utoipa::path(post, path = "/tokens", operation_id = "create_token", tag = "operators", request_body = NewToken, responses(
    (status = 201, body = CreatedToken),
    (status = 400, body = Envelope),
    (status = 403, body = Envelope),
    (status = 409, body = Envelope, description = "The name is taken, or there are too many tokens"),
))]
pub(super) async fn create(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    body: Result<Body<NewToken>, Problem>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    operator.allow(&caller, Role::Admin, "create token", None).await?;
    let Body(new) = body?;
    let expires_ms = expiry(&new)?;
    let new = caller_of(new)?;
    let created = operator.tokens.create(&caller, new, expires_ms, &operator.audit).await;
    let (issued, token) = match created {
        Ok(created) => created,
        Err(error) => return Err(refused(&operator, &caller, "create token", error).await),
    };
    Ok((StatusCode::CREATED, Json(CreatedToken { view: TokenView::from(&*issued), token })))
}

/// Revokes a token at once and for ever.
#[utoipa::path(delete, path = "/tokens/{id}", operation_id = "revoke_token", tag = "operators", params(("id" = String, Path)), responses(
    (status = 204, description = "The token is revoked"),
    (status = 403, body = Envelope),
    (status = 404, body = Envelope),
))]
pub(super) async fn revoke(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    operator.allow(&caller, Role::Admin, "revoke token", None).await?;
    match operator.tokens.revoke(&caller, &id, &operator.audit).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => Err(refused(&operator, &caller, "revoke token", error).await),
    }
}

/// Records a change that was not made, and answers why.
async fn refused(operator: &Operator, caller: &Caller, action: &str, error: TokenError) -> Problem {
    let message = error.to_string();
    let (outcome, problem) = match error {
        TokenError::Taken(_) => {
            (Outcome::Refused, Problem::new(StatusCode::CONFLICT, message.clone()).for_field("name"))
        }
        TokenError::Full => (Outcome::Refused, Problem::new(StatusCode::CONFLICT, message.clone())),
        TokenError::Unknown(_) => (Outcome::Refused, Problem::new(StatusCode::NOT_FOUND, message.clone())),
        TokenError::Database(error) => {
            tracing::error!(%error, action, "the host could not change the tokens");
            (Outcome::Failed, Refusal::Unavailable.into())
        }
    };
    let entry = Entry { detail: Some(&message), ..Entry::new(action, outcome) };
    match operator.record(caller, &entry).await {
        Ok(()) => problem,
        Err(refusal) => refusal.into(),
    }
}

/// The end of a new token's validity.
fn expiry(new: &NewToken) -> Result<Option<u64>, Problem> {
    match new.expires_after_seconds {
        None => Ok(None),
        Some(seconds) if (1..=MAX_EXPIRY_SECONDS).contains(&seconds) => {
            Ok(Some(now_ms().saturating_add(seconds.saturating_mul(1_000))))
        }
        Some(_) => {
            let message = format!("must be 1 to {MAX_EXPIRY_SECONDS}");
            Err(Problem::new(StatusCode::BAD_REQUEST, message).for_field("expires_after_seconds"))
        }
    }
}

/// The caller that a new token stands for.
fn caller_of(new: NewToken) -> Result<Caller, Problem> {
    let wrong = |field: &str, message: String| Err(Problem::new(StatusCode::BAD_REQUEST, message).for_field(field));
    let NewToken { name, role, plugins, .. } = new;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !name.bytes().all(is_plain) {
        return wrong("name", format!("must match [a-zA-Z0-9._-]{{1,{MAX_NAME_BYTES}}}"));
    }
    if [actor::OPERATOR, actor::HOST].contains(&name.as_str()) {
        return wrong("name", format!("{name} is the name of another actor"));
    }
    if let Some(plugins) = &plugins {
        if !(1..=MAX_BOUND_PLUGINS).contains(&plugins.len()) {
            return wrong(
                "plugins",
                format!("must name 1 to {MAX_BOUND_PLUGINS} plugins; leave it out for all plugins"),
            );
        }
        if let Some(plugin) = plugins.iter().find(|plugin| !manifest::is_name(plugin)) {
            return wrong("plugins", format!("{plugin:?} cannot be the name of a plugin"));
        }
    }
    Ok(Caller { name, role, plugins, revoked: CancellationToken::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blamed(name: &str, plugins: Option<&[&str]>) -> Option<String> {
        let plugins = plugins.map(|plugins| plugins.iter().map(|&plugin| plugin.to_owned()).collect());
        let problem =
            caller_of(NewToken { name: name.to_owned(), role: Role::View, plugins, expires_after_seconds: None })
                .err()?;
        problem.fields()[0].map(str::to_owned)
    }

    #[test]
    fn a_token_expires_after_one_second_to_ten_years_or_never() {
        let new = |expires_after_seconds| NewToken {
            name: "ci".to_owned(),
            role: Role::View,
            plugins: None,
            expires_after_seconds,
        };
        assert_eq!(expiry(&new(None)).unwrap(), None);
        assert!(expiry(&new(Some(1))).unwrap().unwrap() > now_ms());
        for seconds in [0, MAX_EXPIRY_SECONDS + 1, u64::MAX] {
            assert_eq!(expiry(&new(Some(seconds))).unwrap_err().fields()[0], Some("expires_after_seconds"));
        }
    }

    #[test]
    fn a_new_token_has_a_plain_name_and_is_bound_to_plugins_or_to_none() {
        assert_eq!(blamed("ci.main_2-x", None), None);
        assert_eq!(blamed("ci", Some(&["hello"])), None);
        for name in ["", "a b", "ä", "a\n", "operator", "host", &"x".repeat(65)] {
            assert_eq!(blamed(name, None).as_deref(), Some("name"), "{name:?}");
        }
        let many: Vec<String> = (0..101).map(|number| format!("p{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for plugins in [&[][..], &["Hello"], &many] {
            assert_eq!(blamed("ci", Some(plugins)).as_deref(), Some("plugins"), "{plugins:?}");
        }
    }
}
