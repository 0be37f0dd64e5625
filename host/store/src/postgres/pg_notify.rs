//! What commits of all hosts announce: a host that carries events or fires
//! timers listens on one connection, and wakes those who do it. The others have
//! no use for it, and each that listens costs every commit something.
//!
//! Events that the relay of this host passes on itself need no announcement.
//! Other commits are announced right after, and several together where there are
//! many: PostgreSQL lets transactions that notify commit only one after
//! another, each with its own sync of the disk. A host that dies in between
//! has told nobody; that is what the safety net is for.

use super::super::{LeaderRole, Published, Signals};
use host_base::{clock::now_ms, secret::Secret};
use parking_lot::Mutex;
use sqlx::{PgPool, postgres::PgListener};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval, sleep},
};

pub(super) const CHANNEL: &str = "ticketing_store";
/// Nothing is lost with it but what the safety net makes up for, so it need not
/// wait for the disk, as a transaction that notifies otherwise does.
const TELL: &str = "SELECT pg_notify($1, word)
    FROM unnest($2::text[]) AS word, set_config('synchronous_commit', 'off', true)";
/// There is something to be done already.
pub(super) const NOW: u64 = 0;
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// Everybody looks once in so long, whatever was heard.
pub(super) const SAFETY_NET: Duration = Duration::from_secs(3);
/// A timer that is due later than this is seen by the safety net in time, though
/// clocks differ a little: nobody has to be told.
const SEEN_IN_TIME: Duration = SAFETY_NET.saturating_add(Duration::from_secs(1));

/// Who is to be woken, here and elsewhere.
pub(super) struct PgNotify {
    known: Mutex<HashMap<String, Arc<Signals>>>,
    /// What this host does for all: no other has to hear of it.
    led: watch::Sender<BTreeSet<(LeaderRole, String)>>,
    /// What the other hosts are to be told, and when there is something to be
    /// done.
    untold: Mutex<BTreeMap<(LeaderRole, String), u64>>,
    more: Notify,
    /// Stands before what this host tells: it does not listen to itself.
    own: String,
}

