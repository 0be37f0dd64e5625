//! Turns at the processors for guests that compute for long, and for plugins that use
//! much of the processors with many short calls.
//!
//! There are fewer turns than processors, so spinning guests never hold all of
//! them. A turn lasts from one tick to the next. Plugins that wait get their
//! turns one after another, so a plugin with many guests gets no more than a
//! plugin with one. While no guest waits, a turn costs one lock without
//! contention. A plugin that is alone takes no processor from another one, so its
//! short calls need no turns.

mod activity;

use activity::Activity;
use host_base::SharedByName;
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// A guest may compute for this number of ticks without a turn, as long as its
/// plugin is within its share.
const FREE_TICKS: u32 = 4;
const WINDOW_MS: u64 = 100;
/// Guests that wait for their turns compute at least this often.
const LATELY_MS: u64 = 2_000;

/// The turns of all plugins.
pub(crate) struct Turns {
    /// The calls of a plugin may use half of the processors without turns, in each
    /// window of this length.
    window_ms: u64,
    share_us: u64,
    queue: Mutex<Queue>,
    plugins: SharedByName<PluginTurns>,
    activity: Mutex<Activity>,
}

struct Queue {
    free: usize,
    /// The plugins with guests that wait, the next one first.
    waiting: VecDeque<Arc<PluginTurns>>,
}

/// The turns of one plugin's guests, in all its revisions.
pub(crate) struct PluginTurns {
    turns: Arc<Turns>,
    /// Guests that wait. Only the holder of the queue's lock uses it.
    guests: Mutex<VecDeque<oneshot::Sender<Turn>>>,
    /// The time that its calls have used in the current window.
    used_us: AtomicU64,
    window: AtomicU64,
}

/// A turn. It ends when this value is dropped.
pub(crate) struct Turn(Option<Arc<Turns>>);

impl Turns {
    pub(crate) fn new(processors: usize) -> Arc<Self> {
        Self::with_window(processors, WINDOW_MS)
    }

    fn with_window(processors: usize, window_ms: u64) -> Arc<Self> {
        let queue = Mutex::new(Queue { free: (processors / 2).max(1), waiting: VecDeque::new() });
        let share_us = window_ms * 1_000 / 2 * u64::try_from(processors).unwrap_or(1);
        Arc::new(Self { window_ms, share_us, queue, plugins: SharedByName::default(), activity: Mutex::default() })
    }

    /// The turns of a plugin.
    pub(crate) fn of(self: &Arc<Self>, plugin: &str) -> Arc<PluginTurns> {
        let new = || PluginTurns {
            turns: self.clone(),
            guests: Mutex::default(),
            used_us: AtomicU64::new(0),
            window: AtomicU64::new(0),
        };
        self.plugins.get_or_make(plugin, || Arc::new(new()))
    }

    /// Gives a turn to the next guest that still waits.
    fn pass_on(self: &Arc<Self>) {
        loop {
            let next = {
                let mut queue = self.queue.lock();
                let next = queue.next();
                if next.is_none() {
                    queue.free += 1;
                }
                next
            };
            let Some(guest) = next else { return };
            match guest.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // The guest has ended. The loop passes its turn on.
                Err(mut turn) => turn.0 = None,
            }
        }
    }
}

impl Queue {
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(plugin) = self.waiting.pop_front() {
            let (guest, more) = {
                let mut guests = plugin.guests.lock();
                (guests.pop_front(), !guests.is_empty())
            };
            if more {
                self.waiting.push_back(plugin);
            }
            if guest.is_some() {
                return guest;
            }
        }
        None
    }
}

impl PluginTurns {
    /// Asks for a turn. The place in the queue is taken at once, so that a guest
    /// which gives way to other tasks does not lose its place meanwhile.
    fn next(self: &Arc<Self>) -> oneshot::Receiver<Turn> {
        let (sender, receiver) = oneshot::channel();
        let mut queue = self.turns.queue.lock();
        if queue.free > 0 {
            queue.free -= 1;
            // The receiver is here, so the turn arrives.
            let _ = sender.send(Turn(Some(self.turns.clone())));
            return receiver;
        }
        let mut guests = self.guests.lock();
        if guests.is_empty() {
            queue.waiting.push_back(self.clone());
        }
        guests.push_back(sender);
        receiver
    }

