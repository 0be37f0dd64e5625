//! The steps of a settlement: capture, void or refund.

use super::{
    CallError, Stripe,
    api::{ApiError, CallAttempt, KEY},
    intent_status::{self, AuthorizationStatus, SettlementStatus},
};
use crate::payments::{
    authorizations::NewAuthorization,
    operation::{Outcome, Settlement},
};
use stripe_shared::PaymentIntentStatus;

impl Stripe {
    pub(super) async fn settle(
        &self,
        settlement: Settlement,
        authorization: &str,
        attempt: CallAttempt<'_>,
        is_repeated: bool,
    ) -> Result<Outcome, CallError> {
        if !is_intent_id(authorization) || !self.is_of_this_host(authorization).await? {
            return Ok(Outcome::invalid("no such authorization"));
        }
        // The host requests no refund of a payment that is not captured, so it looks at
        // the state first.
        if is_repeated || settlement == Settlement::Refund {
            let status = self.status(settlement, authorization, attempt, is_repeated).await?;
            if let Some(outcome) = outcome_of(status)? {
                return Ok(outcome);
            }
        }
        let done = match settlement {
            Settlement::Capture => self.api.capture(attempt, authorization).await.map(drop),
            Settlement::Void => self.api.cancel(attempt, authorization, None).await.map(drop),
            Settlement::Refund => self.api.refund(attempt, authorization).await.map(drop),
        };
        let reason = match done {
            Ok(()) => return Ok(Outcome::Done { id: None }),
            Err(ApiError::UnexpectedState(reason) | ApiError::Invalid(reason)) => reason,
            Err(ApiError::Declined(decline)) => return Ok(decline.into()),
            Err(error) => return Err(CallError::without_outcome(error)),
        };
        let status = self.status(settlement, authorization, attempt, is_repeated).await?;
        Ok(outcome_of(status)?.unwrap_or(Outcome::Invalid { reason }))
    }

    /// Asks Stripe for the status of a settlement.
    async fn status(
        &self,
        settlement: Settlement,
        id: &str,
        attempt: CallAttempt<'_>,
        is_repeated: bool,
    ) -> Result<SettlementStatus, CallError> {
        let intent = self.api.intent(id).await.map_err(CallError::without_outcome)?;
        let refunds = match settlement {
            Settlement::Refund => self.api.refunds(id).await.map_err(CallError::without_outcome)?,
            Settlement::Capture | Settlement::Void => Vec::new(),
        };
        Ok(intent_status::settlement(settlement, attempt.key, is_repeated, &intent, &refunds))
    }

    /// Whether a call to a host created the payment, and not another program with the
    /// same account. The record may be an older copy and miss the payment. The metadata
    /// of the payment then contains the key of its call, and the host restores the
    /// authorization.
    async fn is_of_this_host(&self, id: &str) -> Result<bool, CallError> {
        if self.calls.has_authorization(id).await? {
            return Ok(true);
        }
        let intent = match self.api.intent(id).await {
            Ok(intent) => intent,
            Err(ApiError::NotFound) => return Ok(false),
            Err(error) => return Err(CallError::without_outcome(error)),
        };
        let Some(key) = intent.metadata.get(KEY) else {
            return Ok(false);
        };
        if matches!(intent_status::authorization(&intent), AuthorizationStatus::Authorized) {
            let (currency, amount) = (intent.currency.to_string(), intent.amount);
            let is_captured = intent.status == PaymentIntentStatus::Succeeded;
            let authorization = NewAuthorization { id, key, currency: &currency, amount };
            self.calls.restore_authorization(authorization, is_captured).await?;
        }
        Ok(true)
    }
}

/// Whether a text has the form of the identifier of a payment. It becomes a part of a
/// URL.
fn is_intent_id(text: &str) -> bool {
    text.starts_with("pi_") && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The outcome of a settlement with this status. `None` if it is possible but not done.
fn outcome_of(status: SettlementStatus) -> Result<Option<Outcome>, CallError> {
    match status {
        SettlementStatus::Done => Ok(Some(Outcome::Done { id: None })),
        SettlementStatus::Possible => Ok(None),
        SettlementStatus::Impossible(state) => Ok(Some(Outcome::invalid(format!("the authorization is {state}")))),
        SettlementStatus::Processing => Err(CallError::processing()),
    }
}
