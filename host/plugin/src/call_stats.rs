//! Counters of a revision's calls, for swap reports and for the comparison of
//! revisions.

use super::{figures::Figures, history::CallTimes};
use host_config::rollout::RolloutConfig;
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc::UnboundedSender;

/// The counters of one revision since it was loaded.
pub struct CallCounter {
    started: AtomicU64,
    finished: AtomicU64,
    abandoned: AtomicU64,
    errors: AtomicU64,
    failures: AtomicU64,
    busy_us: AtomicU64,
    times: CallTimes,
    traps: Mutex<Window>,
    missed_deadlines: Mutex<Window>,
    quarantine_traps: u64,
    quarantine_window: Duration,
    raised: AtomicBool,
    alarm: Alarm,
    figures: Arc<Figures>,
}

/// Receives the plugin's name and the revision's id when a revision traps or
/// misses its deadline too often. Each revision raises the alarm once.
#[derive(Clone)]
pub struct Alarm(pub UnboundedSender<(String, String)>);

/// The counters at one moment. Two of them can be subtracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Work that began: requests, events and timers.
    pub started: u64,
    /// Work that ended, with or without an error.
    pub finished: u64,
    /// Work that was dropped before its end, for example because the client
    /// left.
    pub abandoned: u64,
    /// Work that ended with a failure or an answer of 500 and above.
    pub errors: u64,
    /// Time that finished work took, in microseconds.
    pub busy_us: u64,
}

/// Failures since a moment, and the calls before it.
struct Window {
    since: Instant,
    started_before: u64,
    failures: u64,
}

/// One piece of work in flight. Dropping it without [`InFlight::end`] counts it
/// as abandoned.
pub struct InFlight {
    /// None for a probe, which is nobody's work.
    counter: Option<Arc<CallCounter>>,
    begun: Instant,
    answered: Option<Duration>,
    ended: bool,
}

impl CallCounter {
    /// All counters are zero. The figures are those of the plugin.
    pub fn new(settings: &RolloutConfig, alarm: Alarm, figures: Arc<Figures>) -> Self {
        Self {
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            times: CallTimes::default(),
            traps: Mutex::new(Window::new(0)),
            missed_deadlines: Mutex::new(Window::new(0)),
            quarantine_traps: settings.quarantine_traps,
            quarantine_window: settings.quarantine_window,
            raised: AtomicBool::new(false),
            alarm,
            figures,
        }
    }

    /// The figures of the plugin, which its other revisions share.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Begins a piece of work.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.started.fetch_add(1, Relaxed);
        InFlight { counter: Some(self.clone()), begun: Instant::now(), answered: None, ended: false }
    }

    /// The counters of this moment.
    pub fn call_counts(&self) -> CallCounts {
        // Reads the ends first, so that never more work has ended than began.
        let (finished, abandoned) = (self.finished.load(Relaxed), self.abandoned.load(Relaxed));
        let (errors, busy_us) = (self.errors.load(Relaxed), self.busy_us.load(Relaxed));
        CallCounts { started: self.started.load(Relaxed), finished, abandoned, errors, busy_us }
    }

    /// How long the calls took.
    pub fn times(&self) -> &CallTimes {
        &self.times
    }

    /// Calls that failed, whoever is to blame.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// Counts a trap.
    pub(super) fn trapped(&self, plugin: &str, revision: &str) {
        self.count(&self.traps, self.quarantine_window, plugin, revision);
    }

    /// Counts a missed deadline. Each needs its time, so the window is longer
    /// than that of traps.
    pub(super) fn missed_deadline(&self, deadline: Duration, plugin: &str, revision: &str) {
        self.count(&self.missed_deadlines, self.quarantine_window + deadline * 2, plugin, revision);
    }

    /// Raises the alarm when the window has too many failures and at least half
    /// of its calls failed.
    fn count(&self, window: &Mutex<Window>, length: Duration, plugin: &str, revision: &str) {
        if self.quarantine_traps == 0 {
            return;
        }
        let too_many = {
            let started = self.started.load(Relaxed);
            let mut window = window.lock();
            if window.since.elapsed() > length {
                *window = Window::new(started.saturating_sub(1));
            }
            window.failures += 1;
            let calls = started.saturating_sub(window.started_before);
            window.failures >= self.quarantine_traps && window.failures * 2 >= calls
        };
        if too_many && !self.raised.swap(true, Relaxed) {
            // Nobody receives the alarm when the host stops.
            let _ = self.alarm.0.send((plugin.to_owned(), revision.to_owned()));
        }
    }
}

