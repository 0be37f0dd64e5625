//! The bus on NATS JetStream, which several hosts share: one stream of events,
//! one durable consumer for each component, and a stream of dead letters.
//!
//! The host creates and updates all three. While the broker is unavailable,
//! events wait in the components' outboxes. When the broker is back, delivery
//! goes on without an operator.

mod connect_error;
mod connection;
mod consumer;
mod consumer_config;
mod dead_letters;
mod forwarding;
mod inspection;
mod losses;
mod message;
mod names;
mod problems;
mod pull;
mod rights;
mod room;
mod sample_store;
mod start_store;
mod streams;
mod subscription;
mod tail;

use super::{
    Backlog, Bus, BusError, Consumer, ConsumerBacklog, DeadLetter, DeadLetterPage, DeadLetterSummary, EventTail,
    ForwardReceiver, Subjects, report_dropped,
};
use async_nats::jetstream::{
    context::{PublishError, PublishErrorKind},
    message::PublishMessage,
};
use async_trait::async_trait;
use connection::{CALL_TIMEOUT, Connection, Status};
use consumer::JetStreamConsumer;
use futures::future::join_all;
use host_base::event::Event;
use host_config::{messaging::MessagingConfig, nats::NatsConfig};
use host_database::HostDatabase;
use inspection::{Consumers, inspect_regularly, of_this_host};
use parking_lot::Mutex;
use sample_store::SampleStore;
use start_store::StartStore;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::DropGuard;

/// The table has one row.
const SCHEMA: &[&str] = &["CREATE TABLE installation (number INTEGER NOT NULL UNIQUE, id TEXT NOT NULL) STRICT"];

/// The longest time for which the start waits for the broker. After it the host
/// starts, and events wait.
const FIRST_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// The bytes that a message reserves for its headers. A dead letter needs the
/// most, because one header contains its escaped reason.
const HEADERS_BYTES: usize = 16 << 10;

/// The bus on NATS JetStream.
pub struct JetStreamBus {
    connection: Arc<Connection>,
    consumers: Arc<Consumers>,
    starts: StartStore,
    /// The largest number of dead letters of each component.
    dead_letter_limits: Mutex<HashMap<String, u64>>,
    /// One call at a time makes room.
    making_room: tokio::sync::Mutex<()>,
    _stop: DropGuard,
}

/// The id of this installation. The first call creates it and stores it in the
/// database. Hosts that share a database are one installation.
///
/// # Errors
/// When the database cannot be used.
pub async fn installation(database: &HostDatabase) -> Result<String, BusError> {
    database.ensure_schema("installation", SCHEMA).await?;
    sqlx::query("INSERT INTO installation (number, id) VALUES (1, $1) ON CONFLICT (number) DO NOTHING")
        .bind(host_base::id::new().to_string())
        .execute(&database.write)
        .await?;
    Ok(sqlx::query_scalar("SELECT id FROM installation").fetch_one(&database.write).await?)
}

impl JetStreamBus {
    /// Connects. An unavailable broker is no error: the bus waits for it. In the
    /// database, the bus keeps what it last saw on the broker, and where the
    /// subscriptions of components begin.
    ///
    /// # Errors
    /// When a file of the settings cannot be read, when the streams belong to
    /// another installation, or when the database cannot be used.
    pub async fn open(
        settings: &MessagingConfig,
        nats: &NatsConfig,
        installation: String,
        database: HostDatabase,
    ) -> Result<Self, BusError> {
        let samples = SampleStore::open(database.clone()).await?;
        let starts = StartStore::open(database).await?;
        let connection = Connection::open(nats.clone(), settings.retention, installation).await?;
        let stop = connection.stop.clone().drop_guard();
        if let Status::Rejected(reason) = connection.wait_for_first_attempt(FIRST_ATTEMPT_TIMEOUT).await {
            return Err(BusError(reason));
        }
        let consumers = Arc::new(Consumers::default());
        tokio::spawn(inspect_regularly(connection.clone(), consumers.clone(), samples));
        Ok(Self {
            connection,
            consumers,
            starts,
            dead_letter_limits: Mutex::default(),
            making_room: tokio::sync::Mutex::default(),
            _stop: stop,
        })
    }

