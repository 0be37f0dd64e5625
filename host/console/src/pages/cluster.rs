//! The hosts on one database, and the work that waits.

use super::live;
use crate::{
    api::plugin_path,
    format::{Tone, badge, duration, signed_time, word},
    layout::{Section, page},
    session::Session,
};
use axum::response::Response;
use host_api::{
    Word,
    cluster::{ClusterView, Member},
};
use maud::{Markup, html};

pub(crate) async fn show(session: Session) -> Response {
    let view = session.api.get::<ClusterView>("/cluster").await;
    page(&session, Section::Cluster, "Cluster", view.map(|view| live(&render(&view))))
}

fn render(view: &ClusterView) -> Markup {
    html! {
        h1 { "Cluster" }
        section aria-labelledby="hosts" {
            h2 #hosts { "Hosts" }
            @for host in &view.hosts { (member(host, host.id == view.this)) }
        }
        section aria-labelledby="lag" {
            h2 #lag { "Work that waits" }
            @if view.lag.is_empty() { p.quiet { "No plugin has a database that answers." } } @else {
                div.table tabindex="0" role="group" aria-labelledby="lag" { table {
                    thead { tr { th scope="col" { "Plugin" } th.number scope="col" { "Oldest event in the outbox" }
                            th.number scope="col" { "Most overdue timer" } } }
                    tbody { @for (plugin, lag) in &view.lag { tr {
                        th scope="row" { a href={ "/console" (plugin_path(plugin)) } { (plugin) } }
                        td.number { (duration(lag.outbox_ms)) }
                        td.number { (duration(lag.timers_ms)) }
                    } } }
                } }
            }
        }
    }
}

fn member(host: &Member, is_this: bool) -> Markup {
    html! {
        article.host {
            h3 { (host.name) " " (word(&Word::Known(host.status))) @if is_this {
                    " " span.quiet { "this host answers you" } } }
            p.quiet {
                "Version " (host.version) " · started " (signed_time(host.started_ms)) " · seen " (duration(u64::try_from(host.seen_ms_ago).unwrap_or(0))) " ago" }
            ul.runs {
                @for (name, plugin) in &host.plugins {
                    li {
                        a href={ "/console" (plugin_path(name)) } { (name) } " " code { (plugin.serving.revision) }
                        @if let Some((canary, percent)) = &plugin.serving.canary {
                            " " (percent) " % " code { (canary) } }
                        @if plugin.serving.held { " " (badge(Tone::Busy, "held")) }
                        @if let Some(reason) = &plugin.behind { " " (badge(Tone::Bad, "behind")) " " (reason) }
                    }
                }
            }
        }
    }
}
