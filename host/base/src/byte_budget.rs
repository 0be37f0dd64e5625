//! A bound on the bytes that many calls hold together.
//!
//! A budget can be a part of another one. So a plugin has a budget of its own
//! within the budget of the host, and a plugin that has used its budget up leaves
//! the rest of the host's to others.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A number of bytes that may be held at the same time.
#[derive(Debug)]
pub struct ByteBudget {
    limit: AtomicUsize,
    held: AtomicUsize,
    whole: Option<Arc<Self>>,
}

/// Bytes of a budget. They are free again when this value is dropped.
#[derive(Debug)]
pub struct HeldBytes {
    budget: Arc<ByteBudget>,
    bytes: usize,
}

/// The bytes are not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetExceeded {
    /// The limit of the budget that is used up.
    pub limit: usize,
    /// Whether that budget is a part of another one.
    pub is_part: bool,
}

impl ByteBudget {
    /// A budget of its own.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: AtomicUsize::new(limit), held: AtomicUsize::new(0), whole: None })
    }

    /// A budget that is a part of another one.
    pub fn part_of(whole: &Arc<Self>, limit: usize) -> Arc<Self> {
        let whole = Some(whole.clone());
        Arc::new(Self { limit: AtomicUsize::new(limit), held: AtomicUsize::new(0), whole })
    }

    /// Changes the limit. It does not concern the bytes that are held already.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
    }

    /// The most bytes that may be held.
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Makes the limit larger, unless it is as large already.
    pub fn raise_limit(&self, limit: usize) {
        self.limit.fetch_max(limit, Relaxed);
    }

    /// Whether more than half is held.
    pub fn is_scarce(&self) -> bool {
        self.held() > self.limit.load(Relaxed) / 2
    }

    /// The budget that it is a part of.
    pub fn whole(&self) -> Option<&Arc<Self>> {
        self.whole.as_ref()
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
        self.held.load(Relaxed)
    }

    fn add(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        let limit = self.limit.load(Relaxed);
        let add = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= limit);
        if self.held.fetch_update(Relaxed, Relaxed, add).is_err() {
            return Err(BudgetExceeded { limit, is_part: self.whole.is_some() });
        }
        let whole = self.whole.as_ref().map_or(Ok(()), |whole| whole.add(bytes));
        whole.inspect_err(|_| {
            self.held.fetch_sub(bytes, Relaxed);
        })
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Relaxed);
        if let Some(whole) = &self.whole {
            whole.give_back(bytes);
        }
    }
}

impl HeldBytes {
    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// They are not free. The bytes until now stay held.
    pub fn grow(&mut self, bytes: usize) -> Result<(), BudgetExceeded> {
        self.budget.add(bytes)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back all but this number of bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.budget.give_back(self.bytes.saturating_sub(bytes));
        self.bytes = self.bytes.min(bytes);
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
        let of_part = BudgetExceeded { limit: 60, is_part: true };
        let of_whole = BudgetExceeded { limit: 100, is_part: false };
        let first = one.hold(60).unwrap();
        assert_eq!(one.hold(1).unwrap_err(), of_part);
        assert_eq!(other.hold(41).unwrap_err(), of_whole);
        assert_eq!((one.held(), other.held(), host.held()), (60, 0, 60), "a refusal holds nothing");
        let mut second = other.hold(30).unwrap();
        assert_eq!(second.grow(11).unwrap_err(), of_whole);
        second.grow(10).unwrap();
        drop(first);
        assert_eq!((one.held(), host.held()), (0, 40));
        assert_eq!(other.hold(usize::MAX).unwrap_err(), of_part);
        second.shrink_to(50);
        second.shrink_to(5);
        assert_eq!((second.bytes(), other.held(), host.held()), (5, 5, 5));
        drop(second);
        assert_eq!(host.held(), 0);
        assert!(!one.is_scarce() && one.whole().is_some_and(|whole| Arc::ptr_eq(whole, &host)));
        let _held = (one.hold(30).unwrap(), other.hold(20).unwrap());
        assert!(!one.is_scarce() && !other.is_scarce() && !host.is_scarce());
        let more = other.hold(1).unwrap();
        assert!(!one.is_scarce() && !other.is_scarce() && host.is_scarce());
        let most = one.hold(1).unwrap();
        assert!(one.is_scarce());
        drop((more, most, _held));
        one.raise_limit(70);
        one.raise_limit(5);
        assert!(one.hold(70).is_ok());
        one.set_limit(10);
        assert_eq!(one.hold(11).unwrap_err(), BudgetExceeded { limit: 10, is_part: true });
    }
}
