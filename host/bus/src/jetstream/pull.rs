//! Requests a component's deliveries from the broker, as many as the queue has
//! capacity for. After any fault of the connection it begins again.

use super::{
    super::{BusError, Subjects},
    consumer::{JetStreamConsumer, Priority, READ_AHEAD},
    consumer_config, subscription,
};
use async_nats::{
    Message, StatusCode, Subscriber,
    jetstream::{self, consumer::PullConsumer, consumer::pull::BatchConfig},
};
use futures::StreamExt;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

/// The time after which a request without deliveries ends. The broker delivers to
/// a host that stands still for as long.
const REQUEST_EXPIRY: Duration = Duration::from_secs(3);
/// The interval at which the broker confirms that it knows a request.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Without a message for this time the broker has forgotten the request.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);
/// The header with the number of messages that a request did not get.
const PENDING_MESSAGES: &str = "Nats-Pending-Messages";
const ERROR_DELAY: Duration = Duration::from_millis(250);
const MAX_ERROR_DELAY: Duration = Duration::from_secs(5);

/// Runs until the bus is closed.
pub(super) async fn pull(consumer: Arc<JetStreamConsumer>) {
    let _ended = consumer.pull_ended.clone().drop_guard();
    let stop = consumer.connection.stop.clone();
    let mut delay = ERROR_DELAY;
    while stop.run_until_cancelled(consumer.connection.wait_until_available()).await.is_some() {
        let begun = Instant::now();
        tokio::select! {
            () = consumer.connection.wait_until_unavailable() => {}
            ended = receive_until_closed(&consumer) => {
                if stop.is_cancelled() {
                    return;
                }
                if let Err(error) = ended {
                    let component = &consumer.component;
                    tracing::warn!(component, %error, "the consumer gets no events and tries again");
                }
                delay = if begun.elapsed() > MAX_ERROR_DELAY { ERROR_DELAY } else { (delay * 2).min(MAX_ERROR_DELAY) };
                stop.run_until_cancelled(sleep(delay)).await;
            }
        }
    }
}

/// The messages that were requested and did not arrive yet. They belong to one
/// or two requests, because the host sends the next request before the last one
/// is complete. So there is always a request.
struct PendingRequest {
    messages: usize,
    /// None if the broker does not support priorities.
    priority: Option<Priority>,
    /// The time at which the request counts as lost, unless the broker sends a
    /// message before.
    lost_at: Instant,
}

impl PendingRequest {
    /// The request without this number of messages, which have arrived or will
    /// not arrive. None if none is left.
    fn without(self, messages: usize, lost_at: Instant) -> Option<Self> {
        let messages = self.messages.saturating_sub(messages);
        (messages > 0).then_some(Self { messages, lost_at, ..self })
    }
}

/// Receives deliveries until a call fails or the bus closes.
async fn receive_until_closed(consumer: &JetStreamConsumer) -> Result<(), BusError> {
    let mut stopped = false;
    while !stopped {
        let inbox: async_nats::Subject = consumer.connection.client.new_inbox().into();
        let mut messages = consumer.connection.client.subscribe(inbox.clone()).await.map_err(failed)?;
        match consumer.connection.stop.run_until_cancelled(receive(consumer, &inbox, &mut messages)).await {
            Some(priority_changed) => priority_changed?,
            None => stopped = true,
        }
        drain(consumer, messages).await?;
    }
    Ok(())
}

