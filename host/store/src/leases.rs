//! Leases: of the hosts that share a database, one works for all.

use super::Error;
use async_trait::async_trait;

/// The leases of one component, for its relay and its timer worker.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Waits for the lease.
    async fn acquire_lease(&self, role: LeaseRole) -> Result<Box<dyn Lease>, Error>;

    /// Tells the host that holds the lease that there may be work. Without other
    /// hosts it does nothing.
    fn notify_lease_holder(&self, _role: LeaseRole) {}
}

/// Work that one host does for all hosts that share a component's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeaseRole {
    /// Carries the events of the outbox to the bus.
    Outbox,
    /// Fires the timers that are due.
    Timers,
}

/// This host works for all hosts until it drops the lease or loses it.
#[async_trait]
pub trait Lease: Send {
    /// Waits until another host may hold the lease.
    async fn lost(&mut self);
}
