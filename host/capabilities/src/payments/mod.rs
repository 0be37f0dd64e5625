//! `platform:payments`: charging a card in two steps.
//!
//! [`Provider`] is what moves the money; `simulated` is the one that needs
//! nobody else, `stripe` the one that is real. [`Payments`] is the one service of the host, and
//! [`PaymentsView`] what one invocation of a component sees of it.

#[cfg(test)]
mod conformance;
mod record;
mod simulated;
mod stripe;

pub use self::{simulated::Simulated, stripe::Stripe};
use crate::bindings::platform::payments::payments::Host;
pub use crate::bindings::platform::payments::payments::{Decline, Error, Money};
use async_trait::async_trait;
use host_base::Dialect;
use host_database::HostDatabase;
use host_telemetry::Span;
use std::{fmt, path::Path, sync::Arc, time::Duration};
use tokio::time;
use wasmtime::component::{HasData, Linker};

const MAX_KEY_BYTES: usize = 200;
const MAX_TOKEN_BYTES: usize = 200;
const MAX_AUTHORIZATION_BYTES: usize = 200;

/// What a card is charged at most: eight digits, as at Stripe.
const MAX_AMOUNT: u64 = 99_999_999;

/// Moves money. The same key with the same arguments returns the first
/// outcome and does nothing more, for ever.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Reserves money and returns the id of the authorization.
    async fn authorize(&self, key: &str, amount: &Money, token: &str) -> Result<String, Error>;

    /// Takes what was reserved.
    async fn capture(&self, key: &str, authorization: &str) -> Result<(), Error>;

    /// Lets a reservation go.
    async fn void(&self, key: &str, authorization: &str) -> Result<(), Error>;

    /// Gives back what was taken.
    async fn refund(&self, key: &str, authorization: &str) -> Result<(), Error>;

    /// The authorizations, newest first, for operators and audits.
    async fn ledger(&self, limit_rows: u32) -> Result<Vec<LedgerEntry>, Error>;
}

/// An authorization and what became of it. Amounts are in minor units.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LedgerEntry {
    /// The provider's id of the authorization.
    pub authorization: String,
    /// The key it was made with, behind the component's name.
    pub key: String,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// Where it stands.
    pub state: LedgerState,
    /// What was reserved at first.
    pub amount: u64,
    /// What was taken.
    pub captured: u64,
    /// What was given back.
    pub refunded: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When it changed last, in milliseconds since the Unix epoch.
    pub updated_ms: u64,
}

/// Where an authorization stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LedgerState {
    /// The money is reserved.
    Authorized,
    /// The money was taken.
    Captured,
    /// The reservation was let go.
    Voided,
    /// The money was taken and given back.
    Refunded,
}

/// Why a provider cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its tables cannot be made.
    #[error(transparent)]
    Ledger(#[from] sqlx::Error),
    /// Its client cannot be made.
    #[error("{0}")]
    Client(String),
}

/// The payment provider of the whole host.
#[derive(Clone)]
pub struct Payments {
    provider: Arc<dyn Provider>,
    call_timeout: Duration,
}

impl Payments {
    /// Starts the provider that the settings name. It keeps what it must
    /// remember in the database that the hosts share, or else in a file of its
    /// own in the data directory.
    ///
    /// # Errors
    /// When its ledger cannot be opened.
    pub async fn open(
        settings: &host_config::payments::PaymentsConfig,
        data_dir: &Path,
        host: &HostDatabase,
    ) -> Result<Self, OpenError> {
        let ledger = match host.dialect() {
            Dialect::Sqlite => HostDatabase::open(&data_dir.join("payments.db")).await?,
            Dialect::Postgres => host.clone(),
        };
        let provider: Arc<dyn Provider> = match &settings.provider {
            host_config::payments::ProviderConfig::Simulated(faults) => {
                Arc::new(Simulated::open(ledger, *faults).await?)
            }
            host_config::payments::ProviderConfig::Stripe(stripe) => Arc::new(Stripe::open(ledger, stripe).await?),
        };
        Ok(Self::new(provider, settings.call_timeout))
    }

    /// Any provider, with a limit on the time that a component waits for it.
    pub fn new(provider: Arc<dyn Provider>, call_timeout: Duration) -> Self {
        Self { provider, call_timeout }
    }

