//! The session of a person: a token of the operator API in a cookie.
//!
//! The host keeps nothing about a session. The API looks at the token with each
//! request, so a revoked or expired token ends the session at once, on all hosts.

use crate::{
    Console, HOME,
    api::Api,
    fields::{Fields, Search, query},
    layout,
};
use axum::{
    extract::{FromRequestParts, State},
    response::{IntoResponse, Redirect, Response},
};
use host_api::{
    Word,
    tokens::{CallerView, Role},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{COOKIE, ORIGIN, SET_COOKIE},
    request::Parts,
};
use maud::{Markup, html};
use percent_encoding::percent_decode_str;

/// The cookie over plain HTTP. The path keeps it away from the API.
const COOKIE_NAME: &str = "console";
/// The cookie over TLS. Browsers take it from this host alone, over TLS.
const SECURE_COOKIE_NAME: &str = "__Host-console";
const MAX_AGE_SECONDS: u32 = 12 * 3_600;

/// The person who asks for a page.
pub(crate) struct Session {
    pub(crate) api: Api,
    pub(crate) caller: CallerView,
}

impl Session {
    /// The role. A role of a newer host counts as the weakest one.
    pub(crate) fn role(&self) -> Role {
        match &self.caller.role {
            Word::Known(role) => *role,
            Word::Unknown(_) => Role::View,
        }
    }

    /// Whether the pages offer changes of a plugin.
    pub(crate) fn may_deploy(&self, plugin: &str) -> bool {
        self.may_upload() && self.caller.plugins.as_ref().is_none_or(|plugins| plugins.contains(plugin))
    }

    /// Whether the pages offer an upload.
    pub(crate) fn may_upload(&self) -> bool {
        self.role() >= Role::Deploy
    }

    /// Whether the pages offer policies and tokens.
    pub(crate) fn may_administer(&self) -> bool {
        self.role() >= Role::Admin && self.caller.plugins.is_none()
    }
}

impl FromRequestParts<Console> for Session {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Console) -> Result<Self, Response> {
        let wanted =
            if parts.method.is_safe() { parts.uri.path_and_query().map_or(HOME, |path| path.as_str()) } else { HOME };
        let Some(token) = token_of(&parts.headers) else { return Err(to_sign_in(wanted)) };
        match enter(console, &token).await {
            Ok(session) => Ok(session),
            Err(Some(StatusCode::UNAUTHORIZED) | None) => Err(to_sign_in(wanted)),
            Err(Some(status)) => Err((
                status,
                layout::stranger(
                    "Not available",
                    &html! {
                        h1 { "Not available" }
                        p { "The host cannot look at your token now. Load the page again in a moment." }
                    },
                ),
            )
                .into_response()),
        }
    }
}

async fn enter(console: &Console, token: &str) -> Result<Session, Option<StatusCode>> {
    let api = Api::new(console.api.clone(), token).ok_or(None)?;
    let caller = api.get("/caller").await.map_err(|refused| Some(refused.status))?;
    Ok(Session { api, caller })
}

fn to_sign_in(wanted: &str) -> Response {
    let to = query([("to", Some(wanted))]);
    let address = if wanted == HOME { "/console/sign-in".to_owned() } else { format!("/console/sign-in?{to}") };
    Redirect::to(&address).into_response()
}

/// The token in the cookie. A cookie over TLS beats one that came without.
fn token_of(headers: &HeaderMap) -> Option<String> {
    let cookies =
        || headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(';'));
    let named = |name: &str| {
        let pairs = cookies().filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next()
    };
    let value = named(SECURE_COOKIE_NAME).or_else(|| named(COOKIE_NAME))?;
    percent_decode_str(&value).decode_utf8().ok().map(Into::into)
}

