//! One revision: its verdict, its activation, and its end.

use super::{report, verdict};
use crate::{
    api::{Refused, plugin_path, revision_path},
    fields::Fields,
    layout::{Section, page},
    session::Session,
};
use axum::{
    extract::Path,
    response::{IntoResponse, Redirect, Response},
};
use host_api::{
    Word,
    revisions::{RevisionStatus, RevisionView, Source},
    swap::{Activation, SwapReport},
    verdict::Verdict,
};
use http::Method;
use maud::{Markup, html};

const SECTION: Section = Section::Overview;

type Name = Path<(String, String)>;

pub(crate) async fn show(session: Session, Path((name, id)): Name) -> Response {
    let content = render(&session, &name, &id).await;
    page(&session, SECTION, &format!("{name} {id}"), content)
}

async fn render(session: &Session, name: &str, id: &str) -> Result<Markup, Refused> {
    let (verdict_path, list) =
        (format!("{}/verdict", revision_path(name, id)), format!("{}/revisions?limit=1000", plugin_path(name)));
    let (judged, kept) =
        tokio::join!(session.api.get::<Verdict>(&verdict_path), session.api.list::<RevisionView>(&list));
    let (judged, kept) = (judged?, kept?.rows);
    let status = kept.iter().find(|one| one.revision == id).map(|one| &one.status);
    let is_built_in = kept.iter().any(|one| one.revision == id && one.source != Source::Upload.into());
    let address = format!("/console{}", revision_path(name, id));
    Ok(html! {
        p.crumbs { a href={ "/console" (plugin_path(name)) } { (name) } }
        div.title {
            h1 { (name) " " code { (id) } }
            @if let Some(status) = status { (crate::format::word(status)) }
        }
        (verdict::render(&judged))
        @if session.may_deploy(name) && status != Some(&Word::Known(RevisionStatus::Active)) {
            (buttons(&address, &judged, status == Some(&Word::Known(RevisionStatus::Staged)) && !is_built_in))
        }
    })
}

/// The next steps. Each one is a form, and the canary has a share.
fn buttons(address: &str, verdict: &Verdict, may_discard: bool) -> Markup {
    html! {
        section.next aria-labelledby="next" {
            h2 #next { "Next" }
            div.actions {
                form method="get" action={ (address) "/activate" } { button.primary type="submit" { "Activate" } }
                @if verdict.against.is_some() {
                    form.inline method="get" action={ (address) "/activate" } {
                        label for="share" { "Share in percent" }
                        input #share name="share" type="number" min="1" max="99" value="10" required;
                        button type="submit" { "Try as canary" }
                    }
                }
                @if may_discard { form method="get" action={ (address) "/discard" }
                    { button type="submit" { "Discard" } } }
            }
        }
    }
}

/// Asks before an activation.
pub(crate) async fn confirm(
    session: Session,
    Path((name, id)): Name,
    crate::fields::Search(search): crate::fields::Search,
) -> Response {
    let content = confirmation(&session, &name, &id, &search).await;
    page(&session, SECTION, &format!("Activate {name}"), content)
}

async fn confirmation(session: &Session, name: &str, id: &str, search: &Fields) -> Result<Markup, Refused> {
    let judged: Verdict = session.api.get(&format!("{}/verdict", revision_path(name, id))).await?;
    let share: Option<u8> = search.number("share", "Share")?;
    let address = format!("/console{}", revision_path(name, id));
    let pending: Vec<_> =
        judged.migrations.iter().filter(|migration| !migration.applied).map(|one| &one.name).collect();
    Ok(html! {
        p.crumbs { a href={ "/console" (plugin_path(name)) } { (name) } " / " a href=(address) { (id) } }
        h1 { "Activate " (name) "?" }
        @match (share, &judged.against) {
            (Some(share), Some(active)) => p { code { (id) } " gets " (share) " % of the work of " strong { (name) }
                ", " code { (active) } " keeps the rest." },
            (_, Some(active)) => p { code { (id) } " does all work of " strong { (name) }
                " in place of " code { (active) } "." },
            (_, None) => p { code { (id) } " begins to serve as " strong { (name) } "." },
        }
        @if !pending.is_empty() { p { "These migrations run, and a rollback does not undo them:" }
            (crate::layout::codes(pending)) }
        form.stack method="post" action={ (address) "/activate" } {
            @if let Some(share) = share {
                input type="hidden" name="share" value=(share);
                div.field {
                    label for="after" { "Promote by itself after seconds " span.quiet { "(optional)" } }
                    input #after name="after" type="number" min="1" max="2592000" inputmode="numeric";
                    p.hint { "It must have had enough calls by then, and have done no worse." }
                }
            }
            @if !judged.problems.is_empty() {
                ul.alert { @for problem in &judged.problems { li { (problem) } } }
                label.choice { input type="checkbox" name="force" value="yes";
                    "Activate " (name) " although it is not compatible" }
            }
            div.actions {
                button.primary type="submit" { "Activate " (name) }
                a.button href=(address) { "Cancel" }
            }
        }
    })
}

pub(crate) async fn activate(session: Session, Path((name, id)): Name, fields: Fields) -> Response {
    let content = activated(&session, &name, id, &fields).await;
    page(&session, SECTION, &format!("{name} is activated"), content)
}

async fn activated(session: &Session, name: &str, id: String, fields: &Fields) -> Result<Markup, Refused> {
    let wanted = Activation {
        revision: id,
        canary_percent: fields.number("share", "Share")?,
        promote_after_seconds: fields.number("after", "Promotion")?,
        force: fields.has("force"),
    };
    let path = format!("{}/activate", plugin_path(name));
    let report: SwapReport = session.api.change(Method::POST, &path, &wanted).await?;
    Ok(html! {
        h1 { (name) " is activated" }
        (report::swap(&report))
        p { a.button href={ "/console" (plugin_path(name)) } { "Go to " (name) } }
    })
}

/// Asks before a revision is deleted.
pub(crate) async fn confirm_discard(session: Session, Path((name, id)): Name) -> Response {
    let address = format!("/console{}", revision_path(&name, &id));
    let content = html! {
        h1 { "Discard " code { (id) } " of " (name) "?" }
        p { "The host deletes the file. You can upload it again." }
        form method="post" action={ (address) "/discard" } {
            div.actions {
                button.danger type="submit" { "Discard " (id) }
                a.button href=(address) { "Cancel" }
            }
        }
    };
    page(&session, SECTION, &format!("Discard {id}"), Ok(content))
}

pub(crate) async fn discard(session: Session, Path((name, id)): Name) -> Response {
    match session.api.act(Method::DELETE, &revision_path(&name, &id)).await {
        Ok(()) => Redirect::to("/console").into_response(),
        Err(refused) => page(&session, SECTION, "Discard", Err(refused)),
    }
}
