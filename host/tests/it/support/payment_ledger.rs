//! The ledger of the simulated payment provider: every charge that was made.

use super::{Database, Host, eventually};

/// One authorization, as the provider sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    /// `<orderId>:<attempt>`. The ledger has the component's name before it.
    pub(crate) key: String,
    /// In cents.
    pub(crate) amount: i64,
    pub(crate) state: String,
}

pub(crate) struct PaymentLedger(Database);

impl Host {
    pub(crate) async fn payment_ledger(&self) -> PaymentLedger {
        PaymentLedger(self.database("payments.db").await)
    }
}

impl PaymentLedger {
    /// Every charge that the provider has authorized.
    pub(crate) async fn all(&self) -> Vec<Charge> {
        let rows = self.0.rows("SELECT key, amount, state FROM authorizations ORDER BY key").await;
        let charge = |(key, amount, state): (String, i64, String)| {
            let key = key.strip_prefix("payments/").unwrap().to_owned();
            Charge { key, amount, state }
        };
        rows.into_iter().map(charge).collect()
    }

    pub(crate) async fn of(&self, order: &str) -> Vec<Charge> {
        let mut charges = self.all().await;
        charges.retain(|charge| charge.key.split(':').next() == Some(order));
        charges
    }

    /// Waits until exactly this sum is captured for the order and nothing else
    /// is reserved.
    pub(crate) async fn takes(&self, order: &str, cents: i64) {
        let what = format!("{cents} cents are captured for the order");
        let charges = async || self.of(order).await;
        eventually(&what, charges, |charges| {
            let sum: i64 = charges.iter().filter(|charge| charge.state == "captured").map(|charge| charge.amount).sum();
            sum == cents && charges.iter().all(|charge| charge.state != "authorized")
        })
        .await;
    }
}
