//! The work that a plugin still has to do: events that wait for it, events that it has committed
//! and the bus does not have, and timers that are due.

use host_base::clock::{ClockScript, now_ms};
use host_bus::{EmbeddedBus, PublishedEvent};
use host_plugin::Revision;
use host_store::{Database, describe};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// The longest pause of the host before another attempt. An attempt that is due later was put off
/// by the plugin itself.
pub(super) const MAX_BACKOFF: Duration = Duration::from_millis(5);
/// The pause between two looks.
const POLL: Duration = Duration::from_millis(3);
/// The most rows of one look.
const MAX_ROWS: u32 = 1_000;

/// Observes the work of one plugin.
pub(super) struct Activity {
    bus: Arc<EmbeddedBus>,
    plugin: String,
    schedules: usize,
    database: Option<Arc<dyn Database>>,
    /// The position of the last event of the bus that was seen.
    position: i64,
    /// The ids of all events that the bus has, and of those that the plugin did not publish.
    on_bus: HashSet<String>,
    published: Vec<(String, Vec<u8>)>,
    /// The result of the last look.
    waiting: Waiting,
}

/// The work that waits.
#[derive(Debug, Clone, Default)]
struct Waiting {
    /// The subjects of events that are to be handled now.
    events: Vec<String>,
    /// The keys of timers that are to be handled now.
    timers: Vec<String>,
    /// The number of events in the outbox.
    unsent: usize,
    /// The time until the clock has to be moved for another attempt of a timer.
    retry_in: Option<Duration>,
    /// The time until the next event or timer.
    next_in: Option<Duration>,
}

impl Activity {
    pub(super) fn new(bus: Arc<EmbeddedBus>, revision: &Revision) -> Self {
        let schedules = &revision.manifest.schedules;
        Self {
            bus,
            plugin: revision.name().to_owned(),
            schedules: schedules.iter().filter(|schedule| schedule.next_after(now_ms()).is_some()).count(),
            database: revision.database.clone(),
            position: 0,
            on_bus: HashSet::new(),
            published: Vec::new(),
            waiting: Waiting::default(),
        }
    }

    /// The event with this id is not the plugin's.
    pub(super) fn ignore(&mut self, id: &str) {
        self.on_bus.insert(id.to_owned());
    }

    /// The events that the plugin has published since the last call.
    pub(super) fn take_published(&mut self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.published)
    }

    /// Waits until the timer worker has set the timers of all schedules.
    pub(super) async fn schedules_are_set(&self) -> anyhow::Result<()> {
        let Some(database) = &self.database else { return Ok(()) };
        let set = async || database.schedule_timers().await.map_err(|error| anyhow::anyhow!(describe(&error)));
        while set().await?.len() < self.schedules {
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until all work is done. Returns the time until something is due next.
    ///
    /// A handler ends before its event or timer is gone, and its commit is before that. So one
    /// look after all other work finds what the work has left. Two looks without a new event
    /// between them show that no work was under way between the parts of a look.
    pub(super) async fn quiet(&mut self, clock: &ClockScript) -> anyhow::Result<Option<Duration>> {
        let mut quiet_at = None;
        loop {
            self.look().await?;
            let waiting = &self.waiting;
            let is_quiet = waiting.events.is_empty() && waiting.timers.is_empty() && waiting.unsent == 0;
            match (is_quiet, waiting.retry_in) {
                (true, Some(retry_in)) => {
                    clock.advance(retry_in);
                    quiet_at = None;
                }
                (true, None) if quiet_at == Some(self.position) => return Ok(waiting.next_in),
                (true, None) => quiet_at = Some(self.position),
                (false, _) => {
                    quiet_at = None;
                    sleep(POLL).await;
                }
            }
        }
    }

    /// Describes the work that the last look found.
    pub(super) fn describe(&self) -> String {
        let Waiting { events, timers, unsent, .. } = &self.waiting;
        let mut parts = Vec::new();
        if !events.is_empty() {
            parts.push(format!("events wait: {}", counted(events)));
        }
        if !timers.is_empty() {
            parts.push(format!("timers are due: {}", counted(timers)));
        }
        if *unsent > 0 {
            parts.push(format!("events in the outbox: {unsent}"));
        }
        parts.join("; ")
    }

    /// Looks at the work in the order in which it moves on, so that it cannot move past.
    async fn look(&mut self) -> anyhow::Result<()> {
        let mut waiting = Waiting::default();
        for delivery in self.bus.waiting_deliveries().await? {
            match delivery.due_in <= MAX_BACKOFF {
                true => waiting.events.push(delivery.subject),
                false => waiting.is_due_in(delivery.due_in),
            }
        }
        let outbox = match self.database.clone() {
            Some(database) => {
                waiting.add_timers(&*database).await?;
                let outbox = database.read_outbox(0, MAX_ROWS).await;
                outbox.map_err(|error| anyhow::anyhow!(describe(&error)))?
            }
            None => Vec::new(),
        };
        loop {
            let events = self.bus.events_after(self.position).await?;
            if events.is_empty() {
                break;
            }
            events.into_iter().for_each(|event| self.note(event));
        }
        waiting.unsent = outbox.iter().filter(|row| !self.on_bus.contains(&row.event.id)).count();
        self.waiting = waiting;
        Ok(())
    }

    fn note(&mut self, published: PublishedEvent) {
        let PublishedEvent { position, event } = published;
        self.position = position;
        if self.on_bus.insert(event.id) && event.source == self.plugin {
            self.published.push((event.subject, event.payload));
        }
    }
}

impl Waiting {
    async fn add_timers(&mut self, database: &dyn Database) -> anyhow::Result<()> {
        let now = now_ms();
        let soon = now.saturating_add(u64::try_from(MAX_BACKOFF.as_millis()).unwrap_or_default());
        let timers = database.upcoming_timers(soon, MAX_ROWS).await;
        for timer in timers.map_err(|error| anyhow::anyhow!(describe(&error)))? {
            let due_in = Duration::from_millis(timer.timer.due_ms.saturating_sub(now));
            match due_in {
                Duration::ZERO => self.timers.push(timer.timer.key),
                _ if timer.attempt > 1 && timer.timer.due_ms <= soon => {
                    self.retry_in = Some(self.retry_in.map_or(due_in, |earlier| earlier.min(due_in)));
                }
                _ => self.is_due_in(due_in),
            }
        }
        Ok(())
    }

    fn is_due_in(&mut self, time: Duration) {
        self.next_in = Some(self.next_in.map_or(time, |earlier| earlier.min(time)));
    }
}

/// Each different name, with its number if there are several.
fn counted(names: &[String]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let text = |(name, count): (&str, usize)| if count == 1 { name.to_owned() } else { format!("{name} ({count})") };
    counts.into_iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_that_waits_is_counted_by_name() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(counted(&names(&["b", "a", "b"])), "a, b (2)");
        assert_eq!(counted(&names(&["a"])), "a");
    }
}
