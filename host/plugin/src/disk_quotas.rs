//! The quotas of plugins on disk, and how much of them is used.

use crate::registry::Registry;
use host_api::{policy::Quotas, revisions::Source};
use host_config::quotas::QuotasConfig;
use host_store::{Database, DiskAmount};
use metrics::gauge;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// A database that does not answer is measured next time.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(5);
/// A plugin is warned of at this part of a quota, in percent.
const WARN_PERCENT: u64 = 80;

/// The quotas of a plugin from this source, unless its policy has others. The
/// plugins of the binary and of the settings have more, because the operator has
/// chosen them.
pub fn quotas_of(source: Source, settings: QuotasConfig, policy: &Quotas) -> QuotasConfig {
    let default = match source {
        Source::Upload => settings,
        Source::Bundled | Source::File => settings.max(QuotasConfig::OF_CHOSEN_PLUGINS),
    };
    QuotasConfig {
        database_mib: policy.database_mib.unwrap_or(default.database_mib),
        outbox_events: policy.outbox_events.unwrap_or(default.outbox_events),
        timers: policy.timers.unwrap_or(default.timers),
        dead_letters: policy.dead_letters.unwrap_or(default.dead_letters),
        staged_revisions: policy.staged_revisions.unwrap_or(default.staged_revisions),
    }
}

/// What of the quotas concerns the database.
pub(crate) fn disk_amount(quotas: QuotasConfig) -> DiskAmount {
    DiskAmount {
        database_bytes: quotas.database_mib.saturating_mul(1 << 20),
        outbox_events: quotas.outbox_events,
        timers: quotas.timers,
    }
}

/// Measures what the active plugins occupy, until the host stops.
pub async fn watch(registry: Arc<Registry>, stop: CancellationToken) {
    let mut near = BTreeSet::new();
    let mut times = tokio::time::interval(MEASURE_EVERY);
    while stop.run_until_cancelled(times.tick()).await.is_some() {
        for plugin in registry.snapshot().plugins() {
            let Some(database) = &plugin.revision.database else { continue };
            measure(plugin.revision.name(), &**database, &mut near).await;
        }
    }
}

async fn measure(component: &str, database: &dyn Database, near: &mut BTreeSet<(String, &'static str)>) {
    let used = match tokio::time::timeout(MEASURE_TIMEOUT, database.measure()).await {
        Ok(Ok(used)) => used,
        Ok(Err(error)) => {
            return tracing::debug!(component, ?error, "the host cannot measure the component's database");
        }
        Err(_) => return tracing::debug!(component, "measuring the component's database takes too long"),
    };
    let quota = database.quota();
    let set = |name: &'static str, value: u64| gauge!(name, "component" => component.to_owned()).set(value as f64);
    set("plugin_database_bytes", used.database_bytes);
    set("plugin_database_limit_bytes", quota.database_bytes);
    set("plugin_outbox_events", used.outbox_events);
    set("plugin_outbox_limit_events", quota.outbox_events);
    set("plugin_timers", used.timers);
    set("plugin_timers_limit", quota.timers);
    for (what, used, limit) in [
        ("the size of its database", used.database_bytes, quota.database_bytes),
        ("events in its outbox", used.outbox_events, quota.outbox_events),
        ("timers", used.timers, quota.timers),
    ] {
        let key = (component.to_owned(), what);
        if !is_near(used, limit) {
            near.remove(&key);
        } else if near.insert(key) {
            tracing::warn!(component, what, used, limit, "the component has used most of its quota");
        }
    }
}

fn is_near(used: u64, limit: u64) -> bool {
    u128::from(used) * 100 >= u128::from(limit) * u128::from(WARN_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_of_a_quota_are_near_it() {
        assert!(!is_near(79, 100) && is_near(80, 100) && is_near(200, 100));
        assert!(!is_near(0, 1) && is_near(u64::MAX, u64::MAX));
    }

    #[test]
    fn chosen_plugins_have_more_than_uploads_and_never_less_than_the_settings() {
        let few = QuotasConfig { database_mib: 1, outbox_events: 1, timers: 1, dead_letters: 1, staged_revisions: 1 };
        assert_eq!(quotas_of(Source::Upload, few, &Quotas::default()), few);
        assert_eq!(quotas_of(Source::Bundled, few, &Quotas::default()), QuotasConfig::OF_CHOSEN_PLUGINS);
        let many = QuotasConfig { database_mib: 1 << 40, ..few };
        assert_eq!(quotas_of(Source::File, many, &Quotas::default()).database_mib, 1 << 40);
        let policy = Quotas { timers: Some(3), ..Quotas::default() };
        let by_policy = quotas_of(Source::Bundled, many, &policy);
        assert_eq!((by_policy.timers, by_policy.outbox_events), (3, 1_000_000), "the policy decides");
    }
}
