//! The leases of a component on SQLite. No other host uses the file, so this host
//! holds all of them.

use super::SqliteDatabase;
use crate::{Error, Lease, LeaseRole, Leases};
use async_trait::async_trait;
use std::future::pending;

#[async_trait]
impl Leases for SqliteDatabase {
    async fn acquire_lease(&self, _: LeaseRole) -> Result<Box<dyn Lease>, Error> {
        Ok(Box::new(PermanentLease))
    }
}

struct PermanentLease;

#[async_trait]
impl Lease for PermanentLease {
    async fn lost(&mut self) {
        pending().await
    }
}
