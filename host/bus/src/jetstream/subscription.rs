//! What a component's durable consumer delivers.
//!
//! JetStream lets a filter be changed, but never goes back for it, and does
//! not tell where it is: what was published on a subject before it was
//! subscribed to is copied, for this component alone, behind what is in the
//! stream, and the copies count. That it has to be is noted in the consumer
//! with the same change, so that it is done whatever dies.

use super::{
    super::BusError,
    connection::{CALL_TIMEOUT, Link},
    message,
};
use async_nats::jetstream::{
    ErrorCode, Message,
    consumer::{
        AckPolicy, DeliverPolicy, PriorityPolicy, PullConsumer, ReplayPolicy,
        pull::{Config, OrderedConfig},
    },
    context::ConsumerInfoErrorKind,
    context::{GetStreamErrorKind, PublishAckFuture},
    message::PublishMessage,
    stream::Stream,
};
use futures::StreamExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// In a consumer's metadata: a name of this copying, and the subjects.
const CATCHING_UP: &str = "catching-up";
/// Copies on their way at once.
const COPIED_AT_ONCE: usize = 256;
const ATTEMPTS_TO_SEE_A_CHANGE: u32 = 100;
/// Servers from this version on deliver to some before others.
const SERVER_WITH_PRIORITIES: (i64, i64, i64) = (2, 12, 0);
/// Whoever asks a consumer with priorities says for which group it does.
pub(super) const GROUP: &str = "hosts";

/// A consumer as it is wanted.
pub(super) struct Applied {
    pub(super) consumer: PullConsumer,
    /// Subjects that were copied, and the last message up to which they were:
    /// what else comes of them up to there comes twice.
    pub(super) copied: BTreeMap<String, u64>,
}

/// Makes the consumer, or changes it, so that it delivers these subjects, each
/// from the oldest event on.
pub(super) async fn apply(link: &Link, component: &str, subjects: &BTreeSet<String>) -> Result<Applied, BusError> {
    let stream = link.context.get_stream(link.names.events()).await.map_err(|error| {
        if matches!(error.kind(), GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND) {
            link.doubt();
        }
        failed(error)
    })?;
    let wanted = config(link, component, subjects);
    if let Err(error) = stream.consumer_info(component).await {
        return match error.kind() {
            ConsumerInfoErrorKind::NotFound => {
                let consumer = stream.create_consumer(wanted).await.map_err(failed)?;
                Ok(Applied { consumer, copied: BTreeMap::new() })
            }
            _ => Err(failed(error)),
        };
    }
    let mut consumer: PullConsumer = stream.get_consumer(component).await.map_err(failed)?;
    let known_config = &consumer.cached_info().config;
    let mut missing = CatchUp::read(known_config.metadata.get(CATCHING_UP));
    let subscribed = link.names.subjects(&filters(known_config));
    missing.subjects.retain(|subject| subjects.contains(subject));
    let added = subjects.difference(&subscribed);
    if missing.add(added) || needs_change(known_config, &wanted) {
        let mut wanted = wanted.clone();
        missing.write(&mut wanted);
        consumer = stream.update_consumer(wanted).await.map_err(failed)?;
    }
    if missing.subjects.is_empty() {
        return Ok(Applied { consumer, copied: BTreeMap::new() });
    }
    sees_filter(&mut consumer, &wanted).await?;
    let last = stream.get_info().await.map_err(failed)?.state.last_sequence;
    let events = missing.copy(link, component, &stream, last).await?;
    tracing::info!(component, subjects = ?missing.subjects, events, "caught up with older events");
    let consumer = stream.update_consumer(wanted).await.map_err(failed)?;
    Ok(Applied { consumer, copied: missing.subjects.into_iter().map(|subject| (subject, last)).collect() })
}

/// Whether the consumer delivers events of this subject, as far as can be told.
pub(super) async fn includes(link: &Link, component: &str, subject: &str) -> bool {
    let known = async {
        let stream = link.context.get_stream_no_info(link.names.events()).await.map_err(failed)?;
        stream.consumer_info(component).await.map_err(failed)
    };
    let known: Result<_, BusError> = known.await;
    known.map_or(true, |info| link.names.subjects(&filters(&info.config)).contains(subject))
}

/// Whether those who ask this consumer have to say how urgent it is for them.
pub(super) fn has_priorities(consumer: &PullConsumer) -> bool {
    consumer.cached_info().config.priority_policy == PriorityPolicy::Prioritized
}

