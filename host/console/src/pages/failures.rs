//! The history of a plugin and its last failures, as parts of its page.

use crate::{
    charts,
    format::{Tone, badge, time},
};
use host_api::figures::{FailureView, HistoryView};
use maud::{Markup, html};

/// How many calls there were, and how long they took.
pub(super) fn history(history: &HistoryView) -> Markup {
    html! {
        section aria-labelledby="history" {
            h2 #history { "The last 15 minutes on this host" }
            div.charts { (charts::calls(&history.slots)) (charts::times(&history.slots)) }
        }
    }
}

/// The calls that failed last.
pub(super) fn failures(failures: &[FailureView]) -> Markup {
    html! {
        section aria-labelledby="failures" {
            h2 #failures { "Last failures" }
            @if failures.is_empty() {
                p.quiet { "No call has failed since this host loaded the plugin." }
            } @else {
                ol.failures { @for failure in failures { (one(failure)) } }
            }
        }
    }
}

fn one(failure: &FailureView) -> Markup {
    let tone = if failure.blame == "guest" { Tone::Bad } else { Tone::Busy };
    html! {
        li {
            p { (badge(tone, &failure.kind)) " " strong { (failure.call) } " " span.quiet { (time(failure.time_ms)) } }
            p.message { (failure.message) }
            p.quiet {
                "To blame: " (failure.blame) " · revision " code { (failure.revision) }
                @if !failure.id.is_empty() { " · id " code { (failure.id) } }
                @if let Some(trace) = &failure.trace { " · trace " code { (trace) } }
            }
        }
    }
}
