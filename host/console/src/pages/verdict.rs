//! A verdict, as a person reads it.

use crate::{
    format::{Tone, badge, digest, duration, size},
    layout::codes,
};
use host_api::verdict::{MigrationView, SchemaChange, SubjectChanges, TypeChange, Verdict};
use maud::{Markup, html};

/// Everything that a verdict says.
pub(crate) fn render(verdict: &Verdict) -> Markup {
    html! {
        (judgement(verdict))
        section aria-labelledby="file" {
            h2 #file { "The file" }
            dl.facts {
                dt { "Version" } dd { (verdict.version) }
                dt { "File" } dd { (size(verdict.size_bytes as u64)) " · SHA-256 " (digest(&verdict.digest)) }
                dt { "Compared with" }
                dd { @match &verdict.against { Some(active) => { code { (active) } }
                        None => { "nothing: it would be the first revision" } } }
                dt { "Compiled" }
                dd { @if verdict.from_cache { "before; read from the cache in " } @else { "in " }
                    (duration(verdict.compile_ms)) }
                dt { "Imports" } dd { (codes(&verdict.imports)) }
                dt { "Exports" } dd { (codes(&verdict.exports)) }
            }
        }
        section aria-labelledby="changes" {
            h2 #changes { "Changes" }
            dl.facts {
                dt { "Routes" } dd { (difference(&verdict.routes.added, &verdict.routes.removed)) }
                dt { "Receives" } dd { (subjects(&verdict.subscribes)) }
                @if !verdict.from_now.is_empty() {
                    dt { "From the next event on" } dd { (codes(&verdict.from_now)) }
                }
                dt { "Publishes" } dd { (subjects(&verdict.publishes)) }
                dt { "Capabilities" } dd {
                    (codes(&verdict.capabilities.wanted))
                    @if !verdict.capabilities.new.is_empty() { p { "New: " (codes(&verdict.capabilities.new)) } }
                }
            }
            (types(&verdict.types))
            (schemas(&verdict.schemas))
        }
        (migrations(&verdict.migrations))
    }
}

fn judgement(verdict: &Verdict) -> Markup {
    html! {
        @if verdict.compatible {
            p.notice { (badge(Tone::Good, "compatible")) " Nothing that works today stops working." }
        }
        @if !verdict.problems.is_empty() {
            section.refusal aria-labelledby="problems" {
                h2 #problems { "Problems" }
                ul { @for problem in &verdict.problems { li { (problem) } } }
                p { "Change the plugin and upload it again. If you accept these problems, you can activate it anyway." }
            }
        }
        @if !verdict.beyond_policy.is_empty() {
            section.refusal aria-labelledby="policy" {
                h2 #policy { "Beyond its policy" }
                p { "The policy of this name does not allow these requests. An administrator can allow them:" }
                dl.facts {
                    @for excess in &verdict.beyond_policy { dt { "It " (excess.asks) }
                        dd { code { (excess.command) } } } }
            }
        }
    }
}

fn subjects(changes: &SubjectChanges) -> Markup {
    difference(&changes.added, &changes.removed)
}

/// The additions and the removals. Signs say the same as the colours.
fn difference<T: std::fmt::Display>(added: &[T], removed: &[T]) -> Markup {
    html! {
        @if added.is_empty() && removed.is_empty() { span.quiet { "no change" } } @else {
            ul.difference {
                @for one in added { li.added { span.visually-hidden { "added: " } code { (one) } } }
                @for one in removed { li.removed { span.visually-hidden { "removed: " } code { (one) } } }
            }
        }
    }
}

fn types(changes: &[TypeChange]) -> Markup {
    html! {
        @if !changes.is_empty() {
            h3 { "Interfaces" }
            div.table tabindex="0" role="group" aria-label="Changes of interfaces" { table {
                thead { tr { th scope="col" { "Interface" } th scope="col" { "Item" } th scope="col" { "Change" }
                        th scope="col" { "Judgement" } } }
                tbody { @for change in changes { tr {
                    td { code { (change.interface) } } td { (change.item) } td { (change.change) }
                    td { (judged(change.compatible)) }
                } } }
            } }
        }
    }
}

fn schemas(changes: &[SchemaChange]) -> Markup {
    html! {
        @if !changes.is_empty() {
            h3 { "Schemas of events" }
            div.table tabindex="0" role="group" aria-label="Changes of the schemas of events" { table {
                thead { tr { th scope="col" { "Subject" } th scope="col" { "Part" } th scope="col" { "Change" }
                        th scope="col" { "Judgement" } } }
                tbody { @for change in changes { tr {
                    td { code { (change.subject) } }
                    td { @if change.place.is_empty() { "the whole payload" } @else { code { (change.place) } } }
                    td { (change.change) } td { (judged(change.compatible)) }
                } } }
            } }
        }
    }
}

fn migrations(migrations: &[MigrationView]) -> Markup {
    html! {
        @if !migrations.is_empty() {
            section aria-labelledby="migrations" {
                h2 #migrations { "Migrations" }
                div.table tabindex="0" role="group" aria-labelledby="migrations" { table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "State" } th scope="col" { "Judgement" } } }
                    tbody { @for migration in migrations { tr {
                        td { code { (migration.name) } }
                        td { @if migration.applied { "applied" } @else { "runs with the activation" } }
                        td { (judged(migration.compatible)) @if let Some(problem) = &migration.problem {
                                " " (problem) } }
                    } } }
                } }
            }
        }
    }
}

fn judged(compatible: bool) -> Markup {
    match compatible {
        true => badge(Tone::Good, "compatible"),
        false => badge(Tone::Bad, "not compatible"),
    }
}
