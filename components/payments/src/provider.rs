//! The calls to the payment provider.
//!
//! Each call has an idempotency key. If the component repeats a call, because
//! it did not record the answer, the provider does nothing more.

use ticketing_sdk::capability::payments::{self, Error as ProviderError, Money};
use ticketing_sdk::{Error, Result};

use crate::domain::{Attempt, AttemptState, Authorization, Operation};

/// The answer of the provider to an operation.
pub(crate) enum Answer {
    /// To an authorization.
    Authorization(Authorization),
    /// To another operation: the attempt is now in this state.
    Done(AttemptState),
    /// The provider refuses for good to bring the attempt into this state.
    Refused {
        /// The state that the attempt cannot reach.
        state: AttemptState,
        /// The provider's reason.
        reason: String,
    },
}

/// Asks the provider to reserve the money. A repeated call returns the answer of
/// the first one.
pub(crate) fn authorize(attempt: &Attempt) -> Result<Authorization> {
    let token = attempt.token.as_deref().unwrap_or_default();
    let money = Money {
        amount: u64::try_from(attempt.price.amount).map_err(|error| Error::Internal(error.to_string()))?,
        currency: attempt.price.currency.clone(),
    };
    match payments::authorize(&attempt.idempotency_key(), &money, token) {
        Ok(id) => Ok(Authorization::Approved(id)),
        Err(ProviderError::Declined(decline)) => Ok(Authorization::Declined(decline.code, decline.message)),
        Err(ProviderError::Invalid(reason)) => Ok(Authorization::Invalid(reason)),
        Err(ProviderError::Unavailable(detail)) => Err(Error::Unavailable(detail)),
    }
}

/// Performs an operation for the attempt.
pub(crate) fn perform(attempt: &Attempt, operation: Operation) -> Result<Answer> {
    let authorization = attempt.provider_id.as_deref().unwrap_or_default();
    let key = |name: &str| format!("{}:{name}", attempt.idempotency_key());
    match operation {
        Operation::Authorize => authorize(attempt).map(Answer::Authorization),
        Operation::Capture => answer(AttemptState::Captured, payments::capture(&key("capture"), authorization)),
        Operation::Void => answer(AttemptState::Voided, payments::void(&key("void"), authorization)),
        Operation::Refund => answer(AttemptState::Refunded, payments::refund(&key("refund"), authorization)),
    }
}

fn answer(state: AttemptState, result: Result<(), ProviderError>) -> Result<Answer> {
    match result {
        Ok(()) => Ok(Answer::Done(state)),
        Err(ProviderError::Unavailable(detail)) => Err(Error::Unavailable(detail)),
        Err(ProviderError::Invalid(reason)) => Ok(Answer::Refused { state, reason }),
        Err(ProviderError::Declined(decline)) => Ok(Answer::Refused { state, reason: decline.message }),
    }
}