    /// The provider itself, for operators.
    pub fn provider(&self) -> &dyn Provider {
        &*self.provider
    }
}

impl fmt::Debug for Payments {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Payments").field("call_timeout", &self.call_timeout).finish_non_exhaustive()
    }
}

/// The provider as one invocation sees it.
#[derive(Debug)]
pub struct PaymentsView<'a> {
    /// The host's.
    pub payments: &'a Payments,
    /// Who calls. Each component has keys of its own.
    pub component: &'a str,
    /// The trace that this invocation belongs to.
    pub traceparent: Option<&'a str>,
}

/// Ties [`PaymentsView`] to the linker.
#[derive(Debug)]
struct HasPayments;

impl HasData for HasPayments {
    type Data<'a> = PaymentsView<'a>;
}

/// Links `platform:payments`; `view` lends what one invocation sees of it.
///
/// # Errors
/// When the linker has the interface already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> PaymentsView<'_>,
) -> wasmtime::Result<()> {
    crate::bindings::platform::payments::payments::add_to_linker::<T, HasPayments>(linker, view)
}

impl PaymentsView<'_> {
    fn key(&self, key: &str) -> Result<String, Error> {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err(Error::Invalid(format!("key: 1 to {MAX_KEY_BYTES} bytes")));
        }
        // The name of a component has no slash, so no two can meet.
        Ok(format!("{}/{key}", self.component))
    }

    async fn limited<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let span = Span::start_call(self.traceparent, || format!("payments {operation}"));
        let outcome = match time::timeout(self.payments.call_timeout, call).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let limit_ms = self.payments.call_timeout.as_millis();
                Err(Error::Unavailable(format!("no answer within {limit_ms} ms")))
            }
        };
        let name = match &outcome {
            Ok(_) => "ok",
            Err(Error::Declined(_)) => "declined",
            Err(Error::Invalid(_)) => "invalid",
            Err(Error::Unavailable(_)) => "unavailable",
        };
        if let Some(mut span) = span {
            span.set_attributes(|| [("component", self.component.to_owned().into()), ("outcome", name.into())]);
            if outcome.is_err() {
                span.fail_with_type(name);
            }
        }
        metrics::counter!("payments_calls_total", "operation" => operation, "outcome" => name).increment(1);
        outcome
    }

    async fn authorize(&self, key: &str, amount: &Money, token: &str) -> Result<String, Error> {
        let key = self.key(key)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::Invalid(format!("token: at most {MAX_TOKEN_BYTES} bytes")));
        }
        if !(1..=MAX_AMOUNT).contains(&amount.amount) {
            return Err(Error::Invalid(format!("amount: 1 to {MAX_AMOUNT} minor units")));
        }
        if amount.currency.len() != 3 || !amount.currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(Error::Invalid("currency: three lower-case letters".to_owned()));
        }
        let call = self.payments.provider.authorize(&key, amount, token);
        self.limited("authorize", call).await
    }

    async fn settle(&self, operation: Settlement, key: &str, authorization: &str) -> Result<(), Error> {
        let key = self.key(key)?;
        if authorization.len() > MAX_AUTHORIZATION_BYTES {
            return Err(Error::Invalid(format!("authorization: at most {MAX_AUTHORIZATION_BYTES} bytes")));
        }
        let provider = &self.payments.provider;
        let (name, call) = match operation {
            Settlement::Capture => ("capture", provider.capture(&key, authorization)),
            Settlement::Void => ("void", provider.void(&key, authorization)),
            Settlement::Refund => ("refund", provider.refund(&key, authorization)),
        };
        self.limited(name, call).await
    }
}

/// How an authorization comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settlement {
    Capture,
    Void,
    Refund,
}

impl Host for PaymentsView<'_> {
    async fn authorize(
        &mut self,
        key: String,
        amount: Money,
        token: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        Ok(PaymentsView::authorize(self, &key, &amount, &token).await)
    }

    async fn capture(&mut self, key: String, authorization: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.settle(Settlement::Capture, &key, &authorization).await)
    }

    async fn void(&mut self, key: String, authorization: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.settle(Settlement::Void, &key, &authorization).await)
    }

    async fn refund(&mut self, key: String, authorization: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.settle(Settlement::Refund, &key, &authorization).await)
    }
}

#[cfg(test)]
mod tests;
