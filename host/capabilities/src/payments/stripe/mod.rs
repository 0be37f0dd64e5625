//! The provider for Stripe. An authorization is a payment intent with manual capture.
//!
//! Money moves once for each key, without a time limit. Three mechanisms ensure this,
//! and the first one alone would suffice:
//!
//! - **The states at Stripe.** The host first creates a payment, which reserves no
//!   money, then records its identifier, and then confirms it. Stripe confirms,
//!   captures, cancels and fully refunds each payment at most once, for any number of
//!   callers. If a call may have been made before, the host looks at its payment
//!   (`intent_status.rs`).
//! - **The record of the host** (`call_log.rs`). It keeps the outcome of each call, and
//!   the calls that have no outcome yet, without a time limit.
//! - **Idempotency keys.** Stripe returns the first response again if a request is
//!   repeated in time. It forgets a key after a day. Until then it also repeats its own
//!   errors for that key, so the host replaces the key after such an error. The first
//!   two mechanisms make this safe.
//!
//! If the host loses the identifier of a payment that it has just created, the payment
//! stays unconfirmed at Stripe and reserves no money. The host creates another one.
//!
//! The host repeats no request. A caller that gets [`Error::Unavailable`] calls again.
//! This includes the case that Stripe does not accept the key of the host: the log then
//! contains an error, nothing is lost, and payments continue with a valid key.
//!
//! The authorizations in the record contain the effects of calls. They do not contain
//! changes that people make in the dashboard of Stripe.

mod api;
mod authorize;
mod call_log;
mod intent_status;
mod keyed_mutex;
mod settle;

use super::{
    Error, OpenError, Provider,
    operation::{LedgerError, Operation, Outcome},
};
use api::{Api, ApiError, CallAttempt, UnknownOutcome};
use async_trait::async_trait;
use call_log::{CallLog, CallState, PendingCall};
use host_config::payments::StripeConfig;
use host_database::HostDatabase;
use keyed_mutex::KeyedMutex;

/// The provider. It lives as long as the host, and its record lives longer.
#[derive(Debug, Clone)]
pub(super) struct Stripe {
    api: Api,
    calls: CallLog,
    mutex: KeyedMutex,
}

/// Why a call ends without an outcome.
enum CallError {
    Unknown(UnknownOutcome),
    Ledger(LedgerError),
}

impl From<LedgerError> for CallError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl CallError {
    fn unknown(detail: &str) -> Self {
        Self::Unknown(UnknownOutcome::new(detail))
    }

    fn processing() -> Self {
        Self::unknown("Stripe is still processing the payment")
    }

    /// The meaning of an error that is not an outcome of the call.
    fn without_outcome(error: ApiError) -> Self {
        Self::Unknown(match error {
            ApiError::Unknown(unknown) => unknown,
            ApiError::Declined(decline) => UnknownOutcome::new(decline.message),
            ApiError::UnexpectedState(reason) | ApiError::Invalid(reason) => UnknownOutcome::repeated_by_stripe(reason),
            ApiError::NotFound => {
                tracing::error!(
                    "Stripe does not know a payment that it created; STRIPE_KEY belongs to another account, or to the other mode (test or live). Nothing is lost: payments continue with the right key"
                );
                UnknownOutcome::new("Stripe does not know the payment")
            }
        })
    }
}

impl Stripe {
    /// Opens the record in this database. Sends no request to Stripe.
    ///
    /// # Errors
    /// When the tables or the client cannot be created.
    pub(super) async fn open(database: HostDatabase, config: &StripeConfig) -> Result<Self, OpenError> {
        let api = Api::new(config).map_err(|error| OpenError::Client(error.to_string()))?;
        Ok(Self { api, calls: CallLog::open(database).await?, mutex: KeyedMutex::default() })
    }

    async fn run(&self, key: &str, operation: &Operation, call: &PendingCall) -> Result<Outcome, CallError> {
        let attempt = CallAttempt { key, number: call.failed_attempts };
        if let Some((settlement, authorization)) = operation.settlement() {
            return self.settle(settlement, authorization, attempt, call.is_repeated).await;
        }
        let Operation::Authorize { amount, currency, token } = operation else {
            return Ok(Outcome::invalid("no such operation"));
        };
        self.authorize(*amount, currency, token, attempt, call.intent.as_deref()).await
    }
}

#[async_trait]
impl Provider for Stripe {
    async fn perform(&self, key: &str, operation: Operation) -> Result<Option<String>, Error> {
        let _guard = self.mutex.lock(key).await;
        let call = match self.calls.begin(key, &operation).await? {
            CallState::Finished(outcome) => return outcome.into_result(),
            CallState::Pending(call) => call,
        };
        match self.run(key, &operation, &call).await {
            Ok(outcome) => self.calls.finish(key, &operation, &outcome).await?.into_result(),
            Err(CallError::Ledger(error)) => Err(error.into()),
            Err(CallError::Unknown(unknown)) => {
                if unknown.is_repeated_by_stripe {
                    self.calls.record_failed_attempt(key, call.failed_attempts).await?;
                }
                Err(Error::Unavailable(unknown.detail))
            }
        }
    }
}

#[cfg(test)]
mod tests;
