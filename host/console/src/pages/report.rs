//! The report of a change.

use crate::{
    format::{Tone, badge, duration, number},
    layout::{codes, done},
};
use host_api::swap::SwapReport;
use maud::{Markup, html};

/// The report of a swap.
pub(crate) fn swap(report: &SwapReport) -> Markup {
    let serving = report.new.as_deref().unwrap_or("nothing");
    let summary = match report.canary_percent {
        Some(percent) => format!("{serving} is on trial with {percent} % of the work."),
        None => format!("{serving} serves."),
    };
    html! {
        (done(&summary))
        dl.facts {
            dt { "Before" } dd { @match &report.old { Some(old) => { code { (old) } } None => { "nothing" } } }
            dt { "Preparation" } dd { (duration(report.took_ms)) }
            dt { "Exchange" } dd { (number(report.swap_us)) " µs" }
            dt { "Under way in the old revision" } dd {
                (number(report.in_flight)) ": " (number(report.drained)) " finished, " (number(report.cut_off)) " cut off, "
                (number(report.dropped)) " given up by their clients, in " (duration(report.drain_ms))
            }
            dt { "Migrations" } dd { (codes(&report.migrations)) }
            dt { "Warm instances" } dd { (report.warm_instances) }
            @if let Some(probe) = &report.probe { dt { "Probe" }
                dd { code { (probe.path) } " answered " (probe.status) } }
            @for host in &report.hosts {
                dt { "Host " (host.host) }
                dd {
                    @if host.follows { (badge(Tone::Good, "follows")) } @else { (badge(Tone::Busy, "not yet")) }
                    @if let Some(problem) = &host.problem { " " (problem) }
                }
            }
        }
    }
}
