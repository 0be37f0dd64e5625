//! What one plugin may use: by its manifest, or as an operator sets it.

use crate::plugins::LimitOverrides;
use serde::{Deserialize, Serialize};

/// What one plugin may use. The unit is in the name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory of one instance.
    pub memory_mib: usize,
    /// One call, from its start to its answer.
    pub wall_time_ms: u64,
    /// One transaction, from `begin` to `commit`.
    pub transaction_ms: u64,
    /// Calls at the same time.
    pub concurrency: usize,
    /// Calls that wait for their turn; one more is refused.
    pub queue: usize,
    /// A request's body.
    pub body_bytes: usize,
    /// A response's body.
    pub response_bytes: usize,
    /// An event's payload.
    pub event_bytes: usize,
    /// Calls from the component into the host in one invocation.
    pub host_calls: u32,
    /// Deliveries of one event or timer before it is a dead letter.
    pub delivery_attempts: u32,
    /// Core modules that one instance of the component consists of. An interpreter
    /// has many.
    pub core_instances: u32,
    /// Linear memories of one instance.
    pub memories: u32,
    /// Tables of one instance.
    pub tables: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 64,
            wall_time_ms: 10_000,
            transaction_ms: 5_000,
            concurrency: 64,
            queue: 512,
            body_bytes: 1 << 20,
            response_bytes: 8 << 20,
            event_bytes: 256 << 10,
            host_calls: 10_000,
            delivery_attempts: 10,
            core_instances: 64,
            memories: 2,
            tables: 20,
        }
    }
}

/// A limit that no plugin may have.
#[derive(Debug, thiserror::Error)]
#[error("the limit {limit} {problem}")]
pub struct LimitError {
    /// Its name, such as `memory_mib`.
    pub limit: &'static str,
    /// Such as `must be 1 to 512`.
    pub problem: String,
}

impl Limits {
    /// The highest limits of a plugin whose policy names no higher ones. They
    /// leave room for other plugins on a small machine.
    pub fn ceilings() -> Self {
        Self {
            memory_mib: 128,
            wall_time_ms: 30_000,
            transaction_ms: 10_000,
            concurrency: 64,
            queue: 512,
            body_bytes: 8 << 20,
            response_bytes: 16 << 20,
            event_bytes: 256 << 10,
            host_calls: 100_000,
            delivery_attempts: 100,
            core_instances: 64,
            memories: 2,
            tables: 20,
        }
    }

    /// All limits by name, in the order of the fields.
    pub fn values(&self) -> [(&'static str, u64); 13] {
        [
            ("memory_mib", self.memory_mib as u64),
            ("wall_time_ms", self.wall_time_ms),
            ("transaction_ms", self.transaction_ms),
            ("concurrency", self.concurrency as u64),
            ("queue", self.queue as u64),
            ("body_bytes", self.body_bytes as u64),
            ("response_bytes", self.response_bytes as u64),
            ("event_bytes", self.event_bytes as u64),
            ("host_calls", u64::from(self.host_calls)),
            ("delivery_attempts", u64::from(self.delivery_attempts)),
            ("core_instances", u64::from(self.core_instances)),
            ("memories", u64::from(self.memories)),
            ("tables", u64::from(self.tables)),
        ]
    }

    /// Puts an operator's limits in the place of the author's.
    ///
    /// # Errors
    /// Names a limit that is out of its bounds.
    pub fn override_with(&mut self, overrides: &LimitOverrides) -> Result<(), LimitError> {
        fn set<T: Copy>(limit: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *limit = value;
            }
        }
        set(&mut self.memory_mib, overrides.memory_mib);
        set(&mut self.wall_time_ms, overrides.wall_time_ms);
        set(&mut self.transaction_ms, overrides.transaction_ms);
        set(&mut self.concurrency, overrides.concurrency);
        set(&mut self.queue, overrides.queue);
        set(&mut self.body_bytes, overrides.body_bytes);
        set(&mut self.response_bytes, overrides.response_bytes);
        set(&mut self.event_bytes, overrides.event_bytes);
        set(&mut self.host_calls, overrides.host_calls);
        set(&mut self.delivery_attempts, overrides.delivery_attempts);
        set(&mut self.core_instances, overrides.core_instances);
        set(&mut self.memories, overrides.memories);
        set(&mut self.tables, overrides.tables);
        self.check()
    }

    /// Checks that each limit is one that a plugin may have.
    ///
    /// # Errors
    /// The first one that is not.
    pub fn check(&self) -> Result<(), LimitError> {
        let bounds: [(u64, u64); 13] = [
            (1, 512),
            (1, 300_000),
            (1, 60_000),
            (1, 1_000),
            (0, 100_000),
            (0, 64 << 20),
            (1, 64 << 20),
            (1, 1 << 20),
            (1, 10_000_000),
            (1, 1_000),
            (1, 10_000),
            (1, 100),
            (1, 1_000),
        ];
        let mut checked = self.values().into_iter().zip(bounds);
        match checked.find(|((_, value), (low, high))| value < low || value > high) {
            Some(((limit, _), (low, high))) => Err(LimitError { limit, problem: format!("must be {low} to {high}") }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_one_name_in_all_tables() {
        let limits = Limits::default();
        assert_eq!(limits.values().map(|(name, _)| name), LimitOverrides::NAMES);
        let fields = toml::Table::try_from(&limits).unwrap();
        let overrides: LimitOverrides = fields.clone().try_into().unwrap();
        assert_eq!(toml::Table::try_from(overrides).unwrap(), fields, "each limit can be overridden");
        assert_eq!(fields.len(), LimitOverrides::NAMES.len());
    }
}