    fn all_consumers(&self) -> Vec<Arc<JetStreamConsumer>> {
        of_this_host(&self.consumers)
    }

    /// Sends all events before it waits for the first acknowledgement. If one
    /// fails, the caller sends all of them again, and the broker recognizes the
    /// events that it has.
    async fn send(&self, events: &[Event]) -> Result<(), PublishError> {
        let mut pending_acks = Vec::with_capacity(events.len());
        for event in events {
            let headers = message::headers(event, Some(&event.id))
                .map_err(|error| PublishError::with_source(PublishErrorKind::Other, error))?;
            let message = PublishMessage::build().headers(headers).payload(event.payload.clone().into());
            let subject = self.connection.names.event_subject(&event.subject);
            pending_acks.push(self.connection.context.send_publish(subject, message).await?);
        }
        for ack in pending_acks {
            ack.await?;
        }
        Ok(())
    }

    /// Makes room for the events that the broker has refused, and sends them
    /// again. If the broker refuses them again, the bus is full.
    async fn make_room_and_send(&self, events: &[Event], refusal: &str) -> Result<(), BusError> {
        let making_room = self.making_room.lock().await;
        // Another call may have made room meanwhile.
        let mut sent = self.send(events).await;
        if sent.as_ref().err().and_then(room::refusal).is_some() {
            room::make_now(&self.connection, &self.all_consumers()).await?;
            // Another host may have deleted the events that this one found.
            sent = self.send(events).await;
        }
        drop(making_room);
        if sent.as_ref().err().and_then(room::refusal).is_some() {
            self.connection.problems.set_full(room::full(&self.connection, refusal).await);
            // Another program may have shortened the stream.
            self.connection.inspect.notify_one();
        }
        sent.map_err(failed)
    }
}

