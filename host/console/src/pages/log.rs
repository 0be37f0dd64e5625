//! The log of a plugin, as it is written.

use super::plugin::{Tab, tabs};
use crate::{
    api::plugin_path,
    fields::{Fields, Search, query},
    layout::{Section, page},
    session::Session,
};
use axum::{
    body::Body,
    extract::{Path, Request},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use maud::{Markup, html};

/// The levels that can be chosen, with the texts for people.
const LEVELS: [(&str, &str); 5] = [
    ("", "All"),
    ("error", "Errors"),
    ("warn", "Warnings and errors"),
    ("info", "Info and above"),
    ("debug", "Debug and above"),
];

pub(crate) async fn show(session: Session, Path(name): Path<String>, Search(search): Search) -> Response {
    let path = plugin_path(&name);
    let lines = format!("/console{path}/log/lines?{}", filter(&search));
    let content = html! {
        h1 { "Log of " (name) }
        (tabs(&name, Tab::Log, true))
        noscript {
            p.notice { "This page needs JavaScript. In a terminal, run " code { "ticketing plugin logs " (name) }
                "." } }
        (filter_form(&search))
        p.quiet data-log-state role="status" { "The lines from now on appear here." }
        div.log tabindex="0" role="log" aria-label={ "Log of " (name) } data-log=(lines) {}
    };
    page(&session, Section::Overview, &format!("Log of {name}"), Ok(content))
}

/// The query with the filter of the page.
fn filter(search: &Fields) -> String {
    query(["level", "text"].map(|name| (name, search.get(name))))
}

fn filter_form(search: &Fields) -> Markup {
    let chosen = search.get("level").unwrap_or_default();
    html! {
        form.filter method="get" {
            div.field { label for="level" { "Level" }
                select #level name="level" {
                    @for (level, text) in LEVELS { option value=(level) selected[level == chosen] { (text) } } } }
            div.field { label for="text" { "Text" }
                input #text name="text" value=(search.get("text").unwrap_or_default()) autocomplete="off"; }
            button type="submit" { "Filter" }
        }
    }
}

/// The stream of the API, for the script of the page.
pub(crate) async fn lines(session: Session, Path(name): Path<String>, Search(search): Search) -> Response {
    match Request::get(format!("{}/logs?{}", plugin_path(&name), filter(&search))).body(Body::empty()) {
        Ok(request) => session.api.forward(request).await,
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
