//! The durable consumer of a component and its filters.
//!
//! JetStream can change the filter of a consumer, but it does not go back in the
//! stream for a new subject, and it does not say where the consumer is. So the
//! host copies the older events of a new subject to the end of the stream, for
//! this component alone, and the component gets the copies. The same update that
//! changes the filter also notes in the consumer that copies are due. So they
//! are made even if a host or the broker dies.

use super::{
    super::BusError,
    connection::{CALL_TIMEOUT, Connection},
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

/// The key in a consumer's metadata with the id of a catch-up and its subjects.
const CATCHING_UP: &str = "catching-up";
/// The most copies without an acknowledgement at the same time.
const MAX_PENDING_COPIES: usize = 256;
const FILTER_CHECKS: u32 = 100;
/// The first version in which a consumer has priorities.
const MIN_VERSION_WITH_PRIORITIES: (i64, i64, i64) = (2, 12, 0);
/// A request to a consumer with priorities has to name this group.
pub(super) const PRIORITY_GROUP: &str = "hosts";

/// A consumer with the filters that this host needs.
pub(super) struct Applied {
    pub(super) consumer: PullConsumer,
    /// The copied subjects, each with the sequence number of the last copied
    /// message. The stream delivers messages of these subjects up to there twice.
    pub(super) copied: BTreeMap<String, u64>,
}

/// Creates or updates the consumer, so that it delivers these subjects, each from
/// the oldest event on.
pub(super) async fn apply(
    connection: &Connection,
    component: &str,
    subjects: &BTreeSet<String>,
) -> Result<Applied, BusError> {
    let stream = event_stream(connection).await?;
    let wanted = config(connection, component, subjects);
    let Some(mut consumer) = existing_consumer(&stream, component).await? else {
        let consumer = stream.create_consumer(wanted).await.map_err(failed)?;
        return Ok(Applied { consumer, copied: BTreeMap::new() });
    };
    let known_config = &consumer.cached_info().config;
    let mut catch_up = CatchUp::read(known_config.metadata.get(CATCHING_UP));
    let subscribed = connection.names.subscribed_subjects(&filters(known_config));
    catch_up.subjects.retain(|subject| subjects.contains(subject));
    let added = subjects.difference(&subscribed);
    if catch_up.add(added) || needs_change(known_config, &wanted) {
        let mut wanted = wanted.clone();
        catch_up.write(&mut wanted);
        consumer = stream.update_consumer(wanted).await.map_err(failed)?;
    }
    if catch_up.subjects.is_empty() {
        return Ok(Applied { consumer, copied: BTreeMap::new() });
    }
    wait_for_filter(&mut consumer, &wanted).await?;
    let last = stream.get_info().await.map_err(failed)?.state.last_sequence;
    let events = catch_up.copy(connection, component, &stream, last).await?;
    tracing::info!(component, subjects = ?catch_up.subjects, events, "the host copied older events for the component");
    let consumer = stream.update_consumer(wanted).await.map_err(failed)?;
    Ok(Applied { consumer, copied: catch_up.subjects.into_iter().map(|subject| (subject, last)).collect() })
}

async fn event_stream(connection: &Connection) -> Result<Stream, BusError> {
    connection.context.get_stream(connection.names.event_stream()).await.map_err(|error| {
        if matches!(error.kind(), GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND)
        {
            connection.recheck_streams();
        }
        failed(error)
    })
}

async fn existing_consumer(stream: &Stream, component: &str) -> Result<Option<PullConsumer>, BusError> {
    match stream.consumer_info(component).await {
        Ok(_) => stream.get_consumer(component).await.map(Some).map_err(failed),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Whether the consumer delivers events of this subject. Also true if the broker
/// does not answer.
pub(super) async fn includes(connection: &Connection, component: &str, subject: &str) -> bool {
    let known = async {
        let stream = connection.context.get_stream_no_info(connection.names.event_stream()).await.map_err(failed)?;
        stream.consumer_info(component).await.map_err(failed)
    };
    let known: Result<_, BusError> = known.await;
    known.map_or(true, |info| connection.names.subscribed_subjects(&filters(&info.config)).contains(subject))
}

/// Whether requests to this consumer have a priority.
pub(super) fn has_priorities(consumer: &PullConsumer) -> bool {
    consumer.cached_info().config.priority_policy == PriorityPolicy::Prioritized
}

fn config(connection: &Connection, component: &str, subjects: &BTreeSet<String>) -> Config {
    let (major, minor, patch) = MIN_VERSION_WITH_PRIORITIES;
    let prioritized = connection.client.is_server_compatible(major, minor, patch);
    Config {
        durable_name: Some(component.to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: connection.settings.ack_wait,
        // The host limits the attempts and makes the dead letter.
        max_deliver: -1,
        filter_subjects: connection.names.filters(component, subjects),
        replay_policy: ReplayPolicy::Instant,
        max_ack_pending: connection.settings.max_ack_pending,
        priority_policy: if prioritized { PriorityPolicy::Prioritized } else { PriorityPolicy::None },
        priority_groups: prioritized.then(|| PRIORITY_GROUP.to_owned()).into_iter().collect(),
        ..Config::default()
    }
}

/// The broker returns a single filter in a field of its own.
fn filters(config: &async_nats::jetstream::consumer::Config) -> Vec<String> {
    let single = Some(config.filter_subject.clone()).filter(|filter| !filter.is_empty());
    config.filter_subjects.iter().cloned().chain(single).collect()
}

fn needs_change(known: &async_nats::jetstream::consumer::Config, wanted: &Config) -> bool {
    let set = |filters: Vec<String>| filters.into_iter().collect::<BTreeSet<_>>();
    set(filters(known)) != set(wanted.filter_subjects.clone())
        || known.ack_wait != wanted.ack_wait
        || known.max_ack_pending != wanted.max_ack_pending
        || known.priority_policy != wanted.priority_policy
}

/// Waits until all servers that keep the consumer have its new filter.
async fn wait_for_filter(consumer: &mut PullConsumer, wanted: &Config) -> Result<(), BusError> {
    for _ in 0..FILTER_CHECKS {
        let info = consumer.info().await.map_err(failed)?;
        if !needs_change(&info.config, wanted) {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(BusError("the consumer does not get its new filter".to_owned()))
}

/// The subjects whose older events the host has to copy.
#[derive(Debug, Default, PartialEq, Eq)]
struct CatchUp {
    /// A part of the ids of the copies, so that the broker does not take them for
    /// the copies of an earlier catch-up.
    id: String,
    subjects: BTreeSet<String>,
}

impl CatchUp {
    fn read(text: Option<&String>) -> Self {
        let mut words = text.map(|text| text.split(' ')).into_iter().flatten().map(str::to_owned);
        Self { id: words.next().unwrap_or_default(), subjects: words.collect() }
    }

    fn add<'a>(&mut self, subjects: impl Iterator<Item = &'a String>) -> bool {
        let before = self.subjects.len();
        self.subjects.extend(subjects.cloned());
        let has_new = self.subjects.len() > before;
        if has_new {
            self.id = host_base::id::new().to_string();
        }
        has_new
    }

    fn write(&self, config: &mut Config) {
        if self.subjects.is_empty() {
            return;
        }
        let words = std::iter::once(self.id.as_str()).chain(self.subjects.iter().map(String::as_str));
        config.metadata.insert(CATCHING_UP.to_owned(), words.collect::<Vec<_>>().join(" "));
    }

    /// Copies the messages of the stream up to this sequence number. Returns the
    /// number of copies.
    async fn copy(
        &self,
        connection: &Connection,
        component: &str,
        stream: &Stream,
        last: u64,
    ) -> Result<usize, BusError> {
        let filter_subjects = self.subjects.iter().map(|subject| connection.names.event_subject(subject)).collect();
        let config = OrderedConfig { filter_subjects, ..OrderedConfig::default() };
        let reader = stream.create_consumer(config).await.map_err(failed)?;
        let mut remaining = reader.cached_info().num_pending;
        let mut messages = reader.messages().await.map_err(failed)?;
        let (mut copied, mut pending_acks) = (0, Vec::new());
        while remaining > 0 {
            let next = timeout(CALL_TIMEOUT, messages.next()).await.map_err(failed)?;
            let message = next.ok_or_else(|| BusError("the stream ended".to_owned()))?.map_err(failed)?;
            let info = message.info().map_err(failed)?;
            if info.stream_sequence > last {
                break;
            }
            remaining = info.pending;
            pending_acks.extend(self.copy_message(connection, component, &message).await?);
            copied += 1;
            if pending_acks.len() == MAX_PENDING_COPIES {
                wait_for_acks(&mut pending_acks).await?;
            }
        }
        wait_for_acks(&mut pending_acks).await?;
        Ok(copied)
    }

    async fn copy_message(
        &self,
        connection: &Connection,
        component: &str,
        message: &Message,
    ) -> Result<Option<PublishAckFuture>, BusError> {
        let prefix = connection.names.event_subject("");
        let Some(subject) = message.subject.strip_prefix(prefix.as_str()) else { return Ok(None) };
        // The consumer ignores a message that is no event, too.
        let Ok(event) = message::read(subject, message) else { return Ok(None) };
        let headers = message::headers(&event, Some(&format!("{}/{}", self.id, event.id)))?;
        let copy = PublishMessage::build().headers(headers).payload(message.payload.clone());
        let sent = connection.context.send_publish(connection.names.catch_up_subject(component, subject), copy).await;
        Ok(Some(sent.map_err(failed)?))
    }
}

async fn wait_for_acks(pending_acks: &mut Vec<PublishAckFuture>) -> Result<(), BusError> {
    for ack in pending_acks.drain(..) {
        ack.await.map_err(failed)?;
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
    fn a_catch_up_is_read_from_the_metadata_that_it_writes() {
        let mut catch_up = CatchUp::read(None);
        assert_eq!(catch_up, CatchUp::default());
        let subjects = BTreeSet::from(["a.b".to_owned(), "c".to_owned()]);
        assert!(catch_up.add(subjects.iter()));
        assert!(!catch_up.add(subjects.iter()));
        let mut config = Config::default();
        catch_up.write(&mut config);
        assert_eq!(CatchUp::read(config.metadata.get(CATCHING_UP)), catch_up);
    }
}
