//! What every metric means, for whoever reads `/metrics`.

/// In one sentence; empty for one that is not listed.
pub(super) fn help(name: &str) -> &'static str {
    KNOWN
        .binary_search_by_key(&name, |(known, _)| known)
        .map_or("", |found| KNOWN.get(found).map_or("", |(_, help)| help))
}

/// By name, ascending.
const KNOWN: [(&str, &str); 48] = [
    (
        "admission_refused_total",
        "Calls that found the queue full or waited too long for their turn, by component or host.",
    ),
    ("admission_wait_seconds", "How long calls waited that did not get their turn at once."),
    ("bus_connected", "1 while the event bus can be reached."),
    ("bus_dead_letters", "Events and timers that were set aside and wait for an operator."),
    ("bus_messages_ignored_total", "Messages on the bus that are no events."),
    ("bus_pending_events", "Events that wait for the component."),
    ("bus_publish_failures_total", "Attempts to hand events to the bus that failed; the events wait in the outbox."),
    ("bus_redelivered_events", "Unfinished events that were delivered more than once."),
    ("bus_unacknowledged_events", "Events that are being handled or wait for another attempt."),
    ("dead_letters_total", "Events and timers that were set aside."),
    ("engine_instances", "Component instances that exist, warm ones included."),
    ("engine_instances_limit", "Component instances that there can be."),
    ("engine_instances_warm", "Those of them that wait for a call; they give way to one that needs a place."),
    ("engine_memories", "Linear memories in use."),
    ("engine_stacks", "Stacks of calls in use."),
    ("event_deliveries_total", "Attempts to let a component handle an event, by outcome."),
    ("event_latency_seconds", "From when an event happened to the end of an attempt to handle it."),
    ("event_wait_seconds", "From when an event happened to the start of the first attempt to handle it."),
    ("host_calls_in_flight", "Calls under way in all components."),
    ("host_calls_limit", "Calls that the host has under way at most."),
    ("host_calls_waiting", "Calls that wait for their turn in the host."),
    ("host_ready", "1 while work can be sent here."),
    ("http_request_seconds", "How long answers took."),
    ("http_requests_total", "Answers, by the first digit of their status."),
    ("http_requests_unrouted_total", "Requests that no component answers."),
    ("identity_hashes_refused_total", "Passwords that were not compared because too many were."),
    ("identity_hashes_total", "Passwords that were hashed or compared."),
    ("identity_throttled_total", "Attempts to sign in that were refused because too many had failed."),
    ("operator_unauthorized_total", "Calls of the operator API without a valid token."),
    ("outbox_age_seconds", "Age of the oldest event that the bus does not have yet."),
    ("payments_calls_total", "Calls of the card provider, by outcome."),
    ("plugin_calls_in_flight", "Requests, events and timers under way."),
    ("plugin_calls_limit", "Calls that the component has under way at most."),
    ("plugin_calls_waiting", "Calls that wait for their turn."),
    ("plugin_failures_total", "Calls that failed, by kind and blame."),
    ("plugin_instances_warm", "Instances that wait for a call."),
    ("plugin_log_lines_dropped_total", "Log lines of a component beyond what it may write."),
    ("plugin_paused", "1 while an operator has paused the component."),
    ("plugin_promotions_total", "How often the host let a revision on trial serve alone by itself."),
    ("plugin_quarantined", "1 while the component is out of service because it trapped too often."),
    ("plugin_quarantines_total", "How often the component was taken out of service."),
    ("plugin_rollbacks_total", "How often the host returned to the previous revision by itself."),
    ("plugin_swaps_total", "Changes of what is active."),
    ("process_open_fds", "Open file descriptors."),
    ("process_resident_memory_bytes", "Resident memory."),
    ("store_wait_seconds", "How long transactions waited for their turn to begin."),
    ("timer_deliveries_total", "Attempts to let a component handle a timer, by outcome."),
    ("timer_lag_seconds", "How late timers were begun."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once_in_order_and_has_its_sentence() {
        assert!(KNOWN.is_sorted_by(|(one, _), (next, _)| one < next));
        for (name, sentence) in KNOWN {
            assert_eq!(help(name), sentence);
            assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{name}");
        }
        assert_eq!(help("nobody_knows_this"), "");
    }
}
