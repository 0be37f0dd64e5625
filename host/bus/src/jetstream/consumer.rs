//! The deliveries of one component. A consumer lives as long as the bus.
//!
//! One task requests a few deliveries at a time from the broker (`pull`).
//! Another task reports progress on all outstanding deliveries, so that the
//! broker does not deliver them to another host.

use super::{
    super::{BusError, Consumer, Delivery, Subjects, starts::Starts},
    connection::{CALL_TIMEOUT, Connection},
    consumer_config::Handled,
    message,
    names::SubjectKind,
    pull::pull,
    start_store::StartStore,
    subscription::{self, Applied},
};
use async_nats::{
    Subject,
    jetstream::{AckKind, Message},
};
use async_trait::async_trait;
use futures::future::join_all;
use host_base::Event;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// The most deliveries in the queue. Other hosts get the deliveries for which
/// this host has no capacity.
pub(super) const READ_AHEAD: usize = 16;
/// The number of progress reports within the broker's acknowledgement wait.
const REPORTS_PER_ACK_WAIT: u32 = 4;
/// The delay of an event that this host returns because only other hosts
/// subscribe to it. Within the delay another host may take it.
const RETURN_DELAY: Duration = Duration::from_secs(1);

/// The number of times that this host returns an event that lacks its payload.
const MAX_RETURNS: u32 = 20;

pub(super) struct JetStreamConsumer {
    pub(super) component: String,
    pub(super) connection: Arc<Connection>,
    pub(super) starts: StartStore,
    /// The subjects of the component, and the number of their changes.
    pub(super) subjects: watch::Sender<(u64, Subjects)>,
    /// Whether the broker delivers to this host first.
    pub(super) preferred: watch::Sender<bool>,
    /// The last change that the broker knows.
    applied: watch::Sender<u64>,
    /// The last handled event, for a repair of the broker's consumer.
    handled: Mutex<Handled>,
    /// See [`Applied`].
    copied: Mutex<BTreeMap<String, u64>>,
    /// Where the subscriptions begin.
    begun: Mutex<Starts>,
    outstanding: Mutex<Outstanding>,
    arrived: Notify,
    /// The queue has capacity for another delivery.
    pub(super) capacity_freed: Notify,
    /// Cancelled when the broker sends no more deliveries to this host.
    pub(super) pull_ended: CancellationToken,
    next_token: AtomicI64,
}

/// The priority of a host among the hosts that request deliveries of one
/// component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    Preferred = 0,
    Normal = 1,
}

/// The deliveries that are not acknowledged.
#[derive(Default)]
struct Outstanding {
    queue: VecDeque<QueuedDelivery>,
    /// The subjects for acknowledgements, by token. They include the deliveries
    /// that a handler works on.
    replies: HashMap<i64, Subject>,
}

struct QueuedDelivery {
    delivery: Delivery,
    /// The component gets a redelivery without a subscription too.
    is_redelivery: bool,
}

impl JetStreamConsumer {
    pub(super) fn start(
        component: &str,
        connection: Arc<Connection>,
        starts: StartStore,
        subjects: Subjects,
    ) -> Arc<Self> {
        let consumer = Arc::new(Self {
            component: component.to_owned(),
            connection,
            starts,
            subjects: watch::Sender::new((1, subjects)),
            preferred: watch::Sender::new(false),
            applied: watch::Sender::new(0),
            handled: Mutex::default(),
            copied: Mutex::default(),
            begun: Mutex::default(),
            outstanding: Mutex::default(),
            arrived: Notify::new(),
            capacity_freed: Notify::new(),
            pull_ended: CancellationToken::new(),
            next_token: AtomicI64::new(0),
        });
        tokio::spawn(pull(consumer.clone()));
        tokio::spawn(consumer.clone().report_progress());
        consumer
    }

    /// Replaces the subjects, and returns the queued deliveries of other
    /// subjects to the broker.
    pub(super) async fn set_subjects(&self, subjects: Subjects) {
        let removed: Vec<Subject> = {
            let Outstanding { queue, replies } = &mut *self.outstanding();
            let (kept, removed): (VecDeque<QueuedDelivery>, VecDeque<QueuedDelivery>) = queue
                .drain(..)
                .partition(|next| next.is_redelivery || subjects.this_host.contains(&next.delivery.event.subject));
            *queue = kept;
            removed.iter().filter_map(|next| replies.remove(&next.delivery.token)).collect()
        };
        self.subjects.send_if_modified(|(changes, known)| {
            let changed = *known != subjects;
            *changes += u64::from(changed);
            *known = subjects;
            changed
        });
        self.forget_handled();
        for reply in removed {
            self.try_reply(reply, AckKind::Nak(Some(RETURN_DELAY))).await;
        }
    }