fn config(link: &Link, component: &str, subjects: &BTreeSet<String>) -> Config {
    let (major, minor, patch) = SERVER_WITH_PRIORITIES;
    let prioritized = link.client.is_server_compatible(major, minor, patch);
    Config {
        durable_name: Some(component.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: link.settings.ack_wait,
        // The host gives up, and makes a dead letter.
        max_deliver: -1,
        filter_subjects: link.names.filters(component, subjects),
        replay_policy: ReplayPolicy::Instant,
        max_ack_pending: link.settings.max_ack_pending,
        priority_policy: if prioritized { PriorityPolicy::Prioritized } else { PriorityPolicy::None },
        priority_groups: prioritized.then(|| GROUP.to_owned()).into_iter().collect(),
        ..Config::default()
    }
}

/// One filter comes back as the single one.
fn filters(config: &async_nats::jetstream::consumer::Config) -> Vec<String> {
    let single = Some(config.filter_subject.clone()).filter(|filter| !filter.is_empty());
    config.filter_subjects.iter().cloned().chain(single).collect()
}

fn needs_change(known: &async_nats::jetstream::consumer::Config, wanted: &Config) -> bool {
    let of = |filters: Vec<String>| filters.into_iter().collect::<BTreeSet<_>>();
    of(filters(known)) != of(wanted.filter_subjects.clone())
        || known.ack_wait != wanted.ack_wait
        || known.max_ack_pending != wanted.max_ack_pending
        || known.priority_policy != wanted.priority_policy
}

/// Waits until the consumer has its new filter, wherever it is kept.
async fn sees_filter(consumer: &mut PullConsumer, wanted: &Config) -> Result<(), BusError> {
    for _ in 0..ATTEMPTS_TO_SEE_A_CHANGE {
        let info = consumer.info().await.map_err(failed)?;
        if !needs_change(&info.config, wanted) {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(BusError("the consumer does not take its new filter".to_owned()))
}

/// Subjects whose older events have to be copied.
#[derive(Debug, Default, PartialEq, Eq)]
struct CatchUp {
    /// Copies bear it in their ids: those of an earlier time do not stand for
    /// those of this one.
    name: String,
    subjects: BTreeSet<String>,
}

impl CatchUp {
    fn read(text: Option<&String>) -> Self {
        let mut words = text.map(|text| text.split(' ')).into_iter().flatten().map(str::to_owned);
        Self { name: words.next().unwrap_or_default(), subjects: words.collect() }
    }

    fn add<'a>(&mut self, subjects: impl Iterator<Item = &'a String>) -> bool {
        let before = self.subjects.len();
        self.subjects.extend(subjects.cloned());
        let more = self.subjects.len() > before;
        if more {
            self.name = host_base::id::new().to_string();
        }
        more
    }

    fn write(&self, config: &mut Config) {
        if self.subjects.is_empty() {
            return;
        }
        let words = std::iter::once(self.name.as_str()).chain(self.subjects.iter().map(String::as_str));
        config.metadata.insert(CATCHING_UP.to_owned(), words.collect::<Vec<_>>().join(" "));
    }

    /// Copies what lies in the stream up to a message. Gives the number.
    async fn copy(&self, link: &Link, component: &str, stream: &Stream, last: u64) -> Result<usize, BusError> {
        let filter_subjects = self.subjects.iter().map(|subject| link.names.event(subject)).collect();
        let config = OrderedConfig { filter_subjects, ..OrderedConfig::default() };
        let reader = stream.create_consumer(config).await.map_err(failed)?;
        let mut left = reader.cached_info().num_pending;
        let mut messages = reader.messages().await.map_err(failed)?;
        let (mut copied, mut under_way) = (0, Vec::new());
        while left > 0 {
            let next = timeout(CALL_TIMEOUT, messages.next()).await.map_err(failed)?;
            let message = next.ok_or_else(|| BusError("the stream ended".to_owned()))?.map_err(failed)?;
            let info = message.info().map_err(failed)?;
            if info.stream_sequence > last {
                break;
            }
            left = info.pending;
            under_way.extend(self.copy_one(link, component, &message).await?);
            copied += 1;
            if under_way.len() == COPIED_AT_ONCE {
                settle(&mut under_way).await?;
            }
        }
        settle(&mut under_way).await?;
        Ok(copied)
    }

    async fn copy_one(
        &self,
        link: &Link,
        component: &str,
        message: &Message,
    ) -> Result<Option<PublishAckFuture>, BusError> {
        let prefix = link.names.event("");
        let Some(subject) = message.subject.strip_prefix(prefix.as_str()) else { return Ok(None) };
        // What is no event is not one when it is delivered either.
        let Ok(event) = message::read(subject, message) else { return Ok(None) };
        let headers = message::headers(&event, Some(&format!("{}/{}", self.name, event.id)))?;
        let copy = PublishMessage::build().headers(headers).payload(message.payload.clone());
        let sent = link.context.send_publish(link.names.catch_up(component, subject), copy).await;
        Ok(Some(sent.map_err(failed)?))
    }
}

async fn settle(under_way: &mut Vec<PublishAckFuture>) -> Result<(), BusError> {
    for taken in under_way.drain(..) {
        taken.await.map_err(failed)?;
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_caught_up_with_is_read_as_it_was_written() {
        let mut missing = CatchUp::read(None);
        assert_eq!(missing, CatchUp::default());
        let subjects = BTreeSet::from(["a.b".to_owned(), "c".to_owned()]);
        assert!(missing.add(subjects.iter()));
        assert!(!missing.add(subjects.iter()));
        let mut config = Config::default();
        missing.write(&mut config);
        assert_eq!(CatchUp::read(config.metadata.get(CATCHING_UP)), missing);
    }
}
