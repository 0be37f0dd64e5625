//! Play money: a provider that understands Stripe's test tokens, remembers
//! everything in a ledger of its own, and fails on request.
//!
//! Like a real one it goes on with a call whose caller has given up.

mod faults;
mod ledger;
mod tokens;

use super::{Error, LedgerEntry, Money, Provider};
use crate::{config, database::HostDatabase};
use async_trait::async_trait;
use faults::Faults;
use ledger::{Ledger, Operation};
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
    pub async fn open(database: HostDatabase, faults: config::payments::Faults) -> sqlx::Result<Self> {
        Ok(Self { ledger: Ledger::open(database).await?, faults: Arc::new(Faults::new(faults)) })
    }

    /// Makes the call in a task of its own, so that it is done once it was
    /// begun.
    async fn call(&self, key: &str, operation: Operation) -> Result<Option<String>, Error> {
        let (provider, key) = (self.clone(), key.to_owned());
        match tokio::spawn(async move { provider.perform(&key, operation).await }).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Unavailable("the host is stopping".to_owned())),
        }
    }

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
}

fn lost(when: &str) -> Error {
    Error::Unavailable(format!("simulated: the connection was lost {when} the charge"))
}

#[async_trait]
impl Provider for Simulated {
    async fn authorize(&self, key: &str, amount: &Money, token: &str) -> Result<String, Error> {
        let operation =
            Operation::Authorize { amount: amount.amount, currency: amount.currency.clone(), token: token.to_owned() };
        let id = self.call(key, operation).await?;
        id.ok_or_else(|| Error::Unavailable("the ledger has an authorization without an id".to_owned()))
    }

    async fn capture(&self, key: &str, authorization: &str) -> Result<(), Error> {
        let authorization = authorization.to_owned();
        self.call(key, Operation::Capture { authorization }).await.map(drop)
    }

    async fn void(&self, key: &str, authorization: &str) -> Result<(), Error> {
        let authorization = authorization.to_owned();
        self.call(key, Operation::Void { authorization }).await.map(drop)
    }

    async fn refund(&self, key: &str, authorization: &str) -> Result<(), Error> {
        let authorization = authorization.to_owned();
        self.call(key, Operation::Refund { authorization }).await.map(drop)
    }

    async fn ledger(&self, limit_rows: u32) -> Result<Vec<LedgerEntry>, Error> {
        self.ledger.entries(limit_rows).await
    }
}

#[cfg(test)]
mod tests;