    /// Replaces the subjects of other hosts.
    pub(super) fn set_subjects_of_other_hosts(&self, subjects: BTreeSet<String>) {
        self.subjects.send_if_modified(|(changes, known)| {
            let changed = known.other_hosts != subjects;
            *changes += u64::from(changed);
            known.other_hosts = subjects;
            changed
        });
        self.forget_handled();
    }

    /// Waits until the broker knows the subjects. False if it does not know them
    /// in time.
    pub(super) async fn wait_until_applied(&self, limit: Duration) -> bool {
        let change = self.subjects.borrow().0;
        let mut applied = self.applied.subscribe();
        timeout(limit, applied.wait_for(|applied| *applied >= change)).await.is_ok()
    }

    /// Sets up the broker's consumer again, because it has changed.
    pub(super) fn reapply(&self) {
        self.subjects.send_modify(|(changes, _)| *changes += 1);
    }

    pub(super) fn handled(&self) -> Handled {
        *self.handled.lock()
    }

    /// Notes what the component has handled, at a time at which the broker's
    /// consumer had the right settings.
    pub(super) fn set_handled(&self, stream_created_ns: i64, up_to: u64) {
        *self.handled.lock() = Handled::UpTo(stream_created_ns, up_to);
    }

    /// The component may subscribe to more subjects than before.
    fn forget_handled(&self) {
        let mut handled = self.handled.lock();
        if matches!(*handled, Handled::UpTo(..)) {
            *handled = Handled::SetUp;
        }
    }

    /// Whether the broker has the latest subjects.
    pub(super) fn is_applied(&self) -> bool {
        *self.applied.borrow() >= self.subjects.borrow().0
    }

    pub(super) fn set_applied(&self, change: u64, applied: Applied) {
        let mut handled = self.handled.lock();
        if *handled == Handled::NotSetUp {
            *handled = Handled::SetUp;
        }
        drop(handled);
        self.copied.lock().extend(applied.copied);
        *self.begun.lock() = applied.starts;
        self.applied.send_replace(change);
    }

    /// Whether the stream also has a copy of this message for the component, or the
    /// component subscribed after it.
    fn is_skipped(&self, subject: &str, message: &Message) -> bool {
        let copied = self.copied.lock().get(subject).copied().unwrap_or(0);
        let last = copied.max(self.begun.lock().before(subject).cast_unsigned());
        last > 0 && message.info().is_ok_and(|info| info.stream_sequence <= last)
    }

    /// The priority of this host. A host that does not subscribe to all subjects
    /// is never preferred, because the broker would send it the events that it
    /// returns again and again.
    pub(super) fn priority(&self) -> Priority {
        let takes_all = {
            let (_, subjects) = &*self.subjects.borrow();
            subjects.other_hosts.is_subset(&subjects.this_host)
        };
        if takes_all && *self.preferred.borrow() { Priority::Preferred } else { Priority::Normal }
    }

    /// The number of deliveries that the queue has capacity for.
    pub(super) fn free_capacity(&self) -> usize {
        READ_AHEAD.saturating_sub(self.outstanding().queue.len())
    }

    /// Queues a message of the broker, returns it to the broker, or ends its
    /// delivery.
    pub(super) async fn receive(&self, message: Message) {
        let Some(reply) = message.reply.clone() else { return };
        let attempt = message.info().map_or(1, |info| u32::try_from(info.delivered).unwrap_or(1));
        let kind = self.connection.names.kind_of(&self.component, &message.subject);
        let subject = kind.as_ref().map_or("", SubjectKind::event_subject);
        let is_redelivery = matches!(kind, Some(SubjectKind::Redelivery(_)));
        let is_subscribed = kind.is_some() && self.subjects.borrow().1.this_host.contains(subject);
        if !is_redelivery && !is_subscribed {
            return self.return_or_end(reply, subject).await;
        }
        if attempt <= MAX_RETURNS && message::lacks_payload(&message) {
            // Somebody has changed the consumer so that it sends headers alone.
            self.reapply();
            return self.try_reply(reply, AckKind::Nak(Some(RETURN_DELAY))).await;
        }
        if matches!(kind, Some(SubjectKind::Event(_))) && self.is_skipped(subject, &message) {
            return self.try_reply(reply, AckKind::Term).await;
        }
        match message::read(subject, &message) {
            Ok(event) => self.push(event, attempt, reply, is_redelivery),
            Err(reason) => {
                let subject = message.subject.as_str();
                tracing::warn!(
                    component = self.component,
                    subject,
                    reason,
                    "the host ignores a message that is no event"
                );
                metrics::counter!("bus_messages_ignored_total", "component" => self.component.clone()).increment(1);
                self.try_reply(reply, AckKind::Term).await;
            }
        }
    }

