//! How long the series of a revision stay in the registry.

use super::{
    COMPONENT, REVISION,
    registry::{REGISTRY, has_label},
    zero_init,
};
use parking_lot::Mutex;
use std::{collections::HashMap, mem, sync::LazyLock};

/// The number of [`RevisionSeries`] for each component and revision.
static USERS: LazyLock<Mutex<HashMap<(String, String), usize>>> = LazyLock::new(Mutex::default);

/// Keeps the series of a revision in the registry. The series go with the last
/// such value for the revision.
#[derive(Debug)]
pub struct RevisionSeries {
    component: String,
    revision: String,
}

impl RevisionSeries {
    /// Creates the series of a revision. Call this before anything is recorded
    /// for the revision, and drop the value when nothing can be recorded any
    /// more.
    pub fn of(component: &str, revision: &str) -> Self {
        let series = Self { component: component.to_owned(), revision: revision.to_owned() };
        *USERS.lock().entry((series.component.clone(), series.revision.clone())).or_default() += 1;
        zero_init::component(component);
        zero_init::revision(component, revision);
        series
    }

    /// Creates the series of the requests to other plugins.
    pub fn begin_requests<'a>(&self, callees: impl IntoIterator<Item = &'a String>) {
        callees.into_iter().for_each(|callee| zero_init::plugin_requests(&self.component, callee));
    }
}

impl Drop for RevisionSeries {
    fn drop(&mut self) {
        let mut users = USERS.lock();
        let key = (mem::take(&mut self.component), mem::take(&mut self.revision));
        if let Some(count) = users.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count > 0 {
                return;
            }
        }
        users.remove(&key);
        // The lock is held until here. So a new user of the same revision
        // creates its series after this removal.
        let (component, revision) = &key;
        REGISTRY.remove(|key| has_label(key, COMPONENT, component) && has_label(key, REVISION, revision));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Metrics, forget_component},
        *,
    };
    use metrics::{counter, gauge, histogram};

    #[test]
    fn the_series_of_a_revision_go_with_its_last_user_and_other_series_stay() {
        let metrics = Metrics::start().unwrap();
        let record = |revision: &str| {
            counter!("kept_total", "component" => "kept", "revision" => revision.to_owned()).increment(1);
            histogram!("kept_seconds", "component" => "kept", "revision" => revision.to_owned()).record(1.0);
        };
        let (one, other, second) =
            (RevisionSeries::of("kept", "1"), RevisionSeries::of("kept", "1"), RevisionSeries::of("kept", "2"));
        record("1");
        record("2");
        gauge!("kept_gauge", "component" => "kept").set(1.0);
        drop(one);
        assert!(metrics.render().contains("kept_total{component=\"kept\",revision=\"1\"} 1"), "one user is left");
        drop(other);
        let text = metrics.render();
        assert!(!text.contains("kept\",revision=\"1\""), "{text}");
        assert!(text.contains("kept_total{component=\"kept\",revision=\"2\"} 1"), "{text}");
        assert!(text.contains("kept_gauge{component=\"kept\"} 1"), "{text}");
        forget_component("kept");
        assert!(!metrics.render().contains("\"kept\""));
        drop(second);
    }
}
