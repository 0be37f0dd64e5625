//! Makes room in the stream of events when it is nearly full.
//!
//! The stream keeps handled events for subscribers to come. When it is nearly
//! full, the host deletes the oldest events that every component has
//! acknowledged. The host does it itself, because a stream with the broker's
//! interest retention would delete an event as soon as a consumer is deleted or
//! changed, and would keep no past events for a new subscriber.

use super::{
    super::BusError,
    connection::Connection,
    consumer::JetStreamConsumer,
    consumer_config,
    losses::Progress,
    subscription::{self, is_catching_up},
};
use async_nats::jetstream::{
    self, ErrorCode,
    consumer::Info,
    context::{PublishError, PublishErrorKind},
    stream::{self, Stream},
};
use futures::TryStreamExt;
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    sync::Arc,
};

/// The host makes room when this part of the limit is used.
const NEARLY_FULL_PERCENT: u64 = 80;
/// Handled events may use this part of the limit afterwards.
const KEPT_PERCENT: u64 = 50;
/// The key in the stream's metadata with the last sequence number that a host
/// has deleted.
const MADE_ROOM_UP_TO: &str = "made-room-up-to";

/// The stream of events and the consumers of all components.
pub(super) struct Contents {
    pub(super) stream: Stream,
    pub(super) info: stream::Info,
    /// The consumers of components, also of those that only other hosts run.
    pub(super) consumers: Vec<Info>,
}

impl Contents {
    /// Reads the stream first. So an idle consumer has handled all events of the
    /// stream that this value shows.
    pub(super) async fn read(connection: &Connection) -> Result<Self, BusError> {
        let stream = subscription::event_stream(connection).await?;
        let info = stream.cached_info().clone();
        let all: Vec<Info> = stream.consumers().try_collect().await.map_err(failed)?;
        // Consumers of other programs are theirs to care for.
        let is_of_a_component = |info: &Info| {
            let own = connection.names.redelivery_subject(&info.name, ">");
            consumer_config::filters(&info.config).contains(&own)
        };
        Ok(Self { stream, info, consumers: all.into_iter().filter(is_of_a_component).collect() })
    }

    /// The last sequence number that a host has deleted to make room.
    pub(super) fn made_room_up_to(&self) -> u64 {
        let metadata = &self.info.config.metadata;
        metadata.get(MADE_ROOM_UP_TO).and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    fn is_nearly_full(&self) -> bool {
        let limit = u64::try_from(self.info.config.max_bytes).unwrap_or(0);
        limit > 0 && self.info.state.bytes > limit / 100 * NEARLY_FULL_PERCENT
    }

    /// The last sequence number that the host deletes if nothing waits. The older
    /// part of the stream is deleted, and the newer part is kept.
    fn target(&self) -> u64 {
        let state = &self.info.state;
        let limit = u64::try_from(self.info.config.max_bytes).ok().filter(|limit| *limit > 0);
        // Without a limit of the stream the server's own limit is reached.
        let kept = limit.unwrap_or(state.bytes).min(state.bytes) / 100 * KEPT_PERCENT;
        let sequences = (state.last_sequence + 1).saturating_sub(state.first_sequence);
        let part =
            u128::from(sequences) * u128::from(state.bytes.saturating_sub(kept)) / u128::from(state.bytes.max(1));
        state.first_sequence.saturating_sub(1) + u64::try_from(part).unwrap_or(sequences)
    }

    /// The last sequence number of a subject that all components have handled.
    fn handled(&self, subject: &str, hold_catch_up: bool) -> u64 {
        let last = self.info.state.last_sequence;
        let floors = self.consumers.iter().filter_map(|info| {
            let filters = consumer_config::filters(&info.config);
            if !filters.iter().any(|filter| selects(filter, subject)) {
                return None;
            }
            let waits_for_older = hold_catch_up && is_catching_up(&info.config, subject);
            Some(if waits_for_older { 0 } else { Progress::new(info, last).floor })
        });
        floors.min().unwrap_or(last).min(last)
    }

    /// The components that hold back the most events, for people.
    fn waiting(&self) -> String {
        let mut waiting: Vec<(u64, &str)> =
            self.consumers.iter().map(|info| (unhandled(info), info.name.as_str())).collect();
        waiting.retain(|(events, _)| *events > 0);
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        let shown: Vec<String> = waiting.iter().take(5).map(|(events, name)| format!("{events} for {name}")).collect();
        if shown.is_empty() { "no event waits".to_owned() } else { format!("events wait: {}", shown.join(", ")) }
    }
}

fn unhandled(info: &Info) -> u64 {
    info.num_pending + info.num_ack_pending as u64
}

/// Whether a filter selects a subject. The filters of components have at most
/// the wildcard `>` at the end.
fn selects(filter: &str, subject: &str) -> bool {
    filter == subject || filter.strip_suffix('>').is_some_and(|beginning| subject.starts_with(beginning))
}

/// Makes room if the stream is nearly full.
pub(super) async fn keep(
    connection: &Connection,
    contents: &Contents,
    own: &[Arc<JetStreamConsumer>],
) -> Result<(), BusError> {
    if contents.is_nearly_full() {
        make(connection, contents, own, true).await?;
    }
    Ok(())
}

/// Makes room because the broker has refused an event.
pub(super) async fn make_now(connection: &Connection, own: &[Arc<JetStreamConsumer>]) -> Result<(), BusError> {
    let contents = Contents::read(connection).await?;
    make(connection, &contents, own, false).await
}

/// The reason of a refusal, with its cure, if the broker has no room for the
/// event.
pub(super) fn refusal(error: &PublishError) -> Option<&'static str> {
    if error.kind() != PublishErrorKind::Other {
        return None;
    }
    let cause = error.source()?.downcast_ref::<jetstream::Error>()?;
    match cause.error_code() {
        ErrorCode::STREAM_STORE_FAILED => Some("the stream is full, see messaging.nats.max_bytes"),
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => {
            Some("the NATS account has used its storage, see the JetStream limits of the account")
        }
        ErrorCode::INSUFFICIENT_RESOURCES | ErrorCode::STORAGE_RESOURCES_EXCEEDED => {
            Some("the NATS server has used its storage, see jetstream.max_file_store and the disk of the server")
        }
        _ => None,
    }
}

