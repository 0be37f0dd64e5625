//! Measures how many events wait on the bus.

use host_bus::{Backlog, Bus, Waiting};
use metrics::gauge;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(5);

/// Runs until the host stops.
pub(super) async fn watch(bus: Arc<dyn Bus>, stop: CancellationToken) {
    let mut told = BTreeSet::new();
    let mut times = interval(EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(times.tick()).await.is_some() {
        match stop.run_until_cancelled(bus.backlog()).await {
            Some(Ok(backlog)) => tell(&backlog, &mut told),
            // The bus logs itself that it cannot be reached.
            Some(Err(error)) => tracing::debug!(%error, "the number of waiting events is unknown"),
            None => return,
        }
    }
}

fn tell(backlog: &Backlog, told: &mut BTreeSet<String>) {
    gauge!("bus_dead_letters").set(backlog.dead_letters as f64);
    told.extend(backlog.consumers.keys().cloned());
    for component in told.iter() {
        // No event waits for a component that is gone.
        let waiting = backlog.consumers.get(component).copied().unwrap_or_default();
        let Waiting { pending, unacknowledged, redelivered } = waiting;
        gauge!("bus_pending_events", "component" => component.clone()).set(pending as f64);
        gauge!("bus_unacknowledged_events", "component" => component.clone()).set(unacknowledged as f64);
        gauge!("bus_redelivered_events", "component" => component.clone()).set(redelivered as f64);
    }
}
