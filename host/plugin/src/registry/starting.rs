//! Plugins that are being loaded while the host serves already.

use super::{Registry, Snapshot};
use crate::archive::Record;
use host_artifact::manifest::Manifest;
use std::{collections::BTreeMap, sync::Arc};

/// A plugin that is to be active and is not loaded yet. Its routes are its own
/// already, and requests are refused until it serves.
pub struct Starting {
    /// The revision that is being loaded.
    pub record: Record,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Registry {
    /// Reserves the routes of a plugin that is being loaded.
    pub(crate) fn begin_start(&self, starting: Starting) {
        let name = starting.manifest.name.clone();
        self.change_starting(|all| drop(all.insert(name, Arc::new(starting))));
    }

    /// Gives up a plugin that is being loaded.
    pub(crate) fn end_start(&self, plugin: &str) {
        self.change_starting(|all| drop(all.remove(plugin)));
    }

    fn change_starting(&self, change: impl FnOnce(&mut BTreeMap<String, Arc<Starting>>)) {
        let _turn = self.changes.lock();
        let current = self.current.load();
        let (plugins, mut starting) = (current.plugins.clone(), current.starting.clone());
        change(&mut starting);
        starting.retain(|name, _| !plugins.contains_key(name));
        // The same plugins have been active together before.
        if let Ok(next) = Snapshot::new(plugins, starting) {
            self.current.store(Arc::new(next));
        }
    }
}

impl Snapshot {
    /// The plugin of this name that is being loaded.
    pub fn starting(&self, name: &str) -> Option<&Starting> {
        self.starting.get(name).map(|starting| &**starting)
    }

    /// All plugins that are being loaded, by name.
    pub fn all_starting(&self) -> impl Iterator<Item = &Starting> {
        self.starting.values().map(|starting| &**starting)
    }
}
