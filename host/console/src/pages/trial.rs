//! A canary beside the active revision, and the slider for its share.

use crate::{
    api::revision_path,
    charts,
    format::{micros, number, share},
};
use host_api::{
    figures::RevisionCallsView,
    plugins::{CanaryView, PluginDetails},
};
use maud::{Markup, html};

/// The part of a plugin's page about its canary.
pub(super) fn section(name: &str, details: &PluginDetails, may_change: bool) -> Markup {
    html! {
        section aria-labelledby="trial" {
            h2 #trial { "The canary beside the active revision" }
            (table(name, &details.compared))
            @if let Some(canary) = details.plugin.canary.as_ref().filter(|_| may_change) { (slider(name, canary)) }
        }
    }
}

fn table(name: &str, compared: &[RevisionCallsView]) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-labelledby="trial" { table {
            thead { tr {
                th scope="col" { "Revision" } th.number scope="col" { "Share" } th.number scope="col" { "Calls" }
                th.number scope="col" { "Errors" } th.number scope="col" { "Failures" }
                th.number scope="col" { "p50" } th.number scope="col" { "p99" } th scope="col" { "Times" }
            } }
            tbody { @for one in compared { tr {
                th scope="row" { a href={ "/console" (revision_path(name, &one.revision)) }
                    { code { (one.revision) } } }
                td.number { (one.percent) " %" }
                td.number { (number(one.calls)) }
                td.number { (number(one.errors)) @if let Some(share) = share(one.errors, one.calls) { " (" (share) ")" } }
                td.number { (number(one.failures)) }
                td.number { (time(one.p50_us)) }
                td.number { (time(one.p99_us)) }
                td { (charts::ranges(&one.times)) }
            } } }
        } }
        p.hint { "The numbers are those of this host since it loaded each revision. The drawing has a column for each range of \
            time, and each range is twice as long as the one before it." }
    }
}

fn time(us: Option<u64>) -> String {
    us.map_or_else(|| "none".to_owned(), micros)
}

/// Another share for the canary. The next page asks, as before each activation.
fn slider(name: &str, canary: &CanaryView) -> Markup {
    html! {
        form.inline.slider method="get" action={ "/console" (revision_path(name, &canary.revision)) "/activate" } {
            label for="share" { "Share of the canary in percent" }
            span { "1" }
            input #share name="share" type="range" min="1" max="99" value=(canary.percent) data-slider="shown";
            span { "99" }
            output #shown for="share" { (canary.percent) " %" }
            button type="submit" { "Change the share" }
        }
    }
}