/// Sets the cookie. The origin of the form tells whether the browser uses TLS.
fn cookie(headers: &HeaderMap, token: &str, max_age_seconds: u32) -> Option<HeaderValue> {
    let is_secure = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let value = crate::api::segment(token);
    let (name, scope) = match is_secure {
        true => (SECURE_COOKIE_NAME, "Path=/; Secure"),
        false => (COOKIE_NAME, "Path=/console"),
    };
    let text = format!("{name}={value}; {scope}; HttpOnly; SameSite=Strict; Max-Age={max_age_seconds}");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The page with the form for the token.
pub(crate) async fn form(Search(search): Search) -> Markup {
    sign_in_page(search.get("to").unwrap_or(HOME), None)
}

fn sign_in_page(to: &str, problem: Option<&str>) -> Markup {
    layout::stranger(
        "Sign in",
        &html! {
            h1 { "Sign in" }
            p.quiet {
                "Use a token of this host. The host prints the place of its first token when it starts; an administrator can create others." }
            form.stack method="post" action="/console/sign-in" {
                input type="hidden" name="to" value=(to);
                div.field {
                    label for="token" { "Token" }
                    input #token name="token" type="password" autocomplete="current-password" spellcheck="false" required autofocus
                        aria-describedby=[problem.map(|_| "token-error")] aria-invalid=[problem.map(|_| "true")];
                    @if let Some(problem) = problem { p.error #token-error role="alert" { (problem) } }
                }
                button.primary type="submit" { "Sign in" }
            }
        },
    )
}

/// Checks a token and keeps it in the cookie.
pub(crate) async fn sign_in(State(console): State<Console>, headers: HeaderMap, fields: Fields) -> Response {
    let to = fields.get("to").filter(|to| is_own(to)).unwrap_or(HOME);
    let token = fields.get("token").unwrap_or_default();
    let (status, problem) = match enter(&console, token).await {
        Ok(_) => match cookie(&headers, token, MAX_AGE_SECONDS) {
            Some(cookie) => return ([(SET_COOKIE, cookie)], Redirect::to(to)).into_response(),
            None => (StatusCode::UNAUTHORIZED, "This token cannot be kept in a cookie."),
        },
        Err(Some(status)) if status != StatusCode::UNAUTHORIZED => {
            (status, "The host cannot look at the token now. Try again.")
        }
        Err(_) => (StatusCode::UNAUTHORIZED, "This token is not valid. It may have been revoked, or it has expired."),
    };
    (status, sign_in_page(to, Some(problem))).into_response()
}

/// Whether an address is one of the console's pages.
fn is_own(to: &str) -> bool {
    let rest = to.strip_prefix(HOME);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) && !to.contains('\\')
}

/// Deletes the cookie.
pub(crate) async fn sign_out(headers: HeaderMap) -> Response {
    let cookie = cookie(&headers, "", 0).map(|cookie| [(SET_COOKIE, cookie)]);
    (cookie, Redirect::to("/console/sign-in")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_pages_of_the_console_alone() {
        for own in ["/console", "/console/audit?before=3", "/console?x"] {
            assert!(is_own(own), "{own}");
        }
        for other in
            ["", "/", "//evil.example", "https://evil.example/console", "/consolex", "/console\\evil", "/console@evil"]
        {
            assert!(!is_own(other), "{other}");
        }
    }

    #[test]
    fn a_cookie_over_tls_belongs_to_this_host_alone() {
        let headers = |origin: &'static str| HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);
        let secure = cookie(&headers("https://a.example"), "tk_a b;", 60).unwrap();
        assert_eq!(secure, "__Host-console=tk_a%20b%3B; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=60");
        let plain = cookie(&headers("http://a.example"), "tk", 60).unwrap();
        assert_eq!(plain, "console=tk; Path=/console; HttpOnly; SameSite=Strict; Max-Age=60");
        assert!(plain.is_sensitive());
    }

    #[test]
    fn the_token_is_read_from_the_cookie_of_the_console() {
        let read =
            |cookies: &'static str| token_of(&HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(cookies))]));
        assert_eq!(read("a=b; console=tk_a%20b").as_deref(), Some("tk_a b"));
        assert_eq!(read("console=plain; __Host-console=secure").as_deref(), Some("secure"));
        for none in ["", "console", "xconsole=a", "session=a"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
