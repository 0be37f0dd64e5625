//! What commits announce, so that nobody polls.

use super::OutboxEvent;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;

/// The most events that wait in memory for the relay. More than these are read.
const MOST_HANDED: usize = 1_024;

/// Woken by commits.
#[derive(Debug, Default)]
pub struct Signals {
    /// For the relay.
    pub outbox: OutboxSignal,
    /// For whoever fires the timers.
    pub timers: TimersSignal,
}

/// Says that a commit put events in the outbox, and hands them over as well, so
/// that they need not be read: to the relay of this host, which carries them or
/// passes them on to the host that does.
#[derive(Debug, Default)]
pub struct OutboxSignal {
    grown: Notify,
    handed: Mutex<Handed>,
}

#[derive(Debug, Default)]
struct Handed {
    /// Those that commits hand over are kept.
    kept: bool,
    /// There may be events that nobody handed over.
    look: bool,
    commits: VecDeque<Published>,
    events: usize,
}

/// The events of one commit.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub struct Published {
    /// The sequence number of the component's last event before them that was
    /// in the outbox then. None if the outbox was empty.
    pub after: Option<i64>,
    /// At least one, in their order.
    pub events: Vec<OutboxEvent>,
}

/// What there is to be carried.
#[derive(Debug)]
pub enum Waiting {
    /// Nothing but these, behind what was carried.
    Events(Vec<OutboxEvent>),
    /// The outbox itself has to be read.
    Look,
}

impl OutboxSignal {
    /// Waits until there may be more.
    pub async fn grown(&self) {
        self.grown.notified().await;
    }

    /// There may be more: whoever carries it looks.
    pub fn look(&self) {
        self.handed().look = true;
        self.grown.notify_one();
    }

    /// A commit has put these in the outbox. False if this host's relay does
    /// nothing with them: then another's has to be told.
    pub fn hand_over(&self, published: Published) -> bool {
        let mut handed = self.handed();
        let kept = handed.kept;
        if kept && handed.events < MOST_HANDED {
            handed.events += published.events.len();
            handed.commits.push_back(published);
        } else {
            handed.look = true;
        }
        drop(handed);
        self.grown.notify_one();
        kept
    }

    /// From now on what is handed over is kept, or no longer is. What was
    /// before, is to be looked for.
    pub fn keep(&self, kept: bool) {
        *self.handed() = Handed { kept, look: true, ..Handed::default() };
    }

    /// Takes all that was handed over. None if there may be more.
    pub fn take_all(&self) -> Option<Vec<Published>> {
        let mut handed = self.handed();
        let rest = Handed { kept: handed.kept, ..Handed::default() };
        let Handed { look, commits, .. } = std::mem::replace(&mut *handed, rest);
        (!look).then(|| commits.into())
    }

    /// Takes what comes behind the event with this sequence number, about so
    /// many. What one commit has published is not taken apart.
    pub fn take(&self, carried: i64, about: usize) -> Waiting {
        let mut handed = self.handed();
        let mut events = Vec::new();
        let mut last = carried;
        while !handed.look && events.len() < about {
            let Some(published) = handed.commits.pop_front() else { break };
            handed.events = handed.events.saturating_sub(published.events.len());
            let end = published.events.last().map_or(last, |event| event.sequence);
            if end <= last {
                continue;
            }
            // Another host's are in between.
            handed.look = published.after.is_some_and(|after| after > last);
            if !handed.look {
                events.extend(published.events);
                last = end;
            }
        }
        if events.is_empty() && std::mem::take(&mut handed.look) {
            // All that was handed over is committed, and will be seen.
            handed.commits.clear();
            handed.events = 0;
            return Waiting::Look;
        }
        Waiting::Events(events)
    }

    fn handed(&self) -> MutexGuard<'_, Handed> {
        self.handed.lock()
    }
}

/// Says when the timers have to be read next, to whoever fires them.
#[derive(Debug)]
pub struct TimersSignal {
    earlier: Notify,
    /// In milliseconds since the Unix epoch.
    look_ms: AtomicU64,
}

impl Default for TimersSignal {
    fn default() -> Self {
        Self { earlier: Notify::new(), look_ms: AtomicU64::new(u64::MAX) }
    }
}

impl TimersSignal {
    /// Waits until they have to be read earlier than they had.
    pub async fn earlier(&self) {
        self.earlier.notified().await;
    }

    /// When they have to be read, in milliseconds since the Unix epoch.
    pub fn look_ms(&self) -> u64 {
        self.look_ms.load(Ordering::SeqCst)
    }

    /// They have to be read now.
    pub fn look(&self) {
        self.look_ms.store(0, Ordering::SeqCst);
        self.earlier.notify_one();
    }

    /// They have to be read at this time: a commit has set one for then.
    pub fn look_at(&self, due_ms: u64) {
        if due_ms < self.look_ms.fetch_min(due_ms, Ordering::SeqCst) {
            self.earlier.notify_one();
        }
    }

    /// They are about to be read. What is asked for from now on is asked for
    /// again: it may come too late to be seen.
    pub fn reading(&self) {
        self.look_ms.store(u64::MAX, Ordering::SeqCst);
    }

    /// They were read, and there is nothing more to do before this time.
    pub fn read_until(&self, look_ms: u64) {
        self.look_ms.fetch_min(look_ms, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
