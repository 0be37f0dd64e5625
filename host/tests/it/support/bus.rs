//! The event bus of a host under test, and access to the events on it.

use super::{Database, Host, NatsServer};
use async_nats::jetstream::{self, consumer::pull::OrderedConfig};
use futures::{StreamExt, TryStreamExt};
use std::sync::atomic::{AtomicU32, Ordering};

/// The components of the marketplace that subscribe to events.
const SUBSCRIBERS: [&str; 4] = ["expiration", "orders", "payments", "tickets"];

/// The bus inside the process, or streams on a broker.
#[derive(Clone)]
pub(crate) enum Bus {
    Embedded,
    JetStream {
        url: String,
        prefix: String,
        /// More settings of the table `messaging.nats`.
        more: String,
    },
}

impl Bus {
    /// The default bus in this pass of the tests.
    pub(super) fn of_this_run() -> Self {
        match std::env::var("TICKETING_TESTS_BUS").as_deref() {
            Ok("jetstream") => Self::jetstream(&NatsServer::shared().url()),
            Ok(other) => panic!("TICKETING_TESTS_BUS: there is no bus {other}"),
            Err(_) => Self::Embedded,
        }
    }

    /// New streams on this server, with their own prefix.
    pub(crate) fn jetstream(url: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("it-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Self::JetStream { url: url.to_owned(), prefix, more: String::new() }
    }

    /// The same streams at another address.
    pub(super) fn at(mut self, address: &str) -> Self {
        if let Self::JetStream { url, .. } = &mut self {
            address.clone_into(url);
        }
        self
    }

    /// The same streams with more settings.
    pub(crate) fn with(mut self, settings: &str) -> Self {
        if let Self::JetStream { more, .. } = &mut self {
            settings.clone_into(more);
        }
        self
    }

    pub(super) fn variable(&self) -> Option<(&str, &str)> {
        match self {
            Self::Embedded => None,
            Self::JetStream { url, .. } => Some(("TICKETING_NATS_URL", url)),
        }
    }

    /// The table for the settings file.
    pub(super) fn settings(&self) -> String {
        match self {
            Self::Embedded => String::new(),
            Self::JetStream { prefix, more, .. } => {
                format!("[messaging.nats]\nsubject_prefix = {prefix:?}\n{more}\n")
            }
        }
    }

    /// The broker's subject for a component's subject.
    pub(crate) fn subject(&self, subject: &str) -> String {
        let Self::JetStream { prefix, .. } = self else { panic!("there is no broker") };
        format!("{prefix}.events.{subject}")
    }
}

/// Read access to the bus of a host.
pub(crate) enum BusView {
    Embedded(Database),
    JetStream(jetstream::Context, String),
}

impl Host {
    /// The broker's subject for a component's subject.
    pub(crate) fn subject(&self, subject: &str) -> String {
        self.setup.bus.subject(subject)
    }

    pub(crate) async fn look_at_bus(&self) -> BusView {
        match &self.setup.bus {
            Bus::Embedded => BusView::Embedded(self.database("host.db").await),
            Bus::JetStream { url, prefix, .. } => {
                let client = async_nats::connect(url.split(',').collect::<Vec<_>>()).await.unwrap();
                BusView::JetStream(jetstream::new(client), format!("{prefix}-events"))
            }
        }
    }
}

/// The deliveries that wait at a consumer. One more if the host has to copy older
/// events for it.
fn waiting_at(consumer: &jetstream::consumer::Info) -> u64 {
    let copies_are_due = consumer.config.metadata.contains_key("catching-up");
    consumer.num_pending + u64::try_from(consumer.num_ack_pending).unwrap() + u64::from(copies_are_due)
}

impl BusView {
    /// A client of the broker, and the prefix of the streams' names.
    pub(crate) fn streams(&self) -> (&jetstream::Context, &str) {
        let Self::JetStream(context, events) = self else { panic!("there is no broker") };
        (context, events.strip_suffix("-events").unwrap())
    }

    /// The number of deliveries that no subscriber has acknowledged yet. More than
    /// 0 while the broker does not answer, or while the host has to repair a
    /// consumer.
    pub(crate) async fn deliveries(&self) -> i64 {
        match self {
            Self::Embedded(database) => database.number("SELECT count(*) FROM bus_deliveries").await,
            Self::JetStream(context, name) => {
                let Ok(stream) = context.get_stream(name).await else { return 1 };
                let consumers: Result<Vec<_>, _> = stream.consumers().try_collect().await;
                consumers.map_or(1, |consumers| {
                    let missing = SUBSCRIBERS.iter().filter(|name| consumers.iter().all(|info| info.name != **name));
                    let waiting = consumers.iter().map(waiting_at).sum::<u64>();
                    i64::try_from(missing.count()).unwrap() + i64::try_from(waiting).unwrap()
                })
            }
        }
    }

    /// The subject and the payload of each event on the bus.
    pub(crate) async fn events(&self) -> Vec<(String, serde_json::Value)> {
        let events: Vec<(String, Vec<u8>)> = match self {
            Self::Embedded(database) => {
                database.rows("SELECT subject, payload FROM bus_events ORDER BY sequence").await
            }
            Self::JetStream(context, name) => {
                let stream = context.get_stream(name).await.unwrap();
                let reader = stream.create_consumer(OrderedConfig::default()).await.unwrap();
                let count = usize::try_from(reader.cached_info().num_pending).unwrap();
                let messages = reader.messages().await.unwrap().take(count);
                let event = |message: jetstream::Message| {
                    let subject = message.headers.as_ref().unwrap().get("ce-type").unwrap().as_str();
                    (subject.to_owned(), message.payload.to_vec())
                };
                messages.map(|message| event(message.unwrap())).collect().await
            }
        };
        let read = |(subject, payload): (String, Vec<u8>)| (subject, serde_json::from_slice(&payload).unwrap());
        events.into_iter().map(read).collect()
    }

    /// The subject and the trace context of each event whose trace context has
    /// this beginning.
    pub(crate) async fn traced(&self, beginning: &str) -> Vec<(String, String)> {
        let mut events: Vec<(String, String)> = match self {
            Self::Embedded(database) => {
                database.rows("SELECT subject, traceparent FROM bus_events WHERE traceparent IS NOT NULL").await
            }
            Self::JetStream(context, name) => {
                let stream = context.get_stream(name).await.unwrap();
                let reader = stream.create_consumer(OrderedConfig::default()).await.unwrap();
                let count = usize::try_from(reader.cached_info().num_pending).unwrap();
                let messages = reader.messages().await.unwrap().take(count);
                let header = |headers: &async_nats::HeaderMap, name: &str| {
                    headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default()
                };
                let event = |message: jetstream::Message| {
                    let headers = message.headers.as_ref().unwrap();
                    (header(headers, "ce-type"), header(headers, "traceparent"))
                };
                messages.map(|message| event(message.unwrap())).collect().await
            }
        };
        events.retain(|(_, traceparent)| traceparent.starts_with(beginning));
        events
    }
}
