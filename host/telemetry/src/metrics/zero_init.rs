//! Creates each counter with the value zero, before anything is counted.
//!
//! A system that scrapes the metrics sees the first increment of a counter only
//! if the counter existed before.

use metrics::{counter, gauge, histogram};

/// Creates the metrics of the process.
pub(super) fn process() {
    for name in [
        "bus_repairs_total",
        "http_requests_unrouted_total",
        "identity_hashes_refused_total",
        "identity_hashes_total",
        "identity_throttled_total",
        "operator_foreign_requests_total",
        "operator_unauthorized_total",
    ] {
        counter!(name).absolute(0);
    }
    for limit in ["account", "address", "changes", "endpoint"] {
        counter!("http_rate_limited_total", "limit" => limit).absolute(0);
    }
    admission("host");
    for operation in ["authorize", "capture", "void", "refund"] {
        for outcome in ["ok", "declined", "invalid", "unavailable"] {
            counter!("payments_calls_total", "operation" => operation, "outcome" => outcome).absolute(0);
        }
    }
}

/// Creates the metrics of a component that all its revisions share.
pub(super) fn component(component: &str) {
    admission(component);
    for name in [
        "bus_lost_events_total",
        "bus_messages_ignored_total",
        "bus_publish_failures_total",
        "dead_letters_dropped_total",
        "dead_letters_total",
        "live_disconnects_total",
        "live_events_total",
        "live_refused_total",
        "plugin_headers_dropped_total",
        "plugin_log_lines_dropped_total",
        "plugin_promotions_total",
        "plugin_quarantines_total",
        "plugin_rollbacks_total",
        "plugin_swaps_total",
    ] {
        counter!(name, "component" => component.to_owned()).absolute(0);
    }
    // Another revision of the component may have listeners.
    drop(gauge!("live_listeners", "component" => component.to_owned()));
    for name in ["event_latency_seconds", "event_wait_seconds", "store_wait_seconds", "timer_lag_seconds"] {
        drop(histogram!(name, "component" => component.to_owned()));
    }
    for name in ["event_deliveries_total", "timer_deliveries_total"] {
        for outcome in ["done", "skipped", "retried", "dead"] {
            counter!(name, "component" => component.to_owned(), "outcome" => outcome).absolute(0);
        }
    }
}

/// Creates the metrics of one revision.
pub(super) fn revision(component: &str, revision: &str) {
    for (kind, blame) in [
        ("answer", "guest"),
        ("busy", "caller"),
        ("deadline", "guest"),
        ("host", "host"),
        ("memory", "caller"),
        ("too-large", "caller"),
        ("database", "dependency"),
        ("trap", "guest"),
        ("unread", "caller"),
        ("unsent", "caller"),
    ] {
        counter!("plugin_failures_total",
            "component" => component.to_owned(), "revision" => revision.to_owned(), "kind" => kind, "blame" => blame)
        .absolute(0);
    }
}

/// Creates the metrics of the requests of one plugin to another one.
pub(super) fn plugin_requests(caller: &str, callee: &str) {
    for outcome in ["answered", "failed", "refused", "timeout"] {
        let (caller, callee) = (caller.to_owned(), callee.to_owned());
        counter!("plugin_requests_total", "component" => caller, "callee" => callee, "outcome" => outcome).absolute(0);
    }
}

/// Creates the metrics of one admission queue. `owner` is a component or
/// `host`.
fn admission(owner: &str) {
    counter!("admission_refused_total", "component" => owner.to_owned()).absolute(0);
    drop(histogram!("admission_wait_seconds", "component" => owner.to_owned()));
}
