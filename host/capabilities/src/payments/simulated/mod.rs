//! Play money: a provider that understands Stripe's test tokens, remembers
//! everything in a ledger of its own, and fails on request.
//!
//! Like a real one it goes on with a call whose caller has given up.

mod faults;
mod ledger;
mod tokens;

use super::{
    Error, LedgerEntry,
    record::{Operation, Perform},
};
use async_trait::async_trait;
use faults::Faults;
use host_database::HostDatabase;
use ledger::Ledger;
use std::sync::Arc;
use tokio::time;

/// The provider. It lives as long as the host; its ledger outlives it.
#[derive(Clone)]
pub struct Simulated {
    ledger: Ledger,
    faults: Arc<Faults>,
}

impl Simulated {
    /// Opens the ledger in a database of its own, or in the one that the hosts
    /// share.
    ///
    /// # Errors
    /// When its tables cannot be made.
    pub async fn open(database: HostDatabase, faults: host_config::payments::FaultsConfig) -> sqlx::Result<Self> {
        Ok(Self { ledger: Ledger::open(database).await?, faults: Arc::new(Faults::new(faults)) })
    }
}

#[async_trait]
impl Perform for Simulated {
    async fn perform(&self, key: &str, operation: Operation) -> Result<Option<String>, Error> {
        let faults = match self.faults.next(&operation) {
            // A fault that a token asks for strikes the first call alone.
            planned if planned.once && self.ledger.is_known(key).await? => faults::Plan::default(),
            planned => planned,
        };
        if faults.before {
            if faults.once {
                self.ledger.remember(key).await?;
            }
            return Err(lost("before"));
        }
        let outcome = if faults.twice {
            let (first, _) =
                tokio::try_join!(self.ledger.record(key, &operation), self.ledger.record(key, &operation))?;
            first
        } else {
            self.ledger.record(key, &operation).await?
        };
        time::sleep(faults.delay).await;
        if faults.after { Err(lost("after")) } else { outcome.into_result() }
    }

    async fn newest(&self, limit_rows: u32) -> Result<Vec<LedgerEntry>, Error> {
        self.ledger.entries(limit_rows).await
    }
}

fn lost(when: &str) -> Error {
    Error::Unavailable(format!("simulated: the connection was lost {when} the charge"))
}

#[cfg(test)]
mod tests;
