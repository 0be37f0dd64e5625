//! The memory that the host holds for the SQL of components: parameters, rows,
//! and the events and timers of open transactions. It is counted before it is
//! used, for each component and for the whole host. A call over one of the two
//! budgets fails with the error `limit`.

use super::{Error, Rows, Value, values::value_bytes};
use std::{
    mem::size_of,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// A call takes memory from the budgets in pieces, so that a small statement
/// changes each counter twice.
const PIECE_BYTES: u64 = 64 << 10;
/// The budget of a component before its limits are known, and the least one.
const LEAST_COMPONENT_BYTES: u64 = 32 << 20;

/// A budget and its use.
#[derive(Debug)]
pub struct MemoryBudget {
    limit_bytes: AtomicU64,
    used_bytes: AtomicU64,
    /// None for the budget of the host itself.
    host: Option<Arc<MemoryBudget>>,
}

impl MemoryBudget {
    /// The budget of all components together.
    pub(crate) fn of_host(limit_bytes: u64) -> Arc<Self> {
        Arc::new(Self { limit_bytes: AtomicU64::new(limit_bytes), used_bytes: AtomicU64::new(0), host: None })
    }

    /// The budget of one component, as a part of the host's.
    pub(crate) fn of_component(host: &Arc<Self>) -> Arc<Self> {
        let limit_bytes = AtomicU64::new(LEAST_COMPONENT_BYTES);
        Arc::new(Self { limit_bytes, used_bytes: AtomicU64::new(0), host: Some(host.clone()) })
    }

    /// Sets the budget of a component to the memory of one of its instances.
    pub fn set_limit(&self, memory_mib: usize) {
        let bytes = u64::try_from(memory_mib).unwrap_or(u64::MAX).saturating_mul(1 << 20);
        self.limit_bytes.store(bytes.max(LEAST_COMPONENT_BYTES), Relaxed);
    }

    /// Begins to count memory. It counts until the value is dropped.
    pub(crate) fn hold(self: &Arc<Self>) -> HeldMemory {
        HeldMemory { budget: self.clone(), held_bytes: 0, taken_bytes: 0 }
    }

    fn take(&self, bytes: u64) -> Result<(), Error> {
        self.take_own(bytes)?;
        if let Some(host) = &self.host
            && let Err(error) = host.take_own(bytes)
        {
            self.used_bytes.fetch_sub(bytes, Relaxed);
            return Err(error);
        }
        Ok(())
    }

    fn take_own(&self, bytes: u64) -> Result<(), Error> {
        let limit = self.limit_bytes.load(Relaxed);
        let before = self.used_bytes.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) <= limit {
            return Ok(());
        }
        self.used_bytes.fetch_sub(bytes, Relaxed);
        let whose = if self.host.is_some() { "component" } else { "host" };
        Err(Error::Limit(format!("more than {limit} bytes of memory for the SQL of the {whose}")))
    }

    fn give_back(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Relaxed);
        if let Some(host) = &self.host {
            host.used_bytes.fetch_sub(bytes, Relaxed);
        }
    }
}

/// Memory that counts until this value is dropped.
#[derive(Debug)]
pub struct HeldMemory {
    budget: Arc<MemoryBudget>,
    held_bytes: u64,
    taken_bytes: u64,
}

impl HeldMemory {
    /// Counts more memory, before it is used.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Error> {
        let held = self.held_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if held > self.taken_bytes {
            let missing = (held - self.taken_bytes).max(PIECE_BYTES);
            self.budget.take(missing)?;
            self.taken_bytes += missing;
        }
        self.held_bytes = held;
        Ok(())
    }

    /// Counts other memory from now on.
    pub(crate) fn replace(&mut self, bytes: usize) -> Result<(), Error> {
        self.held_bytes = 0;
        if self.taken_bytes > PIECE_BYTES {
            self.budget.give_back(self.taken_bytes - PIECE_BYTES);
            self.taken_bytes = PIECE_BYTES;
        }
        self.add(bytes)
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.budget.give_back(self.taken_bytes);
    }
}

/// The memory of values, with that of their places in a list.
pub(crate) fn memory_of(values: &[Value]) -> usize {
    values.iter().map(|value| size_of::<Value>() + value_bytes(value)).sum()
}

/// The memory of a result.
pub(crate) fn memory_of_rows(rows: &Rows) -> usize {
    rows.rows.iter().map(|row| size_of::<Vec<Value>>() + memory_of(row)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_and_the_host_have_a_budget_each() {
        let host = MemoryBudget::of_host(48 << 20);
        let (one, other) = (MemoryBudget::of_component(&host), MemoryBudget::of_component(&host));
        let mut held = one.hold();
        held.add(30 << 20).unwrap();
        let refused = held.add(3 << 20).unwrap_err();
        assert!(matches!(&refused, Error::Limit(text) if text.contains("component")), "{refused:?}");
        let mut others = other.hold();
        others.add(10 << 20).unwrap();
        let refused = others.add(20 << 20).unwrap_err();
        assert!(matches!(&refused, Error::Limit(text) if text.contains("host")), "{refused:?}");
        held.replace(1).unwrap();
        others.add(20 << 20).unwrap();
        drop((held, others));
        assert_eq!((one.used_bytes.load(Relaxed), host.used_bytes.load(Relaxed)), (0, 0), "everything came back");
    }

    #[test]
    fn the_budget_of_a_component_follows_its_limits() {
        let host = MemoryBudget::of_host(1 << 30);
        let component = MemoryBudget::of_component(&host);
        component.set_limit(64);
        component.hold().add(60 << 20).unwrap();
        component.set_limit(1);
        component.hold().add(20 << 20).unwrap();
        component.hold().add(40 << 20).unwrap_err();
    }
}
