//! A bound on the bytes that many calls hold together.
//!
//! A budget can be a part of another one. So a plugin has a budget of its own
//! within the budget of the host, and a plugin that has used its budget up leaves
//! the rest of the host's to others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A number of bytes that may be held at the same time.
#[derive(Debug)]
pub struct ByteBudget {
    limit: usize,
    held: AtomicUsize,
    whole: Option<Arc<Self>>,
}

/// Bytes of a budget. They are free again when this value is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    budget: Arc<ByteBudget>,
    bytes: usize,
}

/// The bytes are not free. Holds the limit of the budget that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExceeded(pub usize);

impl ByteBudget {
    /// A budget of its own.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0), whole: None })
    }

    /// A budget that is a part of another one.
    pub fn part_of(whole: &Arc<Self>, limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0), whole: Some(whole.clone()) })
    }

    /// Takes bytes out of the budget, and out of the one that it is a part of.
    ///
    /// # Errors
    /// One of them does not have so many bytes left.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Result<HeldBytes, BudgetExceeded> {
        self.add(bytes)?;
        Ok(HeldBytes { budget: self.clone(), bytes })
    }

    /// The bytes that are held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        let add = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.limit);
        if self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_err() {
            return Err(BudgetExceeded(self.limit));
        }
        let whole = self.whole.as_ref().map_or(Ok(()), |whole| whole.add(bytes));
        whole.inspect_err(|_| {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        })
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.give_back(bytes);
        }
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_bounded_by_itself_and_by_the_whole() {
        let host = ByteBudget::new(100);
        let (one, other) = (ByteBudget::part_of(&host, 60), ByteBudget::part_of(&host, 60));
        let first = one.hold(60).unwrap();
        assert_eq!(one.hold(1).unwrap_err(), BudgetExceeded(60));
        assert_eq!(other.hold(41).unwrap_err(), BudgetExceeded(100));
        assert_eq!((one.held(), other.held(), host.held()), (60, 0, 60), "a refusal holds nothing");
        let second = other.hold(40).unwrap();
        drop(first);
        assert_eq!((one.held(), host.held()), (0, 40));
        assert_eq!(other.hold(usize::MAX).unwrap_err(), BudgetExceeded(60));
        drop(second);
        assert_eq!(host.held(), 0);
    }
}
