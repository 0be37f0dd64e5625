//! The leases of a component on PostgreSQL.

use super::{PostgresDatabase, notify_channel::NOW};
use crate::{Error, Lease, LeaseRole, Leases};
use async_trait::async_trait;

#[async_trait]
impl Leases for PostgresDatabase {
    async fn acquire_lease(&self, role: LeaseRole) -> Result<Box<dyn Lease>, Error> {
        self.lease_locks.acquire_lease(role, &self.shared.component).await
    }

    fn notify_lease_holder(&self, role: LeaseRole) {
        self.shared.channel.queue(role, &self.shared.component, NOW);
    }
}