    /// Runs a part of a call, and counts its time: that of the guest, and that of the
    /// host for it, such as copies of large values.
    pub(crate) fn charge<T>(&self, run: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = run();
        let now = Instant::now();
        self.add(now, now.saturating_duration_since(begun));
        result
    }

    fn add(&self, now: Instant, used: Duration) {
        self.enter_window(now);
        self.used_us.fetch_add(u64::try_from(used.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Whether the calls of the plugin have used less than its share.
    pub(crate) fn is_within_share(&self) -> bool {
        let is_within = || self.used_us.load(Relaxed) < self.turns.share_us;
        // Only a plugin that has used much asks whether its window is over.
        is_within() || {
            self.enter_window(Instant::now());
            is_within()
        }
    }

    /// Whether no other plugin had a call lately.
    fn is_alone(&self) -> bool {
        let window = self.window_of(Instant::now());
        self.turns.activity.lock().has_one_plugin(window)
    }

    fn window_of(&self, now: Instant) -> u64 {
        // No plugin has a call in the window 0.
        clock_ms(now) / self.turns.window_ms + 1
    }

    fn enter_window(&self, now: Instant) {
        let window = self.window_of(now);
        // Another thread may be in a later window already.
        if self.window.load(Relaxed) < window && self.window.fetch_max(window, Relaxed) < window {
            self.used_us.store(0, Relaxed);
            self.turns.activity.lock().add(window);
        }
    }
}

fn clock_ms(now: Instant) -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(now.saturating_duration_since(*START).as_millis()).unwrap_or(u64::MAX)
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

/// The turn of one guest. The guest holds it from one tick to the next and
/// returns it when it waits for the host.
#[derive(Clone)]
pub(crate) struct GuestTurn(Arc<Guest>);

struct Guest {
    plugin: Arc<PluginTurns>,
    held: Mutex<Option<Turn>>,
    computes: AtomicBool,
    ticks: AtomicU64,
    last_tick_ms: AtomicU64,
}

impl GuestTurn {
    pub(crate) fn new(plugin: Arc<PluginTurns>) -> Self {
        Self(Arc::new(Guest {
            plugin,
            held: Mutex::default(),
            computes: AtomicBool::new(false),
            ticks: AtomicU64::new(0),
            last_tick_ms: AtomicU64::new(0),
        }))
    }

    /// See [`PluginTurns::charge`].
    pub(crate) fn charge<T>(&self, run: impl FnOnce() -> T) -> T {
        self.0.plugin.charge(run)
    }

    /// Another call begins.
    pub(crate) fn begin_call(&self) {
        self.0.ticks.store(0, Relaxed);
        self.0.computes.store(false, Relaxed);
    }

    /// The guest calls the host, or its call ends.
    pub(crate) fn give_back(&self) {
        self.0.computes.store(false, Relaxed);
        self.release();
    }

    /// The guest waits, for the host or for its next turn.
    pub(crate) fn release(&self) {
        drop(self.0.held.lock().take());
    }

    /// The guest has computed for one more tick. Returns whether it may go on
    /// without a turn.
    pub(crate) fn tick(&self) -> bool {
        self.0.computes.store(true, Relaxed);
        self.0.last_tick_ms.store(clock_ms(Instant::now()), Relaxed);
        let ticks = self.0.ticks.fetch_add(1, Relaxed);
        ticks < u64::from(FREE_TICKS) && self.0.plugin.is_within_share()
    }

    /// Waits for a turn before a call begins, if the plugin has used its share and others
    /// want the processors too.
    pub(crate) async fn begin(&self) {
        let plugin = &self.0.plugin;
        if !plugin.is_within_share() && !plugin.is_alone() {
            self.next().await;
        }
    }

    /// Whether the guest computes, or waits for a turn to do so, and has
    /// computed for long. If not, it waits for the host.
    pub(crate) fn computes(&self) -> bool {
        self.0.computes.load(Relaxed) && self.0.ticks.load(Relaxed) >= u64::from(FREE_TICKS)
    }

    /// Whether the guest has computed for long, and in the last seconds. This
    /// is for guests whose calls into the host are not known.
    pub(crate) fn has_computed_lately(&self) -> bool {
        let since_ms = clock_ms(Instant::now()).saturating_sub(self.0.last_tick_ms.load(Relaxed));
        self.0.ticks.load(Relaxed) >= u64::from(FREE_TICKS) && since_ms < LATELY_MS
    }

    /// Returns the turn and waits for the next one.
    pub(crate) fn next(&self) -> impl Future<Output = ()> + Send + 'static {
        self.release();
        let guest = self.0.clone();
        let turn = guest.plugin.next();
        async move {
            tokio::task::yield_now().await;
            *guest.held.lock() = turn.await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{task::JoinHandle, time::timeout};

    /// No test is as long as this window.
    const HOUR_MS: u64 = 3_600_000;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    /// A guest that computes for this number of turns.
    fn guest(turns: &Arc<Turns>, plugin: &'static str, rounds: usize, log: &Log) -> JoinHandle<()> {
        let (guest, log) = (GuestTurn::new(turns.of(plugin)), log.clone());
        tokio::spawn(async move {
            for _ in 0..rounds {
                guest.next().await;
                log.lock().push(plugin);
            }
            guest.give_back();
        })
    }

    #[tokio::test]
    async fn a_plugin_with_many_guests_gets_the_share_of_one() {
        let turns = Turns::new(1);
        let log = Log::default();
        let mut guests: Vec<_> = (0..64).map(|_| guest(&turns, "greedy", 50, &log)).collect();
        guests.push(guest(&turns, "modest", 50, &log));
        guests.push(guest(&turns, "other", 50, &log));
        for guest in guests {
            guest.await.unwrap();
        }
        let log = log.lock();
        let last = log.iter().rposition(|plugin| *plugin != "greedy").unwrap();
        let greedy = log[..=last].iter().filter(|plugin| **plugin == "greedy").count();
        assert!(greedy <= 50 + 64 + 10, "{greedy} turns of the greedy plugin beside 50 of each other one");
        assert_eq!(log.len(), 66 * 50);
        assert_eq!(turns.queue.lock().free, 1, "every turn came back");
    }

    #[tokio::test]
    async fn a_guest_that_ends_while_it_waits_keeps_no_turn() {
        let turns = Turns::new(1);
        let first = turns.of("a").next().await;
        let waiting = tokio::spawn(turns.of("b").next());
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.is_err());
        let patient = tokio::spawn(turns.of("c").next());
        tokio::task::yield_now().await;
        drop(first);
        let turn = timeout(Duration::from_secs(5), patient).await.unwrap().unwrap();
        assert!(turn.is_ok() && turns.queue.lock().free == 0);
        drop(turn);
        assert_eq!(turns.queue.lock().free, 1);
    }

    #[test]
    fn the_guests_of_a_plugin_share_the_ticks_that_are_free() {
        let turns = Turns::with_window(1, HOUR_MS);
        let tick = |guest: &GuestTurn| {
            let is_free = guest.tick();
            guest.0.plugin.add(Instant::now(), Duration::from_millis(HOUR_MS / 20));
            is_free
        };
        let guests: Vec<_> = (0..64).map(|_| GuestTurn::new(turns.of("greedy"))).collect();
        let free = guests.iter().filter(|guest| tick(guest)).count();
        assert_eq!(free, 10, "half of the time of one processor");
        let modest = GuestTurn::new(turns.of("modest"));
        assert!((0..FREE_TICKS).all(|_| modest.tick()), "another plugin has its own share");
        assert!(!modest.tick() && modest.computes());
        modest.give_back();
        assert!(!modest.computes(), "it waits for the host");
    }

    #[tokio::test]
    async fn calls_of_a_plugin_over_its_share_begin_one_after_another() {
        let turns = Turns::with_window(1, HOUR_MS);
        let guests: Vec<_> = (0..3).map(|_| GuestTurn::new(turns.of("greedy"))).collect();
        let [first, second, third] = &guests[..] else { panic!("three guests") };
        first.begin().await;
        assert_eq!(turns.queue.lock().free, 1, "a plugin within its share needs no turn");
        first.charge(|| ());
        first.0.plugin.add(Instant::now(), Duration::from_millis(HOUR_MS));
        second.begin().await;
        assert_eq!(turns.queue.lock().free, 1, "a plugin that is alone needs no turn");
        let modest = GuestTurn::new(turns.of("modest"));
        modest.charge(|| ());
        second.begin().await;
        assert_eq!(turns.queue.lock().free, 0);
        let waiting = timeout(Duration::from_millis(20), third.begin()).await;
        assert!(waiting.is_err(), "the turn is taken");
        modest.begin().await;
        second.give_back();
        timeout(Duration::from_secs(5), third.begin()).await.unwrap();
    }
}
