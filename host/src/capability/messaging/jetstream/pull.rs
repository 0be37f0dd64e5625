//! Asks the broker for a component's deliveries, as many as there is room for,
//! and begins anew after whatever happens to the connection.

use super::{
    super::{BusError, Subjects},
    consumer::{JetStreamConsumer, READ_AHEAD},
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

/// A request that finds nothing ends after this.
const EXPIRES: Duration = Duration::from_secs(30);
/// The broker says this often that it still knows of a request.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Without a word for so long it has forgotten the request.
const SILENCE: Duration = Duration::from_secs(5);
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

/// What was asked for and has not come.
struct Asked {
    messages: usize,
    /// When it is forgotten, unless something is heard before.
    silent_at: Instant,
}

/// Takes deliveries until something fails or the bus is closed.
async fn deliveries(consumer: &JetStreamConsumer) -> Result<(), BusError> {
    let inbox: async_nats::Subject = consumer.link.client.new_inbox().into();
    let mut messages = consumer.link.client.subscribe(inbox.clone()).await.map_err(failed)?;
    match consumer.link.stop.run_until_cancelled(receive(consumer, &inbox, &mut messages)).await {
        Some(ended) => ended,
        None => take_what_is_on_its_way(consumer, messages).await,
    }
}

async fn receive(
    consumer: &JetStreamConsumer,
    inbox: &async_nats::Subject,
    messages: &mut Subscriber,
) -> Result<(), BusError> {
    let mut wanted = consumer.wanted.subscribe();
    let durable = apply(consumer, &mut wanted).await?;
    let mut asked: Option<Asked> = None;
    loop {
        let room = consumer.room();
        if asked.is_none() && room >= READ_AHEAD / 2 {
            durable.request_batch(request(room), inbox.clone()).await.map_err(failed)?;
            asked = Some(Asked { messages: room, silent_at: Instant::now() + SILENCE });
        }
        tokio::select! {
            biased;
            message = next(messages, asked.as_ref()) => asked = hear(consumer, message?, asked).await?,
            _ = wanted.changed() => drop(apply(consumer, &mut wanted).await?),
            () = consumer.taken.notified(), if asked.is_none() => {}
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

fn request(messages: usize) -> BatchConfig {
    BatchConfig { batch: messages, expires: Some(EXPIRES), idle_heartbeat: HEARTBEAT, ..BatchConfig::default() }
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
            let left = asked.map_or(0, |asked| asked.messages.saturating_sub(1));
            Ok((left > 0).then_some(Asked { messages: left, silent_at }))
        }
        Some(StatusCode::IDLE_HEARTBEAT) => Ok(asked.map(|asked| Asked { silent_at, ..asked })),
        // The request has ended.
        Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => Ok(None),
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
