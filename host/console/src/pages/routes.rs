//! Every path that a plugin answers.

use crate::{
    api::plugin_path,
    format::word,
    layout::{Section, empty, page},
    session::Session,
};
use axum::response::Response;
use host_api::plugins::PluginView;
use maud::{Markup, html};

pub(crate) async fn list(session: Session) -> Response {
    let plugins = session.api.list::<PluginView>("/plugins?limit=1000").await;
    page(&session, Section::Routes, "Routes", plugins.map(|plugins| render(&plugins.rows)))
}

fn render(plugins: &[PluginView]) -> Markup {
    let mut routes: Vec<_> =
        plugins.iter().flat_map(|plugin| plugin.routes.iter().map(move |route| (route, plugin))).collect();
    routes.sort_by(|one, other| one.0.path.cmp(&other.0.path));
    html! {
        h1 { "Routes" }
        @if routes.is_empty() {
            (empty("No plugin answers a path yet.", &html! { p { "A plugin names its routes in its manifest." } }))
        } @else {
            div.table tabindex="0" role="group" aria-label="Routes" { table {
                thead { tr { th scope="col" { "Path" } th scope="col" { "Methods" } th scope="col" { "Plugin" }
                        th scope="col" { "State" } th scope="col" { "Canary" }
                        th scope="col" { "Rate" } th scope="col" { "Repetitions" } } }
                tbody { @for (route, plugin) in routes { tr {
                    th scope="row" { code { (route.path) } @if route.private { span.quiet { " plugins only" } } }
                    td { (route.methods.join(", ")) }
                    td { a href={ "/console" (plugin_path(&plugin.name)) } { (plugin.name) } }
                    td { (word(&plugin.status)) }
                    td { @match &plugin.canary { Some(canary) => { (canary.percent) " %" }
                            None => { span.quiet { "none" } } } }
                    td { @match &route.rate { Some(rate) => { (rate) } None => { span.quiet { "the host's" } } } }
                    td { @if route.idempotent { "answered once" } @else { span.quiet { "like any request" } } }
                } } }
            } }
            p.hint { "The rate is that of one address, as the manifest has it; the settings of the host can set another. \
                A repetition is a request with the " code { "Idempotency-Key" } " of an earlier one." }
        }
    }
}
