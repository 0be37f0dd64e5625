//! The bus on NATS JetStream, which several hosts share: one stream of events,
//! one durable consumer for each component, and a stream of dead letters.
//!
//! The host makes and changes all three. While the broker is away events wait
//! in the components' outboxes, and everything goes on by itself when it is
//! back.

mod connection;
mod consumer;
mod letters;
mod message;
mod names;
mod pull;
mod refusal;
mod streams;
mod subscription;
mod takeover;

use super::{Backlog, Bus, BusError, Consumer, DeadLetter, Subjects, Takeover, Waiting};
use async_nats::jetstream::{context::PublishErrorKind, message::PublishMessage};
use async_trait::async_trait;
use connection::{CALL_TIMEOUT, Link, Status};
use consumer::JetStreamConsumer;
use futures::future::join_all;
use host_base::event::Event;
use host_config::{messaging::MessagingConfig, nats::NatsConfig};
use host_database::HostDatabase;
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::DropGuard;

/// One row.
const SCHEMA: &[&str] = &["CREATE TABLE installation (number INTEGER NOT NULL UNIQUE, id TEXT NOT NULL) STRICT"];

/// The start waits this long for the broker; later everything else does.
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);

/// What the headers of a message are given beside its payload: most are needed
/// by a dead letter, which says in one why it is there, and escapes that.
const HEADERS_BYTES: usize = 16 << 10;

/// The bus on NATS JetStream.
pub struct JetStreamBus {
    link: Arc<Link>,
    consumers: Mutex<HashMap<String, Arc<JetStreamConsumer>>>,
    _stop: DropGuard,
}

/// The id of this installation: made once, and kept in its database. Hosts
/// that share a database are one installation.
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
    /// Connects. A broker that is away is not an error: the bus waits for it.
    ///
    /// # Errors
    /// When a file of the settings cannot be read, or the streams are those of
    /// another installation.
    pub async fn open(settings: &MessagingConfig, nats: &NatsConfig, installation: String) -> Result<Self, BusError> {
        let link = Link::open(nats.clone(), settings.retention, installation).await?;
        let stop = link.stop.clone().drop_guard();
        if let Status::Refused(reason) = link.first_attempt(FIRST_ATTEMPT).await {
            return Err(BusError(reason));
        }
        Ok(Self { link, consumers: Mutex::default(), _stop: stop })
    }

    fn known(&self) -> Vec<Arc<JetStreamConsumer>> {
        self.consumers.lock().values().cloned().collect()
    }
}

#[async_trait]
impl Bus for JetStreamBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        self.link.require()?;
        // All are on their way before the first word of any is awaited. If one
        // fails the caller sends all of them again, and the broker knows those
        // that it has.
        let mut under_way = Vec::with_capacity(events.len());
        for event in events {
            let headers = message::headers(event, Some(&event.id))?;
            let message = PublishMessage::build().headers(headers).payload(event.payload.clone().into());
            let subject = self.link.names.event(&event.subject);
            under_way.push(self.link.context.send_publish(subject, message).await.map_err(failed)?);
        }
        for taken in under_way {
            if let Err(error) = taken.await {
                if error.kind() == PublishErrorKind::StreamNotFound {
                    self.link.doubt();
                }
                return Err(failed(error));
            }
        }
        Ok(())
    }

    async fn consumer(&self, component: &str, subjects: Subjects) -> Result<Arc<dyn Consumer>, BusError> {
        let consumer = {
            let mut consumers = self.consumers.lock();
            let new = || JetStreamConsumer::start(component, self.link.clone(), subjects.clone());
            consumers.entry(component.to_owned()).or_insert_with(new).clone()
        };
        consumer.want(subjects).await;
        // Later is as good: a subject begins with its oldest event whenever it
        // comes to be known.
        if !self.link.is_usable() || !consumer.applied(CALL_TIMEOUT).await {
            tracing::warn!(component, "the event bus learns later what is subscribed to");
        }
        Ok(consumer)
    }

    async fn leave_to_others(&self, component: &str, subjects: BTreeSet<String>) {
        let known = self.consumers.lock().get(component).cloned();
        if let Some(consumer) = known {
            consumer.leave_to_others(subjects);
        }
    }

    async fn set_aside(&self, letter: DeadLetter) -> Result<(), BusError> {
        letters::keep(&self.link, &letter).await
    }

    async fn dead_letters(&self, limit_rows: u32) -> Result<Vec<DeadLetter>, BusError> {
        letters::list(&self.link, usize::try_from(limit_rows).unwrap_or(usize::MAX)).await
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError> {
        letters::find(&self.link, id).await
    }

    async fn forget_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        letters::delete(&self.link, id).await
    }

    async fn redeliver(&self, component: &str, event: &Event) -> Result<(), BusError> {
        self.link.require()?;
        // Without an id of its own the message is taken every time.
        let message =
            PublishMessage::build().headers(message::headers(event, None)?).payload(event.payload.clone().into());
        let subject = self.link.names.redelivery(component, &event.subject);
        let taken = self.link.context.send_publish(subject, message).await.map_err(failed)?;
        taken.await.map(drop).map_err(failed)
    }

    async fn backlog(&self) -> Result<Backlog, BusError> {
        self.link.require()?;
        let mut backlog = Backlog { dead_letters: letters::count(&self.link).await?, ..Backlog::default() };
        let stream = self.link.context.get_stream_no_info(self.link.names.events()).await.map_err(failed)?;
        for consumer in self.known() {
            let info = stream.consumer_info(&consumer.component).await.map_err(failed)?;
            let waiting = Waiting {
                pending: info.num_pending,
                unacknowledged: info.num_ack_pending as u64,
                redelivered: info.num_redelivered as u64,
            };
            backlog.consumers.insert(consumer.component.clone(), waiting);
        }
        Ok(backlog)
    }

    async fn hand_over(&self, component: &str, what: Vec<u8>) -> Result<(), BusError> {
        takeover::hand_over(&self.link, component, what).await
    }

    async fn takeover(&self, component: &str) -> Box<dyn Takeover> {
        takeover::takeover(&self.link, component).await
    }

    fn largest_event(&self) -> usize {
        // Before the first contact it is not known.
        match self.link.client.max_payload() {
            0 => usize::MAX,
            message => message.saturating_sub(HEADERS_BYTES),
        }
    }

    fn trouble(&self) -> Option<String> {
        match self.link.status() {
            Status::Usable => None,
            Status::Away(reason) | Status::Refused(reason) => Some(reason),
        }
    }

    fn was_reached(&self) -> bool {
        self.link.was_usable()
    }

    async fn reachable(&self) {
        self.link.usable().await;
    }

    async fn close(&self) {
        self.link.stop.cancel();
        if self.link.is_usable() {
            let known = self.known();
            join_all(known.iter().map(|consumer| consumer.give_back())).await;
            let flushed = tokio::time::timeout(CALL_TIMEOUT, self.link.client.flush()).await;
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::debug!("the broker learns by itself that what was held here is free");
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}

#[cfg(test)]
mod tests;
