//! Reports the number of events that wait on the bus as metrics.

use super::workers::Watched;
use host_bus::{Backlog, Bus, ConsumerBacklog};
use metrics::gauge;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until the host stops.
pub(super) async fn report_regularly(bus: Arc<dyn Bus>, watched: Arc<Mutex<Watched>>, stop: CancellationToken) {
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match stop.run_until_cancelled(bus.backlog()).await {
            // A component that is removed leaves the watched ones before its series are
            // removed. The lock keeps this report from making them again.
            Some(Ok(backlog)) => report(&backlog, watched.lock().names()),
            // The bus logs itself that it is unavailable.
            Some(Err(error)) => tracing::debug!(%error, "the number of waiting events is unknown"),
            None => return,
        }
    }
}

/// Reports the components of this host. The bus may know others.
fn report<'a>(backlog: &Backlog, components: impl Iterator<Item = &'a String>) {
    gauge!("bus_dead_letters").set(backlog.dead_letters as f64);
    for component in components {
        let consumer = backlog.consumers.get(component).copied().unwrap_or_default();
        let ConsumerBacklog { pending, unacknowledged, redelivered } = consumer;
        gauge!("bus_pending_events", "component" => component.clone()).set(pending as f64);
        gauge!("bus_unacknowledged_events", "component" => component.clone()).set(unacknowledged as f64);
        gauge!("bus_redelivered_events", "component" => component.clone()).set(redelivered as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_telemetry::Metrics;
    use std::collections::BTreeMap;

    #[test]
    fn a_component_that_was_removed_is_reported_no_more() {
        let metrics = Metrics::start().unwrap();
        let waiting = ConsumerBacklog { pending: 7, unacknowledged: 2, redelivered: 1 };
        let consumers = ["stays", "goes"].map(|name| (name.to_owned(), waiting));
        let backlog = Backlog { consumers: BTreeMap::from(consumers), dead_letters: 0 };
        let names = ["stays", "idle", "goes"].map(str::to_owned);
        report(&backlog, names.iter());
        for line in [
            "bus_pending_events{component=\"goes\"} 7",
            "bus_unacknowledged_events{component=\"stays\"} 2",
            "bus_redelivered_events{component=\"idle\"} 0",
        ] {
            assert!(metrics.render().contains(line), "{line}");
        }
        host_telemetry::metrics::forget_component("goes");
        report(&backlog, names.iter().take(2));
        let text = metrics.render();
        assert!(text.contains("component=\"stays\"") && !text.contains("component=\"goes\""), "{text}");
    }
}
