//! The instances of all revisions that wait for a call. They fill the pool in
//! quiet times, so the host drops one when a call needs a place, or memory.

use crate::{Failure, State, memory::MemoryUsedUp};
use host_artifact::ComponentKind;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Instances of a `wasi:http` revision that may wait, however large they are.
pub(super) const WARM_WASI_HTTP: usize = 8;
/// Twice as many small ones may wait. An instance has up to this memory then.
const SMALL_BYTES: usize = 2 << 20;
/// Instances of a revision that may wait when memory is scarce. Those of others give
/// way, because they may have waited for long.
const WARM_AT_LEAST: usize = 4;

/// The waiting instances of all revisions.
pub(super) struct WarmPool {
    sets: Mutex<Sets>,
    /// Places in the pool.
    capacity: u32,
}

#[derive(Default)]
struct Sets {
    all: Vec<Weak<dyn Waiting>>,
    /// The set that is the next to give way when memory is scarce.
    next: usize,
}

/// The waiting instances of one revision.
pub(super) struct WarmSet<I>(Mutex<Vec<I>>);

/// Waiting instances of any kind.
trait Waiting: Send + Sync {
    fn count(&self) -> usize;

    /// False if no instance waits.
    fn drop_one(&self) -> bool;
}

impl<I: Send> Waiting for WarmSet<I> {
    fn count(&self) -> usize {
        self.0.lock().len()
    }

    fn drop_one(&self) -> bool {
        self.take().is_some()
    }
}

impl WarmPool {
    pub(super) fn new(capacity: u32) -> Self {
        Self { sets: Mutex::default(), capacity }
    }

    /// Places in the pool.
    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Adds a set for the instances of another revision.
    pub(super) fn set<I: Send + 'static>(&self) -> Arc<WarmSet<I>> {
        let set = Arc::new(WarmSet(Mutex::default()));
        let weak: Weak<WarmSet<I>> = Arc::downgrade(&set);
        let mut sets = self.sets.lock();
        sets.all.retain(|other| other.strong_count() > 0);
        sets.all.push(weak);
        set
    }

    /// Makes a place in a full pool or a used-up memory: drops one instance of the revision
    /// that has the most. False if the error has another cause, or no instance waits.
    pub(super) fn makes_place(&self, error: &wasmtime::Error) -> bool {
        (is_full(error) || has_used_up_the_memory_of_all(error)) && self.evict_one()
    }

    /// The failure of a call that found no place. None if the error has another cause.
    pub(super) fn busy(&self, error: &wasmtime::Error) -> Option<Failure> {
        is_full(error).then(|| Failure::Busy { component: "host".to_owned(), limit: self.capacity() })
    }

    fn evict_one(&self) -> bool {
        let sets = self.of_all();
        // Another call may take it first. Then the next set is tried.
        let fullest = |sets: &[Arc<dyn Waiting>]| sets.iter().max_by_key(|set| set.count()).cloned();
        while let Some(set) = fullest(&sets).filter(|set| set.count() > 0) {
            if set.drop_one() {
                return true;
            }
        }
        false
    }

    /// The most instances of a set that wait for a call, when the next one is in this
    /// state. If the memory of all plugins is scarce, an instance of another revision gives
    /// way to it.
    pub(super) fn most<I>(&self, state: &State, set: &WarmSet<I>) -> usize {
        let most = most_of(state.kind(), state.memory.bytes).min(state.limits().concurrency);
        if state.memory.is_scarce() {
            0
        } else if state.memory.is_scarce_for_all() {
            let few = most.min(WARM_AT_LEAST);
            if set.count() < few && self.next_gives_way() { few } else { 0 }
        } else {
            most
        }
    }

    /// Drops an instance of the next revision that has one, so that all give way in turn.
    /// False if no instance waits.
    fn next_gives_way(&self) -> bool {
        let next = || {
            let mut sets = self.sets.lock();
            let (begin, count) = (sets.next, sets.all.len());
            let at = |step| (begin + step) % count;
            let found = (0..count).find_map(|step| {
                let set = sets.all.get(at(step))?.upgrade()?;
                (set.count() > 0).then_some((set, at(step + 1)))
            });
            found.map(|(set, after)| {
                sets.next = after;
                set
            })
        };
        // Another call may take the instance first. Then the next set is tried.
        while let Some(set) = next() {
            if set.drop_one() {
                return true;
            }
        }
        false
    }

    /// Instances that wait for a call.
    pub(super) fn count(&self) -> usize {
        self.of_all().iter().map(|set| set.count()).sum()
    }

    fn of_all(&self) -> Vec<Arc<dyn Waiting>> {
        let sets = self.sets.lock();
        sets.all.iter().filter_map(Weak::upgrade).collect()
    }
}

impl<I> WarmSet<I> {
    /// Takes the instance that has waited for the shortest time, because its
    /// memory is the warmest.
    pub(super) fn take(&self) -> Option<I> {
        self.0.lock().pop()
    }

    /// Keeps an instance, unless `most` instances wait already.
    pub(super) fn put(&self, instance: I, most: usize) {
        let mut waiting = self.0.lock();
        if waiting.len() < most {
            waiting.push(instance);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}

/// The most instances of a revision that wait for a call, from the memory of one. Those of
/// `wasi:http` are often large, because interpreters run in them.
fn most_of(kind: ComponentKind, bytes: usize) -> usize {
    match kind {
        ComponentKind::Platform => usize::MAX,
        ComponentKind::WasiHttp if bytes <= SMALL_BYTES => 2 * WARM_WASI_HTTP,
        ComponentKind::WasiHttp => WARM_WASI_HTTP,
    }
}

/// Whether an instance could not be made because all plugins together have used up their
/// memory.
fn has_used_up_the_memory_of_all(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<MemoryUsedUp>().is_some_and(|used_up| !used_up.of_plugin)
}

/// Whether an instance could not be made because the pool has no place.
fn is_full(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some()
}