impl PgNotify {
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
            led: watch::Sender::default(),
            untold: Mutex::default(),
            more: Notify::new(),
            own: host_base::id::new().to_string(),
        }
    }

    pub(super) fn signals(&self, component: &str) -> Arc<Signals> {
        let mut known = self.known.lock();
        known.entry(component.to_owned()).or_default().clone()
    }

    /// A commit has put these in the outbox: hands them to this host's relay, or
    /// wakes the host that carries them.
    pub(super) fn published(&self, component: &str, signals: &Signals, published: Published) {
        if !signals.outbox.hand_over(published) {
            self.tell_later(LeaderRole::Outbox, component, NOW);
        }
    }

    /// A commit has set a timer for this time: wakes who fires it, here or, if
    /// it is soon, in another host.
    pub(super) fn scheduled(&self, component: &str, signals: &Signals, due_ms: u64) {
        signals.timers.look_at(due_ms);
        if u128::from(due_ms.saturating_sub(now_ms())) <= SEEN_IN_TIME.as_millis() {
            self.tell_later(LeaderRole::Timers, component, due_ms);
        }
    }

    /// PgNotify the other hosts a moment later, unless it is this host that has to
    /// do it.
    pub(super) fn tell_later(&self, what: LeaderRole, component: &str, due_ms: u64) {
        let what = (what, component.to_owned());
        if self.led.borrow().contains(&what) {
            return;
        }
        let mut untold = self.untold.lock();
        let earliest = untold.entry(what).or_insert(due_ms);
        *earliest = due_ms.min(*earliest);
        drop(untold);
        self.more.notify_one();
    }

    /// From now on, until [`leave`](Self::leave), this host does it for all.
    pub(super) fn lead(&self, duty: LeaderRole, component: &str) {
        self.led.send_modify(|led| {
            led.insert((duty, component.to_owned()));
        });
    }

    pub(super) fn leave(&self, duty: LeaderRole, component: &str) {
        self.led.send_modify(|led| {
            led.remove(&(duty, component.to_owned()));
        });
    }

    /// Tells the other hosts, until it is dropped.
    pub(super) async fn tell(self: Arc<Self>, host: PgPool) {
        loop {
            self.more.notified().await;
            let untold = std::mem::take(&mut *self.untold.lock());
            let words: Vec<String> = untold
                .into_iter()
                .map(|((what, component), due_ms)| {
                    Word { host: &self.own, due_ms, what, component: &component }.write()
                })
                .collect();
            let told = sqlx::query(TELL).bind(CHANNEL).bind(words).execute(&host).await;
            if let Err(error) = told {
                tracing::debug!(%error, "other hosts look by themselves");
            }
        }
    }

    /// Listens while this host leads, until it is dropped.
    pub(super) async fn listen(self: Arc<Self>, url: Secret) {
        let mut led = self.led.subscribe();
        while led.wait_for(|led| !led.is_empty()).await.is_ok() {
            let no_more = async { drop(led.wait_for(BTreeSet::is_empty).await) };
            tokio::select! {
                () = no_more => {}
                heard = self.hear(&url) => {
                    if let Err(error) = heard {
                        tracing::warn!(%error, "commits of other hosts are not heard of");
                    }
                    sleep(AFTER_AN_ERROR).await;
                }
            }
        }
    }

    /// When it begins, and again and again, it looks itself: nobody knows what
    /// was missed.
    async fn hear(&self, url: &Secret) -> sqlx::Result<()> {
        let mut listener = PgListener::connect(url.expose()).await?;
        listener.listen(CHANNEL).await?;
        let mut looks = interval(SAFETY_NET);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => self.wake_all(),
                heard = listener.try_recv() => match heard? {
                    Some(notification) => self.heard(notification.payload()),
                    None => self.wake_all(),
                },
            }
        }
    }

    /// What this host does not lead is nothing to it: its relay, which passes on
    /// what is committed here, would have everybody told of it again, and two
    /// such hosts each other without end.
    fn heard(&self, payload: &str) {
        let Some(word) = Word::read(payload).filter(|word| word.host != self.own) else { return };
        if self.led.borrow().contains(&(word.what, word.component.to_owned())) {
            self.wake(word.what, word.component, word.due_ms);
        }
    }

    fn wake_all(&self) {
        for (what, component) in &*self.led.borrow() {
            self.wake(*what, component, NOW);
        }
    }

    fn wake(&self, what: LeaderRole, component: &str, due_ms: u64) {
        let known = self.known.lock();
        match (what, known.get(component)) {
            (LeaderRole::Outbox, Some(signals)) => signals.outbox.look(),
            (LeaderRole::Timers, Some(signals)) => signals.timers.look_at(due_ms),
            (_, None) => {}
        }
    }
}

/// What a host tells the others: `HOST[@DUE_MS] WHAT COMPONENT`.
#[derive(Debug, PartialEq, Eq)]
struct Word<'a> {
    /// Who says it. Hosts that know nothing of a time take it for a part of
    /// this, and look at once.
    host: &'a str,
    /// When there is something to be done, in milliseconds since the Unix
    /// epoch.
    due_ms: u64,
    what: LeaderRole,
    component: &'a str,
}

impl<'a> Word<'a> {
    fn write(&self) -> String {
        let Self { host, due_ms, what, component } = self;
        match *due_ms {
            NOW => format!("{host} {} {component}", name(*what)),
            due_ms => format!("{host}@{due_ms} {} {component}", name(*what)),
        }
    }

    fn read(text: &'a str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        let (who, what, component) = (words.next()?, words.next()?, words.next()?);
        let (host, due_ms) = match who.split_once('@') {
            Some((host, due_ms)) => (host, due_ms.parse().ok()?),
            None => (who, NOW),
        };
        let what = [LeaderRole::Outbox, LeaderRole::Timers].into_iter().find(|duty| name(*duty) == what)?;
        Some(Self { host, due_ms, what, component })
    }
}

fn name(duty: LeaderRole) -> &'static str {
    match duty {
        LeaderRole::Outbox => "outbox",
        LeaderRole::Timers => "timers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_written_and_by_hosts_that_know_no_times() {
        for (due_ms, text) in [(NOW, "h outbox c"), (1_700_000_000_000, "h@1700000000000 outbox c")] {
            let word = Word { host: "h", due_ms, what: LeaderRole::Outbox, component: "c" };
            assert_eq!(word.write(), text);
            assert_eq!(Word::read(text), Some(word));
            // As such a host does.
            assert!(text.splitn(3, ' ').skip(1).eq(["outbox", "c"]));
        }
        for nothing in ["", "h", "h outbox", "h sleep c", "h@soon timers c"] {
            assert_eq!(Word::read(nothing), None, "{nothing}");
        }
    }
}
