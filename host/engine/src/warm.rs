//! The instances of all revisions that wait for a call. They fill the pool in
//! quiet times, so the host drops one when a call needs a place.

use crate::Failure;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// Instances of a `wasi:http` revision that may wait, however large they are.
pub(super) const WARM_WASI_HTTP: usize = 8;
/// Twice as many small ones may wait. An instance has up to this memory then.
const SMALL_BYTES: usize = 2 << 20;

/// The most instances of a `wasi:http` revision that wait for a call, from the memory of
/// one. Many are large, because interpreters run in them.
pub(super) fn most_of_wasi_http(bytes: usize) -> usize {
    if bytes <= SMALL_BYTES { 2 * WARM_WASI_HTTP } else { WARM_WASI_HTTP }
}

/// The waiting instances of all revisions.
pub(super) struct WarmPool {
    sets: Mutex<Vec<Weak<dyn Waiting>>>,
    /// Places in the pool.
    capacity: u32,
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
        sets.retain(|other| other.strong_count() > 0);
        sets.push(weak);
        set
    }

    /// Makes a place in a full pool: drops one instance of the revision that has the most.
    /// False if the error has another cause, or no instance waits.
    pub(super) fn makes_place(&self, error: &wasmtime::Error) -> bool {
        is_full(error) && self.evict_one()
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

    /// Instances that wait for a call.
    pub(super) fn count(&self) -> usize {
        self.of_all().iter().map(|set| set.count()).sum()
    }

    fn of_all(&self) -> Vec<Arc<dyn Waiting>> {
        let sets = self.sets.lock();
        sets.iter().filter_map(Weak::upgrade).collect()
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

/// Whether an instance could not be made because the pool has no place.
fn is_full(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some()
}
