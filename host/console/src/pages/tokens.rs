//! Tokens of the operator API, for administrators.

use crate::{
    api::{Refused, Rows, segment},
    fields::Fields,
    format::time,
    layout::{Section, codes, empty, page},
    session::Session,
};
use axum::{
    extract::Path,
    response::{IntoResponse, Redirect, Response},
};
use host_api::tokens::{CreatedToken, NewToken, Role, TokenView};
use http::{Method, StatusCode};
use maud::{Markup, html};
use std::collections::BTreeSet;

const ADDRESS: &str = "/console/tokens";
const DAY_SECONDS: u64 = 86_400;

pub(crate) async fn list(session: Session) -> Response {
    let rows = session.api.list::<TokenView>("/tokens?limit=1000").await;
    page(&session, Section::Tokens, "Tokens", rows.map(|rows| render(&rows)))
}

fn render(rows: &Rows<TokenView>) -> Markup {
    html! {
        h1 { "Tokens" }
        p { "A token stands for a person or a program. The audit names it with each change." }
        @if rows.rows.is_empty() {
            (empty("There is only the token that the host was started with.", &html! {
                p { "Create one for each person and each program, so that you can revoke one alone." }
            }))
        } @else { (table(&rows.rows)) }
        (creation())
    }
}

fn table(tokens: &[TokenView]) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-label="Tokens" { table {
            thead { tr {
                th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Plugins" }
                th scope="col" { "Created" }
                th scope="col" { "Expires" } th scope="col" { "Last used" }
                th scope="col" { span.visually-hidden { "Revoke" } }
            } }
            tbody { @for token in tokens { tr {
                th scope="row" { (token.name) }
                td { (token.role) }
                td { @match &token.plugins { Some(plugins) => { (codes(plugins)) } None => { "all" } } }
                td { (time(token.created_ms)) " by " (token.created_by) }
                td { @match token.expires_ms { Some(at) => { (time(at)) } None => { span.quiet { "never" } } } }
                td {
                    @match token.last_used_ms { Some(at) => { (time(at)) } None => { span.quiet { "not since the start" } } }
                }
                td {
                    a.button.small href={ (ADDRESS) "/" (segment(&token.id)) "/revoke" } {
                        "Revoke" span.visually-hidden { " " (token.name) }
                    }
                }
            } } }
        } }
    }
}

fn creation() -> Markup {
    html! {
        section aria-labelledby="create" {
            h2 #create { "Create a token" }
            form.stack method="post" action=(ADDRESS) {
                div.field {
                    label for="name" { "Name" }
                    input #name name="name" required maxlength="64" pattern="[a-zA-Z0-9._\\-]{1,64}" autocomplete="off" aria-describedby="name-hint";
                    p.hint #name-hint { "Letters, digits, dots, hyphens and underscores." }
                }
                fieldset.choices {
                    legend { "Role" }
                    @for (role, text) in [(Role::View, "reads"), (Role::Deploy, "changes plugins"), (Role::Admin, "changes policies and tokens too")] {
                        label.choice {
                            input type="radio" name="role" value=(role) checked[role == Role::View] required;
                            strong { (role) } " " (text) }
                    }
                }
                div.field {
                    label for="plugins" { "Plugins " span.quiet { "(optional)" } }
                    textarea #plugins name="plugins" rows="2" spellcheck="false" aria-describedby="plugins-hint" {}
                    p.hint #plugins-hint { "One name on each line. Empty: all plugins and the host as a whole." }
                }
                div.field {
                    label for="days" { "Expires after days " span.quiet { "(optional)" } }
                    input #days name="days" type="number" min="1" max="3650" inputmode="numeric";
                }
                button.primary type="submit" { "Create the token" }
            }
        }
    }
}

pub(crate) async fn create(session: Session, fields: Fields) -> Response {
    let created = created(&session, &fields).await;
    page(&session, Section::Tokens, "Token created", created.map(|created| once(&created)))
}

async fn created(session: &Session, fields: &Fields) -> Result<CreatedToken, Refused> {
    let role = fields.get("role").and_then(Role::from_text);
    let role = role.ok_or_else(|| Refused::new(StatusCode::BAD_REQUEST, "Choose a role"))?;
    let plugins: BTreeSet<String> = fields.words("plugins").collect();
    let new = NewToken {
        name: fields.get("name").unwrap_or_default().to_owned(),
        role,
        plugins: (!plugins.is_empty()).then_some(plugins),
        expires_after_seconds: fields.number::<u64>("days", "Days")?.map(|days| days.saturating_mul(DAY_SECONDS)),
    };
    session.api.change(Method::POST, "/tokens", &new).await
}

/// The only page that ever shows the secret.
fn once(created: &CreatedToken) -> Markup {
    html! {
        h1 { "The token " (created.view.name) }
        p.notice role="status" { "Copy it now. The host shows it only once." }
        pre.secret tabindex="0" { code { (created.token) } }
        p { a.button href=(ADDRESS) { "I have copied it" } }
    }
}

pub(crate) async fn confirm(session: Session, Path(id): Path<String>) -> Response {
    let content = html! {
        h1 { "Revoke the token " code { (id) } "?" }
        p { "Its owner is refused at once, on all hosts. Nobody can bring it back." }
        form method="post" action={ (ADDRESS) "/" (segment(&id)) "/revoke" } {
            div.actions { button.danger type="submit" { "Revoke the token" } a.button href=(ADDRESS) { "Cancel" } }
        }
    };
    page(&session, Section::Tokens, "Revoke", Ok(content))
}

pub(crate) async fn revoke(session: Session, Path(id): Path<String>) -> Response {
    match session.api.act(Method::DELETE, &format!("/tokens/{}", segment(&id))).await {
        Ok(()) => Redirect::to(ADDRESS).into_response(),
        Err(refused) => page(&session, Section::Tokens, "Revoke", Err(refused)),
    }
}
