//! The tables of a plugin with their sizes.

use super::plugin::{Tab, tabs};
use crate::{
    api::{Refused, plugin_path},
    format::{number, size},
    layout::{Section, empty, page},
    session::Session,
};
use axum::{extract::Path, response::Response};
use host_api::plugins::TableView;
use maud::{Markup, html};

pub(crate) async fn list(session: Session, Path(name): Path<String>) -> Response {
    let content = listed(&session, &name).await;
    page(&session, Section::Overview, &format!("Tables of {name}"), content)
}

async fn listed(session: &Session, name: &str) -> Result<Markup, Refused> {
    let tables: Vec<TableView> = session.api.get(&format!("{}/tables", plugin_path(name))).await?;
    Ok(html! {
        h1 { "Tables of " (name) }
        (tabs(name, Tab::Tables, true))
        @if tables.is_empty() {
            (empty("This plugin has no tables.", &html! {
                p { "A plugin makes its tables with the SQL files in the folder " code { "migrations" } "." }
            }))
        } @else { (table(&tables)) }
    })
}

fn table(tables: &[TableView]) -> Markup {
    let bytes = tables.iter().map(|table| table.bytes).fold(0, u64::saturating_add);
    html! {
        div.table tabindex="0" role="group" aria-label="Tables" { table {
            thead { tr { th scope="col" { "Table" } th.number scope="col" { "Rows" } th.number scope="col" { "Size" } } }
            tbody { @for table in tables { tr {
                th scope="row" { code { (table.name) } }
                td.number { @if table.is_estimate { "about " } (number(table.rows)) }
                td.number { (size(table.bytes)) }
            } } }
        } }
        p.hint { (size(bytes)) " together, with the indexes. The console never shows the contents of a table." }
    }
}
