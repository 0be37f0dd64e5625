//! The budgets of a plugin, and the used part of each.

use host_api::plugins::{Budget, BudgetView};
use host_plugin::Revision;

/// A budget is nearly used from this part on, in percent. The rules for Prometheus
/// have the same.
const NEARLY_PERCENT: u128 = 80;

/// The budgets that are nearly used. Nothing is measured for it.
pub(super) fn nearly_used(revision: &Revision) -> Vec<BudgetView> {
    let memory = (Budget::Memory, revision.memory_bytes() as u64, revision.memory_limit_bytes() as u64);
    let disk = revision.database.as_ref().map(|database| {
        let (used, quota) = (database.last_measured(), database.quota());
        [
            (Budget::Database, used.database_bytes, quota.database_bytes),
            (Budget::Outbox, used.outbox_events, quota.outbox_events),
            (Budget::Timers, used.timers, quota.timers),
        ]
    });
    let budgets = std::iter::once(memory).chain(disk.into_iter().flatten());
    let nearly = budgets.filter(|(_, used, limit)| is_nearly(*used, *limit));
    nearly.map(|(budget, used, limit)| BudgetView { budget: budget.into(), used, limit }).collect()
}

fn is_nearly(used: u64, limit: u64) -> bool {
    u128::from(used) * 100 >= u128::from(limit) * NEARLY_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_fifths_are_nearly_all() {
        assert!(!is_nearly(79, 100) && is_nearly(80, 100) && is_nearly(101, 100));
        assert!(!is_nearly(0, 1) && is_nearly(u64::MAX, u64::MAX));
    }
}
