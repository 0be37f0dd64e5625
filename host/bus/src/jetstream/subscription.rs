//! The durable consumer of a component and its filters.
//!
//! JetStream can change the filter of a consumer, but it does not go back in the
//! stream for a new subject, and it does not say where the consumer is. So the
//! host copies the older events of a new subject to the end of the stream, for
//! this component alone, and the component gets the copies. The same update that
//! changes the filter also notes in the consumer that copies are due. So they
//! are made even if a host or the broker dies. A subject that begins with the next
//! event has copies, too: of the events since the host noted the beginning.

use super::{
    super::{
        BusError, Subjects,
        starts::{Starts, Wanted},
    },
    connection::{CALL_TIMEOUT, Connection},
    consumer::JetStreamConsumer,
    consumer_config::{
        FILTERS, Handled, can_be_updated, config, differences, filters, has_other_filters, keep_position, start_with,
    },
    message,
};
use async_nats::jetstream::{
    ErrorCode, Message,
    consumer::{
        self, DeliverPolicy, Info, IntoConsumerConfig, PullConsumer,
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
    ops::RangeInclusive,
    time::Duration,
};
use tokio::time::{sleep, timeout};

/// The key in a consumer's metadata with the id of a catch-up and its subjects.
const CATCHING_UP: &str = "catching-up";
/// The most copies without an acknowledgement at the same time.
const MAX_PENDING_COPIES: usize = 256;
const FILTER_CHECKS: u32 = 100;

/// A consumer with the filters that this host needs.
pub(super) struct Applied {
    pub(super) consumer: PullConsumer,
    /// The copied subjects, each with the sequence number of the last copied
    /// message. The stream delivers messages of these subjects up to there twice.
    pub(super) copied: BTreeMap<String, u64>,
    /// Where the subscriptions begin.
    pub(super) starts: Starts,
}

/// Creates or updates the consumer, so that it has the settings that the host
/// relies on, and delivers these subjects, each from its beginning on.
pub(super) async fn apply(of: &JetStreamConsumer, subjects: &Subjects) -> Result<Applied, BusError> {
    let (connection, component) = (&*of.connection, of.component.as_str());
    let stream = event_stream(connection).await?;
    let handled = of.handled().in_stream(stream.cached_info());
    let all = &subjects.all();
    let mut wanted = config(connection, component, all);
    let known = existing_consumer(&stream, component).await?;
    let filters = known.as_ref().map(|known| filters(&known.config)).unwrap_or_default();
    let subscribed = &connection.names.subscribed_subjects(&filters);
    let starts = of.starts.note(stream.cached_info(), &Wanted { component, subjects, all, subscribed }).await?;
    let first = handled.next().max(starts.before_all(all).cast_unsigned() + 1);
    let Some(known) = known else {
        return create(&stream, wanted, (first, starts), &handled, "deleted").await;
    };
    keep_position(&known.config, &mut wanted);
    if !can_be_updated(&known.config, &wanted) {
        stream.delete_consumer(component).await.map_err(failed)?;
        return create(&stream, wanted, (first, starts), &handled, "replaced by a different one").await;
    }
    if known.paused {
        stream.resume_consumer(component).await.map_err(failed)?;
    }
    let mut catch_up = CatchUp::read(known.config.metadata.get(CATCHING_UP));
    catch_up.subjects.retain(|subject| all.contains(subject));
    let differences = differences(&known, &wanted);
    let gives_up = known.config.max_deliver > 0;
    let added = all.iter().filter(|subject| gives_up || !subscribed.contains(*subject));
    let consumer = if catch_up.add(added) || !differences.is_empty() {
        report(component, &differences, &handled);
        let mut wanted = wanted.clone();
        catch_up.write(&mut wanted);
        stream.update_consumer(wanted).await.map_err(failed)?
    } else {
        stream.get_consumer(component).await.map_err(failed)?
    };
    if catch_up.subjects.is_empty() {
        return Ok(Applied { consumer, copied: BTreeMap::new(), starts });
    }
    let first = if gives_up { handled.next() } else { 0 };
    finish_catch_up(connection, component, &stream, (consumer, wanted), (catch_up, first, starts)).await
}

async fn create(
    stream: &Stream,
    mut wanted: Config,
    (first, starts): (u64, Starts),
    handled: &Handled,
    event: &str,
) -> Result<Applied, BusError> {
    if handled.is_known() {
        metrics::counter!("bus_repairs_total").increment(1);
        let component = wanted.durable_name.as_deref();
        tracing::warn!(component, "the consumer was {event} by another program; the host has created it again");
    }
    start_with(first, &mut wanted);
    let consumer = stream.create_consumer(wanted).await.map_err(failed)?;
    Ok(Applied { consumer, copied: BTreeMap::new(), starts })
}

/// Logs that another program changed the consumer. The first update after a
/// start may also follow from new settings.
fn report(component: &str, differences: &[&str], handled: &Handled) {
    if differences.iter().all(|field| *field == FILTERS) {
        return;
    }
    let fields = differences.join(", ");
    if handled.is_known() {
        metrics::counter!("bus_repairs_total").increment(1);
        tracing::warn!(component, fields, "another program changed the consumer; the host has restored it");
    } else {
        tracing::info!(component, fields, "the host updated the consumer to the settings");
    }
}

/// Copies the older events that are due, and notes in the consumer that this is
/// done.
async fn finish_catch_up(
    connection: &Connection,
    component: &str,
    stream: &Stream,
    (mut consumer, wanted): (PullConsumer, Config),
    (catch_up, first, starts): (CatchUp, u64, Starts),
) -> Result<Applied, BusError> {
    wait_for_filter(&mut consumer, &wanted).await?;
    let last = stream.get_info().await.map_err(failed)?.state.last_sequence;
    let first = first.max(starts.before_all(&catch_up.subjects).cast_unsigned() + 1);
    let events = catch_up.copy(connection, component, stream, first..=last, &starts).await?;
    tracing::info!(component, subjects = ?catch_up.subjects, events, "the host copied older events for the component");
    let consumer = stream.update_consumer(wanted).await.map_err(failed)?;
    let copied = catch_up.subjects.into_iter().map(|subject| (subject, last)).collect();
    Ok(Applied { consumer, copied, starts })
}

/// The stream of events, with its current state.
pub(super) async fn event_stream(connection: &Connection) -> Result<Stream, BusError> {
    connection.context.get_stream(connection.names.event_stream()).await.map_err(|error| {
        if matches!(error.kind(), GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND)
        {
            connection.recheck_streams();
        }
        failed(error)
    })
}

async fn existing_consumer(stream: &Stream, component: &str) -> Result<Option<Info>, BusError> {
    match stream.consumer_info(component).await {
        Ok(info) => Ok(Some(info)),
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

/// Whether the host still has to copy the older events of this subject for the
/// consumer.
pub(super) fn is_catching_up(config: &consumer::Config, subject: &str) -> bool {
    let catch_up = CatchUp::read(config.metadata.get(CATCHING_UP));
    catch_up.subjects.iter().any(|due| subject.strip_suffix(due.as_str()).is_some_and(|prefix| prefix.ends_with('.')))
}

/// Waits until all servers that keep the consumer have its new filter.
async fn wait_for_filter(consumer: &mut PullConsumer, wanted: &Config) -> Result<(), BusError> {
    for _ in 0..FILTER_CHECKS {
        let info = consumer.info().await.map_err(failed)?;
        if !has_other_filters(&info.config, &wanted.clone().into_consumer_config()) {
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

    /// Copies the messages of the stream with these sequence numbers, each subject from
    /// its beginning on. Returns the number of copies.
    async fn copy(
        &self,
        connection: &Connection,
        component: &str,
        stream: &Stream,
        range: RangeInclusive<u64>,
        starts: &Starts,
    ) -> Result<usize, BusError> {
        let filter_subjects = self.subjects.iter().map(|subject| connection.names.event_subject(subject)).collect();
        let deliver_policy = match *range.start() {
            0 | 1 => DeliverPolicy::All,
            start_sequence => DeliverPolicy::ByStartSequence { start_sequence },
        };
        let config = OrderedConfig { filter_subjects, deliver_policy, ..OrderedConfig::default() };
        let reader = stream.create_consumer(config).await.map_err(failed)?;
        let name = reader.cached_info().name.clone();
        let mut remaining = reader.cached_info().num_pending;
        let mut messages = reader.messages().await.map_err(failed)?;
        let prefix = connection.names.event_subject("");
        let (mut copied, mut pending_acks) = (0, Vec::new());
        while remaining > 0 {
            let next = timeout(CALL_TIMEOUT, messages.next()).await.map_err(failed)?;
            let message = next.ok_or_else(|| BusError("the stream ended".to_owned()))?.map_err(failed)?;
            let info = message.info().map_err(failed)?;
            if info.stream_sequence > *range.end() {
                break;
            }
            remaining = info.pending;
            let subject = message.subject.strip_prefix(prefix.as_str()).unwrap_or_default();
            if info.stream_sequence <= starts.before(subject).cast_unsigned() {
                continue;
            }
            pending_acks.extend(self.copy_message(connection, component, subject, &message).await?);
            copied += 1;
            if pending_acks.len() == MAX_PENDING_COPIES {
                wait_for_acks(&mut pending_acks).await?;
            }
        }
        wait_for_acks(&mut pending_acks).await?;
        drop(messages);
        if let Err(error) = stream.delete_consumer(&name).await {
            // The broker deletes it when nobody has used it for a while.
            tracing::debug!(component, %error, "the host could not delete the consumer that read the older events");
        }
        Ok(copied)
    }

    async fn copy_message(
        &self,
        connection: &Connection,
        component: &str,
        subject: &str,
        message: &Message,
    ) -> Result<Option<PublishAckFuture>, BusError> {
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
