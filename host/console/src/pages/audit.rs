//! The audit: who changed what, and when.

use crate::{
    api::{Refused, Rows, plugin_path, revision_path},
    fields::{Fields, Search, query},
    format::{digest, outcome, signed_time},
    layout::{Section, empty, more, page},
    session::Session,
};
use axum::response::Response;
use host_api::audit::AuditRow;
use maud::{Markup, html};

const ADDRESS: &str = "/console/audit";
const FILTERS: [(&str, &str); 3] = [("actor", "Who"), ("plugin", "Plugin"), ("action", "Change")];

pub(crate) async fn list(session: Session, Search(search): Search) -> Response {
    let content = listed(&session, &search).await;
    page(&session, Section::Audit, "Audit", content)
}

async fn listed(session: &Session, search: &Fields) -> Result<Markup, Refused> {
    let filters = FILTERS.map(|(name, _)| (name, search.get(name)));
    let page = [("limit", Some("50")), ("before", search.get("before"))];
    let query = query(page.into_iter().chain(filters));
    let rows: Rows<AuditRow> = session.api.list(&format!("/audit?{query}")).await?;
    Ok(html! {
        h1 { "Audit" }
        (filter_form(search))
        @if rows.rows.is_empty() {
            (empty("No change fits.", &html! { p { a href=(ADDRESS) { "Show all changes" } } })) }
        @else { (table(&rows.rows)) }
        (more(ADDRESS, rows.next.as_ref()))
    })
}

/// The file of the API, with the filter of the form.
pub(crate) async fn export(session: Session, Search(search): Search) -> Response {
    let fields = ["format", "actor", "plugin", "action"].map(|name| (name, search.get(name)));
    let answer = session.api.download(&format!("/audit/export?{}", query(fields))).await;
    answer.unwrap_or_else(|refused| page(&session, Section::Audit, "Audit", Err(refused)))
}

fn filter_form(search: &Fields) -> Markup {
    html! {
        form.filter method="get" action=(ADDRESS) {
            @for (name, label) in FILTERS {
                div.field { label for=(name) { (label) }
                    input id=(name) name=(name) value=(search.get(name).unwrap_or_default()) autocomplete="off"; }
            }
            button type="submit" { "Filter" }
            button type="submit" name="format" value="csv" formaction={ (ADDRESS) "/export" } { "Download as CSV" }
            button type="submit" name="format" value="jsonl" formaction={ (ADDRESS) "/export" } { "Download as JSON lines" }
        }
    }
}

fn table(rows: &[AuditRow]) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-label="Changes" { table {
            thead { tr {
                th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "Change" }
                th scope="col" { "Plugin" }
                th scope="col" { "Result" } th scope="col" { "Detail" }
            } }
            tbody { @for row in rows { tr {
                td { (signed_time(row.time_ms)) }
                td { (row.actor) }
                td { (row.action) }
                td {
                    @if let Some(plugin) = &row.plugin { a href={ "/console" (plugin_path(plugin)) } { (plugin) } }
                    @if let (Some(plugin), Some(revision)) = (&row.plugin, &row.revision) { br;
                        a href={ "/console" (revision_path(plugin, revision)) } { code { (revision) } } }
                }
                td { (outcome(&row.outcome)) }
                td.reason {
                    @if let Some(detail) = &row.detail { (detail) } @else if let Some(file) = &row.digest {
                        (digest(file)) } }
            } } }
        } }
    }
}