    fn push(&self, event: Event, attempt: u32, reply: Subject, is_redelivery: bool) {
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        let mut outstanding = self.outstanding();
        outstanding.replies.insert(token, reply);
        outstanding.queue.push_back(QueuedDelivery { delivery: Delivery { event, attempt, token }, is_redelivery });
        drop(outstanding);
        self.arrived.notify_one();
    }

    /// Returns an event to the broker that another host may subscribe to, even
    /// if this host does not know that yet. If the broker's consumer no longer
    /// includes the subject, no host subscribes, and the delivery ends. A later
    /// subscription copies the event.
    async fn return_or_end(&self, reply: Subject, subject: &str) {
        let is_known = self.subjects.borrow().1.other_hosts.contains(subject);
        let is_included = is_known || subscription::includes(&self.connection, &self.component, subject).await;
        self.try_reply(reply, if is_included { AckKind::Nak(Some(RETURN_DELAY)) } else { AckKind::Term }).await;
    }

    /// Sends the broker a reply whose loss does no harm.
    async fn try_reply(&self, reply: Subject, kind: AckKind) {
        if let Err(error) = self.connection.client.publish(reply, kind.into()).await {
            tracing::debug!(component = self.component, %error, "a reply did not reach the broker");
        }
    }

    /// Sends the outcome of a delivery. It does not wait for a confirmation of
    /// the broker. If the outcome gets lost, the broker delivers the event again,
    /// and the component's inbox recognizes it.
    async fn send_outcome(&self, delivery: &Delivery, outcome: AckKind) -> Result<(), BusError> {
        let Some(reply) = self.outstanding().replies.remove(&delivery.token) else {
            return Err(BusError("this delivery already has an outcome".to_owned()));
        };
        self.connection.require_available()?;
        self.connection.client.publish(reply, outcome.into()).await.map_err(|error| BusError(error.to_string()))
    }

    /// Reports progress on the outstanding deliveries, so that the broker does not
    /// deliver them again. A delivery that arrived since the last report has time
    /// until the next one, and most deliveries are acknowledged by then.
    async fn report_progress(self: Arc<Self>) {
        let stop = self.connection.stop.clone();
        let mut ticks =
            interval((self.connection.settings.ack_wait / REPORTS_PER_ACK_WAIT).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut first_new = 0;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            // A report that waits for a connection would come too late.
            if !self.connection.is_available() {
                continue;
            }
            let is_older = |(token, _): &(&i64, &Subject)| **token < first_new;
            let replies: Vec<Subject> =
                self.outstanding().replies.iter().filter(is_older).map(|(_, reply)| reply.clone()).collect();
            first_new = self.next_token.load(Ordering::Relaxed);
            for reply in replies {
                self.try_reply(reply, AckKind::Progress).await;
            }
        }
    }

    /// Returns all outstanding deliveries to the broker after the last one has
    /// arrived. Other hosts can get them at once.
    pub(super) async fn return_all(&self) {
        if timeout(CALL_TIMEOUT, self.pull_ended.cancelled()).await.is_err() {
            tracing::debug!(
                component = self.component,
                "the broker delivers the events again that are in transit to this host"
            );
        }
        let replies: Vec<Subject> = {
            let mut outstanding = self.outstanding();
            outstanding.queue.clear();
            outstanding.replies.drain().map(|(_, reply)| reply).collect()
        };
        join_all(replies.into_iter().map(|reply| self.try_reply(reply, AckKind::Nak(None)))).await;
    }

    fn outstanding(&self) -> MutexGuard<'_, Outstanding> {
        self.outstanding.lock()
    }
}

#[async_trait]
impl Consumer for JetStreamConsumer {
    async fn next(&self) -> Result<Delivery, BusError> {
        loop {
            let next = {
                let mut outstanding = self.outstanding();
                let next = outstanding.queue.pop_front();
                if !outstanding.queue.is_empty() {
                    self.arrived.notify_one();
                }
                next
            };
            if let Some(QueuedDelivery { delivery, .. }) = next {
                self.capacity_freed.notify_one();
                return Ok(delivery);
            }
            self.arrived.notified().await;
        }
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BusError> {
        self.send_outcome(delivery, AckKind::Ack).await
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), BusError> {
        let delay = Some(delay).filter(|delay| !delay.is_zero());
        self.send_outcome(delivery, AckKind::Nak(delay)).await
    }

    fn set_preferred(&self, preferred: bool) {
        self.preferred.send_replace(preferred);
    }
}