impl Window {
    fn new(started_before: u64) -> Self {
        Self { since: Instant::now(), started_before, failures: 0 }
    }
}

impl InFlight {
    /// Work that no counter counts.
    pub fn uncounted() -> Self {
        Self { counter: None, begun: Instant::now(), answered: None, ended: false }
    }

    /// The answer begins. The time until now counts, however long the body
    /// takes.
    pub fn answered(&mut self) {
        self.answered = Some(self.begun.elapsed());
    }

    /// The work ended.
    pub fn end(mut self, error: bool) {
        self.ended = true;
        if let Some(counter) = &self.counter {
            let now = Instant::now();
            let took = self.answered.unwrap_or_else(|| now.saturating_duration_since(self.begun));
            counter.figures.history.record(now, took, error);
            counter.times.record(took);
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            counter.busy_us.fetch_add(took_us, Relaxed);
            counter.errors.fetch_add(u64::from(error), Relaxed);
            counter.finished.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let (false, Some(counter)) = (self.ended, &self.counter) {
            counter.abandoned.fetch_add(1, Relaxed);
        }
    }
}

impl CallCounts {
    /// Work in flight.
    pub fn in_flight(&self) -> u64 {
        self.started.saturating_sub(self.finished + self.abandoned)
    }

    /// The difference to an earlier moment.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            started: self.started.saturating_sub(earlier.started),
            finished: self.finished.saturating_sub(earlier.finished),
            abandoned: self.abandoned.saturating_sub(earlier.abandoned),
            errors: self.errors.saturating_sub(earlier.errors),
            busy_us: self.busy_us.saturating_sub(earlier.busy_us),
        }
    }

    /// Errors in percent of the finished work.
    pub fn error_percent(&self) -> u64 {
        (self.errors * 100).checked_div(self.finished).unwrap_or(0)
    }

    /// The average time of a piece of work, in microseconds.
    pub fn mean_us(&self) -> u64 {
        self.busy_us.checked_div(self.finished).unwrap_or(0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use host_config::{Config, Flags};
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    /// The settings of an empty file.
    pub(in super::super) fn defaults() -> RolloutConfig {
        Config::load(&Flags::default(), []).unwrap().rollout
    }

    fn counter(traps: u64) -> (Arc<CallCounter>, UnboundedReceiver<(String, String)>) {
        let (sender, receiver) = unbounded_channel();
        let settings = RolloutConfig { quarantine_traps: traps, ..defaults() };
        (Arc::new(CallCounter::new(&settings, Alarm(sender), Arc::new(Figures::new()))), receiver)
    }

    #[test]
    fn every_call_is_finished_or_abandoned() {
        let (counter, _) = counter(0);
        let (one, two, three) = (counter.begin(), counter.begin(), counter.begin());
        assert_eq!(counter.call_counts().in_flight(), 3);
        one.end(false);
        two.end(true);
        drop(three);
        let counts = counter.call_counts();
        assert_eq!((counts.in_flight(), counts.finished, counts.abandoned, counts.errors), (0, 2, 1, 1));
        assert_eq!(counts.error_percent(), 50);
        let minute = counter.figures().history.last_minute(Instant::now());
        assert_eq!((minute.counts.calls(), minute.counts.errors()), (2, 1), "an abandoned call has no end");
    }

    #[test]
    fn the_alarm_is_raised_once_and_not_by_a_few_bad_requests_among_many() {
        let (counter, mut alarm) = counter(3);
        for _ in 0..100 {
            counter.begin().end(false);
        }
        for _ in 0..50 {
            counter.begin().end(true);
            counter.trapped("p", "r");
        }
        assert!(alarm.try_recv().is_err(), "less than half of the calls trapped");
        for _ in 0..60 {
            counter.begin().end(true);
            counter.trapped("p", "r");
        }
        assert_eq!(alarm.try_recv().unwrap(), ("p".to_owned(), "r".to_owned()));
        counter.trapped("p", "r");
        assert!(alarm.try_recv().is_err());
    }

    #[test]
    fn missed_deadlines_raise_the_alarm_and_take_longer_than_traps() {
        let (counter, mut alarm) = counter(3);
        for _ in 0..3 {
            assert!(alarm.try_recv().is_err());
            counter.begin().end(true);
            counter.missed_deadline(Duration::from_secs(10), "p", "r");
        }
        assert_eq!(alarm.try_recv().unwrap(), ("p".to_owned(), "r".to_owned()));
    }
}
