//! What commits of all hosts announce: a host that carries events or fires
//! timers listens on one connection, and wakes those who do it. The others have
//! no use for it, and each that listens costs every commit something.
//!
//! A commit is announced right after it, and several together where there are
//! many: PostgreSQL lets transactions that notify commit only one after
//! another, each with its own sync of the disk. A host that dies in between
//! has told nobody; that is what the safety net is for.

use super::super::{Duty, Published, Signals};
use crate::config::Secret;
use sqlx::{PgPool, postgres::PgListener};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

const CHANNEL: &str = "ticketing_store";
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);
/// Everybody looks once in so long, whatever was heard.
const SAFETY_NET: Duration = Duration::from_secs(5);

/// Who is to be woken, here and elsewhere.
pub(super) struct Wakes {
    known: Mutex<HashMap<String, Arc<Signals>>>,
    /// What this host does for all: no other has to hear of it.
    led: watch::Sender<BTreeSet<(Duty, String)>>,
    /// What the other hosts are to be told.
    untold: Mutex<BTreeSet<(Duty, String)>>,
    more: Notify,
    /// Stands before what this host tells: it does not listen to itself.
    own: String,
}

impl Wakes {
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
            led: watch::Sender::default(),
            untold: Mutex::default(),
            more: Notify::new(),
            own: crate::id::new().to_string(),
        }
    }

    pub(super) fn signals(&self, component: &str) -> Arc<Signals> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(component.to_owned()).or_default().clone()
    }

    /// A commit has put these in the outbox: wakes who carries them, here or in
    /// another host.
    pub(super) fn published(&self, component: &str, signals: &Signals, published: Published) {
        signals.outbox.hand_over(published);
        self.tell_later(Duty::Outbox, component);
    }

    /// A commit has set a timer for this time: wakes who fires it, here or in
    /// another host.
    pub(super) fn scheduled(&self, component: &str, signals: &Signals, due_ms: u64) {
        signals.timers.look_at(due_ms);
        self.tell_later(Duty::Timers, component);
    }

    /// Wakes the other hosts a moment later, unless it is this host that has to
    /// do it.
    fn tell_later(&self, what: Duty, component: &str) {
        let what = (what, component.to_owned());
        if self.led.borrow().contains(&what) {
            return;
        }
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).insert(what);
        self.more.notify_one();
    }

    /// From now on, until [`leave`](Self::leave), this host does it for all.
    pub(super) fn lead(&self, duty: Duty, component: &str) {
        self.led.send_modify(|led| {
            led.insert((duty, component.to_owned()));
        });
    }

    pub(super) fn leave(&self, duty: Duty, component: &str) {
        self.led.send_modify(|led| {
            led.remove(&(duty, component.to_owned()));
        });
    }

    /// Tells the other hosts, until it is dropped.
    pub(super) async fn tell(self: Arc<Self>, host: PgPool) {
        loop {
            self.more.notified().await;
            let untold = std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner));
            let words: Vec<String> = untold
                .into_iter()
                .map(|(what, component)| format!("{} {} {component}", self.own, what.name()))
                .collect();
            let told = sqlx::query("SELECT pg_notify($1, word) FROM unnest($2) AS word")
                .bind(CHANNEL)
                .bind(words)
                .execute(&host)
                .await;
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

    /// When it begins, and when nothing was heard for a while, everybody looks:
    /// nobody knows what was missed.
    async fn hear(&self, url: &Secret) -> sqlx::Result<()> {
        let mut listener = PgListener::connect(url.expose()).await?;
        listener.listen(CHANNEL).await?;
        self.wake_all();
        loop {
            match timeout(SAFETY_NET, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => self.heard(notification.payload()),
                Ok(Ok(None)) | Err(_) => self.wake_all(),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    fn heard(&self, payload: &str) {
        let mut words = payload.splitn(3, ' ');
        let (Some(host), Some(what), Some(component)) = (words.next(), words.next(), words.next()) else { return };
        if let (Some(what), true) = (Duty::named(what), host != self.own) {
            self.wake(what, component);
        }
    }

    fn wake(&self, what: Duty, component: &str) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match (what, known.get(component)) {
            (Duty::Outbox, Some(signals)) => signals.outbox.look(),
            (Duty::Timers, Some(signals)) => signals.timers.look(),
            (_, None) => {}
        }
    }

    fn wake_all(&self) {
        for signals in self.known.lock().unwrap_or_else(PoisonError::into_inner).values() {
            signals.outbox.look();
            signals.timers.look();
        }
    }
}

/// In what hosts tell each other.
impl Duty {
    fn name(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Timers => "timers",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Outbox, Self::Timers].into_iter().find(|what| what.name() == name)
    }
}
