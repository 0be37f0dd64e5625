//! Asks the broker for a component's deliveries, as many as there is room for,
//! and begins anew after whatever happens to the connection.

use super::{
    super::{BusError, Subjects},
    consumer::{JetStreamConsumer, Priority, READ_AHEAD},
    subscription,
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

/// A request that finds nothing ends after this. A host that stands still is
/// delivered to for as long.
const EXPIRES: Duration = Duration::from_secs(10);
/// The broker says this often that it still knows of a request.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Without a word for so long it has forgotten the request.
const SILENCE: Duration = Duration::from_secs(5);
/// The header with the number of messages that a request did not get.
const MISSING: &str = "Nats-Pending-Messages";
const AFTER_AN_ERROR: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Runs until the bus is closed.
pub(super) async fn pull(consumer: Arc<JetStreamConsumer>) {
    let _ended = consumer.pull_ended.clone().drop_guard();
    let stop = consumer.link.stop.clone();
    let mut pause = AFTER_AN_ERROR;
    while stop.run_until_cancelled(consumer.link.usable()).await.is_some() {
        let begun = Instant::now();
        tokio::select! {
            () = consumer.link.unusable() => {}
            ended = deliveries(&consumer) => {
                if stop.is_cancelled() {
                    return;
                }
                if let Err(error) = ended {
                    tracing::warn!(component = consumer.component, %error, "no events: trying again");
                }
                pause = if begun.elapsed() > LONGEST_PAUSE { AFTER_AN_ERROR } else { (pause * 2).min(LONGEST_PAUSE) };
                stop.run_until_cancelled(sleep(pause)).await;
            }
        }
    }
}

/// What was asked for and has not come, of one request or two: the next one is
/// made before the last has all that it wanted, so that there is always one.
struct Asked {
    messages: usize,
    /// None where the broker knows of none.
    priority: Option<Priority>,
    /// When it is forgotten, unless something is heard before.
    silent_at: Instant,
}

impl Asked {
    /// When so many have come, or will not. None if that is all.
    fn less(self, messages: usize, silent_at: Instant) -> Option<Self> {
        let messages = self.messages.saturating_sub(messages);
        (messages > 0).then_some(Self { messages, silent_at, ..self })
    }
}

/// Takes deliveries until something fails or the bus is closed.
async fn deliveries(consumer: &JetStreamConsumer) -> Result<(), BusError> {
    let mut stopped = false;
    while !stopped {
        let inbox: async_nats::Subject = consumer.link.client.new_inbox().into();
        let mut messages = consumer.link.client.subscribe(inbox.clone()).await.map_err(failed)?;
        match consumer.link.stop.run_until_cancelled(receive(consumer, &inbox, &mut messages)).await {
            Some(outdated) => outdated?,
            None => stopped = true,
        }
        take_what_is_on_its_way(consumer, messages).await?;
    }
    Ok(())
}

/// Takes deliveries until something fails, or what was asked for was asked for
/// with another priority than this host has now.
async fn receive(
    consumer: &JetStreamConsumer,
    inbox: &async_nats::Subject,
    messages: &mut Subscriber,
) -> Result<(), BusError> {
    let mut wanted = consumer.wanted.subscribe();
    let mut preferred = consumer.preferred.subscribe();
    let mut durable = apply(consumer, &mut wanted).await?;
    let mut asked: Option<Asked> = None;
    loop {
        let room = consumer.room();
        let priority = subscription::has_priorities(&durable).then(|| consumer.priority());
        if asked.as_ref().is_some_and(|asked| asked.priority != priority) {
            return Ok(());
        }
        let more = room.saturating_sub(asked.as_ref().map_or(0, |asked| asked.messages));
        if more >= READ_AHEAD / 2 {
            durable.request_batch(request(more, priority), inbox.clone()).await.map_err(failed)?;
            let silent_at = asked.map_or_else(|| Instant::now() + SILENCE, |asked| asked.silent_at);
            asked = Some(Asked { messages: room, priority, silent_at });
        }
        tokio::select! {
            biased;
            message = next(messages, asked.as_ref()) => asked = hear(consumer, message?, asked).await?,
            _ = wanted.changed() => durable = apply(consumer, &mut wanted).await?,
            _ = preferred.changed() => {}
            () = consumer.taken.notified() => {}
        }
    }
}

/// Ends the request, so that nothing more is sent here, and takes what was
/// sent before: the bus gives it back with the rest.
async fn take_what_is_on_its_way(consumer: &JetStreamConsumer, mut messages: Subscriber) -> Result<(), BusError> {
    messages.drain().await.map_err(failed)?;
    while let Some(message) = messages.next().await {
        // That the request has ended, in whatever way, is no news.
        let _ = hear(consumer, Some(message), None).await;
    }
    Ok(())
}

async fn apply(
    consumer: &JetStreamConsumer,
    wanted: &mut watch::Receiver<(u64, Subjects)>,
) -> Result<PullConsumer, BusError> {
    let (change, subjects) = wanted.borrow_and_update().clone();
    let applied = subscription::apply(&consumer.link, &consumer.component, &subjects.all()).await?;
    consumer.set_applied(change, applied.copied);
    Ok(applied.consumer)
}

fn request(messages: usize, priority: Option<Priority>) -> BatchConfig {
    BatchConfig {
        batch: messages,
        expires: Some(EXPIRES),
        idle_heartbeat: HEARTBEAT,
        group: priority.map(|_| subscription::GROUP.to_owned()),
        priority: priority.map(|priority| priority as usize),
        ..BatchConfig::default()
    }
}

/// The next message. None when nothing was heard for too long.
async fn next(messages: &mut Subscriber, asked: Option<&Asked>) -> Result<Option<Message>, BusError> {
    let next = match asked {
        Some(asked) => match timeout_at(asked.silent_at, messages.next()).await {
            Ok(next) => next,
            Err(_) => return Ok(None),
        },
        None => messages.next().await,
    };
    next.map(Some).ok_or_else(|| BusError("the connection was closed".to_owned()))
}

/// Gives what is still to come.
async fn hear(
    consumer: &JetStreamConsumer,
    message: Option<Message>,
    asked: Option<Asked>,
) -> Result<Option<Asked>, BusError> {
    let Some(message) = message else { return Ok(None) };
    let silent_at = Instant::now() + SILENCE;
    match message.status {
        None | Some(StatusCode::OK) => {
            consumer.take(jetstream::Message { message, context: consumer.link.context.clone() }).await;
            Ok(asked.and_then(|asked| asked.less(1, silent_at)))
        }
        Some(StatusCode::IDLE_HEARTBEAT) => Ok(asked.map(|asked| Asked { silent_at, ..asked })),
        // A request has ended, and says what is missing.
        Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
            let missing = message.headers.as_ref().and_then(|headers| headers.get(MISSING)?.as_str().parse().ok());
            Ok(asked.and_then(|asked| asked.less(missing.unwrap_or(usize::MAX), silent_at)))
        }
        Some(StatusCode::NO_RESPONDERS) => {
            consumer.link.doubt();
            Err(BusError("nobody knows the consumer".to_owned()))
        }
        // The consumer moved to another server, was deleted, or the like: it
        // is looked for anew.
        Some(status) => Err(BusError(format!("{status}: {}", message.description.unwrap_or_default()))),
    }
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}