#[async_trait]
impl Bus for JetStreamBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        self.connection.require_available()?;
        match self.send(events).await {
            Ok(()) => {}
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => {
                self.connection.recheck_streams();
                return Err(failed(error));
            }
            Err(error) => match room::refusal(&error) {
                Some(refusal) => self.make_room_and_send(events, refusal).await?,
                None => return Err(BusError(self.connection.rights.explain(&error.to_string()))),
            },
        }
        self.connection.problems.clear_full();
        Ok(())
    }

    async fn consumer(&self, component: &str, subjects: Subjects) -> Result<Arc<dyn Consumer>, BusError> {
        let consumer = {
            let mut consumers = self.consumers.lock();
            let new =
                || JetStreamConsumer::start(component, self.connection.clone(), self.starts.clone(), subjects.clone());
            consumers.entry(component.to_owned()).or_insert_with(new).clone()
        };
        consumer.set_subjects(subjects).await;
        self.connection.inspect.notify_one();
        // The broker may learn the subjects later: a new subject begins with its
        // oldest event, or when the broker learns it.
        if !self.connection.is_available() || !consumer.wait_until_applied(CALL_TIMEOUT).await {
            tracing::warn!(component, "the event bus does not know the component's subscriptions yet");
        }
        Ok(consumer)
    }

    async fn set_subjects_of_other_hosts(&self, component: &str, subjects: BTreeSet<String>) {
        let consumer = self.consumers.lock().get(component).cloned();
        if let Some(consumer) = consumer {
            consumer.set_subjects_of_other_hosts(subjects);
        }
    }

    async fn add_dead_letter(&self, letter: DeadLetter) -> Result<(), BusError> {
        dead_letters::store(&self.connection, &letter).await?;
        let component = &letter.component;
        let Some(most) = self.dead_letter_limits.lock().get(component).copied() else { return Ok(()) };
        match dead_letters::keep_newest(&self.connection, component, most).await {
            Ok(dropped) => report_dropped(component, dropped, most),
            // The dead letter is durable. The next one makes room for both.
            Err(error) => tracing::warn!(component, %error, "the oldest dead letters could not be deleted"),
        }
        Ok(())
    }

    fn limit_dead_letters(&self, component: &str, most: u64) {
        self.dead_letter_limits.lock().insert(component.to_owned(), most);
    }

    async fn dead_letters(&self, page: &DeadLetterPage) -> Result<Vec<DeadLetterSummary>, BusError> {
        dead_letters::list(&self.connection, page).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError> {
        dead_letters::find(&self.connection, id).await
    }

    async fn delete_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        dead_letters::delete(&self.connection, id).await
    }

    async fn redeliver(&self, component: &str, event: &Event) -> Result<(), BusError> {
        self.connection.require_available()?;
        // The broker takes a message without an id every time.
        let message =
            PublishMessage::build().headers(message::headers(event, None)?).payload(event.payload.clone().into());
        let subject = self.connection.names.redelivery_subject(component, &event.subject);
        let ack = self.connection.context.send_publish(subject, message).await.map_err(failed)?;
        ack.await.map(drop).map_err(failed)
    }

    async fn tail(&self) -> Result<Box<dyn EventTail>, BusError> {
        tail::open(&self.connection).await
    }

    async fn backlog(&self) -> Result<Backlog, BusError> {
        self.connection.require_available()?;
        let mut backlog = Backlog { dead_letters: dead_letters::count(&self.connection).await?, ..Backlog::default() };
        let stream = self.connection.names.event_stream();
        let stream = self.connection.context.get_stream_no_info(stream).await.map_err(failed)?;
        for consumer in self.all_consumers() {
            let info = stream.consumer_info(&consumer.component).await.map_err(failed)?;
            let consumer_backlog = ConsumerBacklog {
                pending: info.num_pending,
                unacknowledged: info.num_ack_pending as u64,
                redelivered: info.num_redelivered as u64,
            };
            backlog.consumers.insert(consumer.component.clone(), consumer_backlog);
        }
        Ok(backlog)
    }

    async fn forward(&self, component: &str, payload: Vec<u8>) -> Result<(), BusError> {
        forwarding::forward(&self.connection, component, payload).await
    }

    async fn receive_forwarded(&self, component: &str) -> Box<dyn ForwardReceiver> {
        forwarding::receive_forwarded(&self.connection, component).await
    }

    fn max_event_bytes(&self) -> usize {
        // The client does not know it before its first connection.
        match self.connection.client.max_payload() {
            0 => usize::MAX,
            message_bytes => message_bytes.saturating_sub(HEADERS_BYTES),
        }
    }

    fn unavailable_reason(&self) -> Option<String> {
        match self.connection.status() {
            Status::Available => None,
            Status::Unavailable(reason) | Status::Rejected(reason) => Some(reason),
        }
    }

    fn problems(&self) -> Vec<String> {
        [self.connection.rights.problems(), self.connection.problems.all()].concat()
    }

    fn is_full(&self) -> bool {
        self.connection.problems.is_full()
    }

    fn was_available(&self) -> bool {
        self.connection.was_available()
    }

    async fn wait_until_available(&self) {
        self.connection.wait_until_available().await;
    }

    async fn close(&self) {
        self.connection.stop.cancel();
        if self.connection.is_available() {
            let consumers = self.all_consumers();
            join_all(consumers.iter().map(|consumer| consumer.return_all())).await;
            let flushed = tokio::time::timeout(CALL_TIMEOUT, self.connection.client.flush()).await;
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::debug!("the broker takes back the deliveries of this host after the acknowledgement wait");
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}

#[cfg(test)]
mod tests;
