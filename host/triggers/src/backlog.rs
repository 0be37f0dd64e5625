//! Reports the number of events that wait on the bus as metrics.

use host_bus::{Backlog, Bus, ConsumerBacklog};
use metrics::gauge;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// Runs until the host stops.
pub(super) async fn report_regularly(bus: Arc<dyn Bus>, stop: CancellationToken) {
    let mut reported = BTreeSet::new();
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match stop.run_until_cancelled(bus.backlog()).await {
            Some(Ok(backlog)) => report(&backlog, &mut reported),
            // The bus logs itself that it is unavailable.
            Some(Err(error)) => tracing::debug!(%error, "the number of waiting events is unknown"),
            None => return,
        }
    }
}

/// `reported` are the components that the metrics have already.
fn report(backlog: &Backlog, reported: &mut BTreeSet<String>) {
    gauge!("bus_dead_letters").set(backlog.dead_letters as f64);
    reported.extend(backlog.consumers.keys().cloned());
    for component in reported.iter() {
        // No event waits for a component that was unloaded.
        let consumer = backlog.consumers.get(component).copied().unwrap_or_default();
        let ConsumerBacklog { pending, unacknowledged, redelivered } = consumer;
        gauge!("bus_pending_events", "component" => component.clone()).set(pending as f64);
        gauge!("bus_unacknowledged_events", "component" => component.clone()).set(unacknowledged as f64);
        gauge!("bus_redelivered_events", "component" => component.clone()).set(redelivered as f64);
    }
}
