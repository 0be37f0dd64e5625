//! The memory that the host holds for the SQL of components: parameters, rows,
//! and the events and timers of open transactions. It is counted before it is
//! used, for each component and for the whole host. A call over one of the two
//! budgets fails with the error `limit`.

use super::{Error, Rows, Value, values::value_bytes};
use host_base::{
    ByteBudget,
    byte_budget::{BudgetExceeded, HeldBytes},
};
use std::{mem::size_of, sync::Arc};

/// A call takes memory from the budgets in pieces, so that a small statement
/// changes each counter twice.
const PIECE_BYTES: usize = 64 << 10;
/// The budget of a component before its limits are known, and the least one.
pub(crate) const LEAST_COMPONENT_BYTES: usize = 32 << 20;

/// Sets the budget of a component to the memory of one of its instances.
pub fn set_memory_limit(budget: &ByteBudget, memory_mib: usize) {
    budget.set_limit(memory_mib.saturating_mul(1 << 20).max(LEAST_COMPONENT_BYTES));
}

/// Memory that counts until this value is dropped.
#[derive(Debug)]
pub struct HeldMemory {
    budget: Arc<ByteBudget>,
    /// Taken from the budget. It is at least what is used.
    taken: Option<HeldBytes>,
    used_bytes: usize,
}

impl HeldMemory {
    /// Nothing yet.
    pub(crate) fn of(budget: &Arc<ByteBudget>) -> Self {
        Self { budget: budget.clone(), taken: None, used_bytes: 0 }
    }

    /// Counts more memory, before it is used.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Error> {
        let used = self.used_bytes.saturating_add(bytes);
        let taken = self.taken.as_ref().map_or(0, HeldBytes::bytes);
        if used > taken {
            let missing = (used - taken).max(PIECE_BYTES);
            match &mut self.taken {
                Some(taken) => taken.grow(missing).map_err(over)?,
                None => self.taken = Some(self.budget.hold(missing).map_err(over)?),
            }
        }
        self.used_bytes = used;
        Ok(())
    }

    /// Counts other memory from now on.
    pub(crate) fn replace(&mut self, bytes: usize) -> Result<(), Error> {
        self.used_bytes = 0;
        if let Some(taken) = &mut self.taken {
            taken.shrink_to(PIECE_BYTES);
        }
        self.add(bytes)
    }
}

fn over(BudgetExceeded { limit, is_part }: BudgetExceeded) -> Error {
    let whose = if is_part { "component" } else { "host" };
    Error::Limit(format!("more than {limit} bytes of memory for the SQL of the {whose}"))
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
        let host = ByteBudget::new(48 << 20);
        let (one, other) = (component(&host), component(&host));
        let mut held = HeldMemory::of(&one);
        held.add(30 << 20).unwrap();
        let refused = held.add(3 << 20).unwrap_err();
        assert!(matches!(&refused, Error::Limit(text) if text.contains("component")), "{refused:?}");
        let mut others = HeldMemory::of(&other);
        others.add(10 << 20).unwrap();
        let refused = others.add(20 << 20).unwrap_err();
        assert!(matches!(&refused, Error::Limit(text) if text.contains("host")), "{refused:?}");
        held.replace(1).unwrap();
        others.add(20 << 20).unwrap();
        drop((held, others));
        assert_eq!((one.held(), host.held()), (0, 0), "everything came back");
    }

    #[test]
    fn the_budget_of_a_component_follows_its_limits() {
        let component = component(&ByteBudget::new(1 << 30));
        set_memory_limit(&component, 64);
        HeldMemory::of(&component).add(60 << 20).unwrap();
        set_memory_limit(&component, 1);
        HeldMemory::of(&component).add(20 << 20).unwrap();
        HeldMemory::of(&component).add(40 << 20).unwrap_err();
    }

    fn component(host: &Arc<ByteBudget>) -> Arc<ByteBudget> {
        ByteBudget::part_of(host, LEAST_COMPONENT_BYTES)
    }
}
