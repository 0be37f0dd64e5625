//! The instances of all revisions that wait for a call. They fill the pool in
//! quiet times, so the host drops one when a call needs a place.

use super::instance::Instance;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// The waiting instances of all revisions.
pub(super) struct WarmPool {
    sets: Mutex<Vec<Weak<WarmSet>>>,
    /// Places in the pool.
    capacity: u32,
}

/// The waiting instances of one revision.
#[derive(Default)]
pub(super) struct WarmSet(Mutex<Vec<Instance>>);

impl WarmPool {
    pub(super) fn new(capacity: u32) -> Self {
        Self { sets: Mutex::default(), capacity }
    }

    /// Places in the pool.
    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Adds a set for the instances of another revision.
    pub(super) fn set(&self) -> Arc<WarmSet> {
        let set = Arc::default();
        let mut sets = self.sets.lock();
        sets.retain(|other| other.strong_count() > 0);
        sets.push(Arc::downgrade(&set));
        set
    }

    /// Drops one instance of the revision that has the most. False if no
    /// instance waits.
    pub(super) fn evict_one(&self) -> bool {
        let sets = self.of_all();
        // Another call may take it first. Then the next set is tried.
        let fullest = |sets: &[Arc<WarmSet>]| sets.iter().max_by_key(|set| set.count()).cloned();
        while let Some(set) = fullest(&sets).filter(|set| set.count() > 0) {
            if set.take().is_some() {
                return true;
            }
        }
        false
    }

    /// Instances that wait for a call.
    pub(super) fn count(&self) -> usize {
        self.of_all().iter().map(|set| set.count()).sum()
    }

    fn of_all(&self) -> Vec<Arc<WarmSet>> {
        let sets = self.sets.lock();
        sets.iter().filter_map(Weak::upgrade).collect()
    }
}

impl WarmSet {
    /// Takes the instance that has waited for the shortest time, because its
    /// memory is the warmest.
    pub(super) fn take(&self) -> Option<Instance> {
        self.0.lock().pop()
    }

    /// Keeps an instance, unless `most` instances wait already.
    pub(super) fn put(&self, instance: Instance, most: usize) {
        let mut waiting = self.0.lock();
        if waiting.len() < most {
            waiting.push(instance);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
