//! Compares the broker with what the host relies on, every few seconds. Other
//! programs can change, pause or delete streams and consumers. The host restores
//! them or names the problem, and says which events are lost. It also makes room
//! in a stream that is nearly full.

use super::{
    super::BusError,
    connection::Connection,
    consumer::JetStreamConsumer,
    consumer_config::{self, FILTERS},
    losses::{Loss, Progress, Sample},
    rights,
    room::{self, Contents},
    sample_store::SampleStore,
    streams::{self, EnsureError},
};
use async_nats::jetstream::consumer::Info;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

const INTERVAL: Duration = Duration::from_secs(5);
/// Hosts of another version may need other filters, and this host learns them a
/// moment later. So it restores filters only after this number of inspections.
const FILTER_PATIENCE: u32 = 3;
/// After this number of inspections a difference counts as a problem.
const PATIENCE: u32 = 2;

/// The consumers of this host, by component.
pub(super) type Consumers = Mutex<HashMap<String, Arc<JetStreamConsumer>>>;

/// The findings of the last inspection.
struct Inspection {
    samples: SampleStore,
    sample: Option<Sample>,
    /// The number of inspections in a row in which a consumer was different.
    different: BTreeMap<String, u32>,
}

/// Runs until the bus is closed.
pub(super) async fn inspect_regularly(connection: Arc<Connection>, consumers: Arc<Consumers>, samples: SampleStore) {
    let stop = connection.stop.clone();
    let mut inspection = Inspection { samples, sample: None, different: BTreeMap::new() };
    stop.run_until_cancelled(async {
        inspection.remember(&connection.names.event_stream()).await;
        loop {
            let own = of_this_host(&consumers);
            if connection.is_connected() {
                let names: Vec<String> = own.iter().map(|consumer| consumer.component.clone()).collect();
                rights::probe(&connection, &names).await;
            }
            if connection.is_available()
                && let Err(error) = inspection.run(&connection, &own).await
            {
                tracing::debug!(%error, "the host could not inspect the event bus");
            }
            let _ = timeout(INTERVAL, connection.inspect.notified()).await;
        }
    })
    .await;
}

pub(super) fn of_this_host(consumers: &Consumers) -> Vec<Arc<JetStreamConsumer>> {
    consumers.lock().values().cloned().collect()
}

impl Inspection {
    /// Continues after the last inspection before the start of this host.
    async fn remember(&mut self, stream: &str) {
        self.sample = self.samples.read(stream).await;
    }

    async fn run(&mut self, connection: &Connection, own: &[Arc<JetStreamConsumer>]) -> Result<(), BusError> {
        if let Err(EnsureError::Temporary(reason) | EnsureError::Permanent(reason)) = streams::compare(connection).await
        {
            return Err(BusError(reason));
        }
        let contents = Contents::read(connection).await?;
        let sample = Sample::new(&contents.info, contents.consumers.iter());
        if let Some(before) = &self.sample {
            sample.losses_since(before, contents.made_room_up_to()).iter().for_each(report);
        }
        let infos: BTreeMap<&str, &Info> = contents.consumers.iter().map(|info| (info.name.as_str(), info)).collect();
        for consumer in own {
            self.compare(connection, consumer, infos.get(consumer.component.as_str()).copied(), &sample);
        }
        if self.sample.as_ref() != Some(&sample) {
            self.samples.write(&connection.names.event_stream(), &sample).await;
        }
        self.sample = Some(sample);
        room::keep(connection, &contents, own).await
    }

    /// Compares the consumer of one component, and has it restored.
    fn compare(&mut self, connection: &Connection, consumer: &JetStreamConsumer, info: Option<&Info>, sample: &Sample) {
        let component = &consumer.component;
        let thing = format!("consumer {component}");
        let differences = info.map_or_else(|| vec!["deleted"], |info| differences(connection, consumer, info));
        let is_applied = consumer.is_applied();
        if differences.is_empty() {
            self.different.remove(component);
            connection.problems.clear(&thing);
            if let Some(info) = info.filter(|_| is_applied) {
                consumer.set_handled(sample.created_ns, Progress::new(info, sample.last).floor);
            }
            return;
        }
        // The consumer may not exist yet, or its subjects change at this moment.
        if !is_applied && !self.different.contains_key(component) {
            return;
        }
        let times = self.different.entry(component.clone()).or_default();
        *times += 1;
        if differences != [FILTERS] || *times >= FILTER_PATIENCE {
            consumer.reapply();
        }
        if *times > PATIENCE + FILTER_PATIENCE || (*times > PATIENCE && differences != [FILTERS]) {
            let fields = differences.join(", ");
            connection.problems.set(&thing, format!("the consumer {component} needs other settings: {fields}"));
        }
    }
}

fn differences(connection: &Connection, consumer: &JetStreamConsumer, info: &Info) -> Vec<&'static str> {
    let subjects = consumer.subjects.borrow().1.all();
    let mut wanted = consumer_config::config(connection, &consumer.component, &subjects);
    consumer_config::keep_position(&info.config, &mut wanted);
    consumer_config::differences(info, &wanted)
}

fn report(loss: &Loss) {
    let Loss { component, undelivered, unacknowledged, sequences } = loss;
    tracing::error!(
        component,
        undelivered,
        unacknowledged,
        sequences,
        "the broker has deleted events that the component had not handled"
    );
    metrics::counter!("bus_lost_events_total", "component" => component.clone())
        .increment(undelivered + unacknowledged);
}
