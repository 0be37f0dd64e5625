//! The log of a plugin: the last lines, and new ones as they are written.

use super::plugin::{Tab, tabs};
use crate::{
    api::{Refused, plugin_path},
    fields::{Fields, Search, query},
    layout::{Section, page},
    session::Session,
};
use axum::{
    body::Body,
    extract::{Path, Request},
    response::{IntoResponse, Response},
};
use host_api::{logs::KEPT_LINES, plugins::PluginDetails};
use http::StatusCode;
use maud::{Markup, html};
use serde_json::Value;

/// The levels that can be chosen, with the texts for people.
const LEVELS: [(&str, &str); 5] = [
    ("", "All"),
    ("error", "Errors"),
    ("warn", "Warnings and errors"),
    ("info", "Info and above"),
    ("debug", "Debug and above"),
];

pub(crate) async fn show(session: Session, Path(name): Path<String>, Search(search): Search) -> Response {
    let content = render(&session, &name, &search).await;
    page(&session, Section::Overview, &format!("Log of {name}"), content)
}

async fn render(session: &Session, name: &str, search: &Fields) -> Result<Markup, Refused> {
    let path = plugin_path(name);
    let kept = session.api.text(&format!("{path}/logs?follow=false&{}", filter(search))).await?;
    let lines: Vec<&str> = kept.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let serves = session.api.get::<PluginDetails>(&path).await.is_ok();
    Ok(html! {
        h1 { "Log of " (name) }
        (tabs(name, Tab::Log, serves))
        (filter_form(search))
        p.quiet data-log-state role="status" {
            "The host keeps up to " (KEPT_LINES) " lines of each plugin until it ends, but none about requests. \
             Reload the page for newer ones." }
        div.log tabindex="0" role="log" aria-label={ "Log of " (name) }
            data-log={ "/console" (path) "/log/lines?" (filter(search)) } {
            @for line in &lines { (line_of(line)) }
        }
        @if lines.is_empty() {
            p.quiet data-log-empty { "Nothing is kept that fits. A plugin writes lines with " code { "wasi:logging" } "." }
        }
    })
}

/// One line, as the script of the page writes it.
fn line_of(json: &str) -> Markup {
    let Ok(Value::Object(mut fields)) = serde_json::from_str::<Value>(json) else { return html! { p { (json) } } };
    let mut parts = Vec::new();
    let mut level = String::new();
    for name in ["timestamp", "level", "message"] {
        if let Some(Value::String(text)) = fields.remove(name) {
            if name == "level" && text.chars().all(|letter| letter.is_ascii_uppercase()) {
                level = format!("level-{text}");
            }
            parts.push(text);
        }
    }
    parts.extend(fields.iter().map(|(name, value)| format!("{name}={value}")));
    html! { p class=[(!level.is_empty()).then_some(level)] { (parts.join(" ")) } }
}

/// The query with the filter of the page, for the lines that are kept.
fn filter(search: &Fields) -> String {
    let last = KEPT_LINES.to_string();
    query([("last", Some(last.as_str())), ("level", search.get("level")), ("text", search.get("text"))])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_text_whatever_is_in_it() {
        let json = r#"{"level":"WARN","message":"<b>hi</b>","timestamp":"T","count":3,"why":"a \"b\""}"#;
        let shown = line_of(json).into_string();
        assert_eq!(
            shown,
            "<p class=\"level-WARN\">T WARN &lt;b&gt;hi&lt;/b&gt; count=3 why=&quot;a \\&quot;b\\&quot;&quot;</p>"
        );
        assert_eq!(line_of("<i>").into_string(), "<p>&lt;i&gt;</p>");
        assert_eq!(line_of(r#"{"level":"x y"}"#).into_string(), "<p>x y</p>");
    }
}
