//! One plugin: its active revision, its other revisions, and its changes.

use super::{failures, live, not_found, trial};
use crate::{
    api::{Refused, plugin_path, revision_path},
    format::{digest, number, size, time, word},
    layout::{Section, codes, page},
    session::Session,
};
use axum::{extract::Path, response::Response};
use host_api::{
    Word,
    figures::{FailureView, HistoryView},
    plugins::{PluginDetails, PluginStatus},
    revisions::{RevisionStatus, RevisionView},
};
use http::StatusCode;
use maud::{Markup, html};

pub(crate) async fn show(session: Session, Path(name): Path<String>) -> Response {
    let content = render(&session, &name).await.map(|content| live(&content));
    page(&session, Section::Overview, &name, content)
}

async fn render(session: &Session, name: &str) -> Result<Markup, Refused> {
    let path = plugin_path(name);
    let revisions = format!("{path}/revisions?limit=1000");
    let (failed, history) = (format!("{path}/failures"), format!("{path}/history"));
    let api = &session.api;
    let (details, kept, failed, history) = tokio::join!(
        api.get::<PluginDetails>(&path),
        api.list::<RevisionView>(&revisions),
        api.get::<Vec<FailureView>>(&failed),
        api.get::<HistoryView>(&history)
    );
    let (details, failed, history) = (optional(details)?, optional(failed)?, optional(history)?);
    let kept = optional(kept)?.map(|kept| kept.rows).unwrap_or_default();
    if details.is_none() && kept.is_empty() {
        return Err(not_found("There is no plugin of this name"));
    }
    Ok(html! {
        div.title {
            h1 { (name) }
            @if let Some(details) = &details { (word(&details.plugin.status)) }
        }
        (tabs(name, Tab::Plugin, details.is_some()))
        @match &details {
            Some(details) => { (active(session, &path, details)) }
            None => { p { "No revision serves. Choose one below and activate it." } }
        }
        @if let Some(details) = details.as_ref().filter(|details| !details.compared.is_empty()) {
            (trial::section(name, details, session.may_deploy(name)))
        }
        @if let Some(history) = &history { (failures::history(history)) }
        @if let Some(failed) = &failed { (failures::failures(failed)) }
        (revision_table(name, &kept))
    })
}

/// The pages of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Plugin,
    Settings,
    Tables,
    Log,
    Policy,
}

/// The links between the pages of one plugin. A plugin that does not serve has no settings and no tables.
pub(super) fn tabs(name: &str, current: Tab, serves: bool) -> Markup {
    let path = plugin_path(name);
    let all = [
        (Tab::Plugin, "", "Plugin", true),
        (Tab::Settings, "/settings", "Settings and limits", serves),
        (Tab::Tables, "/tables", "Tables", serves),
        (Tab::Log, "/log", "Log", true),
        (Tab::Policy, "/policy", "Policy", true),
    ];
    html! {
        nav.tabs aria-label={ "Pages of " (name) } {
            ul {
                @for (tab, end, text, _) in all.into_iter().filter(|(.., is_there)| *is_there) {
                    li { a href={ "/console" (path) (end) } aria-current=[(tab == current).then_some("page")] { (text) } }
                }
            }
        }
    }
}

/// None in place of an error that there is nothing.
fn optional<T>(answer: Result<T, Refused>) -> Result<Option<T>, Refused> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(refused) if refused.status == StatusCode::NOT_FOUND => Ok(None),
        Err(refused) => Err(refused),
    }
}

fn active(session: &Session, path: &str, details: &PluginDetails) -> Markup {
    let plugin = &details.plugin;
    html! {
        @if let Some(reason) = &details.quarantined {
            section.refusal aria-labelledby="quarantine" {
                h2 #quarantine { "In quarantine" }
                p { (reason) }
                p { "The host gives it no work. Resume it, or roll it back to its previous revision." }
            }
        }
        @if session.may_deploy(&plugin.name) { (changes(path, details)) }
        section aria-labelledby="serves" {
            h2 #serves { "The active revision" }
            dl.facts {
                dt { "Revision" }
                dd { a href={ "/console" (revision_path(&plugin.name, &plugin.revision)) }
                    { code { (plugin.revision) } } }
                dt { "File" } dd { (size(plugin.size_bytes as u64)) " · SHA-256 " (digest(&plugin.digest)) }
                dt { "Calls on this host" }
                dd { (number(plugin.calls)) ", " (number(plugin.failures)) " failed, " (number(plugin.in_flight)) " run now" }
                @if let Some(canary) = &plugin.canary {
                    dt { "Canary" }
                    dd {
                        a href={ "/console" (revision_path(&plugin.name, &canary.revision)) }
                        { code { (canary.revision) } }
                        " has " (canary.percent) " % of the work: " (number(canary.calls)) " calls, " (number(canary.errors)) " errors, "
                        (number(canary.failures)) " failures"
                        meter min="0" max="100" value=(canary.percent) aria-label="Share of the canary" {}
                        @if let Some(at) = canary.promote_at_ms {
                            p { "Promoted by itself at " (time(at)) " if it does no worse." } }
                    }
                }
                dt { "Routes" }
                dd { (codes(plugin.routes.iter().map(|route| format!("{} {}", route.methods.join(", "), route.path)))) }
                dt { "Receives" } dd { (codes(&plugin.subscribes)) }
                dt { "Publishes" } dd { (codes(&plugin.publishes)) }
                dt { "Imports" } dd { (codes(&plugin.imports)) }
            }
        }
    }
}

/// The changes that make sense in the state of the plugin. Each one asks first.
fn changes(path: &str, details: &PluginDetails) -> Markup {
    let status = &details.plugin.status;
    let is_held = matches!(status, Word::Known(PluginStatus::Paused | PluginStatus::Quarantined));
    let has_canary = details.plugin.canary.is_some();
    let offered = [
        ("promote", "Promote the canary", has_canary),
        ("rollback", if has_canary { "End the trial" } else { "Roll back" }, has_canary || details.previous.is_some()),
        ("resume", "Resume", is_held),
        ("pause", "Pause", !is_held),
        ("remove", "Remove", true),
    ];
    html! {
        div.actions {
            @for (action, text, _) in offered.into_iter().filter(|(_, _, fits)| *fits) {
                a.button href={ "/console" (path) "/do/" (action) } { (text) }
            }
        }
    }
}

fn revision_table(name: &str, kept: &[RevisionView]) -> Markup {
    html! {
        section aria-labelledby="revisions" {
            h2 #revisions { "Revisions" }
            div.table tabindex="0" role="group" aria-labelledby="revisions" { table {
                thead { tr {
                    th scope="col" { "Revision" } th scope="col" { "State" } th scope="col" { "Uploaded" }
                    th scope="col" { "By" }
                    th scope="col" { "SHA-256" } th.number scope="col" { "Size" }
                } }
                tbody { @for one in kept { tr {
                    th scope="row" { a href={ "/console" (revision_path(name, &one.revision)) }
                        { code { (one.revision) } } }
                    td { (word(&one.status)) @if one.status == Word::Known(RevisionStatus::Previous) {
                            span.visually-hidden { " a rollback returns to it" } } }
                    td { (time(one.uploaded_ms)) }
                    td { @if one.uploaded_by.is_empty() { span.quiet { (one.source) } } @else { (one.uploaded_by) } }
                    td { (digest(&one.digest)) }
                    td.number { (size(one.size_bytes as u64)) }
                } } }
            } }
        }
    }
}