/// The text of the problem that the bus is full.
pub(super) async fn full(connection: &Connection, refusal: &str) -> String {
    let waiting = Contents::read(connection).await.map_or_else(|error| error.0, |contents| contents.waiting());
    format!("the event bus is full, and new events wait in the outboxes: {refusal}; {waiting}")
}

async fn make(
    connection: &Connection,
    contents: &Contents,
    own: &[Arc<JetStreamConsumer>],
    hold_catch_up: bool,
) -> Result<(), BusError> {
    // A consumer that somebody deleted says no more what its component needs.
    let names: BTreeSet<&str> = contents.consumers.iter().map(|info| info.name.as_str()).collect();
    if let Some(missing) = own.iter().find(|consumer| !names.contains(consumer.component.as_str())) {
        return Err(BusError(format!(
            "the consumer {} does not exist, so the host deletes nothing",
            missing.component
        )));
    }
    let subjects: BTreeMap<String, usize> =
        contents.stream.info_with_subjects(">").await.map_err(failed)?.try_collect().await.map_err(failed)?;
    let handled: Vec<(String, u64)> = subjects
        .into_keys()
        .map(|subject| {
            let up_to = contents.handled(&subject, hold_catch_up);
            (subject, up_to)
        })
        .collect();
    // If the older part of the stream waits, the host deletes from the newer part.
    for target in [contents.target(), contents.info.state.last_sequence] {
        let deleted = delete(connection, contents, &handled, target).await?;
        if deleted > 0 {
            tracing::info!(deleted, "the host deleted the oldest handled events, because the bus is nearly full");
            break;
        }
    }
    Ok(())
}

/// Deletes the handled events of each subject up to a sequence number. Returns
/// their number.
async fn delete(
    connection: &Connection,
    contents: &Contents,
    handled: &[(String, u64)],
    target: u64,
) -> Result<u64, BusError> {
    let up_to = handled.iter().map(|(_, up_to)| *up_to.min(&target)).max().unwrap_or_default();
    if up_to < contents.info.state.first_sequence {
        return Ok(0);
    }
    note(connection, contents, up_to).await;
    let mut deleted = 0;
    for (subject, up_to) in handled {
        let purge = contents.stream.purge().filter(subject).sequence(up_to.min(&target) + 1);
        deleted += purge.await.map_err(|error| BusError(connection.rights.explain(&error.to_string())))?.purged;
    }
    Ok(deleted)
}

/// Notes in the stream what the hosts delete, so that no host takes these events
/// for lost.
async fn note(connection: &Connection, contents: &Contents, up_to: u64) {
    if up_to <= contents.made_room_up_to() {
        return;
    }
    let mut config = contents.info.config.clone();
    config.metadata.insert(MADE_ROOM_UP_TO.to_owned(), up_to.to_string());
    if let Err(error) = connection.context.update_stream(&config).await {
        tracing::debug!(%error, "the host could not note in the stream which events it deletes");
    }
}

fn failed(error: impl std::fmt::Display) -> BusError {
    BusError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::selects;

    #[test]
    fn a_filter_selects_its_subject_or_those_below() {
        assert!(selects("a.b", "a.b") && selects("a.>", "a.b.c"));
        assert!(!selects("a.b", "a.b.c") && !selects("a.>", "ab") && !selects("a.>", "a"));
    }
}
