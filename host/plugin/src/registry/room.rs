//! Whether the routes of a plugin have room beside those of other plugins.

use super::SnapshotError;
use host_artifact::{
    manifest::{Manifest, Route},
    routes::Pattern,
};
use std::collections::HashMap;

/// The routes of a manifest, by their first segments, so that each route of
/// others is compared with few of them.
pub(super) struct Wanted<'a> {
    plugin: &'a str,
    by_first_text: HashMap<String, Vec<(&'a Route, Pattern)>>,
    others: Vec<(&'a Route, Pattern)>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(manifest: &'a Manifest) -> Self {
        let mut wanted = Self { plugin: &manifest.name, by_first_text: HashMap::new(), others: Vec::new() };
        for route in &manifest.routes {
            let pattern = Pattern::of(&route.path);
            match pattern.first_text().map(str::to_owned) {
                Some(text) => wanted.by_first_text.entry(text).or_default().push((route, pattern)),
                None => wanted.others.push((route, pattern)),
            }
        }
        wanted
    }

    /// Refuses a route that could take a request away from a route of `owner`.
    pub(super) fn check_room(&self, owner: &str, other: &Route) -> Result<(), SnapshotError> {
        let pattern = Pattern::of(&other.path);
        let alike: Box<dyn Iterator<Item = &(&Route, Pattern)>> = match pattern.first_text() {
            Some(text) => Box::new(self.by_first_text.get(text).into_iter().flatten()),
            None => Box::new(self.by_first_text.values().flatten()),
        };
        let mut overlapping = alike.chain(&self.others).filter(|(_, wanted)| wanted.overlaps(&pattern));
        overlapping.try_for_each(|(route, _)| self.check_overlap(route, owner, other))
    }

    fn check_overlap(&self, route: &Route, owner: &str, other: &Route) -> Result<(), SnapshotError> {
        let (plugin, owner, path) = (self.plugin.to_owned(), owner.to_owned(), route.path.clone());
        if route.path != other.path {
            return Err(SnapshotError::Overlap { path, plugin, other: other.path.clone(), owner });
        }
        match route.methods.iter().find(|method| other.methods.contains(method)) {
            Some(method) => Err(SnapshotError::Owned { method: method.clone(), path, plugin, owner }),
            None => Ok(()),
        }
    }
}
