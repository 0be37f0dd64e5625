//! The limits on the number of listeners.

use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// The listeners of this host.
pub(super) struct Places {
    most: usize,
    most_of_plugin: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    plugins: HashMap<String, usize>,
}

/// The place of one listener, until it is dropped.
pub(super) struct TakenPlace {
    places: Arc<Places>,
    plugin: Arc<str>,
}

impl Places {
    pub(super) fn new(most: usize, most_of_plugin: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_plugin, taken: Mutex::default() })
    }

    /// Takes a place. Returns none if all are taken.
    pub(super) fn take(self: &Arc<Self>, plugin: &str) -> Option<TakenPlace> {
        let mut taken = self.taken.lock();
        let of_plugin = taken.plugins.get(plugin).copied().unwrap_or(0);
        if taken.all >= self.most || of_plugin >= self.most_of_plugin {
            return None;
        }
        taken.all += 1;
        *taken.plugins.entry(plugin.to_owned()).or_default() += 1;
        Some(TakenPlace { places: self.clone(), plugin: plugin.into() })
    }
}

impl Drop for TakenPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        let Some(of_plugin) = taken.plugins.get_mut(&*self.plugin) else { return };
        *of_plugin -= 1;
        if *of_plugin == 0 {
            taken.plugins.remove(&*self.plugin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_and_the_host_have_a_limited_number_of_places() {
        let places = Places::new(3, 2);
        let (first, second) = (places.take("a").unwrap(), places.take("a").unwrap());
        assert!(places.take("a").is_none(), "the places of the plugin are taken");
        let other = places.take("b").unwrap();
        assert!(places.take("b").is_none(), "the places of the host are taken");
        drop(first);
        drop(places.take("b").unwrap());
        drop((second, other));
        assert_eq!(places.taken.lock().all, 0);
        assert!(places.taken.lock().plugins.is_empty());
    }
}
