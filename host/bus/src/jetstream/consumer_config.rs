//! The settings of a component's consumer that the host relies on. Any program
//! with the right may change them, so the host compares all of them regularly.

use super::{connection::Connection, losses::nanoseconds};
use async_nats::jetstream::{
    consumer::{
        self, AckPolicy, DeliverPolicy, Info, IntoConsumerConfig, PriorityPolicy, PullConsumer, ReplayPolicy,
        pull::Config,
    },
    stream,
};
use std::collections::BTreeSet;

/// The key in a consumer's metadata with the sequence number at which a host let
/// the consumer start.
const STARTS_AT: &str = "starts-at";
/// The most requests that wait at the broker. It is the broker's default.
const MAX_WAITING: i64 = 512;
/// The name of a consumer's filters among its settings.
pub(super) const FILTERS: &str = "filter_subjects";
/// The first version in which a consumer has priorities.
const MIN_VERSION_WITH_PRIORITIES: (i64, i64, i64) = (2, 12, 0);
/// A request to a consumer with priorities has to name this group.
pub(super) const PRIORITY_GROUP: &str = "hosts";

/// Whether requests to this consumer have a priority.
pub(super) fn has_priorities(consumer: &PullConsumer) -> bool {
    consumer.cached_info().config.priority_policy == PriorityPolicy::Prioritized
}

/// The settings of a component's consumer.
pub(super) fn config(connection: &Connection, component: &str, subjects: &BTreeSet<String>) -> Config {
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
        max_waiting: MAX_WAITING,
        max_ack_pending: connection.settings.max_ack_pending,
        priority_policy: if prioritized { PriorityPolicy::Prioritized } else { PriorityPolicy::None },
        priority_groups: prioritized.then(|| PRIORITY_GROUP.to_owned()).into_iter().collect(),
        ..Config::default()
    }
}

/// The broker returns a single filter in a field of its own.
pub(super) fn filters(config: &consumer::Config) -> Vec<String> {
    let single = Some(config.filter_subject.clone()).filter(|filter| !filter.is_empty());
    config.filter_subjects.iter().cloned().chain(single).collect()
}

/// Keeps what a host has set when it created the consumer, and what an operator
/// may set.
pub(super) fn keep_position(known: &consumer::Config, wanted: &mut Config) {
    if let DeliverPolicy::ByStartSequence { start_sequence } = known.deliver_policy
        && known.metadata.get(STARTS_AT) == Some(&start_sequence.to_string())
    {
        wanted.deliver_policy = known.deliver_policy;
        wanted.metadata.insert(STARTS_AT.to_owned(), start_sequence.to_string());
    }
    wanted.description.clone_from(&known.description);
    wanted.sample_frequency = known.sample_frequency;
}

/// Lets a new consumer start with this sequence number: after what the component has
/// handled, as far as this host knows it, and after its subscriptions begin.
pub(super) fn start_with(start_sequence: u64, wanted: &mut Config) {
    if start_sequence > 1 {
        wanted.deliver_policy = DeliverPolicy::ByStartSequence { start_sequence };
        wanted.metadata.insert(STARTS_AT.to_owned(), start_sequence.to_string());
    }
}

/// Whether the broker can give the consumer the wanted settings. If not, only a
/// new consumer can have them.
pub(super) fn can_be_updated(known: &consumer::Config, wanted: &Config) -> bool {
    known.deliver_subject.is_none()
        && known.deliver_policy == wanted.deliver_policy
        && known.ack_policy == wanted.ack_policy
        && known.replay_policy == wanted.replay_policy
        && known.memory_storage == wanted.memory_storage
        && known.max_waiting == wanted.max_waiting
}

/// The settings that the host relies on and that the consumer does not have.
pub(super) fn differences(known: &Info, wanted: &Config) -> Vec<&'static str> {
    let config = &known.config;
    let wanted: consumer::Config = wanted.clone().into_consumer_config();
    macro_rules! different {
        ($($field:ident)*) => { [$((stringify!($field), config.$field != wanted.$field)),*] };
    }
    let fields = different!(
        deliver_subject deliver_group deliver_policy ack_policy ack_wait max_deliver replay_policy rate_limit
        max_waiting max_ack_pending headers_only flow_control idle_heartbeat max_batch max_bytes max_expires
        inactive_threshold num_replicas memory_storage backoff priority_policy priority_groups priority_timeout
    );
    let of_filters = (FILTERS, has_other_filters(config, &wanted));
    let paused = ("pause_until", known.paused);
    fields.into_iter().chain([of_filters, paused]).filter(|(_, differs)| *differs).map(|(field, _)| field).collect()
}

/// Whether a consumer selects other subjects.
pub(super) fn has_other_filters(known: &consumer::Config, wanted: &consumer::Config) -> bool {
    let set = |config| filters(config).into_iter().collect::<BTreeSet<_>>();
    set(known) != set(wanted)
}

/// The last event that a component has handled, as far as this host has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Handled {
    /// This host has not set up the consumer before.
    #[default]
    NotSetUp,
    /// This host has set up the consumer.
    SetUp,
    /// All events of the stream with this time of creation, up to this sequence
    /// number.
    UpTo(i64, u64),
}

impl Handled {
    /// What holds in this stream.
    pub(super) fn in_stream(self, stream: &stream::Info) -> Self {
        match self {
            Self::UpTo(created_ns, floor)
                if created_ns == nanoseconds(stream.created) && floor <= stream.state.last_sequence =>
            {
                self
            }
            Self::UpTo(..) => Self::SetUp,
            other => other,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        *self != Self::NotSetUp
    }

    /// The first sequence number that the component may not have handled.
    pub(super) fn next(&self) -> u64 {
        if let Self::UpTo(_, floor) = self { floor + 1 } else { 0 }
    }
}
