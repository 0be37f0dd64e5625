//! The simulated provider. It understands the test tokens of Stripe, records
//! everything in its own ledger, and injects faults on request. It moves no money.

mod fault_injection;
mod ledger;
mod test_cards;

use super::{Error, Provider, operation::Operation};
use async_trait::async_trait;
use fault_injection::{CallFaults, FaultInjector};
use host_config::payments::FaultsConfig;
use host_database::HostDatabase;
use ledger::Ledger;
use tokio::time;

/// The provider. It lives as long as the host, and its ledger lives longer.
pub(super) struct Simulated {
    ledger: Ledger,
    faults: FaultInjector,
}

impl Simulated {
    /// Opens the ledger in this database.
    ///
    /// # Errors
    /// When the tables cannot be created.
    pub(super) async fn open(database: HostDatabase, faults: FaultsConfig) -> sqlx::Result<Self> {
        Ok(Self { ledger: Ledger::open(database).await?, faults: FaultInjector::new(faults) })
    }

    async fn faults_of(&self, key: &str, operation: &Operation) -> Result<CallFaults, Error> {
        let faults = self.faults.next(operation);
        if faults.first_call_only && self.ledger.is_known(key).await? {
            return Ok(CallFaults::default());
        }
        Ok(faults)
    }
}

#[async_trait]
impl Provider for Simulated {
    async fn perform(&self, key: &str, operation: Operation) -> Result<Option<String>, Error> {
        let faults = self.faults_of(key, &operation).await?;
        if faults.lose_request {
            if faults.first_call_only {
                self.ledger.record_fault(key).await?;
            }
            return Err(lost("before"));
        }
        let outcome = if faults.duplicate {
            let (first, _) =
                tokio::try_join!(self.ledger.record(key, &operation), self.ledger.record(key, &operation))?;
            first
        } else {
            self.ledger.record(key, &operation).await?
        };
        time::sleep(faults.delay).await;
        if faults.lose_response { Err(lost("after")) } else { outcome.into_result() }
    }
}

fn lost(when: &str) -> Error {
    Error::Unavailable(format!("simulated: the connection was lost {when} the charge"))
}

#[cfg(test)]
mod tests;
