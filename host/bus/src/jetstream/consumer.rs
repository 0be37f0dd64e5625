//! One component's deliveries. It lives as long as the bus.
//!
//! A task asks the broker for a few at a time (`pull`), and another tells it
//! of all that are held here, before the broker takes them for lost.

use super::{
    super::{BusError, Consumer, Delivery, Subjects},
    connection::{CALL_TIMEOUT, Link},
    message,
    names::Way,
    pull::pull,
    subscription,
};
use async_nats::{
    Subject,
    jetstream::{AckKind, Message},
};
use async_trait::async_trait;
use futures::future::join_all;
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

/// Deliveries that are held before anybody asks for them. What one host has no
/// room for is free for the others.
pub(super) const READ_AHEAD: usize = 16;
/// The broker hears of a delivery so many times before it would take it for
/// lost.
const WORDS_PER_ACK_WAIT: u32 = 3;
/// Another host may want what this one does not: it is left to that one for a
/// moment.
const LEFT_TO_OTHERS: Duration = Duration::from_secs(1);

pub(super) struct JetStreamConsumer {
    pub(super) component: String,
    pub(super) link: Arc<Link>,
    /// What is wanted, and how often it was changed.
    pub(super) wanted: watch::Sender<(u64, Subjects)>,
    /// Whether this host comes before the others.
    pub(super) preferred: watch::Sender<bool>,
    /// The change that the broker knows.
    applied: watch::Sender<u64>,
    /// What comes as copies up to there, see [`super::subscription::Applied`].
    copied: Mutex<BTreeMap<String, u64>>,
    held: Mutex<Held>,
    arrived: Notify,
    /// There is room for more.
    pub(super) taken: Notify,
    /// Nothing more is asked for, and nothing is on its way here.
    pub(super) pull_ended: CancellationToken,
    next_token: AtomicI64,
}

/// Of the hosts that ask for deliveries of one component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    First = 0,
    Common = 1,
}

/// Deliveries that the broker awaits word of.
#[derive(Default)]
struct Held {
    queue: VecDeque<Queued>,
    /// Where to send it, by token: of those in the queue, and of those that
    /// are being handled.
    replies: HashMap<i64, Subject>,
}

struct Queued {
    delivery: Delivery,
    /// It is wanted whatever is subscribed to.
    always: bool,
}

impl JetStreamConsumer {
    pub(super) fn start(component: &str, link: Arc<Link>, subjects: Subjects) -> Arc<Self> {
        let consumer = Arc::new(Self {
            component: component.to_owned(),
            link,
            wanted: watch::Sender::new((1, subjects)),
            preferred: watch::Sender::new(false),
            applied: watch::Sender::new(0),
            copied: Mutex::default(),
            held: Mutex::default(),
            arrived: Notify::new(),
            taken: Notify::new(),
            pull_ended: CancellationToken::new(),
            next_token: AtomicI64::new(0),
        });
        tokio::spawn(pull(consumer.clone()));
        tokio::spawn(consumer.clone().keep_alive());
        consumer
    }

    /// Changes what is wanted, and forgets what is not any more.
    pub(super) async fn want(&self, subjects: Subjects) {
        let unwanted: Vec<Subject> = {
            let Held { queue, replies } = &mut *self.held();
            let (kept, unwanted): (VecDeque<Queued>, VecDeque<Queued>) =
                queue.drain(..).partition(|next| next.always || subjects.own.contains(&next.delivery.event.subject));
            *queue = kept;
            unwanted.iter().filter_map(|next| replies.remove(&next.delivery.token)).collect()
        };
        self.wanted.send_if_modified(|(changes, known)| {
            let changed = *known != subjects;
            *changes += u64::from(changed);
            *known = subjects;
            changed
        });
        for reply in unwanted {
            self.tell(reply, AckKind::Nak(Some(LEFT_TO_OTHERS))).await;
        }
    }

    /// Changes what other hosts want.
    pub(super) fn leave_to_others(&self, subjects: BTreeSet<String>) {
        self.wanted.send_if_modified(|(changes, known)| {
            let changed = known.elsewhere != subjects;
            *changes += u64::from(changed);
            known.elsewhere = subjects;
            changed
        });
    }

    /// Waits until the broker knows what is wanted. False if it does not learn
    /// of it in time.
    pub(super) async fn applied(&self, limit: Duration) -> bool {
        let change = self.wanted.borrow().0;
        let mut applied = self.applied.subscribe();
        timeout(limit, applied.wait_for(|applied| *applied >= change)).await.is_ok()
    }

    pub(super) fn set_applied(&self, change: u64, copied: BTreeMap<String, u64>) {
        self.copied.lock().extend(copied);
        self.applied.send_replace(change);
    }

    fn comes_as_copy(&self, subject: &str, message: &Message) -> bool {
        let copied = self.copied.lock();
        let last = copied.get(subject).copied();
        last.is_some_and(|last| message.info().is_ok_and(|info| info.stream_sequence <= last))
    }

    /// When it is this host's turn: first, or when those that come first have
    /// enough. One that does not want all that is to be delivered comes first
    /// nowhere: it would get again and again what it leaves to others.
    pub(super) fn priority(&self) -> Priority {
        let wants_all = {
            let wanted = self.wanted.borrow();
            wanted.1.elsewhere.is_subset(&wanted.1.own)
        };
        if wants_all && *self.preferred.borrow() { Priority::First } else { Priority::Common }
    }