/// Receives deliveries until a call fails, or until this host has another
/// priority than its pending request.
async fn receive(
    consumer: &JetStreamConsumer,
    inbox: &async_nats::Subject,
    messages: &mut Subscriber,
) -> Result<(), BusError> {
    let mut subjects = consumer.subjects.subscribe();
    let mut preferred = consumer.preferred.subscribe();
    let mut durable = apply(consumer, &mut subjects).await?;
    let mut pending: Option<PendingRequest> = None;
    loop {
        let capacity = consumer.free_capacity();
        let priority = consumer_config::has_priorities(&durable).then(|| consumer.priority());
        if pending.as_ref().is_some_and(|pending| pending.priority != priority) {
            return Ok(());
        }
        let more = capacity.saturating_sub(pending.as_ref().map_or(0, |pending| pending.messages));
        if more >= READ_AHEAD / 2 {
            durable.request_batch(request(more, priority), inbox.clone()).await.map_err(failed)?;
            let lost_at = pending.map_or_else(|| Instant::now() + HEARTBEAT_TIMEOUT, |pending| pending.lost_at);
            pending = Some(PendingRequest { messages: capacity, priority, lost_at });
        }
        tokio::select! {
            biased;
            message = next(messages, pending.as_ref()) => pending = handle_message(consumer, message?, pending).await?,
            _ = subjects.changed() => durable = apply(consumer, &mut subjects).await?,
            _ = preferred.changed() => {}
            () = consumer.capacity_freed.notified() => {}
        }
    }
}

/// Ends the request, so that the broker sends no more messages to this host, and
/// receives the messages that are in transit. The bus returns them with the other
/// outstanding deliveries.
async fn drain(consumer: &JetStreamConsumer, mut messages: Subscriber) -> Result<(), BusError> {
    messages.drain().await.map_err(failed)?;
    while let Some(message) = messages.next().await {
        // The request has ended, so its errors do not matter.
        let _ = handle_message(consumer, Some(message), None).await;
    }
    Ok(())
}

async fn apply(
    consumer: &JetStreamConsumer,
    changes: &mut watch::Receiver<(u64, Subjects)>,
) -> Result<PullConsumer, BusError> {
    let (change, subjects) = changes.borrow_and_update().clone();
    let applied = subscription::apply(consumer, &subjects).await?;
    let durable = applied.consumer.clone();
    consumer.set_applied(change, applied);
    Ok(durable)
}

fn request(messages: usize, priority: Option<Priority>) -> BatchConfig {
    BatchConfig {
        batch: messages,
        expires: Some(REQUEST_EXPIRY),
        idle_heartbeat: HEARTBEAT_INTERVAL,
        group: priority.map(|_| consumer_config::PRIORITY_GROUP.to_owned()),
        priority: priority.map(|priority| priority as usize),
        ..BatchConfig::default()
    }
}

/// The next message. None if the request counts as lost.
async fn next(messages: &mut Subscriber, pending: Option<&PendingRequest>) -> Result<Option<Message>, BusError> {
    let next = match pending {
        Some(pending) => match timeout_at(pending.lost_at, messages.next()).await {
            Ok(next) => next,
            Err(_) => return Ok(None),
        },
        None => messages.next().await,
    };
    next.map(Some).ok_or_else(|| BusError("the connection was closed".to_owned()))
}

/// Handles a message of the broker. Returns the messages that are still pending.
async fn handle_message(
    consumer: &JetStreamConsumer,
    message: Option<Message>,
    pending: Option<PendingRequest>,
) -> Result<Option<PendingRequest>, BusError> {
    let Some(message) = message else { return Ok(None) };
    let lost_at = Instant::now() + HEARTBEAT_TIMEOUT;
    match message.status {
        None | Some(StatusCode::OK) => {
            consumer.receive(jetstream::Message { message, context: consumer.connection.context.clone() }).await;
            Ok(pending.and_then(|pending| pending.without(1, lost_at)))
        }
        Some(StatusCode::IDLE_HEARTBEAT) => Ok(pending.map(|pending| PendingRequest { lost_at, ..pending })),
        // A request has ended. The header has the number of messages that it did
        // not get.
        Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
            let missing =
                message.headers.as_ref().and_then(|headers| headers.get(PENDING_MESSAGES)?.as_str().parse().ok());
            Ok(pending.and_then(|pending| pending.without(missing.unwrap_or(usize::MAX), lost_at)))
        }
        Some(StatusCode::NO_RESPONDERS) => {
            consumer.connection.recheck_streams();
            Err(BusError("the broker does not know the consumer".to_owned()))
        }
        // For example, the consumer was deleted or moved to another server. The
        // caller looks it up again.
        Some(status) => Err(BusError(format!("{status}: {}", message.description.unwrap_or_default()))),
    }
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}
