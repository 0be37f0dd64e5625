//! Counters begin at zero: who watches a series sees the first thing that is
//! counted in it only if it was there before.

use metrics::{counter, histogram};

/// What is counted for the host as a whole.
pub(super) fn process() {
    for name in [
        "http_requests_unrouted_total",
        "identity_hashes_refused_total",
        "identity_hashes_total",
        "identity_throttled_total",
        "operator_unauthorized_total",
    ] {
        counter!(name).absolute(0);
    }
    for name in ["admission_refused_total", "admission_wait_seconds"] {
        of_admission(name, "host");
    }
    for operation in ["authorize", "capture", "void", "refund"] {
        for outcome in ["ok", "declined", "invalid", "unavailable"] {
            counter!("payments_calls_total", "operation" => operation, "outcome" => outcome).absolute(0);
        }
    }
}

/// What is counted for a component, whichever revision of it does the work.
pub(super) fn component(component: &str) {
    for name in ["admission_refused_total", "admission_wait_seconds"] {
        of_admission(name, component);
    }
    for name in [
        "bus_messages_ignored_total",
        "bus_publish_failures_total",
        "dead_letters_total",
        "plugin_log_lines_dropped_total",
        "plugin_promotions_total",
        "plugin_quarantines_total",
        "plugin_rollbacks_total",
        "plugin_swaps_total",
    ] {
        counter!(name, "component" => component.to_owned()).absolute(0);
    }
    for name in ["event_latency_seconds", "event_wait_seconds", "store_wait_seconds", "timer_lag_seconds"] {
        drop(histogram!(name, "component" => component.to_owned()));
    }
    for name in ["event_deliveries_total", "timer_deliveries_total"] {
        for outcome in ["done", "skipped", "retried", "dead"] {
            counter!(name, "component" => component.to_owned(), "outcome" => outcome).absolute(0);
        }
    }
}

/// What is counted for each revision.
pub(super) fn revision(component: &str, revision: &str) {
    for (kind, blame) in [
        ("answer", "guest"),
        ("busy", "caller"),
        ("deadline", "guest"),
        ("host", "host"),
        ("too-large", "caller"),
        ("trap", "guest"),
    ] {
        counter!("plugin_failures_total",
            "component" => component.to_owned(), "revision" => revision.to_owned(), "kind" => kind, "blame" => blame)
        .absolute(0);
    }
}

fn of_admission(name: &'static str, whose: &str) {
    match name.ends_with("_seconds") {
        true => drop(histogram!(name, "component" => whose.to_owned())),
        false => counter!(name, "component" => whose.to_owned()).absolute(0),
    }
}
