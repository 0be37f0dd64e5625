//! `platform:payments`: charges a card in two steps.
//!
//! [`Payments`] is the service of the host. It calls one `Provider`: `simulated`
//! needs no other service, and `stripe` moves real money. [`PaymentsView`] is the
//! view of one invocation of a component.

mod authorizations;
#[cfg(test)]
mod conformance;
mod minimums;
mod operation;
mod simulated;
mod stripe;
mod view;

pub use crate::bindings::platform::payments::payments::{Decline, Error, Money};
pub use view::{PaymentsView, add_to_linker};

use async_trait::async_trait;
use host_base::Dialect;
use host_config::{
    offer::Offer,
    payments::{PaymentsConfig, ProviderConfig},
    plugins::Grant,
};
use host_database::HostDatabase;
use operation::{Operation, Settlement};
use simulated::Simulated;
use std::{fmt, path::Path, sync::Arc, time::Duration};
use stripe::Stripe;

/// The interface for payments.
pub const OFFER: Offer = Offer { grant: Grant::Payments, interfaces: &["platform:payments/payments"] };

/// Moves money.
#[async_trait]
trait Provider: Send + Sync + 'static {
    /// Performs an operation. An operation that reserves money returns the
    /// identifier of the authorization.
    ///
    /// A second call with the same key and the same operation returns the outcome
    /// of the first call and does nothing else, without a time limit.
    async fn perform(&self, key: &str, operation: Operation) -> Result<Option<String>, Error>;
}

/// Why the payment service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The tables of the provider cannot be created.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The client of the provider cannot be created.
    #[error("{0}")]
    Client(String),
}

/// The payment service of the host.
#[derive(Clone)]
pub struct Payments {
    provider: Arc<dyn Provider>,
    call_timeout: Duration,
}

impl Payments {
    /// Starts the configured provider. The provider keeps its records in the database
    /// that the hosts share, or in its own file in the data directory.
    ///
    /// # Errors
    /// When the tables or the client of the provider cannot be created.
    pub async fn open(config: &PaymentsConfig, data_dir: &Path, host: &HostDatabase) -> Result<Self, OpenError> {
        let database = match host.dialect() {
            Dialect::Sqlite => HostDatabase::open(&data_dir.join("payments.db")).await?,
            Dialect::Postgres => host.clone(),
        };
        let provider: Arc<dyn Provider> = match &config.provider {
            ProviderConfig::Simulated(faults) => Arc::new(Simulated::open(database, *faults).await?),
            ProviderConfig::Stripe(stripe) => Arc::new(Stripe::open(database, stripe).await?),
        };
        Ok(Self { provider, call_timeout: config.call_timeout })
    }

    /// Reserves money and returns the identifier of the authorization.
    async fn authorize(&self, key: &str, amount: Money, token: String) -> Result<String, Error> {
        let Money { amount, currency } = amount;
        let id = self.perform(key, Operation::Authorize { amount, currency, token }).await?;
        id.ok_or_else(|| Error::Unavailable("the ledger has an authorization without an id".to_owned()))
    }

    /// Captures, voids or refunds an authorization.
    async fn settle(&self, key: &str, settlement: Settlement, authorization: String) -> Result<(), Error> {
        self.perform(key, settlement.of(authorization)).await.map(drop)
    }

    /// Runs the operation in a separate task, so that it ends even if the caller is
    /// cancelled.
    async fn perform(&self, key: &str, operation: Operation) -> Result<Option<String>, Error> {
        let (provider, key) = (self.provider.clone(), key.to_owned());
        match tokio::spawn(async move { provider.perform(&key, operation).await }).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Unavailable("the host is stopping".to_owned())),
        }
    }
}

impl fmt::Debug for Payments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Payments").field("call_timeout", &self.call_timeout).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
