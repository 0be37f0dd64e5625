//! A host's answer to `/metrics`, read as Prometheus does.

use std::collections::{BTreeMap, BTreeSet};

/// The values of each label of each metric.
pub(super) struct Exposed(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Exposed {
    pub(super) fn read(text: &str) -> Self {
        let mut metrics: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (name, labels) = series.strip_suffix('}').and_then(|all| all.split_once('{')).unwrap_or((series, ""));
            let known = metrics.entry(name.to_owned()).or_default();
            for label in labels.split("\",").filter(|label| !label.is_empty()) {
                let (name, value) = label.trim_end_matches('"').split_once("=\"").unwrap();
                known.entry(name.to_owned()).or_default().insert(value.to_owned());
            }
        }
        Self(metrics)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The labels of a metric, each with its values. None if there is no such
    /// metric.
    pub(super) fn labels(&self, metric: &str) -> Option<&BTreeMap<String, BTreeSet<String>>> {
        self.0.get(metric)
    }
}
