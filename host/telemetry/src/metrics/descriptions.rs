//! The description of every metric, as `/metrics` shows it.

/// Returns the description, or an empty text for a metric that is not listed.
pub(super) fn description(name: &str) -> &'static str {
    DESCRIPTIONS
        .binary_search_by_key(&name, |(known, _)| known)
        .ok()
        .and_then(|index| DESCRIPTIONS.get(index))
        .map_or("", |(_, description)| description)
}

/// One sentence for each metric, sorted by name.
const DESCRIPTIONS: [(&str, &str); 70] = [
    (
        "admission_refused_total",
        "Invocations that found a full queue or waited in it for too long, by component; `host` is the host's own queue.",
    ),
    ("admission_wait_seconds", "Time in the queue of an invocation that could not start at once."),
    ("bus_connected", "1 while the host can reach the event bus."),
    ("bus_dead_letters", "Dead letters that wait for an operator."),
    ("bus_full", "1 while the bus refuses new events because it has no room for them."),
    ("bus_lost_events_total", "Events that the broker has deleted before the component handled them."),
    ("bus_messages_ignored_total", "Messages on the bus that are not valid events."),
    ("bus_pending_events", "Events that the bus has not delivered to the component yet."),
    ("bus_problems", "Problems of the bus that /readyz names, such as a missing right at the broker."),
    ("bus_publish_failures_total", "Failed attempts to publish events; the events stay in the outbox."),
    ("bus_redelivered_events", "Unacknowledged events that the bus has delivered more than once."),
    ("bus_repairs_total", "Streams and consumers that another program changed and the host restored."),
    ("bus_unacknowledged_events", "Events that a component handles now or that wait for another attempt."),
    ("dead_letters_dropped_total", "Dead letters that were deleted because the component has too many."),
    ("dead_letters_total", "Events and timers that became dead letters."),
    ("engine_instances", "Component instances that exist, including warm ones."),
    ("engine_instances_limit", "Upper limit of component instances."),
    ("engine_instances_warm", "Warm instances; the engine drops one when an invocation needs its place."),
    ("engine_memories", "Linear memories in use."),
    ("engine_stacks", "Stacks of invocations in use."),
    ("event_deliveries_total", "Attempts to handle an event, by outcome."),
    ("event_latency_seconds", "Time from the publication of an event to the end of an attempt to handle it."),
    ("event_wait_seconds", "Time from the publication of an event to the start of its first attempt."),
    ("host_calls_in_flight", "Running invocations of all components."),
    ("host_calls_limit", "Upper limit of running invocations in the host."),
    ("host_calls_waiting", "Invocations in the host's queue."),
    ("host_disk_free_bytes", "Free space of the disk with the data directory."),
    ("host_disk_reserve_bytes", "Components cannot write while less than this is free."),
    ("host_ready", "1 while the host can take work."),
    ("http_rate_limited_total", "Requests that were refused because a visitor asked too often, by limit."),
    ("http_request_seconds", "Duration of requests."),
    ("http_requests_total", "Requests, by the class of the response status."),
    ("http_requests_unrouted_total", "Requests that no route matches."),
    ("identity_hashes_refused_total", "Passwords that were not compared because the hashing queue was full."),
    ("identity_hashes_total", "Passwords that were hashed or compared."),
    ("identity_throttled_total", "Sign-in attempts that were refused after too many failures."),
    ("live_disconnects_total", "Clients that were disconnected because they did not read their live events."),
    ("live_events_total", "Live events of the component that this host has read for its listeners."),
    ("live_listeners", "Connections that the host holds for live events of the component."),
    ("live_refused_total", "Requests for live events that were refused because there are too many listeners."),
    (
        "operator_foreign_requests_total",
        "Requests to the operator listener that a page of another site caused or that name it by an unknown host.",
    ),
    ("operator_unauthorized_total", "Requests to the operator API without a valid token."),
    ("outbox_age_seconds", "Age of the oldest event in the outbox that is not published yet."),
    ("payments_calls_total", "Calls to the payment provider, by outcome."),
    ("plugin_calls_in_flight", "Running invocations of the component."),
    ("plugin_calls_limit", "Upper limit of running invocations of the component."),
    ("plugin_calls_waiting", "Invocations in the component's queue."),
    ("plugin_database_bytes", "Size of the component's database."),
    ("plugin_database_limit_bytes", "Upper limit of the size of the component's database."),
    ("plugin_failures_total", "Failed invocations, by kind and blame."),
    (
        "plugin_headers_dropped_total",
        "Headers of the component's answers that act on the whole origin and that the host did not pass on.",
    ),
    ("plugin_instances_warm", "Warm instances of the component."),
    ("plugin_log_lines_dropped_total", "Log lines of the component that were dropped because it logs too much."),
    ("plugin_outbox_events", "Events in the component's outbox."),
    ("plugin_outbox_limit_events", "Upper limit of events in the component's outbox."),
    ("plugin_paused", "1 while an operator has paused the component."),
    ("plugin_promotions_total", "Canaries that the host has promoted automatically."),
    (
        "plugin_quarantined",
        "1 while the component is in quarantine because it trapped or missed its deadline too often.",
    ),
    ("plugin_quarantines_total", "Times that the host has put the component into quarantine."),
    ("plugin_requests_total", "Requests of a plugin (component) to another plugin (callee), by outcome."),
    ("plugin_rollbacks_total", "Times that the host has rolled back to the previous revision automatically."),
    ("plugin_starting", "1 while the host is still loading the component."),
    ("plugin_swaps_total", "Swaps that changed the component."),
    ("plugin_timers", "Timers that the component has set."),
    ("plugin_timers_limit", "Upper limit of timers of the component."),
    ("process_open_fds", "Open file descriptors of the process."),
    ("process_resident_memory_bytes", "Resident memory of the process."),
    ("store_wait_seconds", "Time that a transaction waits before it begins."),
    ("timer_deliveries_total", "Attempts to handle a timer, by outcome."),
    ("timer_lag_seconds", "Time from the moment when a timer is due to the start of an attempt."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_listed_once_in_order_with_one_sentence() {
        assert!(DESCRIPTIONS.is_sorted_by(|(one, _), (next, _)| one < next));
        for (name, sentence) in DESCRIPTIONS {
            assert_eq!(description(name), sentence);
            assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{name}");
        }
        assert_eq!(description("nobody_knows_this"), "");
    }
}
