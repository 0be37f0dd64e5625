//! Instances that wait for a call, of all revisions together. They fill the
//! pool in quiet times, so they give way to whoever needs a place in it.

use super::instance::Instance;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};

/// What waits, revision by revision.
pub(super) struct Warm {
    shelves: Mutex<Vec<Weak<Shelf>>>,
    /// Places in the pool.
    places: u32,
}

/// The waiting instances of one revision.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Vec<Instance>>);

impl Warm {
    pub(super) fn new(places: u32) -> Self {
        Self { shelves: Mutex::default(), places }
    }

    /// Places in the pool.
    pub(super) fn places(&self) -> usize {
        self.places as usize
    }

    /// Room for the instances of another revision.
    pub(super) fn shelf(&self) -> Arc<Shelf> {
        let shelf = Arc::default();
        let mut shelves = self.shelves.lock();
        shelves.retain(|other| other.strong_count() > 0);
        shelves.push(Arc::downgrade(&shelf));
        shelf
    }

    /// Gives up one instance, of the revision that has the most; false if none
    /// waits anywhere.
    pub(super) fn give_way(&self) -> bool {
        let shelves = self.of_all();
        // Another may take it first: then the next one is asked.
        let fullest = |shelves: &[Arc<Shelf>]| shelves.iter().max_by_key(|shelf| shelf.count()).cloned();
        while let Some(shelf) = fullest(&shelves).filter(|shelf| shelf.count() > 0) {
            if shelf.take().is_some() {
                return true;
            }
        }
        false
    }

    /// Instances that wait for a call.
    pub(super) fn count(&self) -> usize {
        self.of_all().iter().map(|shelf| shelf.count()).sum()
    }

    fn of_all(&self) -> Vec<Arc<Shelf>> {
        let shelves = self.shelves.lock();
        shelves.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Shelf {
    /// The one that waits for the shortest time, whose memory is the warmest.
    pub(super) fn take(&self) -> Option<Instance> {
        self.0.lock().pop()
    }

    /// Keeps an instance, unless so many wait already.
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