    /// How many more there is room for.
    pub(super) fn room(&self) -> usize {
        READ_AHEAD.saturating_sub(self.held().queue.len())
    }

    /// Takes a message for whoever asks next.
    pub(super) async fn take(&self, message: Message) {
        let Some(reply) = message.reply.clone() else { return };
        let attempt = message.info().map_or(1, |info| u32::try_from(info.delivered).unwrap_or(1));
        let way = self.link.names.way(&self.component, &message.subject);
        let wanted = match &way {
            Some(Way::Redelivery(_)) => true,
            Some(Way::Event(subject) | Way::CatchUp(subject)) => self.wanted.borrow().1.own.contains(*subject),
            None => false,
        };
        if !wanted {
            return self.decline(reply, way.as_ref().map_or("", Way::subject)).await;
        }
        if let Some(Way::Event(subject)) = way
            && self.comes_as_copy(subject, &message)
        {
            return self.tell(reply, AckKind::Term).await;
        }
        match message::read(way.as_ref().map_or("", Way::subject), &message) {
            Ok(event) => {
                let token = self.next_token.fetch_add(1, Ordering::Relaxed);
                let mut held = self.held();
                held.replies.insert(token, reply);
                let always = matches!(way, Some(Way::Redelivery(_)));
                held.queue.push_back(Queued { delivery: Delivery { event, attempt, token }, always });
                drop(held);
                self.arrived.notify_one();
            }
            Err(reason) => {
                let subject = message.subject.as_str();
                tracing::warn!(component = self.component, subject, reason, "a message that is no event is ignored");
                metrics::counter!("bus_messages_ignored_total", "component" => self.component.clone()).increment(1);
                self.tell(reply, AckKind::Term).await;
            }
        }
    }

    /// What is not wanted here may be wanted elsewhere, before this host has
    /// heard of it, too. What the broker would not send any more is not wanted
    /// at all: should somebody want it again, it is copied.
    async fn decline(&self, reply: Subject, subject: &str) {
        let known_elsewhere = self.wanted.borrow().1.elsewhere.contains(subject);
        let wanted = known_elsewhere || subscription::includes(&self.link, &self.component, subject).await;
        self.tell(reply, if wanted { AckKind::Nak(Some(LEFT_TO_OTHERS)) } else { AckKind::Term }).await;
    }

    /// Tells the broker something whose loss does no harm.
    async fn tell(&self, reply: Subject, word: AckKind) {
        if let Err(error) = self.link.client.publish(reply, word.into()).await {
            tracing::debug!(%error, "the broker did not hear it");
        }
    }

    /// Tells the broker the outcome of a delivery. It may not come to know: then
    /// it sends the event again, and the inbox knows that it was applied. So
    /// nobody waits for the broker's word.
    async fn conclude(&self, delivery: &Delivery, outcome: AckKind) -> Result<(), BusError> {
        let Some(reply) = self.held().replies.remove(&delivery.token) else {
            return Err(BusError("this delivery was concluded before".to_owned()));
        };
        self.link.require()?;
        self.link.client.publish(reply, outcome.into()).await.map_err(|error| BusError(error.to_string()))
    }

    /// Keeps the broker from taking for lost what is held here.
    async fn keep_alive(self: Arc<Self>) {
        let stop = self.link.stop.clone();
        let mut words = interval((self.link.settings.ack_wait / WORDS_PER_ACK_WAIT).max(Duration::from_millis(1)));
        words.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(words.tick()).await.is_some() {
            // Words that wait for a connection would come too late.
            if !self.link.is_usable() {
                continue;
            }
            let replies: Vec<Subject> = self.held().replies.values().cloned().collect();
            for reply in replies {
                self.tell(reply, AckKind::Progress).await;
            }
        }
    }

    /// Gives back all that is held, once no more comes: another host may take
    /// it at once.
    pub(super) async fn give_back(&self) {
        if timeout(CALL_TIMEOUT, self.pull_ended.cancelled()).await.is_err() {
            tracing::debug!(component = self.component, "what is on its way here is sent again later");
        }
        let replies: Vec<Subject> = {
            let mut held = self.held();
            held.queue.clear();
            held.replies.drain().map(|(_, reply)| reply).collect()
        };
        join_all(replies.into_iter().map(|reply| self.tell(reply, AckKind::Nak(None)))).await;
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }
}

#[async_trait]
impl Consumer for JetStreamConsumer {
    async fn next(&self) -> Result<Delivery, BusError> {
        loop {
            let next = {
                let mut held = self.held();
                let next = held.queue.pop_front();
                if !held.queue.is_empty() {
                    self.arrived.notify_one();
                }
                next
            };
            if let Some(Queued { delivery, .. }) = next {
                self.taken.notify_one();
                return Ok(delivery);
            }
            self.arrived.notified().await;
        }
    }

    async fn acknowledge(&self, delivery: &Delivery) -> Result<(), BusError> {
        self.conclude(delivery, AckKind::Ack).await
    }

    async fn retry(&self, delivery: &Delivery, delay: Duration) -> Result<(), BusError> {
        let delay = Some(delay).filter(|delay| !delay.is_zero());
        self.conclude(delivery, AckKind::Nak(delay)).await
    }

    fn prefer(&self, preferred: bool) {
        self.preferred.send_replace(preferred);
    }
}
