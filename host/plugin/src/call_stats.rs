//! What a revision has done: what its swap report and its judgement are made
//! of.

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

/// Counters of one revision, from when it was loaded.
pub struct Counts {
    started: AtomicU64,
    finished: AtomicU64,
    abandoned: AtomicU64,
    errors: AtomicU64,
    failures: AtomicU64,
    busy_us: AtomicU64,
    window: Mutex<Window>,
    quarantine_traps: u64,
    quarantine_window: Duration,
    raised: AtomicBool,
    alarm: Alarm,
}

/// Hears of a revision that traps too often: the plugin's name and the
/// revision's id. Each revision raises it once.
#[derive(Clone)]
pub struct Alarm(pub UnboundedSender<(String, String)>);

/// Counters at one moment. Two of them can be subtracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallCounts {
    /// Work that was begun: requests, events and timers.
    pub started: u64,
    /// Work that came to its end, well or not.
    pub finished: u64,
    /// Work that was dropped before its end, as when the client went away.
    pub abandoned: u64,
    /// Work that ended with a failure or an answer of 500 and above.
    pub errors: u64,
    /// Time that finished work took, in microseconds.
    pub busy_us: u64,
}

/// Traps since a moment, and the calls before it.
struct Window {
    since: Instant,
    started_before: u64,
    traps: u64,
}

/// One piece of work under way. Dropping it without [`InFlight::end`] counts it
/// as abandoned.
pub struct InFlight {
    counts: Arc<Counts>,
    begun: Instant,
    answered: Option<Duration>,
    ended: bool,
}

impl Counts {
    /// All zero.
    pub fn new(settings: &RolloutConfig, alarm: Alarm) -> Self {
        Self {
            started: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            busy_us: AtomicU64::new(0),
            window: Mutex::new(Window { since: Instant::now(), started_before: 0, traps: 0 }),
            quarantine_traps: settings.quarantine_traps,
            quarantine_window: settings.quarantine_window,
            raised: AtomicBool::new(false),
            alarm,
        }
    }

    /// Begins a piece of work.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.started.fetch_add(1, Relaxed);
        InFlight { counts: self.clone(), begun: Instant::now(), answered: None, ended: false }
    }

    /// The counters of this moment.
    pub fn tally(&self) -> CallCounts {
        // The ends first, so that no more has ended than was begun.
        let (finished, abandoned) = (self.finished.load(Relaxed), self.abandoned.load(Relaxed));
        let (errors, busy_us) = (self.errors.load(Relaxed), self.busy_us.load(Relaxed));
        CallCounts { started: self.started.load(Relaxed), finished, abandoned, errors, busy_us }
    }

    /// Calls that failed, by whoever's fault.
    pub fn failures(&self) -> u64 {
        self.failures.load(Relaxed)
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// Counts a trap, and raises the alarm when there are too many: so many
    /// within the window, and at least half of the calls.
    pub(super) fn trapped(&self, plugin: &str, revision: &str) {
        if self.quarantine_traps == 0 {
            return;
        }
        let too_many = {
            let started = self.started.load(Relaxed);
            let mut window = self.window.lock();
            if window.since.elapsed() > self.quarantine_window {
                *window = Window { since: Instant::now(), started_before: started.saturating_sub(1), traps: 0 };
            }
            window.traps += 1;
            let calls = started.saturating_sub(window.started_before);
            window.traps >= self.quarantine_traps && window.traps * 2 >= calls
        };
        if too_many && !self.raised.swap(true, Relaxed) {
            // Nobody listens any more when the host stops.
            let _ = self.alarm.0.send((plugin.to_owned(), revision.to_owned()));
        }
    }
}

impl InFlight {
    /// The answer begins: what it took until now is what counts, however long
    /// the answer itself goes on.
    pub fn answered(&mut self) {
        self.answered = Some(self.begun.elapsed());
    }

    /// The work came to its end.
    pub fn end(mut self, error: bool) {
        self.ended = true;
        let took_us =
            u64::try_from(self.answered.unwrap_or_else(|| self.begun.elapsed()).as_micros()).unwrap_or(u64::MAX);
        self.counts.busy_us.fetch_add(took_us, Relaxed);
        self.counts.errors.fetch_add(u64::from(error), Relaxed);
        self.counts.finished.fetch_add(1, Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.ended {
            self.counts.abandoned.fetch_add(1, Relaxed);
        }
    }
}

impl CallCounts {
    /// Work that was under way.
    pub fn in_flight(&self) -> u64 {
        self.started.saturating_sub(self.finished + self.abandoned)
    }

    /// What was counted since an earlier moment.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            started: self.started.saturating_sub(earlier.started),
            finished: self.finished.saturating_sub(earlier.finished),
            abandoned: self.abandoned.saturating_sub(earlier.abandoned),
            errors: self.errors.saturating_sub(earlier.errors),
            busy_us: self.busy_us.saturating_sub(earlier.busy_us),
        }
    }

    /// Errors in percent of what finished.
    pub fn error_percent(&self) -> u64 {
        (self.errors * 100).checked_div(self.finished).unwrap_or(0)
    }

    /// How long a piece of work took on average, in microseconds.
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

    fn counts(traps: u64) -> (Arc<Counts>, UnboundedReceiver<(String, String)>) {
        let (sender, receiver) = unbounded_channel();
        let settings = RolloutConfig { quarantine_traps: traps, ..defaults() };
        (Arc::new(Counts::new(&settings, Alarm(sender))), receiver)
    }

    #[test]
    fn what_begins_ends_or_is_abandoned() {
        let (counts, _) = counts(0);
        let (one, two, three) = (counts.begin(), counts.begin(), counts.begin());
        assert_eq!(counts.tally().in_flight(), 3);
        one.end(false);
        two.end(true);
        drop(three);
        let tally = counts.tally();
        assert_eq!((tally.in_flight(), tally.finished, tally.abandoned, tally.errors), (0, 2, 1, 1));
        assert_eq!(tally.error_percent(), 50);
    }

    #[test]
    fn the_alarm_is_raised_once_and_not_by_a_few_bad_requests_among_many() {
        let (counts, mut alarm) = counts(3);
        for _ in 0..100 {
            counts.begin().end(false);
        }
        for _ in 0..50 {
            counts.begin().end(true);
            counts.trapped("p", "r");
        }
        assert!(alarm.try_recv().is_err(), "less than half of the calls trapped");
        for _ in 0..60 {
            counts.begin().end(true);
            counts.trapped("p", "r");
        }
        assert_eq!(alarm.try_recv().unwrap(), ("p".to_owned(), "r".to_owned()));
        counts.trapped("p", "r");
        assert!(alarm.try_recv().is_err());
    }
}
